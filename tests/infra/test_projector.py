"""Rows that follow the log in their own time: nothing is lost or doubled, and they are made anew meanwhile."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain import load_balancer_events as events
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra import projector
from infra.cli import main
from infra.event_store import EventStore
from infra.log_stream import LogStream
from infra.parked_streams import ParkedStreams
from infra.projector import FOLLOWING, projecting, reached, readings, run_projector
from infra.rebuild import Progress, Rebuild, RebuildFailed, Step
from infra.settings import Settings
from infra.transcoding import NewerFormat
from infra.wiring import connection_pool
from processes.runner import Runner
from projections.known import PROJECTIONS, Projection
from projections.rows import Change
from tests.given import a_listener, a_load_balancer, a_vip, confirm
from tests.infra.rebuilding import Past, catalogue, dump

pytestmark = pytest.mark.postgres

CHANGES = PROJECTIONS["changes"]
_EXPECTED = """
SELECT originator_id, originator_version, topic FROM tacitus_events e
WHERE topic <> 'ConfigurationApplied' AND EXISTS (
    SELECT FROM tacitus_events f WHERE f.originator_id = e.originator_id AND f.topic = 'LoadBalancerCreated')
ORDER BY 1, 2
"""
_CHANGES = "SELECT originator_id, originator_version, event FROM changes ORDER BY 1, 2"


class World:
    """A log, and a projector that goes on when it is told to."""

    def __init__(self, database: str, pool: "ConnectionPool[Any]", store: EventStore) -> None:
        self.database = database
        self.settings = Settings(database_url=database, state_directory=Path("/nowhere"))
        self.pool = pool
        self.store = store
        self.projector = self.another()

    def another(self, projection: Projection = CHANGES) -> Runner[Change]:
        return projecting(projection, LogStream(self.pool, self.store.mapper), self.pool, self.store)

    def go_on(self, runner: Runner[Change] | None = None) -> None:
        while (runner or self.projector).run_once():
            pass

    def a_load_balancer(self, changes: int = 0, **said: Any) -> LoadBalancer:
        """Recorded as one commit."""
        load_balancer = a_load_balancer(vip=a_vip(is_exclusive=False), **said)
        for number in range(changes):
            load_balancer.change(LoadBalancerSettings(name=str(number)))
        self.save(load_balancer)
        return load_balancer

    def save(self, load_balancer: LoadBalancer) -> None:
        self.store.save(load_balancer, origin=Origin())

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        with self.pool.connection() as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def check(self) -> None:
        """Each change of the log is told once, and none besides."""
        assert self.sql(_CHANGES) == self.sql(_EXPECTED)

    @property
    def position(self) -> int:
        with self.pool.connection() as connection:
            return reached(connection, CHANGES)[0]

    @contextmanager
    def running(self, projectors: int = 1) -> Iterator[None]:
        """Whole ones, beside whatever the test does."""
        stop = Event()
        with ThreadPoolExecutor(projectors) as others:
            ends = [others.submit(run_projector, self.settings, stop) for _ in range(projectors)]
            try:
                yield
            finally:
                stop.set()
            for end in ends:
                end.result(30)

    def wait_for_the_projector(self) -> None:
        """Until it has all that is there now."""
        ((end,),) = self.sql("SELECT max(notification_id) FROM tacitus_events")
        for _ in range(600):
            if self.position >= end:
                return
            Event().wait(0.05)
        raise AssertionError(f"it is at {self.position}, and the log ends at {end}")


@pytest.fixture
def world(database: str) -> Iterator[World]:
    store = EventStore(database, connections=4)
    with connection_pool(Settings(database_url=database, state_directory=Path("/nowhere")), 6) as pool:
        yield World(database, pool, store)
    store.close()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processes.runner._BATCH", 3)


# Rows follow


def test_rows_follow_what_is_appended(world: World) -> None:
    load_balancer = world.a_load_balancer(project_id="annals", settings=LoadBalancerSettings(name="first"))
    world.go_on()
    load_balancer.change(LoadBalancerSettings(name="second"))
    load_balancer.add_listener(a_listener())
    world.save(load_balancer)
    world.go_on()

    world.check()
    assert world.sql("SELECT * FROM changed_load_balancers") == [(load_balancer.id, "annals", "second", None)]
    times = [at for (at,) in world.sql("SELECT at FROM changes ORDER BY originator_version")]
    assert times[0] == load_balancer.created_on
    assert times[-1] == load_balancer.modified_on


def test_rows_tell_also_of_what_is_gone(world: World) -> None:
    load_balancer = world.a_load_balancer(amphora_ids=())
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()
    world.save(load_balancer)
    world.go_on()

    world.check()
    assert world.sql("SELECT deleted_at FROM changed_load_balancers") == [(load_balancer.modified_on,)]


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_a_random_past(world: World, seed: int) -> None:
    Past(world.store, Random(seed)).record()
    world.go_on()

    world.check()


def test_services_may_write_them(world: World) -> None:
    world.a_load_balancer()
    with world.pool.connection() as connection:
        connection.execute("SET ROLE tacitus_service")
        projector.write_rows(
            connection, [change for event in a_load_balancer().pending_events for change in CHANGES.changes_of(event)]
        )
        connection.execute("RESET ROLE")


def test_two_at_once_take_turns(world: World, small_batches: None) -> None:
    load_balancers = [world.a_load_balancer() for _ in range(4)]

    with world.running(projectors=2):
        for number in range(30):
            load_balancer = load_balancers[number % 4]
            load_balancer.add_listener(a_listener(protocol_port=number + 1))
            confirm(load_balancer)
            world.save(load_balancer)
        world.wait_for_the_projector()

    world.check()


def test_what_it_wrote_goes_with_its_position_when_it_is_killed(
    world: World, small_batches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.a_load_balancer(changes=9)

    def write_and_die(connection: "psycopg.Connection[Any]", changes: Sequence[Change]) -> None:
        write_rows(connection, changes)
        if reached(connection, CHANGES)[0] == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    write_rows = projector.write_rows
    monkeypatch.setattr(projector, "write_rows", write_and_die)
    process = multiprocessing.get_context("fork").Process(target=run_projector, args=(world.settings, Event()))
    process.start()
    process.join(30)
    monkeypatch.undo()

    assert process.exitcode == -signal.SIGKILL
    assert world.position == len(world.sql(_CHANGES)) == 6
    world.go_on()
    world.check()


def test_what_is_written_twice_is_there_once(world: World) -> None:
    """After a restore of the table of positions alone, say."""
    load_balancer = world.a_load_balancer(changes=3)
    world.go_on()
    rows = dump(world.database, CHANGES.tables)
    world.sql("UPDATE positions SET position = 0")

    world.go_on()

    assert dump(world.database, CHANGES.tables) == rows
    assert world.sql("SELECT name FROM changed_load_balancers WHERE id = %s", load_balancer.id) == [("2",)]


# What cannot be handled


def fussy(position_in_stream: int) -> Projection:
    """Cannot stand one event of each load balancer."""

    def changes_of(event: object) -> Sequence[Change]:
        if isinstance(event, events.Event) and event.originator_version == position_in_stream:
            raise ValueError("cannot stand this")
        return CHANGES.changes_of(event)

    return replace(CHANGES, changes_of=changes_of)


def told(world: World, load_balancer: LoadBalancer) -> list[int]:
    sql = "SELECT originator_version FROM changes WHERE originator_id = %s ORDER BY 1"
    return [version for (version,) in world.sql(sql, load_balancer.id)]


def test_stream_that_cannot_be_handled_waits_and_others_go_on(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    well = world.a_load_balancer()
    world.go_on(world.another(fussy(2)))

    assert (told(world, ill), told(world, well)) == ([1], [1])
    parked = ParkedStreams(world.pool, world.store)
    assert [(each.consumer, each.stream_id, each.waiting) for each in parked.all()] == [("changes", ill.id, 3)]

    parked.retry("changes", ill.id, "a newer release knows it")
    world.go_on()

    assert list(parked.all()) == []
    world.check()


def test_operator_has_an_event_left_out(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ill = world.a_load_balancer(changes=2)
    world.go_on(world.another(fussy(2)))
    file = tmp_path / "tacitus.conf"
    file.write_text(f"[DEFAULT]\nstate_directory = {tmp_path}\n[database]\nconnection = {world.database}\n")
    said = [str(ill.id), "--consumer", "changes", "--why", "it is broken", "--config-file", str(file)]

    main(["parked", "skip", *said])
    world.go_on(world.another(fussy(2)))

    assert told(world, ill) == [1, 3]


def test_event_of_a_newer_release_ends_it(world: World) -> None:
    load_balancer = world.a_load_balancer(changes=1)
    world.sql("UPDATE tacitus_events SET topic = 'LoadBalancerTeleported' WHERE originator_version = 2")

    with pytest.raises(NewerFormat, match="LoadBalancerTeleported"):
        run_projector(world.settings, Event())

    assert told(world, load_balancer) == [1]
    assert world.sql("SELECT * FROM parked_events") == []


# What monitoring sees


def test_monitoring_sees_how_far_it_is(world: World) -> None:
    world.a_load_balancer(changes=4)
    behind = {each.name: (each.value, each.labels) for each in readings(world.pool)}
    world.go_on()
    there = {each.name: each.value for each in readings(world.pool)}

    labels = {"projection": "changes"}
    assert behind == {"tacitus_projector_position": (0, labels), "tacitus_projector_lag": (5, labels)}
    assert there == {"tacitus_projector_position": 5, "tacitus_projector_lag": 0}


# Made anew


def is_in_a_commit(world: World) -> bool:
    return world.position > 0 and not world.sql("SELECT 1 FROM commits WHERE position = %s", world.position)


@pytest.mark.parametrize("seed", range(4))
def test_rebuilt_rows_are_those_that_serve(world: World, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.rebuild.EVENTS_AT_ONCE", (1, 7, 50, 4_000)[seed])
    Past(world.store, Random(seed)).record()
    world.go_on()
    rows, schema = dump(world.database, CHANGES.tables), catalogue(world.database)

    verified = Rebuild(world.database, CHANGES).compare()
    outcome = Rebuild(world.database, CHANGES).replace()

    assert not verified.differences
    assert not outcome.differences
    assert outcome.switched
    assert dump(world.database, CHANGES.tables) == rows
    assert catalogue(world.database) == schema
    world.check()


@pytest.mark.parametrize("batches", range(5))
def test_rows_are_compared_where_the_projector_is_wherever_that_is(
    world: World, small_batches: None, batches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be in the middle of a commit, which comes in pieces then."""
    monkeypatch.setattr("infra.rebuild.EVENTS_AT_ONCE", 2)
    world.a_load_balancer(changes=4)
    world.a_load_balancer(changes=5)
    for _ in range(batches):
        world.projector.run_once()
    in_a_commit, rows = is_in_a_commit(world), dump(world.database, CHANGES.tables)

    outcome = Rebuild(world.database, CHANGES).replace()
    rebuilt = dump(world.database, CHANGES.tables)
    world.go_on()

    assert in_a_commit == (batches in (1, 2, 3))
    assert (outcome.position, outcome.differences.counts, outcome.switched) == (min(3 * batches, 11), {}, True)
    assert rebuilt == rows
    world.check()


