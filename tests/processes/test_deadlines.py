"""A step that does not come to its end shows ERROR with its reason at its deadline, not before, and heals later."""

from collections.abc import Callable
from uuid import UUID

import pytest

from amphora.driver import AmphoraAddress, ConfigurationRefused
from domain.fields import ProvisioningStatus
from infra.memory import Clock
from processes.actions import Term
from tests.processes.operations import SERVING, add_a_tree, break_the_first_amphora, change_a_member, one, the_pool
from tests.processes.world import TERMS, World

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR
PENDING_CREATE, PENDING_DELETE = ProvisioningStatus.PENDING_CREATE, ProvisioningStatus.PENDING_DELETE
PENDING_UPDATE = ProvisioningStatus.PENDING_UPDATE


def a_serving_world(clock: Clock) -> tuple[World, UUID]:
    world = World(clock)
    for step in SERVING:
        step(world)
    return world, one(world)


def after(world: World, seconds: float) -> None:
    """What happens within some seconds."""
    until = world.clock.now
    end = until.timestamp() + seconds
    while world.clock.now.timestamp() < end:
        if not world.step():
            world.clock.advance(0.25)


def reason(world: World, id: UUID) -> str:
    text: str = world.store.memory.tables["load_balancers"][(id,)].get("reason", "")
    return text


def test_a_build_may_take_longer_than_a_push_although_changes_wait_for_it(clock: Clock) -> None:
    world = World(clock)
    id = world.create()
    add_a_tree(world)
    world.driver.unreachable.add(world.amphora_of(id))

    after(world, (TERMS[Term.PUSH] + TERMS[Term.BUILD]) / 2)

    assert set(world.statuses(id).values()) == {PENDING_CREATE}


def test_the_first_push_has_a_deadline_of_its_own_however_long_the_build_took(clock: Clock) -> None:
    world = World(clock)
    id = world.create()
    amphora = world.amphora_of(id)
    world.driver.unreachable.add(amphora)
    after(world, 15)
    world.driver.unreachable.clear()
    add_a_tree(world)
    while amphora not in world.driver.vips:
        world.step()
        world.clock.advance(0.1)
    world.driver.unreachable.add(amphora)

    after(world, 2)

    assert set(world.statuses(id).values()) == {PENDING_CREATE}


def test_a_failed_build_is_an_error_with_step_and_reason_and_its_replacement_heals_it(clock: Clock) -> None:
    world = World(clock)
    id = world.create()
    add_a_tree(world)
    break_the_first_amphora(world)

    after(world, TERMS[Term.BUILD] + 6)

    assert set(world.statuses(id).values()) == {ERROR}
    assert reason(world, id) == "when requested: No valid host was found"

    world.come_to_rest()

    assert set(world.statuses(id).values()) == {ACTIVE}
    world.check_nothing_is_left_but(id)


def test_the_reason_of_a_failed_build_stays_while_its_replacement_is_built(clock: Clock) -> None:
    world = World(clock)
    id = world.create()
    world.compute.is_full = True
    failed = world.amphora_of(id)

    while world.amphora_of(id) == failed:
        after(world, 0.25)

    assert world.statuses(id)[id] == ERROR
    assert "No valid host was found" in reason(world, id)


def test_a_change_that_no_amphora_confirms_is_an_error_at_its_deadline_and_heals_later(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.driver.unreachable.add(world.amphora_of(id))
    change_a_member(world)

    after(world, TERMS[Term.PUSH] - 1)
    before_the_deadline = set(world.statuses(id).values())
    after(world, 7)

    assert before_the_deadline == {ACTIVE, PENDING_UPDATE}
    statuses = [status for status in world.statuses(id).values() if status]
    assert sorted(statuses) == [ACTIVE] * (len(statuses) - 1) + [ERROR]
    assert "not reachable" in reason(world, id)

    world.driver.unreachable.clear()
    world.come_to_rest()

    assert set(world.statuses(id).values()) == {ACTIVE}


def test_later_changes_do_not_push_the_deadline_of_an_earlier_one_back(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    world.driver.unreachable.add(world.amphora_of(id))
    (first, *_) = world.store.load_balancer(id).tree.members

    for _ in range(12):
        change_a_member(world)  # the same one each time is another change each time
        after(world, 1)

    assert world.store.load_balancer(id).progress.settled > world.store.load_balancer(id).progress.applied
    assert world.statuses(id)[first] in (ERROR, PENDING_UPDATE)


def refuse_all(amphora: AmphoraAddress, haproxy_cfg: str) -> ConfigurationRefused:
    return ConfigurationRefused("not today")


def test_what_is_refused_without_anybody_to_blame_is_not_pending_for_ever(clock: Clock) -> None:
    world, id = a_serving_world(clock)
    load_balancer = world.store.load_balancer(id)
    pool = the_pool(world).id
    gone = load_balancer.tree.members_of(pool)[0].id
    load_balancer.remove_member(pool, gone)
    world.save(load_balancer)
    world.driver.refuses = refuse_all

    after(world, TERMS[Term.PUSH] + 8)

    assert world.statuses(id)[gone] == ERROR
    assert "not today" in reason(world, id)

    world.driver.refuses = lambda amphora, haproxy_cfg: None
    world.come_to_rest()

    assert gone not in world.statuses(id)


@pytest.mark.parametrize("broken", ["remove", "release_vip"])
def test_a_deletion_that_cannot_be_finished_is_an_error_and_goes_on(
    broken: str, clock: Clock, fail: Callable[[World, str], Callable[[], None]]
) -> None:
    world, id = a_serving_world(clock)
    change_a_member(world)
    repaired = fail(world, broken)

    world.delete(id)
    after(world, TERMS[Term.DELETE] - 1)
    before_the_deadline = world.store.load_balancer(id).provisioning_status
    after(world, 7)

    assert before_the_deadline == PENDING_DELETE
    assert world.store.load_balancer(id).provisioning_status == ERROR
    assert "told so" in reason(world, id)
    assert not {PENDING_UPDATE, PENDING_CREATE} & set(world.statuses(id).values())

    repaired()
    world.come_to_rest()

    assert not world.load_balancers()
    world.check_nothing_is_left_but()
