"""Which address a load balancer gets: what was asked for, held against the rules and against what the network knows."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Literal, Protocol
from uuid import UUID

from commands.ports import FixedIp, Port, Resolved, Subnet, VipPlace, VipRequest
from domain.errors import Invalid
from domain.member import VnicType
from domain.vip import AdditionalVip, Vip

# What the rules need to know


@dataclass(frozen=True, kw_only=True)
class Network:
    """The order of its subnets decides where nothing else does."""

    id: UUID
    subnet_ids: tuple[UUID, ...]


class NetworkFacts(Protocol):
    """Looks things up in the network, as the caller sees them: what is invisible does not exist."""

    def port(self, id: UUID) -> Port | None: ...

    def network(self, id: UUID) -> Network | None: ...

    def subnet(self, id: UUID) -> Subnet | None: ...

    def free_addresses(self, network: Network) -> Mapping[UUID, int]:
        """How many are left in its subnets, by the subnet's id; one that is left out has none."""
        ...

    def has_qos(self) -> bool:
        """Whether the network limits bandwidths at all."""
        ...

    def has_qos_policy(self, id: UUID) -> bool: ...

    def has_security_group(self, id: UUID) -> bool: ...


class VipPorts(Protocol):
    """Makes the ports that hold VIPs."""

    def vip_at(self, request: VipRequest, place: VipPlace, attempt: int) -> Vip:
        """The VIP at this place, on the port that was given or else on one made for the load balancer.

        The port carries the additional addresses too. The same load balancer gets the same port every time.

        Raises AddressTaken, Invalid for an address that its subnet does not have, ProviderFailed.
        """
        ...


Topology = Literal["SINGLE", "ACTIVE_STANDBY"]
_ADDRESSES_NEEDED: Mapping[Topology, int] = {"SINGLE": 2, "ACTIVE_STANDBY": 3}
"""The VIP and one for each amphora."""


@dataclass(frozen=True, kw_only=True)
class VipRules:
    """What the operator allows.

    valid_vip_networks, denylist_vip_networks  ids in any case; no valid ones means all are
    topology                                   decides how many addresses a subnet must have left
    """

    allow_vip_port_id: bool = True
    allow_vip_network_id: bool = True
    allow_vip_subnet_id: bool = True
    valid_vip_networks: tuple[str, ...] = ()
    denylist_vip_networks: tuple[str, ...] = ()
    topology: Topology = "SINGLE"

    def require_wording_allowed(self, request: VipRequest) -> None:
        """Raises Invalid for a way to name the VIP that is not allowed, and for none at all."""
        ways = {
            "vip_port_id": (self.allow_vip_port_id, request.port_id),
            "vip_network_id": (self.allow_vip_network_id, request.network_id),
            "vip_subnet_id": (self.allow_vip_subnet_id, request.subnet_id),
        }
        for name, (is_allowed, given) in ways.items():
            if given is not None and not is_allowed:
                raise _refusal(f"use of {name} is disallowed by this deployment's configuration.")
        if all(given is None for _, given in ways.values()):
            allowed = [name for name, (is_allowed, _) in ways.items() if is_allowed]
            raise _refusal(f"VIP must contain one of: {', '.join(allowed)}.")

    def require_network_allowed(self, id: UUID, of_zone: Collection[str] | None) -> None:
        """of_zone: the networks that an availability zone has; they count instead of the deployment's."""
        valid = of_zone or self.valid_vip_networks
        if (valid and not _is_among(id, valid)) or _is_among(id, self.denylist_vip_networks):
            raise _refusal("Supplied VIP network_id is not allowed by the configuration of this deployment.")

    @property
    def addresses_needed(self) -> int:
        return _ADDRESSES_NEEDED[self.topology]


