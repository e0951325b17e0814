"""Requests that nobody thought of, made from our own document: none breaks us, and no answer is out of shape."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as some
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from infra.openapi_operations import REQUEST_HEADERS
from infra.openapi_paths import BELOW_A_VERSION
from tests.contract.conftest import PROJECT, ContractApi
from tests.system.service import Service

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

REQUESTS = 25
"""Of each operation."""

OPERATIONS = [(method.upper(), f"/v2{path}") for path, methods in BELOW_A_VERSION.items() for method in methods]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OURS = {header["name"] for header in REQUEST_HEADERS.values()}
"""All other headers are the HTTP server's, which answers a malformed one in its own way."""

IDS_IN_BODIES = {
    "loadbalancer_id": "loadbalancers",
    "listener_id": "listeners",
    "pool_id": "pools",
    "default_pool_id": "pools",
    "redirect_pool_id": "pools",
    "flavor_profile_id": "flavorprofiles",
    "availability_zone_profile_id": "availabilityzoneprofiles",
}
"""What a body refers to -> the collection that it is in."""


@pytest.fixture(scope="session")
def described(contract_service: Service) -> Any:
    """What the service says of itself, as schemathesis reads it."""
    return schemathesis.openapi.from_url(f"http://127.0.0.1:{contract_service.port}/v2/openapi.json")


@pytest.fixture(scope="session")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def one_of_each(api: ContractApi) -> Mapping[str, str]:
    """Collection -> the id of something in it."""
    load_balancer = api.load_balancer()
    listener, pool = api.listener(load_balancer), api.pool(load_balancer)
    policy = api.l7_policy(load_balancer, listener)
    return {
        "loadbalancers": load_balancer["id"],
        "listeners": listener["id"],
        "pools": pool["id"],
        "members": api.member(load_balancer, pool)["id"],
        "healthmonitors": api.health_monitor(load_balancer, pool)["id"],
        "l7policies": policy["id"],
        "rules": api.l7_rule(load_balancer, policy)["id"],
        **offers(api),
        "amphorae": an_amphora(api, load_balancer["id"]),
        "quotas": PROJECT,
        "providers": "amphora",
    }


def offers(api: ContractApi) -> Mapping[str, str]:
    told = {"name": "large", "provider_name": "amphora"}
    flavor_profile = api.create("/flavorprofiles", "flavorprofile", **told, flavor_data="{}")["id"]
    zones, zone_data = "/availabilityzoneprofiles", {"availability_zone_data": "{}"}
    zone_profile = api.create(zones, "availability_zone_profile", **told, **zone_data)["id"]
    zone = {"name": "rome", "availability_zone_profile_id": zone_profile}
    return {
        "flavorprofiles": flavor_profile,
        "availabilityzoneprofiles": zone_profile,
        "flavors": api.create("/flavors", "flavor", name="large", flavor_profile_id=flavor_profile)["id"],
        "availabilityzones": api.create("/availabilityzones", "availability_zone", **zone)["name"],
    }


def an_amphora(api: ContractApi, load_balancer_id: str) -> str:
    record = {"load_balancer_id": load_balancer_id, "role": "STANDALONE"}
    found: str = api("POST", "/__control__/amphorae", {"op": "create", "amphora": record}).json["id"]
    return found


def in_url(path: str, known: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a URL, each from the collection named before it."""
    parts = path.split("/")
    collections = {part[1:-1]: parts[place - 1] for place, part in enumerate(parts) if part.startswith("{")}
    return {name: known[collection] for name, collection in collections.items() if collection in known}


def in_body(body: Any, known: Mapping[str, str]) -> Any:
    """The body with references to what there is."""
    match body:
        case dict():
            inside = {name: in_body(value, known) for name, value in body.items()}
            texts = {name for name in IDS_IN_BODIES if isinstance(inside.get(name), str)}
            return {**inside, **{name: known[IDS_IN_BODIES[name]] for name in texts}}
        case list():
            return [in_body(each, known) for each in body]
        case _:
            return body


def cases_of(operation: Any, there: Mapping[str, str]) -> some.SearchStrategy[Case]:
    """Requests within the document and outside it, mostly to something that is there."""
    return some.one_of(
        operation.as_strategy(GenerationMode.POSITIVE, path_parameters=there),
        operation.as_strategy(GenerationMode.NEGATIVE, path_parameters=there),
        operation.as_strategy(GenerationMode.NEGATIVE),
    )


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=[" ".join(each) for each in OPERATIONS])
def test_no_request_breaks_us_or_is_answered_out_of_shape(
    api: ContractApi, described: Any, session: requests.Session, method: str, path: str
) -> None:
    known = one_of_each(api) if "{" in path or method == "POST" else {}
    operation = described[path][method]

    @settings(
        max_examples=REQUESTS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases_of(operation, in_url(path, known)))
    def every_answer_is_as_described(case: Case) -> None:
        case.body = in_body(case.body, known)
        case.headers = {name: value for name, value in (case.headers or {}).items() if name in OURS}
        answer = case.call(session=session)
        assert answer.status_code != 500, (case.as_curl_command(), answer.text)
        case.validate_response(answer, CHECKS)

    every_answer_is_as_described()
