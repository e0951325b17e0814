"""The network of the noop profile: has whatever it is asked for, unless somebody prepared it, and touches nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from uuid import UUID, uuid5

from commands.ports import FixedIp, Port, Resolved, Subnet, VipPlace, VipRequest
from commands.vip import Network, VipResolver, VipRules
from domain.errors import ProviderFailed
from domain.vip import AdditionalVip, Vip
from infra.neutron_reads import (
    Document,
    is_id,
    network_document,
    port_document,
    qos_policy_document,
    security_group_document,
    subnet_document,
)
from infra.prepared_network import NETWORK_ID, Findable, KnownNetwork, PreparedNetwork
from processes.ports import AmphoraPort

DEFAULT_ADDRESS = "198.0.2.5"
_CIDR = "198.0.2.0/24"
_NAMES = UUID("2f0c7c0b-52d6-5bb5-9f6b-4a4b8a1c3b0e")
_PLENTY = 1_000


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a request names: the made-up things are such that it fits."""

    network_id: UUID | None = None
    subnet_id: UUID | None = None
    address: str | None = None


@dataclass(frozen=True)
class NoopFacts:
    """commands.vip.NetworkFacts: what is prepared and, of the kinds that may be made up, what is asked for."""

    prepared: PreparedNetwork
    asked: Asked = field(default_factory=Asked)

    def port(self, id: UUID) -> Port | None:
        known = self.prepared.port(id)
        if known is not None:
            return known.as_port(self._fixed_ips_asked_for(known.network_id))
        if Findable.PORT in self.prepared.not_found:
            return None
        network_id = self._network_asked_for
        return Port(id=id, network_id=network_id, fixed_ips=self._fixed_ips_asked_for(network_id))

    def network(self, id: UUID) -> Network | None:
        known = self.prepared.network(id)
        if known is not None:
            return Network(id=id, subnet_ids=self.prepared.subnets_of(known))
        if Findable.NETWORK in self.prepared.not_found:
            return None
        return Network(id=id, subnet_ids=(self._subnet_asked_for(id),))

    def subnet(self, id: UUID) -> Subnet | None:
        known = self.prepared.subnet(id)
        if known is None and Findable.SUBNET in self.prepared.not_found:
            return None
        network_id = self.prepared.network_of(id) or self._made_up_network
        return Subnet(id=id, network_id=network_id, name="", cidr=known.range if known else self._cidr_asked_for)

    def free_addresses(self, network: Network) -> Mapping[UUID, int]:
        said = self.prepared.ip_availability
        if said is not None and said.network_id == network.id:
            return said.free
        return dict.fromkeys(network.subnet_ids, _PLENTY)

    def has_qos(self) -> bool:
        return self.prepared.qos_enabled

    def has_qos_policy(self, id: UUID) -> bool:
        return Findable.QOS_POLICY not in self.prepared.not_found or id in self.prepared.qos_policy_ids

    def has_security_group(self, id: UUID) -> bool:
        return True

    @property
    def _made_up_network(self) -> UUID:
        """Where all is of which nothing is known: the network that is asked for, if nothing is known of that either."""
        asked = self.asked.network_id
        return NETWORK_ID if asked is None or self.prepared.network(asked) else asked

    @property
    def _network_asked_for(self) -> UUID:
        subnet_id = self.asked.subnet_id
        of_subnet = None if subnet_id is None else self.prepared.network_of(subnet_id)
        return self.asked.network_id or of_subnet or NETWORK_ID

    def _subnet_asked_for(self, network_id: UUID) -> UUID:
        return self.asked.subnet_id or uuid5(network_id, "subnet")

    @property
    def _cidr_asked_for(self) -> str:
        """One that the address fits into."""
        address = self.asked.address
        if address is None:
            return _CIDR
        return str(ip_network(f"{address}/{64 if ':' in address else 24}", strict=False))

    def _fixed_ips_asked_for(self, network_id: UUID) -> tuple[FixedIp, ...]:
        address = self.asked.address or DEFAULT_ADDRESS
        return (FixedIp(subnet_id=self._subnet_asked_for(network_id), address=address),)


