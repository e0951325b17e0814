"""What clients rely on most: exact status codes, exact key sets, values of a new object, and what a wait loop sees."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from tests.contract.conftest import IMMUTABLE, PROJECT, ContractApi

pytestmark = pytest.mark.postgres

UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?")

Said = dict[str, Any]

OF_ALL: Said = {"id": ..., "project_id": PROJECT, "tenant_id": PROJECT, "created_at": ..., "updated_at": None}
NEW: Said = {
    **OF_ALL,
    "provisioning_status": "PENDING_CREATE",
    "operating_status": "OFFLINE",
    "admin_state_up": True,
    "tags": [],
}

# Kind -> everything that a new object shows; an ellipsis where a test's own ids and addresses stand.
SHOWN: dict[str, Said] = {
    "loadbalancer": {
        **NEW,
        **{"name": "", "description": "", "provider": "noop_driver", "flavor_id": None, "availability_zone": None},
        **{"vip_address": ..., "vip_port_id": ..., "vip_subnet_id": ..., "vip_network_id": ..., "vip_sg_ids": []},
        **{"vip_qos_policy_id": None, "vip_vnic_type": "normal", "additional_vips": [], "listeners": [], "pools": []},
    },
    "listener": {
        **NEW,
        **{"name": "", "description": "", "protocol": "HTTP", "protocol_port": 80, "connection_limit": -1},
        **{"default_tls_container_ref": None, "sni_container_refs": [], "default_pool_id": None, "l7policies": []},
        **{"insert_headers": {}, "loadbalancers": ..., "timeout_client_data": 50000, "timeout_member_connect": 5000},
        **{"timeout_member_data": 50000, "timeout_tcp_inspect": 0, "client_ca_tls_container_ref": None},
        **{"client_authentication": "NONE", "client_crl_container_ref": None, "allowed_cidrs": None},
        **{"tls_ciphers": None, "tls_versions": None, "alpn_protocols": None, "hsts_max_age": None},
        **{"hsts_include_subdomains": False, "hsts_preload": False},
    },
    "pool": {
        **NEW,
        **{"name": "", "description": "", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": []},
        **{"session_persistence": None, "loadbalancers": ..., "listeners": [], "tls_enabled": False},
        **{"tls_container_ref": None, "ca_tls_container_ref": None, "crl_container_ref": None},
        **{"tls_ciphers": None, "tls_versions": None, "alpn_protocols": None},
    },
    "member": {
        **{**NEW, "operating_status": "NO_MONITOR"},
        **{"name": "", "address": "10.0.0.7", "protocol_port": 80, "weight": 1, "backup": False, "subnet_id": None},
        **{"monitor_address": None, "monitor_port": None, "vnic_type": "normal"},
    },
    "healthmonitor": {
        **NEW,
        **{"name": "", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "max_retries_down": 3},
        **{"http_method": "GET", "url_path": "/", "expected_codes": "200", "http_version": None, "domain_name": None},
        **{"pools": ...},
    },
    "l7policy": {
        **NEW,
        **{"name": "", "description": "", "action": "REDIRECT_TO_URL", "listener_id": ..., "redirect_pool_id": None},
        **{"redirect_url": "http://here.example/", "redirect_prefix": None, "redirect_http_code": 302},
        **{"position": 2, "rules": []},
    },
    "rule": {**NEW, "type": "PATH", "compare_type": "STARTS_WITH", "key": None, "value": "/", "invert": False},
}

LISTENER: Said = {"protocol": "HTTP", "protocol_port": 80}
POOL: Said = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MEMBER: Said = {"address": "10.0.0.7", "protocol_port": 80}
MONITOR: Said = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
POLICY: Said = {"action": "REDIRECT_TO_URL", "redirect_url": "http://here.example/"}
RULE: Said = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/"}

# Kind -> where one more is created, and its body, from the ids of what may stand above it.
CREATIONS: dict[str, Callable[[Said], tuple[str, Said]]] = {
    "loadbalancer": lambda above: ("/loadbalancers", {"vip_subnet_id": UNKNOWN, "project_id": PROJECT}),
    "listener": lambda above: ("/listeners", {"loadbalancer_id": above["loadbalancer"], **LISTENER}),
    "pool": lambda above: ("/pools", {"loadbalancer_id": above["loadbalancer"], **POOL}),
    "member": lambda above: (f"/pools/{above['pool']}/members", MEMBER),
    "healthmonitor": lambda above: ("/healthmonitors", {"pool_id": above["pool"], **MONITOR}),
    "l7policy": lambda above: ("/l7policies", {"listener_id": above["listener"], **POLICY}),
    "rule": lambda above: (f"/l7policies/{above['l7policy']}/rules", RULE),
}
KINDS = tuple(CREATIONS)
of_kinds = pytest.mark.parametrize("kind", KINDS)


def a_tree(api: ContractApi) -> Said:
    """Kind -> the id of what stands above others."""
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer, protocol_port=8080)
    policy = api.l7_policy(load_balancer, listener, redirect_url=None)
    pool = api.pool(load_balancer)
    return {
        "loadbalancer": load_balancer["id"],
        "listener": listener["id"],
        "pool": pool["id"],
        "l7policy": policy["id"],
    }


def held(api: ContractApi, kind: str) -> tuple[str, Said, Said]:
    """The path of a new object that stays PENDING, the answer to its creation, and what stands above it."""
    above = a_tree(api)
    api.hold()
    path, body = CREATIONS[kind](above)
    answer = api("POST", path, {kind: body})
    assert answer.status == 201
    assert list(answer.json) == [kind]
    return f"{path}/{answer.object['id']}", answer.object, above


# Key sets


@of_kinds
def test_new_object_shows_exactly_this(api: ContractApi, kind: str) -> None:
    path, created, _ = held(api, kind)
    expected = SHOWN[kind]

    assert set(created) == set(expected)
    assert {name: created[name] for name, value in expected.items() if value is not ...} == {
        name: value for name, value in expected.items() if value is not ...
    }
    assert str(UUID(created["id"])) == created["id"]
    assert api("GET", path).json == {kind: created}


@of_kinds
def test_list_shows_the_same_keys(api: ContractApi, kind: str) -> None:
    path, created, _ = held(api, kind)

    listed = api("GET", f"{path.rpartition('/')[0]}?id={created['id']}").json

    many = f"{kind[:-1]}ies" if kind == "l7policy" else f"{kind}s"
    assert listed == {many: [created], f"{many}_links": []}


@of_kinds
def test_times_have_no_zone_and_the_last_change_is_told_once_it_is_active(api: ContractApi, kind: str) -> None:
    path, created, above = held(api, kind)
    load_balancer = created["id"] if kind == "loadbalancer" else above["loadbalancer"]

    api.control("hold", {"hold": False})
    api.settled(load_balancer)
    settled = api.show(path)

    assert created["updated_at"] is None
    assert TIME.fullmatch(settled["created_at"])
    assert TIME.fullmatch(settled["updated_at"])
    assert datetime.fromisoformat(settled["created_at"]) <= datetime.fromisoformat(settled["updated_at"])
    assert settled["provisioning_status"] == "ACTIVE"


def test_references_upwards(api: ContractApi) -> None:
    above = a_tree(api)
    load_balancer = {"id": above["loadbalancer"]}
    listener, pool = api.show(f"/listeners/{above['listener']}"), api.show(f"/pools/{above['pool']}")
    monitor = api.health_monitor(load_balancer, pool)
    shown = api.show(f"/loadbalancers/{above['loadbalancer']}")

    assert listener["loadbalancers"] == pool["loadbalancers"] == [load_balancer]
    assert listener["l7policies"] == [{"id": above["l7policy"]}]
    assert (shown["listeners"], shown["pools"]) == ([{"id": listener["id"]}], [{"id": pool["id"]}])
    assert monitor["pools"] == [{"id": pool["id"]}]
    assert api.show(f"/pools/{pool['id']}")["healthmonitor_id"] == monitor["id"]


def test_what_is_shared_shows_exactly_this(api: ContractApi) -> None:
    profile = {"name": "p", "provider_name": "noop_driver"}
    flavors = api.create("/flavorprofiles", "flavorprofile", **profile, flavor_data="{}")
    zones = api.create("/availabilityzoneprofiles", "availability_zone_profile", **profile, availability_zone_data="{}")
    flavor = api.create("/flavors", "flavor", name="f", flavor_profile_id=flavors["id"])
    zone = api.create("/availabilityzones", "availability_zone", name="z", availability_zone_profile_id=zones["id"])
    api.load_balancer(provider="amphora")
    (amphora,) = api("GET", "/v2/octavia/amphorae").object

    assert set(flavors) == {"id", "name", "provider_name", "flavor_data"}
    assert set(zones) == {"id", "name", "provider_name", "availability_zone_data"}
    assert set(flavor) == {"id", "name", "description", "enabled", "flavor_profile_id"}
    assert set(zone) == {"name", "description", "enabled", "availability_zone_profile_id"}
    assert set(amphora) == {
        *("id", "loadbalancer_id", "compute_id", "lb_network_ip", "vrrp_ip", "ha_ip", "vrrp_port_id", "ha_port_id"),
        *("cert_expiration", "cert_busy", "role", "status", "vrrp_interface", "vrrp_id", "vrrp_priority"),
        *("cached_zone", "created_at", "updated_at", "image_id", "compute_flavor"),
    }
    assert set(api.show("/quotas/nobody")) == {
        *("project_id", "tenant_id", "loadbalancer", "load_balancer", "listener", "member", "pool"),
        *("healthmonitor", "health_monitor", "l7policy", "l7rule"),
    }


LINKS = {
    "/loadbalancers": ("loadbalancers", "loadbalancers_links"),
    "/listeners": ("listeners", "listeners_links"),
    "/pools": ("pools", "pools_links"),
    "/healthmonitors": ("healthmonitors", "healthmonitors_links"),
    "/l7policies": ("l7policies", "l7policies_links"),
    "/quotas": ("quotas", "quotas_links"),
    "/flavors": ("flavors", "flavors_links"),
    "/flavorprofiles": ("flavorprofiles", "flavorprofile_links"),
    "/availabilityzones": ("availability_zones", "availability_zones_links"),
    "/availabilityzoneprofiles": ("availability_zone_profiles", "availability_zone_profile_links"),
    "/v2/octavia/amphorae": ("amphorae", "amphorae_links"),
}


@pytest.mark.parametrize(("path", "keys"), LINKS.items(), ids=LINKS)
def test_list_has_its_links_beside_it(api: ContractApi, path: str, keys: tuple[str, str]) -> None:
    assert api("GET", path).json == {keys[0]: [], keys[1]: []}


# Status codes


@of_kinds
def test_change_is_a_200_with_the_object_and_deletion_an_empty_204(api: ContractApi, kind: str) -> None:
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    created = api("POST", path, {kind: body})
    one = f"{path}/{created.object['id']}"
    change = {"admin_state_up": False}

    changed = api("PUT", one, {kind: change})
    deleted = api("DELETE", one)

    assert (created.status, changed.status, deleted.status, deleted.text) == (201, 200, 204, "")
    assert changed.object["admin_state_up"] is False
    assert "content-type" not in deleted.headers
    api.gone(one)


def test_some_changes_are_a_202(api: ContractApi) -> None:
    load_balancer = api.load_balancer(provider="amphora")
    pool = api.pool(load_balancer)
    (amphora,) = api("GET", "/v2/octavia/amphorae").object

    found = [
        api("PUT", f"/pools/{pool['id']}/members", {"members": []}),
        api("PUT", f"/v2/octavia/amphorae/{amphora['id']}/config"),
        api("PUT", f"/v2/octavia/amphorae/{amphora['id']}/failover"),
        api("PUT", f"/quotas/{PROJECT}", {"quota": {}}),
        api("DELETE", f"/quotas/{PROJECT}"),
    ]
    api.settled(load_balancer["id"])
    found.append(api("PUT", f"/loadbalancers/{load_balancer['id']}/failover"))

    assert [answer.status for answer in found] == [202] * 6
    assert [answer.text for answer in found if answer is not found[3]] == [""] * 5


@of_kinds
def test_empty_change_is_a_change(api: ContractApi, kind: str) -> None:
    """But for an L7 policy, where nothing is left to change."""
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    created = api("POST", path, {kind: body}).object
    api.settled(created["id"] if kind == "loadbalancer" else above["loadbalancer"])
    api.hold()

    changed = api("PUT", f"{path}/{created['id']}", {kind: {}})

    if kind == "l7policy":
        assert changed.fault == (400, "Invalid L7 Policy arguments: Invalid update options")
    else:
        assert (changed.status, changed.object["provisioning_status"]) == (200, "PENDING_UPDATE")


@of_kinds
def test_null_for_the_admin_state_is_false(api: ContractApi, kind: str) -> None:
    path, body = CREATIONS[kind](a_tree(api))

    created = api("POST", path, {kind: {**body, "admin_state_up": None}})

    assert (created.status, created.object["admin_state_up"]) == (201, False)


@of_kinds
@pytest.mark.parametrize("name", ["id", "provisioning_status", "operating_status", "created_at", "updated_at"])
def test_what_the_service_decides_is_unknown_to_requests(api: ContractApi, kind: str, name: str) -> None:
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    id = api("POST", path, {kind: body}).object["id"]

    faults = [
        api("POST", path, {kind: {**body, name: "x"}}).fault,
        api("PUT", f"{path}/{id}", {kind: {name: "x"}}).fault,
    ]

    assert [status for status, _ in faults] == [400, 400]
    assert all(text.startswith("Unknown attribute for argument ") and text.endswith(f": {name}") for _, text in faults)


# Locks


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "loadbalancer"])
def test_strict_locks_refuse_children_of_what_is_not_at_rest(api: ContractApi, kind: str) -> None:
    path, _, above = held(api, kind)
    api.set(strict_immutability=True)
    _, body = CREATIONS[kind](above)
    immutable = (409, IMMUTABLE.format(above["loadbalancer"]))

    assert api("POST", path.rpartition("/")[0], {kind: {**body, "admin_state_up": False}}).fault == immutable
    assert api("PUT", path, {kind: {"admin_state_up": False}}).fault == immutable
    assert api("DELETE", path).fault == immutable


def test_strict_locks_refuse_the_load_balancer_itself_in_other_words(api: ContractApi) -> None:
    path, created, _ = held(api, "loadbalancer")
    api.set(strict_immutability=True)
    invalid = (409, f"Invalid state PENDING_CREATE of loadbalancer resource {created['id']}")

    assert api("PUT", path, {"loadbalancer": {"name": "x"}}).fault == invalid
    assert api("PUT", f"{path}/failover").fault == invalid
    assert api("DELETE", path).fault == invalid


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "loadbalancer"])
def test_nothing_is_added_to_what_is_being_deleted(api: ContractApi, kind: str) -> None:
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    api.hold()
    api("DELETE", f"/loadbalancers/{above['loadbalancer']}?cascade=true")

    assert api("POST", path, {kind: body}).fault == (409, IMMUTABLE.format(above["loadbalancer"]))


# Providers that fail

NOT_IMPLEMENTED = "does not support a requested action: This feature is not implemented by the provider."

METHODS = {
    "loadbalancer": "loadbalancer_create",
    "listener": "listener_create",
    "pool": "pool_create",
    "member": "member_create",
    "healthmonitor": "health_monitor_create",
    "l7policy": "l7policy_create",
    "rule": "l7rule_create",
}


@of_kinds
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (
            "NotImplementedError",
            501,
            NOT_IMPLEMENTED,
        ),
        ("UnsupportedOptionError", 501, "does not support a requested option: "),
        ("DriverError", 500, "reports error: "),
        ("Exception", 500, "reports error: "),
    ],
)
def test_nothing_persists_when_the_provider_refuses(
    api: ContractApi, kind: str, error: str, status: int, text: str
) -> None:
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    before = api("GET", path).json
    api.control("fault", {"error": error, "method": METHODS[kind]})

    fault = api("POST", path, {kind: body}).fault

    assert fault[0] == status
    assert fault[1].startswith(f"Provider 'noop_driver' {text}")
    assert api("GET", path).json == before
    assert api.show(f"/loadbalancers/{above['loadbalancer']}")["provisioning_status"] == "ACTIVE"


# Administrators


def test_administrators_see_all_projects_and_others_their_own(api: ContractApi) -> None:
    own, other = api.load_balancer(), api.load_balancer(project_id="weavers")

    def seen(query: str = "", **who: str) -> list[str]:
        return sorted(each["id"] for each in api("GET", f"/loadbalancers{query}", **who).object)

    both = sorted((own["id"], other["id"]))
    assert seen() == seen(roles="admin", project="operators") == both
    assert seen("?project_id=weavers") == [other["id"]]
    assert seen(roles="reader", project=PROJECT) == [own["id"]]


@of_kinds
def test_unknown_comes_before_forbidden(api: ContractApi, kind: str) -> None:
    above = a_tree(api)
    path, body = CREATIONS[kind](above)
    id = api("POST", path, {kind: body}).object["id"]

    stranger = {"project": "weavers", "roles": "member"}

    assert api("GET", f"{path}/{UNKNOWN}", **stranger).fault[0] == 404
    for method in ("GET", "PUT", "DELETE"):
        answer = api(method, f"{path}/{id}", {kind: {"admin_state_up": True}} if method == "PUT" else None, **stranger)
        assert answer.fault == (403, "Policy does not allow this request to be performed.")


def test_telemetry_reads_members_of_any_project(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    member = api.member(load_balancer, pool)

    service = {"project": "telemetry", "roles": "service"}

    assert api("GET", f"/pools/{pool['id']}/members", **service).object == [member]
    assert api("GET", f"/pools/{pool['id']}", **service).status == 403
