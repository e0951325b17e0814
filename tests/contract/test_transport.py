"""URLs, version discovery, content negotiation, shapes of errors, types of fields: what every request goes through."""

import json
import re
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pytest

from tests.contract.conftest import PROJECT, ContractApi

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

NOBODY = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
UPDATED = {
    "v2.0": "2016-12-11T00:00:00Z",
    "v2.1": "2018-04-20T00:00:00Z",
    "v2.2": "2018-07-31T00:00:00Z",
    "v2.3": "2018-12-18T00:00:00Z",
    "v2.4": "2018-12-19T00:00:00Z",
    "v2.5": "2019-01-21T00:00:00Z",
    "v2.6": "2019-01-25T00:00:00Z",
    "v2.7": "2018-01-25T12:00:00Z",
    "v2.8": "2019-02-12T00:00:00Z",
    "v2.9": "2019-03-04T00:00:00Z",
    "v2.10": "2019-03-05T00:00:00Z",
    "v2.11": "2019-06-24T00:00:00Z",
    "v2.12": "2019-09-11T00:00:00Z",
    "v2.13": "2019-09-13T00:00:00Z",
    "v2.14": "2019-11-10T00:00:00Z",
    "v2.15": "2020-03-10T00:00:00Z",
    "v2.16": "2020-03-15T00:00:00Z",
    "v2.17": "2020-04-29T00:00:00Z",
    "v2.18": "2020-04-29T01:00:00Z",
    "v2.19": "2020-05-12T00:00:00Z",
    "v2.20": "2020-08-02T00:00:00Z",
    "v2.21": "2020-09-03T00:00:00Z",
    "v2.22": "2020-09-04T00:00:00Z",
    "v2.23": "2020-09-07T00:00:00Z",
    "v2.24": "2020-10-15T00:00:00Z",
    "v2.25": "2021-10-02T00:00:00Z",
    "v2.26": "2022-08-29T00:00:00Z",
    "v2.27": "2023-05-05T00:00:00Z",
    "v2.28": "2023-11-08T00:00:00Z",
    "v2.29": "2024-10-15T00:00:00Z",
    "v2.30": "2025-02-26T00:00:00Z",
}
COLLECTIONS = (
    *("loadbalancers", "listeners", "pools", "healthmonitors", "l7policies", "quotas", "providers"),
    *("flavors", "flavorprofiles", "availabilityzones", "availabilityzoneprofiles"),
)


# URLs


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_collection_answers_under_all_its_prefixes(api: ContractApi, name: str) -> None:
    answers = [
        api.raw("GET", f"{prefix}/{name}{suffix}")
        for prefix in ("/v2/lbaas", "/v2.0/lbaas", "/v2", "/v2.0")
        for suffix in ("", "/", ".json")
    ]

    assert {answer.status for answer in answers} == {200}
    assert len({json.dumps(answer.json) for answer in answers}) == 1


def test_a_change_through_an_alias_is_the_same_change(api: ContractApi) -> None:
    body = json.dumps({"loadbalancer": {"vip_subnet_id": str(uuid4()), "project_id": PROJECT}}).encode()
    kind = {"Content-Type": "application/json"}

    created = api.raw("POST", "/v2/loadbalancers/", body, kind)
    found = api.raw("GET", f"/v2.0/lbaas/loadbalancers/{created.object['id']}.json")

    assert created.status == 201
    assert found.object["vip_subnet_id"] == created.object["vip_subnet_id"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1",
        "/v3",
        "/v2/amphorae",
        "/v2/lbaas/amphorae",
        "/v2/octavia/loadbalancers",
        "/v2/octavia/nothing",
        "/v2/nothing",
        "/v2.0/lbaas/nothing",
        "/v2/lbaas/listeners/x/y/z",
        "/v2/lbaas/loadbalancers/x/y/z",
        "/v2/lbaas/pools/x/members/y/z/w",
        "//v2/lbaas/loadbalancers",
    ],
)
def test_an_unknown_path_is_not_found_in_the_shape_of_routing(api: ContractApi, path: str) -> None:
    assert api.raw("GET", path).routing_fault[0] == 404


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2.0", "/v2.0/", "/v2/lbaas", "/v2/lbaas/", "/v2/octavia"])
def test_roots_of_versions_answer_with_a_word(api: ContractApi, path: str) -> None:
    found = api.raw("GET", path)

    assert (found.status, found.json) == (200, "v2")
    assert {api.raw(method, path).routing_fault for method in ("POST", "PUT", "DELETE", "PATCH")} == {(405, "")}


