"""The networks of the profiles that need no cloud."""

import json
from ipaddress import ip_address, ip_network
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from commands.ports import VipRequest
from domain.errors import Invalid
from infra.local_network import MEMBER_SUBNET, VIP_NETWORK_ID, VIP_SUBNET, LocalNetwork
from infra.noop_network import DEFAULT_ADDRESS, NoopNetwork

UNKNOWN = UUID(int=7)


@pytest.fixture
def network() -> LocalNetwork:
    """One that is never asked for what the database knows."""
    return LocalNetwork(ConnectionPool(open=False))


def a_request(**said: object) -> VipRequest:
    known = {"load_balancer_id": uuid4(), "project_id": "demo"} | (said or {"subnet_id": VIP_SUBNET.id})
    return VipRequest(**known)  # type: ignore[arg-type]


def test_the_same_attempt_gives_the_same_vip(network: LocalNetwork) -> None:
    request = a_request()

    vip = network.resolve(request, 0)

    assert vip == network.resolve(request, 0)
    assert vip.is_exclusive
    assert ip_address(vip.address) in ip_network(VIP_SUBNET.cidr)


def test_another_attempt_gives_another_address_at_the_same_port(network: LocalNetwork) -> None:
    request = a_request()

    first, second = network.resolve(request, 0), network.resolve(request, 1)

    assert first.address != second.address
    assert first.port_id == second.port_id


def test_addresses_of_many_load_balancers_hardly_ever_meet(network: LocalNetwork) -> None:
    addresses = {
        network.resolve(a_request(load_balancer_id=UUID(int=n), subnet_id=VIP_SUBNET.id), 0).address
        for n in range(1_000)
    }

    assert len(addresses) > 980


def test_a_network_alone_is_enough(network: LocalNetwork) -> None:
    assert network.resolve(a_request(network_id=VIP_NETWORK_ID), 0).subnet_id == VIP_SUBNET.id


def test_a_given_address_is_taken_as_it_is(network: LocalNetwork) -> None:
    request = a_request(subnet_id=VIP_SUBNET.id, address="127.20.3.4")

    assert [network.resolve(request, attempt).address for attempt in range(2)] == ["127.20.3.4"] * 2


@pytest.mark.parametrize("address", ["127.21.0.1", "10.0.0.1", "::1", "127.20.0.0", "127.20.255.255", "nonsense"])
def test_an_address_outside_the_subnet_is_refused(network: LocalNetwork, address: str) -> None:
    with pytest.raises(
        Invalid, match=r"^Validation failure: Supplied network does not contain a subnet for VIP address"
    ):
        network.resolve(a_request(subnet_id=VIP_SUBNET.id, address=address), 0)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"port_id": UNKNOWN, "network_id": VIP_NETWORK_ID}, f"Port {UNKNOWN} not found."),
        ({"network_id": UNKNOWN}, f"Network {UNKNOWN} not found."),
        ({"subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
        ({"subnet_id": MEMBER_SUBNET.id, "network_id": VIP_NETWORK_ID}, f"Subnet {MEMBER_SUBNET.id} not found."),
        (
            {"subnet_id": MEMBER_SUBNET.id},
            "Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment.",
        ),
    ],
)
def test_what_is_not_there_is_named_in_the_contracts_words(
    network: LocalNetwork, said: dict[str, UUID], words: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        network.resolve(a_request(**said), 0)

    assert str(refusal.value) == words


def test_a_subnet_is_found_by_its_id(network: LocalNetwork) -> None:
    assert network.find_subnet(MEMBER_SUBNET.id) == MEMBER_SUBNET
    assert network.find_subnet(UNKNOWN) is None


def test_networks_and_subnets_name_each_other(network: LocalNetwork) -> None:
    subnets = {subnet["id"]: subnet for subnet in network.subnets()}

    for shown in network.networks():
        (subnet_id,) = shown["subnets"]  # type: ignore[misc]
        assert subnets[subnet_id]["network_id"] == shown["id"]
    assert {subnet["name"] for subnet in subnets.values()} == {"vip-subnet", "member-subnet"}
    assert json.dumps([network.networks(), network.subnets(), network.qos_policies()])


@pytest.mark.postgres
def test_the_ports_are_those_of_the_load_balancers(database: str) -> None:
    load_balancer_id = uuid4()
    with ConnectionPool(database, min_size=1, max_size=1) as pool:
        network = LocalNetwork(pool)
        vip = network.resolve(a_request(load_balancer_id=load_balancer_id, subnet_id=VIP_SUBNET.id), 0)
        document = {
            "vip_address": vip.address,
            "vip_port_id": str(vip.port_id),
            "vip_subnet_id": str(vip.subnet_id),
            "vip_network_id": str(vip.network_id),
        }
        with psycopg.connect(database) as connection:
            connection.execute(
                "INSERT INTO load_balancers (id, project_id, document, created, own, created_by) "
                "VALUES (%s, 'demo', %s, 1, 1, %s)",
                (load_balancer_id, json.dumps(document), uuid4()),
            )

        (port,) = network.ports()

    assert port["id"] == str(vip.port_id)
    assert port["project_id"] == "demo"
    assert port["fixed_ips"] == [{"subnet_id": str(VIP_SUBNET.id), "ip_address": vip.address}]


def test_the_noop_network_accepts_every_id() -> None:
    network = NoopNetwork()

    first = network.resolve(a_request(subnet_id=UNKNOWN), 0)
    second = network.resolve(a_request(subnet_id=uuid4(), address="203.0.113.9"), 0)
    third = network.resolve(a_request(port_id=UNKNOWN), 0)

    assert (first.address, first.subnet_id) == (DEFAULT_ADDRESS, UNKNOWN)
    assert second.address == "203.0.113.9"
    assert third.port_id == UNKNOWN
    assert first.network_id == second.network_id == third.network_id
    assert not first.is_exclusive


def test_the_noop_network_finds_every_subnet_on_one_network() -> None:
    found = [NoopNetwork().find_subnet(id) for id in (UNKNOWN, uuid4())]

    assert len({subnet.network_id for subnet in found if subnet}) == 1
