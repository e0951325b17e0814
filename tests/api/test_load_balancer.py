"""Load balancers over HTTP."""

from uuid import UUID, uuid4

import pytest

from infra.local_network import VIP_SUBNET
from tests.api.conftest import PROJECT, Api

pytestmark = pytest.mark.postgres

KEYS = {
    *("id", "name", "description", "provisioning_status", "operating_status", "admin_state_up", "project_id"),
    *("tenant_id", "created_at", "updated_at", "vip_address", "vip_port_id", "vip_subnet_id", "vip_network_id"),
    *("vip_sg_ids", "vip_qos_policy_id", "vip_vnic_type", "additional_vips", "listeners", "pools", "provider"),
    *("flavor_id", "availability_zone", "tags"),
}


def test_load_balancer_is_created_shown_and_listed(api: Api) -> None:
    created = api.load_balancer(name="web", tags=["blue"])

    shown = api.get(f"/loadbalancers/{created['id']}")["loadbalancer"]
    listed = api.get("/loadbalancers")

    assert created.keys() == KEYS
    assert UUID(created["id"]).version == 4
    assert created["provisioning_status"] == "PENDING_CREATE"
    assert created["operating_status"] == "OFFLINE"
    assert created["project_id"] == created["tenant_id"] == PROJECT
    assert (created["listeners"], created["pools"], created["additional_vips"]) == ([], [], [])
    assert created["updated_at"] is None
    assert shown == created
    assert listed == {"loadbalancers": [shown], "loadbalancers_links": []}


def test_load_balancer_becomes_active_once_its_amphora_confirms(api: Api) -> None:
    created = api.load_balancer()

    api.confirm(created)

    shown = api.get(f"/loadbalancers/{created['id']}")["loadbalancer"]
    assert shown["provisioning_status"] == "ACTIVE"
    assert shown["updated_at"] >= shown["created_at"]
    assert "+" not in shown["updated_at"]
    assert not shown["updated_at"].endswith("Z")


def test_change_of_a_load_balancer_is_shown_at_once_as_pending(api: Api) -> None:
    created = api.load_balancer(name="web", description="shop")
    api.confirm(created)

    changed = api.change(f"/loadbalancers/{created['id']}", "loadbalancer", name="shop", admin_state_up=None)

    shown = api.get(f"/loadbalancers/{created['id']}")["loadbalancer"]
    assert (changed["name"], changed["description"], changed["admin_state_up"]) == ("shop", "shop", False)
    assert changed["provisioning_status"] == "PENDING_UPDATE"
    assert changed == shown


def test_change_that_names_nothing_is_accepted_and_shown_as_pending(api: Api) -> None:
    created = api.load_balancer()
    api.confirm(created)

    changed = api.change(f"/loadbalancers/{created['id']}", "loadbalancer")

    assert changed["provisioning_status"] == "PENDING_UPDATE"


def test_load_balancer_is_deleted(api: Api) -> None:
    created = api.load_balancer()
    path = f"/loadbalancers/{created['id']}"

    api.delete(path)
    status_meanwhile = api.get(path)["loadbalancer"]["provisioning_status"]
    again = api.refused(409, "DELETE", path)
    api.finish_deletion(created)

    assert status_meanwhile == "PENDING_DELETE"
    assert again == f"Invalid state PENDING_DELETE of loadbalancer resource {created['id']}"
    assert api.refused(404, "GET", path) == f"Load Balancer {created['id']} not found."
    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_change_is_refused_while_the_load_balancer_is_being_deleted(api: Api) -> None:
    created = api.load_balancer()
    path = f"/loadbalancers/{created['id']}"
    api.delete(path)

    text = api.refused(409, "PUT", path, {"loadbalancer": {"name": "late"}})

    assert created["id"] in text


def test_load_balancer_with_children_is_deleted_only_with_cascade(api: Api) -> None:
    created = api.load_balancer()
    api.listener(created)
    path = f"/loadbalancers/{created['id']}"

    text = api.refused(400, "DELETE", path, query_string="cascade=no")
    api.delete(path, "cascade=True")

    assert text == f"Validation failure: Cannot delete Load Balancer {created['id']} - it has children"
    assert api.get(path)["loadbalancer"]["provisioning_status"] == "PENDING_DELETE"


def test_project_is_named_in_the_body_or_by_the_caller(api: Api) -> None:
    by_caller = api.load_balancer()
    by_body = api.load_balancer(project_id="dyeing")
    by_both = api.load_balancer(project_id="dyeing", tenant_id="spinning")

    assert [each["project_id"] for each in (by_caller, by_body, by_both)] == [PROJECT, "dyeing", "spinning"]


def test_load_balancer_needs_a_project(api: Api) -> None:
    api.headers = {}

    text = api.refused(400, "POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}})

    assert text.startswith("Validation failure: Missing project ID in request where one is required.")


def test_client_that_can_name_no_project_gets_one(api: Api) -> None:
    """`openstack --os-auth-type none` sends a token that nobody checks, and no project."""
    api.headers = {"X-Auth-Token": "notused"}

    assert api.load_balancer()["project_id"] == "default"


def test_load_balancer_needs_a_place_for_its_vip(api: Api) -> None:
    text = api.refused(400, "POST", "/loadbalancers", {"loadbalancer": {"vip_address": "127.20.0.9"}})

    assert text == "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."


def test_unknown_subnet_is_refused(api: Api) -> None:
    nowhere = str(uuid4())

    text = api.refused(400, "POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": nowhere}})

    assert text == f"Subnet {nowhere} not found."


