"""The rules of a load balancer's tree, one by one: who may be there with whom, and who goes with whom."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

import pytest

from domain.errors import (
    ChildrenNotAllowed,
    DefaultPoolTaken,
    DuplicateHealthMonitor,
    DuplicateListener,
    DuplicateMember,
    HasChildren,
    Immutable,
    InUse,
    Invalid,
    InvalidState,
    NotFound,
    ProtocolMismatch,
)
from domain.fields import ProvisioningStatus
from domain.l7_policy import L7Policy
from domain.l7_rule import MOST_RULES, TooManyRules
from domain.listener import Listener
from domain.load_balancer import MOST_UNAPPLIED_CHANGES, LoadBalancer
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.member import VnicType
from domain.pool import Pool, SessionPersistence, SessionPersistenceType
from domain.vip import AdditionalVip
from tests.domain.invariants import check_tree
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
    confirm,
)

ACTIVE, ERROR = ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR
PENDING_CREATE, PENDING_UPDATE = ProvisioningStatus.PENDING_CREATE, ProvisioningStatus.PENDING_UPDATE
PENDING_DELETE = ProvisioningStatus.PENDING_DELETE
VF = "Validation failure: "


class Planted:
    """An ACTIVE load balancer with one of everything: the pool is the listener's default, and redirected to."""

    def __init__(self) -> None:
        self.listener, self.pool = a_listener(), a_pool()
        self.policy = an_l7_policy(self.listener, action="REDIRECT_TO_POOL", redirect_pool_id=self.pool.id)
        self.rule = an_l7_rule(self.policy)
        self.member, self.monitor = a_member(self.pool), a_health_monitor(self.pool)
        self.load_balancer = it = a_load_balancer()
        it.add_listener(self.listener)
        it.add_pool(self.pool, self.listener.id)
        it.add_l7_policy(self.policy)
        it.add_l7_rule(self.rule)
        it.add_member(self.member)
        it.add_health_monitor(self.monitor)
        confirm(it)

    @property
    def pending(self) -> set[str]:
        """Names of what is not ACTIVE, with the load balancer itself."""
        named = {name: thing.id for name, thing in vars(self).items()}
        return {name for name, id in named.items() if self.load_balancer.status_of(id) not in (ACTIVE, None)}


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


def refuse(load_balancer: LoadBalancer, *ids: UUID) -> None:
    amphora_id = load_balancer.amphora_ids[0]
    load_balancer.configuration_is_refused(amphora_id, load_balancer.revision, dict.fromkeys(ids, "no"))
    confirm(load_balancer)


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


# Locks of old


def test_at_rest_is_what_is_active_with_all_that_is_named(planted: Planted) -> None:
    planted.load_balancer.require_at_rest([planted.pool.id, planted.policy.id])
    planted.load_balancer.require_state(ACTIVE)


def test_what_is_not_there_does_not_disturb_rest(planted: Planted) -> None:
    planted.load_balancer.require_at_rest([uuid4()])


@pytest.mark.parametrize(("name", "title"), [("pool", "Pool"), ("policy", "L7Policy")])
def test_what_is_refused_is_not_at_rest(planted: Planted, name: str, title: str) -> None:
    it, thing = planted.load_balancer, getattr(planted, name)
    {"pool": it.change_pool, "policy": it.change_l7_policy}[name](replace(thing, name="bad"))
    refuse(it, thing.id)
    assert it.provisioning_status == ACTIVE

    with pytest.raises(Immutable) as refusal:
        it.require_at_rest([thing.id])

    assert str(refusal.value) == f"{title} {thing.id} is immutable and cannot be updated."


def test_a_state_that_is_not_allowed_is_named(planted: Planted) -> None:
    planted.load_balancer.change(LoadBalancerSettings(name="new"))

    with pytest.raises(InvalidState) as refusal:
        planted.load_balancer.require_state(ACTIVE, ERROR)

    assert str(refusal.value) == f"Invalid state PENDING_UPDATE of loadbalancer resource {planted.load_balancer.id}"


