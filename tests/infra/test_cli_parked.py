"""`tacitus parked`: what an operator sees of events that could not be handled, and what becomes of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra.cli import main
from infra.consumer import action_ledger
from infra.event_store import EventStore
from infra.log_stream import LogStream
from infra.settings import Settings
from infra.wiring import connection_pool
from processes.actions import Action
from processes.parking import Parking
from processes.runner import Runner, side_by_side
from tests.given import a_load_balancer

pytestmark = pytest.mark.postgres


class Fussy:
    """Cannot stand changes of a load balancer, until it is told to."""

    name = "fussy"
    is_mended = False

    def react(self, event: object) -> Sequence[Action]:
        if isinstance(event, LoadBalancer.Changed) and not self.is_mended:
            raise ValueError("no such listener")
        return []


class World:
    def __init__(self, settings: Settings, pool: ConnectionPool, store: EventStore, files: Sequence[str]) -> None:
        self.process = Fussy()
        self._store = store
        self._files = files
        stream = LogStream(pool, store.mapper)
        ledger, parking = action_ledger(settings, pool), Parking("processes", store)
        self._runner = Runner("processes", side_by_side([self.process]), stream, ledger, parking)

    def a_parked_load_balancer(self) -> LoadBalancer:
        load_balancer = a_load_balancer()
        for name in ("a", "b"):
            load_balancer.change(LoadBalancerSettings(name=name))
        self._store.save(load_balancer, origin=Origin())
        self.go_on()
        return load_balancer

    def go_on(self) -> None:
        while self._runner.run_once():
            pass

    def parked(self, *arguments: object) -> None:
        main(["parked", str(arguments[0]), *self._files, *map(str, arguments[1:])])


@pytest.fixture
def world(database: str, tmp_path: Path) -> Iterator[World]:
    settings = Settings(database_url=database, state_directory=tmp_path)
    file = tmp_path / "tacitus.conf"
    file.write_text(f"[DEFAULT]\nstate_directory = {tmp_path}\n[database]\nconnection = {database}\n")
    store = EventStore(database)
    with connection_pool(settings, 4) as pool:
        yield World(settings, pool, store, ["--config-file", str(file)])
    store.close()


def test_nothing_is_listed_where_all_is_well(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.parked("list")

    assert capsys.readouterr().out == ""


def test_list_and_show_tell_what_waits_and_why(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    ill = world.a_parked_load_balancer()

    world.parked("list")
    listed = capsys.readouterr().out
    world.parked("show", ill.id)
    shown = capsys.readouterr().out

    assert listed == f"{ill.id}  processes  2 waiting since 2  ValueError: no such listener\n"
    assert f"stream    {ill.id}\nconsumer  processes\nreason    ValueError: no such listener\n" in shown
    assert [line.split()[0::2] for line in shown.splitlines() if "LoadBalancerChanged" in line] == [
        ["2", "LoadBalancerChanged"],
        ["3", "LoadBalancerChanged"],
    ]


def test_a_retry_takes_up_what_waits(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    ill = world.a_parked_load_balancer()
    world.process.is_mended = True

    world.parked("retry", ill.id, "--why", "the new release knows it")
    world.go_on()

    world.parked("list")
    assert capsys.readouterr().out == ""


def test_a_skip_leaves_out_one_event(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    ill = world.a_parked_load_balancer()

    world.parked("skip", ill.id, "--why", "it does no good")
    world.go_on()

    world.parked("list")
    assert "1 waiting since 3" in capsys.readouterr().out


def test_nobody_decides_without_a_reason(world: World) -> None:
    ill = world.a_parked_load_balancer()

    with pytest.raises(SystemExit) as left:
        world.parked("skip", ill.id)

    assert left.value.code == 2


def test_what_is_not_parked_is_said_in_one_line(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    well = a_load_balancer()

    with pytest.raises(SystemExit) as left:
        world.parked("retry", well.id, "--why", "to see")

    assert left.value.code == 1
    assert capsys.readouterr().err == f"tacitus: Nothing of the stream {well.id} is parked.\n"
