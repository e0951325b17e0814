"""A member: one server behind a pool."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from domain.fields import FIXED, AdminStateUp, Between, IpAddress, Name, OnNull, Port, Tags


class VnicType(StrEnum):
    """How a port is attached: through the virtual switch, or past it."""

    NORMAL = "normal"
    DIRECT = "direct"


Weight = Annotated[int | None, Between(0, 256), OnNull(post=None, put=1)]


@dataclass(frozen=True, kw_only=True)
class Member:
    """The settings of a member, as the API user gave them.

    weight           share of the traffic relative to other members; 0 drains
    backup           serves only while no other member does
    monitor_address  where health checks go, when not to `address`
    vnic_type        "direct" where the user asked for SR-IOV
    monitor_port     likewise for `protocol_port`

    Names, limits, defaults: Octavia API reference v2, "Create Member".
    """

    id: UUID
    pool_id: UUID
    name: Name = ""
    admin_state_up: AdminStateUp = True
    address: Annotated[IpAddress, FIXED]
    protocol_port: Annotated[Port, FIXED]
    weight: Weight = 1
    backup: bool = False
    subnet_id: Annotated[UUID | None, FIXED] = None
    monitor_port: Port | None = None
    monitor_address: IpAddress | None = None
    vnic_type: Annotated[VnicType, FIXED] = VnicType.NORMAL
    tags: Tags = ()

    @property
    def socket(self) -> tuple[str, int]:
        """What tells members of a pool apart; the address is compared as text."""
        return self.address, self.protocol_port
