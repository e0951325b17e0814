"""openstacksdk's `conn.load_balancer`: every method, as a program uses it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from openstack.exceptions import BadRequestException, ConflictException, NotFoundException

from tests.clients.sdk import COVERED, LoadBalancing, calls, public_methods
from tests.clients.tree import Tree, a_flavor, a_tree, a_zone, excerpt
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

SOON: dict[str, Any] = {"interval": 0.05, "wait": 5}


def test_every_method_has_a_case() -> None:
    assert public_methods() == COVERED


def gone(sdk: LoadBalancing, resource: Any) -> None:
    sdk.wait_for_delete(resource, **SOON)


def active(sdk: LoadBalancing, tree: Tree) -> None:
    sdk.wait_for_load_balancer(tree.web, **SOON)


def assert_found(find: Callable[..., Any], id: str, name: str, *parent: str) -> None:
    """By id, which is a GET, and by name, which is a GET that has to be a 404 and then a list."""
    assert find(id, *parent).id == id
    assert find(name, *parent).id == id
    assert find("nothing", *parent) is None
    with pytest.raises(NotFoundException, match=r"No .* found for nothing"):
        find("nothing", *parent, ignore_missing=False)


@calls(
    *("create_load_balancer", "get_load_balancer", "find_load_balancer", "load_balancers", "update_load_balancer"),
    *("delete_load_balancer", "wait_for_load_balancer", "wait_for_delete"),
)
def test_load_balancers(sdk: LoadBalancing, noop: Noop) -> None:
    subnet = str(uuid4())

    created = sdk.create_load_balancer(name="web", vip_subnet_id=subnet, project_id="p", tags=["blue"])
    awaited = sdk.wait_for_load_balancer("web", **SOON)

    assert (created.provisioning_status, created.updated_at) == ("PENDING_CREATE", None)
    assert (awaited.id, awaited.provisioning_status) == (created.id, "ACTIVE")
    shown = sdk.get_load_balancer(created.id)
    assert (shown.vip_subnet_id, shown.is_admin_state_up, shown.tags, shown.additional_vips) == (
        subnet,
        True,
        ["blue"],
        [],
    )
    assert shown.updated_at is not None
    assert_found(sdk.find_load_balancer, created.id, "web")
    changed = sdk.update_load_balancer(shown, name="loft", is_admin_state_up=False)
    assert (changed.name, changed.is_admin_state_up, changed.vip_address) == ("loft", False, shown.vip_address)
    other = noop.load_balancer(name="inn")
    assert {each.name for each in sdk.load_balancers(limit=1)} == {"loft", "inn"}
    sdk.delete_load_balancer(other["id"])
    sdk.delete_load_balancer(created, cascade=True)
    gone(sdk, created)
    with pytest.raises(NotFoundException, match=r"Load Balancer .* not found\."):
        sdk.delete_load_balancer(created, ignore_missing=False)


@calls("get_load_balancer_statistics", "get_listener_statistics", "failover_load_balancer", "wait_for_status")
def test_what_load_balancers_and_listeners_do(sdk: LoadBalancing, tree: Tree, noop: Noop) -> None:
    counted = {"bytes_in": 10, "bytes_out": 20, "active_connections": 1, "total_connections": 5, "request_errors": 2}
    noop.control("stats", {"listeners": [{"id": tree.front, **counted}]})
    of_all, of_one = sdk.get_load_balancer_statistics(tree.web), sdk.get_listener_statistics(tree.front)
    assert [excerpt(found.to_dict(), counted) for found in (of_all, of_one)] == [counted, counted]

    noop.control("hold", {"hold": True})
    sdk.failover_load_balancer(tree.web)

    pending = sdk.get_load_balancer(tree.web)
    assert pending.provisioning_status == "PENDING_UPDATE"
    noop.control("hold", {"hold": False})
    done = sdk.wait_for_status(pending, "ACTIVE", ["ERROR"], attribute="provisioning_status", **SOON)
    assert done.provisioning_status == "ACTIVE"


@calls("create_listener", "get_listener", "find_listener", "listeners", "update_listener", "delete_listener")
def test_listeners(sdk: LoadBalancing, tree: Tree) -> None:
    said = {"protocol": "HTTP", "protocol_port": 81, "insert_headers": {"X-Forwarded-For": "true"}}

    created = sdk.create_listener(name="side", load_balancer_id=tree.web, default_pool_id=tree.weavers, **said)
    active(sdk, tree)

    shown = sdk.get_listener(created.id)
    assert excerpt(shown.to_dict(), said) == said
    assert (shown.load_balancers, shown.default_pool_id) == ([{"id": tree.web}], tree.weavers)
    assert (shown.connection_limit, shown.timeout_client_data, shown.l7_policies) == (-1, 50000, [])
    assert_found(sdk.find_listener, created.id, "side")
    assert {each.name for each in sdk.listeners(load_balancer_id=tree.web)} == {"front", "side"}
    changed = sdk.update_listener(created.id, name="alley", connection_limit=7, allowed_cidrs=["192.0.2.0/24"])
    assert (changed.name, changed.connection_limit, changed.allowed_cidrs) == ("alley", 7, ["192.0.2.0/24"])
    sdk.delete_listener(changed)
    gone(sdk, changed)


@calls("create_pool", "get_pool", "find_pool", "pools", "update_pool", "delete_pool")
def test_pools(sdk: LoadBalancing, tree: Tree) -> None:
    sticky = {"type": "SOURCE_IP"}

    created = sdk.create_pool(
        name="dyers", loadbalancer_id=tree.web, protocol="HTTP", lb_algorithm="SOURCE_IP", session_persistence=sticky
    )
    active(sdk, tree)

    shown = sdk.get_pool(created.id)
    assert (shown.loadbalancers, shown.listeners, shown.members) == ([{"id": tree.web}], [], [])
    assert (shown.health_monitor_id, shown.session_persistence["type"]) == (None, "SOURCE_IP")
    assert sdk.get_pool(tree.weavers).health_monitor_id == tree.check
    assert_found(sdk.find_pool, created.id, "dyers")
    assert {each.name for each in sdk.pools(loadbalancer_id=tree.web)} == {"weavers", "dyers"}
    changed = sdk.update_pool(created.id, lb_algorithm="ROUND_ROBIN", session_persistence=None)
    assert (changed.lb_algorithm, changed.session_persistence) == ("ROUND_ROBIN", None)
    sdk.delete_pool(changed)
    gone(sdk, changed)


@calls("create_member", "get_member", "find_member", "members", "update_member", "delete_member")
def test_members(sdk: LoadBalancing, tree: Tree) -> None:
    said = {"address": "192.0.2.7", "protocol_port": 80, "weight": 3, "backup": True, "monitor_port": 81}

    created = sdk.create_member(tree.weavers, name="jacquard", **said)
    active(sdk, tree)

    shown = sdk.get_member(created.id, tree.weavers)
    assert excerpt(shown.to_dict(), said) == said
    assert (shown.provisioning_status, shown.pool_id) == ("ACTIVE", tree.weavers)
    assert_found(sdk.find_member, created.id, "jacquard", tree.weavers)
    assert {each.name for each in sdk.members(tree.weavers)} == {"loom", "jacquard"}
    changed = sdk.update_member(created.id, tree.weavers, weight=0, is_admin_state_up=False)
    assert (changed.weight, changed.is_admin_state_up, changed.address) == (0, False, "192.0.2.7")
    sdk.delete_member(created.id, tree.weavers)
    gone(sdk, shown)


@calls(
    *("create_health_monitor", "get_health_monitor", "find_health_monitor", "health_monitors"),
    *("update_health_monitor", "delete_health_monitor"),
)
def test_health_monitors(sdk: LoadBalancing, tree: Tree, noop: Noop) -> None:
    pool = {"loadbalancer_id": tree.web, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    pool_id = noop.api.post("/pools", "pool", **pool)["id"]
    said = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "url_path": "/pulse"}

    created = sdk.create_health_monitor(name="pulse", pool_id=pool_id, **said)
    active(sdk, tree)

    shown = sdk.get_health_monitor(created.id)
    assert excerpt(shown.to_dict(), said) == said
    assert (shown.pools, shown.max_retries_down, shown.expected_codes) == ([{"id": pool_id}], 3, "200")
    assert (shown.provisioning_status, shown.operating_status) == ("ACTIVE", "ONLINE")
    assert_found(sdk.find_health_monitor, created.id, "pulse")
    assert [each.name for each in sdk.health_monitors(pool_id=pool_id)] == ["pulse"]
    changed = sdk.update_health_monitor(created.id, delay=9, http_method="HEAD")
    assert (changed.delay, changed.http_method, changed.timeout) == (9, "HEAD", 3)
    sdk.delete_health_monitor(changed)
    gone(sdk, changed)


@calls("create_l7_policy", "get_l7_policy", "find_l7_policy", "l7_policies", "update_l7_policy", "delete_l7_policy")
def test_l7_policies(sdk: LoadBalancing, tree: Tree) -> None:
    said = {"action": "REDIRECT_TO_URL", "redirect_url": "https://west.example.org/", "position": 1}

    created = sdk.create_l7_policy(name="moved", listener_id=tree.front, **said)
    active(sdk, tree)

    shown = sdk.get_l7_policy(created.id)
    assert excerpt(shown.to_dict(), said) == said
    assert (shown.listener_id, shown.rules, shown.provisioning_status) == (tree.front, [], "ACTIVE")
    assert_found(sdk.find_l7_policy, created.id, "moved")
    assert {each.name: each.position for each in sdk.l7_policies(listener_id=tree.front)} == {"moved": 1, "door": 2}
    changed = sdk.update_l7_policy(created.id, redirect_pool_id=tree.weavers)
    assert (changed.action, changed.redirect_url) == ("REDIRECT_TO_POOL", None)
    sdk.delete_l7_policy(changed)
    gone(sdk, changed)


@calls("create_l7_rule", "get_l7_rule", "find_l7_rule", "l7_rules", "update_l7_rule", "delete_l7_rule")
def test_l7_rules(sdk: LoadBalancing, tree: Tree) -> None:
    said = {"type": "HEADER", "compare_type": "CONTAINS", "key": "X-Guild", "invert": True}

    created = sdk.create_l7_rule(tree.door, rule_value="dye", **said)
    active(sdk, tree)

    shown = sdk.get_l7_rule(created.id, tree.door)
    assert excerpt(shown.to_dict(), said) == said
    assert (shown.rule_value, shown.provisioning_status) == ("dye", "ACTIVE")
    assert sdk.find_l7_rule(created.id, tree.door).id == created.id
    assert {each.id for each in sdk.l7_rules(tree.door)} == {tree.rule, created.id}
    changed = sdk.update_l7_rule(created.id, tree.door, rule_value="cloth")
    assert (changed.rule_value, changed.key) == ("cloth", "X-Guild")
    sdk.delete_l7_rule(created.id, tree.door)
    gone(sdk, shown)


@calls("quotas", "get_quota", "update_quota", "get_quota_default", "delete_quota")
def test_quotas(sdk: LoadBalancing) -> None:
    project = str(uuid4())

    changed = sdk.update_quota(project, load_balancers=2, health_monitors=3)

    assert (changed.load_balancers, changed.health_monitors, changed.pools) == (2, 3, -1)
    assert sdk.get_quota(project).load_balancers == 2
    assert project in [each.project_id for each in sdk.quotas()]
    assert sdk.get_quota_default().load_balancers == -1
    sdk.delete_quota(project)
    assert sdk.get_quota(project).load_balancers == -1


@calls("providers", "provider_flavor_capabilities")
def test_providers(sdk: LoadBalancing) -> None:
    assert [each.name for each in sdk.providers()] == ["amphora", "noop_driver", "noop_driver-alt", "octavia"]
    assert [each.name for each in sdk.provider_flavor_capabilities("noop_driver")] == ["amp_image_tag"]
    with pytest.raises(BadRequestException, match=r"Provider 'acme' is not enabled\."):
        list(sdk.provider_flavor_capabilities("acme"))


@calls(
    *("create_flavor_profile", "get_flavor_profile", "find_flavor_profile", "flavor_profiles"),
    *("update_flavor_profile", "delete_flavor_profile"),
    *("create_flavor", "get_flavor", "find_flavor", "flavors", "update_flavor", "delete_flavor"),
)
def test_flavors_and_their_profiles(sdk: LoadBalancing) -> None:
    profile = sdk.create_flavor_profile(name="plain", provider_name="noop_driver", flavor_data="{}")
    flavor = sdk.create_flavor(name="fast", flavor_profile_id=profile.id, is_enabled=False)

    assert sdk.get_flavor_profile(profile.id).flavor_data == "{}"
    assert_found(sdk.find_flavor_profile, profile.id, "plain")
    assert [each.id for each in sdk.flavor_profiles(provider_name="noop_driver")] == [profile.id]
    assert sdk.update_flavor_profile(profile.id, name="simple").name == "simple"
    assert sdk.get_flavor(flavor.id).is_enabled is False
    assert_found(sdk.find_flavor, flavor.id, "fast")
    assert [each.id for each in sdk.flavors(is_enabled=False)] == [flavor.id]
    assert sdk.update_flavor(flavor.id, is_enabled=True, description="wind").description == "wind"
    with pytest.raises(ConflictException, match=r"is in use and cannot be modified\."):
        sdk.delete_flavor_profile(profile.id)
    sdk.delete_flavor(flavor.id)
    sdk.delete_flavor_profile(profile.id)
    assert [*sdk.flavors(), *sdk.flavor_profiles()] == []


@calls(
    *("create_availability_zone_profile", "get_availability_zone_profile", "find_availability_zone_profile"),
    *("availability_zone_profiles", "update_availability_zone_profile", "delete_availability_zone_profile"),
    *("create_availability_zone", "get_availability_zone", "find_availability_zone", "availability_zones"),
    *("update_availability_zone", "delete_availability_zone"),
)
def test_availability_zones_and_their_profiles(sdk: LoadBalancing) -> None:
    said = {"provider_name": "noop_driver", "availability_zone_data": "{}"}
    profile = sdk.create_availability_zone_profile(name="near", **said)
    zone = sdk.create_availability_zone(name="east", availability_zone_profile_id=profile.id, is_enabled=True)

    assert excerpt(sdk.get_availability_zone_profile(profile.id).to_dict(), said) == said
    assert_found(sdk.find_availability_zone_profile, profile.id, "near")
    assert [each.id for each in sdk.availability_zone_profiles(name="near")] == [profile.id]
    assert sdk.update_availability_zone_profile(profile.id, name="close").name == "close"
    assert sdk.get_availability_zone(zone.name).availability_zone_profile_id == profile.id
    assert sdk.find_availability_zone("east").name == "east"
    assert sdk.find_availability_zone("west") is None
    assert [each.name for each in sdk.availability_zones(is_enabled=True)] == ["east"]
    assert sdk.update_availability_zone("east", is_enabled=False).is_enabled is False
    sdk.delete_availability_zone("east")
    sdk.delete_availability_zone_profile(profile.id)
    assert [*sdk.availability_zones(), *sdk.availability_zone_profiles()] == []


@calls("amphorae", "get_amphora", "find_amphora", "configure_amphora", "failover_amphora")
def test_amphorae(sdk: LoadBalancing, noop: Noop) -> None:
    web = noop.active_load_balancer(provider="amphora")["id"]

    (standing,) = sdk.amphorae(loadbalancer_id=web)

    assert (standing.status, standing.role) == ("ALLOCATED", "STANDALONE")
    assert sdk.get_amphora(standing.id).loadbalancer_id == web
    assert sdk.find_amphora(standing.id).id == standing.id
    sdk.configure_amphora(standing.id)
    sdk.failover_amphora(standing.id)
    sdk.wait_for_load_balancer(web, **SOON)
    (replacement,) = sdk.amphorae(loadbalancer_id=web, status="ALLOCATED")
    assert replacement.id != standing.id


REFUSED = {
    "listeners": {"sni_container_refs", "allowed_cidrs"},
    "pools": {"listener_id", "health_monitor_id"},
    "l7_rules": {"rule_value"},
}
"""What the SDK offers for a query and Octavia refuses."""

PARENTS = {"members": "weavers", "l7_rules": "door"}


@pytest.mark.parametrize(
    ("plural", "which"),
    [
        ("load_balancers", "web"),
        ("listeners", "front"),
        ("pools", "weavers"),
        ("members", "loom"),
        ("health_monitors", "check"),
        ("l7_policies", "door"),
        ("l7_rules", "rule"),
    ],
)
def test_every_query_of_the_sdk_finds_what_it_says_or_is_refused(
    sdk: LoadBalancing, noop: Noop, plural: str, which: str
) -> None:
    settings = {"flavor_id": a_flavor(noop), "availability_zone": a_zone(noop), "vip_qos_policy_id": str(uuid4())}
    tree = a_tree(noop, tags=["blue"], **settings)
    id = getattr(tree, which)
    parent = [getattr(tree, PARENTS[plural])] if plural in PARENTS else []
    list_all = getattr(sdk, plural)
    (found,) = [each for each in list_all(*parent) if each.id == id]
    refused = REFUSED.get(plural, set())
    queries = set(type(found)._query_mapping._mapping) - {"limit", "marker"}
    values = {name: getattr(found, name, None) for name in queries - refused}
    sent = {name: value for name, value in values.items() if isinstance(value, str | int)}

    finds = {name: [each.id for each in list_all(*parent, **{name: value})] for name, value in sent.items()}

    assert {"is_admin_state_up", "operating_status", "project_id"} <= set(sent)
    assert {name for name, ids in finds.items() if id not in ids} == set()
    for name in refused:
        with pytest.raises(BadRequestException, match="One or more arguments are either duplicate or invalid"):
            list(list_all(*parent, **{name: "x"}))


def test_tags_are_queried_in_four_ways(sdk: LoadBalancing, noop: Noop) -> None:
    for name, tags in (("both", ["blue", "red"]), ("one", ["blue"]), ("none", [])):
        noop.load_balancer(name=name, tags=tags)

    found = {
        query: sorted(each.name for each in sdk.load_balancers(**{query: ["blue", "red"]}))
        for query in ("tags", "any_tags", "not_tags", "not_any_tags")
    }

    assert found == {
        "tags": ["both"],
        "any_tags": ["both", "one"],
        "not_tags": ["none", "one"],
        "not_any_tags": ["none"],
    }


def test_what_is_wrong_is_told_in_the_words_of_octavia(sdk: LoadBalancing, tree: Tree) -> None:
    with pytest.raises(ConflictException, match=r"Another Listener on this Load Balancer is already using"):
        sdk.create_listener(load_balancer_id=tree.web, protocol="HTTP", protocol_port=80)
    with pytest.raises(BadRequestException, match=r"Invalid input for field/attribute protocol_port\. Value: '0'"):
        sdk.create_listener(load_balancer_id=tree.web, protocol="HTTP", protocol_port=0)
