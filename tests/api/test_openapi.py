"""The OpenAPI document says what is served: all of it, nothing else, and in the shapes that really come back."""

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import falcon.inspect
import pytest
from falcon.testing import Result, TestClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from commands.body import Received
from infra.http import HEALTHCHECK
from infra.openapi_operations import Document
from infra.openapi_paths import KINDS
from tests.api.conftest import Api
from tests.api.test_documentation import an_application

ADDRESS = "127.0.0.10"


@pytest.fixture(scope="module")
def document() -> Document:
    """As everybody gets it, without a token."""
    found = TestClient(an_application()).simulate_get("/v2/openapi.json")
    assert found.status_code == 200, found.text
    content: Document = found.json
    return content


def complaints(document: Document, schema: Mapping[str, Any], value: object) -> list[str]:
    checks = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator({**schema, "components": document["components"]}, format_checker=checks)
    return [error.message for error in validator.iter_errors(value)]


# What is described


def test_document_is_an_openapi_document(document: Document) -> None:
    validate(document)

    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert document["openapi"].startswith("3.1")
    assert len(set(ids)) == len(ids) > 80


def in_one_spelling(path: str, described: Mapping[str, object]) -> str:
    """Of all the spellings of a URL the one that the document has."""
    path = path.replace("/v2.0", "/v2", 1)
    return path if path in described else path.replace("/v2/", "/v2/lbaas/", 1)


def test_every_method_of_every_url_is_described_and_nothing_else(document: Document) -> None:
    application = an_application()
    paths = document["paths"]

    served = {
        (in_one_spelling(route.path, paths), method.method)
        for route in falcon.inspect.inspect_routes(application)
        for method in route.methods
        if not method.internal and (route.path, method.method) != (HEALTHCHECK, "OPTIONS")
    }

    assert len(served) > 80
    assert served == {(path, method.upper()) for path, operations in paths.items() for method in operations}


def test_healthcheck_and_networks_are_described_where_they_are_served(document: Document) -> None:
    settings_without = TestClient(an_application(healthcheck_enabled=False, in_neutrons_place=False))

    elsewhere = settings_without.simulate_get("/v2/openapi.json").json["paths"]

    assert document["paths"].keys() - elsewhere.keys() == {
        *("/healthcheck", "/v2/networks", "/v2/networks/{id}", "/v2/subnets", "/v2/subnets/{id}", "/v2/ports"),
        *("/v2/ports/{id}", "/v2/qos/policies", "/v2/qos/policies/{id}", "/v2/security-groups"),
        "/v2/security-groups/{id}",
    }


def test_document_names_the_service_as_the_client_called_it() -> None:
    client = TestClient(an_application())

    found = client.simulate_get("/v2.0/openapi.json", host="balancers.example", root_path="/load-balancer")

    assert found.json["servers"] == [{"url": "http://balancers.example/load-balancer"}]


