"""The control API: what people who test clients can make the noop profile do."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_it_says_what_it_can_do(noop: Noop) -> None:
    status, text = noop.api.ask("GET", "/__control__/")

    assert status == 200
    assert json.loads(text) == {
        "capabilities": ["amphora", "config", "fault", "hold", "network", "release", "reset", "stats", "status"]
    }


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("reset", {"what": 1}),
        ("hold", {"hold": True, "for": 1}),
        ("hold", {"hold": "yes"}),
        ("release", {"id": str(uuid4())}),
        ("status", {"balancers": []}),
        ("status", {"listeners": [{"id": str(uuid4()), "status": "ACTIVE"}]}),
        ("stats", {"listeners": [{"bytes": 1}]}),
        ("amphorae", {"op": "paint"}),
        ("fault", {"error": "Sorrow"}),
        ("fault", {}),
        ("network", {"routers": []}),
        ("config", {"group": "networking", "options": {"no_such_option": 1}}),
        ("config", {"options": {"allow_ping_health_monitors": "perhaps"}}),
    ],
)
def test_an_unknown_key_is_refused(noop: Noop, path: str, body: object) -> None:
    assert "faultstring" in noop.control(path, body, status=400)


def test_held_operations_stay_pending_until_they_are_resumed(noop: Noop) -> None:
    noop.control("hold", {"hold": True})
    created = f"/loadbalancers/{noop.load_balancer()['id']}"
    behind_amphorae = f"/loadbalancers/{noop.load_balancer(provider='amphora')['id']}"
    statuses = [noop.status_of(path)[0] for path in (created, behind_amphorae)]

    noop.control("hold", {"hold": False})

    assert statuses == ["PENDING_CREATE", "PENDING_CREATE"]
    noop.wait_for(created, "ACTIVE", "ONLINE")
    noop.wait_for(behind_amphorae, "ACTIVE", "OFFLINE")


def test_one_tree_is_released_while_the_others_are_held(noop: Noop) -> None:
    noop.control("hold", {"hold": True})
    first, second = noop.load_balancer()["id"], noop.load_balancer()["id"]
    listener = noop.api.post("/listeners", "listener", loadbalancer_id=first, protocol="TCP", protocol_port=1)["id"]

    noop.control("release", {"loadbalancer_id": first})

    assert noop.status_of(f"/loadbalancers/{first}") == ("ACTIVE", "ONLINE")
    assert noop.status_of(f"/listeners/{listener}") == ("ACTIVE", "ONLINE")
    assert noop.status_of(f"/loadbalancers/{second}") == ("PENDING_CREATE", "OFFLINE")


def test_a_released_deletion_is_done(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    noop.control("hold", {"hold": True})
    noop.api.delete(f"/loadbalancers/{id}")
    held = noop.status_of(f"/loadbalancers/{id}")[0]

    noop.control("release", {"loadbalancer_id": id})

    assert held == "PENDING_DELETE"
    assert noop.request("GET", f"/loadbalancers/{id}")[0] == 404


def a_tree(noop: Noop) -> dict[str, Any]:
    """One object of each kind: its list in a status report -> its path."""
    id = noop.active_load_balancer()["id"]
    listener = noop.api.post("/listeners", "listener", loadbalancer_id=id, protocol="HTTP", protocol_port=80)["id"]
    pool = noop.api.post("/pools", "pool", listener_id=listener, protocol="HTTP", lb_algorithm="ROUND_ROBIN")["id"]
    monitor = {"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    member = noop.api.post(f"/pools/{pool}/members", "member", address="10.0.0.7", protocol_port=80)["id"]
    policy = noop.api.post("/l7policies", "l7policy", listener_id=listener, action="REJECT")["id"]
    rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
    found = {
        "loadbalancers": f"/loadbalancers/{id}",
        "listeners": f"/listeners/{listener}",
        "pools": f"/pools/{pool}",
        "members": f"/pools/{pool}/members/{member}",
        "healthmonitors": f"/healthmonitors/{noop.api.post('/healthmonitors', 'healthmonitor', **monitor)['id']}",
        "l7policies": f"/l7policies/{policy}",
        "l7rules": f"/l7policies/{policy}/rules/{noop.api.post(f'/l7policies/{policy}/rules', 'rule', **rule)['id']}",
    }
    noop.api.wait_until_active(id, 5)
    return found


def test_a_status_report_is_shown_exactly(noop: Noop) -> None:
    tree = a_tree(noop)
    said = {"provisioning_status": "PENDING_UPDATE", "operating_status": "ERROR"}

    noop.control("status", {kind: [{"id": path.rpartition("/")[2], **said}] for kind, path in tree.items()})

    assert {noop.status_of(path) for path in tree.values()} == {("PENDING_UPDATE", "ERROR")}
    topics = noop.service.events(tree["loadbalancers"].rpartition("/")[2])
    assert topics["LoadBalancerStatusesSet"] == 1


def test_what_is_changed_again_leaves_the_status_that_was_set(noop: Noop) -> None:
    tree = a_tree(noop)
    id = tree["pools"].rpartition("/")[2]
    noop.control("status", {"pools": [{"id": id, "provisioning_status": "ERROR", "operating_status": "ERROR"}]})

    noop.api.put(tree["pools"], "pool", {"name": "again"})

    noop.wait_for(tree["pools"], "ACTIVE", "ONLINE")


@pytest.mark.parametrize("kind", ["loadbalancers", "listeners", "members", "l7policies"])
def test_what_is_reported_deleted_is_gone(noop: Noop, kind: str) -> None:
    path = a_tree(noop)[kind]

    noop.control("status", {kind: [{"id": path.rpartition("/")[2], "provisioning_status": "DELETED"}]})

    assert noop.request("GET", path)[0] == 404


def test_a_report_of_what_is_not_there_changes_nothing(noop: Noop) -> None:
    assert "not found" in noop.control("status", {"listeners": [{"id": str(uuid4())}]}, status=404)


def test_statistics_are_added_up(noop: Noop) -> None:
    path = a_tree(noop)["listeners"]
    said = {"id": path.rpartition("/")[2], "bytes_in": 10, "active_connections": 2, "total_connections": 5}

    for amphora in (uuid4(), uuid4()):
        for _ in range(2):
            noop.control("stats", {"listeners": [{**said, "amphora_id": str(amphora)}]})
    noop.control("stats", {"listeners": [{"id": str(uuid4()), "bytes_in": 1}]})

    stats = noop.api.get(f"{path}/stats")
    assert (stats["bytes_in"], stats["total_connections"]) == (40, 20)


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        ("DriverError", 500, "Provider 'noop_driver' reports error: too bad"),
        ("Exception", 500, "Provider 'noop_driver' reports error: too bad"),
        ("NotImplementedError", 501, "Provider 'noop_driver' does not support a requested action: too bad"),
        ("UnsupportedOptionError", 501, "Provider 'noop_driver' does not support a requested option: too bad"),
    ],
)
def test_a_fault_is_the_providers(noop: Noop, error: str, status: int, words: str) -> None:
    id = noop.active_load_balancer()["id"]
    listener = {"listener": {"loadbalancer_id": id, "protocol": "HTTP", "protocol_port": 80}}
    noop.control("fault", {"error": error, "user_fault_string": "too bad", "method": "listener_create"})

    faulty = noop.request("POST", "/listeners", listener)
    spared = noop.request("PUT", f"/loadbalancers/{id}", {"loadbalancer": {"name": "x"}})
    noop.control("fault", {"clear": True})
    mended = noop.request("POST", "/listeners", listener)

    assert (faulty[0], faulty[1]["faultstring"]) == (status, words)
    assert (spared[0], mended[0]) == (200, 201)


def test_a_fault_of_all_methods_may_name_another_provider(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    noop.control("fault", {"error": "DriverError", "provider": "acme"})

    for method, path, body in [
        ("PUT", f"/loadbalancers/{id}", {"loadbalancer": {}}),
        ("DELETE", f"/loadbalancers/{id}", None),
        ("GET", "/providers/noop_driver/flavor_capabilities", None),
    ]:
        status, content = noop.request(method, path, body)
        assert (status, content["faultstring"][:15]) == (500, "Provider 'acme'"), (method, path)


def test_a_prepared_network_is_what_there_is(noop: Noop) -> None:
    network, subnet = str(uuid4()), str(uuid4())
    noop.control(
        "network",
        {
            "networks": [{"id": network, "subnets": [subnet]}],
            "subnets": [{"id": subnet, "network_id": network, "cidr": "10.1.0.0/24", "ip_version": 4}],
            "not_found": ["subnet"],
        },
    )

    known = noop.request("POST", "/loadbalancers", {"loadbalancer": {"project_id": "p", "vip_network_id": network}})
    missing = {"project_id": "p", "vip_subnet_id": str(uuid4())}
    unknown = noop.request("POST", "/loadbalancers", {"loadbalancer": missing})

    assert known[1]["loadbalancer"]["vip_subnet_id"] == subnet
    assert (unknown[0], unknown[1]["faultstring"]) == (400, f"Subnet {missing['vip_subnet_id']} not found.")


def test_settings_count_from_the_next_request_on_and_until_they_are_cleared(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    pool = noop.api.post("/pools", "pool", loadbalancer_id=id, protocol="HTTP", lb_algorithm="ROUND_ROBIN")["id"]
    ping = {"healthmonitor": {"pool_id": pool, "type": "PING", "delay": 1, "timeout": 1, "max_retries": 1}}
    noop.control("config", {"group": "api_settings", "options": {"allow_ping_health_monitors": False}})
    noop.control("config", {"group": "haproxy_amphora", "options": {"timeout_client_data": 7}})

    refused = noop.request("POST", "/healthmonitors", ping)
    listener = noop.api.post("/listeners", "listener", loadbalancer_id=id, protocol="HTTP", protocol_port=80)
    noop.control("config", {"clear": True})
    accepted = noop.request("POST", "/healthmonitors", ping)

    assert (refused[0], refused[1]["faultstring"][:17], accepted[0]) == (400, "The selected type", 201)
    assert listener["timeout_client_data"] == 7


def test_strict_immutability_is_octavias(noop: Noop) -> None:
    noop.control("config", {"group": "api_settings", "options": {"strict_immutability": True}})
    noop.control("hold", {"hold": True})
    id = noop.load_balancer()["id"]

    on_itself = noop.request("PUT", f"/loadbalancers/{id}", {"loadbalancer": {"name": "x"}})
    below = noop.request(
        "POST", "/pools", {"pool": {"loadbalancer_id": id, "protocol": "TCP", "lb_algorithm": "SOURCE_IP"}}
    )

    assert (on_itself[0], on_itself[1]["faultstring"]) == (
        409,
        f"Invalid state PENDING_CREATE of loadbalancer resource {id}",
    )
    assert (below[0], below[1]["faultstring"]) == (409, f"Load Balancer {id} is immutable and cannot be updated.")


def test_a_reset_forgets_everything(noop: Noop) -> None:
    tree = a_tree(noop)
    profile = {"name": "p", "provider_name": "amphora", "flavor_data": "{}"}
    _, made = noop.request("POST", "/flavorprofiles", {"flavorprofile": profile})
    flavor = {"name": "f", "flavor_profile_id": made["flavorprofile"]["id"]}
    noop.request("POST", "/flavors", {"flavor": flavor})
    noop.request("PUT", "/quotas/p", {"quota": {"loadbalancer": 1}})
    noop.control("fault", {"error": "DriverError"})
    noop.control("hold", {"hold": True})

    noop.control("reset", {})

    for many in ("loadbalancers", "listeners", "pools", "healthmonitors", "l7policies", "flavors", "flavorprofiles"):
        assert noop.request("GET", f"/{many}")[1][many] == [], many
    assert noop.request("GET", "/quotas")[1]["quotas"] == []
    assert noop.request("GET", "/quotas/p")[1]["quota"]["loadbalancer"] == -1
    assert noop.request("GET", tree["members"])[0] == 404
    noop.active_load_balancer()  # neither held nor faulty


def amphorae(noop: Noop) -> dict[str, dict[str, Any]]:
    _, text = noop.api.ask("GET", "/v2/octavia/amphorae")
    return {each["id"]: each for each in json.loads(text)["amphorae"]}


def test_amphora_records_are_shown_as_they_were_said(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    said = {"load_balancer_id": id, "vrrp_id": 7, "role": "MASTER", "cert_expiration": "2027-01-02T03:04:05"}
    made = json.loads(noop.control("amphorae", {"op": "create", "amphora": said}, status=200))["id"]

    created = amphorae(noop)[made]
    noop.control("amphorae", {"op": "update", "id": made, "amphora": {"status": "ERROR"}}, status=200)
    updated = amphorae(noop)[made]
    noop.control("amphorae", {"op": "delete", "id": made}, status=200)

    assert (created["loadbalancer_id"], created["vrrp_id"], created["role"]) == (id, 7, "MASTER")
    assert (created["status"], created["cert_expiration"]) == ("ALLOCATED", "2027-01-02T03:04:05")
    assert (updated["status"], updated["vrrp_id"]) == ("ERROR", 7)
    assert made not in amphorae(noop)


def test_a_real_amphora_may_look_otherwise_too(noop: Noop) -> None:
    id = noop.active_load_balancer(provider="amphora")["id"]
    (real,) = (each for each in amphorae(noop).values() if each["loadbalancer_id"] == id)

    noop.control("amphorae", {"op": "update", "id": real["id"], "amphora": {"cached_zone": "west"}}, status=200)

    assert amphorae(noop)[real["id"]] == {**real, "cached_zone": "west"}


def test_a_record_that_says_error_can_be_deleted_and_another_cannot(noop: Noop) -> None:
    id = noop.active_load_balancer()["id"]
    made = [
        json.loads(
            noop.control("amphorae", {"op": "create", "amphora": {"load_balancer_id": id, "status": status}}, 200)
        )
        for status in ("ERROR", "ALLOCATED")
    ]

    statuses = [noop.api.ask("DELETE", f"/v2/octavia/amphorae/{each['id']}")[0] for each in made]
    failed_over = noop.api.ask("PUT", f"/v2/octavia/amphorae/{made[1]['id']}/failover")[0]

    assert statuses == [204, 409]
    assert failed_over == 202
    assert made[0]["id"] not in amphorae(noop)


def test_a_record_with_a_key_that_amphorae_do_not_have_is_refused(noop: Noop) -> None:
    noop.control("amphorae", {"op": "create", "amphora": {"color": "red"}}, status=400)


def test_a_record_of_no_load_balancer_can_be_deleted_too(noop: Noop) -> None:
    made = json.loads(noop.control("amphorae", {"op": "create", "amphora": {"status": "ERROR"}}, status=200))["id"]

    assert noop.api.ask("DELETE", f"/v2/octavia/amphorae/{made}")[0] == 204
    assert made not in amphorae(noop)
