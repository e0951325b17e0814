"""The aggregate of an amphora: one machine that carries a load balancer, from the order to its removal."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from domain.errors import Immutable, NotFound


class Stage(StrEnum):
    """How far an amphora has come; each stage is reached by one event."""

    REQUESTED = "requested"
    BOOTING = "booting"
    REACHABLE = "reachable"
    PLUGGED = "plugged"
    IN_SERVICE = "in service"
    OUT_OF_SERVICE = "out of service"
    FAILED = "failed"
    BEING_REMOVED = "being removed"
    REMOVED = "removed"


_BEING_BUILT = frozenset({Stage.REQUESTED, Stage.BOOTING, Stage.REACHABLE})
_ON_ITS_WAY_OUT = frozenset({Stage.OUT_OF_SERVICE, Stage.FAILED, Stage.BEING_REMOVED, Stage.REMOVED})


class Amphora(Aggregate):
    """Remembers what was done for one amphora; the next step follows from its stage."""

    TOPIC = "Amphora"

    class Event(Aggregate.Event):
        """Anything that happened to an amphora."""

        TOPIC = "AmphoraEvent"

    class Created(Event, Aggregate.Created):
        """replaces: the amphora whose place it takes, which must be gone before this one gets the VIP."""

        TOPIC = "AmphoraRequested"
        load_balancer_id: UUID
        replaces: UUID | None

    class Booted(Event):
        """certificate_expires_at: of its server certificate, where it was given one."""

        TOPIC = "AmphoraBooted"
        compute_id: str
        certificate_expires_at: datetime | None = None

    class BecameReachable(Event):
        TOPIC = "AmphoraBecameReachable"
        management_address: str
        haproxy_version: str

    class VipPlugged(Event):
        """vrrp_ip: the address of its own port beside the VIP, where it has one."""

        TOPIC = "AmphoraVipPlugged"
        load_balancer_id: UUID
        vrrp_ip: str | None = None

    class EnteredService(Event):
        TOPIC = "AmphoraEnteredService"
        load_balancer_id: UUID

    class LeftService(Event):
        """It may still be running: whoever replaces it takes it down."""

        TOPIC = "AmphoraLeftService"
        reason: str

    class Failed(Event):
        """It could not be built; what there is of it is removed."""

        TOPIC = "AmphoraFailed"
        load_balancer_id: UUID
        step: str
        reason: str

    class RemovalRequested(Event):
        """Somebody asked for the end of one that could not be built."""

        TOPIC = "AmphoraRemovalRequested"
        load_balancer_id: UUID

    class RemovalOverdue(Event):
        """What there is of it outside does not go; it is tried again."""

        TOPIC = "AmphoraRemovalOverdue"
        reason: str

    class AgentConfigurationRequested(Event):
        """Its agent is to be sent its settings anew: keys, controllers and intervals as they are now."""

        TOPIC = "AmphoraAgentConfigurationRequested"
        load_balancer_id: UUID

    class AgentConfigured(Event):
        TOPIC = "AmphoraAgentConfigured"

    class AgentNotConfigured(Event):
        """Its agent did not take its settings; it goes on with those it has."""

        TOPIC = "AmphoraAgentNotConfigured"
        reason: str

    class Removed(Event):
        """Nothing is left of it outside."""

        TOPIC = "AmphoraRemoved"
        load_balancer_id: UUID

    @classmethod
    def request(cls, id: UUID, *, load_balancer_id: UUID, replaces: UUID | None = None) -> Self:
        """A new amphora under an id that its load balancer knows already."""
        return cls._create(cls.Created, id=id, load_balancer_id=load_balancer_id, replaces=replaces)

    @event(Created)
    def __init__(self, *, load_balancer_id: UUID, replaces: UUID | None = None) -> None:
        self.load_balancer_id = load_balancer_id
        self.replaces = replaces
        self.stage = Stage.REQUESTED
        self.has_had_the_vip = False
        self.compute_id: str | None = None
        self.management_address: str | None = None
        self.haproxy_version: str | None = None

    @property
    def is_being_built(self) -> bool:
        return self.stage in _BEING_BUILT

    @property
    def is_wanted(self) -> bool:
        """Whether it is, or will be, in service."""
        return self.stage not in _ON_ITS_WAY_OUT

    def require_in_service(self) -> None:
        """Only what serves can be failed over, one at a time. Raises Immutable in the name of its load balancer."""
        if self.stage != Stage.IN_SERVICE:
            raise Immutable("Load Balancer", self.load_balancer_id)

    # Building

    def booted(self, compute_id: str, certificate_expires_at: datetime | None = None) -> None:
        if self.stage == Stage.REQUESTED:
            self._booted(compute_id=compute_id, certificate_expires_at=certificate_expires_at)

    @event(Booted)
    def _booted(self, compute_id: str, certificate_expires_at: datetime | None = None) -> None:
        self.compute_id = compute_id
        self.stage = Stage.BOOTING

    def became_reachable(self, management_address: str, haproxy_version: str) -> None:
        if self.stage == Stage.BOOTING:
            self._became_reachable(management_address=management_address, haproxy_version=haproxy_version)

    @event(BecameReachable)
    def _became_reachable(self, management_address: str, haproxy_version: str) -> None:
        self.management_address = management_address
        self.haproxy_version = haproxy_version
        self.stage = Stage.REACHABLE

    def vip_plugged(self, vrrp_ip: str | None = None) -> None:
        """Whoever had the VIP before it is gone."""
        if self.stage == Stage.REACHABLE:
            self._vip_plugged(load_balancer_id=self.load_balancer_id, vrrp_ip=vrrp_ip)

    @event(VipPlugged)
    def _vip_plugged(self, load_balancer_id: UUID, vrrp_ip: str | None = None) -> None:
        self.stage = Stage.PLUGGED
        self.has_had_the_vip = True

    def entered_service(self) -> None:
        if self.stage == Stage.PLUGGED:
            self._entered_service(load_balancer_id=self.load_balancer_id)

    @event(EnteredService)
    def _entered_service(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.IN_SERVICE

    # Its end

    def left_service(self, reason: str) -> None:
        if self.is_wanted:
            self._left_service(reason=reason)

    @event(LeftService)
    def _left_service(self, reason: str) -> None:
        self.stage = Stage.OUT_OF_SERVICE

    def failed(self, step: str, reason: str) -> None:
        if self.is_being_built:
            self._failed(load_balancer_id=self.load_balancer_id, step=step, reason=reason)

    @event(Failed)
    def _failed(self, load_balancer_id: UUID, step: str, reason: str) -> None:
        self.stage = Stage.FAILED

    def request_removal(self) -> None:
        """Raises Immutable for one that did not fail: its load balancer counts on it. NotFound when it is gone."""
        self._require_there()
        if self.stage != Stage.FAILED:
            raise Immutable("amphora", self.id)
        self._removal_requested(load_balancer_id=self.load_balancer_id)

    @event(RemovalRequested)
    def _removal_requested(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.BEING_REMOVED

    def removal_is_overdue(self, reason: str) -> None:
        """It can be asked for again."""
        if self.stage == Stage.BEING_REMOVED:
            self._removal_overdue(reason=reason)

    @event(RemovalOverdue)
    def _removal_overdue(self, reason: str) -> None:
        self.stage = Stage.FAILED

    def removed(self) -> None:
        if self.stage != Stage.REMOVED:
            self._removed(load_balancer_id=self.load_balancer_id)

    @event(Removed)
    def _removed(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.REMOVED

    def _require_there(self) -> None:
        if self.stage == Stage.REMOVED:
            raise NotFound("Amphora", self.id)

    # Its agent

    def request_agent_configuration(self) -> None:
        """Raises NotFound when it is gone."""
        self._require_there()
        self._agent_configuration_requested(load_balancer_id=self.load_balancer_id)

    @event(AgentConfigurationRequested)
    def _agent_configuration_requested(self, load_balancer_id: UUID) -> None:
        """Only told."""

    def agent_is_configured(self) -> None:
        if self.stage != Stage.REMOVED:
            self._agent_configured()

    @event(AgentConfigured)
    def _agent_configured(self) -> None:
        """Only told."""

    def agent_is_not_configured(self, reason: str) -> None:
        if self.stage != Stage.REMOVED:
            self._agent_not_configured(reason=reason)

    @event(AgentNotConfigured)
    def _agent_not_configured(self, reason: str) -> None:
        """Only told."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """All values are immutable, so one level is enough for the copy that the repository makes."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin
