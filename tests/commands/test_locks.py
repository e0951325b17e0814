"""Accept and queue, or the locks of old: what may be changed while a load balancer is not at rest."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest

from commands.health_monitor import AddHealthMonitor, HealthMonitorHandler
from commands.load_balancer import DeleteLoadBalancer, LoadBalancerHandler
from commands.pool import PoolHandler, RemovePool
from commands.ports import Origin
from domain.deployment import MOST_UNAPPLIED_CHANGES, Deployment
from domain.errors import HasChildren, Immutable, InUse, InvalidState
from domain.fields import ProvisioningStatus
from tests.commands.cases import CASES, Case, ids, redirected_to
from tests.commands.site import Site
from tests.given import a_health_monitor

STRICT = Deployment(strict_immutability=True)
LOCKED = [case for case in CASES if case.lock]
ITSELF = ("itself", "itself or failed")


@pytest.fixture
def site() -> Site:
    return Site(deployment=STRICT)


def of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=ids(cases))


def immutable(site: Site) -> str:
    return f"Load Balancer {site.id} is immutable and cannot be updated."


def invalid_state(site: Site) -> str:
    return f"Invalid state {site.now.provisioning_status} of loadbalancer resource {site.id}"


def fail_the_pool(site: Site) -> UUID:
    site.refuse(lambda it: it.change_pool(replace(site.pool, description="bad")), site.pool.id)
    return site.pool.id


def fail_the_policy(site: Site) -> UUID:
    site.refuse(lambda it: it.change_l7_policy(replace(site.policy, description="bad")), site.policy.id)
    return site.policy.id


def require_refused(case: Case, site: Site, text: str) -> None:
    command, events = case.command(site), site.events
    with pytest.raises((Immutable, InvalidState)) as refusal:
        case.carry_out(site, command)
    assert str(refusal.value) == text
    assert site.events == events


# Strict: as Octavia has it


@of(LOCKED)
def test_strict_what_is_at_rest_may_be_changed(case: Case, site: Site) -> None:
    case.carry_out(site, case.command(site))

    assert case.effect(site)


@of(LOCKED)
def test_strict_nothing_is_changed_while_the_load_balancer_is_pending(case: Case, site: Site) -> None:
    site.rename()
    assert site.now.provisioning_status == ProvisioningStatus.PENDING_UPDATE

    require_refused(case, site, invalid_state(site) if case.lock in ITSELF else immutable(site))


@of(LOCKED)
def test_strict_nothing_is_changed_while_anything_else_in_the_tree_is_pending(case: Case, site: Site) -> None:
    site.change(lambda it: it.change_listener(replace(site.listener, description="other")))

    require_refused(case, site, invalid_state(site) if case.lock in ITSELF else immutable(site))


@of(LOCKED)
def test_strict_a_failed_load_balancer_takes_only_deletion_and_failover(case: Case, site: Site) -> None:
    site.fail()
    assert site.now.provisioning_status == ProvisioningStatus.ERROR

    if case.lock == "itself or failed":
        case.carry_out(site, case.command(site))
        assert case.effect(site)
    else:
        require_refused(case, site, invalid_state(site) if case.lock == "itself" else immutable(site))


@of(LOCKED)
def test_strict_nothing_is_changed_while_the_load_balancer_is_being_deleted(case: Case, site: Site) -> None:
    site.change(lambda it: it.delete(cascade=True))

    require_refused(case, site, invalid_state(site) if case.lock in ITSELF else immutable(site))


@of(LOCKED)
def test_strict_only_members_and_monitors_need_their_pool_at_rest(case: Case, site: Site) -> None:
    pool_id = fail_the_pool(site)
    assert site.now.provisioning_status == ProvisioningStatus.ACTIVE

    if case.lock == "pool":
        require_refused(case, site, f"Pool {pool_id} is immutable and cannot be updated.")
    else:
        case.carry_out(site, case.command(site))


@of(LOCKED)
def test_strict_only_rules_need_their_policy_at_rest(case: Case, site: Site) -> None:
    policy_id = fail_the_policy(site)
    assert site.now.provisioning_status == ProvisioningStatus.ACTIVE

    if case.lock == "policy":
        require_refused(case, site, f"L7Policy {policy_id} is immutable and cannot be updated.")
    else:
        case.carry_out(site, case.command(site))


def test_strict_that_a_policy_needs_a_pool_is_said_before_the_lock(site: Site) -> None:
    redirected_to(site)
    assert site.now.provisioning_status == ProvisioningStatus.PENDING_UPDATE

    with pytest.raises(InUse) as refusal:
        PoolHandler(site.deciding).remove(RemovePool(site.id, site.pool.id, Origin()))

    assert str(refusal.value) == f"Pool {site.pool.id} is in use by L7 policy {site.policy.id}"


def test_strict_that_a_load_balancer_has_children_is_said_before_the_lock(site: Site) -> None:
    site.rename()

    with pytest.raises(HasChildren):
        LoadBalancerHandler(site.deciding, site, site).delete(DeleteLoadBalancer(site.id, False, Origin()))


def test_strict_a_new_monitor_needs_its_pool_at_rest(site: Site) -> None:
    site.change(lambda it: it.remove_health_monitor(site.monitor.id))
    fail_the_pool(site)
    handler = HealthMonitorHandler(site.deciding)

    with pytest.raises(Immutable) as refusal:
        handler.add(AddHealthMonitor(site.id, a_health_monitor(site.pool), Origin()))

    assert str(refusal.value) == f"Pool {site.pool.id} is immutable and cannot be updated."


# Accept and queue


def pending(site: Site) -> None:
    site.rename()


def failed(site: Site) -> None:
    site.fail()


@of(LOCKED)
@pytest.mark.parametrize("given", [pending, failed, fail_the_pool, fail_the_policy])
def test_whatever_waits_or_failed_another_change_is_accepted(case: Case, given: Callable[[Site], object]) -> None:
    site = Site()
    given(site)

    case.carry_out(site, case.command(site))

    assert case.effect(site)


@of([case for case in LOCKED if case.lock != "itself or failed" and case.handler.__name__ != "AmphoraHandler"])
def test_too_many_changes_that_wait_are_refused_with_the_words_that_clients_know(case: Case) -> None:
    site = Site()

    def change_often(load_balancer: object) -> None:
        for _ in range(MOST_UNAPPLIED_CHANGES):
            site_settings = load_balancer.settings  # type: ignore[attr-defined]
            load_balancer.change(site_settings)  # type: ignore[attr-defined]

    site.change(change_often)

    require_refused(case, site, invalid_state(site) if case.lock == "itself" else immutable(site))


def test_a_load_balancer_that_waits_for_too_much_can_still_be_deleted() -> None:
    site = Site()
    site.change(lambda it: [it.change(it.settings) for _ in range(MOST_UNAPPLIED_CHANGES)])
    deletion = next(case for case in CASES if case.asks == "loadbalancer_delete")

    deletion.carry_out(site, deletion.command(site))

    assert site.now.being_deleted


@pytest.mark.parametrize("lock", ITSELF)
def test_a_load_balancer_that_is_being_deleted_says_its_state(lock: str) -> None:
    for case in (case for case in LOCKED if case.lock == lock):
        site = Site()
        command = case.command(site)
        site.change(lambda it: it.delete(cascade=True))

        with pytest.raises(InvalidState) as refusal:
            case.carry_out(site, command)

        assert str(refusal.value) == invalid_state(site)
