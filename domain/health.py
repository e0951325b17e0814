"""Health: the operating statuses that follow from what amphorae see, and the streams that remember their changes.

It is measured, not asked for, so it has streams of its own beside those of load balancers: a flapping member makes
nobody's change collide, and nothing that is asked for waits for it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate, event

from domain.fields import OperatingStatus
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool
from domain.tree import Tree

FAILOVER_GUARD_ID = UUID("5a3cf0f7-3a52-5f0e-9d3c-0d2a4b7f6e11")

_ONLINE, _OFFLINE = OperatingStatus.ONLINE, OperatingStatus.OFFLINE
_DEGRADED, _ERROR = OperatingStatus.DEGRADED, OperatingStatus.ERROR


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What one amphora sees, in HAProxy's words. A pool appears once for each listener that uses it.

    listeners  listener id -> OPEN, or FULL at its connection limit
    pools      pool id -> UP and DOWN, as its appearances say
    members    member id -> UP, "UP 1/2", DOWN, "DOWN 1/2", DRAIN, MAINT, "no check", RESTARTING, likewise
    """

    listeners: Mapping[UUID, str] = field(default_factory=dict)
    pools: Mapping[UUID, frozenset[str]] = field(default_factory=dict)
    members: Mapping[UUID, frozenset[str]] = field(default_factory=dict)


def operating_statuses(
    load_balancer_id: UUID, *, enabled: bool, settled: bool, tree: Tree, seen: Sequence[Observation]
) -> dict[UUID, OperatingStatus]:
    """The status of each object of a load balancer; one that is missing here keeps the status it has.

    enabled  the load balancer's admin state
    settled  whether the amphorae run what was asked for, so that what they do not have is an error
    seen     by the amphorae in service; nothing follows from nobody's sight
    """
    if not seen:
        return {}
    return dict(_Measurement(load_balancer_id, enabled, settled, tree, seen).statuses())


def unmeasured_status(tree: Tree, id: UUID) -> OperatingStatus:
    """What an object shows that no amphora has said anything about."""
    member = tree.members.get(id)
    unmonitored = member is not None and member.pool_id not in tree.monitors
    return OperatingStatus.NO_MONITOR if unmonitored else _OFFLINE


def presumed_statuses(load_balancer_id: UUID, *, enabled: bool, tree: Tree) -> dict[UUID, OperatingStatus]:
    """What a provider says that measures nothing: all that is enabled is well. Unmonitored members stay as they are."""
    things: list[Listener | Pool | Member] = [*tree.listeners.values(), *tree.pools.values(), *tree.members.values()]
    found = {thing.id: _ONLINE if enabled and thing.admin_state_up else _OFFLINE for thing in things}
    unmonitored = {id: unmeasured_status(tree, id) for id, m in tree.members.items() if m.pool_id not in tree.monitors}
    return {**found, **unmonitored, load_balancer_id: _ONLINE if enabled else _OFFLINE}


@dataclass(frozen=True)
class _Measurement:
    load_balancer_id: UUID
    enabled: bool
    settled: bool
    tree: Tree
    seen: Sequence[Observation]

    def statuses(self) -> Iterator[tuple[UUID, OperatingStatus]]:
        """Objects whose words say nothing, or something in between, are left out."""
        found: dict[UUID, OperatingStatus | None] = {id: self._of_member(id) for id in self.tree.members}
        ailing = {member.pool_id for id, member in self.tree.members.items() if found[id] == _ERROR}
        found |= {id: self._of_pool(id, ailing) for id in self.tree.pools}
        found |= {id: self._of_listener(id) for id in self.tree.listeners}
        found[self.load_balancer_id] = self._of_load_balancer(found)
        return ((id, status) for id, status in found.items() if status is not None)

    def _of_load_balancer(self, found: Mapping[UUID, OperatingStatus | None]) -> OperatingStatus:
        """A listener that an amphora lacks does not lower it."""
        if not self.enabled:
            return _OFFLINE
        pools = {found[id] for id in self.tree.pools}
        if _ERROR in pools:
            return _ERROR
        full = any("FULL" in self._listener_words(id) for id in self.tree.listeners)
        return _DEGRADED if full or _DEGRADED in pools else _ONLINE

    def _of_listener(self, id: UUID) -> OperatingStatus | None:
        words = self._listener_words(id)
        if not words:
            missed = self.settled and self.enabled and self.tree.listeners[id].admin_state_up
            return _ERROR if missed else _OFFLINE
        if "FULL" in words:
            return _DEGRADED
        return _ONLINE if words == {"OPEN"} else None

    def _listener_words(self, id: UUID) -> set[str]:
        return {observation.listeners[id] for observation in self.seen if id in observation.listeners}

    def _of_pool(self, id: UUID, ailing: Collection[UUID]) -> OperatingStatus | None:
        """DOWN for some only is DEGRADED, as is a pool that serves with fewer members."""
        words = set().union(*(observation.pools.get(id, ()) for observation in self.seen))
        if not words:
            return _OFFLINE
        if words == {"DOWN"}:
            return _ERROR
        if "DOWN" in words or id in ailing:
            return _DEGRADED
        return _ONLINE if words == {"UP"} else None

    def _of_member(self, id: UUID) -> OperatingStatus | None:
        """Amphorae and listeners check for themselves; the worst of what they say counts, or it would flap."""
        words = set().union(*(observation.members.get(id, ()) for observation in self.seen))
        if not words:
            return unmeasured_status(self.tree, id)
        kinds = {word.split(" ")[0] for word in words}
        return next((status for kind, status in _MEMBER_WORDS.items() if kind in kinds), None)


