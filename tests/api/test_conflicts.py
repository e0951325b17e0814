"""Many changes at the same time, through processes that know nothing of each other: none is lost and none refused."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from falcon.testing import TestClient
from psycopg_pool import ConnectionPool

from infra.api import api_application
from infra.catalogue import PostgresCatalogue
from infra.event_store import EventStore
from infra.local_network import LocalNetwork
from infra.provider_drivers import providers_of
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres


def test_changes_at_the_same_time_are_all_carried_out(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    path = f"/v2/lbaas/pools/{pool['id']}/members"
    stores = [EventStore(api.settings.database_url, connections=4) for _ in range(2)]
    reads = ConnectionPool(api.settings.database_url, min_size=1, max_size=4, kwargs={"autocommit": True})

    def add(port: int) -> int:
        client = clients[port % len(clients)]
        return client.simulate_post(path, json={"member": {"address": "127.0.0.1", "protocol_port": port}}).status_code

    with reads, ThreadPoolExecutor(8) as threads:
        network = LocalNetwork(reads)
        common = {
            "vips": network,
            "network_reads": None,
            "pool": reads,
            "settings": api.settings,
            "providers": providers_of(api.settings.profile),
            "catalogue": PostgresCatalogue(reads),
            "deployment": api.settings.deployment,
        }
        clients = [TestClient(api_application(aggregates=store, places=store, **common)) for store in stores]
        statuses = list(threads.map(add, range(1, 41)))
    for store in stores:
        store.close()

    assert statuses == [201] * 40
    listed = api.get(f"/pools/{pool['id']}/members")["members"]
    assert {member["protocol_port"] for member in listed} == set(range(1, 41))
    events = api.store.load_balancer(UUID(pool["loadbalancers"][0]["id"])).version
    assert events == 2 + 40


def test_one_of_many_gets_the_port_that_all_want(api: Api) -> None:
    load_balancer = api.load_balancer()
    body = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80}}

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: api.call("POST", "/listeners", body).status_code, range(8)))

    assert sorted(statuses) == [201] + [409] * 7


def test_one_of_many_gets_the_address_that_all_want(api: Api) -> None:
    subnet = api.load_balancer()["vip_subnet_id"]
    body = {"loadbalancer": {"vip_subnet_id": subnet, "vip_address": "127.20.1.1"}}

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: api.call("POST", "/loadbalancers", body).status_code, range(8)))

    assert sorted(statuses) == [201] + [409] * 7


def test_listener_takes_the_port_of_one_that_is_being_deleted(api: Api) -> None:
    load_balancer = api.load_balancer()
    old = api.listener(load_balancer, protocol_port=80)
    api.delete(f"/listeners/{old['id']}")

    new = api.listener(load_balancer, protocol_port=80)

    listed = {each["id"]: each["provisioning_status"] for each in api.get("/listeners")["listeners"]}
    assert listed == {old["id"]: "PENDING_DELETE", new["id"]: "PENDING_CREATE"}


def test_member_of_a_pool_that_is_being_deleted_cannot_be_changed(api: Api) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    member = api.member(pool)
    path = f"/pools/{pool['id']}/members"
    api.delete(f"/pools/{pool['id']}")

    for method, below, body in (
        ("PUT", f"/{member['id']}", {"member": {"weight": 2}}),
        ("DELETE", f"/{member['id']}", None),
        ("POST", "", {"member": {"address": "127.0.0.9", "protocol_port": 1}}),
        ("PUT", "", {"members": []}),
    ):
        assert "is immutable and cannot be updated" in api.refused(409, method, f"{path}{below}", body)


def test_change_while_the_load_balancer_is_being_created_is_accepted(api: Api) -> None:
    load_balancer = api.load_balancer()

    listener = api.listener(load_balancer)
    changed = api.change(f"/listeners/{listener['id']}", "listener", name="early")

    assert changed["provisioning_status"] == "PENDING_CREATE"
    assert changed["name"] == "early"
