"""Statuses: what each accepted call shows as pending, how it ends, what locks refuse, and what may not be deleted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.conftest import IMMUTABLE, PROJECT, Answer, ContractApi, Document

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

PC, PU, PD = "PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE"
MISSING = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id


@dataclass(frozen=True)
class Tree:
    """Path of every object of one load balancer, by a name of ours.

    web, plain      listeners; web has the default pool `served`
    served          the pool with a member and a health monitor
    chosen          the pool that an enabled policy of `plain` with a rule redirects to
    ruleless        the pool that a policy without a rule redirects to
    disabled        the pool that a disabled policy with a rule redirects to
    """

    api: ContractApi
    paths: Mapping[str, str]

    def id(self, name: str) -> str:
        return self.paths[name].rpartition("/")[2]

    def ask(self, method: str, path: str, body: object = None) -> Answer:
        """path: with names in braces"""
        return self.api(method, path.format(**self.paths), self._filled(body))

    def _filled(self, body: Any) -> Any:
        if isinstance(body, dict):
            return {key: self._filled(value) for key, value in body.items()}
        return self.id(body[1:]) if isinstance(body, str) and body.startswith("@") else body

    def statuses(self) -> dict[str, str]:
        """Of all that is not ACTIVE."""
        shown = {name: self.api.show(path)["provisioning_status"] for name, path in self.paths.items()}
        return {name: status for name, status in shown.items() if status != "ACTIVE"}


@pytest.fixture
def tree(api: ContractApi) -> Tree:
    load_balancer = api.load_balancer()
    web = api.listener(load_balancer)
    plain = api.listener(load_balancer, protocol_port=81)
    pools = {"served": api.pool(load_balancer, listener_id=web["id"])}
    policies: dict[str, Document] = {}
    for name, up in (("chosen", True), ("ruleless", True), ("disabled", False)):
        pools[name] = api.pool(load_balancer)
        said = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pools[name]["id"], "admin_state_up": up}
        policies[name] = api.l7_policy(load_balancer, plain, **said)
    member = api.member(load_balancer, pools["served"])
    monitor = api.health_monitor(load_balancer, pools["served"])
    rule = api.l7_rule(load_balancer, policies["chosen"])
    api.l7_rule(load_balancer, policies["disabled"])
    paths = {
        "lb": f"/loadbalancers/{load_balancer['id']}",
        "web": f"/listeners/{web['id']}",
        "plain": f"/listeners/{plain['id']}",
        **{name: f"/pools/{pool['id']}" for name, pool in pools.items()},
        **{f"{name}_policy": f"/l7policies/{policy['id']}" for name, policy in policies.items()},
        "member": f"/pools/{pools['served']['id']}/members/{member['id']}",
        "monitor": f"/healthmonitors/{monitor['id']}",
        "rule": f"/l7policies/{policies['chosen']['id']}/rules/{rule['id']}",
    }
    return Tree(api, paths)


POOL = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MONITOR = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
RULE = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
IN_SERVED = {"lb": PU, "web": PU, "served": PU}
CALLS: dict[str, tuple[str, str, object, dict[str, str]]] = {
    "load balancer changed": ("PUT", "{lb}", {"loadbalancer": {}}, {"lb": PU}),
    "failover": ("PUT", "{lb}/failover", None, {"lb": PU}),
    "load balancer deleted": ("DELETE", "{lb}?cascade=true", None, {"lb": PD}),
    "listener changed": ("PUT", "{web}", {"listener": {}}, {"lb": PU, "web": PU}),
    "listener deleted": ("DELETE", "{web}", None, {"lb": PU, "web": PD}),
    "pool changed": ("PUT", "{served}", {"pool": {}}, IN_SERVED),
    "pool of a policy changed": ("PUT", "{chosen}", {"pool": {}}, {"lb": PU, "plain": PU, "chosen": PU}),
    "pool of a policy without rules changed": ("PUT", "{ruleless}", {"pool": {}}, {"lb": PU, "ruleless": PU}),
    "pool of a disabled policy changed": ("PUT", "{disabled}", {"pool": {}}, {"lb": PU, "disabled": PU}),
    "pool deleted": ("DELETE", "{served}", None, {**IN_SERVED, "served": PD}),
    "member changed": ("PUT", "{member}", {"member": {}}, {**IN_SERVED, "member": PU}),
    "member deleted": ("DELETE", "{member}", None, {**IN_SERVED, "member": PD}),
    "members replaced by the same": (
        "PUT",
        "{served}/members",
        {"members": [{"address": "10.0.0.7", "protocol_port": 80}]},
        {**IN_SERVED, "member": PU},
    ),
    "members replaced by others": (
        "PUT",
        "{served}/members",
        {"members": [{"address": "10.0.0.9", "protocol_port": 80}]},
        {**IN_SERVED, "member": PD},
    ),
    "members added in a batch": (
        "PUT",
        "{served}/members?additive_only=true",
        {"members": [{"address": "10.0.0.9", "protocol_port": 80}]},
        IN_SERVED,
    ),
    "health monitor changed": ("PUT", "{monitor}", {"healthmonitor": {}}, {**IN_SERVED, "monitor": PU}),
    "health monitor deleted": ("DELETE", "{monitor}", None, {**IN_SERVED, "monitor": PD}),
    "policy changed": (
        "PUT",
        "{chosen_policy}",
        {"l7policy": {"name": "n"}},
        {"lb": PU, "plain": PU, "chosen_policy": PU},
    ),
    "policy deleted": ("DELETE", "{chosen_policy}", None, {"lb": PU, "plain": PU, "chosen_policy": PD}),
    "rule changed": ("PUT", "{rule}", {"rule": {}}, {"lb": PU, "plain": PU, "chosen_policy": PU, "rule": PU}),
    "rule deleted": ("DELETE", "{rule}", None, {"lb": PU, "plain": PU, "chosen_policy": PU, "rule": PD}),
    "listener created": (
        "POST",
        "/listeners",
        {"listener": {"loadbalancer_id": "@lb", "protocol": "HTTP", "protocol_port": 9, "default_pool_id": "@served"}},
        {"lb": PU},
    ),
    "pool created": ("POST", "/pools", {"pool": {"loadbalancer_id": "@lb", **POOL}}, {"lb": PU}),
    "pool created for a listener": (
        "POST",
        "/pools",
        {"pool": {"listener_id": "@plain", **POOL}},
        {"lb": PU, "plain": PU},
    ),
    "member created": (
        "POST",
        "{served}/members",
        {"member": {"address": "10.0.0.9", "protocol_port": 9}},
        IN_SERVED,
    ),
    "health monitor created": (
        "POST",
        "/healthmonitors",
        {"healthmonitor": {"pool_id": "@chosen", **MONITOR}},
        {"lb": PU, "plain": PU, "chosen": PU},
    ),
    "policy created": (
        "POST",
        "/l7policies",
        {"l7policy": {"listener_id": "@web", "action": "REDIRECT_TO_POOL", "redirect_pool_id": "@chosen"}},
        {"lb": PU, "web": PU},
    ),
    "rule created": (
        "POST",
        "{chosen_policy}/rules",
        {"rule": RULE},
        {"lb": PU, "plain": PU, "chosen_policy": PU},
    ),
}


GOING_WITH_IT = {"pool deleted": ("member", "monitor"), "policy deleted": ("rule",)}
"""The contract says nothing of what is below a thing that goes, unless it is the load balancer."""


@pytest.mark.parametrize("name", CALLS)
def test_an_accepted_call_shows_as_pending_what_it_concerns(tree: Tree, name: str) -> None:
    method, path, body, expected = CALLS[name]
    tree.api.hold()

    answer = tree.ask(method, path, body)

    assert answer.status < 300, answer
    going = GOING_WITH_IT.get(name, ())
    assert {key: status for key, status in tree.statuses().items() if key not in going} == expected
    if method == "POST":
        assert (answer.object["provisioning_status"], answer.object["operating_status"]) == (PC, "OFFLINE")


def test_a_new_member_is_not_monitored_in_a_pool_without_a_monitor(tree: Tree) -> None:
    tree.api.hold()

    created = tree.ask("POST", "{chosen}/members", {"member": {"address": "10.0.0.9", "protocol_port": 9}})

    assert created.object["operating_status"] == "NO_MONITOR"


@pytest.mark.parametrize("name", CALLS)
def test_everything_is_active_again_or_gone_when_a_call_is_done(tree: Tree, name: str) -> None:
    method, path, body, expected = CALLS[name]

    tree.ask(method, path, body)

    deleted = [key for key, status in expected.items() if status == PD]
    if "lb" in deleted:
        deleted = [*tree.paths]
    for key in deleted:
        tree.api.gone(tree.paths[key])
    if "lb" not in deleted:
        tree.api.settled(tree.id("lb"))
        rest = Tree(tree.api, {key: path for key, path in tree.paths.items() if tree.api("GET", path).status == 200})
        assert rest.statuses() == {}


@pytest.mark.parametrize(("up", "status"), [(True, "ONLINE"), (False, "OFFLINE")])
def test_what_is_not_measured_is_online_when_it_is_up(api: ContractApi, up: bool, status: str) -> None:
    load_balancer = api.load_balancer(provider="amphora")
    pool, listener = api.pool(load_balancer), api.listener(load_balancer)
    policy = api.l7_policy(load_balancer, listener, admin_state_up=up)

    found = [
        policy,
        api.health_monitor(load_balancer, pool, admin_state_up=up),
        api.l7_rule(load_balancer, policy, admin_state_up=up),
    ]

    assert {each["operating_status"] for each in found} == {status}


def test_what_is_measured_stays_offline_until_it_is(api: ContractApi) -> None:
    load_balancer = api.load_balancer(provider="amphora")
    listener = api.listener(load_balancer)
    pool = api.pool(load_balancer, listener_id=listener["id"])
    member = api.member(load_balancer, pool)

    assert {each["operating_status"] for each in (load_balancer, listener, pool)} == {"OFFLINE"}
    assert member["operating_status"] == "NO_MONITOR"


# How deletions end


def test_a_pool_that_is_gone_is_no_default_pool_any_more(tree: Tree) -> None:
    tree.ask("DELETE", "{served}")
    tree.api.gone(tree.paths["served"])

    assert tree.api.show(tree.paths["web"])["default_pool_id"] is None
    for name in ("member", "monitor"):
        assert tree.api("GET", tree.paths[name]).status == 404, name


def test_members_are_not_monitored_once_the_monitor_is_gone(tree: Tree) -> None:
    tree.ask("DELETE", "{monitor}")
    tree.api.gone(tree.paths["monitor"])

    assert tree.api.show(tree.paths["member"])["operating_status"] == "NO_MONITOR"
    assert "healthmonitor_id" not in tree.api.show(tree.paths["served"])


def test_policies_close_the_gap_of_one_that_is_gone(tree: Tree) -> None:
    tree.ask("DELETE", "{chosen_policy}")
    tree.api.gone(tree.paths["chosen_policy"])

    assert tree.api.show(tree.paths["ruleless_policy"])["position"] == 1
    assert tree.api.show(tree.paths["disabled_policy"])["position"] == 2


def test_what_is_gone_is_in_no_list_and_no_reference(tree: Tree) -> None:
    for name in ("member", "rule", "monitor"):
        tree.ask("DELETE", f"{{{name}}}")
        tree.api.gone(tree.paths[name])
    tree.ask("DELETE", "{plain}")
    tree.api.gone(tree.paths["plain"])

    assert tree.api.show(tree.paths["served"])["members"] == []
    assert tree.ask("GET", "{served}/members").object == []
    assert tree.ask("GET", "/healthmonitors").object == []
    assert tree.ask("GET", "/l7policies").object == []
    assert tree.api.show(tree.paths["lb"])["listeners"] == [{"id": tree.id("web")}]
    assert tree.api.show(tree.paths["chosen"])["listeners"] == []


def test_a_listener_goes_with_its_policies_and_leaves_its_default_pool(tree: Tree) -> None:
    for name in ("web", "plain"):
        tree.ask("DELETE", f"{{{name}}}")
        tree.api.gone(tree.paths[name])

    assert tree.api("GET", tree.paths["chosen_policy"]).status == 404
    assert {tree.api("GET", tree.paths[name]).status for name in ("served", "chosen")} == {200}


def test_a_load_balancer_with_children_is_deleted_in_a_cascade_only(tree: Tree) -> None:
    words = f"Validation failure: Cannot delete Load Balancer {tree.id('lb')} - it has children"
    for query in ("", "?cascade=false", "?cascade=x", "?cascade="):
        assert tree.ask("DELETE", "{lb}" + query).fault == (400, words), query

    for query in ("?cascade=TRUE", "?cascade=1", "?cascade=yes", "?cascade=On", "?cascade=t", "?cascade=y"):
        tree.api.hold()
        assert tree.ask("DELETE", "{lb}" + query).status in (204, 409), query
    assert tree.ask("DELETE", "{lb}?cascade=true").status == 409
    assert tree.ask("DELETE", "{lb}").fault == (400, words)


def test_a_pool_stays_while_a_policy_redirects_to_it(tree: Tree) -> None:
    for name in ("chosen", "ruleless", "disabled"):
        words = f"Pool {tree.id(name)} is in use by L7 policy {tree.id(f'{name}_policy')}"
        assert tree.ask("DELETE", f"{{{name}}}").fault == (409, words)


def test_a_second_deletion_is_refused_until_there_is_nothing_left(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    path, below = f"/loadbalancers/{load_balancer['id']}", f"/listeners/{listener['id']}"
    api.hold()

    api("DELETE", below)
    again_below = api("DELETE", below)
    api.control("release", {"loadbalancer_id": load_balancer["id"]})
    gone_below = api("DELETE", below)
    api("DELETE", path)
    again = api("DELETE", path)
    api.control("release", {"loadbalancer_id": load_balancer["id"]})

    assert again_below.fault == (409, IMMUTABLE.format(load_balancer["id"]))
    assert gone_below.fault == (404, f"Listener {listener['id']} not found.")
    assert again.fault == (409, f"Invalid state PENDING_DELETE of loadbalancer resource {load_balancer['id']}")
    assert api("DELETE", path).fault == (404, f"Load Balancer {load_balancer['id']} not found.")


def test_what_operators_offer_stays_while_it_is_used(api: ContractApi) -> None:
    profile = {"name": "p", "provider_name": "amphora"}
    flavor_profile = api.create("/flavorprofiles", "flavorprofile", flavor_data="{}", **profile)["id"]
    flavor = api.create("/flavors", "flavor", name="f", flavor_profile_id=flavor_profile)["id"]
    root = "availability_zone_profile"
    zone_profile = api.create("/availabilityzoneprofiles", root, availability_zone_data="{}", **profile)["id"]
    api.create("/availabilityzones", "availability_zone", name="z", availability_zone_profile_id=zone_profile)
    load_balancer = api.load_balancer(flavor_id=flavor, availability_zone="z", provider="amphora")

    def refusals() -> list[tuple[int, str]]:
        paths = [f"/flavors/{flavor}", f"/flavorprofiles/{flavor_profile}", "/availabilityzones/z"]
        paths += [f"/availabilityzoneprofiles/{zone_profile}"]
        return [answer.fault for path in paths if (answer := api("DELETE", path)).status != 204]

    assert refusals() == [
        (409, f"Flavor {flavor} is in use and cannot be modified."),
        (409, f"Flavor profile {flavor_profile} is in use and cannot be modified."),
        (409, "Availability Zone z is in use and cannot be modified."),
        (409, f"Availability Zone Profile {zone_profile} is in use and cannot be modified."),
    ]
    api("DELETE", f"/loadbalancers/{load_balancer['id']}")
    api.gone(f"/loadbalancers/{load_balancer['id']}")
    assert refusals() == []


# Locks, where they are strict


STATUSES = ("PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE", "ERROR")
OF_ITSELF = {"load balancer changed", "failover", "load balancer deleted"}


@pytest.mark.parametrize("status", STATUSES)
def test_strict_locks_let_nothing_through_but_what_mends(tree: Tree, status: str) -> None:
    tree.api.set(strict_immutability=True)
    reported = {"loadbalancers": [{"id": tree.id("lb"), "provisioning_status": status}]}

    for name, (method, path, body, _) in CALLS.items():
        if status == "ERROR" and name in ("failover", "load balancer deleted"):
            continue
        tree.api.control("status", reported)

        answer = tree.ask(method, path, body)

        words = IMMUTABLE.format(tree.id("lb"))
        if name in OF_ITSELF:
            words = f"Invalid state {status} of loadbalancer resource {tree.id('lb')}"
        assert answer.fault == (409, words), name


@pytest.mark.parametrize("name", ["failover", "load balancer deleted"])
def test_strict_locks_let_through_what_mends_a_load_balancer_in_error(tree: Tree, name: str) -> None:
    tree.api.set(strict_immutability=True)
    tree.api.control("status", {"loadbalancers": [{"id": tree.id("lb"), "provisioning_status": "ERROR"}]})
    method, path, body, _ = CALLS[name]

    assert tree.ask(method, path, body).status < 300


@pytest.mark.parametrize(
    "name",
    [
        *("member created", "member changed", "member deleted", "members replaced by the same"),
        *("health monitor changed", "health monitor deleted"),
    ],
)
def test_strict_locks_want_the_pool_to_be_active_too(tree: Tree, name: str) -> None:
    tree.api.set(strict_immutability=True)
    tree.api.control("status", {"pools": [{"id": tree.id("served"), "provisioning_status": "ERROR"}]})
    method, path, body, _ = CALLS[name]

    words = f"Pool {tree.id('served')} is immutable and cannot be updated."
    assert tree.ask(method, path, body).fault == (409, words)


@pytest.mark.parametrize("name", ["rule created", "rule changed", "rule deleted"])
def test_strict_locks_want_the_policy_to_be_active_too(tree: Tree, name: str) -> None:
    tree.api.set(strict_immutability=True)
    tree.api.control("status", {"l7policies": [{"id": tree.id("chosen_policy"), "provisioning_status": "ERROR"}]})
    method, path, body, _ = CALLS[name]

    words = f"L7Policy {tree.id('chosen_policy')} is immutable and cannot be updated."
    assert tree.ask(method, path, body).fault == (409, words)


@pytest.mark.parametrize(
    ("kind", "key", "name"),
    [
        ("listeners", "web", "listener changed"),
        ("listeners", "web", "listener deleted"),
        ("listeners", "plain", "policy changed"),
        ("pools", "served", "pool changed"),
        ("pools", "served", "pool deleted"),
        ("members", "member", "member changed"),
        ("l7policies", "chosen_policy", "policy deleted"),
    ],
)
def test_strict_locks_do_not_ask_for_the_objects_own_status(tree: Tree, kind: str, key: str, name: str) -> None:
    tree.api.set(strict_immutability=True)
    tree.api.control("status", {kind: [{"id": tree.id(key), "provisioning_status": "ERROR"}]})
    method, path, body, _ = CALLS[name]

    assert tree.ask(method, path, body).status < 300


def test_strict_locks_hold_amphorae_too(api: ContractApi) -> None:
    api.set(strict_immutability=True)
    load_balancer = api.load_balancer(provider="amphora")
    (amphora,) = api("GET", f"/v2/octavia/amphorae?loadbalancer_id={load_balancer['id']}").object
    path = f"/v2/octavia/amphorae/{amphora['id']}"
    api.control("status", {"loadbalancers": [{"id": load_balancer["id"], "provisioning_status": PU}]})

    assert api("PUT", f"{path}/failover").fault == (409, IMMUTABLE.format(load_balancer["id"]))
    assert api("DELETE", path).fault == (409, f"amphora {amphora['id']} is immutable and cannot be updated.")


# Without them


def test_changes_of_what_is_pending_are_accepted_and_shown_at_once(tree: Tree) -> None:
    tree.api.hold()

    for number in range(3):
        answer = tree.ask("PUT", "{web}", {"listener": {"name": f"n{number}"}})
        assert (answer.status, answer.object["name"]) == (200, f"n{number}")

    assert tree.statuses() == {"lb": PU, "web": PU}
    tree.api.hold()
    tree.api.control("release", {"loadbalancer_id": tree.id("lb")})
    assert tree.statuses() == {}
    assert tree.api.show(tree.paths["web"])["name"] == "n2"


def test_what_is_being_deleted_is_immutable_without_strict_locks_too(tree: Tree) -> None:
    tree.api.hold()
    tree.ask("DELETE", "{lb}?cascade=true")

    for name, (method, path, body, _) in CALLS.items():
        words = IMMUTABLE.format(tree.id("lb"))
        if name in OF_ITSELF:
            words = f"Invalid state PENDING_DELETE of loadbalancer resource {tree.id('lb')}"
        assert tree.ask(method, path, body).fault == (409, words), name


# What fails


@pytest.mark.parametrize("error", ["DriverError", "NotImplementedError", "UnsupportedOptionError"])
def test_nothing_is_stored_when_the_provider_refuses(tree: Tree, error: str) -> None:
    before = {name: tree.api.show(path) for name, path in tree.paths.items()}
    tree.api.control("fault", {"error": error, "provider": "noop_driver", "user_fault_string": "not today"})
    status, text = {
        "DriverError": (500, "Provider 'noop_driver' reports error: not today"),
        "NotImplementedError": (501, "Provider 'noop_driver' does not support a requested action: not today"),
        "UnsupportedOptionError": (501, "Provider 'noop_driver' does not support a requested option: not today"),
    }[error]

    for name, (method, path, body, _) in CALLS.items():
        assert tree.ask(method, path, body).fault == (status, text), name

    assert {name: tree.api.show(path) for name, path in tree.paths.items()} == before
    assert len(tree.ask("GET", "/listeners").object) == 2


def test_no_load_balancer_is_stored_when_the_provider_refuses(api: ContractApi) -> None:
    api.control("fault", {"error": "DriverError", "method": "loadbalancer_create", "user_fault_string": "no"})

    answer = api("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": MISSING, "project_id": PROJECT}})

    assert answer.fault == (500, "Provider 'noop_driver' reports error: no")
    assert api("GET", "/loadbalancers").object == []