# Bodies

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "LoadBalancer": {
        "name": "annals",
        "vip_subnet_id": str(uuid4()),
        "additional_vips": [{"subnet_id": str(uuid4()), "ip_address": "2001:db8::7"}],
        "tags": ["i", "ii"],
        "pools": [{"name": "books", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": []}],
        "listeners": [
            {
                "protocol": "HTTP",
                "protocol_port": 80,
                "default_pool": {"name": "books"},
                "l7policies": [{"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "books"}, "rules": []}],
            }
        ],
    },
    "Listener": {
        "loadbalancer_id": str(uuid4()),
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": 443,
        "allowed_cidrs": ["10.0.0.0/8"],
        "insert_headers": {"X-Forwarded-For": "true"},
        "alpn_protocols": ["h2"],
        "connection_limit": None,
        "l7policies": [],
    },
    "Pool": {
        "listener_id": str(uuid4()),
        "protocol": "UDP",
        "lb_algorithm": "SOURCE_IP",
        "session_persistence": {"type": "SOURCE_IP", "persistence_timeout": 10},
    },
    "Member": {"address": ADDRESS, "protocol_port": 65_535, "weight": 0, "request_sriov": True, "tenant_id": "x"},
    "HealthMonitor": {
        "pool_id": str(uuid4()),
        "type": "TLS-HELLO",
        "delay": 5,
        "timeout": 3,
        "max_retries": 10,
        "http_version": 1.1,
        "domain_name": "annals.example",
    },
    "L7Policy": {"listener_id": str(uuid4()), "action": "REDIRECT_TO_URL", "redirect_url": "https://annals.example"},
    "L7Rule": {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "X", "value": "y", "invert": False},
    "Quota": {"load_balancer": -1, "l7rule": None},
    "Flavor": {"name": "large", "flavor_profile_id": str(uuid4())},
    "FlavorProfile": {"name": "large", "provider_name": "amphora", "flavor_data": "{}"},
    "AvailabilityZone": {"name": "rome", "availability_zone_profile_id": str(uuid4())},
    "AvailabilityZoneProfile": {"name": "rome", "provider_name": "amphora", "availability_zone_data": "{}"},
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.component)
def test_body_that_is_read_is_described(document: Document, kind: Any) -> None:
    body = EXAMPLES[kind.component]
    schema = document["components"]["schemas"][f"{kind.component}Create"]

    kind.parser.given(Received("argument", "argument.root", body, body))

    assert complaints(document, schema, body) == []
    assert complaints(document, schema, {**body, "loom": 1}) != []
    for name in schema.get("required", ()):
        assert complaints(document, schema, {key: value for key, value in body.items() if key != name}) != []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.component)
def test_change_may_say_what_the_parser_takes(document: Document, kind: Any) -> None:
    schema = document["components"]["schemas"][f"{kind.component}Update"]
    fixed = document["components"]["schemas"][f"{kind.component}Create"]["properties"].keys() - schema["properties"]

    for name in schema["properties"]:
        if complaints(document, schema, {name: None}) == []:
            kind.parser.changes(Received("argument", "argument.root", {}, {name: None}))

    for name in fixed:
        assert complaints(document, schema, {name: EXAMPLES[kind.component].get(name)}) != []
    assert "required" not in schema


# Answers


class Site:
    """One of everything, and the URL of each."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.ids: dict[str, str] = {}
        load_balancer = api.load_balancer(tags=["i"], description="all of it")
        pool = api.pool_of(load_balancer, session_persistence={"type": "HTTP_COOKIE"})
        listener = api.listener(load_balancer, default_pool_id=pool["id"], insert_headers={"X-Forwarded-For": "true"})
        redirected = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool["id"]}
        policy = api.create("/l7policies", "l7policy", listener_id=listener["id"], **redirected)
        rule = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/"}
        rules = f"/l7policies/{policy['id']}/rules"
        self.path = {
            "loadbalancers": load_balancer["id"],
            "listeners": listener["id"],
            "pools": pool["id"],
            "members": api.member(pool)["id"],
            "healthmonitors": api.health_monitor(pool, http_version=1.1, domain_name="annals.example")["id"],
            "l7policies": policy["id"],
            "rules": api.create(rules, "rule", **rule)["id"],
            "quotas": "weaving",
            "providers": "amphora",
            **self._offers(),
            "amphorae": self._amphora(load_balancer["id"], listener["id"]),
        }

    def _offers(self) -> dict[str, str]:
        create = self.api.create
        told = {"name": "large", "provider_name": "amphora"}
        flavor_profile = create("/flavorprofiles", "flavorprofile", **told, flavor_data="{}")["id"]
        zone_profile = create(
            "/availabilityzoneprofiles", "availability_zone_profile", **told, availability_zone_data="{}"
        )["id"]
        flavor = create("/flavors", "flavor", name="large", flavor_profile_id=flavor_profile)["id"]
        zone = {"name": "rome", "availability_zone_profile_id": zone_profile}
        create("/availabilityzones", "availability_zone", **zone)
        return {
            "flavorprofiles": flavor_profile,
            "availabilityzoneprofiles": zone_profile,
            "flavors": flavor,
            "availabilityzones": "rome",
        }

    def _amphora(self, load_balancer_id: str, listener_id: str) -> str:
        with self.api.pool.connection() as connection:
            row = connection.execute("SELECT id FROM amphorae").fetchone()
            assert row is not None
            connection.execute(
                "INSERT INTO statistics (listener_id, amphora_id, load_balancer_id, bytes_in) VALUES (%s, %s, %s, %s)",
                (listener_id, row[0], load_balancer_id, 2**40),
            )
        return str(row[0])

    def url(self, path: str) -> str:
        """With the id of each resource after its name."""
        parts = path.split("/")
        return "/".join(
            self.path.get(parts[place - 1], str(uuid4())) if part.startswith("{") else part
            for place, part in enumerate(parts)
        )

    def call(self, method: str, path: str, body: object = None, query: str = "") -> Result:
        content = {} if body is None else {"json": body}
        return self.api.client.simulate_request(
            method, self.url(path), headers=self.api.headers, query_string=query, **content
        )


def schema_of(document: Document, operation: Document, status: int) -> Document:
    """Of the content of an answer."""
    answer = operation["responses"][str(status)]
    if "$ref" in answer:
        answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
    found: Document = answer["content"]["application/json"]["schema"]
    return found


def operations(document: Document, *methods: str) -> Iterator[tuple[str, str, Document]]:
    for path, described in document["paths"].items():
        for method in methods:
            if method in described:
                yield path, method, described[method]


def shown_objects(schema: Document, content: Any) -> Iterator[tuple[str, Any]]:
    """The objects of an answer, each with the name of its component."""
    for name, said in schema.get("properties", {}).items():
        found = content[name] if isinstance(content[name], list) else [content[name]]
        component = said.get("items", said).get("$ref", "").rpartition("/")[2]
        yield from ((component, each) for each in found if component not in ("", "Link", "NetworkObject"))


NOT_ALWAYS_SHOWN = {"Quota": {"usage"}}
NOT_THERE = {f"/v2/{kind}/{{id}}" for kind in ("networks", "subnets", "ports", "qos/policies", "security-groups")}
AS_IT_IS = {"l7policy": {"name": "other"}, "members": [{"address": ADDRESS, "protocol_port": 8080}]}
"""Bodies that change next to nothing, where an empty object is refused."""

REFUSED = {
    **{(method, "/v2/lbaas/quotas"): 400 for method in ("put", "delete")},
    **{("delete", f"/v2/lbaas/{kind}profiles/{{id}}"): 409 for kind in ("flavor", "availabilityzone")},
    ("delete", "/v2/octavia/amphorae/{id}"): 409,
    **{("put", f"/v2/{kind}/{{id}}/failover"): 409 for kind in ("lbaas/loadbalancers", "octavia/amphorae")},
}
"""What names no project; what is in use; amphorae that are being built."""


@pytest.mark.postgres
def test_answer_to_every_get_has_the_shape_that_is_described(api: Api) -> None:
    site = Site(api)
    document = api.client.simulate_get("/v2/openapi.json").json
    seen = set()

    for path, _, operation in operations(document, "get"):
        answer = site.call("GET", path)
        assert answer.status_code == (404 if path in NOT_THERE else 200), (path, answer.text)
        schema = schema_of(document, operation, answer.status_code)
        assert complaints(document, schema, answer.json) == [], (path, answer.text)
        for component, shown in shown_objects(schema, answer.json):
            attributes = document["components"]["schemas"][component].get("properties", {}).keys()
            assert attributes - NOT_ALWAYS_SHOWN.get(component, set()) == shown.keys(), (path, component)
            seen.add(component)

    described = {kind.component for kind in KINDS}
    assert seen >= described | {"Amphora", "AmphoraStatistics", "Provider", "Capability", "Statistics", "Version"}


@pytest.mark.postgres
def test_answer_to_every_change_has_the_shape_that_is_described(api: Api) -> None:
    site = Site(api)
    document = api.client.simulate_get("/v2/openapi.json").json
    from_below = reversed([*operations(document, "put", "delete")])
    in_order = sorted(from_below, key=lambda found: found[1] == "delete")
    refused = {}

    for path, method, operation in in_order:
        said = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
        body = {root: AS_IT_IS.get(root, {}) for root in said.get("properties", {})}
        dry_runs = "dry_run" in {each.get("name") for each in operation["parameters"]}
        for query in ("dry_run=true", "") if dry_runs else ("",):
            answer = site.call(method.upper(), path, body or None, query)
            assert str(answer.status_code) in operation["responses"], (path, method, answer.text)
            if answer.text:
                schema = schema_of(document, operation, answer.status_code)
                assert complaints(document, schema, answer.json) == [], (path, method, answer.text)
            if answer.status_code >= 300:
                refused[method, path] = answer.status_code

    assert refused == REFUSED


@pytest.mark.postgres
def test_whole_tree_in_one_answer_has_the_shape_that_is_described(api: Api) -> None:
    document = api.client.simulate_get("/v2/openapi.json").json
    operation = document["paths"]["/v2/lbaas/loadbalancers"]["post"]
    monitor = {"type": "PING", "delay": 5, "timeout": 3, "max_retries": 2}
    pool = {
        **EXAMPLES["LoadBalancer"]["pools"][0],
        "members": [{"address": ADDRESS, "protocol_port": 80}],
        "healthmonitor": monitor,
    }
    policy = {
        "action": "REDIRECT_TO_POOL",
        "redirect_pool": {"name": "books"},
        "rules": [{"type": "PATH", "compare_type": "STARTS_WITH", "value": "/"}],
    }
    (listener,) = EXAMPLES["LoadBalancer"]["listeners"]
    tree = {"pools": [pool], "listeners": [{**listener, "l7policies": [policy]}]}
    body = {"loadbalancer": {**tree, "vip_subnet_id": api.load_balancer()["vip_subnet_id"]}}

    told = api.call("POST", "/loadbalancers", body, query_string="dry_run=true")
    made = api.call("POST", "/loadbalancers", body)

    assert (told.status_code, made.status_code) == (200, 201)
    assert made.json["loadbalancer"]["listeners"][0]["l7policies"][0]["rules"][0]["value"] == "/"
    for answer in (told, made):
        assert complaints(document, schema_of(document, operation, answer.status_code), answer.json) == []


BY_OTHERS = {"marker": "nowhere", "sort": "name", "sort_key": "name", "sort_dir": "asc"}
UNKNOWN = ("Unknown argument", "arguments are either duplicate or invalid")


@pytest.mark.postgres
def test_arguments_that_are_described_are_known_and_others_are_not(api: Api) -> None:
    site = Site(api)
    document = api.client.simulate_get("/v2/openapi.json").json
    refuses = 0

    for path, method, operation in operations(document, "get", "post", "put", "delete"):
        names = [each["name"] for each in operation["parameters"] if each.get("in") == "query"]
        for name in names:
            answer = site.call(method.upper(), path, {}, f"{name}={BY_OTHERS.get(name, '1')}")
            assert not any(text in answer.text for text in UNKNOWN), (path, method, name)
        answer = site.call(method.upper(), path, {}, "loom=1")
        refuses += any(text in answer.text for text in UNKNOWN)
        assert method == "get" or answer.status_code in (400, 404), (path, method)

    assert refuses >= 60
