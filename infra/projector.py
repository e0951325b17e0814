"""The projector: rows that follow the log in their own time. Several take turns, one batch at a time.

It reads the log itself, never Kafka: one position for each projection, whose row is locked while rows are written, is
what several projectors take turns by, and what a rebuild locks to switch (docs/adr/0018).
"""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg_pool import ConnectionPool

from infra.consumer import RunningConsumer
from infra.event_store import CHANNEL, EventStore
from infra.log_stream import LogStream, PostgresLedger
from infra.readings import DatabaseReadings, Reading
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.parking import Parking
from processes.ports import EventStream, Recorded
from processes.runner import Runner
from projections.known import PROJECTIONS, Projection
from projections.rows import Change, work_of

if TYPE_CHECKING:
    from infra.telemetry import Telemetry

FOLLOWING: Sequence[Projection] = tuple(each for each in PROJECTIONS.values() if each.consumer)
"""What the projector writes."""

_PARTITIONS = 1
_REACHED = """
SELECT coalesce((SELECT position FROM positions WHERE consumer = %s), 0), coalesce(max(notification_id), 0)
FROM tacitus_events
"""


def projecting(
    projection: Projection, stream: EventStream, pool: ConnectionPool[Any], store: EventStore
) -> Runner[Change]:
    """Rows and position in one transaction. An event that cannot be handled is parked with its stream's followers."""
    ledger = PostgresLedger(pool, _PARTITIONS, write_rows)
    return Runner(
        projection.consumer, partial(_changes, projection), stream, ledger, Parking(projection.consumer, store)
    )


def _changes(projection: Projection, item: Recorded) -> Sequence[Change]:
    return projection.changes_of(item.event)


def write_rows(connection: psycopg.Connection[Any], changes: Sequence[Change]) -> None:
    """Within the caller's transaction."""
    for statement in work_of(changes, None).statements:
        connection.execute(statement.sql.encode(), statement.parameters, prepare=True)


def run_projector(settings: Settings, stop: Event, shown: "Telemetry | None" = None) -> None:
    """Every projection that follows the log in its own time, until `stop` is set.

    Raises processes.ports.ReleaseTooOld.
    """
    from infra.wiring import connection_pool

    with ExitStack() as stack:
        pool = stack.enter_context(connection_pool(settings, 2 * len(FOLLOWING) + 1))
        store = stack.enter_context(closing(EventStore(settings.database_url, connections=1)))
        if shown is not None:
            database = DatabaseReadings(pool)
            shown.readings.show("log", database.log)
            shown.readings.show("projector", partial(readings, pool))
            shown.not_ready = database.not_ready
        streams = [LogStream(pool, store.mapper, Wakeup(settings.database_url, CHANNEL)) for _ in FOLLOWING]
        for stream in streams:
            stack.enter_context(closing(stream))
        consumers = [
            RunningConsumer(projecting(projection, stream, pool, store), stop)
            for projection, stream in zip(FOLLOWING, streams, strict=True)
        ]
        stop.wait()
        for consumer in consumers:
            consumer.finish()


def readings(pool: ConnectionPool[Any]) -> Iterable[Reading]:
    """For monitoring: how far the rows are, whichever projector wrote them."""
    for projection in FOLLOWING:
        with pool.connection() as connection:
            position, lag = reached(connection, projection)
        labels = {"projection": projection.name}
        yield Reading("tacitus_projector_position", "Position of the last event that rows have.", position, labels)
        yield Reading("tacitus_projector_lag", "Positions between rows and the end of the log.", lag, labels)


def reached(connection: psycopg.Connection[Any], projection: Projection) -> tuple[int, int]:
    """Position of the last event that the rows of a projection have, and how many positions that is behind the log."""
    position, end = connection.execute(_REACHED, (projection.consumer,)).fetchone() or (0, 0)
    return position, max(0, end - position)
