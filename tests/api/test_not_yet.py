"""What the contract has and this release does not carry out: refused by name, and nothing is stored."""

from typing import Any

import pytest

from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

ID = "7a0f5c7e-3a7b-4f0e-9a3e-2f9d0f6f3d11"
LISTENER = {
    **{"default_tls_container_ref": "x", "sni_container_refs": ["x"], "client_ca_tls_container_ref": "x"},
    **{"client_crl_container_ref": "x", "client_authentication": "MANDATORY", "tls_ciphers": "x", "hsts_max_age": 1},
    **{"tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2"], "hsts_include_subdomains": True, "hsts_preload": True},
    **{"allowed_cidrs": ["10.0.0.0/8"]},
}
POOL = {
    **{"tls_enabled": True, "tls_container_ref": "x", "ca_tls_container_ref": "x", "crl_container_ref": "x"},
    **{"tls_ciphers": "x", "tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2"]},
}
ON_CREATION = [
    *(("loadbalancer", name, value) for name, value in (("flavor_id", ID), ("availability_zone", "x"))),
    *(("loadbalancer", name, [{}]) for name in ("additional_vips", "listeners", "pools")),
    *(("loadbalancer", name, value) for name, value in (("vip_qos_policy_id", ID), ("vip_sg_ids", [ID]))),
    *(("listener", name, value) for name, value in LISTENER.items()),
    *(("listener", name, value) for name, value in (("default_pool", {"name": "x"}), ("l7policies", [{}]))),
    *(("listener", name, value) for name, value in (("hsts_max_age", 0), ("tls_ciphers", ""))),
    *(("listener", "protocol", value) for value in ("UDP", "SCTP", "TERMINATED_HTTPS", "PROMETHEUS")),
    *(("pool", name, value) for name, value in POOL.items()),
    *(("pool", name, value) for name, value in (("members", [{}]), ("healthmonitor", {"name": "x"}))),
    *(("pool", name, value) for name, value in (("protocol", "UDP"), ("protocol", "SCTP"))),
    ("pool", "lb_algorithm", "SOURCE_IP_PORT"),
    ("member", "request_sriov", True),
    *(("healthmonitor", "type", value) for value in ("HTTPS", "TLS-HELLO")),
]
ON_CHANGE = [
    *(("loadbalancer", name, value) for name, value in (("vip_qos_policy_id", ID), ("vip_sg_ids", [ID]))),
    *(("listener", name, value) for name, value in LISTENER.items()),
    *(("pool", name, value) for name, value in POOL.items()),
    ("pool", "lb_algorithm", "SOURCE_IP_PORT"),
]
ASKS_FOR_NOTHING = [
    *(("loadbalancer", name, None) for name in ("vip_qos_policy_id", "vip_sg_ids", "additional_vips")),
    *(("loadbalancer", name, []) for name in ("vip_sg_ids", "additional_vips", "listeners", "pools")),
    *(("listener", name, None) for name in LISTENER),
    *(("listener", name, value) for name, value in (("client_authentication", "NONE"), ("hsts_preload", False))),
    *(("pool", name, None) for name in POOL),
    ("pool", "tls_enabled", False),
    ("member", "request_sriov", False),
]


def body(api: Api, of: str) -> tuple[str, dict[str, Any]]:
    """Where an object of a kind is created, and from what."""
    if of == "loadbalancer":
        return "/loadbalancers", {"vip_subnet_id": str(VIP_SUBNET.id)}
    load_balancer = api.load_balancer()
    if of == "listener":
        return "/listeners", {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80}
    if of == "pool":
        return "/pools", {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    pool = api.pool_of(load_balancer)
    if of == "member":
        return f"/pools/{pool['id']}/members", {"address": "127.0.0.10", "protocol_port": 80}
    return "/healthmonitors", {"pool_id": pool["id"], "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}


@pytest.mark.parametrize(("of", "name", "value"), ON_CREATION)
def test_creation_names_what_is_not_carried_out_yet(api: Api, of: str, name: str, value: object) -> None:
    path, attributes = body(api, of)

    text = api.refused(501, "POST", path, {of: {**attributes, name: value}})

    assert (str(value) if name in ("protocol", "type", "lb_algorithm") else name) in text
    assert api.get(path)[f"{of}s"] == []


@pytest.mark.parametrize(("of", "name", "value"), ON_CHANGE)
def test_change_names_what_is_not_carried_out_yet(api: Api, of: str, name: str, value: object) -> None:
    path, attributes = body(api, of)
    created = api.create(path, of, **attributes)

    text = api.refused(501, "PUT", f"{path}/{created['id']}", {of: {name: value}})

    assert (str(value) if name == "lb_algorithm" else name) in text
    assert api.get(f"{path}/{created['id']}")[of]["updated_at"] is None


@pytest.mark.parametrize(("of", "name", "value"), ASKS_FOR_NOTHING)
def test_attribute_that_asks_for_nothing_is_accepted(api: Api, of: str, name: str, value: object) -> None:
    path, attributes = body(api, of)

    created = api.create(path, of, **attributes, **{name: value})

    assert created["id"]


@pytest.mark.parametrize(
    ("of", "wrong"),
    [
        ("loadbalancer", {"flavor_id": "loom"}),
        ("listener", {"hsts_max_age": -1}),
        ("listener", {"tls_versions": "TLSv1.2"}),
        ("listener", {"client_authentication": "LOOM"}),
        ("pool", {"tls_enabled": "loom"}),
        ("pool", {"tls_enabled": True, "name": 3}),
        ("listener", {"protocol": "UDP", "insert_headers": {"X-Real-IP": "true"}}),
        ("healthmonitor", {"type": "UDP-CONNECT"}),
        ("healthmonitor", {"type": "TLS-HELLO", "url_path": "/"}),
    ],
)
def test_mistake_is_told_before_what_is_not_carried_out_yet(api: Api, of: str, wrong: dict[str, object]) -> None:
    path, attributes = body(api, of)

    assert api.refused(400, "POST", path, {of: {**attributes, **wrong}})
