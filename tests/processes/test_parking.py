"""Events that a consumer cannot handle: what waits, what goes on, and what becomes of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from commands.ports import Origin
from domain.errors import NotParked
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Event, LoadBalancerSettings
from domain.parked_stream import ParkedStream
from infra.memory import MemoryLedger, MemoryStore, MemoryStream
from infra.transcoding import NewerFormat
from processes.actions import Action, ApplyConfiguration
from processes.parking import Parking
from processes.ports import Unreadable
from processes.runner import Runner, side_by_side
from tests.given import a_load_balancer


class Fussy:
    """A process that asks for one action for each event of a load balancer, unless it cannot stand it."""

    name = "fussy"

    def __init__(self) -> None:
        self.seen: list[tuple[UUID, int]] = []
        self.cannot: Callable[[Event], bool] = lambda event: False

    def react(self, event: object) -> Sequence[Action]:
        if not isinstance(event, Event):
            return []
        if self.cannot(event):
            raise ValueError(f"cannot stand version {event.originator_version}")
        self.seen.append((event.originator_id, event.originator_version))
        return [ApplyConfiguration(load_balancer_id=event.originator_id, wanted=event.originator_version)]


class World:
    def __init__(self) -> None:
        self.store = MemoryStore()
        self.process = Fussy()
        self.ledger = MemoryLedger(self.store.memory)
        self.runner = self.another("processes", self.process)

    def another(self, consumer: str, process: Fussy) -> Runner[Action]:
        stream = MemoryStream(self.store)
        return Runner(consumer, side_by_side([process]), stream, self.ledger, Parking(consumer, self.store))

    def a_load_balancer(self, changes: int = 0) -> LoadBalancer:
        load_balancer = a_load_balancer()
        self.store.save(load_balancer, origin=Origin())
        self.change(load_balancer, changes)
        return load_balancer

    def change(self, load_balancer: LoadBalancer, times: int = 1) -> None:
        for _ in range(times):
            load_balancer.change(LoadBalancerSettings(name=str(load_balancer.version)))
            self.store.save(load_balancer, origin=Origin())

    def go_on(self) -> None:
        while self.runner.run_once():
            pass

    def seen(self, load_balancer: LoadBalancer) -> list[int]:
        return [version for id, version in self.process.seen if id == load_balancer.id]

    def parked(self, load_balancer: LoadBalancer) -> ParkedStream:
        return self.store.load(ParkedStream, ParkedStream.create_id("processes", load_balancer.id))

    def decide(self, parked: ParkedStream) -> None:
        self.store.save(parked, origin=Origin())
        self.go_on()

    def retry(self, load_balancer: LoadBalancer) -> None:
        parked = self.parked(load_balancer)
        parked.request_retry("mended")
        self.decide(parked)

    def skip(self, load_balancer: LoadBalancer) -> None:
        parked = self.parked(load_balancer)
        parked.request_skip("it does no good")
        self.decide(parked)


@pytest.fixture
def world() -> World:
    return World()


def version_of(load_balancer: LoadBalancer, *versions: int) -> Callable[[Event], bool]:
    return lambda event: event.originator_id == load_balancer.id and event.originator_version in versions


def test_what_follows_in_its_stream_waits_and_other_streams_go_on(world: World) -> None:
    ill, well = world.a_load_balancer(), world.a_load_balancer()
    world.process.cannot = version_of(ill, 2)

    world.change(ill, 3)
    world.change(well, 3)
    world.go_on()

    assert world.seen(ill) == [1]
    assert world.seen(well) == [1, 2, 3, 4]
    assert (world.parked(ill).position, world.parked(ill).reason) == (3, "ValueError: cannot stand version 2")
    assert world.ledger.parked("processes") == {ill.id}


def test_what_comes_later_waits_too(world: World) -> None:
    ill = world.a_load_balancer()
    world.process.cannot = version_of(ill, 1)
    world.go_on()
    world.process.cannot = lambda event: False

    world.change(ill, 2)
    world.go_on()

    assert world.seen(ill) == []
    assert len(world.ledger.put_aside("processes", ill.id, 100)) == 3


def test_after_the_cause_is_mended_a_retry_takes_up_all_that_waits_in_order(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    world.process.cannot = version_of(ill, 2)
    world.go_on()
    world.process.cannot = lambda event: False

    world.retry(ill)
    world.change(ill)
    world.go_on()

    assert world.seen(ill) == [1, 2, 3, 4, 5]
    assert world.parked(ill).position is None
    assert world.ledger.parked("processes") == set()
    assert {row.action.wanted for row in world.store.memory.actions.values()} == {5}


def test_a_retry_takes_up_more_than_one_batch(world: World) -> None:
    ill = world.a_load_balancer(changes=450)
    world.process.cannot = version_of(ill, 1)
    world.go_on()
    world.process.cannot = lambda event: False

    world.retry(ill)

    assert world.seen(ill) == list(range(1, 452))
    assert world.parked(ill).position is None


def test_a_retry_that_fails_again_says_so_and_loses_nothing(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    world.process.cannot = version_of(ill, 2)
    world.go_on()

    world.process.cannot = version_of(ill, 3)
    world.retry(ill)

    assert world.seen(ill) == [1, 2]
    assert world.parked(ill).reason == "ValueError: cannot stand version 3"
    assert len(world.ledger.put_aside("processes", ill.id, 100)) == 2


def test_a_skipped_event_is_left_out_and_the_others_are_handled(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    world.process.cannot = version_of(ill, 2)
    world.go_on()

    world.skip(ill)

    assert world.seen(ill) == [1, 3, 4]
    assert world.ledger.parked("processes") == set()


def test_two_skips_at_once_leave_out_one_event(world: World) -> None:
    ill = world.a_load_balancer(changes=3)
    world.process.cannot = version_of(ill, 2, 3)
    world.go_on()

    one = world.parked(ill)
    one.request_skip("it does no good")
    one.request_skip("it does no good, I say")
    world.decide(one)

    assert world.seen(ill) == [1]
    assert world.parked(ill).reason == "ValueError: cannot stand version 3"


def test_a_stream_may_be_parked_again_after_it_went_on(world: World) -> None:
    ill = world.a_load_balancer()
    world.process.cannot = version_of(ill, 1, 2)
    world.go_on()
    world.skip(ill)

    world.change(ill)
    world.go_on()

    assert world.parked(ill).reason == "ValueError: cannot stand version 2"


def test_nothing_is_parked_twice_when_the_position_was_not_stored(world: World) -> None:
    """The consumer dies between the two."""
    ill = world.a_load_balancer()
    world.process.cannot = version_of(ill, 1)
    world.go_on()
    before = world.parked(ill).version

    world.store.memory.positions.clear()
    world.go_on()

    assert world.parked(ill).version == before


def test_another_consumer_does_not_care(world: World) -> None:
    ill = world.a_load_balancer(changes=1)
    world.process.cannot = version_of(ill, 1)
    world.go_on()
    other = Fussy()
    runner = world.another("audit", other)

    world.retry(ill)
    while runner.run_once():
        pass

    assert other.seen == [(ill.id, 1), (ill.id, 2)]
    assert world.ledger.parked("audit") == set()


def test_nobody_retries_what_is_not_parked(world: World) -> None:
    ill = world.a_load_balancer()
    world.process.cannot = version_of(ill, 1)
    world.go_on()
    world.skip(ill)

    with pytest.raises(NotParked):
        world.parked(ill).request_retry("once more")
    with pytest.raises(NotParked):
        world.parked(ill).request_skip("once more")


def spoil(world: World, load_balancer: LoadBalancer, version: int, **said: Any) -> None:
    """Store other bytes for an event than any release writes."""
    recorder: Any = world.store.recorder
    place = recorder._stored_events_index[str(load_balancer.id)][version]
    event = recorder._stored_events[place]
    recorder._stored_events[place] = replace(event, **said)


def test_an_event_that_makes_no_sense_is_parked(world: World) -> None:
    ill = world.a_load_balancer(changes=2)
    spoil(world, ill, 2, state=b'{"timestamp": "soon"}')

    world.go_on()

    assert world.seen(ill) == [1]
    assert world.parked(ill).reason.startswith(f"{Unreadable.__name__}: LoadBalancerChanged")


def test_an_event_of_a_newer_format_stops_the_process_and_is_not_parked(world: World) -> None:
    load_balancer = world.a_load_balancer(changes=2)
    spoil(world, load_balancer, 2, state=b'{"class_version": 99}')

    with pytest.raises(NewerFormat):
        world.go_on()

    assert world.seen(load_balancer) == [1], "what is before it was handled"
    assert world.store.memory.positions == {("processes", 0): Position(1)}
    assert world.ledger.parked("processes") == set()


def test_an_event_of_a_kind_to_come_stops_the_process_too(world: World) -> None:
    load_balancer = world.a_load_balancer(changes=1)
    spoil(world, load_balancer, 2, topic="LoadBalancerTeleported")

    with pytest.raises(NewerFormat, match="LoadBalancerTeleported"):
        world.go_on()

    assert world.seen(load_balancer) == [1]
