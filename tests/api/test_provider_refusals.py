"""What amphorae cannot carry is refused when it is asked for, with nothing stored."""

from typing import Any

import pytest

from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

REFUSED = "Provider 'amphora' does not support a requested option: "
SECRET = "https://secrets.example.com/v1/secrets/5d4e8203-ca77-4afb-b012-4a9aa4080dbf"


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol": "UDP"},
        {"protocol": "SCTP"},
        {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": SECRET},
        {"protocol": "PROMETHEUS", "sni_container_refs": [SECRET]},
    ],
    ids=lambda settings: settings["protocol"],
)
def test_a_listener_that_amphorae_cannot_serve_is_refused(api: Api, settings: dict[str, Any]) -> None:
    load_balancer = api.load_balancer()
    body = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol_port": 80, **settings}}

    text = api.refused(501, "POST", "/listeners", body)

    assert text.startswith(REFUSED)
    assert api.get("/listeners")["listeners"] == []
    assert api.get(f"/loadbalancers/{load_balancer['id']}")["loadbalancer"]["listeners"] == []


@pytest.mark.parametrize(
    "settings",
    [
        {"protocol": "UDP"},
        {"protocol": "SCTP"},
        {"protocol": "HTTP", "tls_enabled": True, "ca_tls_container_ref": SECRET},
    ],
    ids=["UDP", "SCTP", "certificate"],
)
def test_a_pool_that_amphorae_cannot_serve_is_refused(api: Api, settings: dict[str, Any]) -> None:
    body = {"pool": {"loadbalancer_id": api.load_balancer()["id"], "lb_algorithm": "ROUND_ROBIN", **settings}}

    assert api.refused(501, "POST", "/pools", body).startswith(REFUSED)


def test_a_graph_with_something_that_amphorae_cannot_serve_is_refused_as_a_whole(api: Api) -> None:
    balancer = {
        "vip_subnet_id": str(VIP_SUBNET.id),
        "listeners": [{"protocol": "HTTP", "protocol_port": 80}, {"protocol": "UDP", "protocol_port": 53}],
    }

    assert api.refused(501, "POST", "/loadbalancers", {"loadbalancer": balancer}).startswith(REFUSED)

    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_policies_are_for_listeners_that_see_requests(api: Api) -> None:
    listener = api.listener(api.load_balancer(), protocol="TCP")
    body = {"l7policy": {"listener_id": listener["id"], "action": "REJECT"}}

    assert "do not support L7 policies" in api.refused(501, "POST", "/l7policies", body)


@pytest.mark.parametrize(
    "settings", [{"lb_algorithm": "SOURCE_IP_PORT"}, {"tls_enabled": True}], ids=["algorithm", "TLS"]
)
def test_what_haproxy_can_do_is_not_refused(api: Api, settings: dict[str, Any]) -> None:
    pool = api.pool_of(api.load_balancer(), **settings)

    assert pool.items() >= settings.items()