def test_address_that_was_asked_for_has_one_owner(api: Api) -> None:
    api.load_balancer(vip_address="127.20.0.9")

    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "vip_address": "127.20.0.9"}}
    text = api.refused(409, "POST", "/loadbalancers", body)

    assert text.startswith("The VIP IP address is already in use: ")
    assert len(api.get("/loadbalancers")["loadbalancers"]) == 1


def test_addresses_that_nobody_asked_for_differ(api: Api) -> None:
    created = [api.load_balancer() for _ in range(5)]

    assert len({each["vip_address"] for each in created}) == 5


@pytest.mark.parametrize(("provider", "shown"), [(None, "amphora"), ("amphora", "amphora"), ("octavia", "octavia")])
def test_provider_is_shown_as_it_was_named(api: Api, provider: str | None, shown: str) -> None:
    assert api.load_balancer(provider=provider)["provider"] == shown


@pytest.mark.parametrize(
    ("attribute", "value", "text"),
    [
        ("provider", "ovn", "Provider 'ovn' is not enabled."),
        ("flavor_id", None, "Validation failure: Invalid flavor_id."),
        ("availability_zone", None, "Validation failure: Invalid availability zone."),
        ("id", "00000000-0000-4000-8000-0000000000aa", "Unknown attribute for argument load_balancer.loadbalancer: id"),
        ("vip_vnic_type", "direct", "Unknown attribute for argument load_balancer.loadbalancer: vip_vnic_type"),
    ],
)
def test_attribute_that_cannot_be_is_refused(api: Api, attribute: str, value: object, text: str) -> None:
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), attribute: value}}

    assert api.refused(400, "POST", "/loadbalancers", body) == text


def test_tag_given_twice_is_a_conflict(api: Api) -> None:
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "tags": ["a", "a"]}}

    assert api.refused(409, "POST", "/loadbalancers", body) == "Already an entity with that specified id."


def test_attribute_fixed_at_creation_is_unknown_to_a_change(api: Api) -> None:
    created = api.load_balancer()
    path = f"/loadbalancers/{created['id']}"

    text = api.refused(400, "PUT", path, {"loadbalancer": {"vip_address": "127.20.0.7", "provider": "amphora"}})

    assert text == "Unknown attributes for argument load_balancer.loadbalancer: vip_address, provider"


def test_status_tree_shows_everything_below_a_load_balancer(api: Api) -> None:
    created = api.load_balancer(name="web")
    pool = api.pool_of(created, name="weavers")
    listener = api.listener(created, name="front", default_pool_id=pool["id"])
    member = api.member(pool, name="loom")
    monitor = api.health_monitor(pool, name="check")
    api.pool_of(created, name="unused")

    tree = api.get(f"/loadbalancers/{created['id']}/status")

    assert tree == api.get(f"/loadbalancers/{created['id']}/statuses")
    shown = tree["statuses"]["loadbalancer"]
    pending = {"operating_status": "OFFLINE", "provisioning_status": "PENDING_CREATE"}
    assert {**shown, "listeners": []} == {"id": created["id"], "name": "web", "listeners": [], **pending}
    assert shown["listeners"] == [
        {
            **{"id": listener["id"], "name": "front", **pending},
            "pools": [
                {
                    **{"id": pool["id"], "name": "weavers", **pending},
                    "health_monitor": {"id": monitor["id"], "name": "check", "type": "HTTP", **pending},
                    "members": [
                        {
                            **{"id": member["id"], "name": "loom", "address": "127.0.0.10", "protocol_port": 8080},
                            **{**pending, "operating_status": "NO_MONITOR"},  # its monitor came later
                        }
                    ],
                }
            ],
        }
    ]


def test_statistics_are_zero_until_something_was_measured(api: Api) -> None:
    created = api.load_balancer()

    stats = api.get(f"/loadbalancers/{created['id']}/stats")["stats"]

    names = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
    assert stats == dict.fromkeys(names, 0)


def test_statistics_of_a_load_balancer_are_the_sum_of_its_listeners(api: Api) -> None:
    created = api.load_balancer()
    listener = api.listener(created)
    amphora = api.store.load_balancer(UUID(created["id"])).amphora_ids[0]
    with api.pool.connection() as connection:
        connection.execute("UPDATE amphorae SET stage = 'in service' WHERE id = %s", (amphora,))
        for listener_id, amphora_id in ((listener["id"], amphora), (listener["id"], uuid4()), (uuid4(), amphora)):
            connection.execute(
                "INSERT INTO statistics (listener_id, amphora_id, load_balancer_id, bytes_in, active_connections)"
                " VALUES (%s, %s, %s, 100, 3)",
                (listener_id, amphora_id, created["id"]),
            )

    of_load_balancer = api.get(f"/loadbalancers/{created['id']}/stats")["stats"]
    of_listener = api.get(f"/listeners/{listener['id']}/stats")["stats"]

    assert (of_load_balancer["bytes_in"], of_load_balancer["active_connections"]) == (300, 6)
    assert (of_listener["bytes_in"], of_listener["active_connections"]) == (200, 3)
