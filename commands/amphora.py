"""Failing over, configuring and deleting single amphorae, as operators ask for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import falcon
from falcon import Request, Response

from commands.accepted import Accepted, saved
from commands.answer import View, removed
from commands.deciding import Deciding
from commands.load_balancer import replaced
from commands.ports import Origin
from commands.request import ON_WRITES, caller_of, origin_of, require_no_arguments
from domain.amphora import Amphora
from domain.errors import Immutable
from domain.fields import ProvisioningStatus
from domain.load_balancer import LoadBalancer


@dataclass(frozen=True)
class FailOverAmphora:
    """Put a new amphora in the place of one that is in service."""

    load_balancer_id: UUID
    amphora_id: UUID
    origin: Origin


@dataclass(frozen=True)
class ConfigureAmphora:
    """Send the agent of an amphora its settings anew."""

    load_balancer_id: UUID
    amphora_id: UUID
    origin: Origin


@dataclass(frozen=True)
class DeleteAmphora:
    """Remove what there is of an amphora that could not be built."""

    load_balancer_id: UUID
    amphora_id: UUID
    origin: Origin


Command = FailOverAmphora | ConfigureAmphora | DeleteAmphora
Decide = Callable[[LoadBalancer], Sequence[Amphora]]
"""Returns the amphorae that it decided on."""


class AmphoraHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._aggregates = deciding.aggregates

    def fail_over(self, command: FailOverAmphora) -> Accepted | None:
        """Where locks are strict, its load balancer has to be at rest. Raises Immutable, NotFound."""

        def decide(load_balancer: LoadBalancer) -> Sequence[Amphora]:
            load_balancer.require_changeable()
            if self._deciding.deployment.strict_immutability:
                load_balancer.require_at_rest()
            self._aggregates.amphora(command.amphora_id).require_in_service()
            return replaced(self._aggregates, load_balancer, command.amphora_id)

        return self._carry_out(command, decide)

    def configure(self, command: ConfigureAmphora) -> Accepted | None:
        """Raises NotFound."""

        def decide(load_balancer: LoadBalancer) -> Sequence[Amphora]:
            amphora = self._aggregates.amphora(command.amphora_id)
            amphora.request_agent_configuration()
            return [amphora]

        return self._carry_out(command, decide)

    def delete(self, command: DeleteAmphora) -> Accepted | None:
        """Raises Immutable for any but a failed one, and for one that goes with its load balancer; NotFound."""

        def decide(load_balancer: LoadBalancer) -> Sequence[Amphora]:
            if load_balancer.provisioning_status == ProvisioningStatus.PENDING_DELETE:
                raise Immutable("amphora", command.amphora_id)
            amphora = self._aggregates.amphora(command.amphora_id)
            amphora.request_removal()
            return [amphora]

        return self._carry_out(command, decide)

    def _carry_out(self, command: Command, decide: Decide) -> Accepted:
        def decided() -> Accepted:
            load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
            amphorae = decide(load_balancer)
            return saved(self._aggregates, load_balancer, *amphorae, origin=command.origin)

        return self._deciding.in_turn(command, decided)


class AmphoraFailoverResource:
    def __init__(self, handler: AmphoraHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        """A body means nothing here."""
        require_no_arguments(req, *ON_WRITES)
        row = self._view.row(id)
        _require(req, "put_failover")
        command = FailOverAmphora(row["load_balancer_id"], row["id"], origin_of(req))
        removed(resp, self._handler.fail_over(command), falcon.HTTP_202)


class AmphoraConfigResource:
    def __init__(self, handler: AmphoraHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        """A body means nothing here."""
        require_no_arguments(req, *ON_WRITES)
        row = self._view.row(id)
        _require(req, "put_config")
        command = ConfigureAmphora(row["load_balancer_id"], row["id"], origin_of(req))
        removed(resp, self._handler.configure(command), falcon.HTTP_202)


class AmphoraResource:
    def __init__(self, handler: AmphoraHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        _require(req, "delete")
        row = self._view.row(id)
        command = DeleteAmphora(row["load_balancer_id"], row["id"], origin_of(req))
        removed(resp, self._handler.delete(command))


def _require(request: Request, action: str) -> None:
    """Amphorae belong to no project: policy is asked for the caller's own."""
    caller = caller_of(request)
    caller.require(f"amphora:{action}", caller.project_id)
