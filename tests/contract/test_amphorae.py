"""Amphorae as the contract words them: an inventory for operators, with statuses that say what may be asked."""

from typing import Any

import pytest

from tests.contract.conftest import IMMUTABLE, PROJECT, ContractApi
from tests.system.api import until

pytestmark = pytest.mark.postgres

AMPHORAE = "/v2/octavia/amphorae"
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
DENIED = (403, "Policy does not allow this request to be performed.")
NOT_FOUND = (404, f"Amphora {UNKNOWN} not found.")

Said = dict[str, Any]


def amphorae_of(api: ContractApi, load_balancer: Said) -> list[Said]:
    found: list[Said] = api("GET", f"{AMPHORAE}?loadbalancer_id={load_balancer['id']}").object
    return found


def a_served(api: ContractApi) -> tuple[Said, Said]:
    """A load balancer, and the amphora that carries it."""
    load_balancer = api.load_balancer(provider="amphora")
    (amphora,) = amphorae_of(api, load_balancer)
    return load_balancer, amphora


def told(api: ContractApi, **said: object) -> str:
    """The id of an amphora that is nowhere but in the answers."""
    id: str = api("POST", "/__control__/amphorae", {"op": "create", "amphora": said}).json["id"]
    return id


# Showing


def test_amphora_is_shown(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)

    assert api("GET", f"{AMPHORAE}/{amphora['id']}").json == {"amphora": amphora}
    assert amphora["loadbalancer_id"] == load_balancer["id"]
    assert (amphora["status"], amphora["role"], amphora["cert_busy"]) == ("ALLOCATED", "STANDALONE", False)
    assert (amphora["ha_ip"], amphora["ha_port_id"]) == (load_balancer["vip_address"], load_balancer["vip_port_id"])


def test_list_can_be_filtered(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)
    api.load_balancer(provider="amphora", project_id="weavers")

    for said in (f"project_id={PROJECT}", f"load_balancer_id={load_balancer['id']}", f"id={amphora['id']}&tags=blue"):
        assert api("GET", f"{AMPHORAE}?{said}").object == [amphora]
    assert len(api("GET", f"{AMPHORAE}?status=ALLOCATED&cert_busy=false").object) == 2
    assert api("GET", f"{AMPHORAE}?name=loom").fault == (400, "One or more arguments are either duplicate or invalid")
    first = api("GET", f"{AMPHORAE}?limit=1&fields=id").json
    assert first["amphorae"] == [{"id": amphora["id"]}]
    assert first["amphorae_links"][0]["rel"] == "next"


def test_deleted_amphorae_are_hidden(api: ContractApi) -> None:
    id = told(api, status="DELETED")

    assert api("GET", AMPHORAE).object == []
    assert api("GET", f"{AMPHORAE}/{id}").fault == (404, f"Amphora {id} not found.")


def test_statistics_come_by_listener(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)
    listener = api.listener(load_balancer)
    path = f"{AMPHORAE}/{amphora['id']}/stats"
    counted = {"bytes_in": 1, "bytes_out": 2, "active_connections": 3, "total_connections": 4, "request_errors": 5}

    before = api("GET", path)
    api.control("stats", {"listeners": [{"id": listener["id"], "amphora_id": amphora["id"], **counted}]})

    ids = {"id": amphora["id"], "listener_id": listener["id"], "loadbalancer_id": load_balancer["id"]}
    assert before.fault == (404, f"Amphora stats for {amphora['id']} not found.")
    assert api("GET", path).json == {"amphora_stats": [{**counted, **ids}]}
    assert api("GET", f"{path}?fields=id").fault == (400, 'Unknown argument: "fields"')


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", ""), ("PUT", f"/{UNKNOWN}"), ("GET", f"/{UNKNOWN}/config"), ("GET", f"/{UNKNOWN}/failover")],
)
def test_method_that_there_is_not(api: ContractApi, method: str, path: str) -> None:
    assert api(method, f"{AMPHORAE}{path}", {}).routing_fault == (405, "")


@pytest.mark.parametrize(
    "path", ["/v2/amphorae", "/v2/lbaas/amphorae", "/v2.0/lbaas/amphorae", "/v2/octavia/loadbalancers"]
)
def test_amphorae_and_nothing_else_are_below_octavia(api: ContractApi, path: str) -> None:
    assert api("GET", path).routing_fault[0] == 404
    assert api("GET", "/v2.0/octavia/amphorae/").status == 200


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", "/config"), ("PUT", "/failover"), ("DELETE", "")])
def test_unknown_amphora_is_not_found(api: ContractApi, method: str, path: str) -> None:
    assert api(method, f"{AMPHORAE}/{UNKNOWN}{path}").fault == NOT_FOUND


# What may be asked


def test_agent_is_sent_its_settings(api: ContractApi) -> None:
    _, amphora = a_served(api)

    answer = api("PUT", f"{AMPHORAE}/{amphora['id']}/config")

    assert (answer.status, answer.text) == (202, "")


