"""Requests with an `Idempotency-Key`: repeated as often as a client likes, carried out once, answered alike.

An intent is committed under the key before anything is done. Everything that the request makes has an id that follows
from the intent, and so has its command: whoever finds an intent without an answer finds out from the log how far it
came. While a request is being carried out its key is locked by a database session, which a dead process gives up.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from threading import Event
from typing import Any
from uuid import UUID, uuid4, uuid5

import falcon
import psycopg
from falcon import Request, Response
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import ConnectionPool, PoolTimeout

from commands.request import Repetition, bytes_of, caller_of, is_asked_for
from domain.caller import Caller
from domain.errors import Conflicting, Invalid, Refused

_log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
KEPT = "24 hours"
LOCK_WAIT = "2s"
_WRITES = ("POST", "PUT", "DELETE")
_NAMESPACE = UUID("0e2a3e0c-6f0b-5d38-8f4e-61f1a3f0c0de")
_REPEATED_HEADERS = ("ETag",)

_BEGIN = f"""
INSERT INTO idempotency AS i (key_id, request_id, fingerprint) VALUES (%(key)s, %(request)s, %(fingerprint)s)
ON CONFLICT (key_id) DO UPDATE SET
    request_id = excluded.request_id, fingerprint = excluded.fingerprint, begun_at = excluded.begun_at,
    required = '[]', status = NULL, headers = NULL, body = NULL
