"""The network of the local profile: loopback addresses, and what the database knows of them."""

import json
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from commands.ports import Resolved, VipRequest
from commands.vip import VipRules
from domain.errors import Invalid
from domain.vip import AdditionalVip, Vip
from infra.local_network import (
    MEMBER_NETWORK_ID,
    MEMBER_SUBNET,
    SECOND_VIP_SUBNET,
    VIP_NETWORK_ID,
    VIP_SUBNET,
    LocalNetwork,
)

UNKNOWN = UUID(int=7)
LOAD_BALANCER = UUID(int=0x11)


@pytest.fixture
def network() -> LocalNetwork:
    """One that is never asked for what the database knows."""
    return LocalNetwork(ConnectionPool(open=False))


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool[Any]]:
    with ConnectionPool(database, min_size=1, max_size=1) as pool:
        yield pool


def a_request(**said: Any) -> VipRequest:
    known = {"load_balancer_id": uuid4(), "project_id": "demo"} | (said or {"subnet_id": VIP_SUBNET.id})
    return VipRequest(**known)


def resolved_by(network: LocalNetwork, request: VipRequest, attempt: int = 0) -> Resolved:
    return network.allocate(request, network.locate(request), attempt)


def vip_of(network: LocalNetwork, attempt: int = 0, **said: Any) -> Vip:
    return resolved_by(network, a_request(**said), attempt).vip


def refusal_of(network: LocalNetwork, **said: Any) -> str:
    with pytest.raises(Invalid) as refusal:
        resolved_by(network, a_request(**said))
    return str(refusal.value)


# VIPs


def test_the_same_attempt_gives_the_same_vip(network: LocalNetwork) -> None:
    request = a_request()

    resolved = resolved_by(network, request)

    assert resolved == resolved_by(network, request)
    assert resolved.vip.is_exclusive
    assert resolved.vip.is_ours
    assert ip_address(resolved.vip.address) in ip_network(VIP_SUBNET.cidr)


def test_another_attempt_gives_other_addresses_at_the_same_port(network: LocalNetwork) -> None:
    request = a_request(subnet_id=VIP_SUBNET.id, additional=(AdditionalVip(subnet_id=SECOND_VIP_SUBNET.id),))

    first, second = resolved_by(network, request).vip, resolved_by(network, request, 1).vip

    assert not set(first.addresses) & set(second.addresses)
    assert first.port_id == second.port_id


def test_addresses_of_many_load_balancers_hardly_ever_meet(network: LocalNetwork) -> None:
    addresses = {vip_of(network, load_balancer_id=UUID(int=n), subnet_id=VIP_SUBNET.id).address for n in range(1_000)}

    assert len(addresses) > 980


def test_a_network_with_an_address_chooses_the_subnet(network: LocalNetwork) -> None:
    vip = vip_of(network, network_id=VIP_NETWORK_ID, address="127.21.3.4")

    assert (vip.subnet_id, vip.address) == (SECOND_VIP_SUBNET.id, "127.21.3.4")


def test_a_given_address_is_taken_as_it_is(network: LocalNetwork) -> None:
    request = a_request(subnet_id=VIP_SUBNET.id, address="127.20.3.4")

    assert [resolved_by(network, request, attempt).vip.address for attempt in range(2)] == ["127.20.3.4"] * 2


@pytest.mark.parametrize("address", ["127.21.0.1", "10.0.0.1", "::1", "127.20.0.0", "127.20.255.255"])
@pytest.mark.parametrize("is_additional", [False, True], ids=["primary", "additional"])
def test_an_address_outside_the_subnet_is_refused(network: LocalNetwork, address: str, is_additional: bool) -> None:
    asked = {"subnet_id": VIP_SUBNET.id, "address": address}
    if is_additional:
        additional = AdditionalVip(subnet_id=VIP_SUBNET.id, ip_address=address)
        asked = {"subnet_id": SECOND_VIP_SUBNET.id, "additional": (additional,)}

    words = refusal_of(network, **asked)

    assert words == "Validation failure: Supplied network does not contain a subnet for VIP address specified."