ITEMS = (
    *("loadbalancers", "listeners", "pools", "healthmonitors", "l7policies"),
    *("flavors", "flavorprofiles", "availabilityzones", "availabilityzoneprofiles"),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")
ALLOWED = {
    **{f"/lbaas/{name}": {"GET", "POST"} for name in ITEMS},
    **{f"/lbaas/{name}/{NOBODY}": {"GET", "PUT", "DELETE"} for name in ITEMS},
    **{f"/lbaas/loadbalancers/{NOBODY}/{name}": {"GET"} for name in ("status", "statuses", "stats")},
    f"/lbaas/loadbalancers/{NOBODY}/failover": {"PUT"},
    f"/lbaas/listeners/{NOBODY}/stats": {"GET"},
    f"/lbaas/pools/{NOBODY}/members": {"GET", "POST", "PUT"},
    f"/lbaas/pools/{NOBODY}/members/{NOBODY}": {"GET", "PUT", "DELETE"},
    f"/lbaas/l7policies/{NOBODY}/rules": {"GET", "POST"},
    f"/lbaas/l7policies/{NOBODY}/rules/{NOBODY}": {"GET", "PUT", "DELETE"},
    "/lbaas/quotas": {"GET", "PUT", "DELETE"},
    "/lbaas/quotas/p": {"GET", "PUT", "DELETE"},
    "/lbaas/quotas/p/default": {"GET"},
    "/lbaas/quotas/defaults": {"GET", "PUT", "DELETE"},
    "/lbaas/providers": {"GET"},
    "/lbaas/providers/amphora": set(),
    "/lbaas/providers/amphora/flavor_capabilities": {"GET"},
    "/lbaas/providers/amphora/availability_zone_capabilities": {"GET"},
    "/octavia/amphorae": {"GET"},
    f"/octavia/amphorae/{NOBODY}": {"GET", "DELETE"},
    f"/octavia/amphorae/{NOBODY}/stats": {"GET"},
    f"/octavia/amphorae/{NOBODY}/config": {"PUT"},
    f"/octavia/amphorae/{NOBODY}/failover": {"PUT"},
}


@pytest.mark.parametrize("path", ALLOWED, ids=lambda path: path.replace(NOBODY, "id"))
def test_a_method_that_a_path_does_not_have_is_not_allowed(api: ContractApi, path: str) -> None:
    answers = {method: api.raw(method, f"/v2{path}") for method in METHODS}

    refused = {method for method, answer in answers.items() if answer.status == 405}
    assert set(METHODS) - refused == ALLOWED[path]
    for method in refused:
        assert answers[method].json == {"code": 405, "title": "Method Not Allowed", "description": ""}


def test_head_of_a_collection_is_not_allowed(api: ContractApi) -> None:
    assert api.raw("HEAD", "/v2/lbaas/loadbalancers").status == 405


def test_options_are_answered_with_nothing(api: ContractApi) -> None:
    found = api.raw("OPTIONS", "/v2/lbaas/loadbalancers")

    assert (found.status, found.text) == (200, "")


# Version discovery


@pytest.mark.parametrize("path", ["/", ""])
def test_versions_are_listed_in_order_and_the_last_is_current(api: ContractApi, path: str) -> None:
    port = api.service.port

    found = api.raw("GET", path)

    assert found.status == 200
    link = {"href": f"http://127.0.0.1:{port}/v2", "rel": "self"}
    assert found.json == {
        "versions": [
            {"id": id, "status": "CURRENT" if id == "v2.30" else "SUPPORTED", "updated": when, "links": [link]}
            for id, when in UPDATED.items()
        ]
    }


def test_versions_answer_head_and_need_no_identity(api: ContractApi) -> None:
    assert api.raw("HEAD", "/").status == 200
    assert api.raw("GET", "/", None, {"X-Identity-Status": "Invalid"}).status == 200


def test_versions_link_to_the_host_that_was_asked(api: ContractApi) -> None:
    found = api.raw("GET", "/", None, {"Host": "balancers.example.com:1234"})

    assert {link["href"] for each in found.json["versions"] for link in each["links"]} == {
        "http://balancers.example.com:1234/v2"
    }


# Health


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE"])
def test_there_is_no_healthcheck_unless_it_is_enabled(api: ContractApi, method: str) -> None:
    assert api.raw(method, "/healthcheck").status == 404


def test_the_healthcheck_speaks_what_it_is_asked_for(api: ContractApi) -> None:
    api.set(healthcheck_enabled=True)

    plain, page = api.raw("GET", "/healthcheck"), api.raw("GET", "/healthcheck", None, {"Accept": "text/html"})
    document = api.raw("GET", "/healthcheck", None, {"Accept": "application/json"})

    assert (plain.status, plain.text) == (204, "")
    assert (document.status, document.json) == (200, {"detailed": False, "reasons": []})
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert api.raw("HEAD", "/healthcheck").status == 204
    assert {api.raw(method, "/healthcheck").status for method in ("POST", "PUT", "DELETE")} == {405}


# Content negotiation


@pytest.mark.parametrize("accept", [None, "*/*", "", "application/json", "text/html, application/*;q=0.5"])
def test_whoever_takes_json_gets_it(api: ContractApi, accept: str | None) -> None:
    found = api.raw("GET", "/v2/lbaas/loadbalancers", None, {} if accept is None else {"Accept": accept})

    assert found.status == 200
    assert found.headers["content-type"].partition(";")[0] == "application/json"


@pytest.mark.parametrize("accept", ["text/html", "application/xml, text/*"])
@pytest.mark.parametrize("path", ["/v2/lbaas/loadbalancers", "/"])
def test_whoever_does_not_is_told(api: ContractApi, accept: str, path: str) -> None:
    found = api.raw("GET", path, None, {"Accept": accept})

    assert found.status == 406
    assert found.json == {
        "code": 406,
        "title": "Not Acceptable",
        "description": "Only content type application/json is accepted.",
    }


def body_of_a_load_balancer() -> bytes:
    return json.dumps({"loadbalancer": {"vip_subnet_id": str(uuid4()), "project_id": PROJECT}}).encode()


@pytest.mark.parametrize("said", [None, "application/json", "application/json; charset=utf-8", "application/JSON"])
def test_a_body_is_json_where_nothing_else_is_said(api: ContractApi, said: str | None) -> None:
    kind = {} if said is None else {"Content-Type": said}

    assert api.raw("POST", "/v2/lbaas/loadbalancers", body_of_a_load_balancer(), kind).status == 201


@pytest.mark.parametrize("said", ["text/plain", "application/xml"])
def test_a_body_of_another_kind_is_refused(api: ContractApi, said: str) -> None:
    found = api.raw("POST", "/v2/lbaas/loadbalancers", body_of_a_load_balancer(), {"Content-Type": said})

    assert found.fault == (415, f"Unknown mimetype: {said}")


def test_a_form_is_refused(api: ContractApi) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}

    status, text = api.raw("POST", "/v2/lbaas/loadbalancers", body_of_a_load_balancer(), kind).fault

    assert status == 400
    assert text.startswith("Unknown argument: ")


