"""How a command on a load balancer is carried out: load, let it decide, save; who was outrun decides again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from commands.accepted import Accepted, saved
from commands.ports import Aggregates, Origin, ProviderGate
from commands.turns import Turns
from domain.deployment import Deployment
from domain.entity_tag import tag_of
from domain.errors import Immutable, InvalidState, PreconditionFailed
from domain.fields import ProvisioningStatus
from domain.load_balancer import LoadBalancer


class Command(Protocol):
    """What changes one load balancer."""

    @property
    def load_balancer_id(self) -> UUID: ...

    @property
    def origin(self) -> Origin: ...


Decide = Callable[[LoadBalancer], object]
"""Calls the aggregate's decisions. Raises what they raise; called again when another writer was faster."""


@dataclass(frozen=True)
class Deciding:
    """What every handler needs to decide."""

    aggregates: Aggregates
    turns: Turns
    providers: ProviderGate
    deployment: Deployment = field(default_factory=Deployment)

    def carry_out(
        self,
        command: Command,
        decide: Decide,
        *,
        of: UUID | None = None,
        below: Sequence[UUID] = (),
        states: Sequence[ProvisioningStatus] = (),
    ) -> Accepted:
        """Repeated while other writers of this load balancer are faster (commands/turns.py says for how long).

        of      the object that is changed or removed: `If-Match` speaks of it
        below   what stands above the object besides the load balancer, and has to be at rest where locks are strict
        states  of the load balancer itself, which is all that has to be in one of them where locks are strict

        Raises PreconditionFailed, Immutable, and what `decide` and Aggregates.save raise.
        """

        def decided() -> Accepted:
            load_balancer = self.aggregates.load_balancer(command.load_balancer_id)
            require_match(load_balancer, of, command.origin)
            if self.deployment.strict_immutability:
                _require_unlocked(load_balancer, below, states)
            if ProvisioningStatus.ERROR not in states:  # a deletion calls off what waits
                self._require_room(load_balancer, of_itself=bool(states))
            decide(load_balancer)
            return saved(self.aggregates, load_balancer, origin=command.origin)

        return self.in_turn(command, decided)

    def try_out(self, load_balancer_id: UUID, origin: Origin, decide: Decide) -> None:
        """Decide on what is forgotten then: for refusals that come before something else is asked.

        A command that came before is past that: its own effect must not refuse it.
        """
        if not origin.is_repeated:
            decide(self.aggregates.load_balancer(load_balancer_id))

    def _require_room(self, load_balancer: LoadBalancer, *, of_itself: bool) -> None:
        if load_balancer.unapplied_changes < self.deployment.most_unapplied_changes:
            return
        if of_itself:
            raise InvalidState(load_balancer.provisioning_status, load_balancer.id)
        raise Immutable("Load Balancer", load_balancer.id)

    def in_turn(self, command: Command, decided: Callable[[], Accepted]) -> Accepted:
        """When the log holds the command already, its answer was lost and not its effect: what it left answers."""
        accepted = self._carried_out(command) if command.origin.is_repeated else None
        accepted = accepted or self.turns.take(command.load_balancer_id, command.origin.command_id, decided)
        accepted = accepted or self._carried_out(command)
        assert accepted is not None, "whoever takes no turn was carried out before"
        return accepted

    def _carried_out(self, command: Command) -> Accepted | None:
        found = self.aggregates.load_balancer_as_of(command.load_balancer_id, command.origin.command_id)
        return None if found is None else Accepted(*found)


def _require_unlocked(load_balancer: LoadBalancer, below: Sequence[UUID], states: Sequence[ProvisioningStatus]) -> None:
    if states:
        load_balancer.require_state(*states)
    else:
        load_balancer.require_at_rest(below)


def require_match(load_balancer: LoadBalancer, id: UUID | None, origin: Origin) -> None:
    """The tag is that of the object's settings; a status that changed meanwhile does not count."""
    if origin.if_match is None or id is None:
        return
    edited = load_balancer.edited(id)
    if edited is None:
        raise PreconditionFailed(id)
    origin.if_match.require(tag_of(edited), id)