def test_additional_vips_share_the_port_of_the_first(network: LocalNetwork) -> None:
    given = AdditionalVip(subnet_id=SECOND_VIP_SUBNET.id, ip_address="127.21.0.9", port_id=UNKNOWN)
    open_ = AdditionalVip(subnet_id=SECOND_VIP_SUBNET.id)

    vips = [vip_of(network, subnet_id=VIP_SUBNET.id, additional=(each,)) for each in (given, open_)]

    (first,), (second,) = (vip.additional for vip in vips)
    assert first.ip_address == "127.21.0.9"
    assert ip_address(second.ip_address or "") in ip_network(SECOND_VIP_SUBNET.cidr)
    assert [first.port_id, second.port_id] == [vip.port_id for vip in vips]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"network_id": UNKNOWN}, f"Network {UNKNOWN} not found."),
        ({"subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
        ({"subnet_id": MEMBER_SUBNET.id, "network_id": VIP_NETWORK_ID}, f"Subnet {MEMBER_SUBNET.id} not found."),
        (
            {"subnet_id": MEMBER_SUBNET.id},
            "Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment.",
        ),
        (
            {"subnet_id": VIP_SUBNET.id, "qos_policy_id": UNKNOWN},
            "Validation failure: VIP QoS policy is not allowed in this deployment.",
        ),
        ({"subnet_id": VIP_SUBNET.id, "security_group_ids": (UNKNOWN,)}, f"Security Group {UNKNOWN} not found."),
        (
            {"subnet_id": VIP_SUBNET.id, "additional": (AdditionalVip(subnet_id=MEMBER_SUBNET.id),)},
            "Validation failure: All VIP subnets must belong to the same network.",
        ),
        (
            {"subnet_id": VIP_SUBNET.id, "additional": (AdditionalVip(subnet_id=UNKNOWN),)},
            f"Validation failure: Subnet {UNKNOWN} not found",
        ),
    ],
    ids=["network", "subnet", "subnet elsewhere", "members' subnet", "QoS", "group", "two networks", "additional"],
)
def test_what_is_not_there_is_named_in_the_contracts_words(
    network: LocalNetwork, said: dict[str, Any], words: str
) -> None:
    assert refusal_of(network, **said) == words


def test_the_rules_of_the_deployment_hold_here_too() -> None:
    network = LocalNetwork(ConnectionPool(open=False), VipRules(denylist_vip_networks=(str(VIP_NETWORK_ID),)))

    for subnet in (VIP_SUBNET, MEMBER_SUBNET):
        assert "is not allowed by the configuration" in refusal_of(network, subnet_id=subnet.id)


def test_members_subnets_are_never_for_vips() -> None:
    network = LocalNetwork(ConnectionPool(open=False), VipRules(valid_vip_networks=(str(MEMBER_NETWORK_ID),)))

    assert "is not allowed by the configuration" in refusal_of(network, subnet_id=MEMBER_SUBNET.id)


def test_there_is_no_qos_and_no_security_group(network: LocalNetwork) -> None:
    network.require_security_groups(())

    with pytest.raises(Invalid, match=r"^Validation failure: VIP QoS policy is not allowed in this deployment\.$"):
        network.require_qos_policy(None)
    with pytest.raises(Invalid, match=f"^Security Group {UNKNOWN} not found.$"):
        network.require_security_groups((UNKNOWN,))


def test_an_amphora_is_told_the_subnet_of_its_vip(network: LocalNetwork) -> None:
    vip = vip_of(network, subnet_id=SECOND_VIP_SUBNET.id)

    assert network.plug_vip(LOAD_BALANCER, uuid4(), vip).subnet_cidr == SECOND_VIP_SUBNET.cidr


# In Neutron's place


def test_a_subnet_is_found_by_its_id(network: LocalNetwork) -> None:
    assert network.find_subnet(MEMBER_SUBNET.id) == MEMBER_SUBNET
    assert network.find_subnet(UNKNOWN) is None


