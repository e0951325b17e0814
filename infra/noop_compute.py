"""Compute of the noop profile: every amphora is there at once, and nothing runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from processes.ports import BootOrder, ComputeState


@dataclass
class NoopComputeDriver:
    """processes.ports.ComputeDriver that remembers what it was asked for."""

    booted: dict[UUID, BootOrder] = field(default_factory=dict)

    def boot(self, order: BootOrder) -> str:
        self.booted[order.amphora_id] = order
        return str(order.amphora_id)

    def look(self, compute_id: str) -> ComputeState:
        return ComputeState(status="ACTIVE", management_address="noop")

    def remove(self, amphora_id: UUID) -> None:
        self.booted.pop(amphora_id, None)

    def inventory(self) -> Sequence[UUID]:
        return tuple(self.booted)