def test_row_that_was_changed_by_hand_is_found_and_put_right(world: World) -> None:
    load_balancer = world.a_load_balancer(changes=3, project_id="annals")
    world.go_on()
    world.sql("UPDATE changed_load_balancers SET project_id = 'histories'")
    world.sql("DELETE FROM changes WHERE originator_version = 2")

    found = Rebuild(world.database, CHANGES).compare().differences
    refused = Rebuild(world.database, CHANGES).replace()
    accepted = Rebuild(world.database, CHANGES).replace(resume=True, accept_differences=True)

    assert found.counts == refused.differences.counts == {"changed_load_balancers": 1, "changes": 1}
    assert 'project_id serves as "histories", was rebuilt as "annals"' in str(found.examples[0])
    assert f"changes {load_balancer.id} 2: was only rebuilt" in str(found.examples[1])
    assert (refused.switched, accepted.switched) == (False, True)
    world.check()
    assert not Rebuild(world.database, CHANGES).compare().differences


def test_rows_change_places_while_projectors_run_and_changes_come(world: World, small_batches: None) -> None:
    Past(world.store, Random(1)).record()
    world.go_on()
    stop = Event()

    def write(load_balancer: LoadBalancer) -> int:
        """Two events a commit, so that projectors are within commits most of the time."""
        count = 0
        while not stop.is_set():
            for _ in range(2):
                load_balancer.change(LoadBalancerSettings(name=str(count)))
            world.save(load_balancer)
            count += 1
            stop.wait(0.005)
        return count

    def read() -> int:
        count = 0
        with psycopg.connect(world.database, autocommit=True) as connection:
            while not stop.is_set():
                assert connection.execute(f"{_CHANGES} LIMIT 10".encode(), prepare=True).rowcount == 10
                count += 1
        return count

    load_balancers = [world.a_load_balancer() for _ in range(2)]
    with world.running(projectors=2), ThreadPoolExecutor(3) as others:
        writers = [others.submit(write, each) for each in load_balancers]
        reader = others.submit(read)
        try:
            outcomes = [Rebuild(world.database, CHANGES).replace() for _ in range(3)]
        finally:
            stop.set()
        changes = sum(writer.result(30) for writer in writers)
        reads = reader.result(30)
        world.wait_for_the_projector()

    assert [(outcome.switched, outcome.differences.counts) for outcome in outcomes] == [(True, {})] * 3
    assert max(outcome.held_seconds for outcome in outcomes) < 1
    assert changes > 20
    assert reads > 20
    world.check()
    assert not Rebuild(world.database, CHANGES).compare().differences


