"""What consumers have put aside, for whoever has to decide about it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg_pool import ConnectionPool

from commands.ports import Aggregates, Origin
from domain.errors import NotFound, NotParked
from domain.fields import Position
from domain.parked_stream import ParkedStream

_LIST = """
SELECT consumer, stream, min(position), count(*) FROM parked_events GROUP BY consumer, stream ORDER BY min(position)
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

    position  of the event that failed
    waiting   events put aside, that one included
    reason    what the consumer said
    """

    consumer: str
    stream_id: UUID
    position: Position
    waiting: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """One event that was put aside; `topic` is its name."""

    position: Position
    topic: str
    aggregate_id: UUID
    recorded_at: datetime


class ParkedStreams:
    """pool: connections in autocommit. actor: who decides."""

    def __init__(self, pool: ConnectionPool, aggregates: Aggregates, actor: UUID | None = None) -> None:
        self._pool = pool
        self._aggregates = aggregates
        self._actor = actor

    def all(self) -> Iterator[Parked]:
        """Those that wait longest first."""
        with self._pool.connection() as connection:
            rows = connection.execute(_LIST).fetchall()
        for consumer, stream_id, position, waiting in rows:
            reason = self._of(consumer, stream_id).reason
            yield Parked(consumer=consumer, stream_id=stream_id, position=position, waiting=waiting, reason=reason)

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
