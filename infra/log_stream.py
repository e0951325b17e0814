"""The log itself as a stream of events, and the ledger that keeps positions together with what was decided."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic
from uuid import UUID

import psycopg
from eventsourcing.persistence import Mapper, StoredEvent
from psycopg_pool import ConnectionPool

from domain.fields import Position
from infra.streams import Stored, Streams, decoded
from infra.wakeup import Wakeup
from processes.ports import Recorded, Step, T

_COLUMNS = "SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events"
_READ = f"{_COLUMNS} WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id LIMIT %s"
_READ_AT = f"{_COLUMNS} WHERE notification_id = ANY(%s) ORDER BY notification_id"
_END = Position(2**63 - 1)
_PAGE = 2_000
_BEGIN_LOCK = 7_201_605


class LogStream:
    """processes.ports.EventStream over the notification log: no gaps, because appends are ordered by a lock."""

    def __init__(self, pool: ConnectionPool, mapper: Mapper[UUID], wakeup: Wakeup | None = None) -> None:
        self._pool = pool
        self.mapper = mapper
        self._wakeup = wakeup
        self._streams = Streams()

    def partitions(self) -> Sequence[int]:
        return (0,)

    def read_after(self, partition: int, position: Position, limit: int) -> Sequence[Recorded]:
        return decoded(self.stored_after(position, limit), self.mapper)

    def stored_after(self, position: Position, limit: int) -> Sequence[Stored]:
        """As they are stored, of whatever format."""
        return self._stored(_READ, position, _END, limit)

    def read_at(self, positions: Sequence[Position]) -> Sequence[Recorded]:
        return decoded(self._stored(_READ_AT, list(positions)), self.mapper)

    def search(
        self, after: Position, until: Position, limit: int, wanted: Callable[[UUID], bool]
    ) -> tuple[Sequence[Recorded], Position]:
        """Events of wanted streams behind `after` up to `until`, and the position up to which these are all.

        It looks at one page of the log, so that nobody waits for long.
        """
        page = self._stored(_READ, after, until, _PAGE)
        found = [each for each in page if wanted(each.stream)]
        looked = page[-1].position if len(page) == _PAGE else until
        read = decoded(found[:limit], self.mapper)
        return read, (looked if len(read) == len(found) else read[-1].position)

    def wait(self, seconds: float) -> None:
        assert self._wakeup is not None, "who waits for the log was given something that wakes it"
        self._wakeup.wait(seconds)

    def close(self) -> None:
        if self._wakeup is not None:
            self._wakeup.close()

    def _stored(self, sql: str, *parameters: object) -> Sequence[Stored]:
        with self._pool.connection() as connection:
            rows = connection.execute(sql, parameters, prepare=True).fetchall()
            streams = self._streams.of(connection, [row[1] for row in rows])
        return [
            Stored(Position(row[0]), stream, StoredEvent(row[1], row[2], row[3], bytes(row[4])))
            for row, stream in zip(rows, streams, strict=True)
        ]


# Nobody waits for the disk: a server that fails loses position and reactions together, and both follow from the log.
_POSITION = """
SELECT position, set_config('synchronous_commit', 'off', true) FROM positions
WHERE consumer = %s AND partition = %s AND partitions = %s FOR UPDATE
"""
_ANEW = """
WITH before AS (DELETE FROM positions WHERE consumer = %(consumer)s RETURNING position)
SELECT coalesce(min(position), 0) FROM before
"""
_BEGIN = """
INSERT INTO positions (consumer, partition, partitions, position)
SELECT %s, partition, %s, %s FROM generate_series(0, %s) AS partition
"""


class PostgresLedger(Generic[T]):
    """processes.ports.Ledger: position and reactions in one transaction.

    partitions  positions count for so many: with another number each begins where the consumer was in the one that was
                furthest behind. Then some events are handled again, which does no harm
    store       writes reactions within the transaction of the connection
    """

    def __init__(
        self, pool: ConnectionPool, partitions: int, store: Callable[[psycopg.Connection[Any], Sequence[T]], None]
    ) -> None:
        self._pool = pool
        self._partitions = partitions
        self._store = store

    def advance(self, consumer: str, partition: int, decide: Callable[[Position], Step[T]]) -> bool:
        with self._pool.connection() as connection, connection.transaction():
            position = self._position(connection, consumer, partition)
            step = decide(position)
            if step.reached == position and not step.taken_up:
                return False
            self._store(connection, step.reactions)
            _keep_parked(connection, consumer, step)
            connection.execute(
                "UPDATE positions SET position = %s WHERE consumer = %s AND partition = %s",
                (step.reached, consumer, partition),
                prepare=True,
            )
            return True

    def _position(self, connection: psycopg.Connection[Any], consumer: str, partition: int) -> Position:
        """Locked until the transaction ends."""
        place = (consumer, partition, self._partitions)
        row = connection.execute(_POSITION, place, prepare=True).fetchone()
        if row is None:
            self._begin(connection, consumer)
            row = connection.execute(_POSITION, place, prepare=True).fetchone()
        assert row is not None, f"partition {partition} is one of {place[2]}"
        return Position(row[0])

    def _begin(self, connection: psycopg.Connection[Any], consumer: str) -> None:
        """Unless somebody else has done so meanwhile."""
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_BEGIN_LOCK,))
        sql = "SELECT count(*) FROM positions WHERE consumer = %s AND partitions = %s"
        (begun,) = connection.execute(sql, (consumer, self._partitions)).fetchone() or (0,)
        if begun != self._partitions:
            (position,) = connection.execute(_ANEW, {"consumer": consumer}).fetchone() or (0,)
            connection.execute(_BEGIN, (consumer, self._partitions, position, self._partitions - 1))

    def parked(self, consumer: str) -> AbstractSet[UUID]:
        sql = "SELECT DISTINCT stream FROM parked_events WHERE consumer = %s"
        with self._pool.connection() as connection:
            return {stream for (stream,) in connection.execute(sql, (consumer,), prepare=True)}

    def put_aside(self, consumer: str, stream: UUID, limit: int) -> Sequence[Position]:
        sql = "SELECT position FROM parked_events WHERE consumer = %s AND stream = %s ORDER BY position LIMIT %s"
        with self._pool.connection() as connection:
            return [Position(at) for (at,) in connection.execute(sql, (consumer, stream, limit), prepare=True)]


def _keep_parked(connection: psycopg.Connection[Any], consumer: str, step: Step[T]) -> None:
    if step.put_aside:
        sql = "INSERT INTO parked_events SELECT %s, * FROM unnest(%s::uuid[], %s::bigint[]) ON CONFLICT DO NOTHING"
        streams = [item.stream for item in step.put_aside]
        connection.execute(sql, (consumer, streams, [item.position for item in step.put_aside]))
    if step.taken_up:
        sql = "DELETE FROM parked_events WHERE consumer = %s AND stream = %s AND position = ANY(%s)"
        stream, positions = step.taken_up[0].stream, [item.position for item in step.taken_up]
        connection.execute(sql, (consumer, stream, positions))
