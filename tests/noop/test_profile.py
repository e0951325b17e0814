"""The noop profile, as developers of clients find it."""

import json
from datetime import datetime
from uuid import uuid4

import pytest

from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_providers_are_listed_with_their_descriptions(noop: Noop) -> None:
    _, content = noop.request("GET", "/providers")

    assert content["providers"] == [
        {"name": "amphora", "description": "Amp driver."},
        {"name": "noop_driver", "description": "NoOp driver."},
        {"name": "noop_driver-alt", "description": "NoOp driver alt alisas."},
        {"name": "octavia", "description": "Octavia driver."},
    ]


def test_a_load_balancer_is_active_at_once_and_has_the_one_address(noop: Noop) -> None:
    first, second = noop.load_balancer(), noop.load_balancer()

    active = noop.api.wait_until_active(first["id"], 2)

    asked, done = (datetime.fromisoformat(active[name]) for name in ("created_at", "updated_at"))
    assert (active["provider"], active["vip_address"], active["operating_status"]) == (
        "noop_driver",
        "198.0.2.5",
        "ONLINE",
    )
    assert second["vip_address"] == first["vip_address"]
    assert (done - asked).total_seconds() < 2  # the bound of 0.1 s is measured in benchmarks/, on a quiet machine


def test_everything_below_is_active_and_online_with_it(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    listener = noop.api.post("/listeners", "listener", loadbalancer_id=id, protocol="HTTP", protocol_port=80)
    pool = noop.api.post("/pools", "pool", listener_id=listener["id"], protocol="HTTP", lb_algorithm="SOURCE_IP_PORT")
    noop.api.post(
        "/healthmonitors", "healthmonitor", pool_id=pool["id"], type="HTTP", delay=1, timeout=1, max_retries=1
    )
    noop.api.post(f"/pools/{pool['id']}/members", "member", address="10.0.0.7", protocol_port=80)

    noop.api.wait_until_active(id, 5)

    tree = noop.api.status_tree(id)
    found = [tree, *tree["listeners"], *tree["listeners"][0]["pools"], *tree["listeners"][0]["pools"][0]["members"]]
    assert {(each["provisioning_status"], each["operating_status"]) for each in found} == {("ACTIVE", "ONLINE")}


@pytest.mark.parametrize("provider", ["amphora", "octavia"])
def test_amphorae_stand_behind_the_providers_that_keep_some_and_nothing_measures_them(
    noop: Noop, provider: str
) -> None:
    id = noop.active_load_balancer(provider=provider)["id"]
    other = noop.active_load_balancer()["id"]

    _, text = noop.api.ask("GET", "/v2/octavia/amphorae")

    of = [each["loadbalancer_id"] for each in json.loads(text)["amphorae"]]
    assert id in of
    assert other not in of
    assert noop.status_of(f"/loadbalancers/{id}") == ("ACTIVE", "OFFLINE")


def test_any_network_subnet_port_policy_and_secret_is_there(noop: Noop) -> None:
    refs = {"default_tls_container_ref": f"http://secrets/v1/{uuid4()}"}
    on_port = {"vip_port_id": str(uuid4()), "vip_address": "10.0.0.9", "vip_qos_policy_id": str(uuid4())}

    by_port = noop.request("POST", "/loadbalancers", {"loadbalancer": {"project_id": "p", **on_port}})
    by_network = noop.request(
        "POST", "/loadbalancers", {"loadbalancer": {"project_id": "p", "vip_network_id": str(uuid4())}}
    )
    listener = noop.request(
        "POST",
        "/listeners",
        {
            "listener": {
                "loadbalancer_id": by_network[1]["loadbalancer"]["id"],
                "protocol": "TERMINATED_HTTPS",
                "protocol_port": 443,
                **refs,
            }
        },
    )

    assert (by_port[0], by_network[0], listener[0]) == (201, 201, 201)
    assert listener[1]["listener"]["tls_versions"] == ["TLSv1.2", "TLSv1.3"]


def test_links_are_made_from_the_host_that_was_asked(noop: Noop) -> None:
    for _ in range(2):
        noop.load_balancer()

    _, content = noop.request("GET", "/loadbalancers?limit=1", Host="balancers.example.com:1234")

    assert content["loadbalancers_links"][0]["href"].startswith("http://balancers.example.com:1234/v2/lbaas/")


def test_an_identity_that_is_confirmed_is_believed_and_any_other_request_is_admin(noop: Noop) -> None:
    id = noop.load_balancer(project_id="mine")["id"]
    reader = {"X_Identity_Status": "Confirmed", "X_Roles": "reader", "X_User_Id": "u"}

    mine = noop.request("GET", f"/loadbalancers/{id}", X_Project_Id="mine", **reader)
    theirs = noop.request("GET", f"/loadbalancers/{id}", X_Project_Id="other", **reader)
    deleted = noop.request("DELETE", f"/loadbalancers/{id}", X_Project_Id="mine", **reader)
    nobody = noop.request("DELETE", f"/loadbalancers/{id}", X_Roles="reader", X_Project_Id="other")

    assert (mine[0], theirs[0], deleted[0], nobody[0]) == (200, 403, 403, 204)
    assert theirs[1]["faultstring"] == "Policy does not allow this request to be performed."
