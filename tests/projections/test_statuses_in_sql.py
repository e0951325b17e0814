"""The rows say what the aggregate says, after every event of random histories; and a rebuild gives the same rows."""

from collections.abc import Iterator
from random import Random
from uuid import UUID

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from commands.ports import Origin
from infra.event_store import Append, EventStore
from projections.rows import rows_of, statements
from tests.domain.history import History

pytestmark = pytest.mark.postgres

TABLES = ("load_balancers", "listeners", "pools", "members", "health_monitors", "addresses", "confirmations")
STATUSES = " UNION ALL ".join(f"SELECT id, provisioning_status FROM shown_{table}" for table in TABLES[:5])


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database)
    yield store
    store.close()


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("seed", range(12))
def test_views_show_the_status_that_the_aggregate_has(
    store: EventStore, connection: psycopg.Connection, seed: int
) -> None:
    load_balancer = None

    for event in a_history(seed).load_balancer.pending_events:
        record(store, event)
        load_balancer = event.mutate(load_balancer)
        expected = {id: load_balancer.status_of(id) for id in load_balancer.progress.marks}
        assert shown(connection) == expected, f"after {event}"


def test_a_rebuild_from_the_first_event_gives_identical_rows(store: EventStore, connection: psycopg.Connection) -> None:
    for seed in range(4):
        for event in a_history(100 + seed).load_balancer.pending_events:
            record(store, event)
    before = {table: rows(connection, table) for table in TABLES}

    connection.execute("TRUNCATE " + ", ".join(TABLES))
    for command_id, event in the_log(store, connection):
        for statement in statements(rows_of(event), command_id):
            connection.execute(statement.sql.encode(), statement.parameters)

    assert {table: rows(connection, table) for table in TABLES} == before
    assert all(before.values()), "each table had something to lose"


def a_history(seed: int) -> History:
    history = History(Random(seed))
    history.run(steps=80)
    return history


def record(store: EventStore, event: object) -> None:
    """One append for each event, as if each had been a command of its own."""
    changes = rows_of(event)
    store.recorder.insert_events(
        [store.mapper.to_stored_event(event)],  # type: ignore[arg-type]
        append=Append(origin=Origin(), changes=changes, completing=None),
    )


def shown(connection: psycopg.Connection) -> dict[UUID, str]:
    return {id: status for id, status in connection.execute(STATUSES) if status is not None}


def rows(connection: psycopg.Connection, table: str) -> list[str]:
    return sorted(row[0] for row in connection.execute(f"SELECT t::text FROM {table} t".encode()))


def the_log(store: EventStore, connection: psycopg.Connection) -> Iterator[tuple[UUID, object]]:
    recorded = connection.execute(
        """
        SELECT c.command_id, e.originator_id, e.originator_version, e.topic, e.state
        FROM tacitus_events e JOIN LATERAL (
            SELECT command_id FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1) c ON true
        ORDER BY e.notification_id
        """
    ).fetchall()
    for command_id, originator_id, version, topic, state in recorded:
        yield command_id, store.mapper.to_domain_event(StoredEvent(originator_id, version, topic, bytes(state)))
