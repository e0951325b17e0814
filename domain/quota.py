"""The aggregate of a project's quota: how many objects of each kind its load balancers may have.

It knows the limits only. What is in use is counted in rows, in the transaction of whatever changes it: all that is made
in a project would meet in one stream otherwise, and most of it would have to be decided again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate, event

from domain.fields import Between
from domain.progress import Kind

UNLIMITED = -1
Limit = Annotated[int, Between(UNLIMITED, 2_000_000_000)]

COUNTED = (
    Kind.LOAD_BALANCER,
    Kind.POOL,
    Kind.HEALTH_MONITOR,
    Kind.MEMBER,
    Kind.LISTENER,
    Kind.L7_POLICY,
    Kind.L7_RULE,
)
"""In the order in which they are counted, always the same: of several limits that are met the first is named."""

UNCHECKED_IN_A_GRAPH = frozenset({Kind.L7_POLICY, Kind.L7_RULE})
"""Not refused when they come with a new load balancer, in one call."""

NAMES: Mapping[Kind, tuple[str, ...]] = {
    Kind.LOAD_BALANCER: ("loadbalancer", "load_balancer"),
    Kind.LISTENER: ("listener",),
    Kind.MEMBER: ("member",),
    Kind.POOL: ("pool",),
    Kind.HEALTH_MONITOR: ("healthmonitor", "health_monitor"),
    Kind.L7_POLICY: ("l7policy",),
    Kind.L7_RULE: ("l7rule",),
}
"""The contract's names; the first counts where both are given."""

_QUOTAS = UUID("6f0c7c3e-6b0e-5c3a-8d5e-0a4f1d3b9c27")


@dataclass(frozen=True, kw_only=True)
class QuotaDefaults:
    """The limits of whoever has set none, in this deployment."""

    load_balancer: Limit = UNLIMITED
    listener: Limit = UNLIMITED
    member: Limit = UNLIMITED
    pool: Limit = UNLIMITED
    health_monitor: Limit = UNLIMITED
    l7_policy: Limit = UNLIMITED
    l7_rule: Limit = UNLIMITED

    def of(self, kind: Kind) -> int:
        limit: int = getattr(self, kind.name.lower())
        return limit


class Quota(Aggregate):
    """Remembers the limits that were set for one project; those that were not follow the deployment's defaults."""

    TOPIC = "Quota"

    class Event(Aggregate.Event):
        """Anything that happened to a quota."""

        TOPIC = "QuotaEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "QuotaCreated"
        project_id: str

    class Changed(Event):
        """limits: all that are set from now on."""

        TOPIC = "QuotaChanged"
        project_id: str
        limits: Mapping[Kind, int]

    class Reset(Event):
        TOPIC = "QuotaReset"
        project_id: str

    @staticmethod
    def create_id(project_id: str) -> UUID:
        return uuid5(_QUOTAS, project_id)

    @classmethod
    def of(cls, project_id: str) -> Self:
        """The first time that something is set for a project."""
        return cls._create(cls.Created, id=cls.create_id(project_id), project_id=project_id)

    @event(Created)
    def __init__(self, project_id: str) -> None:
        self.project_id = project_id
        self.limits: Mapping[Kind, int] = {}

    def change(self, limits: Mapping[Kind, int | None]) -> None:
        """None is the default again; what is not named stays. A limit below what is in use is fine."""
        changed = {kind: limit for kind, limit in {**self.limits, **limits}.items() if limit is not None}
        if changed != self.limits:
            self._changed(project_id=self.project_id, limits=changed)

    @event(Changed)
    def _changed(self, project_id: str, limits: Mapping[Kind, int]) -> None:
        self.limits = limits

    def reset(self) -> None:
        if self.limits:
            self._reset(project_id=self.project_id)

    @event(Reset)
    def _reset(self, project_id: str) -> None:
        self.limits = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """All values are immutable, so one level is enough for the copy that the repository makes."""
        twin: Self = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin
