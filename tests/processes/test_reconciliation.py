"""What is there is compared with what should exist, and the difference mended, not more and not too eagerly."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Barrier, Event, Lock
from uuid import UUID, uuid4

import pytest

from amphora.driver import AgentInfo, AmphoraAddress, AmphoraUnreachable
from commands.ports import Origin
from domain.amphora import Amphora, Stage
from infra.memory import Clock, MemoryStore
from infra.noop_compute import NoopComputeDriver
from processes.ports import BootOrder, ComputeState
from processes.reconciliation import (
    ASKED_AHEAD,
    ASKED_AT_ONCE,
    MOST_REPAIRS,
    Comparison,
    Difference,
    Reconciler,
    Serving,
)
from tests.given import a_listener
from tests.processes.operations import change_a_member, one, rest
from tests.processes.test_deadlines import a_serving_world
from tests.processes.world import World

MINUTE = 60.0


@dataclass
class Sweeping:
    """A world and what sweeps it."""

    world: World
    remove_orphans: bool = False
    is_suspended: bool = False
    now: float = 0.0
    reasons: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world
        self.reconciler = Reconciler(
            world.comparison,
            self,
            world.compute,
            world.outcomes,
            self.repair,
            remove_orphans=self.remove_orphans,
            clock=lambda: self.now,
        )

    def sweep(self) -> None:
        self.reconciler.sweep()

    def repair(self, load_balancer_id: UUID, why: str) -> None:
        self.reasons.append(why)
        self.world.repair(load_balancer_id, why)

    # processes.reconciliation.Expected

    def serving(self) -> list[Serving]:
        rows = self.world.store.memory.tables["amphorae"].values()
        return [Serving(row["id"], row["load_balancer_id"]) for row in rows if row["stage"] == Stage.IN_SERVICE]

    def is_failover_suspended(self) -> bool:
        return self.is_suspended


@pytest.fixture
def world(clock: Clock) -> World:
    world, _ = a_serving_world(clock)
    return world


def boot_what_nobody_wants(world: World) -> UUID:
    orphan = uuid4()
    world.compute.boot(BootOrder(amphora_id=orphan, load_balancer_id=one(world), files={}))
    return orphan


def lose(world: World, amphora_id: UUID) -> None:
    """The machine goes, and nobody tells us."""
    world.compute.remove(amphora_id)


def change_the_file(world: World) -> UUID:
    amphora_id = world.amphora_of(one(world))
    revision, file = world.driver.configurations[amphora_id, one(world)]
    world.driver.configurations[amphora_id, one(world)] = revision, f"{file}\n# by hand\n"
    return amphora_id


# What is well


def test_nothing_is_done_about_what_is_well(world: World) -> None:
    sweeping = Sweeping(world, remove_orphans=True)
    events, machines = len(world.store.recorder.select_notifications(None, 1_000)), set(world.compute.booted)

    sweeping.sweep()

    assert len(world.store.recorder.select_notifications(None, 1_000)) == events
    assert set(world.compute.booted) == machines
    assert (sweeping.reconciler.orphans, sweeping.reconciler.differences) == (0, 0)


# Orphans


def test_orphan_is_told_and_left_alone(world: World) -> None:
    orphan = boot_what_nobody_wants(world)
    sweeping = Sweeping(world)

    sweeping.sweep()

    assert world.comparison.orphans() == [orphan]
    assert orphan in world.compute.booted
    assert sweeping.reconciler.orphans == 1


def test_orphan_is_taken_down_where_that_is_the_policy(world: World) -> None:
    orphan = boot_what_nobody_wants(world)

    Sweeping(world, remove_orphans=True).sweep()

    assert orphan not in world.compute.booted
    assert world.amphora_of(one(world)) in world.compute.booted


def test_amphora_that_was_removed_and_runs_again_is_an_orphan(world: World) -> None:
    before = world.amphora_of(one(world))
    world.fail_over(one(world))
    rest(world)

    world.compute.boot(BootOrder(amphora_id=before, load_balancer_id=one(world), files={}))

    assert world.comparison.orphans() == [before]


# Files


def test_other_file_is_pushed_again(world: World) -> None:
    amphora_id = change_the_file(world)
    sweeping = Sweeping(world)

    sweeping.sweep()
    rest(world)

    assert sweeping.reasons == [f"amphora {amphora_id} holds another configuration than it confirmed"]
    assert "# by hand" not in world.driver.configurations[amphora_id, one(world)][1]
    assert not list(world.comparison.other_files(sweeping.serving()))


def test_lost_file_is_pushed_again(world: World) -> None:
    amphora_id = world.amphora_of(one(world))
    world.driver.configurations.clear()
    sweeping = Sweeping(world)

    sweeping.sweep()
    rest(world)

    assert sweeping.reasons == [f"amphora {amphora_id} has lost its configuration"]
    assert (amphora_id, one(world)) in world.driver.configurations


def test_file_is_not_judged_while_another_one_is_under_way(world: World) -> None:
    change_the_file(world)
    change_a_member(world)
    sweeping = Sweeping(world)

    sweeping.sweep()

    assert sweeping.reasons == []


def test_file_that_is_replaced_while_it_is_read_is_not_judged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    change_the_file(world)
    read: Callable[[AmphoraAddress, UUID], str | None] = world.driver.configuration

    def read_while_others_change(amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None:
        file = read(amphora, load_balancer_id)
        change_a_member(world)
        return file

    monkeypatch.setattr(world.driver, "configuration", read_while_others_change)

    assert not list(world.comparison.other_files(Sweeping(world).serving()))


def test_file_of_an_amphora_that_does_not_answer_is_not_judged(world: World) -> None:
    world.driver.unreachable.add(change_the_file(world))
    sweeping = Sweeping(world)

    sweeping.sweep()

    assert sweeping.reasons == []


def test_what_a_repair_does_not_mend_is_repaired_ever_more_seldom(world: World) -> None:
    sweeping = Sweeping(world)
    repaired_at = []
    for minute in range(130):
        change_the_file(world)
        sweeping.now = minute * MINUTE
        before = len(sweeping.reasons)
        sweeping.sweep()
        rest(world)
        if len(sweeping.reasons) > before:
            repaired_at.append(minute)

    assert repaired_at == [0, 1, 3, 7, 15, 31, 63, 123]


def test_what_was_well_in_between_is_repaired_at_once(world: World) -> None:
    sweeping = Sweeping(world)
    change_the_file(world)
    sweeping.sweep()
    rest(world)
    sweeping.now = 2 * MINUTE
    sweeping.sweep()

    change_the_file(world)
    sweeping.now += 1
    sweeping.sweep()

    assert len(sweeping.reasons) == 2


def test_no_more_than_some_are_repaired_in_one_sweep(clock: Clock) -> None:
    world = World(clock)
    for _ in range(MOST_REPAIRS + 1):
        id = world.create()
        load_balancer = world.store.load_balancer(id)

        load_balancer.add_listener(a_listener())
        world.save(load_balancer)
    rest(world)
    world.driver.configurations.clear()
    sweeping = Sweeping(world)

    sweeping.sweep()

    assert len(sweeping.reasons) == MOST_REPAIRS
    assert sweeping.reconciler.differences == MOST_REPAIRS + 1


# Many at once


@dataclass
class Slow:
    """A driver of amphorae that say nothing.

    holds  is called with each amphora that is asked, and takes as long as the silence
    most   how many were asked at once
    """

    holds: Callable[[UUID], object]
    most: int = 0
    asked: list[UUID] = field(default_factory=list)
    _asking: int = 0
    _lock: Lock = field(default_factory=Lock)

    def info(self, amphora: AmphoraAddress) -> AgentInfo:
        with self._lock:
            self.asked.append(amphora.amphora_id)
            self._asking += 1
            self.most = max(self.most, self._asking)
        self.holds(amphora.amphora_id)
        with self._lock:
            self._asking -= 1
        raise AmphoraUnreachable(amphora, f"{amphora.amphora_id} says nothing")

    def configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None:
        self.info(amphora)
        return None


def many_amphorae(store: MemoryStore, count: int) -> list[Serving]:
    """In service, and known to no compute service."""
    serving = [Serving(uuid4(), uuid4()) for _ in range(count)]
    for each in serving:
        amphora = Amphora.request(each.amphora_id, load_balancer_id=each.load_balancer_id)
        amphora.booted("gone")
        amphora.became_reachable("127.17.0.1", "2.6")
        amphora.vip_plugged()
        amphora.entered_service()
        store.save(amphora, origin=Origin())
    return serving


class ForgetfulCompute(NoopComputeDriver):
    def look(self, compute_id: str) -> ComputeState:
        return ComputeState(status="GONE")


def comparison_by(store: MemoryStore, driver: Slow) -> Comparison:
    return Comparison(store, ForgetfulCompute(), driver, lambda: None)


@pytest.mark.parametrize("find", [Comparison.silent, Comparison.missing], ids=["silent", "missing"])
def test_many_are_asked_at_once_and_no_more_than_that(
    find: Callable[[Comparison, list[Serving]], Iterable[Difference]],
) -> None:
    """Nobody is answered before so many have asked."""
    store, together = MemoryStore(), Barrier(ASKED_AT_ONCE, timeout=30)
    serving, driver = many_amphorae(store, 4 * ASKED_AT_ONCE), Slow(lambda _: together.wait())

    found = list(find(comparison_by(store, driver), serving))

    assert [difference.serving for difference in found] == serving
    assert driver.most == ASKED_AT_ONCE


def test_files_are_asked_for_at_once(clock: Clock) -> None:
    world, together = World(clock), Barrier(ASKED_AT_ONCE, timeout=30)
    for _ in range(ASKED_AT_ONCE):
        load_balancer = world.store.load_balancer(world.create())
        load_balancer.add_listener(a_listener())
        world.save(load_balancer)
    rest(world)
    driver, serving = Slow(lambda _: together.wait()), Sweeping(world).serving()

    found = list(Comparison(world.store, world.compute, driver, lambda: None).other_files(serving))

    assert found == [], "whoever does not answer is not judged"
    assert driver.most == ASKED_AT_ONCE


def test_answers_come_in_the_order_of_the_questions() -> None:
    """The first one that is asked answers after all others of its time."""
    store = MemoryStore()
    serving = many_amphorae(store, 3 * ASKED_AT_ONCE)
    first, others = serving[0].amphora_id, Event()

    def hold(amphora_id: UUID) -> None:
        if amphora_id == first:
            others.wait(30)
        elif amphora_id == serving[ASKED_AHEAD - 1].amphora_id:
            others.set()

    found = list(comparison_by(store, Slow(hold)).silent(serving))

    assert [difference.serving for difference in found] == serving
    assert [difference.words for difference in found] == [
        f"does not answer: {each.amphora_id} says nothing" for each in serving
    ]


def test_whoever_does_not_want_to_hear_more_leaves_the_others_unasked() -> None:
    store, driver = MemoryStore(), Slow(lambda _: None)
    serving = many_amphorae(store, 2 * ASKED_AHEAD)

    for difference in comparison_by(store, driver).silent(serving):
        assert difference.serving == serving[0]
        break

    assert len(set(driver.asked)) <= ASKED_AHEAD


def test_sweep_that_is_to_end_asks_nobody_any_more_and_replaces_nothing(world: World) -> None:
    stop, asked = Event(), []
    lose(world, world.amphora_of(one(world)))
    sweeping = Sweeping(world)
    look = world.compute.look

    def look_and_stop(compute_id: str) -> object:
        asked.append(compute_id)
        stop.set()
        return look(compute_id)

    world.compute.look = look_and_stop  # type: ignore[assignment, method-assign]
    before = world.amphora_of(one(world))

    sweeping.reconciler.sweep(stop)
    sweeping.reconciler.sweep(stop)

    assert len(asked) == 1
    assert world.amphora_of(one(world)) == before


# Machines


def test_amphora_that_does_not_exist_any_more_is_replaced(world: World) -> None:
    lost = world.amphora_of(one(world))
    lose(world, lost)

    Sweeping(world).sweep()
    rest(world)

    assert world.amphora_of(one(world)) != lost
    assert world.amphora_of(one(world)) in world.compute.booted
    assert (world.amphora_of(one(world)), one(world)) in world.driver.configurations


def test_amphora_that_answers_is_there_whatever_the_compute_service_says(world: World) -> None:
    lost = world.amphora_of(one(world))
    lose(world, lost)
    world.driver.unreachable.discard(lost)

    Sweeping(world).sweep()

    assert world.amphora_of(one(world)) == lost


def test_nothing_is_replaced_when_many_seem_to_be_gone_at_once(clock: Clock) -> None:
    world = World(clock)
    ids = [world.create() for _ in range(6)]
    rest(world)
    before = [world.amphora_of(id) for id in ids]
    for amphora_id in before[:5]:
        lose(world, amphora_id)
    sweeping = Sweeping(world)

    sweeping.sweep()

    assert [world.amphora_of(id) for id in ids] == before
    assert sweeping.reconciler.differences == 5


def test_nothing_is_replaced_while_automatic_failover_is_suspended(world: World) -> None:
    lost = world.amphora_of(one(world))
    lose(world, lost)

    Sweeping(world, is_suspended=True).sweep()

    assert world.amphora_of(one(world)) == lost
