"""The control API of the noop profile: what people who test clients can make it do. Success is a 2xx."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec
from falcon import Request, Response

from commands.answer import answer, empty
from commands.ports import Aggregates, Origin, Places
from commands.request import json_of, origin_of
from commands.turns import Turns
from domain.control import CONTROL_ID, Control, Fault
from domain.errors import Invalid, NotFound
from domain.fields import OperatingStatus, ProvisioningStatus
from domain.health import LoadBalancerHealth, presumed_statuses
from domain.load_balancer import LoadBalancer
from domain.progress import Kind

_S = TypeVar("_S", bound=msgspec.Struct)


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A body; a key that it does not have is a mistake."""


class _Nothing(Said, frozen=True):
    pass


class _Hold(Said, frozen=True):
    hold: bool


class _Release(Said, frozen=True):
    loadbalancer_id: UUID


class _Status(Said, frozen=True):
    """One object of a status report."""

    id: UUID
    provisioning_status: Literal[
        "ACTIVE", "PENDING_CREATE", "PENDING_UPDATE", "PENDING_DELETE", "ERROR", "DELETED", None
    ] = None
    operating_status: OperatingStatus | None = None


class _Report(Said, frozen=True):
    loadbalancers: tuple[_Status, ...] = ()
    listeners: tuple[_Status, ...] = ()
    pools: tuple[_Status, ...] = ()
    members: tuple[_Status, ...] = ()
    healthmonitors: tuple[_Status, ...] = ()
    l7policies: tuple[_Status, ...] = ()
    l7rules: tuple[_Status, ...] = ()

    def by_kind(self) -> Mapping[Kind, Sequence[_Status]]:
        return {
            Kind.LOAD_BALANCER: self.loadbalancers,
            Kind.LISTENER: self.listeners,
            Kind.POOL: self.pools,
            Kind.MEMBER: self.members,
            Kind.HEALTH_MONITOR: self.healthmonitors,
            Kind.L7_POLICY: self.l7policies,
            Kind.L7_RULE: self.l7rules,
        }


class ListenerStatistics(Said, frozen=True):
    """What one amphora counted for a listener, which may be unknown."""

    id: UUID
    amphora_id: UUID | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    active_connections: int = 0
    total_connections: int = 0
    request_errors: int = 0


class _Statistics(Said, frozen=True):
    listeners: tuple[ListenerStatistics, ...] = ()


class _Fault(Said, frozen=True):
    error: Literal["DriverError", "NotImplementedError", "UnsupportedOptionError", "Exception", None] = None
    provider: str | None = None
    user_fault_string: str | None = None
    method: str | None = None
    clear: bool = False


class _Config(Said, frozen=True):
    group: str | None = None
    options: dict[str, Any] = {}
    clear: bool = False


def said_in(req: Request, kind: type[_S]) -> _S:
    """Raises Invalid for anything but what this request takes."""
    return read(json_of(req, "body"), kind)


def read(document: object, kind: type[_S]) -> _S:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None


# What the rest of the profile does for it


class Everything(Protocol):
    """The whole contents of the service."""

    def load_balancer_ids(self) -> Sequence[UUID]: ...

    def forget_all_else(self) -> None:
        """What belongs to no load balancer, and what was counted."""
        ...

    def add_statistics(self, listeners: Sequence[ListenerStatistics]) -> None: ...


Override = Callable[[str | None, Mapping[str, Any]], Mapping[str, Any]]
"""Group and options, by the contract's names -> settings by ours. Raises Invalid for what there is not."""

RequireNetwork = Callable[[object], object]
"""Raises Invalid for a document that prepares no network."""


