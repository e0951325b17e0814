"""Members as the contract words them, one by one and all of a pool at once."""

import json
from typing import Any

import pytest

from tests.contract.conftest import PROJECT, ContractApi

pytestmark = pytest.mark.postgres

VF = "Validation failure: "
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
SRIOV = "The load balancer flavor does not allow SR-IOV member ports."

Said = dict[str, Any]


def asked(**said: object) -> Said:
    """The body of a creation."""
    return {"member": {"address": "10.0.0.7", "protocol_port": 80, **said}}


def sockets(members: list[Said]) -> set[tuple[str, int]]:
    return {(member["address"], member["protocol_port"]) for member in members}


def with_sriov(api: ContractApi) -> Said:
    """A load balancer whose members may ask for SR-IOV."""
    data = json.dumps({"allow_member_sriov": True})
    profile = api.create("/flavorprofiles", "flavorprofile", name="p", provider_name="noop_driver", flavor_data=data)
    flavor = api.create("/flavors", "flavor", name="sriov", flavor_profile_id=profile["id"])
    return api.load_balancer(flavor_id=flavor["id"])


# The pool in the URL


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("PUT", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x")]
)
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_pool_is_told_before_anything_is_read(api: ContractApi, method: str, path: str, id: str) -> None:
    answer = api(method, f"/pools/{id}/members{path}", body=b"no json", roles="")

    assert answer.routing_fault == (404, f"Pool {id} not found.")


def test_member_of_another_pool_is_not_found(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool, other = api.pool(load_balancer), api.pool(load_balancer)
    member = api.member(load_balancer, pool)

    for id in (member["id"], UNKNOWN, "loom"):
        for method in ("GET", "PUT", "DELETE"):
            answer = api(method, f"/pools/{other['id']}/members/{id}", {"member": {}} if method == "PUT" else None)
            assert answer.fault == (404, f"Member {id} not found.")


# One by one


def test_checks_of_a_new_member_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    api.member(load_balancer, pool)
    said: Said = {"address": "169.254.169.254", "subnet_id": UNKNOWN, "request_sriov": True}
    api.control("network", {"not_found": ["subnet"]})
    told = []

    for mended in ({}, {"address": "10.0.0.7"}, {"subnet_id": None}, {"request_sriov": False}):
        said.update(mended)
        told.append(api("POST", f"/pools/{pool['id']}/members", asked(**said)).fault)

    assert told == [
        (400, "169.254.169.254 is not a valid option for member address"),
        (400, f"Subnet {UNKNOWN} not found."),
        (400, SRIOV),
        (409, "Another member on this pool is already using ip 10.0.0.7 on protocol_port 80"),
    ]


def test_reserved_addresses_are_the_operators(api: ContractApi) -> None:
    pool = api.pool(api.load_balancer())
    api.set(reserved_ips=["2001:0DB8:0000:0000:0000:0000:0000:0001"])

    reserved = api("POST", f"/pools/{pool['id']}/members", asked(address="2001:db8::1"))

    assert reserved.fault == (400, "2001:db8::1 is not a valid option for member address")
    assert api("POST", f"/pools/{pool['id']}/members", asked(address="2001:db8::2")).status == 201


def test_addresses_are_told_apart_by_their_text(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    texts = ["2001:db8::1", "2001:DB8::1"]

    members = [api.member(load_balancer, pool, address=text) for text in texts]

    assert [member["address"] for member in members] == texts


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("address", "10.0.0", "Value should be IPv4 or IPv6 format"),
        ("protocol_port", 0, "Value should be greater or equal to 1"),
        ("weight", 257, "Value should be lower or equal to 256"),
        ("weight", -1, "Value should be greater or equal to 0"),
        ("monitor_port", 65536, "Value should be lower or equal to 65535"),
        ("monitor_address", "loom", "Value should be IPv4 or IPv6 format"),
        ("subnet_id", "", "Value should be UUID format"),
        ("name", "x" * 256, "Value should have a maximum character requirement of 255"),
    ],
    ids=str,
)
def test_value_is_refused(api: ContractApi, name: str, value: object, reason: str) -> None:
    pool = api.pool(api.load_balancer())

    fault = api("POST", f"/pools/{pool['id']}/members", asked(**{name: value})).fault

    assert fault == (400, f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}")


@pytest.mark.parametrize("name", ["description", "pool_id", "vnic_type", "id", "operating_status"])
def test_what_no_member_has_is_unknown(api: ContractApi, name: str) -> None:
    pool = api.pool(api.load_balancer())

    fault = api("POST", f"/pools/{pool['id']}/members", asked(**{name: "x"})).fault

    assert fault == (400, f"Unknown attribute for argument member_.member: {name}")