WHERE i.begun_at < clock_timestamp() - interval '{KEPT}'
RETURNING request_id
"""
_FIND = "SELECT request_id, fingerprint, required, status, headers, body FROM idempotency WHERE key_id = %s"
_FINISH = "UPDATE idempotency SET status = %s, headers = %s, body = %s, required = %s WHERE key_id = %s"
_FORGET = "DELETE FROM idempotency WHERE key_id = %s AND status IS NULL"
_IS_RECORDED = "SELECT FROM commits WHERE command_id = %s"
_FORGET_OLD = f"DELETE FROM idempotency WHERE begun_at < clock_timestamp() - interval '{KEPT}'"


class KeyUsedOtherwise(Refused):
    """The key belongs to another request."""

    def __init__(self) -> None:
        super().__init__(f"This {HEADER} was used for a request with another method, path, query or body.")


class KeyInUse(Conflicting):
    """The first request with this key takes its time."""

    def __init__(self) -> None:
        super().__init__(f"A request with this {HEADER} is being carried out; please ask again.")


@dataclass(frozen=True)
class Watched:
    """A caller whose rights are written down as they are asked for: a repetition is asked for the same ones."""

    caller: Caller
    required: list[tuple[str, str]] = field(default_factory=list)

    @property
    def project_id(self) -> str:
        return self.caller.project_id

    @property
    def user_id(self) -> str:
        return self.caller.user_id

    @property
    def token(self) -> str:
        return self.caller.token

    @property
    def actor(self) -> UUID | None:
        return self.caller.actor

    @property
    def enforces_quota(self) -> bool:
        return self.caller.enforces_quota

    def may(self, rule: str, project_id: str) -> bool:
        return self.caller.may(rule, project_id)

    def require(self, rule: str, project_id: str) -> None:
        self.caller.require(rule, project_id)
        self.required.append((rule, project_id))


@dataclass(frozen=True)
class _Begun:
    """A request that holds its key until it is answered."""

    key_id: UUID
    watched: Watched
    connection: psycopg.Connection[Any]
    lock: ExitStack


class Idempotency:
    """Falcon's middleware, after the one that finds the caller.

    pool  connections in autocommit, one for each request with a key at the same time
    """

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def process_resource(self, req: Request, resp: Response, resource: object, params: Mapping[str, Any]) -> None:
        key = req.get_header(HEADER)
        if key is None or req.method not in _WRITES or is_asked_for(req, "dry_run"):
            return
        _require_sensible(key)
        caller = caller_of(req)
        key_id = uuid5(_NAMESPACE, json.dumps([caller.project_id, caller.user_id, key]))
        with ExitStack() as lock:
            connection = lock.enter_context(self._pool.connection())
            _take(connection, key_id, lock)
            begun = self._begin(connection, req, resp, key_id)
            if begun is not None:
                watched = req.context.caller = Watched(caller)
                req.context.repetition = begun
                req.context.idempotent = _Begun(key_id, watched, connection, lock.pop_all())

    def _begin(
        self, connection: psycopg.Connection[Any], req: Request, resp: Response, key_id: UUID
    ) -> Repetition | None:
        """None when there is an answer already. Raises KeyUsedOtherwise, Forbidden."""
        fingerprint = _fingerprint(req)
        new = {"key": key_id, "request": uuid4(), "fingerprint": fingerprint}
        begun = connection.execute(_BEGIN, new).fetchone()
        if begun is not None:
            return _repetition(begun[0], is_repeated=False)
        with connection.cursor(row_factory=dict_row) as cursor:
            known = cursor.execute(_FIND, (key_id,)).fetchone()
        assert known is not None, "the key is locked, and nobody else removes it"
        if known["fingerprint"] != fingerprint:
            raise KeyUsedOtherwise
        if known["status"] is None:
            return _repetition(known["request_id"], is_repeated=True)
        _repeat_answer(req, resp, known)
        return None

    def process_response(self, req: Request, resp: Response, resource: object, succeeded: bool) -> None:
        """What cannot be kept is found out when it is asked for again: the change itself is done, and stays so."""
        begun: _Begun | None = req.context.get("idempotent")
        if begun is None:
            return
        try:
            with begun.lock:
                _restore_deletion(begun, req, resp)
                _keep(begun, resp)
        except psycopg.Error as error:
            _log.warning("%s: the answer was not kept: %s", req.context.request_id, error)


def _restore_deletion(begun: _Begun, req: Request, resp: Response) -> None:
    """What was deleted cannot be found again: of a deletion whose answer was lost, the log alone knows."""
    repetition: Repetition = req.context.repetition
    if req.method != "DELETE" or not repetition.is_repeated or resp.status_code != HTTPStatus.NOT_FOUND:
        return
    if begun.connection.execute(_IS_RECORDED, (repetition.command_id,)).fetchone() is None:
        return
    resp.status = falcon.HTTP_202 if "/quotas/" in req.path else falcon.HTTP_204
    resp.data, resp.text, resp.content_type = None, None, None


def _keep(begun: _Begun, resp: Response) -> None:
    """Keep what was accepted; what was refused left nothing, so its key is free again.

    After an error of ours the outcome is not known: the intent stays, and the next request finds out.
    """
    if resp.status_code < 300:
        headers = {name: value for name in _REPEATED_HEADERS if (value := resp.get_header(name))}
        answer = (resp.status, Jsonb(headers), resp.data, Jsonb(begun.watched.required), begun.key_id)
        begun.connection.execute(_FINISH, answer)
    elif resp.status_code < 500:
        begun.connection.execute(_FORGET, (begun.key_id,))


def keep_forgetting(pool: ConnectionPool[Any], stop: Event, every_seconds: float) -> None:
    """Remove what was kept for its day, until `stop` is set."""
    while not stop.wait(every_seconds):
        try:
            with pool.connection() as connection:
                connection.execute(_FORGET_OLD)
        except (psycopg.Error, PoolTimeout) as error:
            _log.warning("old idempotency keys stay for now: %s", error)


def _require_sensible(key: str) -> None:
    if not 1 <= len(key) <= 255 or not key.isascii() or not key.isprintable():
        raise Invalid(f"Validation failure: {HEADER} has to be 1 to 255 printable ASCII characters.")


def _take(connection: psycopg.Connection[Any], key_id: UUID, lock: ExitStack) -> None:
    """Hold the key until `lock` is closed. Raises KeyInUse when somebody else does for too long."""
    number = int.from_bytes(key_id.bytes[:8], "big", signed=True)
    try:
        connection.execute(f"SET lock_timeout = '{LOCK_WAIT}'")
        connection.execute("SELECT pg_advisory_lock(%s)", (number,))
    except psycopg.errors.LockNotAvailable:
        raise KeyInUse from None
    lock.callback(connection.execute, "SELECT pg_advisory_unlock(%s)", (number,))


def _fingerprint(req: Request) -> bytes:
    """Of everything that makes the request what it is."""
    said = [req.method, req.path, req.query_string, hashlib.sha256(bytes_of(req)).hexdigest()]
    return hashlib.sha256(json.dumps(said).encode()).digest()


def _repetition(request_id: UUID, *, is_repeated: bool) -> Repetition:
    return Repetition(uuid5(request_id, "command"), is_repeated, _ids(request_id))


def _ids(request_id: UUID) -> Iterator[UUID]:
    return (uuid5(request_id, str(number)) for number in count(1))


def _repeat_answer(req: Request, resp: Response, known: Mapping[str, Any]) -> None:
    """Whoever may not do it any more does not see what came of it."""
    required: Sequence[tuple[str, str]] = known["required"]
    for rule, project_id in required:
        caller_of(req).require(rule, project_id)
    resp.status = known["status"]
    resp.set_headers(known["headers"])
    if known["body"] is None:
        resp.content_type = None
    else:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = known["body"]
    resp.complete = True