def test_a_body_beyond_the_limit_is_too_large(api: ContractApi) -> None:
    fits, large = (b'{"loadbalancer": "' + b"x" * (114_688 - 20 + more) + b'"}' for more in (0, 1))

    assert api("POST", "/loadbalancers", body=fits).status == 400
    assert api("POST", "/loadbalancers", body=large).status == 413


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/nothing"), ("GET", "/v2/lbaas/loadbalancers"), ("GET", f"/v2/lbaas/pools/{NOBODY}")],
)
def test_every_answer_names_the_request(api: ContractApi, method: str, path: str) -> None:
    theirs = {"X-Openstack-Request-Id": f"req-{uuid4()}"}

    ids = [api.raw(method, path, None, theirs).headers["x-openstack-request-id"] for _ in range(2)]

    assert all(re.fullmatch(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", id) for id in ids)
    assert len({*ids, *theirs.values()}) == 3


# Errors


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/loadbalancers/{}", "Load Balancer"),
        ("/listeners/{}", "Listener"),
        ("/pools/{}", "Pool"),
        ("/healthmonitors/{}", "Health Monitor"),
        ("/l7policies/{}", "L7 Policy"),
        ("/flavors/{}", "Flavor"),
        ("/flavorprofiles/{}", "Flavor Profile"),
        ("/availabilityzones/{}", "Availability Zone"),
        ("/availabilityzoneprofiles/{}", "Availability Zone Profile"),
        ("/v2/octavia/amphorae/{}", "Amphora"),
    ],
)
@pytest.mark.parametrize("id", [NOBODY, "a-name", "ä b", "%00", "0"], ids=["uuid", "name", "umlaut", "nul", "0"])
def test_unknown_ids_and_what_is_no_id_are_not_found_alike(api: ContractApi, path: str, title: str, id: str) -> None:
    quoted = id if "%" in id else quote(id)

    assert api("GET", path.format(quoted)).fault == (404, f"{title} {unquote(id)} not found.")


def test_one_unknown_segment_below_an_object_is_not_found(api: ContractApi) -> None:
    id = api.load_balancer()["id"]

    assert {api("GET", f"/loadbalancers/{each}/junk").status for each in (id, NOBODY)} == {404}


