"""Quotas as the contract words them: two spellings, defaults, what counts and when, who may look and set."""

from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import PROJECT, ContractApi

pytestmark = pytest.mark.postgres

NAMES = (
    *("loadbalancer", "load_balancer", "listener", "member", "pool"),
    *("healthmonitor", "health_monitor", "l7policy", "l7rule"),
)
DENIED = (403, "Policy does not allow this request to be performed.")
MET = "Quota has been met for resources: {}"
OWN = f"/quotas/{PROJECT}"

Said = dict[str, Any]


def limits(project: str = PROJECT, **said: int) -> Said:
    return {"project_id": project, "tenant_id": project, **dict.fromkeys(NAMES, -1), **said}


def put(api: ContractApi, **said: object) -> Any:
    """The limits that count then, or what was said instead."""
    answer = api("PUT", OWN, {"quota": said})
    return answer.object if answer.status == 202 else answer.fault


# Showing


def test_project_without_a_record_has_the_defaults(api: ContractApi) -> None:
    api.set(default_load_balancer_quota=5, default_health_monitor_quota=0)
    configured = {"loadbalancer": 5, "load_balancer": 5, "healthmonitor": 0, "health_monitor": 0}

    assert api.show("/quotas/nobody") == limits("nobody", **configured)
    assert api.show("/quotas/nobody/default") == limits("nobody", **configured)
    assert api.show("/quotas/defaults") == limits("defaults", **configured)


def test_list_holds_projects_with_a_record_alone(api: ContractApi) -> None:
    assert api("GET", "/quotas").json == {"quotas": [], "quotas_links": []}

    api.load_balancer(project_id="weavers")
    put(api, pool=3)

    assert api.show("/quotas?sort=project_id") == [limits(PROJECT, pool=3), limits("weavers")]
    assert api.show("/quotas?pool=3&fields=pool") == [limits(PROJECT, pool=3)]
    assert api.show("/quotas?load_balancer=-1&project_id=weavers") == [limits("weavers")]
    assert api("GET", "/quotas?loom=1").fault == (400, "One or more arguments are either duplicate or invalid")


@pytest.mark.parametrize("path", [OWN, f"{OWN}/default"])
def test_show_knows_no_query_arguments(api: ContractApi, path: str) -> None:
    assert api("GET", f"{path}?fields=pool").fault == (400, 'Unknown argument: "fields"')


# Setting


def test_both_spellings_set_a_limit_and_the_one_without_underscore_wins(api: ContractApi) -> None:
    assert put(api, load_balancer=1, health_monitor=2) == limits(
        loadbalancer=1, load_balancer=1, healthmonitor=2, health_monitor=2
    )
    assert put(api, load_balancer=3, loadbalancer=4, health_monitor=5, healthmonitor="6") == limits(
        loadbalancer=4, load_balancer=4, healthmonitor=6, health_monitor=6
    )
    assert put(api) == api.show(OWN)


def test_null_goes_back_to_the_default(api: ContractApi) -> None:
    api.set(default_pool_quota=7)

    assert put(api, pool=None, member=3) == limits(pool=7, member=3)
    assert put(api, pool=1, member=None) == limits(pool=1)
    assert put(api, pool=None) == limits(pool=7)


def test_reset_takes_every_limit_back(api: ContractApi) -> None:
    put(api, pool=1, l7rule=0)

    reset = api("DELETE", OWN)

    assert (reset.status, reset.text) == (202, "")
    assert api.show(OWN) == limits()
    assert api("DELETE", "/quotas/nobody").fault == (404, "Quotas nobody not found.")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"pool": -2}, "Invalid input for field/attribute pool. Value: '-2'. Value should be greater or equal to -1"),
        (
            {"l7rule": 2000000001},
            "Invalid input for field/attribute l7rule. Value: '2000000001'."
            " Value should be lower or equal to 2000000000",
        ),
        (
            {"pool": "x"},
            "Invalid input for field/attribute quotas. Value: '{'quota': {'pool': 'x'}}'."
            " invalid literal for int() with base 10: 'x'",
        ),
        *(
            ({name: "x"}, f"Unknown attribute for argument quotas.quota: {name}")
            for name in ("project_id", "tenant_id", "loom")
        ),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else None,
)
def test_limit_is_refused(api: ContractApi, said: Said, text: str) -> None:
    assert put(api, **said) == (400, text)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_project_has_to_be_named(api: ContractApi, method: str) -> None:
    assert api(method, "/quotas", {"quota": {}}).fault == (400, 'Missing argument: "project_id"')


# Counting


