"""Adding, changing and removing pools."""

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
from commands.ports import Origin, Place, Places
from commands.request import ON_WRITES, caller_of, id_in_url, new_id, object_of, origin_of, require_no_arguments
from domain.deployment import Deployment
from domain.errors import Invalid
from domain.fields import ProjectId
from domain.load_balancer import LoadBalancer
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
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._providers = deciding.providers
        self._deployment = deciding.deployment

    def require_sensible(self, command: AddPool) -> None:
        """What is said of a new pool before anybody looks at its certificates."""
        pool, listener_id = command.pool, command.listener_id
        if listener_id is not None:
            self._deciding.try_out(
                command.load_balancer_id,
                command.origin,
                lambda found: found.require_place_for_pool(pool, listener_id),
            )
        pool.require_persistence_fits()
        pool.require_authority_for_revocations()

    def add(self, command: AddPool) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.require_place_for_pool(command.pool, command.listener_id)
            self._deployment.require_pool_allowed(command.pool)
            load_balancer.add_pool(command.pool, command.listener_id)
            self._providers.ask(load_balancer.provider, "pool_create", command.pool)

        return self._deciding.carry_out(command, decide)

    def change(self, command: ChangePool) -> Accepted:
        changes = self._deployment.completed_pool_change(command.changes)

        def decide(load_balancer: LoadBalancer) -> None:
            pool: Pool = wanted(load_balancer, Kind.POOL, command.pool_id)
            changed = pool.changed_by(changes)
            self._deployment.require_pool_change_allowed(changes)
            load_balancer.change_pool(changed)
            self._providers.ask(load_balancer.provider, "pool_update", changed)

        return self._deciding.carry_out(command, decide, of=command.pool_id)

    def remove(self, command: RemovePool) -> Accepted:
        """That a policy needs it is said before anything about its load balancer's state."""
        self._deciding.aggregates.load_balancer(command.load_balancer_id).tree.require_not_redirected_to(
            command.pool_id
        )

        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_pool(command.pool_id)
            self._providers.ask(load_balancer.provider, "pool_delete", command.pool_id)

        return self._deciding.carry_out(command, decide, of=command.pool_id)


_ARGUMENT, _ROOT = "pool_", "pool"
PARSER = Parser(
    Pool,
    extra={"loadbalancer_id": UUID | None, "listener_id": UUID | None},
    ignored={"project_id": ProjectId, "tenant_id": ProjectId},
    empty={"members": list, "healthmonitor": dict},
)


class PoolsResource:
    def __init__(
        self, handler: PoolHandler, view: View, places: Places, deployment: Deployment, certificates: Certificates
    ) -> None:
        self._handler = handler
        self._view = view
        self._places = places
        self._deployment = deployment
        self._certificates = certificates

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req, *ON_WRITES)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        load_balancer_id, listener_id = given.pop("loadbalancer_id", None), given.pop("listener_id", None)
        place = self._place(load_balancer_id, listener_id)
        caller_of(req).require("pool:post", place.project_id)
        pool = Pool(id=new_id(req), **self._deployment.completed_pool(given))
        command = AddPool(place.load_balancer_id, pool, listener_id, origin_of(req))
        self._handler.require_sensible(command)
        self._certificates.require(vars(pool), caller_of(req))
        accepted = self._handler.add(command)
        listeners = [listener.id for listener in accepted.load_balancer.tree.listeners_of(pool.id)]
        row = row_of_new(accepted, pool.id, pool, listeners=listeners, members=(), healthmonitor_id=None)
        created(resp, accepted, _ROOT, self._view.show(row))

    def _place(self, load_balancer_id: UUID | None, listener_id: UUID | None) -> Place:
        """The load balancer named by one of the two; the aggregate sees to it that both mean the same."""
        if load_balancer_id is not None:
            return self._places.place_of(Kind.LOAD_BALANCER, load_balancer_id)
        if listener_id is not None:
            return self._places.place_of(Kind.LISTENER, listener_id)
        raise Invalid("Validation failure: Must provide at least one of: loadbalancer_id, listener_id")


class PoolResource:
    def __init__(self, handler: PoolHandler, view: View, places: Places, certificates: Certificates) -> None:
        self._handler = handler
        self._view = view
        self._places = places
        self._certificates = certificates

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        caller_of(req).require("pool:put", before["project_id"])
        self._certificates.require(changes, caller_of(req))
        command = ChangePool(before["load_balancer_id"], before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        pool = accepted.load_balancer.tree.pools[command.pool_id]
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, pool.id, pool)))

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        pool_id = id_in_url("Pool", id)
        place = self._places.place_of(Kind.POOL, pool_id)
        caller_of(req).require("pool:delete", place.project_id)
        removed(resp, self._handler.remove(RemovePool(place.load_balancer_id, pool_id, origin_of(req))))