class VipResolver:
    """Fulfils commands.ports.VipAllocation for a network of which the facts are known and which makes ports."""

    def __init__(self, facts: NetworkFacts, ports: VipPorts, rules: VipRules) -> None:
        self._facts = facts
        self._ports = ports
        self._rules = rules

    def locate(self, request: VipRequest) -> VipPlace:
        """Where the VIP is to be; flavor and zone have no say in it. Raises Invalid."""
        self._rules.require_wording_allowed(request)
        place = self._place(request)
        qos_policy_id = request.qos_policy_id or place.qos_policy_id
        if qos_policy_id is not None:
            self.require_qos_policy(qos_policy_id)
        self._require_one_network(place.subnet_id, request.additional)
        self.require_security_groups(request.security_group_ids)
        return place

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        """The VIP there, once flavor and zone have been heard. Raises Invalid, AddressTaken, ProviderFailed."""
        self._rules.require_network_allowed(place.network_id, request.valid_networks)
        require_security_groups_fit(request.vnic_type, request.security_group_ids)
        vip = self._ports.vip_at(request, place, attempt)
        return Resolved(vip=vip, qos_policy_id=place.qos_policy_id)

    def require_qos_policy(self, id: UUID | None) -> None:
        """Raises Invalid where networks have no QoS, even for None, and where there is no such policy."""
        if not self._facts.has_qos():
            raise _refusal("VIP QoS policy is not allowed in this deployment.")
        if id is not None and not self._facts.has_qos_policy(id):
            raise Invalid(f"qos_policy {id} not found.")

    def require_security_groups(self, ids: Sequence[UUID]) -> None:
        """Raises Invalid for the first that is not there."""
        for id in ids:
            if not self._facts.has_security_group(id):
                raise Invalid(f"Security Group {id} not found.")

    def find_subnet(self, id: UUID) -> Subnet | None:
        return self._facts.subnet(id)

    def _place(self, request: VipRequest) -> VipPlace:
        """A port wins over a network, a network over a subnet."""
        if request.port_id is not None:
            return self._place_at_port(request, request.port_id)
        if request.network_id is not None:
            return self._place_in_network(request, request.network_id)
        assert request.subnet_id is not None, "the rules want one of the three"
        subnet = self._subnet(request.subnet_id)
        return VipPlace(network_id=subnet.network_id, subnet_id=subnet.id, address=request.address)

    # A port was given

    def _place_at_port(self, request: VipRequest, port_id: UUID) -> VipPlace:
        port = self._facts.port(port_id)
        if port is None:
            raise Invalid(f"Port {port_id} not found.")
        if port.device_id:
            raise _refusal(f"Port {port_id} is already used by device {port.device_id} ")
        fixed = self._fixed_ip(request, port)
        return VipPlace(
            network_id=port.network_id,
            subnet_id=fixed.subnet_id,
            address=fixed.address,
            port=port,
            qos_policy_id=port.qos_policy_id if request.qos_policy_id is None else None,
        )

    def _fixed_ip(self, request: VipRequest, port: Port) -> FixedIp:
        """The one of the port's addresses that becomes the VIP; one that was given stays as it was written."""
        if request.subnet_id is not None:
            subnet = self._subnet(request.subnet_id)
            found = [each for each in port.fixed_ips if each.subnet_id == subnet.id]
            missing = "No VIP address found on the specified VIP port within the specified subnet."
        elif request.address is not None:
            asked, written = ip_address(request.address), request.address
            found = [replace(each, address=written) for each in port.fixed_ips if ip_address(each.address) == asked]
            missing = "Specified VIP address not found on the specified VIP port."
        else:
            found = list(port.fixed_ips) if len(port.fixed_ips) == 1 else []
            missing = "VIP port's subnet could not be determined. Please specify either a VIP subnet or address."
        if not found:
            raise _refusal(missing)
        return found[0]

    # A network was given

    def _place_in_network(self, request: VipRequest, network_id: UUID) -> VipPlace:
        network = self._facts.network(network_id)
        if network is None:
            raise Invalid(f"Network {network_id} not found.")
        subnet_id = self._subnet_of(network, request)
        return VipPlace(network_id=network.id, subnet_id=subnet_id, address=request.address)

    def _subnet_of(self, network: Network, request: VipRequest) -> UUID:
        if request.subnet_id is not None:
            if request.subnet_id not in network.subnet_ids:
                raise Invalid(f"Subnet {request.subnet_id} not found.")
            return request.subnet_id
        if request.address is not None:
            return self._subnet_around(request.address, network)
        return self._subnet_with_room(network)

    def _subnet_around(self, address: str, network: Network) -> UUID:
        asked = ip_address(address)
        for subnet in self._subnets(network.subnet_ids):
            if asked in ip_network(subnet.cidr):
                return subnet.id
        raise _refusal("Supplied network does not contain a subnet for VIP address specified.")

    def _subnet_with_room(self, network: Network) -> UUID:
        """The first of IPv4 with enough addresses left, else the first."""
        if not network.subnet_ids:
            raise _refusal("Supplied network does not contain a subnet.")
        free = self._facts.free_addresses(network)
        roomy = [id for id in network.subnet_ids if free.get(id, 0) >= self._rules.addresses_needed]
        if not roomy:
            raise _refusal("Subnet(s) in the supplied network do not contain enough available IPs.")
        of_ipv4 = (subnet.id for subnet in self._subnets(roomy) if ip_network(subnet.cidr).version == 4)
        return next(of_ipv4, roomy[0])

    # Subnets

    def _subnet(self, id: UUID) -> Subnet:
        subnet = self._facts.subnet(id)
        if subnet is None:
            raise Invalid(f"Subnet {id} not found.")
        return subnet

    def _subnets(self, ids: Iterable[UUID]) -> Iterable[Subnet]:
        """One after the other, as far as they are needed. Raises Invalid for one that vanished meanwhile."""
        for id in ids:
            subnet = self._facts.subnet(id)
            if subnet is None:
                raise _refusal(f"Subnet {id} not found")
            yield subnet

    def _require_one_network(self, primary: UUID, additional: Sequence[AdditionalVip]) -> None:
        if not additional:
            return
        ids = [primary, *(each.subnet_id for each in additional)]
        if len(set(ids)) < len(ids):
            raise _refusal("Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.")
        if len({subnet.network_id for subnet in self._subnets(ids)}) > 1:
            raise _refusal("All VIP subnets must belong to the same network.")


def require_security_groups_fit(vnic_type: VnicType, ids: Sequence[UUID]) -> None:
    """Raises Invalid: what bypasses the virtual switch bypasses security groups."""
    if vnic_type == VnicType.DIRECT and ids:
        raise _refusal("VIP Security Groups are not allowed with VNIC direct type")


def _is_among(id: UUID, networks: Collection[str]) -> bool:
    return str(id) in {network.lower() for network in networks}


def _refusal(words: str) -> Invalid:
    return Invalid(f"Validation failure: {words}")
