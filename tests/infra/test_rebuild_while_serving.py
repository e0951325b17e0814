"""Rebuilds under readers and writers, and under whoever kills them: nobody notices, and nothing is left over."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event
from typing import Any

import psycopg
import pytest

from commands.ports import Origin
from domain.progress import Kind
from infra.event_store import EventStore
from infra.rebuild import CalledOff, Progress, Rebuild, RebuildFailed, Step
from infra.rebuild_tables import TablesBeside
from projections.known import PROJECTIONS
from tests.given import a_listener, a_load_balancer, a_vip, confirm
from tests.infra.rebuilding import Past, catalogue, dump

pytestmark = pytest.mark.postgres

ROWS = PROJECTIONS["resource-rows"]
READS = (
    *(f"SELECT id, provisioning_status, operating_status, created_at, updated_at FROM shown_{kind}" for kind in Kind),
    "SELECT id, status, role FROM shown_amphorae",
    "SELECT project_id, document, uses FROM shown_quotas",
    "SELECT s.load_balancer_id, b.project_id FROM members s JOIN load_balancers b ON b.id = s.load_balancer_id",
    "SELECT f.document, p.document FROM flavors f JOIN flavor_profiles p ON p.id = f.flavor_profile_id",
)


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database)
    Past(store, Random(7)).record()
    yield store
    store.close()


# Readers and writers


def read(database: str, stop: Event) -> int:
    """On one session, whose plans were made before any switch. Returns how many reads there were, each with rows."""
    reads = 0
    with psycopg.connect(database, autocommit=True) as connection:
        while not stop.is_set():
            for sql in READS:
                found = connection.execute(sql.encode(), prepare=True).fetchall()
                assert found, f"nothing is shown any more: {sql}"
                reads += 1
    return reads


def write(store: EventStore, database: str, stop: Event) -> int:
    """Each change is seen at once by whoever made it. Returns how many there were."""
    load_balancer = a_load_balancer(vip=a_vip(), project_id="annals")
    store.save(load_balancer, origin=Origin())
    changes = 0
    with psycopg.connect(database, autocommit=True) as connection:
        while not stop.is_set():
            listener = a_listener(protocol_port=1 + changes)
            load_balancer.add_listener(listener)
            confirm(load_balancer)
            store.save(load_balancer, origin=Origin())
            shown = "SELECT provisioning_status FROM shown_listeners WHERE id = %s"
            assert connection.execute(shown, (listener.id,), prepare=True).fetchone() == ("ACTIVE",)
            changes += 1
            stop.wait(0.01)
    return changes


def test_no_read_fails_and_no_change_is_lost_while_rows_are_rebuilt(store: EventStore, database: str) -> None:
    stop = Event()
    with ThreadPoolExecutor(4) as others:
        readers = [others.submit(read, database, stop) for _ in range(2)]
        writers = [others.submit(write, store, database, stop) for _ in range(2)]
        try:
            outcomes = [Rebuild(database, ROWS).replace() for _ in range(2)]
        finally:
            stop.set()
        reads, changes = (sum(each.result(10) for each in group) for group in (readers, writers))

    assert all(outcome.switched and not outcome.differences for outcome in outcomes)
    assert reads > 100
    assert changes > 20
    assert not Rebuild(database, ROWS).compare().differences


# Whoever rebuilds is killed, called off, or not alone


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("infra.rebuild.EVENTS_AT_ONCE", 40)
    return 40


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dies_at(step: Step) -> Callable[[str], None]:
    def rebuild(database: str) -> None:
        reached = 0

        def tell(progress: Progress) -> None:
            nonlocal reached
            reached += progress.step == step
            if reached == (3 if step == Step.BUILDING else 1):
                die()

        Rebuild(database, ROWS, tell).replace()

    return rebuild


def dies_after(name: str) -> Callable[[str], None]:
    def rebuild(database: str) -> None:
        done: Callable[..., Any] = getattr(TablesBeside, name)
        setattr(TablesBeside, name, lambda tables, connection: die(done(tables, connection)))
        Rebuild(database, ROWS).replace()

    return rebuild


DEATHS = {
    **{f"while {step}": dies_at(step) for step in Step},
    **{f"after {name}": dies_after(name) for name in ("create", "complete", "keep_writers_out", "switch")},
}


@pytest.mark.parametrize(
    ("death", "resume"), [*((death, True) for death in DEATHS), ("while building", False), ("after switch", False)]
)
def test_whoever_is_killed_leaves_the_old_rows_serving_and_another_goes_on(
    store: EventStore, database: str, small_batches: int, death: str, resume: bool
) -> None:
    before, schema = dump(database, ROWS.tables), catalogue(database)
    process = multiprocessing.get_context("fork").Process(target=DEATHS[death], args=(database,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert dump(database, ROWS.tables) == before
    write_something(store)

    outcome = Rebuild(database, ROWS).replace(resume=resume)

    assert outcome.switched
    assert (outcome.events < events_in(database)) == (resume and death != "after create")
    assert catalogue(database) == schema


def dies_after_the_switch(database: str) -> None:
    dropped = TablesBeside.drop_retired

    def drop(tables: TablesBeside, connection: "psycopg.Connection[Any]") -> None:
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (tables.retired,)).rowcount:
            die()
        dropped(tables, connection)

    TablesBeside.drop_retired = drop  # type: ignore[method-assign]
    Rebuild(database, ROWS).replace()


def test_what_is_left_of_a_switch_is_dropped_by_the_next_rebuild(store: EventStore, database: str) -> None:
    before, schema = dump(database, ROWS.tables), catalogue(database)
    process = multiprocessing.get_context("fork").Process(target=dies_after_the_switch, args=(database,))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    assert dump(database, ROWS.tables) == before
    assert ("retired_resource_rows",) in catalogue(database)

    assert Rebuild(database, ROWS).replace(resume=True).switched

    assert catalogue(database) == schema


def write_something(store: EventStore) -> None:
    store.save(a_load_balancer(vip=a_vip()), origin=Origin())


def events_in(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("SELECT count(*) FROM tacitus_events").fetchone()
    assert row is not None
    return int(row[0])


def rebuilds_in(database: str) -> int:
    with psycopg.connect(database) as connection:
        return connection.execute("SELECT FROM rebuilds").rowcount


def test_one_that_is_called_off_stops_and_leaves_nothing(store: EventStore, database: str, small_batches: int) -> None:
    before, schema = dump(database, ROWS.tables), catalogue(database)
    with ThreadPoolExecutor(1) as another:
        cancelled = []

        def tell(progress: Progress) -> None:
            if not cancelled:
                cancelled.append(another.submit(Rebuild(database, ROWS).cancel))
                while rebuilds_in(database):
                    pass

        with pytest.raises(CalledOff):
            Rebuild(database, ROWS, tell).replace()
        assert cancelled[0].result(10)

    assert dump(database, ROWS.tables) == before
    assert catalogue(database) == schema
    assert not Rebuild(database, ROWS).cancel()


def test_only_one_rebuilds_at_a_time(store: EventStore, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.rebuild._SESSION", "-c timezone=UTC -c datestyle=ISO -c lock_timeout=100ms")
    refused = []

    def tell(progress: Progress) -> None:
        if not refused:
            with pytest.raises(RebuildFailed, match="another process is rebuilding") as error:
                Rebuild(database, ROWS).replace()
            refused.append(error)

    assert Rebuild(database, ROWS, tell).replace().switched
    assert refused