BELOW_A_PARENT = ("/pools/{}/members", "/pools/{}/members/x", "/l7policies/{}/rules", "/l7policies/{}/rules/x")


@pytest.mark.parametrize("path", BELOW_A_PARENT)
@pytest.mark.parametrize("id", [NOBODY, "no-id"])
def test_an_unknown_parent_comes_before_everything_else(api: ContractApi, path: str, id: str) -> None:
    title = "Pool" if path.startswith("/pools") else "L7Policy"
    methods = ("GET", "PUT", "DELETE") if path.endswith("x") else ("GET", "POST")

    answers = [api(method, path.format(id), body=b"no json", project="p", roles="") for method in methods]

    assert {answer.routing_fault for answer in answers} == {(404, f"{title} {id} not found.")}


def test_an_unknown_pool_comes_before_everything_else_in_a_batch_too(api: ContractApi) -> None:
    answer = api("PUT", f"/pools/{NOBODY}/members", body=b"no json", project="p", roles="")

    assert answer.routing_fault == (404, f"Pool {NOBODY} not found.")


def test_what_has_no_body_has_no_type(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)

    batch = api("PUT", f"/pools/{pool['id']}/members", {"members": []})
    failover = api("PUT", f"/loadbalancers/{load_balancer['id']}/failover")
    deleted = api("DELETE", f"/loadbalancers/{load_balancer['id']}?cascade=true")
    api("PUT", "/quotas/p", {"quota": {"listener": 1}})
    reset = api("DELETE", "/quotas/p")

    answers = [batch, failover, deleted, reset]
    assert [answer.status for answer in answers] == [202, 202, 204, 202]
    assert {answer.text for answer in answers} == {""}
    assert not any("content-type" in answer.headers for answer in answers)


# Bodies


ARGUMENTS = {
    "/loadbalancers": ("load_balancer", "loadbalancer"),
    "/listeners": ("listener_", "listener"),
    "/pools": ("pool_", "pool"),
    "/healthmonitors": ("health_monitor_", "healthmonitor"),
    "/l7policies": ("l7policy_", "l7policy"),
    "/flavors": ("flavor_", "flavor"),
    "/flavorprofiles": ("flavor_profile_", "flavorprofile"),
    "/availabilityzones": ("availability_zone_", "availability_zone"),
    "/availabilityzoneprofiles": ("availability_zone_profile_", "availability_zone_profile"),
}
CHANGED = {**{f"{path}/{NOBODY}": names for path, names in ARGUMENTS.items()}, "/quotas/p": ("quotas", "quota")}
BODIES = [("POST", path, *names) for path, names in ARGUMENTS.items()]
BODIES += [("PUT", path, *names) for path, names in CHANGED.items()]


@pytest.mark.parametrize(("method", "path", "argument", "root"), BODIES, ids=lambda part: part.replace(NOBODY, "id"))
def test_a_body_without_its_object_is_refused(
    api: ContractApi, method: str, path: str, argument: str, root: str
) -> None:
    def refusal(body: bytes) -> Any:
        return api(method, path, body=body, project="p", roles="").fault

    unknown = f"Unknown attribute for argument {argument}"
    assert refusal(b"{no json") == (400, "Request is not in valid JSON format")
    assert refusal(b"") == (400, f'Missing argument: "{argument}"')
    assert {refusal(body)[0] for body in (b"[]", b"1", b"null", b"{}")} == {400}
    assert {refusal(json.dumps({root: no}).encode())[0] for no in (None, [], "x", 7)} == {400}
    assert refusal(json.dumps({root: {}, "more": 1}).encode()) == (400, f"{unknown}: more")
    assert refusal(json.dumps({root: {"colour": "red"}}).encode()) == (400, f"{unknown}.{root}: colour")
    assert refusal(json.dumps({root: {"colour": "red", "size": 1}}).encode()) == (
        400,
        f"Unknown attributes for argument {argument}.{root}: colour, size",
    )


