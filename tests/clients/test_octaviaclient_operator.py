"""What an operator types: quotas, providers, flavors, availability zones, amphorae."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.clients.openstack_command import KEYSTONE_KNOWS, OpenStack, of
from tests.clients.tree import a_flavor, a_zone, excerpt
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

UNLIMITED = dict.fromkeys(("load_balancer", "listener", "pool", "health_monitor", "member", "l7policy", "l7rule"), -1)


@of("quota set", "quota show", "quota list", "quota unset", "quota reset", "quota defaults show")
def test_quotas_are_set_shown_listed_unset_and_reset(openstack: OpenStack, noop: Noop) -> None:
    limits = dict(zip(UNLIMITED, range(1, 8), strict=True))
    options = [word for name, limit in limits.items() for word in (f"--{name.replace('_', '')}", str(limit))]

    assert openstack.json("quota", "set", KEYSTONE_KNOWS, *options) == limits

    project = str(uuid4())
    noop.api.put(f"/quotas/{project}", "quota", {"pool": 9})
    assert openstack.json("quota", "show", KEYSTONE_KNOWS) == limits
    assert openstack.json("quota", "show", project) == {**UNLIMITED, "pool": 9}
    assert openstack.json("quota", "defaults", "show") == UNLIMITED
    assert {each["project_id"] for each in openstack.json("quota", "list")} >= {KEYSTONE_KNOWS, project}
    assert openstack.json("quota", "list", "--project", KEYSTONE_KNOWS) == [{"project_id": KEYSTONE_KNOWS, **limits}]
    openstack("quota", "unset", KEYSTONE_KNOWS, "--loadbalancer", "--listener", "--pool", "--member")
    left = {"health_monitor": limits["health_monitor"], "l7policy": limits["l7policy"], "l7rule": limits["l7rule"]}
    assert openstack.json("quota", "show", KEYSTONE_KNOWS) == {**UNLIMITED, **left}
    openstack("quota", "unset", KEYSTONE_KNOWS, "--healthmonitor", "--l7policy", "--l7rule")
    assert openstack.json("quota", "show", KEYSTONE_KNOWS) == UNLIMITED
    openstack("quota", "set", KEYSTONE_KNOWS, "--pool", "3")
    openstack("quota", "reset", KEYSTONE_KNOWS)
    assert openstack.json("quota", "show", KEYSTONE_KNOWS) == UNLIMITED


@of("provider list", "provider capability list")
def test_providers_and_their_capabilities_are_listed(openstack: OpenStack) -> None:
    of_noop = [("flavor", "amp_image_tag"), ("availability_zone", "compute_zone"), ("availability_zone", "volume_zone")]

    listed = openstack.names("provider", "list")

    assert listed == ["amphora", "noop_driver", "noop_driver-alt", "octavia"]
    assert capabilities(openstack, "noop_driver") == of_noop
    assert capabilities(openstack, "noop_driver", "--flavor") == of_noop[:1]
    assert capabilities(openstack, "noop_driver", "--availability-zone") == of_noop[1:]
    refused = openstack.refusal("provider", "capability", "list", "acme")
    assert "Provider 'acme' is not enabled. (HTTP 400)" in refused


def capabilities(openstack: OpenStack, *words: str) -> list[tuple[str, str]]:
    """Type and name, in the order of the answer."""
    return [(each["type"], each["name"]) for each in openstack.json("provider", "capability", "list", *words)]


@of(*(f"flavorprofile {verb}" for verb in ("create", "show", "list", "set", "delete")))
def test_flavor_profiles_are_kept(openstack: OpenStack) -> None:
    data = '{"loadbalancer_topology": "SINGLE"}'

    created = openstack.json(
        "flavorprofile", "create", "--name", "single", "--provider", "amphora", "--flavor-data", data
    )

    assert created == {"id": created["id"], "name": "single", "provider_name": "amphora", "flavor_data": data}
    assert openstack.json("flavorprofile", "show", "single") == created
    assert openstack.names("flavorprofile", "list", "--name", "single", "--provider", "amphora") == ["single"]
    assert openstack.names("flavorprofile", "list", "--provider", "octavia") == []
    said = ("--name", "plain", "--provider", "noop_driver", "--flavor-data", '{"a": 1}')
    openstack("flavorprofile", "set", "single", *said)
    changed = {"id": created["id"], "name": "plain", "provider_name": "noop_driver", "flavor_data": '{"a": 1}'}
    assert openstack.json("flavorprofile", "show", created["id"]) == changed
    bad = openstack.refusal("flavorprofile", "set", "plain", "--flavor-data", "{")
    assert "{ is not a valid option for flavor_data (HTTP 400)" in bad
    openstack("flavorprofile", "delete", "plain")
    assert openstack.names("flavorprofile", "list") == []


@of(*(f"flavor {verb}" for verb in ("create", "show", "list", "set", "unset", "delete")))
def test_flavors_are_kept(openstack: OpenStack) -> None:
    profile = openstack.json(
        "flavorprofile", "create", "--name", "plain", "--provider", "amphora", "--flavor-data", "{}"
    )

    said = ("--name", "fast", "--flavorprofile", "plain", "--description", "wind", "--disable")
    created = openstack.json("flavor", "create", *said)
    openstack("flavor", "create", "--name", "slow", "--flavorprofile", profile["id"], "--enable")

    expected = {"name": "fast", "flavor_profile_id": profile["id"], "description": "wind", "enabled": False}
    assert created == {"id": created["id"], **expected}
    assert openstack.json("flavor", "show", "fast") == created
    assert openstack.names("flavor", "list", "--name", "fast") == ["fast"]
    assert openstack.names("flavor", "list", "--flavorprofile", "plain") == ["fast", "slow"]
    assert openstack.names("flavor", "list", "--enable") == ["slow"]
    assert openstack.names("flavor", "list", "--disable") == ["fast"]
    assert "A flavor of slow already exists. (HTTP 409)" in openstack.refusal(
        "flavor", "create", "--name", "slow", "--flavorprofile", "plain"
    )
    openstack("flavor", "set", "fast", "--name", "swift", "--description", "storm", "--enable")
    openstack("flavor", "set", "slow", "--disable")
    changed = {"id": created["id"], "name": "swift", "description": "storm", "enabled": True}
    assert excerpt(openstack.json("flavor", "show", created["id"]), changed) == changed
    openstack("flavor", "unset", "swift", "--description")
    assert openstack.json("flavor", "show", "swift")["description"] == ""
    openstack("flavor", "delete", "swift")
    assert openstack.names("flavor", "list") == ["slow"]
    assert "is in use and cannot be modified. (HTTP 409)" in openstack.refusal("flavorprofile", "delete", "plain")


@of(*(f"availabilityzoneprofile {verb}" for verb in ("create", "show", "list", "set", "delete")))
def test_availability_zone_profiles_are_kept(openstack: OpenStack) -> None:
    data = '{"compute_zone": "nova"}'
    said = ("--name", "near", "--provider", "amphora", "--availability-zone-data", data)

    created = openstack.json("availabilityzoneprofile", "create", *said)

    expected = {"name": "near", "provider_name": "amphora", "availability_zone_data": data}
    assert created == {"id": created["id"], **expected}
    assert openstack.json("availabilityzoneprofile", "show", "near") == created
    assert openstack.names("availabilityzoneprofile", "list", "--name", "near", "--provider", "amphora") == ["near"]
    assert openstack.names("availabilityzoneprofile", "list", "--provider", "octavia") == []
    said = ("--name", "far", "--provider", "noop_driver", "--availability-zone-data", '{"a": 1}')
    openstack("availabilityzoneprofile", "set", "near", *said)
    changed = {"name": "far", "provider_name": "noop_driver", "availability_zone_data": '{"a": 1}'}
    assert openstack.json("availabilityzoneprofile", "show", created["id"]) == {"id": created["id"], **changed}
    openstack("availabilityzoneprofile", "delete", "far")
    assert openstack.names("availabilityzoneprofile", "list") == []


@of(*(f"availabilityzone {verb}" for verb in ("create", "show", "list", "set", "unset", "delete")))
def test_availability_zones_are_kept(openstack: OpenStack, noop: Noop) -> None:
    a_zone(noop, "west")
    said = ("--name", "east", "--availabilityzoneprofile", "west-profile", "--description", "dawn", "--disable")

    created = openstack.json("availabilityzone", "create", *said)
    openstack("availabilityzone", "create", "--name", "north", "--availabilityzoneprofile", "west-profile", "--enable")

    profile = openstack.json("availabilityzoneprofile", "show", "west-profile")["id"]
    expected = {"name": "east", "availability_zone_profile_id": profile, "description": "dawn", "enabled": False}
    assert created == expected
    assert openstack.json("availabilityzone", "show", "east") == created
    assert openstack.names("availabilityzone", "list", "--name", "east") == ["east"]
    of_profile = openstack.names("availabilityzone", "list", "--availabilityzoneprofile", "west-profile")
    assert of_profile == ["east", "north", "west"]
    assert openstack.names("availabilityzone", "list", "--enable") == ["north", "west"]
    assert openstack.names("availabilityzone", "list", "--disable") == ["east"]
    openstack("availabilityzone", "set", "east", "--description", "noon", "--enable")
    openstack("availabilityzone", "set", "north", "--disable")
    changed = openstack.json("availabilityzone", "show", "east")
    assert (changed["description"], changed["enabled"]) == ("noon", True)
    openstack("availabilityzone", "unset", "east", "--description")
    assert openstack.json("availabilityzone", "show", "east")["description"] == ""
    openstack("availabilityzone", "delete", "east")
    assert openstack.names("availabilityzone", "list") == ["north", "west"]


def test_what_a_load_balancer_uses_stays(openstack: OpenStack, noop: Noop) -> None:
    noop.load_balancer(flavor_id=a_flavor(noop), availability_zone=a_zone(noop))

    assert "is in use and cannot be modified. (HTTP 409)" in openstack.refusal("flavor", "delete", "fast")
    assert "Availability Zone east is in use" in openstack.refusal("availabilityzone", "delete", "east")


@of("amphora list", "amphora show", "amphora stats show")
def test_amphorae_are_found_by_every_filter_and_shown_with_what_they_counted(openstack: OpenStack, noop: Noop) -> None:
    web = noop.active_load_balancer(name="web", provider="amphora")["id"]
    inn = noop.active_load_balancer(name="inn", provider="amphora")["id"]
    listener = {"name": "front", "loadbalancer_id": inn, "protocol": "HTTP", "protocol_port": 80}
    front = noop.api.post("/listeners", "listener", **listener)["id"]
    (standing,) = amphorae(noop, web)
    said = {"compute_id": str(uuid4()), "role": "BACKUP", "status": "ERROR", "image_id": str(uuid4())}
    lone = {"id": str(uuid4()), "load_balancer_id": inn, "cached_zone": "east", "lb_network_ip": "192.0.2.1", **said}
    noop.control("amphorae", {"op": "create", "amphora": lone}, status=200)
    counted = {"bytes_in": 10, "bytes_out": 20, "active_connections": 1, "total_connections": 5, "request_errors": 2}
    elsewhere = {"id": str(uuid4()), "amphora_id": lone["id"], "bytes_in": 1}
    noop.control("stats", {"listeners": [{"id": front, "amphora_id": lone["id"], **counted}, elsewhere]})

    ids = {
        words: [each["id"] for each in openstack.json("amphora", "list", *words)]
        for words in [
            ("--loadbalancer", "web"),
            ("--compute-id", lone["compute_id"]),
            ("--role", "backup"),
            ("--status", "ERROR"),
            ("--image-id", lone["image_id"]),
        ]
    }

    assert ids.pop(("--loadbalancer", "web")) == [standing["id"]]
    assert set(map(tuple, ids.values())) == {(lone["id"],)}, ids
    (long,) = openstack.json("amphora", "list", "--long", "--status", "ERROR")
    of_long = {"cached_zone": "east", "compute_id": lone["compute_id"], "image_id": lone["image_id"]}
    assert excerpt(long, of_long) == of_long
    shown = openstack.json("amphora", "show", standing["id"])
    assert shown == excerpt(standing, shown)
    assert (shown["loadbalancer_id"], shown["status"], shown["role"]) == (web, "ALLOCATED", "STANDALONE")
    assert openstack.json("amphora", "stats", "show", lone["id"], "--listener", "front") == counted
    assert openstack.json("amphora", "stats", "show", lone["id"])["bytes_in"] == 11
    assert "not found" in openstack.refusal("amphora", "stats", "show", standing["id"])


@of("amphora configure", "amphora failover", "amphora delete")
def test_amphorae_are_configured_replaced_and_deleted(openstack: OpenStack, noop: Noop) -> None:
    web = noop.active_load_balancer(provider="amphora")["id"]
    (before,) = amphorae(noop, web)

    openstack("amphora", "configure", before["id"])
    openstack("amphora", "failover", before["id"])

    noop.api.wait_until_active(web)
    (after,) = [each for each in amphorae(noop, web) if each["status"] == "ALLOCATED"]
    assert after["id"] != before["id"]
    assert "is immutable and cannot be updated. (HTTP 409)" in openstack.refusal("amphora", "delete", after["id"])
    broken = str(uuid4())
    record = {"id": broken, "load_balancer_id": web, "status": "ERROR"}
    noop.control("amphorae", {"op": "create", "amphora": record}, status=200)
    openstack("amphora", "delete", broken)
    assert broken not in [each["id"] for each in openstack.json("amphora", "list", "--status", "ERROR")]


def amphorae(noop: Noop, load_balancer_id: str) -> list[dict[str, Any]]:
    _, text = noop.api.ask("GET", f"/v2/octavia/amphorae?loadbalancer_id={load_balancer_id}")
    found: list[dict[str, Any]] = json.loads(text)["amphorae"]
    return found
