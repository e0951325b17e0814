"""What users see of a change: who is PENDING with whom, what `If-Match` sees, and what becomes of refusals."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.errors import (
    Immutable,
)
from domain.fields import ProvisioningStatus
from domain.l7_policy import L7Policy
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.pool import Pool
from tests.domain.invariants import check_tree
from tests.domain.planted import Planted
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    an_active_load_balancer,
    an_l7_policy,
    an_l7_rule,
    confirm,
    refuse,
)

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR
PENDING_CREATE, PENDING_UPDATE = ProvisioningStatus.PENDING_CREATE, ProvisioningStatus.PENDING_UPDATE


@pytest.fixture
def planted() -> Planted:
    return Planted()


# Who is shown PENDING with whom (the listener by its default pool and by its policy)

CHANGES: dict[str, tuple[Callable[[Planted], None], set[str]]] = {
    "load balancer": (lambda p: p.load_balancer.change(LoadBalancerSettings(name="new")), {"load_balancer"}),
    "listener": (lambda p: p.load_balancer.change_listener(_listener(p)), {"load_balancer", "listener"}),
    "pool": (lambda p: p.load_balancer.change_pool(p.pool), {"load_balancer", "listener", "pool"}),
    "member": (lambda p: p.load_balancer.change_member(p.member), {"load_balancer", "listener", "pool", "member"}),
    "health monitor": (
        lambda p: p.load_balancer.change_health_monitor(p.monitor),
        {"load_balancer", "listener", "pool", "monitor"},
    ),
    "policy": (lambda p: p.load_balancer.change_l7_policy(p.policy), {"load_balancer", "listener", "policy"}),
    "rule": (lambda p: p.load_balancer.change_l7_rule(p.rule), {"load_balancer", "listener", "policy", "rule"}),
}


def _listener(planted: Planted) -> Listener:
    return planted.load_balancer.tree.listeners[planted.listener.id]


@pytest.mark.parametrize("name", CHANGES)
def test_change_shows_these_pending_and_no_others(planted: Planted, name: str) -> None:
    change, shown = CHANGES[name]

    change(planted)

    assert planted.pending == shown
    confirm(planted.load_balancer)
    assert planted.pending == set()


@pytest.mark.parametrize("way", ["default", "policy", "disabled policy", "policy without rules"])
def test_change_of_a_pool_shows_the_listeners_pending_that_send_traffic_to_it(way: str) -> None:
    it, listener, pool = an_active_load_balancer(), a_listener(), a_pool()
    it.add_listener(listener)
    it.add_pool(pool, listener.id if way == "default" else None)
    if way != "default":
        policy = an_l7_policy(
            listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool.id, admin_state_up=way != "disabled policy"
        )
        it.add_l7_policy(policy)
        if way != "policy without rules":
            it.add_l7_rule(an_l7_rule(policy))
    confirm(it)

    it.add_member(a_member(pool))

    assert it.status_of(listener.id) == (PENDING_UPDATE if way in ("default", "policy") else ACTIVE)


# What If-Match sees


def test_tag_changes_with_the_settings_and_with_nothing_else(planted: Planted) -> None:
    it = planted.load_balancer
    before = {name: it.edited(thing.id) for name, thing in vars(planted).items()}

    it.change_member(replace(planted.member, weight=7))
    confirm(it)

    after = {name: it.edited(thing.id) for name, thing in vars(planted).items()}
    assert {name for name in before if before[name] != after[name]} == {"member"}


@pytest.mark.parametrize("way", ["given a default pool", "losing its default pool"])
def test_tag_of_a_listener_follows_its_default_pool(way: str) -> None:
    it, listener, pool = an_active_load_balancer(), a_listener(), a_pool()
    it.add_listener(listener)
    before = it.edited(listener.id)
    it.add_pool(pool, listener.id)
    with_pool = it.edited(listener.id)
    it.remove_pool(pool.id)

    assert (with_pool != before) if way == "given a default pool" else (it.edited(listener.id) != with_pool)


def test_trying_again_what_was_refused_changes_no_tag() -> None:
    it, pool = an_active_load_balancer(), a_pool()
    member = a_member(pool)
    it.add_pool(pool)
    it.add_member(member)
    refuse(it, pool.id)
    before = it.edited(member.id)

    it.change_pool(replace(pool, name="better"))

    assert it.edited(member.id) == before
    assert it.status_of(member.id) == PENDING_UPDATE


def test_what_is_not_there_has_no_tag() -> None:
    assert a_load_balancer().edited(uuid4()) is None


# What was refused


def new_tree() -> tuple[LoadBalancer, Listener, Pool, L7Policy]:
    """Nothing of it ever ran."""
    it, listener, pool = an_active_load_balancer(), a_listener(), a_pool()
    policy = an_l7_policy(listener)
    it.add_listener(listener)
    it.add_pool(pool, listener.id)
    it.add_l7_policy(policy)
    return it, listener, pool, policy


def test_below_what_never_ran_nothing_is_added() -> None:
    it, listener, pool, policy = new_tree()
    refuse(it, listener.id, pool.id)
    decisions: list[tuple[Callable[[], None], str]] = [
        (lambda: it.add_member(a_member(pool)), f"Pool {pool.id}"),
        (lambda: it.add_health_monitor(a_health_monitor(pool)), f"Pool {pool.id}"),
        (lambda: it.add_l7_policy(an_l7_policy(listener)), f"Listener {listener.id}"),
        (lambda: it.add_l7_rule(an_l7_rule(policy)), f"L7Policy {policy.id}"),
    ]

    for decide, what in decisions:
        with pytest.raises(Immutable) as refusal:
            decide()
        assert str(refusal.value) == f"{what} is immutable and cannot be updated."


def test_what_was_refused_with_a_parent_is_tried_again_with_it() -> None:
    it, listener, _, policy = new_tree()
    rule = an_l7_rule(policy)
    it.add_l7_rule(rule)
    refuse(it, listener.id)
    assert {it.status_of(each.id) for each in (listener, policy, rule)} == {ERROR}

    it.change_listener(replace(it.tree.listeners[listener.id], name="better"))

    assert {it.status_of(each.id) for each in (listener, policy, rule)} == {PENDING_UPDATE}
    confirm(it)
    assert {it.status_of(each.id) for each in (listener, policy, rule)} == {ACTIVE}


@pytest.mark.parametrize("mend", ["changed", "removed"])
def test_policy_that_was_refused_for_a_rule_is_tried_again_when_the_rule_is_mended(mend: str) -> None:
    it, _, _, policy = new_tree()
    good, bad = an_l7_rule(policy), an_l7_rule(policy, value="/bad")
    it.add_l7_rule(good)
    it.add_l7_rule(bad)
    refuse(it, bad.id)
    assert {it.status_of(each.id) for each in (policy, good, bad)} == {ERROR}

    if mend == "changed":
        it.change_l7_rule(replace(bad, value="/mended"))
    else:
        it.remove_l7_rule(policy.id, bad.id)

    assert {it.status_of(each.id) for each in (policy, good)} == {PENDING_UPDATE}
    confirm(it)
    assert {it.status_of(each.id) for each in (policy, good)} == {ACTIVE}


def test_policy_that_ran_goes_on_when_a_new_rule_is_refused(planted: Planted) -> None:
    bad = an_l7_rule(planted.policy)
    planted.load_balancer.add_l7_rule(bad)

    refuse(planted.load_balancer, bad.id)

    assert planted.load_balancer.status_of(bad.id) == ERROR
    assert planted.load_balancer.status_of(planted.policy.id) == ACTIVE


def test_rule_that_was_mended_meanwhile_is_not_held_against_its_policy() -> None:
    it, _, _, policy = new_tree()
    rule = an_l7_rule(policy)
    it.add_l7_rule(rule)
    refused = it.revision
    it.change_l7_rule(replace(rule, value="/mended"))

    it.configuration_is_refused(it.amphora_ids[0], refused, {rule.id: "no"})

    assert it.status_of(policy.id) == PENDING_CREATE


def test_what_an_amphora_said_of_an_object_is_kept_when_its_parent_is_refused_too() -> None:
    it, _, _, policy = new_tree()
    rule = an_l7_rule(policy)
    it.add_l7_rule(rule)

    it.configuration_is_refused(it.amphora_ids[0], it.revision, {rule.id: "no such path"})

    words = {blame.ref.id: blame.words for blame in it.pending_events[-1].blamed}
    assert words == {rule.id: "no such path", policy.id: "One of its rules was refused: no such path"}


# Deadlines


def test_a_change_that_is_not_confirmed_in_time_is_an_error_and_heals_when_it_is(planted: Planted) -> None:
    it, minute = planted.load_balancer, timedelta(seconds=60)
    it.change_l7_rule(replace(planted.rule, invert=True))

    it.deadline_is_reached(it.modified_on + minute, minute, "push", "no answer")
    late = it.status_of(planted.rule.id), it.status_of(planted.policy.id), it.provisioning_status
    confirm(it)

    assert late == (ERROR, ACTIVE, ACTIVE), "only what was changed itself"
    assert it.status_of(planted.rule.id) == ACTIVE


# Statuses that are set by hand


def test_status_that_was_set_by_hand_is_shown_until_the_object_is_changed(planted: Planted) -> None:
    it = planted.load_balancer
    it.set_statuses({planted.pool.id: ERROR, it.id: PENDING_UPDATE, uuid4(): ERROR})
    assert (it.status_of(planted.pool.id), it.provisioning_status) == (ERROR, PENDING_UPDATE)

    it.change_pool(planted.pool)

    assert it.status_of(planted.pool.id) == PENDING_UPDATE
    confirm(it)
    assert (it.status_of(planted.pool.id), it.provisioning_status) == (ACTIVE, ACTIVE)


def test_statuses_that_were_set_by_hand_can_be_released(planted: Planted) -> None:
    it = planted.load_balancer
    it.set_statuses({planted.pool.id: ERROR})

    it.release_statuses()

    assert it.status_of(planted.pool.id) == ACTIVE


def test_what_is_said_to_be_deleted_is_gone_with_all_below_it(planted: Planted) -> None:
    it = planted.load_balancer

    it.set_statuses({}, deleted=[planted.listener.id])

    assert {it.status_of(each.id) for each in (planted.listener, planted.policy, planted.rule)} == {None}
    check_tree(it)


@pytest.mark.parametrize("name", ["pool", "policy", "rule", "member", "monitor", "listener"])
def test_nothing_refers_to_what_is_said_to_be_deleted(planted: Planted, name: str) -> None:
    it = planted.load_balancer
    it.add_l7_policy(an_l7_policy(planted.listener))

    it.set_statuses({}, deleted=[getattr(planted, name).id])

    check_tree(it)


def test_load_balancer_that_is_said_to_be_deleted_is(planted: Planted) -> None:
    planted.load_balancer.set_statuses({}, deleted=[planted.load_balancer.id])

    assert planted.load_balancer.deleted
