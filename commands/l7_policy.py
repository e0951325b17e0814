"""Adding, changing and removing L7 policies."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from falcon import Request, Response

from commands.accepted import Accepted
from commands.answer import View, changed, created, removed, row_of_changed, row_of_new, wanted
from commands.body import Parser
from commands.deciding import Deciding
from commands.ports import Origin, Places
from commands.request import ON_WRITES, caller_of, id_in_url, new_id, object_of, origin_of, require_no_arguments
from domain.fields import ProjectId
from domain.l7_policy import InvalidArguments, L7Policy
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.progress import Kind


@dataclass(frozen=True)
class AddL7Policy:
    load_balancer_id: UUID
    l7_policy: L7Policy
    origin: Origin


@dataclass(frozen=True)
class ChangeL7Policy:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    l7_policy_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveL7Policy:
    load_balancer_id: UUID
    l7_policy_id: UUID
    origin: Origin


class L7PolicyHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._providers = deciding.providers

    def require_target_fits(
        self, load_balancer_id: UUID, listener_id: UUID, pool_id: UUID | None, origin: Origin
    ) -> None:
        """What is said of the pool that a new policy names, also when its action drops it."""
        self._deciding.try_out(load_balancer_id, origin, lambda found: found.require_target_fits(listener_id, pool_id))

    def add(self, command: AddL7Policy) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.add_l7_policy(command.l7_policy)
            self._providers.ask(
                load_balancer.provider,
                "l7policy_create",
                command.l7_policy,
                _listener_of(load_balancer, command.l7_policy),
            )

        return self._deciding.carry_out(command, decide)

    def change(self, command: ChangeL7Policy) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            policy: L7Policy = wanted(load_balancer, Kind.L7_POLICY, command.l7_policy_id)
            changed = policy.changed_by(command.changes)
            load_balancer.change_l7_policy(changed)
            self._providers.ask(
                load_balancer.provider, "l7policy_update", changed, _listener_of(load_balancer, changed)
            )

        return self._deciding.carry_out(command, decide, of=command.l7_policy_id)

    def remove(self, command: RemoveL7Policy) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_l7_policy(command.l7_policy_id)
            self._providers.ask(load_balancer.provider, "l7policy_delete", command.l7_policy_id)

        return self._deciding.carry_out(command, decide, of=command.l7_policy_id)


def _listener_of(load_balancer: LoadBalancer, policy: L7Policy) -> Listener:
    """A provider may carry out policies of some listeners only."""
    return load_balancer.tree.listeners[policy.listener_id]


_ARGUMENT, _ROOT = "l7policy_", "l7policy"
PARSER = Parser(L7Policy, ignored={"project_id": ProjectId, "tenant_id": ProjectId}, empty={"rules": list})


class L7PoliciesResource:
    def __init__(self, handler: L7PolicyHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req, *ON_WRITES)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        place = self._places.place_of(Kind.LISTENER, given["listener_id"])
        caller_of(req).require("l7policy:post", place.project_id)
        origin, pool_id = origin_of(req), given.get("redirect_pool_id")
        self._handler.require_target_fits(place.load_balancer_id, given["listener_id"], pool_id, origin)
        policy = L7Policy(id=new_id(req), **L7Policy.normalised(given))
        accepted = self._handler.add(AddL7Policy(place.load_balancer_id, policy, origin))
        policy = accepted.load_balancer.tree.l7_policies[policy.id]
        created(resp, accepted, _ROOT, self._view.show(row_of_new(accepted, policy.id, policy, rules=())))


class L7PolicyResource:
    def __init__(self, handler: L7PolicyHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        said = object_of(req, _ARGUMENT, _ROOT)
        changes = PARSER.changes(said)
        before = self._view.row(id)
        caller_of(req).require("l7policy:put", before["project_id"])
        if not said.attributes:  # null for the position says something, although it changes nothing
            raise InvalidArguments("Invalid update options")
        command = ChangeL7Policy(before["load_balancer_id"], before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        policy = accepted.load_balancer.tree.l7_policies[command.l7_policy_id]
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, policy.id, policy)))

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        policy_id = id_in_url("L7 Policy", id)
        place = self._places.place_of(Kind.L7_POLICY, policy_id)
        caller_of(req).require("l7policy:delete", place.project_id)
        removed(resp, self._handler.remove(RemoveL7Policy(place.load_balancer_id, policy_id, origin_of(req))))
