"""Around the API: health checks, browsers, proxies, Keystone's refusals, sizes, and ids of requests."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from falcon.testing import TestClient

from infra.gates import behind_gates
from infra.options import read
from infra.settings import Settings
from tests.api.conftest import Api, application_of

pytestmark = pytest.mark.postgres

PAGE = "https://horizon.example.com"
GLOBAL_ID = "req-01234567-89ab-cdef-0123-456789abcdef"
Client = Callable[[str], TestClient]


@pytest.fixture
def client(api: Api, tmp_path: Path) -> Client:
    """A client of the API with these settings besides, behind its gates."""

    def client_with(text: str) -> TestClient:
        file = tmp_path / "tacitus.conf"
        file.write_text(text)
        given = vars(api.settings) | {"config_files": (file,)}
        fixed = {name: given[name] for name in ("database_url", "state_directory")}
        presumed = {"auth_strategy": api.settings.auth_strategy}
        settings: Settings = read([file], presumed=presumed, fixed=fixed)
        gated = behind_gates(application_of(api.store, api.pool, settings), settings)
        return TestClient(lambda environ, start_response: gated(environ, start_response))  # oslo's hide their signature

    return client_with


HEALTHCHECK = "[api_settings]\nhealthcheck_enabled = true\nhealthcheck_refresh_interval = 0\n"


def test_healthcheck_is_not_there_by_default(client: Client) -> None:
    assert client("").simulate_get("/healthcheck").status_code == 404
    assert client("").simulate_post("/healthcheck").status_code == 404


@pytest.mark.parametrize(
    ("accept", "status", "media_type", "words"),
    [
        ("*/*", 204, None, ""),
        ("text/plain", 204, None, ""),
        ("image/png", 204, None, ""),
        ("application/json", 200, "application/json", '{"detailed":false,"reasons":[]}'),
        ("text/html", 200, "text/html; charset=utf-8", "<!DOCTYPE html>"),
    ],
)
def test_healthy_service_says_so(client: Client, accept: str, status: int, media_type: str | None, words: str) -> None:
    result = client(HEALTHCHECK).simulate_get("/healthcheck", headers={"Accept": accept})

    assert (result.status_code, result.headers.get("content-type")) == (status, media_type)
    assert result.text.startswith(words)


def test_healthcheck_is_read_and_nothing_else(client: Client) -> None:
    asked = client(HEALTHCHECK)

    assert asked.simulate_head("/healthcheck").status_code == 204
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert asked.simulate_request(method, "/healthcheck").status_code == 405


def test_service_without_its_database_is_not_healthy(api: Api, client: Client) -> None:
    asked = client(HEALTHCHECK)
    api.pool.close()

    plain = asked.simulate_get("/healthcheck")
    json = asked.simulate_get("/healthcheck", headers={"Accept": "application/json"})
    html = asked.simulate_get("/healthcheck", headers={"Accept": "text/html"})

    assert {plain.status_code, json.status_code, html.status_code} == {503}
    assert plain.text == "The Octavia database is unavailable."
    assert json.json == {"detailed": False, "reasons": ["The Octavia database is unavailable."]}
    assert "<li>The Octavia database is unavailable.</li>" in html.text


def test_outcome_of_a_check_is_kept_for_a_while(api: Api, client: Client) -> None:
    asked = client(HEALTHCHECK.replace("= 0", "= 600"))
    assert asked.simulate_get("/healthcheck").status_code == 204

    api.pool.close()

    assert asked.simulate_get("/healthcheck").status_code == 204


ALICE = "0a11ce00-0000-4000-8000-00000000a11c"
AUDIT = "[audit]\nenabled = true\nignore_req_list = GET, HEAD\n"


@pytest.mark.filterwarnings("ignore:Invalid uuid")  # what is not known has none
def test_audit_tells_who_asked_for_what_and_how_it_ended(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "keystonemiddleware.audit")
    asked = client(AUDIT)
    body = {"loadbalancer": {"name": "x", "project_id": "p", "vip_subnet_id": "no id"}}

    refused = asked.simulate_post("/v2/lbaas/loadbalancers", json=body, headers={"X-User-Id": ALICE})

    told = [record.args for record in caplog.records if isinstance(record.args, dict) and "payload" in record.args]
    assert refused.status_code == 400
    assert [each["event_type"] for each in told] == ["audit.http.request", "audit.http.response"]
    payload = told[1]["payload"]
    assert (payload["action"], payload["outcome"], payload["reason"]["reasonCode"]) == ("create", "failure", "400")
    assert payload["requestPath"] == "/v2/lbaas/loadbalancers"
    assert payload["initiator"]["id"] == ALICE


def test_audit_changes_no_answer_and_leaves_out_what_it_is_told_to(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "keystonemiddleware.audit")

    plain, audited = (client(text).simulate_get("/v2/lbaas/loadbalancers") for text in ("", AUDIT))

    assert (audited.status_code, audited.json) == (plain.status_code, plain.json)
    assert not [record for record in caplog.records if record.name.startswith("keystonemiddleware.audit")]


CORS = f"[cors]\nallowed_origin = {PAGE}\n"


def test_page_of_the_operators_may_send_requests(client: Client) -> None:
    asked = client(CORS)
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Auth-Token"}

    preflight = asked.simulate_options("/v2/lbaas/loadbalancers", headers=headers)
    answer = asked.simulate_get("/v2/lbaas/loadbalancers", headers={"Origin": PAGE})

    assert (preflight.status_code, preflight.text) == (200, "")
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert preflight.headers["access-control-allow-methods"] == "PUT"
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "X-Openstack-Request-Id" in answer.headers["access-control-expose-headers"]


def test_other_pages_may_not(client: Client) -> None:
    asked = client(CORS)

    answer = asked.simulate_get("/v2/lbaas/loadbalancers", headers={"Origin": "https://evil.example.com"})

    assert "access-control-allow-origin" not in answer.headers


def test_links_are_what_the_clients_of_a_proxy_asked_for(client: Client) -> None:
    forwarded = {
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "lb.example.org",
        "X-Forwarded-Prefix": "/load-balancer",
    }

    def href(asked: TestClient) -> str:
        found: str = asked.simulate_get("/", headers=forwarded).json["versions"][0]["links"][0]["href"]
        return found

    assert (
        href(client("[oslo_middleware]\nenable_proxy_headers_parsing = true\n"))
        == "https://lb.example.org/load-balancer/v2"
    )
    assert href(client("")) == "http://falconframework.org/v2"


def test_mount_point_is_answered_with_and_without_a_slash(api: Api) -> None:
    for path in ("", "/"):
        result = api.client.simulate_get("/", root_path="/load-balancer", extras={"PATH_INFO": path})

        assert result.json["versions"][0]["links"][0]["href"] == "http://falconframework.org/load-balancer/v2"


KEYSTONE = """
[api_settings]
auth_strategy = keystone
healthcheck_enabled = true
[keystone_authtoken]
www_authenticate_uri = http://keystone.example.org/v3
auth_url = http://127.0.0.1:1/v3
auth_type = password
username = octavia
password = keep-this-to-yourself
http_request_max_retries = 0
service_token_roles_required = true
"""


def test_request_without_a_token_is_refused_by_keystone(client: Client) -> None:
    refused = client(KEYSTONE).simulate_get("/v2/lbaas/loadbalancers", headers={"X-Identity-Status": "Confirmed"})

    assert refused.status_code == 401
    message = "The request you have made requires authentication."
    assert refused.json == {"error": {"code": 401, "title": "Unauthorized", "message": message}}
    assert refused.headers["www-authenticate"] == 'Keystone uri="http://keystone.example.org/v3"'
    assert refused.headers["x-openstack-request-id"].startswith("req-")


def test_versions_and_health_are_open_to_all(client: Client) -> None:
    asked = client(KEYSTONE)

    assert asked.simulate_get("/").status_code == 200
    assert asked.simulate_get("/healthcheck").status_code == 204
    assert asked.simulate_get("/v2").status_code == 401


def test_keystone_that_is_away_is_not_the_clients_fault(client: Client) -> None:
    assert client(KEYSTONE).simulate_get("/v2", headers={"X-Auth-Token": "abc"}).status_code == 503


def test_confirmation_of_nobody_opens_nothing(api: Api) -> None:
    """Without the gate in front, a request is nobody's."""
    settings = replace(api.settings, auth_strategy="keystone")
    asked = TestClient(application_of(api.store, api.pool, settings))

    assert asked.simulate_get("/v2/lbaas/loadbalancers").status_code == 403


@pytest.mark.parametrize(("sent", "named"), [(GLOBAL_ID, True), ("req-1\ninjected", False)])
def test_log_names_the_request_as_its_sender_does(
    api: Api, caplog: pytest.LogCaptureFixture, sent: str, named: bool
) -> None:
    api.pool.close()

    with caplog.at_level(logging.WARNING, "infra.http"):
        result = api.call("GET", "/loadbalancers", headers={"X-Openstack-Request-Id": sent})

    (record,) = [record for record in caplog.records if record.name == "infra.http"]
    assert result.headers["x-openstack-request-id"] in record.getMessage()
    assert (f"global {sent}" in record.getMessage()) == named


def test_size_of_a_body_is_the_operators_choice(client: Client) -> None:
    asked = client("[oslo_middleware]\nmax_request_body_size = 100\n")
    body = b'{"loadbalancer": {"name": "' + b"x" * 100 + b'"}}'

    result: Any = asked.simulate_post("/v2/lbaas/loadbalancers", body=body)

    assert (result.status_code, result.json["faultstring"]) == (413, "Request is too large.")