def test_what_is_wrong_within_a_tree_is_named_with_its_way_and_told_to_everybody(api: ContractApi) -> None:
    def refusal(**graph: object) -> tuple[int, str]:
        body = {"loadbalancer": {"vip_subnet_id": NOBODY, **graph}}
        return api("POST", "/loadbalancers", body, project="p", roles="").fault

    listener = {"protocol": "HTTP", "protocol_port": 80, "l7policies": [{"action": "REJECT", "colour": "red"}]}
    member = {"address": "x", "protocol_port": 80}

    start = "Unknown attribute for argument load_balancer.loadbalancer"
    assert refusal(listeners=[listener]) == (400, f"{start}.listeners.l7policies: colour")
    assert refusal(pools=[{"colour": "red"}]) == (400, f"{start}.pools: colour")
    assert refusal(additional_vips=[{"colour": "red"}]) == (400, f"{start}.additional_vips: colour")
    assert refusal(pools=[{"members": [member]}]) == (400, wrong("address", "x", "Value should be IPv4 or IPv6 format"))
    assert refusal(listeners=[{"protocol": "HTTP"}]) == (400, wrong("protocol_port", None, "Mandatory field missing."))


SERVER_SET = {
    "id": NOBODY,
    "provisioning_status": "ACTIVE",
    "operating_status": "ONLINE",
    "created_at": None,
    "updated_at": None,
}


@pytest.mark.parametrize("name", SERVER_SET)
@pytest.mark.parametrize(("path", "names"), list(ARGUMENTS.items())[:5], ids=[path[1:] for path in ARGUMENTS][:5])
def test_what_the_server_sets_is_unknown_to_it(api: ContractApi, path: str, names: tuple[str, str], name: str) -> None:
    argument, root = names
    text = f"Unknown attribute for argument {argument}.{root}: {name}"

    assert api("POST", path, {root: {name: SERVER_SET[name]}}).fault == (400, text)
    assert api("PUT", f"{path}/{NOBODY}", {root: {name: SERVER_SET[name]}}).fault == (400, text)


@pytest.mark.parametrize(
    ("path", "root", "fixed"),
    [
        (
            "/loadbalancers",
            "loadbalancer",
            "project_id tenant_id vip_address vip_port_id vip_subnet_id vip_network_id vip_vnic_type additional_vips"
            " provider flavor_id availability_zone listeners pools",
        ),
        ("/listeners", "listener", "project_id tenant_id protocol protocol_port loadbalancer_id"),
        ("/pools", "pool", "project_id tenant_id protocol loadbalancer_id listener_id members healthmonitor"),
        ("/healthmonitors", "healthmonitor", "project_id tenant_id type pool_id"),
        ("/l7policies", "l7policy", "project_id tenant_id listener_id"),
    ],
)
def test_what_is_fixed_is_unknown_to_a_change(api: ContractApi, path: str, root: str, fixed: str) -> None:
    argument, _ = ARGUMENTS[path]

    for name in fixed.split():
        text = f"Unknown attribute for argument {argument}.{root}: {name}"
        assert api("PUT", f"{path}/{NOBODY}", {root: {name: "x"}}).fault == (400, text)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/loadbalancers"),
        ("PUT", f"/loadbalancers/{NOBODY}"),
        ("DELETE", f"/loadbalancers/{NOBODY}"),
        ("DELETE", f"/listeners/{NOBODY}"),
        ("DELETE", "/quotas/p"),
        ("PUT", f"/loadbalancers/{NOBODY}/failover"),
        ("DELETE", f"/flavors/{NOBODY}"),
    ],
    ids=lambda part: part.replace(NOBODY, "id"),
)
def test_an_unknown_query_argument_of_a_change_is_refused(api: ContractApi, method: str, path: str) -> None:
    body = {"loadbalancer": {}} if method != "DELETE" else None

    assert api(method, f"{path}?colour=red", body).fault == (400, 'Unknown argument: "colour"')
    if not (method == "DELETE" and "loadbalancers" in path):
        assert api(method, f"{path}?cascade=true", body).fault == (400, 'Unknown argument: "cascade"')


# Types, on the listener, which has most of them


def a_listener(**said: object) -> dict[str, Any]:
    return {"listener": {"loadbalancer_id": NOBODY, "protocol": "HTTP", "protocol_port": 80, **said}}


def wrong(name: str, value: object, reason: str) -> str:
    return f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}"


