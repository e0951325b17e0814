"""Adding, changing and removing pools."""

from collections.abc import Mapping
from dataclasses import dataclass
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
from domain.errors import Invalid
from domain.fields import Name
from domain.pool import Pool
from domain.progress import Kind


@dataclass(frozen=True)
class AddPool:
    """listener_id: the listener whose default pool it becomes."""

    load_balancer_id: UUID
    pool: Pool
    listener_id: UUID | None
    origin: Origin


@dataclass(frozen=True)
class ChangePool:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    pool_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemovePool:
    load_balancer_id: UUID
    pool_id: UUID
    origin: Origin


class PoolHandler:
    def __init__(self, aggregates: Aggregates, turns: Turns) -> None:
        self._aggregates = aggregates
        self._turns = turns

    @retried_on_conflict
    def add(self, command: AddPool) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.add_pool(command.pool, command.listener_id)
        not_yet.require_pool_carried_out(command.pool)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def change(self, command: ChangePool) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        pool: Pool = wanted(load_balancer, Kind.POOL, command.pool_id)
        changed = pool.changed_by(command.changes)
        load_balancer.change_pool(changed)
        not_yet.require_pool_carried_out(changed)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def remove(self, command: RemovePool) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.remove_pool(command.pool_id)
        return saved(self._aggregates, load_balancer, origin=command.origin)


_ARGUMENT, _ROOT = "pool_", "pool"
PARSER = Parser(
    Pool,
    extra={"loadbalancer_id": UUID | None, "listener_id": UUID | None},
    ignored={"project_id": Name, "tenant_id": Name},
    not_yet=not_yet.POOL,
)


class PoolsResource:
    def __init__(self, handler: PoolHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        load_balancer_id, listener_id = given.pop("loadbalancer_id", None), given.pop("listener_id", None)
        pool = Pool(id=uuid4(), **given)
        place = self._place(load_balancer_id, listener_id)
        accepted = self._handler.add(AddPool(place, pool, listener_id, origin_of(req)))
        listeners = [listener.id for listener in accepted.load_balancer.tree.listeners_of(pool.id)]
        row = row_of_new(accepted, pool.id, pool, listeners=listeners, members=(), healthmonitor_id=None)
        created(resp, _ROOT, self._view.show(row))

    def _place(self, load_balancer_id: UUID | None, listener_id: UUID | None) -> UUID:
        """The load balancer named by one of the two; the aggregate sees to it that both mean the same."""
        if load_balancer_id is not None:
            return load_balancer_id
        if listener_id is not None:
            return self._places.place_of(Kind.LISTENER, listener_id).load_balancer_id
        raise Invalid("Validation failure: Must provide at least one of: loadbalancer_id, listener_id")


class PoolResource:
    def __init__(self, handler: PoolHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        command = ChangePool(before["load_balancer_id"], before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        pool = accepted.load_balancer.tree.pools[command.pool_id]
        answer(resp, {_ROOT: self._view.show(row_of_changed(before, accepted, pool.id, pool))})

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        pool_id = id_in_url("Pool", id)
        load_balancer_id = self._places.place_of(Kind.POOL, pool_id).load_balancer_id
        self._handler.remove(RemovePool(load_balancer_id, pool_id, origin_of(req)))
        empty(resp)
