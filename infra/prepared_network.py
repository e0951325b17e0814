"""What somebody who tests a client says that the noop network knows: networks, subnets, ports, and what is missing."""

from collections.abc import Mapping
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Literal
from uuid import UUID

import msgspec

from commands.ports import FixedIp, Port
from domain.errors import Invalid

NETWORK_ID = UUID("6c3d42f1-9d3e-5a0c-8f39-0d5a3b9d7c10")
"""The one network that all subnets and ports belong to which nothing else is known about."""


class Findable(StrEnum):
    """The kinds of which only those that are listed may exist."""

    NETWORK = "network"
    SUBNET = "subnet"
    PORT = "port"
    QOS_POLICY = "qos_policy"


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of the document; a key that it does not have is a mistake."""


class KnownNetwork(_Said, frozen=True):
    """subnets: in their order; None for those that name the network themselves"""

    id: UUID
    subnets: tuple[UUID, ...] | None = None
    port_security_enabled: bool = True


class KnownSubnet(_Said, frozen=True):
    """cidr: None for all addresses of the version, which is 4 unless something else is said"""

    id: UUID
    network_id: UUID | None = None
    cidr: str | None = None
    ip_version: Literal[4, 6] | None = None

    def __post_init__(self) -> None:
        if ip_network(self.range).version != (self.ip_version or ip_network(self.range).version):
            raise ValueError(f"{self.cidr} is not of IP version {self.ip_version}")

    @property
    def range(self) -> str:
        return self.cidr or ("::/0" if self.ip_version == 6 else "0.0.0.0/0")


class KnownAddress(_Said, frozen=True):
    subnet_id: UUID
    ip_address: str

    def __post_init__(self) -> None:
        ip_address(self.ip_address)


class KnownPort(_Said, frozen=True):
    """fixed_ips: None for whatever addresses it is asked for"""

    id: UUID
    network_id: UUID = NETWORK_ID
    qos_policy_id: UUID | None = None
    device_id: str = ""
    fixed_ips: tuple[KnownAddress, ...] | None = None

    def as_port(self, addresses_asked_for: tuple[FixedIp, ...]) -> Port:
        listed = tuple(FixedIp(subnet_id=each.subnet_id, address=each.ip_address) for each in self.fixed_ips or ())
        return Port(
            id=self.id,
            network_id=self.network_id,
            fixed_ips=addresses_asked_for if self.fixed_ips is None else listed,
            device_id=self.device_id,
            qos_policy_id=self.qos_policy_id,
        )


class SubnetUse(_Said, frozen=True):
    subnet_id: UUID
    used_ips: int
    total_ips: int


class IpAvailability(_Said, frozen=True):
    """A subnet that is left out has no address left."""

    network_id: UUID
    subnets: tuple[SubnetUse, ...] = ()

    @property
    def free(self) -> Mapping[UUID, int]:
        return {each.subnet_id: each.total_ips - each.used_ips for each in self.subnets}


class PreparedNetwork(_Said, frozen=True):
    """By default nothing: then everything exists that anybody asks for.

    not_found  the kinds of which nothing exists that is not listed
    """

    networks: tuple[KnownNetwork, ...] = ()
    subnets: tuple[KnownSubnet, ...] = ()
    ports: tuple[KnownPort, ...] = ()
    ip_availability: IpAvailability | None = None
    not_found: frozenset[Findable] = frozenset()
    qos_enabled: bool = True

    def network(self, id: UUID) -> KnownNetwork | None:
        return next((each for each in self.networks if each.id == id), None)

    def subnet(self, id: UUID) -> KnownSubnet | None:
        return next((each for each in self.subnets if each.id == id), None)

    def port(self, id: UUID) -> KnownPort | None:
        return next((each for each in self.ports if each.id == id), None)

    def subnets_of(self, network: KnownNetwork) -> tuple[UUID, ...]:
        if network.subnets is not None:
            return network.subnets
        return tuple(each.id for each in self.subnets if each.network_id == network.id)

    def network_of(self, subnet_id: UUID) -> UUID | None:
        """None for a subnet about which nobody said anything."""
        known = self.subnet(subnet_id)
        if known is not None and known.network_id is not None:
            return known.network_id
        return next((each.id for each in self.networks if subnet_id in (each.subnets or ())), None)

    @property
    def qos_policy_ids(self) -> frozenset[UUID]:
        """There is no list of policies, but those of ports exist."""
        return frozenset(each.qos_policy_id for each in self.ports if each.qos_policy_id is not None)


def prepared_network(document: object) -> PreparedNetwork:
    """Reads the JSON document. Raises Invalid for an unknown key and for a value of the wrong kind."""
    try:
        return msgspec.convert(document, PreparedNetwork)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None