@dataclass(frozen=True)
class NoopPorts:
    """commands.vip.VipPorts that makes none, and has every address."""

    prepared: PreparedNetwork

    def vip_at(self, request: VipRequest, place: VipPlace, attempt: int) -> Vip:
        """Raises ProviderFailed where somebody prepared a network without port security."""
        network = self.prepared.network(place.network_id)
        if network is not None and not network.port_security_enabled:
            raise ProviderFailed(request.provider, "Port security must be enabled on the VIP network.")
        port_id = place.port.id if place.port else uuid5(request.load_balancer_id, "vip-port")
        additional = tuple(
            replace(each, ip_address=each.ip_address or self._address_for(each, number), port_id=port_id)
            for number, each in enumerate(request.additional, start=1)
        )
        return Vip(
            address=place.address or DEFAULT_ADDRESS,
            port_id=port_id,
            subnet_id=place.subnet_id,
            network_id=place.network_id,
            is_exclusive=False,
            is_ours=place.port is None,
            vnic_type=request.vnic_type,
            additional=additional,
        )

    def _address_for(self, additional: AdditionalVip, number: int) -> str:
        """Any in the subnet, another one for each additional VIP of a load balancer."""
        subnet = self.prepared.subnet(additional.subnet_id)
        range_ = ip_network(subnet.range if subnet else _CIDR)
        return str(range_[(5 + number) % range_.num_addresses])


@dataclass
class NoopNetwork:
    """Fulfils VipAllocation, VipPlugging and NetworkReads. Addresses are nobody's: many may have the same one.

    prepared, rules  asked anew each time
    """

    prepared: Callable[[], PreparedNetwork] = PreparedNetwork
    rules: Callable[[], VipRules] = VipRules

    # commands.ports.VipAllocation

    def locate(self, request: VipRequest) -> VipPlace:
        asked = Asked(network_id=request.network_id, subnet_id=request.subnet_id, address=request.address)
        return self._resolver(asked).locate(request)

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        return self._resolver().allocate(request, place, attempt)

    def require_qos_policy(self, id: UUID | None) -> None:
        self._resolver().require_qos_policy(id)

    def require_security_groups(self, ids: Sequence[UUID]) -> None:
        self._resolver().require_security_groups(ids)

    def find_subnet(self, id: UUID) -> Subnet | None:
        return self._resolver().find_subnet(id)

    def _resolver(self, asked: Asked | None = None) -> VipResolver:
        prepared = self.prepared()
        return VipResolver(NoopFacts(prepared, asked or Asked()), NoopPorts(prepared), self.rules())

    # processes.ports.VipPlugging

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        """Done at once."""
        return AmphoraPort(subnet_cidr=_CIDR, mac_address="00:00:00:00:00:00")

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        """Done at once."""

    # commands.ports.NetworkReads: lists have what is prepared, everything else is there once it is asked for

    def networks(self) -> Sequence[Document]:
        prepared = self.prepared()
        return [_network_document(each, prepared) for each in prepared.networks]

    def subnets(self) -> Sequence[Document]:
        facts = NoopFacts(self.prepared())
        found = (facts.subnet(each.id) for each in facts.prepared.subnets)
        return [subnet_document(subnet) for subnet in found if subnet is not None]

    def ports(self) -> Sequence[Document]:
        return [port_document(each.as_port(()), "") for each in self.prepared().ports]

    def qos_policies(self) -> Sequence[Document]:
        return [qos_policy_document(id, "") for id in sorted(self.prepared().qos_policy_ids)]

    def security_groups(self) -> Sequence[Document]:
        return []

    def made_up(self, kind: str, wanted: str) -> Document | None:
        """The same name is the same object every time."""
        id, name = (UUID(wanted), "") if is_id(wanted) else (uuid5(_NAMES, f"{kind} {wanted}"), wanted)
        facts = NoopFacts(self.prepared())
        match kind:
            case "network":
                network = facts.network(id)
                return None if network is None else network_document(id, name, network.subnet_ids)
            case "subnet":
                subnet = facts.subnet(id)
                return None if subnet is None else subnet_document(replace(subnet, name=name))
            case "port":
                port = facts.port(id)
                return None if port is None else port_document(port, name)
            case "policy":
                return qos_policy_document(id, name) if facts.has_qos() and facts.has_qos_policy(id) else None
            case _:
                return security_group_document(id, name)


def _network_document(network: KnownNetwork, prepared: PreparedNetwork) -> Document:
    subnet_ids = prepared.subnets_of(network)
    return network_document(network.id, "", subnet_ids, port_security=network.port_security_enabled)
