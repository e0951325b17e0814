"""Marks the handlers' methods that load, let decide and save: the loser of two writers decides again."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Protocol, TypeVar
from uuid import UUID

from commands.accepted import Accepted
from commands.ports import Aggregates, Origin
from commands.turns import Turns


class Command(Protocol):
    """What changes one load balancer."""

    @property
    def load_balancer_id(self) -> UUID: ...

    @property
    def origin(self) -> Origin: ...


class Handler(Protocol):
    _aggregates: Aggregates
    _turns: Turns


H = TypeVar("H", bound=Handler)
C = TypeVar("C", bound=Command)


def retried_on_conflict(decide: Callable[[H, C], Accepted]) -> Callable[[H, C], Accepted]:
    """Repeated while other writers of this load balancer are faster (commands/turns.py says for how long).

    When the log holds the command already, its answer was lost and not its effect: what is there now is the answer.
    """

    @wraps(decide)
    def decided(handler: H, command: C) -> Accepted:
        origin, load_balancer_id = command.origin, command.load_balancer_id
        accepted = handler._turns.take(load_balancer_id, origin.command_id, partial(decide, handler, command))
        if accepted is not None:
            return accepted
        load_balancer = handler._aggregates.load_balancer(load_balancer_id)
        return Accepted(load_balancer, load_balancer.modified_on)

    return decided
