"""The rows say what the aggregate says, after every event of random histories; and a rebuild gives the same rows.

The histories end with the deletion of everything, and somebody sets statuses by hand before that.
"""

from collections.abc import Iterator
from random import Random
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from commands.ports import Origin
from domain.fields import ProvisioningStatus
from domain.load_balancer import LoadBalancer
from domain.progress import Kind
from infra.event_store import Append, EventStore
from projections.rows import rebuilding, rows_of
from tests.domain.history import History
from tests.given import a_load_balancer

pytestmark = pytest.mark.postgres

TABLES = (*Kind, "addresses", "confirmations", "quota_uses", "reported_statuses")
SHOWN = " UNION ALL ".join(f"SELECT id, provisioning_status, edited FROM shown_{table}" for table in Kind)


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
def test_views_show_the_status_and_the_tag_that_the_aggregate_has(
    store: EventStore, connection: psycopg.Connection, seed: int
) -> None:
    load_balancer = None

    for event in a_history(seed).load_balancer.pending_events:
        record(store, event)
        load_balancer = event.mutate(load_balancer)
        expected = {id: (load_balancer.status_of(id), load_balancer.edited(id)) for id in load_balancer.progress.marks}
        assert shown(connection) == ({} if load_balancer.deleted else expected), f"after {event}"


def test_a_rebuild_from_the_first_event_gives_identical_rows(store: EventStore, connection: psycopg.Connection) -> None:
    for seed in range(100, 106):
        for event in a_history(seed, is_deleted=seed % 3 == 0).load_balancer.pending_events:
            record(store, event)
    before = {table: rows(connection, table) for table in TABLES}

    connection.execute("TRUNCATE " + ", ".join(TABLES))
    for command_id, event in the_log(store, connection):
        for statement in rebuilding(rows_of(event), command_id):
            connection.execute(statement.sql.encode(), statement.parameters)

    assert {table: rows(connection, table) for table in TABLES} == before
    assert all(before.values()), "each table had something to lose"


def a_history(seed: int, *, is_deleted: bool = True) -> History:
    """Every other one has no amphorae."""
    amphora_ids = () if seed % 2 else (uuid4(), uuid4())
    history = History(Random(seed), load_balancer=a_load_balancer(amphora_ids=amphora_ids))
    history.run(steps=70)
    set_by_hand(history)
    history.run_unchecked(steps=10)
    if is_deleted:
        delete(history.load_balancer)
    return history


def set_by_hand(history: History) -> None:
    """Some statuses, and the end of a few objects; others are released again."""
    load_balancer, random = history.load_balancer, history.random
    told = {id: random.choice(list(ProvisioningStatus)) for id in load_balancer.progress.marks if random.random() < 0.4}
    tree = load_balancer.tree
    below = [*tree.members, *tree.health_monitors, *tree.l7_policies, *tree.l7_rules]
    objects = [*tree.listeners, *tree.pools, *below]
    load_balancer.set_statuses(told, deleted=[id for id in objects if random.random() < 0.1])
    if random.random() < 0.5:
        load_balancer.release_statuses()
    history.remember()


def delete(load_balancer: LoadBalancer) -> None:
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_overdue("release the VIP", "no answer")
    for amphora_id in load_balancer.amphora_ids:
        load_balancer.amphora_is_gone(amphora_id)
    load_balancer.deletion_is_complete()


def record(store: EventStore, event: object) -> None:
    """One append for each event, as if each had been a command of its own."""
    changes = rows_of(event)
    store.recorder.insert_events(
        [store.mapper.to_stored_event(event)],  # type: ignore[arg-type]
        append=Append(origin=Origin(), changes=changes, completing=None),
    )


def shown(connection: psycopg.Connection) -> dict[UUID, tuple[str, int]]:
    return {id: (status, edited) for id, status, edited in connection.execute(SHOWN) if status is not None}


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
