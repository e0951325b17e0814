"""Adding, changing and removing health monitors."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from falcon import Request, Response

from commands.accepted import Accepted
from commands.answer import View, changed, created, removed, row_of_changed, row_of_new, wanted
from commands.body import Parser
from commands.deciding import Deciding
from commands.ports import Origin, Places
from commands.request import ON_WRITES, caller_of, new_id, object_of, origin_of, require_no_arguments
from domain.fields import ProjectId
from domain.health_monitor import HealthMonitor
from domain.load_balancer import LoadBalancer
from domain.pool import Pool
from domain.progress import Kind


@dataclass(frozen=True)
class AddHealthMonitor:
    load_balancer_id: UUID
    health_monitor: HealthMonitor
    origin: Origin


@dataclass(frozen=True)
class ChangeHealthMonitor:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    pool_id: UUID
    health_monitor_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveHealthMonitor:
    load_balancer_id: UUID
    pool_id: UUID
    health_monitor_id: UUID
    origin: Origin


class HealthMonitorHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._providers = deciding.providers
        self._deployment = deciding.deployment

    def add(self, command: AddHealthMonitor) -> Accepted:
        monitor = command.health_monitor

        def decide(load_balancer: LoadBalancer) -> None:
            pool: Pool = wanted(load_balancer, Kind.POOL, monitor.pool_id)
            self._deployment.require_health_monitor_allowed(monitor, pool.protocol)
            load_balancer.add_health_monitor(monitor)
            self._providers.ask(load_balancer.provider, "health_monitor_create", monitor)

        return self._deciding.carry_out(command, decide, below=[monitor.pool_id])

    def change(self, command: ChangeHealthMonitor) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            monitor: HealthMonitor = wanted(load_balancer, Kind.HEALTH_MONITOR, command.health_monitor_id)
            changed = replace(monitor, **command.changes)
            self._deployment.require_delay_allowed(changed)
            load_balancer.change_health_monitor(changed)
            self._providers.ask(load_balancer.provider, "health_monitor_update", changed)

        return self._deciding.carry_out(command, decide, of=command.health_monitor_id, below=[command.pool_id])

    def remove(self, command: RemoveHealthMonitor) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_health_monitor(command.health_monitor_id)
            self._providers.ask(load_balancer.provider, "health_monitor_delete", command.health_monitor_id)

        return self._deciding.carry_out(command, decide, of=command.health_monitor_id, below=[command.pool_id])


_ARGUMENT, _ROOT = "health_monitor_", "healthmonitor"
PARSER = Parser(HealthMonitor, ignored={"project_id": ProjectId, "tenant_id": ProjectId})


class HealthMonitorsResource:
    def __init__(self, handler: HealthMonitorHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req, *ON_WRITES)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        monitor = HealthMonitor(id=new_id(req), **given).with_http_defaults()
        place = self._places.place_of(Kind.POOL, monitor.pool_id)
        caller_of(req).require("healthmonitor:post", place.project_id)
        accepted = self._handler.add(AddHealthMonitor(place.load_balancer_id, monitor, origin_of(req)))
        row = row_of_new(accepted, monitor.id, monitor, pool_id=monitor.pool_id)
        created(resp, accepted, _ROOT, self._view.show(row))


class HealthMonitorResource:
    def __init__(self, handler: HealthMonitorHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        caller_of(req).require("healthmonitor:put", before["project_id"])
        command = ChangeHealthMonitor(
            before["load_balancer_id"], before["pool_id"], before["id"], changes, origin_of(req)
        )
        accepted = self._handler.change(command)
        monitor = accepted.load_balancer.tree.health_monitors[command.health_monitor_id]
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, monitor.id, monitor)))

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        row = self._view.row(id)
        caller_of(req).require("healthmonitor:delete", row["project_id"])
        command = RemoveHealthMonitor(row["load_balancer_id"], row["pool_id"], row["id"], origin_of(req))
        removed(resp, self._handler.remove(command))
