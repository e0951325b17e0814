"""The health manager: heartbeats in, changes of health out, and amphorae that are lost reported.

One loop decides; other threads receive datagrams, write statistics and ask amphorae that are silent.
"""

import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from uuid import UUID

import psycopg
from eventsourcing.persistence import PersistenceError

from amphora.driver import AmphoraAddress
from amphora.wire import Heartbeat, PoolReport
from commands.ports import StoreUnavailable
from domain.errors import ConcurrentChange, NotFound
from domain.health import Observation
from domain.load_balancer import LoadBalancer
from infra.event_store import CHANNEL, EventStore
from infra.health_records import RecordedHealth
from infra.heartbeats import HeartbeatReceiver, KeysOf
from infra.many_aggregates import ManyAggregates
from infra.readings import Reading
from infra.roster import Pool, Roster
from infra.settings import Settings
from infra.statistics import StatisticsBuffer
from infra.wakeup import Wakeup
from processes.health import (
    Askable,
    HealthBoard,
    ReportAmphoraLost,
    SilenceWatch,
    Statuses,
    observation_of,
    why_it_does_not_answer,
)

LONGEST_ROUND_SECONDS = 0.25  # how late a silence may be noticed
REFRESH_SECONDS = 0.1  # between looks at the log
LOAD_BALANCERS_AT_ONCE = 50  # in one append
LOAD_BALANCERS_REMEMBERED = 5_000  # some ten kilobytes each
ASKING_THREADS = 8
AFTER_TROUBLE_SECONDS = 1.0

DATABASE_TROUBLE = (psycopg.Error, PersistenceError, StoreUnavailable)  # psycopg_pool's time-outs are psycopg errors

logger = logging.getLogger(__name__)


class HearingLost(Exception):
    """The thread that receives heartbeats ended: all amphorae would seem silent."""


@dataclass(frozen=True, slots=True)
class _Said:
    """What an amphora said last, and what was concluded from it."""

    statuses: Mapping[UUID, str]
    pools: tuple[PoolReport, ...]
    observation: Observation


class Inbox:
    """What amphorae see now, handed from the thread that receives to the loop that decides."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: dict[UUID, tuple[Observation, float]] = {}
        self._latest: dict[UUID, _Said] = {}

    def put(self, heartbeat: Heartbeat, received_at: float) -> bool:
        """Returns whether the amphora sees something else than before."""
        amphora_id = heartbeat.amphora_id
        latest = self._latest.get(amphora_id)
        statuses = {id: report.status for id, report in heartbeat.listeners.items()}
        if latest is not None and statuses == latest.statuses and heartbeat.pools == latest.pools:
            with self._lock:
                self._waiting[amphora_id] = latest.observation, received_at
            return False
        earlier = None if latest is None else latest.observation
        observation = observation_of(heartbeat, earlier)
        with self._lock:
            self._latest[amphora_id] = _Said(statuses, heartbeat.pools, observation)
            self._waiting[amphora_id] = observation, received_at
        return observation != earlier

    def take(self) -> dict[UUID, tuple[Observation, float]]:
        """Amphora -> what it sees and when it said so, of those that said something since the last time."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        return taken

    def forget(self, amphora_id: UUID) -> None:
        with self._lock:
            self._latest.pop(amphora_id, None)