def test_projector_may_begin_during_the_switch(world: World) -> None:
    """It has no position yet that could be locked."""
    world.a_load_balancer(changes=5)
    begun: list[bool] = []

    def tell(progress: Progress) -> None:
        if progress.step == Step.SWITCHING and not begun:
            begun.append(world.projector.run_once())

    outcome = Rebuild(world.database, CHANGES, tell).replace()
    world.go_on()

    assert (outcome.switched, begun) == (True, [True])
    world.check()


def test_interrupted_rebuild_goes_on_where_it_was(world: World) -> None:
    world.a_load_balancer(changes=5)
    world.go_on()
    schema = catalogue(world.database)

    def interrupt(progress: Progress) -> None:
        if progress.step == Step.SWITCHING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rebuild(world.database, CHANGES, interrupt).replace()
    world.a_load_balancer()
    world.go_on()
    outcome = Rebuild(world.database, CHANGES).replace(resume=True)

    assert (outcome.switched, outcome.events) == (True, 1)
    assert catalogue(world.database) == schema
    assert not Rebuild(world.database, CHANGES).cancel()


def test_rebuild_can_be_called_off(world: World) -> None:
    world.a_load_balancer(changes=5)
    world.go_on()
    schema = catalogue(world.database)

    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rebuild(world.database, CHANGES, interrupt).replace()

    assert Rebuild(world.database, CHANGES).cancel()
    assert catalogue(world.database) == schema


