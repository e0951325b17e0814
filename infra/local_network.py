"""The network of the local profile: VIPs and members on loopback addresses of this machine.

Linux answers on every address of 127.0.0.0/8 without being told, so plugging is a matter of names alone. Nothing is
allocated before a load balancer is stored: an address is a guess from the load balancer's id, and a constraint on the
rows says in the same transaction whether it was free. So nothing can leak.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from ipaddress import IPv4Network, ip_address
from typing import Any
from uuid import UUID, uuid5

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from commands.ports import FixedIp, Port, Resolved, Subnet, VipPlace, VipRequest
from commands.vip import Network, VipResolver, VipRules
from domain.errors import Invalid
from domain.vip import Vip
from infra.neutron_reads import Document, network_document, port_document, subnet_document
from processes.ports import AmphoraPort

Pool = ConnectionPool[Connection[TupleRow]]

_NAMES = UUID("0b2c6f0e-6f9d-5c53-9f57-7ab0b4ff2f4e")

VIP_NETWORK_ID = uuid5(_NAMES, "tacitus-local")
MEMBER_NETWORK_ID = uuid5(_NAMES, "tacitus-local-members")
VIP_SUBNET = Subnet(id=uuid5(_NAMES, "vip-subnet"), network_id=VIP_NETWORK_ID, name="vip-subnet", cidr="127.20.0.0/16")
SECOND_VIP_SUBNET = Subnet(
    id=uuid5(_NAMES, "vip-subnet-2"), network_id=VIP_NETWORK_ID, name="vip-subnet-2", cidr="127.21.0.0/16"
)
"""Beside the first: additional VIPs are in other subnets of the same network."""
MEMBER_SUBNET = Subnet(
    id=uuid5(_NAMES, "member-subnet"), network_id=MEMBER_NETWORK_ID, name="member-subnet", cidr="127.0.0.0/8"
)

_LOOPBACK_MAC = "00:00:00:00:00:00"
_NETWORK_NAMES = {VIP_NETWORK_ID: "tacitus-local", MEMBER_NETWORK_ID: "tacitus-local-members"}
_SUBNETS = {subnet.id: subnet for subnet in (VIP_SUBNET, SECOND_VIP_SUBNET, MEMBER_SUBNET)}
_NETWORKS = {
    id: Network(id=id, subnet_ids=tuple(subnet.id for subnet in _SUBNETS.values() if subnet.network_id == id))
    for id in _NETWORK_NAMES
}

_OUTSIDE = "Validation failure: Supplied network does not contain a subnet for VIP address specified."


class LocalFacts:
    """commands.vip.NetworkFacts: fixed networks, and the ports and addresses of the load balancers in the database.

    There are no QoS policies and no security groups.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def port(self, id: UUID) -> Port | None:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT id, document FROM load_balancers WHERE document->>'vip_port_id' = %s", (str(id),)
            ).fetchone()
        return None if row is None else _port_of(*row)

    def network(self, id: UUID) -> Network | None:
        return _NETWORKS.get(id)

    def subnet(self, id: UUID) -> Subnet | None:
        return _SUBNETS.get(id)

    def free_addresses(self, network: Network) -> Mapping[UUID, int]:
        return {id: self._free_in(_SUBNETS[id]) for id in network.subnet_ids}

    def _free_in(self, subnet: Subnet) -> int:
        with self._pool.connection() as connection:
            row = connection.execute(
                "SELECT count(*) FROM addresses WHERE network_id = %s AND address << %s::inet",
                (subnet.network_id, subnet.cidr),
            ).fetchone()
        assert row is not None, "a count has a row"
        return IPv4Network(subnet.cidr).num_addresses - _RESERVED - int(row[0])

    def has_qos(self) -> bool:
        return False

    def has_qos_policy(self, id: UUID) -> bool:
        return False

    def has_security_group(self, id: UUID) -> bool:
        return False


