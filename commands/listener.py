"""Adding, changing and removing listeners."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from falcon import Request, Response

from commands import not_yet
from commands.accepted import Accepted, saved
from commands.answer import View, answer, created, empty, row_of_changed, row_of_new, wanted
from commands.body import Parser
from commands.ports import Aggregates, Origin, Places
from commands.request import id_in_url, object_of, origin_of, require_no_arguments
from commands.retry import retried_on_conflict
from commands.turns import Turns
from domain.fields import Name
from domain.listener import Listener
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
    def __init__(self, aggregates: Aggregates, turns: Turns) -> None:
        self._aggregates = aggregates
        self._turns = turns

    @retried_on_conflict
    def add(self, command: AddListener) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.add_listener(command.listener)
        not_yet.require_listener_carried_out(command.listener)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def change(self, command: ChangeListener) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        listener: Listener = wanted(load_balancer, Kind.LISTENER, command.listener_id)
        load_balancer.change_listener(replace(listener, **command.changes))
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def remove(self, command: RemoveListener) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.remove_listener(command.listener_id)
        return saved(self._aggregates, load_balancer, origin=command.origin)


_ARGUMENT, _ROOT = "listener_", "listener"
PARSER = Parser(
    Listener,
    extra={"loadbalancer_id": UUID},
    ignored={"project_id": Name, "tenant_id": Name},
    not_yet=not_yet.LISTENER,
)


class ListenersResource:
    def __init__(self, handler: ListenerHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        load_balancer_id = given.pop("loadbalancer_id")
        listener = Listener(id=uuid4(), **given)
        accepted = self._handler.add(AddListener(load_balancer_id, listener, origin_of(req)))
        created(resp, _ROOT, self._view.show(row_of_new(accepted, listener.id, listener)))


class ListenerResource:
    def __init__(self, handler: ListenerHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        command = ChangeListener(before["load_balancer_id"], before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        listener = accepted.load_balancer.tree.listeners[command.listener_id]
        answer(resp, {_ROOT: self._view.show(row_of_changed(before, accepted, listener.id, listener))})

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        listener_id = id_in_url("Listener", id)
        load_balancer_id = self._places.place_of(Kind.LISTENER, listener_id).load_balancer_id
        self._handler.remove(RemoveListener(load_balancer_id, listener_id, origin_of(req)))
        empty(resp)
