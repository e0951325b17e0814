"""Members over HTTP, one by one and all at once."""

from typing import Any
from uuid import uuid4

import pytest

from infra.local_network import MEMBER_SUBNET
from tests.api.conftest import PROJECT, Api

pytestmark = pytest.mark.postgres

FRESH = {
    **{"name": "", "admin_state_up": True, "address": "127.0.0.10", "protocol_port": 8080, "weight": 1},
    **{"backup": False, "subnet_id": None, "monitor_address": None, "monitor_port": None, "tags": []},
    **{"vnic_type": "normal", "project_id": PROJECT, "tenant_id": PROJECT, "updated_at": None},
    **{"provisioning_status": "PENDING_CREATE", "operating_status": "NO_MONITOR"},
}


@pytest.fixture
def pool(api: Api) -> dict[str, Any]:
    return api.pool_of(api.load_balancer())


def test_member_is_created_shown_and_listed(api: Api, pool: dict[str, Any]) -> None:
    created = api.member(pool)

    path = f"/pools/{pool['id']}/members"
    shown = api.get(f"{path}/{created['id']}")["member"]
    assert created == {**FRESH, "id": created["id"], "created_at": created["created_at"]}
    assert shown == created
    assert api.get(path) == {"members": [shown], "members_links": []}


def test_member_of_a_monitored_pool_is_offline_until_it_was_checked(api: Api, pool: dict[str, Any]) -> None:
    api.health_monitor(pool)

    member = api.member(pool)

    assert member["operating_status"] == "OFFLINE"
    assert api.get(f"/pools/{pool['id']}/members")["members"][0]["operating_status"] == "OFFLINE"