def creations(api: ContractApi) -> dict[str, tuple[str, str, str, Said]]:
    """Limit -> what it is called, and a path, root and body that one more is created with."""
    load_balancer = api.load_balancer()
    listener, pool = api.listener(load_balancer), api.pool(load_balancer)
    policy = api.l7_policy(load_balancer, listener)
    of_pool = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP"}
    monitor = {"pool_id": pool["id"], "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
    return {
        "loadbalancer": ("Load Balancer", "/loadbalancers", "loadbalancer", {"vip_subnet_id": str(uuid4())}),
        "listener": ("Listener", "/listeners", "listener", {**of_pool, "protocol_port": 81}),
        "pool": ("Pool", "/pools", "pool", {**of_pool, "lb_algorithm": "ROUND_ROBIN"}),
        "member": ("Member", f"/pools/{pool['id']}/members", "member", {"address": "10.0.0.8", "protocol_port": 80}),
        "healthmonitor": ("Health Monitor", "/healthmonitors", "healthmonitor", monitor),
        "l7policy": ("L7 Policy", "/l7policies", "l7policy", {"listener_id": listener["id"], "action": "REJECT"}),
        "l7rule": ("L7 Rule", f"/l7policies/{policy['id']}/rules", "rule", rule),
    }


@pytest.mark.parametrize("kind", ["loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule"])
def test_limit_is_kept(api: ContractApi, kind: str) -> None:
    title, path, root, body = creations(api)[kind]
    put(api, **{kind: 0})

    refused = api("POST", path, {root: body}, project=PROJECT, roles="member")
    put(api, **{kind: None})
    accepted = api("POST", path, {root: body}, project=PROJECT, roles="member")

    assert (refused.fault, accepted.status) == ((403, MET.format(title)), 201)


def test_limit_is_that_of_the_load_balancers_project_whoever_asks(api: ContractApi) -> None:
    _, path, root, body = creations(api)["listener"]
    put(api, listener=0)

    answer = api("POST", path, {root: body}, project="operators", roles="admin")

    assert answer.fault == (403, MET.format("Listener"))


def test_nothing_is_limited_where_nobody_is_asked(api: ContractApi) -> None:
    _, path, root, body = creations(api)["listener"]
    put(api, listener=0)

    assert api("POST", path, {root: body}).status == 201


def test_what_is_being_deleted_counts_until_it_is_gone(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    put(api, listener=1)
    body = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 81}}
    api.hold()
    api("DELETE", f"/listeners/{listener['id']}")

    held = api("POST", "/listeners", body, project=PROJECT, roles="member")
    api.control("release", {"loadbalancer_id": load_balancer["id"]})
    released = api("POST", "/listeners", body, project=PROJECT, roles="member")

    assert (held.fault, released.status) == ((403, MET.format("Listener")), 201)


def test_refused_creation_does_not_count(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    put(api, listener=1)
    body = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80}
    api.control("fault", {"error": "DriverError", "method": "listener_create"})

    refused = api("POST", "/listeners", {"listener": body}, project=PROJECT, roles="member")
    api.control("fault", {"clear": True})
    accepted = api("POST", "/listeners", {"listener": body}, project=PROJECT, roles="member")

    assert (refused.status, accepted.status) == (500, 201)


def test_limit_below_what_is_in_use_hinders_no_change(api: ContractApi) -> None:
    listener = api.listener(api.load_balancer())

    lowered = put(api, listener=0, loadbalancer=0)
    changed = api("PUT", f"/listeners/{listener['id']}", {"listener": {"name": "x"}}, project=PROJECT, roles="member")

    assert lowered == limits(listener=0, loadbalancer=0, load_balancer=0)
    assert changed.status == 200


GRAPH: Said = {
    "listeners": [
        {
            **{"protocol": "HTTP", "protocol_port": 80},
            "l7policies": [{"action": "REJECT", "rules": [{"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}]}],
        }
    ],
    "pools": [
        {
            **{"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
            "members": [{"address": "10.0.0.1", "protocol_port": 80}, {"address": "10.0.0.2", "protocol_port": 80}],
            "healthmonitor": {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
        }
    ],
}


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ({"loadbalancer": 0}, "Load Balancer"),
        ({"listener": 0}, "Listener"),
        ({"pool": 0}, "Pool"),
        ({"member": 1}, "Member"),
        ({"healthmonitor": 0}, "Health Monitor"),
        ({"l7policy": 0, "l7rule": 0}, None),
    ],
    ids=str,
)
def test_graph_is_counted_but_for_its_policies(api: ContractApi, said: dict[str, int], title: str | None) -> None:
    put(api, **said)

    body = {"loadbalancer": {"vip_subnet_id": str(uuid4()), **GRAPH}}
    answer = api("POST", "/loadbalancers", body, project=PROJECT, roles="member")

    if title is None:
        assert answer.status == 201
        return
    assert answer.fault == (403, MET.format(title))
    assert api.show("/loadbalancers") == []


def test_cascade_gives_everything_back(api: ContractApi) -> None:
    put(api, loadbalancer=1, listener=1, pool=1, member=2, healthmonitor=1)
    body = {"loadbalancer": {"vip_subnet_id": str(uuid4()), **GRAPH}}
    first = api("POST", "/loadbalancers", body, project=PROJECT, roles="member").object["id"]
    api.settled(first)

    api("DELETE", f"/loadbalancers/{first}?cascade=true")
    api.gone(f"/loadbalancers/{first}")

    assert api("POST", "/loadbalancers", body, project=PROJECT, roles="member").status == 201


# Who may


@pytest.mark.parametrize("roles", ["", "reader", "member", "service"])
def test_ordinary_users_see_their_own_project_alone(api: ContractApi, roles: str) -> None:
    own = api("GET", OWN, project=PROJECT, roles=roles)
    may_see = roles in ("reader", "member")

    assert (own.status == 200) == may_see
    for path in ("/quotas/weavers", "/quotas/defaults", "/quotas?project_id=weavers"):
        assert api("GET", path, project=PROJECT, roles=roles).fault == DENIED
    for method in ("PUT", "DELETE"):
        assert api(method, OWN, {"quota": {}}, project=PROJECT, roles=roles).fault == DENIED


def test_ordinary_users_list_their_own_project(api: ContractApi) -> None:
    put(api, pool=3)
    api.load_balancer(project_id="weavers")

    found = api("GET", "/quotas", project=PROJECT, roles="reader")

    assert found.object == [limits(pool=3)]
    assert len(api("GET", "/quotas", project="operators", roles="admin").object) == 2
