"""Repairing a load balancer: somebody found something wrong, and says why."""

from dataclasses import dataclass
from uuid import UUID

from commands.accepted import Accepted, saved
from commands.deciding import Deciding
from commands.ports import Origin
from domain.errors import Invalid

_LONGEST_REASON = 1_000


@dataclass(frozen=True)
class Repair:
    """Have all that carries a load balancer looked at, and pushed to again or replaced; a deletion is done again.

    why  for whoever reads the history
    """

    load_balancer_id: UUID
    why: str
    origin: Origin


class RepairHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding

    def repair(self, command: Repair) -> Accepted:
        """Whatever it is waiting for. Raises Invalid without a reason, NotFound."""
        why = command.why.strip()
        if not why or len(why) > _LONGEST_REASON:
            raise Invalid(f"Validation failure: Why has to be said, in at most {_LONGEST_REASON} characters")

        def repaired() -> Accepted:
            load_balancer = self._deciding.aggregates.load_balancer(command.load_balancer_id)
            load_balancer.request_repair(why)
            return saved(self._deciding.aggregates, load_balancer, origin=command.origin)

        return self._deciding.in_turn(command, repaired)
