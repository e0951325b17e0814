"""What was done to one amphora without its load balancer taking part; like all outcomes, it ends its action."""

from collections.abc import Callable
from uuid import UUID, uuid4

from commands.ports import Aggregates, Attempt, Origin
from commands.turns import Turns
from domain.amphora import Amphora


class AmphoraOutcomes:
    """Records outcomes. A late, repeated or overtaken one changes nothing."""

    def __init__(self, aggregates: Aggregates, turns: Turns) -> None:
        self._aggregates = aggregates
        self._turns = turns

    def failed_one_is_removed(self, amphora_id: UUID, completing: Attempt) -> None:
        """Nothing is left of one that could not be built; whose place it was to take is untouched."""
        self._record(amphora_id, Amphora.removed, completing)

    def removal_is_overdue(self, amphora_id: UUID, reason: str) -> None:
        """The action goes on."""
        self._record(amphora_id, lambda amphora: amphora.removal_is_overdue(reason))

    def agent_is_configured(self, amphora_id: UUID, completing: Attempt) -> None:
        self._record(amphora_id, Amphora.agent_is_configured, completing)

    def agent_is_not_configured(self, amphora_id: UUID, reason: str, completing: Attempt) -> None:
        self._record(amphora_id, lambda amphora: amphora.agent_is_not_configured(reason), completing)

    def _record(self, amphora_id: UUID, decide: Callable[[Amphora], None], completing: Attempt | None = None) -> None:
        command_id = uuid4()

        def once() -> None:
            amphora = self._aggregates.amphora(amphora_id)
            decide(amphora)
            self._aggregates.save(amphora, origin=Origin(command_id=command_id), completing=completing)

        self._turns.take(amphora_id, command_id, once)