LONG = "x" * 256


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("name", 7, "Value should be string"),
        ("name", True, "Value should be string"),
        ("name", LONG, "Value should have a maximum character requirement of 255"),
        ("description", LONG, "Value should have a maximum character requirement of 255"),
        ("protocol_port", 0, "Value should be greater or equal to 1"),
        ("protocol_port", 65_536, "Value should be lower or equal to 65535"),
        ("protocol_port", "65536", "Value should be lower or equal to 65535"),
        ("timeout_client_data", -1, "Value should be greater or equal to 0"),
        ("timeout_client_data", 2_073_600_001, "Value should be lower or equal to 2073600000"),
        ("loadbalancer_id", "", "Value should be UUID format"),
        ("loadbalancer_id", "x", "Value should be UUID format"),
        ("loadbalancer_id", 7, "Value should be UUID format"),
    ],
)
def test_a_value_beyond_the_limits_of_its_field_names_the_field(
    api: ContractApi, name: str, value: object, reason: str
) -> None:
    status, text = api("POST", "/listeners", a_listener(**{name: value})).fault

    assert (status, text) == (400, wrong(name, value, reason))


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("protocol_port", "x", "invalid literal for int() with base 10: 'x'"),
        ("admin_state_up", "True", "Value not an unambiguous boolean: True"),
        ("admin_state_up", "2", "Value not an unambiguous boolean: 2"),
        ("tags", "x", "Value not a valid list: x"),
        ("tls_versions", "TLSv1.2", "Value not a valid list: TLSv1.2"),
        ("insert_headers", "x", "Value not a valid dict: x"),
    ],
)
def test_a_value_of_another_type_altogether_names_the_argument_and_shows_the_body(
    api: ContractApi, name: str, value: object, reason: str
) -> None:
    body = a_listener(**{name: value})

    status, text = api("POST", "/listeners", body).fault

    assert status == 400
    assert text.startswith("Invalid input for field/attribute listener_. Value: '{")
    assert text.endswith(f"}}'. {reason}")
    assert NOBODY in text


@pytest.mark.parametrize("value", ["http", "", "FTP", 7])
def test_a_value_that_is_none_of_a_choice_is_told_the_choice(api: ContractApi, value: object) -> None:
    status, text = api("POST", "/listeners", a_listener(protocol=value)).fault

    refusal, _, choice = text.rpartition(": ")
    assert (status, refusal) == (400, wrong("protocol", value, "Value should be one of"))
    assert set(choice.split(", ")) == {"TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "UDP", "SCTP", "PROMETHEUS"}


@pytest.mark.parametrize("value", [[], {}, [80]])
def test_what_is_no_number_at_all_is_refused_for_one(api: ContractApi, value: object) -> None:
    assert api("POST", "/listeners", a_listener(protocol_port=value)).fault[0] == 400


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"protocol_port": "81"}, {"protocol_port": 81}),
        ({"protocol_port": "8 "}, {"protocol_port": 8}),
        ({"protocol_port": 80.9}, {"protocol_port": 80}),
        ({"protocol_port": True}, {"protocol_port": 1}),
        ({"admin_state_up": "off"}, {"admin_state_up": False}),
        ({"admin_state_up": "t"}, {"admin_state_up": True}),
        ({"admin_state_up": 7}, {"admin_state_up": True}),
        ({"admin_state_up": 0}, {"admin_state_up": False}),
        ({"admin_state_up": None}, {"admin_state_up": False}),
        ({"name": ""}, {"name": ""}),
        ({"name": None}, {"name": ""}),
        ({"allowed_cidrs": ["10.0.0.1/8", "10.0.0.1"]}, {"allowed_cidrs": ["10.0.0.0/8", "10.0.0.1/32"]}),
        ({"insert_headers": {"X-Forwarded-For": "true"}}, {"insert_headers": {"X-Forwarded-For": "true"}}),
        ({"project_id": "another", "tenant_id": "another"}, {"project_id": PROJECT, "tenant_id": PROJECT}),
    ],
    ids=str,
)
def test_a_value_that_can_be_read_is_kept_as_what_it_means(
    api: ContractApi, said: dict[str, Any], kept: dict[str, Any]
) -> None:
    id = api.load_balancer()["id"]

    created = api("POST", "/listeners", a_listener(**{"loadbalancer_id": id, **said}))

    assert created.status == 201, created
    assert {name: created.object[name] for name in kept} == kept


@pytest.mark.parametrize("form", ["{}", "{{{}}}", "urn:uuid:{}"])
def test_ids_are_read_in_any_form_and_shown_in_one(api: ContractApi, form: str) -> None:
    id = uuid4()

    created = api.load_balancer(vip_subnet_id=form.format(id.hex.upper() if form == "{}" else str(id).upper()))

    assert created["vip_subnet_id"] == str(id)


@pytest.mark.parametrize("name", ["vip_address"])
@pytest.mark.parametrize("value", ["10.0.0.300", "x", "", "10.0.0.0/8"])
def test_an_address_has_to_be_one(api: ContractApi, name: str, value: str) -> None:
    body = {"loadbalancer": {"vip_subnet_id": NOBODY, name: value}}

    assert api("POST", "/loadbalancers", body).fault == (400, wrong(name, value, "Value should be IPv4 or IPv6 format"))


