"""A repair that somebody asked for comes to its end whichever call goes wrong, and mends what no action is left for."""

from typing import Any

import pytest

from domain.fields import ProvisioningStatus
from infra.memory import Clock
from tests.processes.faults import faults_of
from tests.processes.operations import (
    SERVING,
    Operation,
    ask_for_a_failover,
    change_a_member,
    create,
    create_without_amphorae,
    delete,
    one,
    rest,
    some_steps,
)
from tests.processes.test_deadlines import a_serving_world
from tests.processes.test_operations import Run, check
from tests.processes.world import World

ACTIVE, PENDING_UPDATE = ProvisioningStatus.ACTIVE, ProvisioningStatus.PENDING_UPDATE


def repair(world: World) -> None:
    world.repair(one(world))


def lose_the_file(world: World) -> None:
    """Behind our back."""
    world.driver.configurations.clear()


def lose_the_machine(world: World) -> None:
    world.compute.remove(world.amphora_of(one(world)))


def lose_the_actions(world: World) -> None:
    """As when the event that they follow from could not be handled. Of events that are still to be read too."""
    while world.runner.run_once():
        pass
    world.store.memory.actions.clear()


GONE = "of an amphora that is gone"
OPERATIONS = {
    "of what is well": Operation(SERVING, (repair, rest)),
    "of a lost file": Operation((*SERVING, lose_the_file), (repair, rest)),
    GONE: Operation((*SERVING, lose_the_machine), (repair, rest)),
    "while a change waits": Operation((*SERVING, change_a_member), (repair, rest)),
    "of a change that was forgotten": Operation((*SERVING, change_a_member, lose_the_actions), (repair, rest)),
    "of a creation that was forgotten": Operation((create, some_steps, lose_the_actions), (repair, rest)),
    "of a failover that was forgotten": Operation((*SERVING, ask_for_a_failover, lose_the_actions), (repair, rest)),
    "of a deletion that was forgotten": Operation((*SERVING, delete, lose_the_actions), (repair, rest), is_gone=True),
    "without amphorae": Operation((create_without_amphorae, rest), (repair, rest)),
    "of a deletion without amphorae": Operation(
        (create_without_amphorae, rest, delete, lose_the_actions), (repair, rest), is_gone=True
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_repair_comes_to_its_end_whichever_call_goes_wrong(name: str, clock: Clock) -> None:
    operation = OPERATIONS[name]
    clean = Run(operation).through(clock)
    check(operation, clean)

    for at, point in enumerate(clean.points.passed):
        for what, fault in faults_of(point).items():
            if name == GONE and what.startswith("the agent reports"):
                continue  # whoever answers is there
            try:
                world = Run(operation, at, fault).through(clock)
                assert world.points.struck == point, "another run"
                check(operation, world)
            except AssertionError as error:
                raise AssertionError(f"{name}, call {at} ({point}): {what}: {error}") from error


def test_repair_is_shown_until_it_is_done(clock: Clock) -> None:
    world, _ = a_serving_world(clock)

    world.repair(one(world))

    assert world.store.load_balancer(one(world)).provisioning_status == PENDING_UPDATE
    rest(world)
    assert world.store.load_balancer(one(world)).provisioning_status == ACTIVE


def test_file_is_pushed_although_the_amphora_is_thought_to_run_it(clock: Clock) -> None:
    world, _ = a_serving_world(clock)
    calls = len(world.driver.calls)

    repair(world)
    rest(world)

    assert ("load_configuration", world.amphora_of(one(world))) in world.driver.calls[calls:]


def test_amphora_that_answers_is_kept(clock: Clock) -> None:
    world, _ = a_serving_world(clock)
    amphora_id = world.amphora_of(one(world))

    repair(world)
    rest(world)

    assert world.amphora_of(one(world)) == amphora_id


def test_history_says_why(clock: Clock) -> None:
    world, _ = a_serving_world(clock)

    world.repair(one(world), "the host was rebooted")

    *_, recorded = world.store.recorder.select_notifications(None, 10_000)
    event: Any = world.store.mapper.to_domain_event(recorded)
    assert event.why == "the host was rebooted"