def test_networks_and_subnets_name_each_other(network: LocalNetwork) -> None:
    subnets = {subnet["id"]: subnet for subnet in network.subnets()}

    named = [(subnet_id, shown["id"]) for shown in network.networks() for subnet_id in shown["subnets"]]  # type: ignore[attr-defined]

    assert sorted(named) == sorted((subnet["id"], subnet["network_id"]) for subnet in subnets.values())
    assert {subnet["name"] for subnet in subnets.values()} == {"vip-subnet", "vip-subnet-2", "member-subnet"}
    assert json.dumps([network.networks(), network.subnets(), network.qos_policies(), network.security_groups()])


def test_nothing_is_made_up(network: LocalNetwork) -> None:
    assert network.made_up("subnet", "no-such-subnet") is None


# What the database knows


def stored(database: str, vip: Vip, load_balancer_id: UUID) -> None:
    """A load balancer with this VIP, as far as the network looks at it."""
    document = {
        "vip_address": vip.address,
        "vip_port_id": str(vip.port_id),
        "vip_subnet_id": str(vip.subnet_id),
        "vip_network_id": str(vip.network_id),
        "additional_vips": [
            {"subnet_id": str(each.subnet_id), "ip_address": each.ip_address, "port_id": str(each.port_id)}
            for each in vip.additional
        ],
    }
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO load_balancers (id, project_id, document, created, own, created_by) "
            "VALUES (%s, 'demo', %s, 1, 1, %s)",
            (load_balancer_id, json.dumps(document), uuid4()),
        )


def a_stored_vip(database: str, network: LocalNetwork) -> Vip:
    additional = (AdditionalVip(subnet_id=SECOND_VIP_SUBNET.id),)
    vip = vip_of(network, load_balancer_id=LOAD_BALANCER, subnet_id=VIP_SUBNET.id, additional=additional)
    stored(database, vip, LOAD_BALANCER)
    return vip


@pytest.mark.postgres
def test_the_ports_are_those_of_the_load_balancers(database: str, pool: ConnectionPool[Any]) -> None:
    network = LocalNetwork(pool)
    vip = a_stored_vip(database, network)

    (port,) = network.ports()

    assert (port["id"], port["project_id"]) == (str(vip.port_id), "demo")
    assert port["device_id"] == f"lb-{LOAD_BALANCER}"
    assert port["fixed_ips"] == [
        {"subnet_id": str(VIP_SUBNET.id), "ip_address": vip.addresses[0]},
        {"subnet_id": str(SECOND_VIP_SUBNET.id), "ip_address": vip.addresses[1]},
    ]


@pytest.mark.postgres
def test_a_port_of_the_network_is_in_use_by_its_load_balancer(database: str, pool: ConnectionPool[Any]) -> None:
    network = LocalNetwork(pool)
    port_id = a_stored_vip(database, network).port_id

    assert refusal_of(network, port_id=port_id) == (
        f"Validation failure: Port {port_id} is already used by device lb-{LOAD_BALANCER} "
    )
    assert refusal_of(network, port_id=UNKNOWN, network_id=VIP_NETWORK_ID) == f"Port {UNKNOWN} not found."


@pytest.mark.postgres
def test_a_network_alone_is_enough_while_it_has_room(database: str, pool: ConnectionPool[Any]) -> None:
    network = LocalNetwork(pool, VipRules(topology="ACTIVE_STANDBY"))

    assert vip_of(network, network_id=VIP_NETWORK_ID).subnet_id == VIP_SUBNET.id

    claim_all_but(database, "127.20.0.0", 2)
    assert vip_of(network, network_id=VIP_NETWORK_ID).subnet_id == SECOND_VIP_SUBNET.id

    claim_all_but(database, "127.21.0.0", 2)
    assert refusal_of(network, network_id=VIP_NETWORK_ID) == (
        "Validation failure: Subnet(s) in the supplied network do not contain enough available IPs."
    )


def claim_all_but(database: str, first: str, free: int) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO addresses SELECT %s, %s::inet + number, %s FROM generate_series(1, %s) AS number",
            (VIP_NETWORK_ID, first, uuid4(), 2**16 - 2 - free),
        )
