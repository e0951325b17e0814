"""The rules of a load balancer's tree, one by one: who may be there with whom, and who goes with whom."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from uuid import UUID, uuid4

import pytest

from domain.errors import (
    ChildrenNotAllowed,
    DefaultPoolTaken,
    DuplicateHealthMonitor,
    DuplicateListener,
    DuplicateMember,
    InUse,
    Invalid,
    NotFound,
    ProtocolMismatch,
)
from domain.fields import ProvisioningStatus
from domain.l7_rule import MOST_RULES, TooManyRules
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.member import VnicType
from domain.pool import SessionPersistence, SessionPersistenceType
from domain.vip import AdditionalVip
from tests.domain.planted import Planted
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    a_vip,
    an_active_load_balancer,
    an_l7_policy,
    an_l7_rule,
)

ACTIVE = ProvisioningStatus.ACTIVE
PENDING_UPDATE = ProvisioningStatus.PENDING_UPDATE
PENDING_DELETE = ProvisioningStatus.PENDING_DELETE
VF = "Validation failure: "


@pytest.fixture
def planted() -> Planted:
    return Planted()


# Ports


def test_listener_is_refused_when_its_port_is_taken() -> None:
    load_balancer = an_active_load_balancer()
    load_balancer.add_listener(a_listener(protocol="HTTP", protocol_port=80))

    with pytest.raises(DuplicateListener) as refusal:
        load_balancer.add_listener(a_listener(protocol="TCP", protocol_port=80))

    assert str(refusal.value) == (
        "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"
    )


def test_transports_have_ports_of_their_own() -> None:
    load_balancer = an_active_load_balancer()

    for protocol in ("HTTP", "UDP", "SCTP"):
        load_balancer.add_listener(a_listener(protocol=protocol, protocol_port=80))

    assert len(load_balancer.tree.listeners) == 3


def test_port_of_a_listener_that_is_being_deleted_is_free_at_once(planted: Planted) -> None:
    planted.load_balancer.remove_listener(planted.listener.id)

    planted.load_balancer.add_listener(a_listener())

    assert planted.load_balancer.status_of(planted.listener.id) == PENDING_DELETE


# Pools


def test_pool_becomes_the_default_of_its_listener_once() -> None:
    load_balancer, listener, pool = an_active_load_balancer(), a_listener(), a_pool()
    load_balancer.add_listener(listener)
    load_balancer.add_pool(pool, listener.id)

    with pytest.raises(DefaultPoolTaken, match="This listener already has a default pool"):
        load_balancer.add_pool(a_pool(), listener.id)

    assert load_balancer.tree.listeners[listener.id].default_pool_id == pool.id


def test_pool_of_another_protocol_is_refused_as_default_however_it_is_said(planted: Planted) -> None:
    other, listener = a_pool(protocol="HTTPS"), a_listener(protocol_port=81)
    it = planted.load_balancer
    it.add_pool(other)
    it.add_listener(listener)

    decisions: list[Callable[[], None]] = [
        lambda: it.add_listener(a_listener(protocol_port=82, default_pool_id=other.id)),
        lambda: it.change_listener(replace(listener, default_pool_id=other.id)),
        lambda: it.add_pool(a_pool(protocol="HTTPS"), listener.id),
        lambda: it.add_l7_policy(an_l7_policy(listener, redirect_pool_id=other.id)),
        lambda: it.change_l7_policy(replace(planted.policy, redirect_pool_id=other.id)),
    ]
    for decide in decisions:
        with pytest.raises(ProtocolMismatch):
            decide()


def test_pool_that_is_not_there_is_not_found_however_it_is_said(planted: Planted) -> None:
    nothing, it = uuid4(), planted.load_balancer
    decisions: list[Callable[[], None]] = [
        lambda: it.add_listener(a_listener(protocol_port=82, default_pool_id=nothing)),
        lambda: it.change_listener(replace(planted.listener, default_pool_id=nothing)),
        lambda: it.add_l7_policy(an_l7_policy(planted.listener, redirect_pool_id=nothing)),
        lambda: it.change_l7_policy(replace(planted.policy, redirect_pool_id=nothing)),
    ]

    for decide in decisions:
        with pytest.raises(NotFound) as refusal:
            decide()
        assert str(refusal.value) == f"Pool {nothing} not found."


def test_what_shows_metrics_has_no_children() -> None:
    it, metrics, pool = an_active_load_balancer(), a_listener(protocol="PROMETHEUS"), a_pool()
    it.add_listener(metrics)
    it.add_pool(pool)

    decisions: list[Callable[[], None]] = [
        lambda: it.add_pool(a_pool(), metrics.id),
        lambda: it.add_l7_policy(an_l7_policy(metrics)),
        lambda: it.change_listener(replace(metrics, default_pool_id=pool.id)),
        lambda: it.add_listener(a_listener(protocol="PROMETHEUS", protocol_port=9, default_pool_id=pool.id)),
    ]
    for decide in decisions:
        with pytest.raises(ChildrenNotAllowed) as refusal:
            decide()
        assert str(refusal.value) == "Protocol PROMETHEUS listeners cannot have child objects."


def test_pool_in_use_by_a_policy_is_not_removed(planted: Planted) -> None:
    with pytest.raises(InUse) as refusal:
        planted.load_balancer.remove_pool(planted.pool.id)

    assert str(refusal.value) == f"Pool {planted.pool.id} is in use by L7 policy {planted.policy.id}"


@pytest.mark.parametrize("way", ["policy removed", "policy redirected", "listener removed"])
def test_pool_is_removed_once_no_policy_uses_it(planted: Planted, way: str) -> None:
    it = planted.load_balancer
    if way == "policy removed":
        it.remove_l7_policy(planted.policy.id)
    elif way == "policy redirected":
        it.change_l7_policy(planted.policy.changed_by({"redirect_url": "http://example.org/"}))
    else:
        it.remove_listener(planted.listener.id)

    it.remove_pool(planted.pool.id)

    assert not it.tree.pools


def test_pool_takes_its_members_and_its_monitor_with_it_and_detaches_its_listeners(planted: Planted) -> None:
    planted.load_balancer.remove_l7_policy(planted.policy.id)

    planted.load_balancer.remove_pool(planted.pool.id)

    tree = planted.load_balancer.tree
    assert [tree.pools, tree.members, tree.health_monitors] == [{}, {}, {}]
    assert tree.listeners[planted.listener.id].default_pool_id is None
    for gone in (planted.pool, planted.member, planted.monitor):
        assert planted.load_balancer.status_of(gone.id) == PENDING_DELETE
    assert planted.load_balancer.status_of(planted.listener.id) == PENDING_UPDATE


def test_checks_of_a_new_pool_come_in_the_order_of_the_contract(planted: Planted) -> None:
    """The protocol, session persistence, whether there is a default pool, and only then TLS."""
    app_cookie = SessionPersistence(type=SessionPersistenceType.APP_COOKIE)
    wrong = {"protocol": "HTTPS", "session_persistence": app_cookie, "crl_container_ref": "ref"}
    steps: list[tuple[str, type[Exception]]] = [
        ("protocol", ProtocolMismatch),
        ("session_persistence", Invalid),
        ("", DefaultPoolTaken),
    ]

    for mend, error in steps:
        with pytest.raises(error):
            planted.load_balancer.add_pool(a_pool(**wrong), planted.listener.id)
        wrong.pop(mend, None)
    with pytest.raises(Invalid, match="revocation list"):
        planted.load_balancer.add_pool(a_pool(**wrong))


# Members and health monitors


def test_member_is_refused_when_its_address_and_port_are_taken_in_its_pool(planted: Planted) -> None:
    with pytest.raises(DuplicateMember) as refusal:
        planted.load_balancer.add_member(a_member(planted.pool))

    assert str(refusal.value) == "Another member on this pool is already using ip 127.0.0.9 on protocol_port 8080"


def test_another_pool_may_have_the_same_member(planted: Planted) -> None:
    other = a_pool()
    planted.load_balancer.add_pool(other)

    planted.load_balancer.add_member(a_member(other))

    assert len(planted.load_balancer.tree.members_of(other.id)) == 1


def test_batch_may_give_the_place_of_a_member_that_it_removes_to_another(planted: Planted) -> None:
    other = a_member(planted.pool)

    planted.load_balancer.replace_members(planted.pool.id, Batch(added=(other,), removed=(planted.member.id,)))

    assert planted.load_balancer.tree.members == {other.id: other}


def test_batch_that_adds_the_same_member_twice_is_refused_whole(planted: Planted) -> None:
    twice = (a_member(planted.pool, protocol_port=1), a_member(planted.pool, protocol_port=1))

    with pytest.raises(DuplicateMember):
        planted.load_balancer.replace_members(planted.pool.id, Batch(added=twice))

    assert list(planted.load_balancer.tree.members) == [planted.member.id]


def test_member_of_another_pool_is_not_found(planted: Planted) -> None:
    other = a_pool()
    planted.load_balancer.add_pool(other)

    with pytest.raises(NotFound) as refusal:
        planted.load_balancer.remove_member(other.id, planted.member.id)

    assert str(refusal.value) == f"Member {planted.member.id} not found."


def test_pool_has_one_health_monitor(planted: Planted) -> None:
    with pytest.raises(DuplicateHealthMonitor, match="This pool already has a health monitor"):
        planted.load_balancer.add_health_monitor(a_health_monitor(planted.pool))

    planted.load_balancer.remove_health_monitor(planted.monitor.id)
    planted.load_balancer.add_health_monitor(a_health_monitor(planted.pool))


# L7 policies and rules


def test_positions_stay_dense_whatever_is_put_in_moved_and_taken_out() -> None:
    random, it, listener = Random(7), an_active_load_balancer(), a_listener()
    it.add_listener(listener)
    expected: list[UUID] = []

    for _ in range(200):
        if expected and random.random() < 0.3:
            gone = expected.pop(random.randrange(len(expected)))
            it.remove_l7_policy(gone)
        elif expected and random.random() < 0.5:
            moved, position = random.choice(expected), random.randint(1, len(expected) + 2)
            expected.remove(moved)
            expected.insert(position - 1, moved)
            it.change_l7_policy(replace(it.tree.l7_policies[moved], position=position))
        else:
            new, position = an_l7_policy(listener), random.randint(1, len(expected) + 3)
            expected.insert(position - 1, new.id)
            it.add_l7_policy(replace(new, position=position))
        found = it.tree.policies_of(listener.id)
        assert [policy.id for policy in found] == expected
        assert [policy.position for policy in found] == list(range(1, len(expected) + 1))


def test_policies_of_another_listener_do_not_move(planted: Planted) -> None:
    other = a_listener(protocol_port=81)
    planted.load_balancer.add_listener(other)

    planted.load_balancer.add_l7_policy(an_l7_policy(other, position=1))

    assert planted.load_balancer.tree.l7_policies[planted.policy.id].position == 1


def test_policies_that_move_by_the_way_get_another_tag_but_are_not_pending(planted: Planted) -> None:
    it = planted.load_balancer
    before = it.edited(planted.policy.id)

    it.add_l7_policy(an_l7_policy(planted.listener, position=1))

    assert it.edited(planted.policy.id) != before
    assert it.status_of(planted.policy.id) == ACTIVE


def test_policy_takes_its_rules_with_it_and_a_listener_its_policies(planted: Planted) -> None:
    planted.load_balancer.remove_listener(planted.listener.id)

    tree = planted.load_balancer.tree
    assert [tree.listeners, tree.l7_policies, tree.l7_rules] == [{}, {}, {}]
    assert planted.pool.id in tree.pools
    for gone in (planted.listener, planted.policy, planted.rule):
        assert planted.load_balancer.status_of(gone.id) == PENDING_DELETE


def test_policy_has_so_many_rules_and_no_more(planted: Planted) -> None:
    for _ in range(MOST_RULES - 1):
        planted.load_balancer.add_l7_rule(an_l7_rule(planted.policy))

    with pytest.raises(TooManyRules) as refusal:
        planted.load_balancer.add_l7_rule(an_l7_rule(planted.policy))

    assert str(refusal.value) == f"Too many rules on L7 policy {planted.policy.id}"


def test_rule_of_another_policy_is_not_found(planted: Planted) -> None:
    other = an_l7_policy(planted.listener)
    planted.load_balancer.add_l7_policy(other)

    with pytest.raises(NotFound) as refusal:
        planted.load_balancer.remove_l7_rule(other.id, planted.rule.id)

    assert str(refusal.value) == f"L7 Rule {planted.rule.id} not found."


# VIP and settings


def test_networks_may_connect_that_one_of_the_vips_is_reached_from() -> None:
    more = (AdditionalVip(subnet_id=uuid4(), ip_address="2001:db8::7"),)
    one, two = a_load_balancer(), a_load_balancer(vip=a_vip(additional=more))
    listener = a_listener(allowed_cidrs=("2001:db8::/32",))

    two.add_listener(listener)
    with pytest.raises(Invalid) as refusal:
        one.add_listener(listener)

    assert str(refusal.value) == (
        f"{VF}CIDR 2001:db8::/32 IP version incompatible with all VIPs ['127.20.0.7'] IP version."
    )


def test_networks_that_may_connect_and_security_groups_exclude_each_other() -> None:
    load_balancer, listener = a_load_balancer(settings=LoadBalancerSettings(vip_sg_ids=(uuid4(),))), a_listener()
    load_balancer.add_listener(listener)
    limited = replace(listener, allowed_cidrs=("10.0.0.0/8",))

    for decide in (
        lambda: load_balancer.add_listener(replace(limited, id=uuid4(), protocol_port=81)),
        lambda: load_balancer.change_listener(limited),
    ):
        with pytest.raises(Invalid) as refusal:
            decide()
        assert str(refusal.value) == (f"{VF}Allowed CIDRs are not allowed when using custom VIP Security Groups.")


def test_direct_ports_have_no_security_groups() -> None:
    load_balancer = a_load_balancer(vip=a_vip(vnic_type=VnicType.DIRECT))

    with pytest.raises(Invalid) as refusal:
        load_balancer.change(LoadBalancerSettings(vip_sg_ids=(uuid4(),)))

    assert str(refusal.value) == f"{VF}VIP Security Groups are not allowed with VNIC direct type"
