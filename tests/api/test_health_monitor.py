"""Health monitors over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import PROJECT, Api

pytestmark = pytest.mark.postgres

FRESH = {
    **{"name": "", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "max_retries_down": 3},
    **{"http_method": "GET", "url_path": "/", "expected_codes": "200", "admin_state_up": True, "tags": []},
    **{"http_version": None, "domain_name": None, "project_id": PROJECT, "tenant_id": PROJECT, "updated_at": None},
    **{"provisioning_status": "PENDING_CREATE", "operating_status": "OFFLINE"},
}


@pytest.fixture
def pool(api: Api) -> dict[str, Any]:
    return api.pool_of(api.load_balancer())


def test_health_monitor_is_created_shown_and_listed(api: Api, pool: dict[str, Any]) -> None:
    created = api.health_monitor(pool)

    shown = api.get(f"/healthmonitors/{created['id']}")["healthmonitor"]
    assert created == {
        **FRESH,
        "id": created["id"],
        "created_at": created["created_at"],
        "pools": [{"id": pool["id"]}],
    }
    assert shown == created
    assert api.get("/healthmonitors") == {"healthmonitors": [shown], "healthmonitors_links": []}


@pytest.mark.parametrize("type", ["TCP", "PING"])
def test_check_without_http_has_no_http_settings(api: Api, pool: dict[str, Any], type: str) -> None:
    created = api.health_monitor(pool, type=type)

    assert (created["http_method"], created["url_path"], created["expected_codes"]) == (None, None, None)


def test_health_monitor_is_online_once_it_runs(api: Api) -> None:
    load_balancer = api.load_balancer()
    monitor = api.health_monitor(api.pool_of(load_balancer))

    api.confirm(load_balancer)

    shown = api.get(f"/healthmonitors/{monitor['id']}")["healthmonitor"]
    assert (shown["provisioning_status"], shown["operating_status"]) == ("ACTIVE", "ONLINE")


def test_null_resets_the_settings_of_a_health_monitor(api: Api, pool: dict[str, Any]) -> None:
    settings = {
        **{"name": "check", "max_retries_down": 9, "http_method": "HEAD", "url_path": "/loom", "tags": ["kept"]},
        **{"expected_codes": "200-204", "http_version": 1.1, "domain_name": "loom.example.org"},
    }
    monitor = api.health_monitor(pool, **settings)

    changed = api.change(f"/healthmonitors/{monitor['id']}", "healthmonitor", **dict.fromkeys(settings))

    assert {name: monitor[name] for name in settings} == settings
    assert {name: changed[name] for name in settings} == {
        **{name: FRESH[name] for name in settings},
        "tags": ["kept"],
    }


@pytest.mark.parametrize("attribute", ["delay", "timeout", "max_retries"])
def test_settings_that_every_check_needs_cannot_be_taken_away(api: Api, pool: dict[str, Any], attribute: str) -> None:
    monitor = api.health_monitor(pool)

    text = api.refused(400, "PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {attribute: None}})

    assert text == f"None is not a valid option for {attribute}"


@pytest.mark.parametrize(("given", "shown"), [("1.0", 1.0), (1, 1.0), (1.1, 1.1), ("1.1", 1.1), (None, None)])
def test_http_version_is_a_number(api: Api, pool: dict[str, Any], given: object, shown: object) -> None:
    monitor = api.health_monitor(pool, http_version=given)

    assert monitor["http_version"] == shown
    assert api.get(f"/healthmonitors/{monitor['id']}")["healthmonitor"]["http_version"] == shown


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"type": "TCP", "url_path": "/"}, "url_path is not a valid option for health monitors of type TCP"),
        ({"type": "PING", "http_method": "GET"}, "http_method is not a valid option for health monitors of type PING"),
        ({"type": "SCTP"}, "Validation failure: The SCTP type is only supported for pools of type UDP/SCTP."),
        (
            {"domain_name": "loom.example.org"},
            "Validation failure: 'http_version' must be specified when 'domain_name' is provided.",
        ),
        (
            {"domain_name": "loom.example.org", "http_version": 1.0},
            "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check",
        ),
        ({"delay": None}, "None is not a valid option for delay"),
        (
            {"url_path": "//elsewhere/"},
            "Invalid input for field/attribute url_path. Value: '//elsewhere/'. Value must be a valid URL Path string",
        ),
        (
            {"url_path": "loom"},
            "Invalid input for field/attribute url_path. Value: 'loom'. Value must be a valid URL Path string",
        ),
    ],
)
def test_check_that_cannot_be_made_is_refused(
    api: Api, pool: dict[str, Any], settings: dict[str, object], text: str
) -> None:
    monitor = {"pool_id": pool["id"], "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1, **settings}

    assert api.refused(400, "POST", "/healthmonitors", {"healthmonitor": monitor}) == text
    assert api.get("/healthmonitors")["healthmonitors"] == []


def test_check_without_http_gets_no_http_settings_later(api: Api, pool: dict[str, Any]) -> None:
    monitor = api.health_monitor(pool, type="TCP")

    text = api.refused(400, "PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {"http_method": None}})

    assert text == "http_method is not a valid option for health monitors of type TCP"


def test_pool_has_one_health_monitor(api: Api, pool: dict[str, Any]) -> None:
    api.health_monitor(pool)
    monitor = {"pool_id": pool["id"], "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}

    text = api.refused(409, "POST", "/healthmonitors", {"healthmonitor": monitor})

    assert text == "This pool already has a health monitor"


def test_health_monitor_needs_a_pool_that_is_there(api: Api) -> None:
    nowhere = str(uuid4())
    monitor = {"pool_id": nowhere, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}

    assert api.refused(404, "POST", "/healthmonitors", {"healthmonitor": monitor}) == f"Pool {nowhere} not found."


def test_health_monitor_is_removed(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    monitor = api.health_monitor(pool)
    path = f"/healthmonitors/{monitor['id']}"

    api.delete(path)
    while_pending = api.get(path)["healthmonitor"]["provisioning_status"]
    api.confirm(load_balancer)

    assert while_pending == "PENDING_DELETE"
    assert api.refused(404, "GET", path) == f"Health Monitor {monitor['id']} not found."
    assert "healthmonitor_id" not in api.get(f"/pools/{pool['id']}")["pool"]