@pytest.mark.parametrize("name", ["address", "protocol_port", "subnet_id", "request_sriov", "project_id"])
def test_what_is_fixed_is_unknown_to_a_change(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    member = api.member(load_balancer, pool)

    fault = api("PUT", f"/pools/{pool['id']}/members/{member['id']}", {"member": {name: None}}).fault

    assert fault == (400, f"Unknown attribute for argument member_.member: {name}")


def test_null_of_a_new_member(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    nulls = dict.fromkeys(
        ("name", "weight", "backup", "subnet_id", "monitor_port", "monitor_address", "tags", "admin_state_up")
    )

    member = api.member(load_balancer, api.pool(load_balancer), **nulls, project_id="nobody's", tenant_id="x")

    assert {name: member[name] for name in nulls} == {
        **nulls,
        "name": "",
        "backup": False,
        "tags": [],
        "admin_state_up": False,
    }
    assert member["project_id"] == member["tenant_id"] == PROJECT


def test_null_on_a_change(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    given = {
        **{"name": "n", "weight": 7, "backup": True, "monitor_port": 8, "monitor_address": "10.0.0.9"},
        **{"admin_state_up": True, "tags": ["blue"]},
    }
    member = api.member(load_balancer, pool, **given)

    changed = api("PUT", f"/pools/{pool['id']}/members/{member['id']}", {"member": dict.fromkeys(given)})

    assert changed.status == 200
    assert {name: changed.object[name] for name in given} == {
        **{"name": "", "weight": 1, "backup": False, "monitor_port": None, "monitor_address": None},
        **{"admin_state_up": False, "tags": ["blue"]},
    }


def test_sriov_is_asked_for_by_one_name_and_shown_by_another(api: ContractApi) -> None:
    load_balancer = with_sriov(api)
    pool = api.pool(load_balancer)

    members = [
        api.member(load_balancer, pool, address=f"10.0.0.{n}", request_sriov=asked)
        for n, asked in enumerate((True, False, None), 1)
    ]

    assert [member["vnic_type"] for member in members] == ["direct", "normal", "normal"]
    assert all("request_sriov" not in member for member in members)


def test_new_member_is_offline_where_it_is_checked(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    plain, checked = api.pool(load_balancer), api.pool(load_balancer)
    api.health_monitor(load_balancer, checked)
    api.hold()

    found = [
        api("POST", f"/pools/{pool['id']}/members", asked()).object["operating_status"] for pool in (plain, checked)
    ]

    assert found == ["NO_MONITOR", "OFFLINE"]


def test_what_stands_above_a_member_is_pending_with_it(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    pool = api.pool(load_balancer, listener_id=listener["id"])
    member = api.member(load_balancer, pool)
    api.hold()

    changed = api("PUT", f"/pools/{pool['id']}/members/{member['id']}", {"member": {"weight": 0}})

    above = [f"/loadbalancers/{load_balancer['id']}", f"/listeners/{listener['id']}", f"/pools/{pool['id']}"]
    assert (changed.status, changed.object["weight"]) == (200, 0)
    assert [api.show(path)["provisioning_status"] for path in above] == ["PENDING_UPDATE"] * 3


def test_member_is_deleted(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    path = f"/pools/{pool['id']}/members/{api.member(load_balancer, pool)['id']}"

    deleted = api("DELETE", path)
    api.gone(path)

    assert (deleted.status, deleted.text) == (204, "")
    assert api.show(f"/pools/{pool['id']}")["members"] == []


# All of a pool at once


def batch(api: ContractApi, pool: Said, *entries: Said, query: str = "") -> Any:
    """202 or what was said instead."""
    answer = api("PUT", f"/pools/{pool['id']}/members{query}", {"members": list(entries)})
    return (answer.status, answer.text) if answer.status == 202 else answer.fault


def entry(n: int, **said: object) -> Said:
    return {"address": f"10.0.0.{n}", "protocol_port": 80, **said}


def members_of(api: ContractApi, pool: Said) -> list[Said]:
    found: list[Said] = api.show(f"/pools/{pool['id']}/members")  # type: ignore[assignment]
    return found


def test_batch_makes_changes_and_deletes_at_once(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    kept, gone = (api.member(load_balancer, pool, address=f"10.0.0.{n}") for n in (1, 2))
    api.hold()

    assert batch(api, pool, entry(1), entry(3)) == (202, "")

    shown = {member["address"]: member["provisioning_status"] for member in members_of(api, pool)}
    assert shown == {kept["address"]: "PENDING_UPDATE", gone["address"]: "PENDING_DELETE", "10.0.0.3": "PENDING_CREATE"}
    assert api.show(f"/pools/{pool['id']}")["provisioning_status"] == "PENDING_UPDATE"


def test_batch_takes_what_is_not_said_for_its_default(api: ContractApi) -> None:
    load_balancer = with_sriov(api)
    pool = api.pool(load_balancer)
    kept = {"name": "n", "tags": ["blue"], "subnet_id": UNKNOWN}
    lost = {"weight": 7, "backup": True, "monitor_port": 8, "monitor_address": "10.0.0.9", "admin_state_up": False}
    api.member(load_balancer, pool, address="10.0.0.1", **kept, **lost, request_sriov=True)

    batch(api, pool, entry(1))
    api.settled(load_balancer["id"])

    (member,) = members_of(api, pool)
    defaults = {"weight": 1, "backup": False, "monitor_port": None, "monitor_address": None, "admin_state_up": True}
    assert {name: member[name] for name in kept} == kept
    assert {name: member[name] for name in lost} == defaults
    assert member["vnic_type"] == "direct"


def test_batch_ignores_sriov_for_a_member_that_is_there(api: ContractApi) -> None:
    load_balancer = with_sriov(api)
    pool = api.pool(load_balancer)
    api.member(load_balancer, pool, address="10.0.0.1")

    accepted = batch(api, pool, entry(1, request_sriov=True, subnet_id=UNKNOWN))

    (member,) = members_of(api, pool)
    assert (accepted[0], member["vnic_type"], member["subnet_id"]) == (202, "normal", UNKNOWN)


def test_additive_batch_leaves_the_others_alone(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    untouched = api.member(load_balancer, pool, address="10.0.0.1", weight=7)

    for n, said in enumerate(("true", "True", "1", "yes"), 2):
        assert batch(api, pool, entry(n), query=f"?additive_only={said}")[0] == 202
        api.settled(load_balancer["id"])

    found = members_of(api, pool)
    assert untouched in found
    assert len(found) == 5
    batch(api, pool, entry(9), query="?additive_only=perhaps")
    api.settled(load_balancer["id"])
    assert sockets(members_of(api, pool)) == {("10.0.0.9", 80)}


def test_empty_batch_deletes_all_and_changes_nothing_where_there_is_none(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    empty, pool = api.pool(load_balancer), api.pool(load_balancer)
    api.member(load_balancer, pool)
    api.hold()

    nothing = batch(api, empty)
    status_then = api.show(f"/loadbalancers/{load_balancer['id']}")["provisioning_status"]
    everything = batch(api, pool)

    assert (nothing[0], status_then, everything[0]) == (202, "ACTIVE", 202)
    assert [member["provisioning_status"] for member in members_of(api, pool)] == ["PENDING_DELETE"]


def test_batch_names_nobody_twice(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    api.member(load_balancer, pool, address="10.0.0.1")

    there = batch(api, pool, entry(1), entry(1))
    new = batch(api, pool, entry(2), entry(2))

    assert there == (400, f"{VF}Member must be updated only once in the same request.")
    assert new == (409, "Another member on this pool is already using ip 10.0.0.2 on protocol_port 80")
    assert sockets(members_of(api, pool)) == {("10.0.0.1", 80)}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"members": [{**entry(1), "id": UNKNOWN}]}, "Unknown attribute for argument members_.members: id"),
        (
            {"members": [{"address": "10.0.0.1"}]},
            "Invalid input for field/attribute protocol_port. Value: 'None'. Mandatory field missing.",
        ),
        (
            {"members": [entry(1, address="169.254.169.254")]},
            "169.254.169.254 is not a valid option for member address",
        ),
        ({"members": [entry(1, request_sriov=True)]}, SRIOV),
        ({"members": [], "loom": 1}, "Unknown attribute for argument members_: loom"),
    ],
    ids=["id", "no port", "reserved", "SR-IOV", "unknown"],
)
def test_batch_is_refused(api: ContractApi, body: Said, text: str) -> None:
    pool = api.pool(api.load_balancer())

    assert api("PUT", f"/pools/{pool['id']}/members", body).fault == (400, text)


@pytest.mark.parametrize("body", [{}, {"members": None}, {"members": {}}, {"members": [1]}, []], ids=str)
def test_what_is_no_batch_is_refused(api: ContractApi, body: object) -> None:
    pool = api.pool(api.load_balancer())

    assert api("PUT", f"/pools/{pool['id']}/members", body).fault[0] == 400


def test_batch_knows_one_query_argument(api: ContractApi) -> None:
    pool = api.pool(api.load_balancer())

    assert batch(api, pool, query="?additive=true") == (400, 'Unknown argument: "additive"')


def test_batch_is_counted_by_what_it_adds(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    api.member(load_balancer, pool, address="10.0.0.1")
    api("PUT", f"/quotas/{PROJECT}", {"quota": {"member": 1}})

    def replace(*numbers: int, query: str = "") -> Any:
        body = {"members": [entry(n) for n in numbers]}
        answer = api("PUT", f"/pools/{pool['id']}/members{query}", body, project=PROJECT, roles="member")
        api.settled(load_balancer["id"])
        return answer.status if answer.status == 202 else answer.fault

    met = (403, "Quota has been met for resources: Member")
    assert [replace(2), replace(2, 3), replace(3, query="?additive_only=true"), replace(4)] == [202, met, met, 202]