class LocalNetwork:
    """Hands out VIPs (VipAllocation), plugs them (VipPlugging), shows itself in Neutron's place (NetworkReads).

    rules  members' networks have no VIPs, whatever they say
    """

    def __init__(self, pool: Pool, rules: VipRules | None = None) -> None:
        self._pool = pool
        rules = rules or VipRules()
        denied = (*rules.denylist_vip_networks, str(MEMBER_NETWORK_ID))
        self._resolver = VipResolver(LocalFacts(pool), self, replace(rules, denylist_vip_networks=denied))

    # commands.ports.VipAllocation

    def locate(self, request: VipRequest) -> VipPlace:
        return self._resolver.locate(request)

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        return self._resolver.allocate(request, place, attempt)

    def require_qos_policy(self, id: UUID | None) -> None:
        self._resolver.require_qos_policy(id)

    def require_security_groups(self, ids: Sequence[UUID]) -> None:
        self._resolver.require_security_groups(ids)

    def find_subnet(self, id: UUID) -> Subnet | None:
        return self._resolver.find_subnet(id)

    # commands.vip.VipPorts

    def vip_at(self, request: VipRequest, place: VipPlace, attempt: int) -> Vip:
        """Every port of this network is in use by the load balancer that it was made for: none is ever given."""
        port_id = port_id_of(request.load_balancer_id)

        def address_in(subnet_id: UUID, given: str | None) -> str:
            subnet = _SUBNETS[subnet_id]
            return _proposed(subnet, request.load_balancer_id, attempt) if given is None else _given(subnet, given)

        additional = tuple(
            replace(each, ip_address=address_in(each.subnet_id, each.ip_address), port_id=port_id)
            for each in request.additional
        )
        return Vip(
            address=address_in(place.subnet_id, place.address),
            port_id=port_id,
            subnet_id=place.subnet_id,
            network_id=place.network_id,
            vnic_type=request.vnic_type,
            additional=additional,
        )

    # processes.ports.VipPlugging

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        """Every process of this machine may listen on the addresses already."""
        return AmphoraPort(subnet_cidr=_SUBNETS[vip.subnet_id].cidr, mac_address=_LOOPBACK_MAC)

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        """The rows that hold the addresses go with the load balancer."""

    # commands.ports.NetworkReads

    def networks(self) -> Sequence[Document]:
        return [network_document(id, name, _NETWORKS[id].subnet_ids) for id, name in _NETWORK_NAMES.items()]

    def subnets(self) -> Sequence[Document]:
        return [subnet_document(subnet) for subnet in _SUBNETS.values()]

    def ports(self) -> Sequence[Document]:
        """The VIP ports of all load balancers."""
        with self._pool.connection() as connection:
            rows = connection.execute("SELECT id, document, project_id FROM load_balancers ORDER BY id").fetchall()
        return [port_document(_port_of(id, document), f"octavia-lb-{id}", owner) for id, document, owner in rows]

    def qos_policies(self) -> Sequence[Document]:
        return []

    def security_groups(self) -> Sequence[Document]:
        return []

    def made_up(self, kind: str, wanted: str) -> Document | None:
        """What is not listed does not exist."""
        return None


def port_id_of(load_balancer_id: UUID) -> UUID:
    """The port that holds a load balancer's VIP."""
    return uuid5(load_balancer_id, "vip-port")


# Addresses


_RESERVED = 2
"""The first address of a subnet is the network itself, the last is everybody."""


def _proposed(subnet: Subnet, load_balancer_id: UUID, attempt: int) -> str:
    number = int.from_bytes(sha256(f"{load_balancer_id} {attempt}".encode()).digest()[:8], "big")
    range_ = IPv4Network(subnet.cidr)
    return str(range_[1 + number % (range_.num_addresses - _RESERVED)])


def _given(subnet: Subnet, text: str) -> str:
    """Raises Invalid for an address that nothing in the subnet can have."""
    address, range_ = ip_address(text), IPv4Network(subnet.cidr)
    if address not in range_ or address in (range_.network_address, range_.broadcast_address):
        raise Invalid(_OUTSIDE)
    return text


# Ports, as they stand in the rows of load balancers


def _port_of(load_balancer_id: UUID, document: Mapping[str, Any]) -> Port:
    first = {"subnet_id": document["vip_subnet_id"], "ip_address": document["vip_address"]}
    addresses = [first, *document.get("additional_vips", ())]
    return Port(
        id=UUID(document["vip_port_id"]),
        network_id=UUID(document["vip_network_id"]),
        fixed_ips=tuple(FixedIp(subnet_id=UUID(each["subnet_id"]), address=each["ip_address"]) for each in addresses),
        device_id=f"lb-{load_balancer_id}",
    )
