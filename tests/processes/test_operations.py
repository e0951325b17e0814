"""No operation gets stuck: each runs again and again, with another single call of it going wrong each time."""

import random
from dataclasses import dataclass

import pytest

from domain.fields import ProvisioningStatus
from infra.memory import Clock
from tests.processes.faults import Fault, faults_of
from tests.processes.operations import BAD_ADDRESS, OPERATIONS, Operation, one
from tests.processes.world import World

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR


@dataclass(frozen=True)
class Run:
    """One way through an operation: the fault strikes at the call with this number."""

    operation: Operation
    at: int = -1
    fault: Fault | None = None

    def through(self, clock: Clock) -> World:
        random.seed(1)  # pauses have jitter, and the calls of one run are those of the next
        world = World(clock)
        for step in self.operation.given:
            step(world)
        before = len(world.points.passed)
        world.points.fault = self.fault
        world.points.at = before + self.at
        for step in self.operation.then:
            step(world)
        world.points.passed = world.points.passed[before:]
        return world


def check(operation: Operation, world: World) -> None:
    """Everything is ACTIVE, or gone; what an amphora refused is ERROR, and nothing else."""
    if operation.is_gone:
        assert not world.load_balancers()
        world.check_nothing_is_left_but()
        return
    id = one(world)
    load_balancer = world.store.load_balancer(id)
    for object_id, status in world.statuses(id).items():
        member = load_balancer.tree.members.get(object_id)
        is_bad = member is not None and member.address == BAD_ADDRESS
        assert status == (ERROR if is_bad else ACTIVE), (load_balancer.progress.marks[object_id], status)
    world.check_nothing_is_left_but(id)
    check_what_runs(world)


def check_what_runs(world: World) -> None:
    load_balancer = world.store.load_balancer(one(world))
    if not load_balancer.has_amphorae:
        assert not world.driver.configurations
        return
    (amphora_id,) = load_balancer.amphora_ids
    assert amphora_id in world.driver.vips
    if load_balancer.tree.listeners:
        _, file = world.driver.configurations[amphora_id, load_balancer.id]
        ran = {member.id for member in load_balancer.tree.members.values() if str(member.id) in file}
        assert ran == {member.id for member in load_balancer.tree.members.values() if member.address != BAD_ADDRESS}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_comes_to_its_end_whichever_call_goes_wrong(name: str, clock: Clock) -> None:
    operation = OPERATIONS[name]
    clean = Run(operation).through(clock)
    check(operation, clean)

    for at, point in enumerate(clean.points.passed):
        for what, fault in faults_of(point).items():
            try:
                world = Run(operation, at, fault).through(clock)
                assert world.points.struck == point, "another run"
                check(operation, world)
            except AssertionError as error:
                raise AssertionError(f"{name}, call {at} ({point}): {what}: {error}") from error
