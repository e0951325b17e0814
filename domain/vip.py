"""A VIP: the addresses that clients of a load balancer connect to, and the port of the network that holds them."""

from dataclasses import dataclass
from uuid import UUID

from domain.fields import IpAddress
from domain.member import VnicType


@dataclass(frozen=True, kw_only=True)
class AdditionalVip:
    """One more address on the port of the VIP; the port is known once the network has made it."""

    subnet_id: UUID
    ip_address: IpAddress | None = None
    port_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Vip:
    """The address that clients connect to, and the port of the network that holds it.

    is_exclusive  whether no other load balancer may have the address on this network
    is_ours       whether the port was made for the load balancer, and goes with it
    """

    address: str
    port_id: UUID
    subnet_id: UUID
    network_id: UUID
    is_exclusive: bool = True
    is_ours: bool = True
    vnic_type: VnicType = VnicType.NORMAL
    additional: tuple[AdditionalVip, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """The first one and those besides, as far as they are known."""
        return (self.address, *(each.ip_address for each in self.additional if each.ip_address is not None))