def test_new_member_makes_all_that_uses_it_pending(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    listener = api.listener(load_balancer, default_pool_id=pool["id"])
    bystander = api.listener(load_balancer, protocol_port=81)
    api.confirm(load_balancer)

    api.member(pool)

    def status(path: str, root: str) -> str:
        shown: str = api.get(path)[root]["provisioning_status"]
        return shown

    assert status(f"/pools/{pool['id']}", "pool") == "PENDING_UPDATE"
    assert status(f"/listeners/{listener['id']}", "listener") == "PENDING_UPDATE"
    assert status(f"/listeners/{bystander['id']}", "listener") == "ACTIVE"
    assert status(f"/loadbalancers/{load_balancer['id']}", "loadbalancer") == "PENDING_UPDATE"


def test_null_resets_the_settings_of_a_member(api: Api, pool: dict[str, Any]) -> None:
    settings = {
        **{"name": "loom", "weight": 9, "backup": True, "monitor_port": 81},
        **{"monitor_address": "127.0.0.11", "tags": ["kept"]},
    }
    member = api.member(pool, **settings)

    changed = api.change(
        f"/pools/{pool['id']}/members/{member['id']}", "member", **dict.fromkeys([*settings, "admin_state_up"])
    )

    assert {name: changed[name] for name in settings} == {
        **{name: FRESH[name] for name in settings},
        "tags": ["kept"],
    }
    assert changed["admin_state_up"] is False
    assert changed["provisioning_status"] == "PENDING_CREATE"


def test_weight_that_was_given_as_null_stays_null(api: Api, pool: dict[str, Any]) -> None:
    assert api.member(pool, weight=None)["weight"] is None


def test_address_and_port_have_one_member_in_a_pool(api: Api, pool: dict[str, Any]) -> None:
    api.member(pool, address="127.0.0.10", protocol_port=8080)
    path = f"/pools/{pool['id']}/members"

    text = api.refused(409, "POST", path, {"member": {"address": "127.0.0.10", "protocol_port": 8080}})

    assert text == "Another member on this pool is already using ip 127.0.0.10 on protocol_port 8080"


@pytest.mark.parametrize("address", ["169.254.169.254"])
def test_reserved_address_is_refused(api: Api, pool: dict[str, Any], address: str) -> None:
    path = f"/pools/{pool['id']}/members"

    text = api.refused(400, "POST", path, {"member": {"address": address, "protocol_port": 80}})
    in_a_batch = api.refused(400, "PUT", path, {"members": [{"address": address, "protocol_port": 80}]})

    assert text == in_a_batch == f"{address} is not a valid option for member address"


def test_subnet_of_a_member_has_to_be_there(api: Api, pool: dict[str, Any]) -> None:
    path = f"/pools/{pool['id']}/members"
    nowhere = str(uuid4())

    body = {"member": {"address": "127.0.0.1", "protocol_port": 80, "subnet_id": nowhere}}

    assert api.refused(400, "POST", path, body) == f"Subnet {nowhere} not found."
    assert api.member(pool, subnet_id=str(MEMBER_SUBNET.id))["subnet_id"] == str(MEMBER_SUBNET.id)


def test_unknown_pool_is_told_before_the_body_is_read(api: Api) -> None:
    nowhere = str(uuid4())

    for pool_id in (nowhere, "looms"):
        for method, path in (("POST", ""), ("PUT", ""), ("GET", ""), ("PUT", "/x"), ("DELETE", "/x"), ("GET", "/x")):
            result = api.call(method, f"/pools/{pool_id}/members{path}", body=None)

            assert (result.status_code, result.json) == (
                404,
                {"code": 404, "title": "Not Found", "description": f"Pool {pool_id} not found."},
            )


def test_member_is_found_below_its_own_pool_only(api: Api) -> None:
    load_balancer = api.load_balancer()
    member = api.member(api.pool_of(load_balancer))
    other = api.pool_of(load_balancer)
    path = f"/pools/{other['id']}/members/{member['id']}"

    for method, body in (("GET", None), ("PUT", {"member": {}}), ("DELETE", None)):
        assert api.refused(404, method, path, body) == f"Member {member['id']} not found."
    assert api.refused(404, "GET", f"/pools/{other['id']}/members/loom") == "Member loom not found."


def test_member_is_removed(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    member = api.member(pool)
    path = f"/pools/{pool['id']}/members/{member['id']}"

    api.delete(path)
    while_pending = api.get(path)["member"]["provisioning_status"]
    api.confirm(load_balancer)

    assert while_pending == "PENDING_DELETE"
    assert api.refused(404, "GET", path) == f"Member {member['id']} not found."
    assert api.get(f"/pools/{pool['id']}")["pool"]["members"] == []


def entry(last: int, **attributes: object) -> dict[str, object]:
    return {"address": f"127.0.0.{last}", "protocol_port": 80, **attributes}


def replace_members(api: Api, pool: dict[str, Any], *entries: dict[str, object], query: str = "") -> None:
    result = api.call("PUT", f"/pools/{pool['id']}/members", {"members": entries}, query_string=query)
    assert (result.status_code, result.text) == (202, "")
    assert "content-type" not in result.headers


def members_of(api: Api, pool: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The members of a pool by the last number of their address."""
    listed = api.get(f"/pools/{pool['id']}/members")["members"]
    return {member["address"].rpartition(".")[2]: member for member in listed}


def test_batch_adds_changes_and_removes_members(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    for last in (1, 2):
        api.member(pool, **entry(last, name=f"loom {last}", weight=5))
    api.confirm(load_balancer)

    replace_members(api, pool, entry(1, weight=7), entry(3))

    members = members_of(api, pool)
    assert {last: member["provisioning_status"] for last, member in members.items()} == {
        "1": "PENDING_UPDATE",
        "2": "PENDING_DELETE",
        "3": "PENDING_CREATE",
    }
    assert members["1"]["weight"] == 7


def test_batch_resets_what_it_does_not_name_except_for_name_tags_and_subnet(api: Api, pool: dict[str, Any]) -> None:
    kept = {"name": "loom", "tags": ["a"], "subnet_id": str(MEMBER_SUBNET.id)}
    reset = {"weight": 5, "backup": True, "admin_state_up": False, "monitor_port": 8, "monitor_address": "127.0.0.9"}
    api.member(pool, **entry(1, **kept, **reset))

    replace_members(api, pool, entry(1))

    member = members_of(api, pool)["1"]
    assert {name: member[name] for name in kept} == kept
    assert {name: member[name] for name in reset} == {name: FRESH[name] for name in reset}


def test_additive_batch_leaves_other_members_alone(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    api.member(pool, **entry(1))
    api.confirm(load_balancer)

    replace_members(api, pool, entry(2), query="additive_only=True")

    assert members_of(api, pool)["1"]["provisioning_status"] == "ACTIVE"


def test_empty_batch_removes_all_members(api: Api, pool: dict[str, Any]) -> None:
    api.member(pool, **entry(1))

    replace_members(api, pool)

    assert members_of(api, pool)["1"]["provisioning_status"] == "PENDING_DELETE"


def test_empty_batch_for_an_empty_pool_changes_nothing(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    api.confirm(load_balancer)

    replace_members(api, pool)

    assert api.get(f"/pools/{pool['id']}")["pool"]["provisioning_status"] == "ACTIVE"


def test_batch_that_names_a_member_twice_is_refused(api: Api, pool: dict[str, Any]) -> None:
    path = f"/pools/{pool['id']}/members"

    new_twice = api.refused(409, "PUT", path, {"members": [entry(1), entry(1)]})
    api.member(pool, **entry(1))
    old_twice = api.refused(400, "PUT", path, {"members": [entry(1), entry(1)]})

    assert new_twice == "Another member on this pool is already using ip 127.0.0.1 on protocol_port 80"
    assert old_twice == "Validation failure: Member must be updated only once in the same request."


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "Invalid input for field/attribute members. Value: 'None'. Mandatory field missing."),
        ({"members": None}, "Invalid input for field/attribute members. Value: 'None'. Mandatory field missing."),
        (
            {"members": {}},
            "Invalid input for field/attribute members_. Value: '{'members': {}}'. Value not a valid list: {}",
        ),
        ({"members": [3]}, "Invalid input for field/attribute members. Value: '3'. Value should be an object"),
        (
            {"members": [entry(1, id="x")]},
            "Unknown attribute for argument members_.members: id",
        ),
        (
            {"members": [{"address": "127.0.0.1"}]},
            "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
        ),
    ],
)
def test_batch_that_cannot_be_read_is_refused(api: Api, pool: dict[str, Any], body: object, text: str) -> None:
    assert api.refused(400, "PUT", f"/pools/{pool['id']}/members", body) == text