@pytest.mark.parametrize("value", ["10.0.0.7", "2001:DB8:0:0::7"])
def test_an_address_is_kept_as_it_was_written(api: ContractApi, value: str) -> None:
    assert api.load_balancer(vip_address=value)["vip_address"] == value


@pytest.mark.parametrize("value", ["10.0.0.0/33", "x", ""])
def test_a_range_of_addresses_has_to_be_one(api: ContractApi, value: str) -> None:
    status, text = api("POST", "/listeners", a_listener(allowed_cidrs=[value])).fault

    assert status == 400
    assert text.endswith("Value should be IPv4 or IPv6 CIDR format")


def test_a_header_has_to_be_text(api: ContractApi) -> None:
    status, text = api("POST", "/listeners", a_listener(insert_headers={"X-Forwarded-For": True})).fault

    assert status == 400
    assert text.endswith("Value should be string")


@pytest.mark.parametrize(
    ("path", "root", "names"),
    [
        ("/listeners", "listener", ("protocol", "protocol_port")),
        ("/pools", "pool", ("protocol", "lb_algorithm")),
        ("/healthmonitors", "healthmonitor", ("type", "delay", "timeout", "max_retries", "pool_id")),
        ("/l7policies", "l7policy", ("action", "listener_id")),
        ("/flavors", "flavor", ("name", "flavor_profile_id")),
        ("/flavorprofiles", "flavorprofile", ("name", "provider_name", "flavor_data")),
    ],
)
def test_a_mandatory_field_that_is_missing_is_named(
    api: ContractApi, path: str, root: str, names: tuple[str, ...]
) -> None:
    everything = {
        "loadbalancer_id": NOBODY,
        "protocol": "HTTP",
        "protocol_port": 80,
        "lb_algorithm": "ROUND_ROBIN",
        "type": "TCP",
        "delay": 1,
        "timeout": 1,
        "max_retries": 1,
        "pool_id": NOBODY,
        "action": "REJECT",
        "listener_id": NOBODY,
        "name": "n",
        "flavor_profile_id": NOBODY,
        "provider_name": "amphora",
        "flavor_data": "{}",
    }
    own = {"/listeners": ("loadbalancer_id",), "/pools": ("loadbalancer_id",)}.get(path, ())
    for missing in names:
        said = {name: everything[name] for name in (*names, *own) if name != missing}

        assert api("POST", path, {root: said}).fault == (400, wrong(missing, None, "Mandatory field missing."))


# What all objects have in common


def a_tree(api: ContractApi) -> dict[str, dict[str, Any]]:
    """Path of an object -> the object, one of each kind."""
    load_balancer = api.load_balancer(name="lb")
    listener = api.listener(load_balancer)
    pool = api.pool(load_balancer, listener_id=listener["id"])
    member = api.member(load_balancer, pool)
    monitor = api.health_monitor(load_balancer, pool)
    policy = api.l7_policy(load_balancer, listener)
    rule = api.l7_rule(load_balancer, policy)
    return {
        f"/loadbalancers/{load_balancer['id']}": api.show(f"/loadbalancers/{load_balancer['id']}"),
        f"/listeners/{listener['id']}": api.show(f"/listeners/{listener['id']}"),
        f"/pools/{pool['id']}": api.show(f"/pools/{pool['id']}"),
        f"/pools/{pool['id']}/members/{member['id']}": member,
        f"/healthmonitors/{monitor['id']}": monitor,
        f"/l7policies/{policy['id']}": api.show(f"/l7policies/{policy['id']}"),
        f"/l7policies/{policy['id']}/rules/{rule['id']}": rule,
    }


def root_of(path: str) -> str:
    singular = {"l7policies": "l7policy", "rules": "rule"}
    name = path.split("/")[-2]
    return singular.get(name, name.removesuffix("s"))


