"""What has to hold of amphorae: each event finds them at a stage where it can happen, and none is built for ever."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.amphora import Amphora, Stage
from infra.verify_load_balancers import LoadBalancers
from infra.verify_log import Deadlines, Entry, Finding, Tell

_BUILDING = frozenset({Stage.REQUESTED, Stage.BOOTING, Stage.REACHABLE})
_ANY = frozenset(Stage) - {Stage.REMOVED}

STEPS: Mapping[type[Amphora.Event], tuple[frozenset[Stage], Stage | None]] = {
    Amphora.Booted: (frozenset({Stage.REQUESTED}), Stage.BOOTING),
    Amphora.BecameReachable: (frozenset({Stage.BOOTING}), Stage.REACHABLE),
    Amphora.VipPlugged: (frozenset({Stage.REACHABLE}), Stage.PLUGGED),
    Amphora.EnteredService: (frozenset({Stage.PLUGGED}), Stage.IN_SERVICE),
    Amphora.LeftService: (_BUILDING | {Stage.PLUGGED, Stage.IN_SERVICE}, Stage.OUT_OF_SERVICE),
    Amphora.Failed: (_BUILDING, Stage.FAILED),
    Amphora.RemovalRequested: (frozenset({Stage.FAILED}), Stage.BEING_REMOVED),
    Amphora.RemovalOverdue: (frozenset({Stage.BEING_REMOVED}), Stage.FAILED),
    Amphora.Removed: (_ANY, Stage.REMOVED),
    Amphora.AgentConfigurationRequested: (_ANY, None),
    Amphora.AgentConfigured: (_ANY, None),
    Amphora.AgentNotConfigured: (_ANY, None),
}
"""Event -> the stages at which it may happen, and the one that it leads to; None where it leaves the stage alone."""


@dataclass(slots=True)
class AmphoraSoFar:
    """What the events say of an amphora that is there.

    since  when it came to its stage; of one that is being built, when it was asked for
    """

    load_balancer_id: UUID
    stage: Stage
    since: datetime
    position: int


class Amphorae:
    """Follows all amphorae that are there; those that are removed are forgotten."""

    def __init__(self, load_balancers: LoadBalancers, deadlines: Deadlines, tell: Tell) -> None:
        self.live: dict[UUID, AmphoraSoFar] = {}
        self._load_balancers = load_balancers
        self._deadlines = deadlines
        self._tell = tell

    def see(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, Amphora.Created):
            if entry.stream in self.live:
                self._tell(entry.finding(f"amphora {entry.stream}", "is asked for a second time"))
            self.live[entry.stream] = AmphoraSoFar(event.load_balancer_id, Stage.REQUESTED, entry.at, entry.position)
        elif isinstance(event, Amphora.Event):
            it = self.live.get(entry.stream)
            if it is None:
                words = f"is told of by {entry.topic}, yet it was never asked for or is removed"
                self._tell(entry.finding(f"amphora {entry.stream}", words))
            else:
                self._step(it, event, entry)

    def _step(self, it: AmphoraSoFar, event: Amphora.Event, entry: Entry) -> None:
        before, after = STEPS[type(event)]
        if it.stage not in before:
            words = f"is {it.stage}, where {entry.topic} cannot happen"
            self._tell(entry.finding(f"amphora {entry.stream}", words))
        if after is None:
            return
        if it.stage in _BUILDING and after not in _BUILDING and self._is_built_late(it, entry.at):
            words = f"was asked for at {it.since}, and only at {entry.at} was it built or given up"
            self._tell(entry.finding(f"amphora {entry.stream}", words))
        if after not in _BUILDING:
            it.since, it.position = entry.at, entry.position
        it.stage = after
        if after == Stage.REMOVED:
            del self.live[entry.stream]

    def at_end(self, now: datetime) -> None:
        """Nothing waits for longer than it may."""
        for id, it in self.live.items():
            if it.stage in _BUILDING and self._is_built_late(it, now):
                self._tell(Finding(it.position, f"amphora {id}", f"is being built since {it.since}, past its deadline"))
            if it.stage == Stage.BEING_REMOVED and self._deadlines.passed(it.since, self._deadlines.delete, now):
                words = f"is being removed since {it.since}, past its deadline"
                self._tell(Finding(it.position, f"amphora {id}", words))

    def _is_built_late(self, it: AmphoraSoFar, now: datetime) -> bool:
        """One whose load balancer goes is built no further, and waits to be taken down."""
        load_balancer = self._load_balancers.live.get(it.load_balancer_id)
        if load_balancer is None or load_balancer.deletion is not None:
            return False
        return self._deadlines.passed(it.since, self._deadlines.build, now)