_MEMBER_WORDS = {
    "DOWN": _ERROR,
    "MAINT": _OFFLINE,
    "DRAIN": OperatingStatus.DRAINING,
    "UP": _ONLINE,
    "no": OperatingStatus.NO_MONITOR,
}
"""First words, the worst first. RESTARTING is on its way to one of them."""


class LoadBalancerHealth(Aggregate):
    """Remembers the operating statuses of one load balancer and of what is below it."""

    TOPIC = "LoadBalancerHealth"

    class Event(Aggregate.Event):
        """Anything that was measured about one load balancer."""

        TOPIC = "LoadBalancerHealthEvent"

    class Created(Event, Aggregate.Created):
        """An amphora said something about it for the first time."""

        TOPIC = "HealthFirstMeasured"
        load_balancer_id: UUID

    class HealthChanged(Event):
        """changes: the net of what changed since the event before, new statuses only."""

        TOPIC = "HealthChanged"
        load_balancer_id: UUID
        changes: Mapping[UUID, OperatingStatus]

    @staticmethod
    def create_id(load_balancer_id: UUID) -> UUID:
        return uuid5(load_balancer_id, "health")

    @classmethod
    def begin(cls, load_balancer_id: UUID) -> Self:
        return cls._create(cls.Created, id=cls.create_id(load_balancer_id), load_balancer_id=load_balancer_id)

    @event(Created)
    def __init__(self, *, load_balancer_id: UUID) -> None:
        self.load_balancer_id = load_balancer_id
        self.statuses: Mapping[UUID, OperatingStatus] = {}

    def measured(self, statuses: Mapping[UUID, OperatingStatus]) -> None:
        """What was known already says nothing new."""
        changes = {id: status for id, status in statuses.items() if self.statuses.get(id) != status}
        if changes:
            self._health_changed(load_balancer_id=self.load_balancer_id, changes=changes)

    @event(HealthChanged)
    def _health_changed(self, load_balancer_id: UUID, changes: Mapping[UUID, OperatingStatus]) -> None:
        self.statuses = {**self.statuses, **changes}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _twin(self)


class FailoverGuard(Aggregate):
    """Remembers whether amphorae that are lost are replaced without being asked. There is one, with a fixed id."""

    TOPIC = "FailoverGuard"

    class Event(Aggregate.Event):
        """Anything that happened to automatic failover."""

        TOPIC = "FailoverGuardEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "FailoverGuardSetUp"

    class AutomaticFailoverSuspended(Event):
        """So many amphorae fell silent at once that it is more likely our network than theirs: an alarm."""

        TOPIC = "AutomaticFailoverSuspended"
        silent: int
        in_service: int

    class AutomaticFailoverResumed(Event):
        TOPIC = "AutomaticFailoverResumed"

    @classmethod
    def set_up(cls) -> Self:
        return cls._create(cls.Created, id=FAILOVER_GUARD_ID)

    @event(Created)
    def __init__(self) -> None:
        self.is_suspended = False

    def suspend(self, *, silent: int, in_service: int) -> None:
        if not self.is_suspended:
            self._suspended(silent=silent, in_service=in_service)

    @event(AutomaticFailoverSuspended)
    def _suspended(self, silent: int, in_service: int) -> None:
        self.is_suspended = True

    def resume(self) -> None:
        if self.is_suspended:
            self._resumed()

    @event(AutomaticFailoverResumed)
    def _resumed(self) -> None:
        self.is_suspended = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return _twin(self)


A = TypeVar("A", bound=Aggregate)


def _twin(aggregate: A) -> A:
    """All values are immutable, so one level is enough for the copy that the repository makes."""
    twin = object.__new__(type(aggregate))
    twin.__dict__.update(aggregate.__dict__)
    twin._pending_events = list(aggregate._pending_events)
    return twin
