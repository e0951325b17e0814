"""Carries out durable actions: claims them, runs them side by side, and gives back what has to wait or failed."""

import logging
import os
import random
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread

from commands.ports import Attempt, OutdatedAttempt
from commands.tracing import serving
from domain.errors import NotFound
from processes.actions import Action
from processes.ports import ActionQueue, Claim

_LONGEST_WAIT_SECONDS = 1.0
_RENEW_SECONDS = 1.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Done:
    """The work is done, and no event tells of it. `then` takes its place, in the same transaction."""

    then: Sequence[Action] = ()


@dataclass(frozen=True)
class Recorded:
    """The outcome was recorded, and with it the end of the action."""


@dataclass(frozen=True)
class LookAgain:
    """It waits for something outside."""

    seconds: float


Result = Done | Recorded | LookAgain
DONE = Done()
RECORDED = Recorded()

Perform = Callable[[Action, Claim], Result]


class Worker:
    """Runs actions in `threads` threads. A process may have several, and several processes one each."""

    def __init__(self, queue: ActionQueue, performers: Mapping[str, Perform], *, threads: int) -> None:
        self._queue = queue
        self._performers = performers
        self._threads = threads
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{random.randbytes(4).hex()}"
        self._running: dict[Attempt, Claim] = {}
        self._lock = Lock()

    def run(self, stop: Event) -> None:
        """Until `stop` is set; what runs then is finished, what waits is left to others."""
        with self._keeping_leases(), ThreadPoolExecutor(self._threads, thread_name_prefix="action") as pool:
            while not stop.is_set():
                try:
                    self._claim_and_start(pool)
                except Exception:
                    logger.exception("could not claim actions")
                    stop.wait(_FIRST_PAUSE_SECONDS)

    def _claim_and_start(self, pool: ThreadPoolExecutor) -> None:
        with self._lock:
            held = list(self._running.values())
        free, doubtful = self._room(held)
        claims = self._queue.claim(self._owner, free, doubtful=doubtful, held=held) if free else []
        for claim in claims:
            with self._lock:
                self._running[claim.attempt] = claim
            pool.submit(self._perform_and_forget, claim)
        if not claims:
            self._queue.wait(_LONGEST_WAIT_SECONDS)

    def _room(self, held: Sequence[Claim]) -> tuple[int, int]:
        """Threads that are free, and how many of them may take what failed before.

        That may fail again, after waiting for somebody who does not answer: half of the threads stay for the others.
        """
        doubtful = sum(1 for claim in held if claim.failures)
        return self._threads - len(held), max(0, self._threads // 2 - doubtful)

    @contextmanager
    def _keeping_leases(self) -> Iterator[None]:
        """In a thread of its own: while it takes long to claim, what is held already is not lost."""
        ended = Event()
        keeper = Thread(target=self._keep_leases, args=(ended,), name="leases", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()

    def _keep_leases(self, ended: Event) -> None:
        while not ended.wait(_RENEW_SECONDS):
            with self._lock:
                running = list(self._running.values())
            try:
                if running:
                    self._queue.renew(running)
            except Exception:
                logger.exception("could not prolong leases")

    def _perform_and_forget(self, claim: Claim) -> None:
        """Whatever became of it, its lease is not prolonged any more: somebody will find it when nothing was stored."""
        try:
            self.perform(claim)
        except Exception:
            logger.exception("the outcome of %s could not be stored", claim.action)
        finally:
            with self._lock:
                del self._running[claim.attempt]
            self._queue.wake()

    def perform(self, claim: Claim) -> None:
        """Run one action to whatever end it comes to now."""
        with serving(claim.request_id):
            self._perform(claim)

    def _perform(self, claim: Claim) -> None:
        try:
            self._store(claim, self._performers[claim.action.kind](claim.action, claim))
        except OutdatedAttempt:
            logger.info("%s was taken over by another worker", claim.action)
        except NotFound:
            self._queue.complete(claim)  # its object is gone, and with it the reason for the action
        except Exception as error:
            logger.warning("%s failed: %r", claim.action, error, exc_info=not _is_expected(error))
            self._queue.failed(claim, f"{type(error).__name__}: {error}", _pause_after(claim.failures))

    def _store(self, claim: Claim, result: Result) -> None:
        if not isinstance(result, LookAgain):
            logger.info("%s for %s, attempt %d: done", claim.action.kind, claim.action.lane, claim.attempt.number)
        match result:
            case Done(then):
                self._queue.complete(claim, [replace(action, cause=claim.action.cause) for action in then])
            case LookAgain(seconds):
                self._queue.look_again(claim, seconds)
            case Recorded():
                pass


def _pause_after(failures: int) -> float:
    """Doubles with each failure, with jitter so that those that failed together do not return together."""
    pause = min(_FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10), _LONGEST_PAUSE_SECONDS)
    return pause * random.uniform(0.8, 1.2)


def _is_expected(error: Exception) -> bool:
    """What drivers report is told in a line; anything else with its traceback."""
    return type(error).__module__.startswith(("processes.", "amphora.", "commands.", "domain."))
