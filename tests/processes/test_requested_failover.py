"""What operators ask for with amphorae comes to its end whichever call goes wrong; who serves is not given up early."""

from collections.abc import Callable
from uuid import UUID

import pytest

from commands.amphora import ConfigureAmphora, DeleteAmphora, FailOverAmphora
from commands.ports import Origin
from domain.amphora import Amphora, Stage
from domain.errors import Immutable, InvalidState, NotFound
from domain.fields import ProvisioningStatus
from infra.memory import Clock
from processes.actions import Term
from tests.processes.faults import faults_of
from tests.processes.operations import (
    SERVING,
    Operation,
    add_a_tree,
    break_the_first_amphora,
    change_a_member,
    create,
    delete,
    one,
    rest,
    some_steps,
)
from tests.processes.test_deadlines import a_serving_world, after, reason
from tests.processes.test_operations import Run, check
from tests.processes.world import TERMS, World

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR
PENDING_UPDATE = ProvisioningStatus.PENDING_UPDATE


def fail_over(world: World) -> None:
    world.fail_over(one(world))


def fail_over_the_amphora(world: World) -> None:
    id = one(world)
    world.amphorae.fail_over(FailOverAmphora(id, world.amphora_of(id), Origin()))


def break_the_replacement(world: World) -> None:
    break_the_first_amphora(world)


def configure_the_agent(world: World) -> None:
    id = one(world)
    world.amphorae.configure(ConfigureAmphora(id, world.amphora_of(id), Origin()))


def until_the_build_fails(world: World) -> None:
    id = one(world)
    amphora_id = world.amphora_of(id)
    while world.store.amphora(amphora_id).is_being_built:
        after(world, 0.25)


OPERATIONS = {
    "failover of a load balancer": Operation(SERVING, (fail_over, rest)),
    "failover while a change waits": Operation((*SERVING, change_a_member), (fail_over, rest)),
    "change during a failover": Operation((*SERVING, fail_over, some_steps), (change_a_member, rest)),
    "failover when nothing serves": Operation(
        (create, add_a_tree, break_the_first_amphora, until_the_build_fails), (fail_over, rest)
    ),
    "failover whose build failed": Operation(
        (*SERVING, fail_over, break_the_replacement, until_the_build_fails), (rest,)
    ),
    "failover again after one whose build failed": Operation(
        (*SERVING, fail_over, break_the_replacement, until_the_build_fails), (fail_over, rest)
    ),
    "delete during a failover": Operation((*SERVING, fail_over, some_steps), (delete, rest), is_gone=True),
    "delete after the build of a failover failed": Operation(
        (*SERVING, fail_over, break_the_replacement, until_the_build_fails), (delete, rest), is_gone=True
    ),
    "failover of an amphora": Operation(SERVING, (fail_over_the_amphora, rest)),
    "two failovers, one after the other": Operation(
        SERVING, (fail_over_the_amphora, rest, fail_over_the_amphora, rest)
    ),
    "settings for an agent": Operation(SERVING, (configure_the_agent, rest)),
    "settings for an agent that is not there yet": Operation((create, some_steps), (configure_the_agent, rest)),
    "settings for an agent that is being replaced": Operation(
        (*SERVING, configure_the_agent), (fail_over_the_amphora, rest)
    ),
}


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


def recorded(world: World, event_class: type) -> int:
    """How often it happened."""
    notifications = world.store.recorder.select_notifications(0, 10_000)
    events = [world.store.mapper.to_domain_event(each) for each in notifications]
    return sum(isinstance(event, event_class) for event in events)


# Failover of a load balancer


