"""Adding, changing and removing health monitors."""

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
from domain.errors import Invalid
from domain.fields import Name
from domain.health_monitor import HealthMonitor, HealthMonitorType
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
    health_monitor_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveHealthMonitor:
    load_balancer_id: UUID
    health_monitor_id: UUID
    origin: Origin


class HealthMonitorHandler:
    """ping_allowed: whether this deployment has checks by ICMP."""

    def __init__(self, aggregates: Aggregates, turns: Turns, *, ping_allowed: bool) -> None:
        self._aggregates = aggregates
        self._turns = turns
        self._ping_allowed = ping_allowed

    @retried_on_conflict
    def add(self, command: AddHealthMonitor) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        monitor = command.health_monitor
        if monitor.type == HealthMonitorType.PING and not self._ping_allowed:
            raise Invalid("The selected type is not allowed in this deployment: PING")
        load_balancer.add_health_monitor(monitor)
        not_yet.require_health_monitor_carried_out(monitor)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def change(self, command: ChangeHealthMonitor) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        monitor: HealthMonitor = wanted(load_balancer, Kind.HEALTH_MONITOR, command.health_monitor_id)
        load_balancer.change_health_monitor(replace(monitor, **command.changes))
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def remove(self, command: RemoveHealthMonitor) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.remove_health_monitor(command.health_monitor_id)
        return saved(self._aggregates, load_balancer, origin=command.origin)


_ARGUMENT, _ROOT = "health_monitor_", "healthmonitor"
PARSER = Parser(HealthMonitor, ignored={"project_id": Name, "tenant_id": Name})


class HealthMonitorsResource:
    def __init__(self, handler: HealthMonitorHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req)
        given = PARSER.given(object_of(req, _ARGUMENT, _ROOT))
        monitor = HealthMonitor(id=uuid4(), **given).with_http_defaults()
        load_balancer_id = self._places.place_of(Kind.POOL, monitor.pool_id).load_balancer_id
        accepted = self._handler.add(AddHealthMonitor(load_balancer_id, monitor, origin_of(req)))
        row = row_of_new(accepted, monitor.id, monitor, pool_id=monitor.pool_id)
        created(resp, _ROOT, self._view.show(row))


class HealthMonitorResource:
    def __init__(self, handler: HealthMonitorHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        command = ChangeHealthMonitor(before["load_balancer_id"], before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        monitor = accepted.load_balancer.tree.health_monitors[command.health_monitor_id]
        answer(resp, {_ROOT: self._view.show(row_of_changed(before, accepted, monitor.id, monitor))})

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        monitor_id = id_in_url("Health Monitor", id)
        load_balancer_id = self._places.place_of(Kind.HEALTH_MONITOR, monitor_id).load_balancer_id
        self._handler.remove(RemoveHealthMonitor(load_balancer_id, monitor_id, origin_of(req)))
        empty(resp)
