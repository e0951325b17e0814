"""The aggregate of an amphora: one machine that carries a load balancer, from the order to its removal."""

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event


class Stage(StrEnum):
    """How far an amphora has come; each stage is reached by one event."""

    REQUESTED = "requested"
    BOOTING = "booting"
    REACHABLE = "reachable"
    PLUGGED = "plugged"
    IN_SERVICE = "in service"
    OUT_OF_SERVICE = "out of service"
    FAILED = "failed"
    REMOVED = "removed"


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
        TOPIC = "AmphoraBooted"
        compute_id: str

    class BecameReachable(Event):
        TOPIC = "AmphoraBecameReachable"
        management_address: str
        haproxy_version: str

    class VipPlugged(Event):
        TOPIC = "AmphoraVipPlugged"
        load_balancer_id: UUID

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
        self.compute_id: str | None = None
        self.management_address: str | None = None
        self.haproxy_version: str | None = None

    @property
    def is_being_built(self) -> bool:
        return self.stage in (Stage.REQUESTED, Stage.BOOTING, Stage.REACHABLE)

    @property
    def is_wanted(self) -> bool:
        """Whether it is, or will be, in service."""
        return self.stage not in (Stage.OUT_OF_SERVICE, Stage.FAILED, Stage.REMOVED)

    def booted(self, compute_id: str) -> None:
        if self.stage == Stage.REQUESTED:
            self._booted(compute_id=compute_id)

    @event(Booted)
    def _booted(self, compute_id: str) -> None:
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

    def vip_plugged(self) -> None:
        if self.stage == Stage.REACHABLE:
            self._vip_plugged(load_balancer_id=self.load_balancer_id)

    @event(VipPlugged)
    def _vip_plugged(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.PLUGGED

    def entered_service(self) -> None:
        if self.stage == Stage.PLUGGED:
            self._entered_service(load_balancer_id=self.load_balancer_id)

    @event(EnteredService)
    def _entered_service(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.IN_SERVICE

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

    def removed(self) -> None:
        if self.stage != Stage.REMOVED:
            self._removed(load_balancer_id=self.load_balancer_id)

    @event(Removed)
    def _removed(self, load_balancer_id: UUID) -> None:
        self.stage = Stage.REMOVED

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """All values are immutable, so one level is enough for the copy that the repository makes."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin
