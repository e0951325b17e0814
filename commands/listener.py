"""Adding, changing and removing listeners."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from falcon import Request, Response

from commands.accepted import Accepted
from commands.answer import View, changed, created, removed, row_of_changed, row_of_new, wanted
from commands.body import Parser
from commands.certificates import Certificates
from commands.deciding import Deciding
from commands.ports import Origin, Places
from commands.request import (
    ON_WRITES,
    caller_of,
    id_in_url,
    json_of,
    new_id,
    object_of,
    origin_of,
    require_no_arguments,
)
from domain.deployment import Deployment
from domain.errors import Invalid
from domain.fields import ProjectId
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.progress import Kind


@dataclass(frozen=True)
class AddListener:
    load_balancer_id: UUID
    listener: Listener
    origin: Origin


@dataclass(frozen=True)
class ChangeListener:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    listener_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveListener:
    load_balancer_id: UUID
    listener_id: UUID
    origin: Origin


class ListenerHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._providers = deciding.providers
        self._deployment = deciding.deployment

    def require_sensible(self, command: AddListener) -> None:
        """What is said of a new listener before anybody looks at its certificates."""
        listener = command.listener
        if listener.default_pool_id is not None:
            self._deciding.try_out(
                command.load_balancer_id, command.origin, lambda found: found.require_default_pool_fits(listener)
            )
        self._deployment.require_listener_allowed(listener)

    def add(self, command: AddListener) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            self._deployment.require_listener_allowed(command.listener)
            load_balancer.require_place_for(command.listener)
            self._deployment.require_versions_allowed(command.listener)
            load_balancer.add_listener(command.listener)
            self._providers.ask(load_balancer.provider, "listener_create", command.listener)

        return self._deciding.carry_out(command, decide)

    def require_sensible_change(self, command: ChangeListener) -> None:
        """Likewise of a change."""
        changes = self._deployment.completed_listener_change(command.changes)

        def decide(load_balancer: LoadBalancer) -> None:
            listener: Listener = wanted(load_balancer, Kind.LISTENER, command.listener_id)
            listener.changed_by(changes)

        self._deciding.try_out(command.load_balancer_id, command.origin, decide)

    def change(self, command: ChangeListener) -> Accepted:
        changes = self._deployment.completed_listener_change(command.changes)

        def decide(load_balancer: LoadBalancer) -> None:
            listener: Listener = wanted(load_balancer, Kind.LISTENER, command.listener_id)
            changed = listener.changed_by(changes)
            load_balancer.require_clients_can_reach(changed)
            self._deployment.require_listener_change_allowed(changes)
            changed.require_tls_change_fits(changes)
            load_balancer.change_listener(changed)
            self._providers.ask(load_balancer.provider, "listener_update", changed)

        return self._deciding.carry_out(command, decide, of=command.listener_id)

    def remove(self, command: RemoveListener) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_listener(command.listener_id)
            self._providers.ask(load_balancer.provider, "listener_delete", command.listener_id)

        return self._deciding.carry_out(command, decide, of=command.listener_id)


def _named_with(changes: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The secrets that a change names; an authority and its revocations are held against each other, so both are."""
    known = {name: before.get(name) for name in _AUTHORITY} if any(name in changes for name in _AUTHORITY) else {}
    return {**known, **changes}


_AUTHORITY = ("client_ca_tls_container_ref", "client_crl_container_ref")
_SECRETS = frozenset({"default_tls_container_ref", "sni_container_refs", *_AUTHORITY})


_ARGUMENT, _ROOT = "listener_", "listener"
PARSER = Parser(
    Listener,
    extra={"loadbalancer_id": UUID},
    ignored={"project_id": ProjectId, "tenant_id": ProjectId},
    empty={"default_pool": dict, "l7policies": list},
)


class ListenersResource:
    def __init__(
        self,
        handler: ListenerHandler,
        view: View,
        places: Places,
        deployment: Deployment,
        certificates: Certificates,
    ) -> None:
        self._handler = handler
        self._view = view
        self._places = places
        self._deployment = deployment
        self._certificates = certificates

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req, *ON_WRITES)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        load_balancer_id = given.pop("loadbalancer_id")
        place = self._places.place_of(Kind.LOAD_BALANCER, load_balancer_id)
        caller_of(req).require("listener:post", place.project_id)
        listener = Listener(id=new_id(req), **self._deployment.completed_listener(given))
        command = AddListener(load_balancer_id, listener, origin_of(req))
        self._handler.require_sensible(command)
        self._certificates.require(vars(listener), caller_of(req))
        accepted = self._handler.add(command)
        created(resp, accepted, _ROOT, self._view.show(row_of_new(accepted, listener.id, listener, l7policies=())))


class ListenerResource:
    def __init__(self, handler: ListenerHandler, view: View, places: Places, certificates: Certificates) -> None:
        self._handler = handler
        self._view = view
        self._places = places
        self._certificates = certificates

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        if json_of(req, _ARGUMENT) == {_ROOT: None}:
            raise Invalid("Validation failure: No listener object supplied.")
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        caller_of(req).require("listener:put", before["project_id"])
        command = ChangeListener(before["load_balancer_id"], before["id"], changes, origin_of(req))
        if changes.keys() & _SECRETS:
            self._handler.require_sensible_change(command)
            self._certificates.require(_named_with(changes, before["document"]), caller_of(req))
        accepted = self._handler.change(command)
        listener = accepted.load_balancer.tree.listeners[command.listener_id]
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, listener.id, listener)))

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        listener_id = id_in_url("Listener", id)
        place = self._places.place_of(Kind.LISTENER, listener_id)
        caller_of(req).require("listener:delete", place.project_id)
        accepted = self._handler.remove(RemoveListener(place.load_balancer_id, listener_id, origin_of(req)))
        removed(resp, accepted)
