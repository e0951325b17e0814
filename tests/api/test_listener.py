"""Listeners over HTTP."""

from uuid import uuid4

import pytest

from tests.api.conftest import PROJECT, Api

pytestmark = pytest.mark.postgres

FRESH = {
    **{"name": "", "description": "", "admin_state_up": True, "protocol": "HTTP", "protocol_port": 80},
    **{"connection_limit": -1, "default_tls_container_ref": None, "sni_container_refs": [], "default_pool_id": None},
    **{"l7policies": [], "insert_headers": {}, "timeout_client_data": 50000, "timeout_member_connect": 5000},
    **{"timeout_member_data": 50000, "timeout_tcp_inspect": 0, "tags": [], "client_ca_tls_container_ref": None},
    **{"client_authentication": "NONE", "client_crl_container_ref": None, "allowed_cidrs": None},
    **{"tls_ciphers": None, "tls_versions": None, "alpn_protocols": None, "hsts_max_age": None},
    **{"hsts_include_subdomains": False, "hsts_preload": False, "project_id": PROJECT, "tenant_id": PROJECT},
    **{"provisioning_status": "PENDING_CREATE", "operating_status": "OFFLINE", "updated_at": None},
}


def test_listener_is_created_shown_and_listed(api: Api) -> None:
    load_balancer = api.load_balancer()

    created = api.listener(load_balancer)

    shown = api.get(f"/listeners/{created['id']}")["listener"]
    assert created == {
        **FRESH,
        "id": created["id"],
        "created_at": created["created_at"],
        "loadbalancers": [{"id": load_balancer["id"]}],
    }
    assert shown == created
    assert api.get("/listeners") == {"listeners": [shown], "listeners_links": []}
    assert api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["listeners"] == [{"id": created["id"]}]


def test_listener_of_another_project_takes_the_project_of_its_load_balancer(api: Api) -> None:
    load_balancer = api.load_balancer()

    created = api.listener(load_balancer, project_id="dyeing", tenant_id="spinning")

    assert created["project_id"] == PROJECT


def test_new_listener_makes_its_load_balancer_pending(api: Api) -> None:
    load_balancer = api.load_balancer()
    api.confirm(load_balancer)

    listener = api.listener(load_balancer)
    while_pending = api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["provisioning_status"]
    api.confirm(load_balancer)

    assert while_pending == "PENDING_UPDATE"
    assert api.get(f"/listeners/{listener['id']}")["listener"]["provisioning_status"] == "ACTIVE"


def test_only_named_settings_of_a_listener_change(api: Api) -> None:
    listener = api.listener(api.load_balancer(), name="front", connection_limit=7, insert_headers={"X-Real-IP": "true"})

    changed = api.change(f"/listeners/{listener['id']}", "listener", connection_limit=8)

    assert {**changed, "connection_limit": 7, "provisioning_status": "", "updated_at": ""} == {
        **listener,
        "created_at": changed["created_at"],
        "provisioning_status": "",
        "updated_at": "",
    }


def test_null_resets_the_settings_of_a_listener(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    settings = {
        **{"name": "front", "description": "shop", "connection_limit": 7, "default_pool_id": pool["id"]},
        **{"insert_headers": {"X-Real-IP": "true"}, "timeout_client_data": 1, "timeout_member_connect": 1},
        **{"timeout_member_data": 1, "timeout_tcp_inspect": 1, "tags": ["kept"]},
    }
    listener = api.listener(load_balancer, **settings)

    changed = api.change(f"/listeners/{listener['id']}", "listener", **dict.fromkeys([*settings, "admin_state_up"]))

    assert {name: changed[name] for name in settings} == {
        **{name: FRESH[name] for name in settings},
        "tags": ["kept"],
    }
    assert changed["admin_state_up"] is False


def test_port_of_a_listener_is_taken(api: Api) -> None:
    load_balancer = api.load_balancer()
    api.listener(load_balancer, protocol="HTTP", protocol_port=80)

    body = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol": "TCP", "protocol_port": 80}}
    text = api.refused(409, "POST", "/listeners", body)

    assert text == "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"


def test_listener_needs_a_load_balancer_that_is_there(api: Api) -> None:
    nowhere = str(uuid4())

    text = api.refused(
        404, "POST", "/listeners", {"listener": {"loadbalancer_id": nowhere, "protocol": "TCP", "protocol_port": 1}}
    )

    assert text == f"Load Balancer {nowhere} not found."


def test_default_pool_is_looked_for_on_the_same_load_balancer(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    listener = api.listener(api.load_balancer())

    text = api.refused(404, "PUT", f"/listeners/{listener['id']}", {"listener": {"default_pool_id": pool["id"]}})

    assert text == f"Pool {pool['id']} not found."


def test_default_pool_has_to_speak_what_the_listener_speaks(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer, protocol="TCP")
    listener = api.listener(load_balancer)

    text = api.refused(400, "PUT", f"/listeners/{listener['id']}", {"listener": {"default_pool_id": pool["id"]}})

    assert text == "Validation failure: The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'."


@pytest.mark.parametrize(
    ("protocol", "headers", "text"),
    [
        ("TCP", {"X-Real-IP": "true"}, "insert-headers is not a valid option for a TCP protocol listener."),
        ("HTTP", {"X-Loom": "true"}, "['X-Loom'] is not a valid option for insert_headers"),
        ("HTTP", {"X-SSL-Issuer": "true"}, "['X-SSL-Issuer'] is not a valid option for HTTP protocol listener."),
    ],
)
def test_headers_are_inserted_only_where_they_can_be(api: Api, protocol: str, headers: object, text: str) -> None:
    listener = {
        "loadbalancer_id": api.load_balancer()["id"],
        "protocol": protocol,
        "protocol_port": 80,
        "insert_headers": headers,
    }

    assert api.refused(400, "POST", "/listeners", {"listener": listener}) == text


def test_listener_is_removed(api: Api) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    path = f"/listeners/{listener['id']}"

    api.delete(path)
    while_pending = api.get(path)["listener"]["provisioning_status"]
    again = api.refused(409, "DELETE", path)
    changed = api.refused(409, "PUT", path, {"listener": {"name": "late"}})
    api.confirm(load_balancer)

    assert while_pending == "PENDING_DELETE"
    assert again == changed == f"Load Balancer {load_balancer['id']} is immutable and cannot be updated."
    assert api.refused(404, "GET", path) == f"Listener {listener['id']} not found."
    assert api.refused(404, "DELETE", path) == f"Listener {listener['id']} not found."
    assert api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["listeners"] == []


def test_change_of_a_listener_that_never_was_is_not_found(api: Api) -> None:
    assert api.refused(404, "PUT", "/listeners/front", {"listener": {}}) == "Listener front not found."
    assert api.refused(404, "DELETE", "/listeners/front") == "Listener front not found."
