"""Pools over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.api.conftest import PROJECT, Api

pytestmark = pytest.mark.postgres

FRESH = {
    **{"name": "", "description": "", "admin_state_up": True, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
    **{"session_persistence": None, "listeners": [], "members": [], "tags": [], "tls_container_ref": None},
    **{"ca_tls_container_ref": None, "crl_container_ref": None, "tls_enabled": False, "tls_ciphers": None},
    **{"tls_versions": None, "alpn_protocols": None, "project_id": PROJECT, "tenant_id": PROJECT},
    **{"provisioning_status": "PENDING_CREATE", "operating_status": "OFFLINE", "updated_at": None},
}


def test_pool_is_created_shown_and_listed(api: Api) -> None:
    load_balancer = api.load_balancer()

    created = api.pool_of(load_balancer)

    shown = api.get(f"/pools/{created['id']}")["pool"]
    assert created == {
        **FRESH,
        "id": created["id"],
        "created_at": created["created_at"],
        "loadbalancers": [{"id": load_balancer["id"]}],
    }
    assert shown == created
    assert api.get("/pools") == {"pools": [shown], "pools_links": []}
    assert api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["pools"] == [{"id": created["id"]}]


def test_pool_of_a_listener_becomes_its_default(api: Api) -> None:
    listener = api.listener(api.load_balancer())

    pool = api.create("/pools", "pool", listener_id=listener["id"], protocol="HTTP", lb_algorithm="SOURCE_IP")

    assert pool["listeners"] == [{"id": listener["id"]}]
    assert pool["loadbalancers"] == listener["loadbalancers"]
    assert api.get(f"/listeners/{listener['id']}")["listener"]["default_pool_id"] == pool["id"]


def test_listener_has_one_default_pool(api: Api) -> None:
    listener = api.listener(api.load_balancer())
    body = {"pool": {"listener_id": listener["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}
    api.call("POST", "/pools", body)

    text = api.refused(409, "POST", "/pools", body)

    assert text == "This listener already has a default pool"


def test_pool_needs_a_place(api: Api) -> None:
    text = api.refused(400, "POST", "/pools", {"pool": {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}})

    assert text == "Validation failure: Must provide at least one of: loadbalancer_id, listener_id"


def test_pool_needs_a_listener_that_is_there(api: Api) -> None:
    nowhere = str(uuid4())
    body = {"pool": {"listener_id": nowhere, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}}

    assert api.refused(404, "POST", "/pools", body) == f"Listener {nowhere} not found."


def test_pool_shows_its_members_and_health_monitor(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    members = [api.member(pool, protocol_port=port) for port in (1, 2)]
    monitor = api.health_monitor(pool)

    shown = api.get(f"/pools/{pool['id']}")["pool"]

    assert {each["id"] for each in shown["members"]} == {each["id"] for each in members}
    assert shown["healthmonitor_id"] == monitor["id"]


PERSISTENCE = {
    **{"type": "APP_COOKIE", "cookie_name": "thread"},
    **{"persistence_timeout": None, "persistence_granularity": None},
}


def test_session_persistence_is_shown_with_all_its_keys(api: Api) -> None:
    pool = api.pool_of(api.load_balancer(), session_persistence={"type": "APP_COOKIE", "cookie_name": "thread"})

    assert pool["session_persistence"] == PERSISTENCE
    assert api.get(f"/pools/{pool['id']}")["pool"]["session_persistence"] == PERSISTENCE


def test_session_persistence_keeps_its_type_and_replaces_the_rest(api: Api) -> None:
    pool = api.pool_of(api.load_balancer(), session_persistence={"type": "APP_COOKIE", "cookie_name": "thread"})
    path = f"/pools/{pool['id']}"

    changed = api.change(path, "pool", session_persistence={"cookie_name": "yarn"})
    text = api.refused(400, "PUT", path, {"pool": {"session_persistence": {"type": "APP_COOKIE"}}})
    removed = api.change(path, "pool", session_persistence=None)

    assert changed["session_persistence"] == {**PERSISTENCE, "cookie_name": "yarn"}
    assert text == (
        'Validation failure: Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence'
        " type."
    )
    assert removed["session_persistence"] is None


@pytest.mark.parametrize(
    ("persistence", "text"),
    [
        ({}, "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing."),
        (
            {"type": "HTTP_COOKIE", "cookie_name": "thread"},
            'Validation failure: Field "cookie_name" can only be specified with session persistence of type'
            ' "APP_COOKIE".',
        ),
        (
            {"type": "APP_COOKIE", "cookie_name": "a:b"},
            'Validation failure: Supplied "cookie_name" is invalid.',
        ),
        (
            {"type": "APP_COOKIE", "cookie_name": "a\n"},
            "Invalid input for field/attribute cookie_name. Value: 'a\n'."
            r" Value should match the pattern ^[^\s,;\\]+$",
        ),
        (
            {"type": "SOURCE_IP", "persistence_timeout": 5},
            "Validation failure: persistence_timeout and persistence_granularity is only for UDP and SCTP protocol"
            " pools.",
        ),
        (
            {"type": "SOURCE_IP", "colour": "red"},
            "Unknown attribute for argument pool_.pool.session_persistence: colour",
        ),
        (
            "SOURCE_IP",
            "Invalid input for field/attribute session_persistence. Value: 'SOURCE_IP'. Value should be an object",
        ),
    ],
)
def test_session_persistence_that_cannot_be_is_refused(api: Api, persistence: object, text: str) -> None:
    pool: dict[str, Any] = {
        "loadbalancer_id": api.load_balancer()["id"],
        "protocol": "HTTP",
        "lb_algorithm": "ROUND_ROBIN",
        "session_persistence": persistence,
    }

    assert api.refused(400, "POST", "/pools", {"pool": pool}) == text


def test_session_persistence_without_a_type_is_refused_where_there_was_none(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())

    text = api.refused(400, "PUT", f"/pools/{pool['id']}", {"pool": {"session_persistence": {}}})

    assert text == "Validation failure: Invalid session_persistence provided."


def test_algorithm_cannot_be_taken_away(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())

    text = api.refused(400, "PUT", f"/pools/{pool['id']}", {"pool": {"lb_algorithm": None}})

    assert text == "None is not a valid option for lb_algorithm"


def test_pool_is_removed_with_what_is_below_it(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    listener = api.listener(load_balancer, default_pool_id=pool["id"])
    api.member(pool)
    monitor = api.health_monitor(pool)

    api.delete(f"/pools/{pool['id']}")
    while_pending = api.get(f"/pools/{pool['id']}")["pool"]["provisioning_status"]
    api.confirm(load_balancer)

    assert while_pending == "PENDING_DELETE"
    assert api.refused(404, "GET", f"/pools/{pool['id']}") == f"Pool {pool['id']} not found."
    assert api.refused(404, "GET", f"/healthmonitors/{monitor['id']}") == f"Health Monitor {monitor['id']} not found."
    assert api.get(f"/listeners/{listener['id']}")["listener"]["default_pool_id"] is None
    assert api.call("GET", f"/pools/{pool['id']}/members").json == {
        "code": 404,
        "title": "Not Found",
        "description": f"Pool {pool['id']} not found.",
    }