def test_failover_replaces_an_amphora_and_its_load_balancer_is_pending(api: ContractApi) -> None:
    load_balancer, lost = a_served(api)
    api.hold()

    answer = api("PUT", f"{AMPHORAE}/{lost['id']}/failover")
    statuses = {each["id"]: each["status"] for each in amphorae_of(api, load_balancer)}
    pending = api.show(f"/loadbalancers/{load_balancer['id']}")["provisioning_status"]
    api.control("hold", {"hold": False})
    api.settled(load_balancer["id"])

    assert (answer.status, answer.text, pending) == (202, "", "PENDING_UPDATE")
    assert statuses.pop(lost["id"]) == "PENDING_DELETE"
    assert list(statuses.values()) == ["BOOTING"]
    until(lambda: [each["id"] for each in amphorae_of(api, load_balancer)] == list(statuses), 10, "the lost one to go")


def test_failover_needs_a_load_balancer_that_is_not_being_deleted(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)
    api.hold()
    api("DELETE", f"/loadbalancers/{load_balancer['id']}")

    path = f"{AMPHORAE}/{amphora['id']}"

    assert api("GET", path).object["status"] == "PENDING_DELETE"
    assert api("PUT", f"{path}/failover").fault == (409, IMMUTABLE.format(load_balancer["id"]))
    assert api("DELETE", path).fault == (409, f"amphora {amphora['id']} is immutable and cannot be updated.")


def test_failover_waits_for_rest_where_locks_are_strict(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)
    api.set(strict_immutability=True)
    api.hold()
    api("PUT", f"/loadbalancers/{load_balancer['id']}", {"loadbalancer": {"name": "x"}})

    fault = api("PUT", f"{AMPHORAE}/{amphora['id']}/failover").fault

    assert fault == (409, IMMUTABLE.format(load_balancer["id"]))


def test_amphora_of_a_load_balancer_that_is_gone_is_gone_with_it(api: ContractApi) -> None:
    load_balancer, amphora = a_served(api)
    api("DELETE", f"/loadbalancers/{load_balancer['id']}")
    api.gone(f"/loadbalancers/{load_balancer['id']}")

    found = [api(method, f"{AMPHORAE}/{amphora['id']}{path}") for method, path in (("GET", ""), ("PUT", "/failover"))]

    assert [answer.fault for answer in found] == [(404, f"Amphora {amphora['id']} not found.")] * 2
    assert api("GET", AMPHORAE).object == []


@pytest.mark.parametrize("load_balancer_id", [None, UNKNOWN], ids=["of none", "of an unknown one"])
def test_amphora_without_a_load_balancer_has_nothing_to_fail_over(
    api: ContractApi, load_balancer_id: str | None
) -> None:
    id = told(api, status="READY", load_balancer_id=load_balancer_id)

    assert api("PUT", f"{AMPHORAE}/{id}/failover").fault[0] in (404, 409)
    assert api("GET", f"{AMPHORAE}/{id}").object["status"] == "READY"


def test_failover_of_an_amphora_that_was_told_of_leaves_its_load_balancer_pending(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    id = told(api, status="ALLOCATED", load_balancer_id=load_balancer["id"])
    api.hold()

    answer = api("PUT", f"{AMPHORAE}/{id}/failover")

    assert (answer.status, answer.text) == (202, "")
    assert api.show(f"/loadbalancers/{load_balancer['id']}")["provisioning_status"] == "PENDING_UPDATE"


STATUSES = ("BOOTING", "READY", "ALLOCATED", "PENDING_CREATE", "PENDING_DELETE", "FAILOVER_STOPPED")


@pytest.mark.parametrize("status", STATUSES)
def test_only_failed_amphorae_are_deleted(api: ContractApi, status: str) -> None:
    load_balancer = api.load_balancer()
    id = told(api, status=status, load_balancer_id=load_balancer["id"])
    fault = (409, f"amphora {id} is immutable and cannot be updated.")

    assert api("DELETE", f"{AMPHORAE}/{id}").fault == fault
    assert api("GET", f"{AMPHORAE}/{id}").object["status"] == status


def test_failed_amphora_is_deleted(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    id = told(api, status="ERROR", load_balancer_id=load_balancer["id"])

    deleted = api("DELETE", f"{AMPHORAE}/{id}")

    assert (deleted.status, deleted.text) == (204, "")
    assert api("GET", f"{AMPHORAE}/{id}").status == 404


# Who may


@pytest.mark.parametrize("roles", ["", "reader", "member", "service"])
def test_amphorae_are_for_operators(api: ContractApi, roles: str) -> None:
    _, amphora = a_served(api)
    path = f"{AMPHORAE}/{amphora['id']}"

    for method, asked in (
        *(("GET", AMPHORAE), ("GET", path), ("GET", f"{path}/stats"), ("DELETE", path)),
        *(("PUT", f"{path}/config"), ("PUT", f"{path}/failover")),
    ):
        assert api(method, asked, project=PROJECT, roles=roles).fault == DENIED


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("PUT", "/config"), ("PUT", "/failover")])
def test_some_are_looked_up_before_policy_is_asked(api: ContractApi, method: str, path: str) -> None:
    looked_up = api(method, f"{AMPHORAE}/{UNKNOWN}{path}", project=PROJECT, roles="member")
    denied = api("DELETE", f"{AMPHORAE}/{UNKNOWN}", project=PROJECT, roles="member")

    assert (looked_up.fault, denied.fault) == (NOT_FOUND, DENIED)
