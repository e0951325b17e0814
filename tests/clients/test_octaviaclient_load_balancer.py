"""`openstack loadbalancer` for load balancers themselves, as a user types it."""

import json
from uuid import uuid4

import pytest

from tests.clients.openstack_command import KEYSTONE_KNOWS, OpenStack, of
from tests.clients.tree import Tree, a_flavor, a_zone, excerpt
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@of("create", "show")
def test_a_load_balancer_is_created_with_every_option_and_shown(openstack: OpenStack, noop: Noop) -> None:
    flavor, zone = a_flavor(noop, provider="amphora"), a_zone(noop, provider="amphora")

    created = openstack.json(
        *("create", "--name", "web", "--description", "cloth", "--project", KEYSTONE_KNOWS, "--provider", "amphora"),
        *("--vip-subnet-id", "front-street", "--vip-network-id", "town", "--vip-address", "198.0.2.77"),
        *("--vip-qos-policy-id", "gold", "--vip-sg-id", "guards", "--vip-sg-id", "clerks"),
        *("--additional-vip", "subnet-id=back-street,ip-address=198.0.2.99"),
        *("--flavor", "fast", "--availability-zone", zone, "--disable", "--tag", "blue", "--tag", "cloth"),
    )

    expected = {
        "name": "web",
        "description": "cloth",
        "project_id": KEYSTONE_KNOWS,
        "provider": "amphora",
        "vip_address": "198.0.2.77",
        "flavor_id": flavor,
        "availability_zone": "east",
        "admin_state_up": False,
        "vip_vnic_type": "normal",
        "provisioning_status": "PENDING_CREATE",
    }
    assert excerpt(created, expected) == expected
    assert sorted(created["tags"]) == ["blue", "cloth"]
    assert len(created["vip_sg_ids"]) == 2
    assert [each["ip_address"] for each in created["additional_vips"]] == ["198.0.2.99"]
    (policy,) = json.loads(noop.api.ask("GET", "/v2/qos/policies?name=gold")[1])["policies"]
    assert created["vip_qos_policy_id"] == policy["id"]
    noop.wait_for(f"/loadbalancers/{created['id']}", "ACTIVE", "OFFLINE")
    shown = openstack.json("show", "web")
    changing = ("provisioning_status", "operating_status", "updated_at")
    assert {**shown, **excerpt(created, dict.fromkeys(changing))} == created
    assert openstack.json("show", created["id"]) == shown
    by_port(openstack)


def by_port(openstack: OpenStack) -> None:
    port = str(uuid4())

    created = openstack.json("create", "--name", "plain", "--vip-port-id", port, "--enable", "--no-tag")

    assert (created["vip_port_id"], created["admin_state_up"], created["tags"]) == (port, True, [])


def test_what_a_user_forgets_or_mistypes_is_told(openstack: OpenStack, tree: Tree) -> None:
    assert "Requires one of --vip-subnet-id" in openstack.refusal("create", "--name", "nowhere")
    assert "Unable to locate wep in loadbalancers" in openstack.refusal("show", "wep")
    unknown = ("create", "--vip-subnet-id", "s", "--provider", "acme")
    assert "Provider 'acme' is not enabled. (HTTP 400)" in openstack.refusal(*unknown)
    assert f"Cannot delete Load Balancer {tree.web} - it has children (HTTP 400)" in openstack.refusal("delete", "web")