def test_nothing_is_rebuilt_while_events_are_parked(world: World) -> None:
    world.a_load_balancer(changes=3)
    world.go_on(world.another(fussy(2)))

    with pytest.raises(RebuildFailed, match="events of 1 streams are parked"):
        Rebuild(world.database, CHANGES).replace()


def test_event_that_was_left_out_is_left_out_again(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    projection = fussy(2)
    world.go_on(world.another(projection))
    ParkedStreams(world.pool, world.store).skip("changes", ill.id, "it is broken")
    world.go_on(world.another(projection))

    outcome = Rebuild(world.database, projection).replace()
    mended = Rebuild(world.database, CHANGES).compare()

    assert (outcome.switched, outcome.differences.counts) == (True, {})
    assert told(world, ill) == [1, 3, 4]
    assert mended.differences.counts == {"changes": 1}


def test_event_that_nobody_decided_about_ends_a_rebuild(world: World) -> None:
    world.a_load_balancer(changes=3)
    world.go_on()

    with pytest.raises(RebuildFailed, match="the event at position 2 cannot be handled: ValueError: cannot stand this"):
        Rebuild(world.database, fussy(2)).compare()


def test_every_projection_of_the_projector_has_a_name_of_its_own() -> None:
    assert len({each.consumer for each in FOLLOWING}) == len(FOLLOWING)
