"""Compares what should exist with what is there, and has the difference mended by commands, so that events tell of it.

What nothing wants is said first, and taken down only where that is the policy, or somebody asks for it.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from threading import Event
from typing import Protocol
from uuid import UUID

from amphora.driver import AgentFault, AgentInfo, AmphoraAddress, AmphoraUnreachable
from commands.ports import Aggregates
from domain.amphora import Amphora, Stage
from domain.errors import NotFound
from processes.amphora_build import address_of
from processes.configuration import fingerprint
from processes.health import FEWEST_SILENT, SILENT_SHARE, ReportAmphoraLost, why_it_does_not_answer
from processes.ports import ComputeDriver

MOST_REPAIRS = 20
"""In one sweep: a fault of ours that makes everything look wrong does no more than this."""

ASKED_AT_ONCE = 16
"""Amphorae: those that accept and never answer take their time-out, and delay the others by a sixteenth of it."""

ASKED_AHEAD = 2 * ASKED_AT_ONCE
"""Amphorae whose answers may wait for that of a slower one before them."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60.0, 3_600.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Serving:
    """An amphora in service, and whom it serves."""

    amphora_id: UUID
    load_balancer_id: UUID


class Expected(Protocol):
    """What should exist, by the rows."""

    def serving(self) -> Sequence[Serving]: ...

    def is_failover_suspended(self) -> bool: ...


class Questions(Protocol):
    """The part of amphora.driver.AmphoraDriver that tells what is there."""

    def info(self, amphora: AmphoraAddress) -> AgentInfo: ...

    def configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None: ...


Repair = Callable[[UUID, str], object]
"""Asks for the repair of a load balancer, and says why."""


@dataclass(frozen=True)
class Difference:
    """Something about an amphora in service that is not as the events say."""

    serving: Serving
    words: str


class Comparison:
    """Finds differences and changes nothing. Many amphorae are asked at once, and told in the order they are given in.

    pause  called between two questions to an agent that does not answer
    """

    def __init__(
        self, aggregates: Aggregates, compute: ComputeDriver, driver: Questions, pause: Callable[[], object]
    ) -> None:
        self._aggregates = aggregates
        self._compute = compute
        self._driver = driver
        self._pause = pause

    def orphans(self) -> list[UUID]:
        """Amphorae that run although nothing wants them. Raises ComputeFault."""
        return [id for id in self._compute.inventory() if self._is_orphan(id)]

    def _is_orphan(self, amphora_id: UUID) -> bool:
        """The order is in the log before anything is booted: an amphora that the log does not know is nobody's."""
        try:
            return self._aggregates.amphora(amphora_id).stage == Stage.REMOVED
        except NotFound:
            return True

    def missing(self, serving: Iterable[Serving]) -> Iterator[Difference]:
        """Amphorae that do not exist; whoever answers is there, whatever the compute service says.

        Raises ComputeFault, also while they are told.
        """
        there = set(self._compute.inventory())
        unknown = (each for each in serving if each.amphora_id not in there)
        return _told_by(self._why_it_is_missing, unknown)

    def _why_it_is_missing(self, serving: Serving) -> str | None:
        amphora = self._in_service(serving)
        if amphora is None:
            return None
        state = self._compute.look(amphora.compute_id or "")
        if state.status not in ("GONE", "ERROR") or self._silence(serving) is None:
            return None
        return f"does not exist any more: {state.fault or state.status}"

    def silent(self, serving: Iterable[Serving]) -> Iterator[Difference]:
        """Amphorae whose agents do not answer, and why."""
        return _told_by(self._why_it_is_silent, serving)

    def _why_it_is_silent(self, serving: Serving) -> str | None:
        reason = self._silence(serving)
        return None if reason is None else f"does not answer: {reason}"

    def _silence(self, serving: Serving) -> str | None:
        amphora = self._in_service(serving)
        return None if amphora is None else why_it_does_not_answer(self._driver, address_of(amphora), self._pause)

    def other_files(self, serving: Iterable[Serving]) -> Iterator[Difference]:
        """Amphorae that hold another file than the one that they confirmed, as far as they answer."""
        return _told_by(self._why_its_file_is_another, serving)

    def _why_its_file_is_another(self, serving: Serving) -> str | None:
        """Asked again after a change that came in between, it would be the one that is being pushed."""
        expected = self._file_at_rest(serving)
        amphora = self._in_service(serving)
        if expected is None or amphora is None:
            return None
        try:
            file = self._driver.configuration(address_of(amphora), serving.load_balancer_id)
        except (AmphoraUnreachable, AgentFault):
            return None
        if fingerprint(file) == expected or self._file_at_rest(serving) != expected:
            return None
        return "has lost its configuration" if file is None else "holds another configuration than it confirmed"

    def _file_at_rest(self, serving: Serving) -> str | None:
        """The fingerprint of the file that the amphora confirmed; None while another one may be under way."""
        try:
            load_balancer = self._aggregates.load_balancer(serving.load_balancer_id)
        except NotFound:
            return None
        progress = load_balancer.progress
        if load_balancer.being_deleted or progress.confirmed.get(serving.amphora_id) != progress.revision:
            return None
        return load_balancer.running.get(serving.amphora_id)

    def _in_service(self, serving: Serving) -> Amphora | None:
        amphora = self._aggregates.amphora(serving.amphora_id)
        return amphora if amphora.stage == Stage.IN_SERVICE else None


