"""The feed: events as they are recorded, over HTTP, for subscribers who have no Kafka.

Server-sent events with CloudEvents inside. One thread for each subscriber, who reads from the log at its own pace and
loses nothing: the id of an event is its position.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from threading import Condition, Thread
from typing import Any
from uuid import UUID

import falcon
import msgspec
from falcon import Request, Response
from psycopg_pool import ConnectionPool

from commands.request import caller_of
from domain.errors import Invalid
from infra.wakeup import Wakeup

PATH = "/events"
RULE = "event:get_all"
MEDIA = "text/event-stream"
LONGEST_SECONDS = 3_600.0
"""After this a stream ends: its reader comes again, and is asked again who it is."""

_PAGE = 500
_SIGN_OF_LIFE_SECONDS = 15.0
_SLOW_LOOK_SECONDS = 1.0
# Who asked stands in the commit record: the first that is not before the event.
_READ = """
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state,
       c.recorded_at, c.project_id, c.actor, c.request_id
FROM tacitus_events e CROSS JOIN LATERAL (
    SELECT * FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1) c
WHERE e.notification_id > %s ORDER BY e.notification_id LIMIT %s
"""


@dataclass(frozen=True)
class Told:
    """An event as the feed tells it."""

    position: int
    project_id: str
    type: str
    document: bytes

    def __bytes__(self) -> bytes:
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.position, self.type.encode(), self.document)


class News:
    """Wakes everybody who waits for the log: one connection listens for all of them.

    is_over  whether streams should end, since this process does
    readers  how many there are
    """

    def __init__(self, wakeup: Wakeup, is_over: Callable[[], bool]) -> None:
        self._wakeup = wakeup
        self.is_over = is_over
        self.readers = 0
        self._condition = Condition()
        Thread(target=self._pass_on, name="news", daemon=True).start()

    def wait(self) -> None:
        """Until there may be something new."""
        with self._condition:
            self._condition.wait(_SLOW_LOOK_SECONDS)

    def _pass_on(self) -> None:
        while not self.is_over():
            self._wakeup.wait(_SLOW_LOOK_SECONDS)
            with self._condition:
                self._condition.notify_all()


class Feed:
    """`GET /v2/events?after=POSITION`: what was recorded behind a position, and then what is recorded as it is.

    Administrators see all projects, others what was asked for in their own.
    """

    def __init__(self, pool: ConnectionPool[Any], news: News, longest_seconds: float = LONGEST_SECONDS) -> None:
        self._pool = pool
        self._news = news
        self._longest_seconds = longest_seconds

    def on_get(self, req: Request, resp: Response) -> None:
        caller = caller_of(req)
        caller.require(RULE, caller.project_id)
        sees_all = caller.may(f"{RULE}-global", caller.project_id)
        resp.content_type = MEDIA
        resp.set_header("Cache-Control", "no-store")
        resp.stream = self._stream(_after(req), None if sees_all else caller.project_id)

    def _stream(self, after: int, project_id: str | None) -> Iterator[bytes]:
        """project_id: whose events alone, None for all"""
        self._news.readers += 1
        try:
            yield b": events after %d\n\n" % after
            yield from self._events(after, project_id, time.monotonic() + self._longest_seconds)
        finally:
            self._news.readers -= 1

    def _events(self, after: int, project_id: str | None, end: float) -> Iterator[bytes]:
        due = time.monotonic() + _SIGN_OF_LIFE_SECONDS
        while not self._news.is_over() and time.monotonic() < end:
            told = self._read(after)
            for each in told:
                if project_id is None or each.project_id == project_id:
                    yield bytes(each)
            after = told[-1].position if told else after
            if not told:
                self._news.wait()
            if time.monotonic() > due:  # a reader that is gone is found out by writing to it
                yield b": %d\n\n" % after
                due = time.monotonic() + _SIGN_OF_LIFE_SECONDS

    def _read(self, after: int) -> list[Told]:
        with self._pool.connection() as connection:
            row = connection.execute("SELECT id FROM log_identity", prepare=True).fetchone()
            assert row is not None, "migrations make the row"
            return [_told(row[0], *each) for each in connection.execute(_READ, (after, _PAGE), prepare=True)]


def _told(
    log_id: UUID,
    position: int,
    originator_id: UUID,
    version: int,
    topic: str,
    state: bytes,
    recorded_at: datetime,
    project_id: str,
    actor: UUID | None,
    request_id: str,
) -> Told:
    document = {
        "specversion": "1.0",
        "id": str(position),
        "source": f"urn:uuid:{log_id}",
        "type": topic,
        "subject": str(originator_id),
        "time": recorded_at,
        "sequence": str(version),
        "project": project_id,
        "actor": actor,
        "request": request_id,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(bytes(state)),
    }
    return Told(position, project_id, topic, msgspec.json.encode(document))


def _after(req: Request) -> int:
    """A reader that comes again says in a header what it had last, as browsers do it. Raises Invalid."""
    said = req.get_header("Last-Event-ID") or req.get_param("after") or "0"
    if not (said.isascii() and said.isdecimal()):
        raise Invalid(
            f"Invalid input for field/attribute after. Value: '{said}'. Value should be a position of the log"
        )
    return int(said)


def feed_application(pool: ConnectionPool[Any], news: News, middleware: Iterable[Any]) -> "falcon.App[Any, Any]":
    """Nothing but the feed, with the errors and the identities of the API."""
    from infra.http import application

    return application([*middleware], {}, [("", {PATH: Feed(pool, news)})])
