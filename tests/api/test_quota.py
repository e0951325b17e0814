"""Quotas as clients see them: limits, defaults, what is in use, who may, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest
from falcon.testing import TestClient

from infra.event_store import EventStore
from infra.local_network import VIP_SUBNET
from infra.quota_api import quota_defaults
from tests.api.conftest import PROJECT, Api, application_of

pytestmark = pytest.mark.postgres

CONFIRMED = {"X-Identity-Status": "Confirmed", "X-User-Id": "mona"}
MEMBER = {**CONFIRMED, "X-Project-Id": PROJECT, "X-Roles": "member,reader"}
READER = {**CONFIRMED, "X-Project-Id": PROJECT, "X-Roles": "reader"}
STRANGER = {**CONFIRMED, "X-Project-Id": "pottery", "X-Roles": "member,reader"}
ADMIN = {**CONFIRMED, "X-Project-Id": "operators", "X-Roles": "admin"}

NAMES = (
    "loadbalancer",
    "load_balancer",
    "listener",
    "member",
    "pool",
    "healthmonitor",
    "health_monitor",
    "l7policy",
    "l7rule",
)
UNLIMITED = dict.fromkeys(NAMES, -1)


@pytest.fixture
def api(api: Api) -> Api:
    """Everybody who is not named is an administrator here."""
    api.headers = ADMIN
    return api


def quota_of(project_id: str, **limits: int) -> dict[str, Any]:
    """As it is shown: what is not named is the default."""
    return {"project_id": project_id, "tenant_id": project_id, **UNLIMITED, **limits}


def set_to(api: Api, project_id: str, **limits: int | None) -> dict[str, Any]:
    result = api.call("PUT", f"/quotas/{project_id}", {"quota": limits})
    assert result.status_code == 202, result.text
    shown: dict[str, Any] = result.json["quota"]
    return shown


def make(api: Api, path: str, root: str, **attributes: object) -> dict[str, Any]:
    """By somebody whom limits concern."""
    result = api.call("POST", path, {root: attributes}, headers=MEMBER)
    assert result.status_code == 201, result.text
    created: dict[str, Any] = result.json[root]
    return created


def a_load_balancer(api: Api, **attributes: object) -> dict[str, Any]:
    return make(api, "/loadbalancers", "loadbalancer", vip_subnet_id=str(VIP_SUBNET.id), **attributes)


def usage_of(api: Api, project_id: str = PROJECT) -> dict[str, int]:
    shown = api.get(f"/quotas/{project_id}", "usage=true")["quota"]["usage"]
    assert set(shown) == set(NAMES)
    return {name: number for name, number in shown.items() if number}


# Showing and setting


def test_project_that_nobody_knows_has_the_defaults(api: Api) -> None:
    assert api.get("/quotas/pottery") == {"quota": quota_of("pottery")}
    assert api.get("/quotas/pottery/default") == {"quota": quota_of("pottery")}
    assert api.get("/quotas/defaults") == {"quota": quota_of("defaults")}


def test_limits_that_were_set_are_shown_under_both_spellings(api: Api) -> None:
    answered = set_to(api, "pottery", load_balancer=3, healthmonitor=0, member=2_000_000_000)

    expected = quota_of(
        "pottery", loadbalancer=3, load_balancer=3, healthmonitor=0, health_monitor=0, member=2_000_000_000
    )
    assert answered == expected
    assert api.get("/quotas/pottery")["quota"] == expected
    assert api.get("/quotas/pottery/default")["quota"] == quota_of("pottery")


def test_of_two_spellings_the_one_without_an_underscore_wins(api: Api) -> None:
    answered = set_to(api, "pottery", load_balancer=3, loadbalancer=4, health_monitor=5, healthmonitor=None)

    assert answered == quota_of("pottery", loadbalancer=4, load_balancer=4)


def test_what_is_not_named_stays_and_null_is_the_default_again(api: Api) -> None:
    set_to(api, "pottery", pool=1, member=2)

    assert set_to(api, "pottery") == quota_of("pottery", pool=1, member=2)
    assert set_to(api, "pottery", pool=None) == quota_of("pottery", member=2)


def test_reset_brings_all_defaults_back_and_keeps_the_record(api: Api) -> None:
    set_to(api, "pottery", pool=1)

    for _ in range(2):
        result = api.call("DELETE", "/quotas/pottery")
        assert (result.status_code, result.text) == (202, "")

    assert api.get("/quotas/pottery")["quota"] == quota_of("pottery")
    assert api.get("/quotas")["quotas"] == [quota_of("pottery")]


def test_reset_of_a_project_without_a_record_is_not_found(api: Api) -> None:
    assert api.refused(404, "DELETE", "/quotas/pottery") == "Quotas pottery not found."

    a_load_balancer(api)
    assert api.call("DELETE", f"/quotas/{PROJECT}").status_code == 202


def test_empty_change_makes_no_record(api: Api) -> None:
    assert set_to(api, "pottery") == quota_of("pottery")

    assert api.get("/quotas")["quotas"] == []


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_change_without_a_project_says_what_is_missing(api: Api, method: str) -> None:
    assert api.refused(400, method, "/quotas", {"quota": {}}) == 'Missing argument: "project_id"'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"quota": {"project_id": "x"}}, "Unknown attribute for argument quotas.quota: project_id"),
        ({"quotas": {}}, "Unknown attribute for argument quotas: quotas"),
        (b"", 'Missing argument: "quotas"'),
        (b"{", "Request is not in valid JSON format"),
        (
            {"quota": {"pool": -2}},
            "Invalid input for field/attribute pool. Value: '-2'. Value should be greater or equal to -1",
        ),
        (
            {"quota": {"l7rule": 2_000_000_001}},
            "Invalid input for field/attribute l7rule. Value: '2000000001'."
            " Value should be lower or equal to 2000000000",
        ),
        (
            {"quota": {"pool": "many"}},
            "Invalid input for field/attribute quotas. Value: '{'quota': {'pool': 'many'}}'."
            " invalid literal for int() with base 10: 'many'",
        ),
    ],
    ids=range(7),
)
def test_body_that_makes_no_sense_is_refused(api: Api, body: object, words: str) -> None:
    assert api.refused(400, "PUT", "/quotas/pottery", body) == words


@pytest.mark.parametrize(("path", "query"), [("/quotas/x", "fields=pool"), ("/quotas/x/default", "usage=true")])
def test_show_knows_no_argument_but_its_own(api: Api, path: str, query: str) -> None:
    name = query.partition("=")[0]

    assert api.refused(400, "GET", path, query_string=query) == f'Unknown argument: "{name}"'


@pytest.mark.parametrize("project_id", ["x" * 37, "x%00y"])
def test_project_id_that_no_project_can_have_is_shown_the_defaults_and_refused_a_quota(
    api: Api, project_id: str
) -> None:
    assert api.call("GET", f"/quotas/{project_id}").status_code == 200
    words = api.refused(400, "PUT", f"/quotas/{project_id}", {"quota": {"pool": 1}})

    assert words.startswith("Invalid input for field/attribute project_id.")


# Lists


def test_list_shows_projects_with_a_record(api: Api) -> None:
    set_to(api, "pottery", pool=1)
    a_load_balancer(api)

    listed = api.get("/quotas")

    assert listed["quotas"] == [quota_of("pottery", pool=1), quota_of(PROJECT)]
    assert listed["quotas_links"] == []


def test_list_is_filtered_sorted_and_paged_by_effective_limits(api: Api) -> None:
    for project_id, limit in (("a", 1), ("b", 3), ("c", 2), ("d", None)):
        set_to(api, project_id, pool=limit)

    def listed(query: str) -> list[str]:
        return [quota["project_id"] for quota in api.get("/quotas", query)["quotas"]]

    assert listed("pool=2") == ["c"]
    assert listed("pool=-1") == ["d"]
    assert listed("load_balancer=-1&healthmonitor=-1&pool=3") == ["b"]
    assert listed("project_id=a") == ["a"]
    assert listed("sort=pool:desc") == ["b", "c", "a", "d"]
    assert listed("limit=2&marker=b") == ["c", "d"]
    page = api.get("/quotas", "limit=2&fields=pool")
    assert page["quotas"][0] == quota_of("a", pool=1)
    assert [link["rel"] for link in page["quotas_links"]] == ["next"]
    assert "marker=b" in page["quotas_links"][0]["href"]


def test_list_refuses_other_filters(api: Api) -> None:
    for query in ("tenant_id=x", "tags=x", "pool=1&pool=2"):
        words = api.refused(400, "GET", "/quotas", query_string=query)
        assert words == "One or more arguments are either duplicate or invalid"


# Who may


def test_members_and_readers_see_their_own_and_change_nothing(api: Api) -> None:
    a_load_balancer(api)

    for who in (MEMBER, READER):
        for path in (f"/quotas/{PROJECT}", f"/quotas/{PROJECT}/default"):
            assert api.call("GET", path, headers=who).json["quota"] == quota_of(PROJECT)
        assert [each["project_id"] for each in api.call("GET", "/quotas", headers=who).json["quotas"]] == [PROJECT]
        shown = api.call("GET", f"/quotas/{PROJECT}", query_string="usage=true", headers=who).json["quota"]
        assert shown["usage"]["loadbalancer"] == 1
        for method in ("PUT", "DELETE"):
            assert "Policy does not allow" in api.refused(403, method, f"/quotas/{PROJECT}", {"quota": {}}, headers=who)


@pytest.mark.parametrize("path", [f"/quotas/{PROJECT}", f"/quotas/{PROJECT}/default", "/quotas/defaults"])
def test_others_see_nothing(api: Api, path: str) -> None:
    words = api.refused(403, "GET", path, headers=STRANGER)

    assert words == "Policy does not allow this request to be performed."


def test_policy_is_asked_before_a_record_is_looked_for_and_after_the_body_was_read(api: Api) -> None:
    assert api.call("DELETE", "/quotas/nobody", headers=MEMBER).status_code == 403
    assert api.call("PUT", "/quotas/nobody", b"{", headers=MEMBER).status_code == 400


# Defaults of a deployment


def test_defaults_of_the_deployment_are_shown_and_count(api: Api) -> None:
    settings = replace(api.settings, default_load_balancer_quota=2, default_health_monitor_quota=0)
    store = EventStore(settings.database_url, connections=1, quota_defaults=quota_defaults(settings))
    api.client = TestClient(application_of(store, api.pool, settings))
    set_to(api, PROJECT, loadbalancer=1)
    shown = quota_of("pottery", loadbalancer=2, load_balancer=2, healthmonitor=0, health_monitor=0)
    a_load_balancer(api)
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}}
    refused_by_its_own_limit = api.refused(403, "POST", "/loadbalancers", body, headers=MEMBER)
    set_to(api, PROJECT, loadbalancer=None)
    a_load_balancer(api)
    refused_by_the_default = api.refused(403, "POST", "/loadbalancers", body, headers=MEMBER)
    store.close()

    assert api.get("/quotas/pottery")["quota"] == api.get("/quotas/pottery/default")["quota"] == shown
    assert api.get("/quotas", "loadbalancer=2")["quotas"] == [{**shown, "project_id": PROJECT, "tenant_id": PROJECT}]
    assert refused_by_its_own_limit == refused_by_the_default == "Quota has been met for resources: Load Balancer"


# What is in use


def test_usage_follows_what_is_there(api: Api) -> None:
    load_balancer = a_load_balancer(api)
    pool = make(api, "/pools", "pool", loadbalancer_id=load_balancer["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    make(api, f"/pools/{pool['id']}/members", "member", address="127.0.0.10", protocol_port=80)
    api.confirm(load_balancer)
    built = usage_of(api)

    api.delete(f"/pools/{pool['id']}")
    while_it_goes = usage_of(api)
    api.confirm(load_balancer)

    assert built == {"loadbalancer": 1, "load_balancer": 1, "pool": 1, "member": 1}
    assert while_it_goes == built
    assert usage_of(api) == {"loadbalancer": 1, "load_balancer": 1}
    assert "usage" not in api.get(f"/quotas/{PROJECT}")["quota"]


def test_object_of_an_administrator_counts_for_the_project_of_its_load_balancer(api: Api) -> None:
    load_balancer = a_load_balancer(api)

    api.listener(load_balancer)

    assert usage_of(api) == {"loadbalancer": 1, "load_balancer": 1, "listener": 1}
    assert usage_of(api, "operators") == {}


# What is refused


def test_creation_beyond_the_limit_is_refused_and_leaves_nothing(api: Api) -> None:
    set_to(api, PROJECT, loadbalancer=1)
    a_load_balancer(api)

    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}}
    words = api.refused(403, "POST", "/loadbalancers", body, headers=MEMBER)

    assert words == "Quota has been met for resources: Load Balancer"
    assert len(api.get("/loadbalancers", f"project_id={PROJECT}")["loadbalancers"]) == 1
    assert usage_of(api)["loadbalancer"] == 1


@pytest.mark.parametrize(
    ("kind", "words"),
    [("listener", "Listener"), ("pool", "Pool"), ("member", "Member"), ("healthmonitor", "Health Monitor")],
)
def test_each_kind_is_refused_by_its_name(api: Api, kind: str, words: str) -> None:
    set_to(api, PROJECT, **{kind: 0})
    load_balancer = a_load_balancer(api)
    pool = {"id": None} if kind == "pool" else api.pool_of(load_balancer)
    requests = {
        "listener": ("/listeners", {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80}),
        "pool": ("/pools", {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}),
        "member": (f"/pools/{pool['id']}/members", {"address": "127.0.0.10", "protocol_port": 80}),
        "healthmonitor": (
            "/healthmonitors",
            {"pool_id": pool["id"], "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1},
        ),
    }
    path, attributes = requests[kind]

    refused = api.refused(403, "POST", path, {kind: attributes}, headers=MEMBER)

    assert refused == f"Quota has been met for resources: {words}"
    assert kind not in usage_of(api)


def test_graph_is_refused_as_a_whole(api: Api) -> None:
    set_to(api, PROJECT, member=1)
    members = [{"address": "127.0.0.10", "protocol_port": port} for port in (80, 81)]
    pool = {"name": "books", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "pools": [pool]}}

    words = api.refused(403, "POST", "/loadbalancers", body, headers=MEMBER)

    assert words == "Quota has been met for resources: Member"
    assert usage_of(api) == {}
    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_change_and_deletion_are_never_refused(api: Api) -> None:
    load_balancer = a_load_balancer(api)
    set_to(api, PROJECT, **dict.fromkeys(NAMES, 0))

    changed = api.call("PUT", f"/loadbalancers/{load_balancer['id']}", {"loadbalancer": {"name": "x"}}, headers=MEMBER)
    deleted = api.call("DELETE", f"/loadbalancers/{load_balancer['id']}", headers=MEMBER)

    assert (changed.status_code, deleted.status_code) == (200, 204)