def _told_by(ask: Callable[[Serving], str | None], serving: Iterable[Serving]) -> Iterator[Difference]:
    """What is said of many that are asked at once, in the order of `serving`.

    No more of them are taken than are asked soon: whoever does not want to hear more waits for the questions under way,
    and no others are asked.
    """
    with ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="asking") as pool:
        asked: deque[tuple[Serving, Future[str | None]]] = deque()
        try:
            for each in serving:
                asked.append((each, pool.submit(ask, each)))
                if len(asked) == ASKED_AHEAD:
                    yield from _told(*asked.popleft())
            while asked:
                yield from _told(*asked.popleft())
        finally:
            for _, answer in asked:
                answer.cancel()


def _told(serving: Serving, answer: "Future[str | None]") -> Iterator[Difference]:
    words = answer.result()
    if words is not None:
        yield Difference(serving, words)


class Pauses:
    """When each load balancer may be repaired again: what a repair did not mend is repaired ever more seldom."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next: dict[UUID, tuple[float, float]] = {}

    def take(self, id: UUID) -> bool:
        """Whether it may be repaired now; then not again before the pause is over."""
        not_before, pause = self._next.get(id, (0.0, _FIRST_PAUSE_SECONDS))
        now = self._clock()
        if now < not_before:
            return False
        self._next[id] = now + pause, min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return True

    def forget_all_but(self, ids: Iterable[UUID]) -> None:
        """Those that are well, once their pause is over."""
        wrong, now = set(ids), self._clock()
        self._next = {id: each for id, each in self._next.items() if id in wrong or now < each[0]}


class Reconciler:
    """Sweeps, one in the whole service.

    remove_orphans  whether amphorae that nothing wants are taken down without being asked
    has_files       whether amphorae hold files at all: those of the noop profile do not
    orphans, differences  how many the last sweep found
    """

    def __init__(
        self,
        comparison: Comparison,
        expected: Expected,
        compute: ComputeDriver,
        outcomes: ReportAmphoraLost,
        repair: Repair,
        *,
        remove_orphans: bool,
        has_files: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._comparison = comparison
        self._expected = expected
        self._compute = compute
        self._outcomes = outcomes
        self._repair = repair
        self._remove_orphans = remove_orphans
        self._has_files = has_files
        self._pauses = Pauses(clock)
        self._told: set[UUID] = set()
        self.orphans = 0
        self.differences = 0

    def run(self, stop: Event, interval_seconds: float) -> None:
        while not stop.wait(interval_seconds):
            try:
                self.sweep(stop)
            except Exception:
                logger.exception("the sweep could not be finished")

    def sweep(self, stop: Event | None = None) -> None:
        """Ends early once `stop` is set: somebody else may be sweeping then. Raises ComputeFault."""
        stop = stop or Event()
        self._sweep_orphans(stop)
        serving = self._expected.serving()
        missing = self._replace_missing(serving, stop)
        others = self._repair_others(serving, stop) if self._has_files else 0
        self.differences = missing + others

    def _sweep_orphans(self, stop: Event) -> None:
        orphans = self._comparison.orphans()
        self.orphans = len(orphans)
        for id in orphans:
            if id not in self._told:
                logger.warning("amphora %s runs although nothing wants it: see `tacitus orphans`", id)
        self._told = set(orphans)
        for id in orphans if self._remove_orphans else ():
            if stop.is_set():
                return
            logger.warning("amphora %s is taken down", id)
            self._compute.remove(id)

    def _replace_missing(self, serving: Sequence[Serving], stop: Event) -> int:
        """So many at once are more likely a fault between us and the compute service than the end of them all."""
        missing = list(self._comparison.missing(_until(stop, serving)))
        if stop.is_set():
            return len(missing)
        if len(missing) >= FEWEST_SILENT and len(missing) >= SILENT_SHARE * len(serving):
            logger.error("%d of %d amphorae seem to be gone: none is replaced", len(missing), len(serving))
        elif missing and self._expected.is_failover_suspended():
            logger.error("%d amphorae seem to be gone; automatic failover is suspended", len(missing))
        else:
            for difference in missing:
                self._outcomes.amphora_is_lost(difference.serving.amphora_id, difference.words)
        return len(missing)

    def _repair_others(self, serving: Sequence[Serving], stop: Event) -> int:
        wrong: list[UUID] = []
        repairs = 0
        for difference in self._comparison.other_files(_until(stop, serving)):
            if stop.is_set():
                return len(wrong)
            id = difference.serving.load_balancer_id
            wrong.append(id)
            if repairs < MOST_REPAIRS and self._pauses.take(id):
                repairs += 1
                logger.warning("amphora %s %s", difference.serving.amphora_id, difference.words)
                self._repair(id, f"amphora {difference.serving.amphora_id} {difference.words}")
        if not stop.is_set():
            self._pauses.forget_all_but(wrong)
        return len(wrong)


def _until(stop: Event, serving: Sequence[Serving]) -> Iterator[Serving]:
    """Those that are still to be asked."""
    return takewhile(lambda _: not stop.is_set(), serving)