def test_too_many_changes_that_wait_are_enough() -> None:
    it = an_active_load_balancer()
    for _ in range(MOST_UNAPPLIED_CHANGES):
        it.change(it.settings)

    with pytest.raises(InvalidState):
        it.change(it.settings)
    with pytest.raises(Immutable):
        it.add_listener(a_listener())

    confirm(it)
    it.add_listener(a_listener())


# Deletion


def test_load_balancer_with_children_is_deleted_with_them_only(planted: Planted) -> None:
    it = planted.load_balancer

    with pytest.raises(HasChildren) as refusal:
        it.delete(cascade=False)
    it.delete(cascade=True)

    assert str(refusal.value) == f"{VF}Cannot delete Load Balancer {it.id} - it has children"
    assert it.provisioning_status == PENDING_DELETE
    assert it.status_of(planted.pool.id) == ACTIVE, "children keep their states"


def test_load_balancer_without_children_is_deleted() -> None:
    it = an_active_load_balancer()

    it.delete(cascade=False)

    assert it.provisioning_status == PENDING_DELETE


def test_load_balancer_that_is_being_deleted_is_deleted_once(planted: Planted) -> None:
    it = planted.load_balancer
    it.delete(cascade=True)

    with pytest.raises(HasChildren):
        it.delete(cascade=False)
    with pytest.raises(InvalidState) as refusal:
        it.delete(cascade=True)
    assert str(refusal.value) == f"Invalid state PENDING_DELETE of loadbalancer resource {it.id}"


def test_deletion_that_is_overdue_can_be_asked_for_again(planted: Planted) -> None:
    it = planted.load_balancer
    it.delete(cascade=True)
    it.deletion_is_overdue("release the VIP", "no answer")
    assert it.provisioning_status == ERROR

    it.delete(cascade=True)

    assert it.provisioning_status == PENDING_DELETE


# Failover


def test_failover_is_one_at_a_time() -> None:
    first, second = uuid4(), uuid4()
    it = an_active_load_balancer(amphora_ids=(first,))
    it.request_failover()
    it.replace_amphora(first, second, "failover was asked for")
    assert it.provisioning_status == PENDING_UPDATE

    with pytest.raises(InvalidState) as refusal:
        it.request_failover()

    assert str(refusal.value) == f"Invalid state PENDING_UPDATE of loadbalancer resource {it.id}"
    confirm(it)
    it.request_failover()


def test_failover_waits_for_the_first_amphora() -> None:
    with pytest.raises(InvalidState):
        a_load_balancer().request_failover()


def test_failover_gets_a_load_balancer_out_of_error_although_no_amphora_serves() -> None:
    amphora_id = uuid4()
    it = a_load_balancer(amphora_ids=(amphora_id,))
    it.amphora_has_failed(amphora_id, "boot", "no host")
    assert it.provisioning_status == ERROR

    it.request_failover()

    assert it.provisioning_status == PENDING_CREATE


def test_failover_is_refused_while_the_load_balancer_is_being_deleted() -> None:
    it = an_active_load_balancer()
    it.delete(cascade=True)

    with pytest.raises(InvalidState):
        it.request_failover()


# Without amphorae


def test_provider_without_amphorae_confirms_under_the_load_balancers_own_id() -> None:
    it = a_load_balancer(amphora_ids=())
    it.add_listener(a_listener())

    it.configuration_is_applied(uuid4(), it.revision, "")
    assert it.provisioning_status == PENDING_CREATE
    it.configuration_is_applied(it.id, it.revision, "")

    assert it.provisioning_status == ACTIVE


def test_load_balancer_with_amphorae_does_not_confirm_itself() -> None:
    it = a_load_balancer()

    it.configuration_is_applied(it.id, it.revision, "")

    assert it.provisioning_status == PENDING_CREATE


def test_last_amphora_that_goes_does_not_make_the_load_balancer_one_without() -> None:
    amphora_id = uuid4()
    it = an_active_load_balancer(amphora_ids=(amphora_id,))
    it.delete(cascade=True)
    it.amphora_is_gone(amphora_id)

    assert not it.runs_on(it.id)


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


def test_load_balancer_that_is_said_to_be_deleted_is(planted: Planted) -> None:
    planted.load_balancer.set_statuses({}, deleted=[planted.load_balancer.id])

    assert planted.load_balancer.deleted