def test_who_serves_goes_on_while_its_replacement_cannot_be_built(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    serving = world.amphora_of(id)
    world.compute.is_full = True

    world.fail_over(id)
    after(world, 3 * TERMS[Term.BUILD])

    assert set(world.driver.vips) == {serving}
    assert recorded(world, Amphora.Failed) > 1

    world.compute.is_full = False
    world.come_to_rest()

    assert set(world.driver.vips) == {world.amphora_of(id)} != {serving}
    world.check_nothing_is_left_but(id)


def test_failover_is_refused_while_an_amphora_is_being_built(clock: Clock) -> None:
    world = World(clock)
    id = world.create()

    with pytest.raises(InvalidState):
        world.fail_over(id)


def test_only_one_failover_at_a_time(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.fail_over(id)

    with pytest.raises(InvalidState):
        world.fail_over(id)


def test_failover_is_refused_while_the_load_balancer_is_being_deleted(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.delete(id)

    with pytest.raises(InvalidState):
        world.fail_over(id)


def test_failover_without_amphorae_is_confirmed_by_the_provider(clock: Clock) -> None:
    world = World(clock)
    id = world.create("noop_driver")
    world.come_to_rest()

    world.fail_over(id)
    asked_for = world.store.load_balancer(id).provisioning_status
    world.come_to_rest()

    assert asked_for == PENDING_UPDATE
    assert world.store.load_balancer(id).provisioning_status == ACTIVE
    assert not world.compute.boots


def test_failover_may_take_longer_than_a_push(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.fail_over(id)
    world.driver.unreachable.add(world.amphora_of(id))

    after(world, (TERMS[Term.PUSH] + TERMS[Term.BUILD]) / 2)

    assert world.store.load_balancer(id).provisioning_status == PENDING_UPDATE


def test_failover_that_failed_is_an_error_with_its_reason_and_heals(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.fail_over(id)
    break_the_first_amphora(world)

    after(world, TERMS[Term.BUILD] + 6)
    failed = world.store.load_balancer(id).provisioning_status, reason(world, id)
    world.come_to_rest()

    assert failed == (ERROR, "when requested: No valid host was found")
    assert set(world.statuses(id).values()) == {ACTIVE}


# Failover of an amphora


def fail_over_one(world: World, amphora_id: UUID) -> None:
    world.amphorae.fail_over(FailOverAmphora(one(world), amphora_id, Origin()))


def test_failover_of_an_amphora_leaves_its_load_balancer_pending_until_it_is_done(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    before = world.amphora_of(id)

    fail_over_one(world, before)
    asked_for = world.store.load_balancer(id).provisioning_status
    world.come_to_rest()

    assert asked_for == PENDING_UPDATE
    assert set(world.statuses(id).values()) == {ACTIVE}
    assert world.amphora_of(id) != before
    assert world.store.amphora(before).stage == Stage.REMOVED


def test_an_amphora_that_does_not_serve_cannot_be_failed_over(clock: Clock) -> None:
    world = World(clock)
    id = world.create()
    being_built = world.amphora_of(id)
    with pytest.raises(Immutable, match=f"Load Balancer {id} is immutable and cannot be updated."):
        fail_over_one(world, being_built)
    world.come_to_rest()

    fail_over_one(world, being_built)
    with pytest.raises(Immutable):
        fail_over_one(world, being_built)
    with pytest.raises(Immutable):
        fail_over_one(world, world.amphora_of(id))


def test_no_amphora_is_failed_over_while_its_load_balancer_is_being_deleted(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    amphora_id = world.amphora_of(id)
    world.delete(id)

    with pytest.raises(Immutable):
        fail_over_one(world, amphora_id)


# Deletion of an amphora


def delete_one(world: World, amphora_id: UUID) -> None:
    world.amphorae.delete(DeleteAmphora(one(world), amphora_id, Origin()))


def test_a_failed_amphora_that_does_not_go_can_be_deleted_until_it_does(
    clock: Clock, fail: Callable[[World, str], Callable[[], None]]
) -> None:
    world, id = a_serving_world(clock)
    world.fail_over(id)
    failed = world.amphora_of(id)
    world.compute.broken.add(failed)
    repaired = fail(world, "remove")
    while world.store.amphora(failed).is_being_built:
        after(world, 0.25)

    delete_one(world, failed)
    asked_for = world.store.amphora(failed).stage
    after(world, TERMS[Term.DELETE] + 6)
    overdue = world.store.amphora(failed).stage
    delete_one(world, failed)
    repaired()
    world.come_to_rest()

    assert (asked_for, overdue) == (Stage.BEING_REMOVED, Stage.FAILED)
    assert world.store.amphora(failed).stage == Stage.REMOVED
    assert set(world.statuses(id).values()) == {ACTIVE}
    world.check_nothing_is_left_but(id)


def test_an_amphora_that_did_not_fail_cannot_be_deleted(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    serving = world.amphora_of(id)

    with pytest.raises(Immutable, match=f"amphora {serving} is immutable and cannot be updated."):
        delete_one(world, serving)

    fail_over_one(world, serving)
    for each in (serving, world.amphora_of(id)):
        with pytest.raises(Immutable):
            delete_one(world, each)


def test_an_amphora_that_is_gone_is_not_found(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    gone = world.amphora_of(id)
    fail_over_one(world, gone)
    world.come_to_rest()

    with pytest.raises(NotFound, match=f"Amphora {gone} not found."):
        delete_one(world, gone)


# Settings of an agent


def test_an_agent_is_sent_its_settings_once_for_each_time_it_is_asked_for(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    amphora_id = world.amphora_of(id)

    for _ in range(2):
        configure_the_agent(world)
        world.come_to_rest()

    assert world.driver.calls.count(("update_agent_configuration", amphora_id)) == 2
    assert recorded(world, Amphora.AgentConfigured) == 2
    assert set(world.statuses(id).values()) == {ACTIVE}


def test_an_agent_that_does_not_answer_keeps_its_settings_and_serves_on(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    amphora_id = world.amphora_of(id)
    world.driver.unreachable.add(amphora_id)

    configure_the_agent(world)
    after(world, TERMS[Term.PUSH] - 1)
    before_the_deadline = recorded(world, Amphora.AgentNotConfigured)
    world.come_to_rest()

    assert before_the_deadline == 0
    assert recorded(world, Amphora.AgentNotConfigured) == 1
    assert world.store.amphora(amphora_id).stage == Stage.IN_SERVICE
    assert set(world.statuses(id).values()) == {ACTIVE}