class ControlHandler:
    def __init__(self, aggregates: Aggregates, turns: Turns, places: Places, everything: Everything) -> None:
        self._aggregates = aggregates
        self._turns = turns
        self._places = places
        self._everything = everything

    def tell(self, decide: Callable[[Control], None], origin: Origin) -> None:
        """One thing about the profile as a whole."""

        def told() -> None:
            control = self._control()
            decide(control)
            self._aggregates.save(control, origin=origin)

        self._turns.take(CONTROL_ID, origin.command_id, told)

    def _control(self) -> Control:
        try:
            return self._aggregates.load(Control, CONTROL_ID)
        except NotFound:
            return Control.set_up()

    def reported_amphora(self, id: UUID) -> Mapping[str, Any] | None:
        """How an amphora was told to look; None when nothing was said of it."""
        return self._control().amphorae.get(id)

    def reset(self, origin: Origin) -> None:
        for id in self._everything.load_balancer_ids():
            with suppress(NotFound):  # its deletion came to its end just now
                self._on(id, lambda load_balancer: load_balancer.set_statuses({}, deleted=[load_balancer.id]))
        self._everything.forget_all_else()
        self.tell(Control.reset, origin)

    def release(self, load_balancer_id: UUID) -> None:
        """Complete all that is pending in a tree: ACTIVE and ONLINE, or gone."""

        def complete(load_balancer: LoadBalancer) -> None:
            load_balancer.release_statuses()
            if load_balancer.being_deleted:
                load_balancer.deletion_is_complete()
                return
            for id in load_balancer.amphora_ids or (load_balancer.id,):
                load_balancer.configuration_is_applied(id, load_balancer.revision, sha256="")

        def presumed(load_balancer: LoadBalancer) -> Mapping[UUID, OperatingStatus]:
            enabled = load_balancer.settings.admin_state_up
            return presumed_statuses(load_balancer.id, enabled=enabled, tree=load_balancer.tree)

        self._on(load_balancer_id, complete, presumed)

    def report(self, report: Mapping[Kind, Sequence[_Status]]) -> None:
        """Raises NotFound for an object that is not there; nothing is shown then."""
        by_load_balancer: dict[UUID, list[_Status]] = {}
        for kind, statuses in report.items():
            for status in statuses:
                place = self._places.place_of(kind, status.id)
                by_load_balancer.setdefault(place.load_balancer_id, []).append(status)
        for id, statuses in by_load_balancer.items():
            self._report_on(id, statuses)

    def _report_on(self, load_balancer_id: UUID, statuses: Sequence[_Status]) -> None:
        shown = {
            each.id: ProvisioningStatus(each.provisioning_status)
            for each in statuses
            if each.provisioning_status not in (None, "DELETED")
        }
        deleted = [each.id for each in statuses if each.provisioning_status == "DELETED"]
        measured = {each.id: each.operating_status for each in statuses if each.operating_status is not None}
        self._on(load_balancer_id, lambda it: it.set_statuses(shown, deleted), lambda _: measured)

    def _on(
        self,
        load_balancer_id: UUID,
        decide: Callable[[LoadBalancer], None],
        measured: Callable[[LoadBalancer], Mapping[UUID, OperatingStatus]] = lambda _: {},
    ) -> None:
        origin = Origin()

        def once() -> None:
            load_balancer = self._aggregates.load_balancer(load_balancer_id)
            decide(load_balancer)
            health = self._health_of(load_balancer_id)
            health.measured({} if load_balancer.deleted else measured(load_balancer))
            self._aggregates.save(load_balancer, health, origin=origin)

        self._turns.take(load_balancer_id, origin.command_id, once)

    def _health_of(self, load_balancer_id: UUID) -> LoadBalancerHealth:
        try:
            return self._aggregates.load(LoadBalancerHealth, LoadBalancerHealth.create_id(load_balancer_id))
        except NotFound:
            return LoadBalancerHealth.begin(load_balancer_id)


# Requests


class CapabilitiesResource:
    """names: of the paths below"""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = sorted(names)

    def on_get(self, req: Request, resp: Response) -> None:
        answer(resp, {"capabilities": self._names})


class ResetResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        said_in(req, _Nothing)
        self._handler.reset(origin_of(req))
        empty(resp)


class HoldResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        hold = said_in(req, _Hold).hold
        self._handler.tell(lambda control: control.set_hold(hold), origin_of(req))
        empty(resp)


class ReleaseResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        self._handler.release(said_in(req, _Release).loadbalancer_id)
        empty(resp)


class StatusResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        self._handler.report(said_in(req, _Report).by_kind())
        empty(resp)


class StatisticsResource:
    def __init__(self, handler: ControlHandler, everything: Everything) -> None:
        self._handler = handler
        self._everything = everything

    def on_post(self, req: Request, resp: Response) -> None:
        listeners = said_in(req, _Statistics).listeners
        told = tuple(msgspec.to_builtins(each) for each in listeners)
        self._handler.tell(lambda control: control.report_statistics(told), origin_of(req))
        self._everything.add_statistics(listeners)
        empty(resp)


class FaultResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        said = said_in(req, _Fault)
        if said.error is None and not said.clear:
            raise Invalid("Object missing required field `error`")
        fault = None
        if said.error is not None and not said.clear:
            fault = Fault(
                error=said.error,
                provider=said.provider,
                user_fault_string=said.user_fault_string,
                method=said.method,
            )
        self._handler.tell(lambda control: control.set_fault(fault), origin_of(req))
        empty(resp)


class NetworkResource:
    def __init__(self, handler: ControlHandler, require_network: RequireNetwork) -> None:
        self._handler = handler
        self._require_network = require_network

    def on_post(self, req: Request, resp: Response) -> None:
        document = json_of(req, "body")
        self._require_network(document)
        self._handler.tell(lambda control: control.prepare_network(document), origin_of(req))
        empty(resp)


class ConfigResource:
    def __init__(self, handler: ControlHandler, override: Override) -> None:
        self._handler = handler
        self._override = override

    def on_post(self, req: Request, resp: Response) -> None:
        said = said_in(req, _Config)
        settings = {} if said.clear else self._override(said.group, said.options)
        if said.clear or settings:
            self._handler.tell(lambda control: control.override(settings), origin_of(req))
        empty(resp)