@of("list")
def test_load_balancers_are_found_by_every_filter(openstack: OpenStack, noop: Noop) -> None:
    flavor, zone = a_flavor(noop), a_zone(noop)
    web, inn = (
        noop.load_balancer(name="web", flavor_id=flavor, availability_zone=zone, tags=["blue", "cloth"]),
        noop.api.create_load_balancer(
            name="inn", vip_port_id=str(uuid4()), provider="octavia", project_id=KEYSTONE_KNOWS, tags=["blue"]
        ),
    )
    for each in (web, inn):
        noop.api.wait_until_active(each["id"])
    noop.api.put(f"/loadbalancers/{inn['id']}", "loadbalancer", {"admin_state_up": False})
    noop.api.wait_until_active(inn["id"])
    policy = str(uuid4())
    noop.api.put(f"/loadbalancers/{web['id']}", "loadbalancer", {"vip_qos_policy_id": policy})
    noop.api.wait_until_active(web["id"])
    failed = {"id": web["id"], "provisioning_status": "ERROR", "operating_status": "DEGRADED"}
    noop.control("status", {"loadbalancers": [failed]})

    by_filter = {
        words: openstack.names("list", *words)
        for words in [
            ("--name", "web"),
            ("--enable",),
            ("--disable",),
            ("--project", KEYSTONE_KNOWS),
            ("--vip-network-id", web["vip_network_id"]),
            ("--vip-subnet-id", web["vip_subnet_id"]),
            ("--vip-qos-policy-id", policy),
            ("--vip-port-id", inn["vip_port_id"]),
            ("--provisioning-status", "error"),
            ("--operating-status", "DEGRADED"),
            ("--provider", "octavia"),
            ("--flavor", "fast"),
            ("--availability-zone", zone),
            ("--tags", "blue,cloth"),
            ("--any-tags", "cloth,gold"),
            ("--not-tags", "blue,cloth"),
            ("--not-any-tags", "cloth,gold"),
            (),
        ]
    }

    both, only_web, only_inn = ["inn", "web"], ["web"], ["inn"]
    assert by_filter == {
        ("--name", "web"): only_web,
        ("--enable",): only_web,
        ("--disable",): only_inn,
        ("--project", KEYSTONE_KNOWS): only_inn,
        ("--vip-network-id", web["vip_network_id"]): both,
        ("--vip-subnet-id", web["vip_subnet_id"]): only_web,
        ("--vip-qos-policy-id", policy): only_web,
        ("--vip-port-id", inn["vip_port_id"]): only_inn,
        ("--provisioning-status", "error"): only_web,
        ("--operating-status", "DEGRADED"): only_web,
        ("--provider", "octavia"): only_inn,
        ("--flavor", "fast"): only_web,
        ("--availability-zone", zone): only_web,
        ("--tags", "blue,cloth"): only_web,
        ("--any-tags", "cloth,gold"): only_web,
        ("--not-tags", "blue,cloth"): only_inn,
        ("--not-any-tags", "cloth,gold"): only_inn,
        (): both,
    }


@of("set", "unset")
def test_a_load_balancer_is_set_and_unset(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    policy = str(uuid4())
    openstack("set", "web", "--tag", "blue", "--tag", "cloth")

    openstack(
        *("set", "web", "--name", "loft", "--description", "wool", "--vip-qos-policy-id", policy, "--disable"),
        *("--vip-sg-id", "guards", "--no-tag", "--tag", "red", "--tag", "green"),
    )

    expected = {"name": "loft", "description": "wool", "vip_qos_policy_id": policy, "admin_state_up": False}
    changed = noop.api.load_balancer(tree.web)
    assert excerpt(changed, expected) == expected
    assert (len(changed["vip_sg_ids"]), sorted(changed["tags"])) == (1, ["green", "red"])

    openstack("set", "loft", "--enable", "--vip-qos-policy-id", "none")
    openstack("unset", "loft", "--vip-qos-policy-id", "--tag", "red")
    assert noop.api.load_balancer(tree.web)["tags"] == ["green"]
    openstack("unset", "loft", "--name", "--description", "--vip-sg-id", "--all-tag")

    cleared = {"name": "", "description": "", "vip_qos_policy_id": None, "vip_sg_ids": [], "tags": []}
    left = noop.api.load_balancer(tree.web)
    assert excerpt(left, cleared) == cleared
    assert left["admin_state_up"] is True


@of("stats show", "status show", "listener stats show")
def test_statistics_and_statuses_are_shown(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    counted = {"bytes_in": 10, "bytes_out": 20, "active_connections": 1, "total_connections": 5, "request_errors": 2}
    noop.control("stats", {"listeners": [{"id": tree.front, **counted}]})

    assert openstack.json("stats", "show", "web") == counted
    assert openstack.json("listener", "stats", "show", "front") == counted
    status = json.loads(openstack("status", "show", "web"))["loadbalancer"]
    assert (status["id"], status["operating_status"]) == (tree.web, "ONLINE")
    (listener,) = status["listeners"]
    (pool,) = listener["pools"]
    assert (listener["name"], pool["name"], pool["health_monitor"]["name"]) == ("front", "weavers", "check")
    assert [each["name"] for each in pool["members"]] == ["loom"]


@of("failover")
def test_a_load_balancer_is_failed_over(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    noop.control("hold", {"hold": True})

    openstack("failover", "web")

    assert noop.status_of(f"/loadbalancers/{tree.web}")[0] == "PENDING_UPDATE"
    noop.control("hold", {"hold": False})
    noop.api.wait_until_active(tree.web)


@of("delete")
def test_a_load_balancer_is_deleted_with_all_below_it(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    openstack("delete", "web", "--cascade")

    noop.api.wait_until_gone(f"/loadbalancers/{tree.web}")
    assert openstack.names("list") == openstack.names("listener", "list") == []