def test_projects_times_and_references_are_shown_alike_everywhere(api: ContractApi) -> None:
    for path, shown in a_tree(api).items():
        assert shown["project_id"] == shown["tenant_id"] == PROJECT, path
        for name in ("created_at", "updated_at"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?", shown[name]), path
        for name in ("listeners", "pools", "members", "l7policies", "rules", "loadbalancers"):
            assert all(set(each) == {"id"} for each in shown.get(name, ())), path


def test_what_is_new_was_never_changed(api: ContractApi) -> None:
    api.hold()

    created = api.create("/loadbalancers", "loadbalancer", vip_subnet_id=NOBODY, project_id=PROJECT)

    assert created["updated_at"] is None
    assert api.show(f"/loadbalancers/{created['id']}")["updated_at"] is None


@pytest.mark.parametrize(
    ("said", "project"),
    [
        ({"project_id": "one"}, "one"),
        ({"tenant_id": "two"}, "two"),
        ({"project_id": "one", "tenant_id": "two"}, "two"),
        ({}, "caller"),
        ({"project_id": None}, "caller"),
        ({"project_id": "any words"}, "any words"),
    ],
    ids=str,
)
def test_the_project_of_a_load_balancer(api: ContractApi, said: dict[str, Any], project: str) -> None:
    body = {"loadbalancer": {"vip_subnet_id": NOBODY, **said}}

    created = api("POST", "/loadbalancers", body, project="caller")

    assert (created.object["project_id"], created.object["tenant_id"]) == (project, project)


def test_a_project_that_is_too_long_is_refused(api: ContractApi) -> None:
    body = {"loadbalancer": {"vip_subnet_id": NOBODY, "project_id": "p" * 37}}

    text = wrong("project_id", "p" * 37, "Value should have a maximum character requirement of 36")
    assert api("POST", "/loadbalancers", body).fault == (400, text)


def test_an_empty_change_changes_nothing_but_the_status(api: ContractApi) -> None:
    tree = a_tree(api)
    load_balancer_path = next(iter(tree))
    for path, before in tree.items():
        if path.startswith("/l7policies/") and path.count("/") == 2:
            continue  # an empty change of a policy is refused
        changed = api("PUT", path, {root_of(path): {}})
        assert changed.status == 200, (path, changed)

        after = changed.object
        api.settled(load_balancer_path.rpartition("/")[2])
        assert after["provisioning_status"] == "PENDING_UPDATE", path
        statuses = {"provisioning_status", "operating_status", "updated_at"}
        assert {name: after[name] for name in after if name not in statuses} == {
            name: before[name] for name in before if name not in statuses
        }, path


def test_a_change_changes_what_it_names_and_is_shown_at_once(api: ContractApi) -> None:
    for path, before in a_tree(api).items():
        if path.count("/") == 4 and path.startswith("/l7"):
            continue  # rules have no names
        changed = api("PUT", path, {root_of(path): {"name": "another"}}).object

        assert (changed["name"], changed["provisioning_status"]) == ("another", "PENDING_UPDATE"), path
        assert set(changed) == set(before), path


@pytest.mark.parametrize("name", ["name", "description"])
def test_null_empties_a_text(api: ContractApi, name: str) -> None:
    for path in a_tree(api):
        if path.count("/") == 4 and path.startswith("/l7"):
            continue
        root = root_of(path)
        if name == "description" and root in ("member", "healthmonitor"):
            continue
        api("PUT", path, {root: {name: "something"}})

        assert api("PUT", path, {root: {name: None}}).object[name] == "", path


def test_null_switches_off(api: ContractApi) -> None:
    for path in a_tree(api):
        assert api("PUT", path, {root_of(path): {"admin_state_up": None}}).object["admin_state_up"] is False, path


def test_tags_are_replaced_as_a_whole(api: ContractApi) -> None:
    for path in a_tree(api):
        root = root_of(path)
        two = api("PUT", path, {root: {"tags": ["one", "two"]}}).object["tags"]
        other = api("PUT", path, {root: {"tags": ["three"]}}).object["tags"]
        kept = api("PUT", path, {root: {"tags": None}}).object["tags"]
        none = api("PUT", path, {root: {"tags": []}}).object["tags"]

        assert (sorted(two), other, none) == (["one", "two"], ["three"], []), path
        assert kept == ([] if root in ("l7policy", "rule") else ["three"]), path


def test_a_tag_that_is_said_twice_is_refused_on_a_new_load_balancer_and_kept_once_elsewhere(api: ContractApi) -> None:
    twice = {"tags": ["one", "one"]}
    load_balancer = api.load_balancer()

    refused = api("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": NOBODY, "project_id": PROJECT, **twice}})

    assert refused.fault == (409, "Already an entity with that specified id.")
    assert api.listener(load_balancer, **twice)["tags"] == ["one"]


def test_members_and_health_monitors_have_no_description_and_rules_no_name(api: ContractApi) -> None:
    for path, shown in a_tree(api).items():
        root = root_of(path)
        assert ("description" in shown) == (root not in ("member", "healthmonitor", "rule")), path
        assert ("name" in shown) == (root != "rule"), path


def test_a_pool_names_its_health_monitor_only_if_there_is_one(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    path = f"/pools/{pool['id']}"

    without = api.show(path)
    monitor = api.health_monitor(load_balancer, pool)

    assert "healthmonitor_id" not in without
    assert api.show(path)["healthmonitor_id"] == monitor["id"]
