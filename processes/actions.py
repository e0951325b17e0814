"""The durable actions: what processes want done outside. Each reads its aggregate when it runs; repeating is fine."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar
from uuid import UUID


class Priority(IntEnum):
    """Lower goes first."""

    REMOVAL = 5
    FAILOVER = 10
    CHANGE = 20
    BUILD = 30
    REPAIR = 40


class Term(IntEnum):
    """Which setting gives an action its deadline."""

    PUSH = 1
    BUILD = 2
    DELETE = 3


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing to be done. There is at most one row for each kind and object.

    wanted         the revision it is wanted for; more wanted while it runs makes it due again
    after_seconds  the pause before it is due
    cause          position of the event that it follows from, by which the request behind it is found
    """

    kind: ClassVar[str]
    priority: ClassVar[Priority]
    term: ClassVar[Term]

    load_balancer_id: UUID
    wanted: int = 0
    after_seconds: float = 0.0
    cause: int = field(default=0, compare=False)

    @property
    def object_id(self) -> UUID:
        return self.load_balancer_id

    @property
    def lane(self) -> str:
        """Actions of one lane run one at a time."""
        return f"load balancer {self.load_balancer_id}"


@dataclass(frozen=True, kw_only=True)
class AmphoraAction(Action):
    """Something sent to one amphora, or done to it."""

    amphora_id: UUID

    @property
    def object_id(self) -> UUID:
        return self.amphora_id

    @property
    def lane(self) -> str:
        return f"amphora {self.amphora_id}"


@dataclass(frozen=True, kw_only=True)
class BuildAmphora(AmphoraAction):
    """Take the next steps towards an amphora that can carry a configuration."""

    kind = "BuildAmphora"
    priority = Priority.BUILD
    term = Term.BUILD


@dataclass(frozen=True, kw_only=True)
class RemoveAmphora(AmphoraAction):
    """Take down whatever there is of an amphora, and of those before it, because its load balancer goes."""

    kind = "RemoveAmphora"
    priority = Priority.REMOVAL
    term = Term.DELETE


@dataclass(frozen=True, kw_only=True)
class RemoveFailedAmphora(AmphoraAction):
    """Take down what there is of an amphora that could not be built, and of no other."""

    kind = "RemoveFailedAmphora"
    priority = Priority.REMOVAL
    term = Term.DELETE


@dataclass(frozen=True, kw_only=True)
class OrderReplacement(AmphoraAction):
    """Ask for another amphora in the place of one that could not be built."""

    kind = "OrderReplacement"
    priority = Priority.REPAIR
    term = Term.BUILD


@dataclass(frozen=True, kw_only=True)
class RepairAmphora(AmphoraAction):
    """Look what is wrong with an amphora, and have it done that mends it."""

    kind = "RepairAmphora"
    priority = Priority.REPAIR
    term = Term.PUSH


@dataclass(frozen=True, kw_only=True)
class ReleaseVip(Action):
    """Give the VIP back once no amphora is left, which ends a deletion."""

    kind = "ReleaseVip"
    priority = Priority.REMOVAL
    term = Term.DELETE


@dataclass(frozen=True, kw_only=True)
class ApplyConfiguration(Action):
    """Have every amphora in service run the latest revision."""

    kind = "ApplyConfiguration"
    priority = Priority.CHANGE
    term = Term.PUSH


@dataclass(frozen=True, kw_only=True)
class PushConfiguration(AmphoraAction):
    """Have one amphora run the latest revision."""

    kind = "PushConfiguration"
    priority = Priority.CHANGE
    term = Term.PUSH


@dataclass(frozen=True, kw_only=True)
class RetryRefused(AmphoraAction):
    """Try once more what an amphora refused: what was in the way may be gone."""

    kind = "RetryRefused"
    priority = Priority.REPAIR
    term = Term.PUSH


@dataclass(frozen=True, kw_only=True)
class ConfigureAgent(AmphoraAction):
    """Send an agent its settings."""

    kind = "ConfigureAgent"
    priority = Priority.CHANGE
    term = Term.PUSH


ACTIONS: dict[str, type[Action]] = {
    action.kind: action
    for action in (
        BuildAmphora,
        RemoveAmphora,
        RemoveFailedAmphora,
        OrderReplacement,
        RepairAmphora,
        ReleaseVip,
        ApplyConfiguration,
        PushConfiguration,
        RetryRefused,
        ConfigureAgent,
    )
}
