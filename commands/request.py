"""What a request that changes something carries besides its URL: a body, query arguments, and where it comes from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import msgspec
from falcon import Request

from commands.body import Received, received
from commands.entity_tag import if_match_of
from commands.ports import Origin
from domain.caller import Caller
from domain.errors import Invalid, NotFound

MOST_BYTES = 114_688
"""Where the operator says nothing else."""

_MOST_BYTES_DRAINED = 32 * 1_024 * 1_024
ON_WRITES = ("dry_run",)
"""Query arguments of every write."""

_LOOSELY_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})


class UnknownMediaType(Exception):
    def __init__(self, media_type: str) -> None:
        super().__init__(f"Unknown mimetype: {media_type}")


class BodyTooLarge(Exception):
    def __init__(self) -> None:
        super().__init__("Request is too large.")


def object_of(request: Request, argument: str, root: str) -> Received:
    """The object that the body wraps under `root`. Raises Invalid in the contract's words."""
    return received(json_of(request, argument), argument, root)


def new_id(request: Request) -> UUID:
    """The id of something that a request creates: the same for each repetition of a request with a key."""
    repetition = _repetition_of(request)
    return uuid4() if repetition is None else next(repetition.new_ids)


@dataclass(frozen=True)
class Repetition:
    """What makes a request with an idempotency key the same command however often it comes.

    is_repeated  whether it was begun before, so that the log may hold the command
    new_ids      of the objects that it creates, in the order of their creation
    """

    command_id: UUID
    is_repeated: bool
    new_ids: Iterator[UUID]


def _repetition_of(request: Request) -> Repetition | None:
    repetition: Repetition | None = request.context.get("repetition")
    return repetition


def json_of(request: Request, argument: str) -> Any:
    """The body as JSON. Raises Invalid, UnknownMediaType, BodyTooLarge."""
    raw = bytes_of(request)
    if not raw:
        raise Invalid(f'Missing argument: "{argument}"')
    _require_json(request.content_type)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Invalid("Request is not in valid JSON format") from None


def _require_json(content_type: str | None) -> None:
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        raise Invalid("Unknown argument: a form instead of JSON")
    if media_type != "application/json":
        raise UnknownMediaType(media_type)


def bytes_of(request: Request) -> bytes:
    """The body; it can be read more than once. Raises BodyTooLarge."""
    found: bytes | None = request.context.get("body")
    if found is None:
        found = request.context.body = _read(request)
    return found


def _read(request: Request) -> bytes:
    said = request.content_length
    stream = request.bounded_stream if said is not None else request.stream
    if said is None and "chunked" not in request.get_header("Transfer-Encoding", default=""):
        return b""
    most: int = request.context.get("most_bytes") or MOST_BYTES
    raw = stream.read(most + 1)
    if len(raw) > most:
        _drain(stream)
        raise BodyTooLarge
    return raw


def _drain(stream: Any) -> None:
    """A client that is still sending when the connection closes sees a reset instead of the answer."""
    read = 0
    while read < _MOST_BYTES_DRAINED and (chunk := stream.read(65_536)):
        read += len(chunk)


def require_no_arguments(request: Request, *known: str) -> None:
    """Raises Invalid for a query argument that means nothing here."""
    for name in request.params if request.query_string else ():
        if name not in known:
            raise Invalid(f'Unknown argument: "{name}"')


def is_asked_for(request: Request, argument: str) -> bool:
    """A query argument's loose boolean: what is not clearly yes is no."""
    said = request.params.get(argument) if request.query_string else None
    return isinstance(said, str) and said.lower() in _LOOSELY_TRUE


def id_in_url(resource: str, text: str) -> UUID:
    """Ids in URLs are never checked for their form: one that is none belongs to nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(resource, text) from None


def caller_of(request: Request) -> Caller:
    """Who sent it: the middleware of infra/identity.py found out."""
    caller: Caller = request.context.caller
    return caller


def origin_of(request: Request) -> Origin:
    caller, repetition = caller_of(request), _repetition_of(request)
    return Origin(
        command_id=uuid4() if repetition is None else repetition.command_id,
        is_repeated=repetition is not None and repetition.is_repeated,
        actor=caller.actor,
        project_id=caller.project_id,
        request_id=request.context.request_id,
        enforce_quota=caller.enforces_quota,
        if_match=if_match_of(request),
        dry_run=is_asked_for(request, "dry_run"),
    )
