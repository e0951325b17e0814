"""The network of the noop profile: knows every id it is asked for and touches nothing."""

from collections.abc import Sequence
from uuid import UUID, uuid5

from commands.ports import Subnet, VipRequest
from domain.load_balancer import Vip
from processes.ports import AmphoraPort

NETWORK_ID = UUID("6c3d42f1-9d3e-5a0c-8f39-0d5a3b9d7c10")
"""The one network that all subnets belong to which nothing else is known about."""

DEFAULT_ADDRESS = "198.0.2.5"


class NoopNetwork:
    """Fulfils VipAllocation, VipPlugging and NetworkReads. Addresses are nobody's: many may have the same one."""

    # commands.ports.VipAllocation

    def resolve(self, request: VipRequest, attempt: int) -> Vip:
        return Vip(
            address=request.address or DEFAULT_ADDRESS,
            port_id=request.port_id or uuid5(request.load_balancer_id, "vip-port"),
            subnet_id=request.subnet_id or uuid5(request.network_id or NETWORK_ID, "subnet"),
            network_id=request.network_id or NETWORK_ID,
            is_exclusive=False,
        )

    def find_subnet(self, id: UUID) -> Subnet | None:
        return Subnet(id=id, network_id=NETWORK_ID, name="", cidr="198.0.2.0/24")

    # processes.ports.VipPlugging

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        """Done at once."""
        return AmphoraPort(subnet_cidr="198.0.2.0/24", mac_address="00:00:00:00:00:00")

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        """Done at once."""

    # commands.ports.NetworkReads: nothing is prepared, so there is nothing to list

    def networks(self) -> Sequence[dict[str, object]]:
        return []

    def subnets(self) -> Sequence[dict[str, object]]:
        return []

    def ports(self) -> Sequence[dict[str, object]]:
        return []

    def qos_policies(self) -> Sequence[dict[str, object]]:
        return []
