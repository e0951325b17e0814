"""What consumers have put aside, for whoever has to decide about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from eventsourcing.domain import CanMutateProtocol
from eventsourcing.persistence import StoredEvent
from psycopg import Connection
from psycopg_pool import ConnectionPool

from commands.ports import Aggregates, Origin
from domain.errors import NotFound, NotParked
from domain.fields import Position
from domain.parked_stream import ParkedStream
from infra.transcoding import EventMapper

_LIST = """
SELECT p.consumer, p.stream, p.position, p.waiting, coalesce(failed.topic, ''), coalesce(first.topic, ''),
       b.document ->> 'name'
FROM (SELECT consumer, stream, min(position) AS position, count(*) AS waiting FROM parked_events
      WHERE %(stream)s::uuid IS NULL OR stream = %(stream)s GROUP BY consumer, stream) p
LEFT JOIN tacitus_events failed ON failed.notification_id = p.position
LEFT JOIN tacitus_events first ON first.originator_id = p.stream AND first.originator_version = 1
LEFT JOIN load_balancers b ON b.id = p.stream
ORDER BY p.position
"""
_STORIES = """
SELECT e.originator_id, e.originator_version, e.topic, e.state, (
    SELECT recorded_at FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1)
FROM tacitus_events e WHERE e.originator_id = ANY(%s) ORDER BY e.originator_id, e.originator_version
"""
_WAITING = """
SELECT e.notification_id, e.topic, e.originator_id, (
    SELECT recorded_at FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1)
FROM parked_events p JOIN tacitus_events e ON e.notification_id = p.position
WHERE p.consumer = %s AND p.stream = %s ORDER BY p.position LIMIT %s
"""


@dataclass(frozen=True, kw_only=True)
class Parked:
    """One stream that one consumer does not go on with.

    position      of the event that failed
    topic         its name
    waiting       events put aside, that one included
    reason        what the consumer said; empty in the moment before that is recorded
    since         when it was put aside, likewise
    is_asked_for  whether somebody has decided already, and the consumer has not come to it
    begun_with    name of the first event of the stream
    name          of the load balancer, None where it is gone, or the stream is of something else
    """

    consumer: str
    stream_id: UUID
    position: Position
    topic: str
    waiting: int
    reason: str
    since: datetime | None
    is_asked_for: bool
    begun_with: str
    name: str | None


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One event that was put aside; `topic` is its name."""

    position: Position
    topic: str
    aggregate_id: UUID
    recorded_at: datetime


def all_parked(connection: Connection[Any], stream_id: UUID | None = None) -> Iterator[Parked]:
    """Those that wait longest first; of one stream where that is named."""
    rows = connection.execute(_LIST, {"stream": stream_id}).fetchall()
    ids = [ParkedStream.create_id(consumer, stream) for consumer, stream, *_ in rows]
    stories = _stories(connection, ids)
    for id, (consumer, stream, position, waiting, topic, begun_with, name) in zip(ids, rows, strict=True):
        story = stories.get(id, _Story())
        yield Parked(
            consumer=consumer,
            stream_id=stream,
            position=Position(position),
            topic=topic,
            waiting=waiting,
            reason=story.parked.reason if story.parked else "",
            since=story.since,
            is_asked_for=story.parked is not None and story.parked.is_asked_for,
            begun_with=begun_with,
            name=name,
        )


@dataclass
class _Story:
    """What was recorded about one parked stream. since: when it was parked for the last time while it was not."""

    parked: ParkedStream | None = None
    since: datetime | None = None

    def go_on(self, event: CanMutateProtocol[Any], recorded_at: datetime) -> None:
        if self.parked is None or self.parked.position is None:
            self.since = recorded_at
        self.parked = event.mutate(self.parked)


def _stories(connection: Connection[Any], ids: Sequence[UUID]) -> Mapping[UUID, _Story]:
    mapper = EventMapper()
    found: dict[UUID, _Story] = {}
    for id, version, topic, state, recorded_at in connection.execute(_STORIES, (ids,)):
        event = mapper.to_domain_event(StoredEvent(id, version, topic, bytes(state)))
        found.setdefault(id, _Story()).go_on(cast("CanMutateProtocol[Any]", event), recorded_at)
    return found


class ParkedStreams:
    """pool: connections in autocommit. actor: who decides."""

    def __init__(self, pool: ConnectionPool, aggregates: Aggregates, actor: UUID | None = None) -> None:
        self._pool = pool
        self._aggregates = aggregates
        self._actor = actor

    def all(self) -> Iterator[Parked]:
        """Those that wait longest first."""
        with self._pool.connection() as connection:
            yield from all_parked(connection)

    def waiting(self, consumer: str, stream_id: UUID, limit: int) -> Sequence[Waiting]:
        """The first events that were put aside."""
        with self._pool.connection() as connection:
            rows = connection.execute(_WAITING, (consumer, stream_id, limit)).fetchall()
        return [
            Waiting(position=Position(position), topic=topic, aggregate_id=aggregate_id, recorded_at=recorded_at)
            for position, topic, aggregate_id, recorded_at in rows
        ]

    def retry(self, consumer: str, stream_id: UUID, why: str) -> None:
        """Raises NotParked, and what commands.ports.Aggregates.save names."""
        parked = self._of(consumer, stream_id)
        parked.request_retry(why)
        self._aggregates.save(parked, origin=Origin(actor=self._actor))

    def skip(self, consumer: str, stream_id: UUID, why: str) -> None:
        """Leave out the event that failed, and go on with the others. Raises as `retry` does."""
        parked = self._of(consumer, stream_id)
        parked.request_skip(why)
        self._aggregates.save(parked, origin=Origin(actor=self._actor))

    def _of(self, consumer: str, stream_id: UUID) -> ParkedStream:
        try:
            return self._aggregates.load(ParkedStream, ParkedStream.create_id(consumer, stream_id))
        except NotFound:
            raise NotParked(stream_id) from None
