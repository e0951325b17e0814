"""The network of the local profile: VIPs and members on loopback addresses of this machine.

Linux answers on every address of 127.0.0.0/8 without being told, so plugging is a matter of names alone. Nothing is
allocated before a load balancer is stored: an address is a guess from the load balancer's id, and a constraint on the
rows says in the same transaction whether it was free. So nothing can leak.
"""

from collections.abc import Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, ip_address
from uuid import UUID, uuid5

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from commands.ports import Subnet, VipRequest
from domain.errors import Invalid
from domain.load_balancer import Vip
from processes.ports import AmphoraPort

_NAMES = UUID("0b2c6f0e-6f9d-5c53-9f57-7ab0b4ff2f4e")

VIP_NETWORK_ID = uuid5(_NAMES, "tacitus-local")
MEMBER_NETWORK_ID = uuid5(_NAMES, "tacitus-local-members")
VIP_SUBNET = Subnet(id=uuid5(_NAMES, "vip-subnet"), network_id=VIP_NETWORK_ID, name="vip-subnet", cidr="127.20.0.0/16")
MEMBER_SUBNET = Subnet(
    id=uuid5(_NAMES, "member-subnet"), network_id=MEMBER_NETWORK_ID, name="member-subnet", cidr="127.0.0.0/8"
)

_LOOPBACK_MAC = "00:00:00:00:00:00"
_VIPS = IPv4Network(VIP_SUBNET.cidr)
_NETWORK_NAMES = {VIP_NETWORK_ID: "tacitus-local", MEMBER_NETWORK_ID: "tacitus-local-members"}
_SUBNETS = {subnet.id: subnet for subnet in (VIP_SUBNET, MEMBER_SUBNET)}

_OUTSIDE = "Validation failure: Supplied network does not contain a subnet for VIP address specified."
_NOT_FOR_VIPS = "Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment."


class LocalNetwork:
    """Hands out VIPs (VipAllocation), plugs them (VipPlugging), shows itself in Neutron's place (NetworkReads)."""

    def __init__(self, pool: ConnectionPool[Connection[TupleRow]]) -> None:
        self._pool = pool

    # commands.ports.VipAllocation

    def resolve(self, request: VipRequest, attempt: int) -> Vip:
        """Raises Invalid."""
        if request.port_id is not None:
            raise Invalid(f"Port {request.port_id} not found.")
        _require_vip_network(request)
        address = _proposed(request.load_balancer_id, attempt) if request.address is None else _given(request.address)
        return Vip(
            address=str(address),
            port_id=port_id_of(request.load_balancer_id),
            subnet_id=VIP_SUBNET.id,
            network_id=VIP_NETWORK_ID,
        )

    def find_subnet(self, id: UUID) -> Subnet | None:
        return _SUBNETS.get(id)

    # processes.ports.VipPlugging

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        """Every process of this machine may listen on the address already."""
        return AmphoraPort(subnet_cidr=VIP_SUBNET.cidr, mac_address=_LOOPBACK_MAC)

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        """The row that holds the address goes with the load balancer."""

    # commands.ports.NetworkReads

    def networks(self) -> Sequence[dict[str, object]]:
        return [_network_document(id, name) for id, name in _NETWORK_NAMES.items()]

    def subnets(self) -> Sequence[dict[str, object]]:
        return [_subnet_document(subnet) for subnet in _SUBNETS.values()]

    def ports(self) -> Sequence[dict[str, object]]:
        """The VIP ports of all load balancers."""
        with self._pool.connection() as connection:
            rows = connection.execute("SELECT id, project_id, document FROM load_balancers ORDER BY id").fetchall()
        return [_port_document(*row) for row in rows]

    def qos_policies(self) -> Sequence[dict[str, object]]:
        return []


def port_id_of(load_balancer_id: UUID) -> UUID:
    """The port that holds a load balancer's VIP."""
    return uuid5(load_balancer_id, "vip-port")


def _require_vip_network(request: VipRequest) -> None:
    subnet_id, network_id = request.subnet_id, request.network_id
    if network_id is not None and network_id not in _NETWORK_NAMES:
        raise Invalid(f"Network {network_id} not found.")
    if subnet_id is not None:
        subnet = _SUBNETS.get(subnet_id)
        if subnet is None or network_id not in (None, subnet.network_id):
            raise Invalid(f"Subnet {subnet_id} not found.")
        network_id = subnet.network_id
    if network_id != VIP_NETWORK_ID:
        raise Invalid(_NOT_FOR_VIPS)


def _proposed(load_balancer_id: UUID, attempt: int) -> IPv4Address:
    """Any address but the first and the last, which stand for the network itself and for everybody."""
    number = int.from_bytes(sha256(f"{load_balancer_id} {attempt}".encode()).digest()[:8], "big")
    return _VIPS[1 + number % (_VIPS.num_addresses - 2)]


def _given(text: str) -> IPv4Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise Invalid(_OUTSIDE) from None
    if not isinstance(address, IPv4Address) or address not in _VIPS:
        raise Invalid(_OUTSIDE)
    if address in (_VIPS.network_address, _VIPS.broadcast_address):
        raise Invalid(_OUTSIDE)
    return address


# Documents in the format of Neutron's API


def _document(project_id: str, known: dict[str, object]) -> dict[str, object]:
    """What belongs to no project is for all."""
    return {
        **known,
        "project_id": project_id,
        "tenant_id": project_id,
        "description": "",
        "tags": [],
        "revision_number": 1,
    }


def _network_document(id: UUID, name: str) -> dict[str, object]:
    return _document(
        "",
        {
            "id": str(id),
            "name": name,
            "status": "ACTIVE",
            "admin_state_up": True,
            "shared": True,
            "router:external": False,
            "port_security_enabled": True,
            "mtu": 65_536,
            "subnets": [str(subnet.id) for subnet in _SUBNETS.values() if subnet.network_id == id],
            "qos_policy_id": None,
            "availability_zones": [],
        },
    )


def _subnet_document(subnet: Subnet) -> dict[str, object]:
    range_ = IPv4Network(subnet.cidr)
    return _document(
        "",
        {
            "id": str(subnet.id),
            "name": subnet.name,
            "network_id": str(subnet.network_id),
            "cidr": subnet.cidr,
            "ip_version": 4,
            "gateway_ip": subnet.gateway,
            "enable_dhcp": False,
            "allocation_pools": [{"start": str(range_[1]), "end": str(range_[-2])}],
            "dns_nameservers": [],
            "host_routes": [],
            "ipv6_address_mode": None,
            "ipv6_ra_mode": None,
            "subnetpool_id": None,
        },
    )


def _port_document(load_balancer_id: UUID, project_id: str, document: dict[str, str]) -> dict[str, object]:
    return _document(
        project_id,
        {
            "id": document["vip_port_id"],
            "name": f"octavia-lb-{load_balancer_id}",
            "network_id": document["vip_network_id"],
            "fixed_ips": [{"subnet_id": document["vip_subnet_id"], "ip_address": document["vip_address"]}],
            "device_id": f"lb-{load_balancer_id}",
            "device_owner": "Octavia",
            "status": "ACTIVE",
            "admin_state_up": True,
            "mac_address": _mac_address(load_balancer_id),
            "security_groups": [],
            "allowed_address_pairs": [],
            "qos_policy_id": None,
            "binding:vnic_type": "normal",
        },
    )


def _mac_address(load_balancer_id: UUID) -> str:
    """Locally administered, as no network card stands behind it."""
    return ":".join(f"{byte:02x}" for byte in (0xFA, 0x16, 0x3E, *load_balancer_id.bytes[:3]))