class HealthManager:
    """Ties the parts together; `address` is where heartbeats are expected."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: EventStore,
        pool: Pool,
        driver: Askable,
        outcomes: ReportAmphoraLost,
        keys_of: KeysOf,
        ear: socket.socket,
    ) -> None:
        """ear: where heartbeats arrive (infra.heartbeats.listening)"""
        self._settings = settings
        self._store = store
        self._pool = pool
        self._driver = driver
        self._outcomes = outcomes
        self._load_balancers = ManyAggregates(store, LoadBalancer, LOAD_BALANCERS_REMEMBERED)
        self._records = RecordedHealth(store)
        self._board = HealthBoard(self._records.statuses_of)
        self._roster = Roster(pool)
        self._statistics = StatisticsBuffer()
        self._inbox = Inbox()
        self._questions: SimpleQueue[AmphoraAddress | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[UUID, str | None]] = SimpleQueue()
        self._refreshed_at = 0.0
        self._stop = Event()
        self.receiver = HeartbeatReceiver(ear, keys_of, self._receive)

    @property
    def address(self) -> tuple[str, int]:
        return self.receiver.address

    def readings(self) -> Iterable[Reading]:
        """For monitoring."""
        yield Reading("tacitus_heartbeats_accepted", "Heartbeats that counted.", self.receiver.accepted, counts_up=True)
        for reason, count in dict(self.receiver.dropped).items():
            text = "Datagrams that did not count."
            yield Reading("tacitus_heartbeats_dropped", text, count, {"reason": reason}, counts_up=True)
        yield Reading("tacitus_amphorae_in_service", "Amphorae that are watched over.", self._watch.watched)
        yield Reading("tacitus_amphorae_silent", "Amphorae in service that say nothing.", self._watch.silent)
        text = "Whether automatic failover is suspended."
        yield Reading("tacitus_failover_suspended", text, float(self._watch.is_suspended))

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises HearingLost, on which the process had better start again."""
        self._stop = stop
        self._wakeup = Wakeup(self._settings.database_url, CHANNEL)
        with self._threads() as receiving:
            self._start()
            while not stop.is_set():
                if not receiving.is_alive():
                    raise HearingLost
                self._careful(self._follow_statuses)
                self._careful(self._judge_silence)
                self._wakeup.wait(min(LONGEST_ROUND_SECONDS, self._board.seconds_until_due(time.monotonic())))

    def _careful(self, step: Callable[[float], None]) -> None:
        """Nothing that goes wrong ends the watch, and trouble with one duty does not stop the other."""
        try:
            step(time.monotonic())
        except DATABASE_TROUBLE as error:
            logger.warning("the database does not answer: %s", error)
            self._stop.wait(AFTER_TROUBLE_SECONDS)
        except Exception:
            logger.exception("a round of the health manager failed")
            self._stop.wait(AFTER_TROUBLE_SECONDS)

    @contextmanager
    def _threads(self) -> Iterator[Thread]:
        """Yields the one that receives. Those that ask may be waiting for an amphora: the process ends without them."""
        receiving = Thread(target=self.receiver.run, args=(self._stop,), name="heartbeats", daemon=True)
        writing = Thread(target=self._write_statistics, name="statistics", daemon=True)
        asking = [Thread(target=self._ask, name=f"asking {n}", daemon=True) for n in range(ASKING_THREADS)]
        for thread in (receiving, writing, *asking):
            thread.start()
        try:
            yield receiving
        finally:
            self._stop.set()
            for _ in asking:
                self._questions.put(None)
            self._wakeup.close()
            receiving.join(timeout=2)
            writing.join(timeout=5)

    def _start(self) -> None:
        """The watch begins last: nobody is silent while we are starting."""
        while not self._stop.is_set():
            try:
                self._roster.load()
                suspended = self._records.is_failover_suspended()
            except DATABASE_TROUBLE as error:
                logger.warning("the database does not answer: %s", error)
                self._stop.wait(AFTER_TROUBLE_SECONDS)
            else:
                break
        now = time.monotonic()
        self._watch = SilenceWatch(timeout=self._settings.heartbeat_timeout, now=now, is_suspended=suspended)
        self._watch.in_service(self._roster.amphora_ids, now)

    # Statuses

    def _follow_statuses(self, now: float) -> None:
        """Heartbeats first: what arrived before a change of the log was noticed is not taken for news after it."""
        self._read_inbox()
        due = self._board.due(now)
        if due or now - self._refreshed_at >= REFRESH_SECONDS:
            self._refresh(now)
        self._record(due, now)

    def _receive(self, heartbeat: Heartbeat, received_at: float) -> None:
        """In the thread that receives: nothing here waits for the database."""
        load_balancer_id = self._roster.load_balancers.get(heartbeat.amphora_id)
        if load_balancer_id is None:
            return
        self._statistics.add(heartbeat, load_balancer_id)
        if self._inbox.put(heartbeat, received_at):
            self._wakeup.wake()

    def _read_inbox(self) -> None:
        for amphora_id, (observation, received_at) in self._inbox.take().items():
            if load_balancer_id := self._roster.load_balancers.get(amphora_id):
                self._watch.heard(amphora_id, received_at)
                self._board.observed(load_balancer_id, amphora_id, observation, received_at)

    def _refresh(self, now: float) -> None:
        news = self._roster.refresh()
        self._refreshed_at = now
        noticed_at = time.monotonic()
        for id in news.changed:
            self._board.load_balancer_changed(id, noticed_at)
        for amphora_id, load_balancer_id in news.left:
            self._board.amphora_left(load_balancer_id, amphora_id)
            self._inbox.forget(amphora_id)
            self._statistics.forget(amphora_id)
        for id in news.deleted:
            self._board.forget(id)
        if news.moved:
            self._watch.in_service(self._roster.amphora_ids, noticed_at)

    def _record(self, load_balancer_ids: Sequence[UUID], now: float) -> None:
        due = [id for id in load_balancer_ids if id in self._board]
        for first in range(0, len(due), LOAD_BALANCERS_AT_ONCE):
            self._record_at_once(due[first : first + LOAD_BALANCERS_AT_ONCE], now)

    def _record_at_once(self, load_balancer_ids: Sequence[UUID], now: float) -> None:
        measured = self._changes_of(load_balancer_ids)
        try:
            self._records.record({id: changes for id, changes in measured.items() if changes})
        except (ConcurrentChange, *DATABASE_TROUBLE):
            for id in measured:
                self._board.not_recorded(id, now)
            raise
        for id, changes in measured.items():
            self._board.recorded(id, changes, now)

    def _changes_of(self, load_balancer_ids: Sequence[UUID]) -> dict[UUID, Statuses]:
        """Of those that are there and will stay; the others are forgotten."""
        found = self._load_balancers.load(load_balancer_ids)
        changes = {}
        for id in load_balancer_ids:
            load_balancer = found.get(id)
            if load_balancer is None or load_balancer.deleted or load_balancer.being_deleted:
                self._board.forget(id)
            else:
                changes[id] = self._board.changes(load_balancer)
        return changes

    def _write_statistics(self) -> None:
        """Every other heartbeat or so, and once more at the end."""
        pause = max(2.0, 2 * self._settings.heartbeat_interval)
        stopped = False
        while not stopped:
            stopped = self._stop.wait(pause)
            try:
                self._statistics.flush(self._pool)
            except DATABASE_TROUBLE as error:
                logger.warning("statistics wait for the database: %s", error)

    # Silence

    def _judge_silence(self, now: float) -> None:
        to_ask = self._watch.look(now, listened_until=self.receiver.caught_up)
        self._guard_failover(now)
        for amphora_id in to_ask:
            if address := self._roster.address_of(amphora_id):
                self._questions.put(address)
        self._hear_answers()

    def _guard_failover(self, now: float) -> None:
        """Before answers are heard, so that an incident is not met by replacing the first to be noticed."""
        watch = self._watch
        if watch.must_suspend(now):
            logger.error("automatic failover is suspended: %d of %d amphorae are silent", watch.silent, watch.watched)
            self._records.suspend_failover(silent=watch.silent, in_service=watch.watched)
            watch.is_suspended = True
        elif watch.may_resume():
            logger.warning("automatic failover is resumed: %d of %d amphorae are silent", watch.silent, watch.watched)
            self._records.resume_failover()
            watch.is_suspended = False

    def _ask(self) -> None:
        """In threads of its own, until told to end."""
        while amphora := self._questions.get():
            try:
                reason = why_it_does_not_answer(self._driver, amphora, self._pause_between_questions)
            except Exception:  # ours, then, and no reason to replace an amphora
                logger.exception("amphora %s could not be asked", amphora.amphora_id)
                reason = None
            self._answers.put((amphora.amphora_id, reason))
            self._wakeup.wake()

    def _pause_between_questions(self) -> None:
        """Longer than an interval: amphorae that fell silent with this one are known by then."""
        self._stop.wait(1.5 * self._settings.heartbeat_interval)

    def _hear_answers(self) -> None:
        while True:
            try:
                amphora_id, reason = self._answers.get_nowait()
            except Empty:
                return
            now = time.monotonic()
            if reason is None:
                self._watch.answered(amphora_id, now)
            elif self._watch.is_lost(amphora_id, now) and not self._stop.is_set():
                self._report_lost(amphora_id, reason)

    def _report_lost(self, amphora_id: UUID, reason: str) -> None:
        """When this fails, the amphora is still silent and asked again after another time-out."""
        silence = f"no heartbeat for {self._settings.heartbeat_timeout:g} s, and asked directly: {reason}"
        logger.warning("amphora %s is lost: %s", amphora_id, silence)
        try:
            self._outcomes.amphora_is_lost(amphora_id, silence)
        except (NotFound, ConcurrentChange) as error:
            logger.info("amphora %s need not be replaced: %s", amphora_id, error)
