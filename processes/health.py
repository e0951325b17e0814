"""Decides on health: which statuses changed, which amphorae are silent, and when silence is ours rather than theirs.

All of it is pure: time arrives as the seconds of a monotonic clock, effects are left to the caller.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Protocol
from uuid import UUID

from amphora.driver import AgentFault, AgentInfo, AmphoraAddress, AmphoraUnreachable
from amphora.wire import Heartbeat
from domain.fields import OperatingStatus, ProvisioningStatus
from domain.health import Observation, operating_statuses, unmeasured_status
from domain.load_balancer import LoadBalancer

PACE_SECONDS = 1.0
"""Between two events about the health of one load balancer."""

FEWEST_SILENT = 5
SILENT_SHARE = 0.2
"""So many amphorae, and this share of those in service, are more than a coincidence."""

Statuses = Mapping[UUID, OperatingStatus]


class HealthRecords(Protocol):
    """Keeps what was decided here, as events."""

    def statuses_of(self, load_balancer_id: UUID) -> Statuses:
        """What was recorded of a load balancer so far."""
        ...

    def record(self, measured: Mapping[UUID, Statuses]) -> None:
        """Load balancer id -> statuses that changed; all in one append as far as possible."""
        ...

    def is_failover_suspended(self) -> bool: ...

    def suspend_failover(self, *, silent: int, in_service: int) -> None: ...

    def resume_failover(self) -> None: ...


class ReportAmphoraLost(Protocol):
    """The part of commands.outcome.Outcomes that replaces an amphora."""

    def amphora_is_lost(self, amphora_id: UUID, reason: str) -> None: ...


class Askable(Protocol):
    """The part of amphora.driver.AmphoraDriver that tells whether an agent is there."""

    def info(self, amphora: AmphoraAddress) -> AgentInfo: ...


def why_it_does_not_answer(driver: Askable, amphora: AmphoraAddress, pause: Callable[[], object]) -> str | None:
    """Ask an agent twice, with a pause between; None when it answers, be it with a complaint."""
    if _reason_of_silence(driver, amphora) is None:
        return None
    pause()
    return _reason_of_silence(driver, amphora)


def _reason_of_silence(driver: Askable, amphora: AmphoraAddress) -> str | None:
    try:
        driver.info(amphora)
    except AmphoraUnreachable as error:
        return error.reason
    except AgentFault:
        return None
    return None


# What amphorae see


def observation_of(heartbeat: Heartbeat, earlier: Observation | None) -> Observation:
    """What a heartbeat says; one that tells a part only leaves the rest of the earlier observation standing."""
    pools: dict[UUID, set[str]] = {}
    members: dict[UUID, set[str]] = {}
    for report in heartbeat.pools:
        pools.setdefault(report.pool_id, set()).add(report.status)
        for id, words in report.members.items():
            members.setdefault(id, set()).add(words)
    said = Observation(
        listeners={id: report.status for id, report in heartbeat.listeners.items()},
        pools={id: frozenset(words) for id, words in pools.items()},
        members={id: frozenset(words) for id, words in members.items()},
    )
    if earlier is None or heartbeat.additions is None or not heartbeat.additions.partial:
        return said
    return Observation(
        listeners=said.listeners, pools={**earlier.pools, **said.pools}, members={**earlier.members, **said.members}
    )


@dataclass
class _Sight:
    """What is known about one load balancer.

    seen          amphora -> what it sees, as far as that is newer than the last change of the load balancer
    fresh_after   when that change was noticed: observations from before say nothing about it
    not_before    when the next event may be recorded
    """

    known: dict[UUID, OperatingStatus]
    seen: dict[UUID, Observation] = field(default_factory=dict)
    fresh_after: float = -inf
    not_before: float = -inf


class HealthBoard:
    """Puts together what amphorae see, and says what changed: at most once per pace and load balancer, the net."""

    def __init__(self, known_statuses: Callable[[UUID], Statuses]) -> None:
        self._known_statuses = known_statuses
        self._sights: dict[UUID, _Sight] = {}
        self._to_compare: dict[UUID, None] = {}  # those that may have changed, in the order in which that was seen

    def __contains__(self, load_balancer_id: UUID) -> bool:
        return load_balancer_id in self._sights

    def observed(self, load_balancer_id: UUID, amphora_id: UUID, observation: Observation, received_at: float) -> None:
        sight = self._sights.get(load_balancer_id)
        if sight is None:
            sight = self._sights[load_balancer_id] = _Sight(dict(self._known_statuses(load_balancer_id)))
        if received_at >= sight.fresh_after and sight.seen.get(amphora_id) != observation:
            sight.seen[amphora_id] = observation
            self._to_compare[load_balancer_id] = None

    def load_balancer_changed(self, load_balancer_id: UUID, now: float) -> None:
        """What amphorae saw before belongs to the state before: a new listener would look as if it were missing."""
        if sight := self._sights.get(load_balancer_id):
            sight.seen.clear()
            sight.fresh_after = now

    def amphora_left(self, load_balancer_id: UUID, amphora_id: UUID) -> None:
        if sight := self._sights.get(load_balancer_id):
            sight.seen.pop(amphora_id, None)

    def forget(self, load_balancer_id: UUID) -> None:
        self._sights.pop(load_balancer_id, None)
        self._to_compare.pop(load_balancer_id, None)

    def due(self, now: float) -> list[UUID]:
        """Load balancers of which something may have changed and that may be recorded now."""
        return [id for id in self._to_compare if self._sights[id].not_before <= now]

    def seconds_until_due(self, now: float) -> float:
        return max(0.0, min((self._sights[id].not_before for id in self._to_compare), default=inf) - now)

    def changes(self, load_balancer: LoadBalancer) -> Statuses:
        """What is different from what was recorded."""
        sight = self._sights[load_balancer.id]
        measured = operating_statuses(
            load_balancer.id,
            enabled=load_balancer.settings.admin_state_up,
            settled=load_balancer.provisioning_status == ProvisioningStatus.ACTIVE,
            tree=load_balancer.tree,
            seen=tuple(sight.seen.values()),
        )
        tree, known = load_balancer.tree, sight.known
        return {
            id: status for id, status in measured.items() if (known.get(id) or unmeasured_status(tree, id)) != status
        }

    def recorded(self, load_balancer_id: UUID, changes: Statuses, now: float) -> None:
        """These changes are safe; further ones wait for their pace."""
        sight = self._sights[load_balancer_id]
        sight.known.update(changes)
        self._to_compare.pop(load_balancer_id, None)
        if changes:
            sight.not_before = now + PACE_SECONDS

    def not_recorded(self, load_balancer_id: UUID, now: float) -> None:
        """To be tried again."""
        self._sights[load_balancer_id].not_before = now + PACE_SECONDS


# Who is silent


class SilenceWatch:
    """Watches for amphorae in service that say nothing.

    timeout      seconds of silence after which an amphora is asked directly
    lag_allowed  seconds for which we may not have looked or listened without distrusting what we did not hear
    window       seconds within which silences count as one incident

    Silence is judged only after a whole time-out in which we listened: not after our own start, nor when we lagged.
    """

    def __init__(self, *, timeout: float, now: float, is_suspended: bool = False) -> None:
        self.timeout = timeout
        self.lag_allowed = timeout / 2
        self.window = 3 * timeout
        self.is_suspended = is_suspended
        self._heard: dict[UUID, float] = {}
        self._asked_again: dict[UUID, float] = {}
        self._fell_silent: dict[UUID, float] = {}
        self._being_asked: set[UUID] = set()
        self._looked_at = now
        self._blind_until = now + timeout

    def in_service(self, amphora_ids: Iterable[UUID], now: float) -> None:
        """These are watched, and no others; a new one has a whole time-out from now on."""
        self._heard = {id: self._heard.get(id, now) for id in amphora_ids}
        for marks in (self._asked_again, self._fell_silent):
            for id in marks.keys() - self._heard.keys():
                del marks[id]
        self._being_asked &= self._heard.keys()

    def heard(self, amphora_id: UUID, at: float) -> None:
        """A heartbeat ends the silence."""
        if amphora_id in self._heard:
            self._heard[amphora_id] = max(at, self._heard[amphora_id])
            self._fell_silent.pop(amphora_id, None)
            self._being_asked.discard(amphora_id)

    def look(self, now: float, *, listened_until: float) -> list[UUID]:
        """The amphorae that have to be asked now.

        listened_until  when the last datagram that had arrived was read: what is still unread is no silence
        """
        lag = max(now - self._looked_at, now - listened_until)
        self._looked_at = now
        if lag > self.lag_allowed:
            self._blind_until = now + self.timeout
        if now < self._blind_until:
            return []
        silent = [id for id, heard in self._heard.items() if now - heard > self.timeout]
        for id in silent:
            self._fell_silent.setdefault(id, now)
        to_ask = [id for id in silent if id not in self._being_asked and self._asked_again.get(id, now) <= now]
        self._being_asked.update(to_ask)
        return to_ask

    def answered(self, amphora_id: UUID, now: float) -> None:
        """It lives, only its heartbeats do not arrive: asked again after another time-out."""
        self._being_asked.discard(amphora_id)
        self._asked_again[amphora_id] = now + self.timeout

    def is_lost(self, amphora_id: UUID, now: float) -> bool:
        """It did not answer: whether it has to be replaced. What may not be judged now is asked again later."""
        is_judged = amphora_id in self._being_asked and now >= self._blind_until and not self.is_suspended
        self._being_asked.discard(amphora_id)
        if amphora_id in self._heard:
            self._asked_again[amphora_id] = now + self.timeout
        return is_judged

    @property
    def silent(self) -> int:
        return len(self._fell_silent)

    @property
    def watched(self) -> int:
        return len(self._heard)

    def must_suspend(self, now: float) -> bool:
        """So many fell silent at once that the fault is more likely between us and them."""
        lately = sum(now - since <= self.window for since in self._fell_silent.values())
        return not self.is_suspended and self._are_too_many(lately)

    def may_resume(self) -> bool:
        """Most of them came back, or were replaced by hand."""
        return self.is_suspended and not self._are_too_many(self.silent)

    def _are_too_many(self, silent: int) -> bool:
        return silent >= FEWEST_SILENT and silent >= SILENT_SHARE * self.watched
