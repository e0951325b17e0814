"""Commands on one load balancer take turns within a process, and try again when another process was faster."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, TypeVar
from uuid import UUID

from domain.errors import ConcurrentChange

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1
_FEWEST_ATTEMPTS = 3  # one alone may take all patience, where it waits for somebody's lock


class Log(Protocol):
    """The part of commands.ports.Aggregates that a retry needs."""

    def was_carried_out(self, command_id: UUID) -> bool: ...


@dataclass
class _Turn:
    lock: Lock = field(default_factory=Lock)
    waiting: int = 0


class Turns:
    """A lock per load balancer around load, decide and save, with retries between processes."""

    def __init__(self, log: Log, *, patience_seconds: float = 5.0) -> None:
        self._log = log
        self._patience_seconds = patience_seconds
        self._turns: dict[UUID, _Turn] = {}
        self._lock = Lock()

    def take(self, load_balancer_id: UUID, command_id: UUID, decide_and_save: Callable[[], T]) -> T | None:
        """Carry out a command; None when the log holds it already, because the answer to its commit was lost.

        Raises ConcurrentChange when others were faster for longer than the patience.
        """
        deadline = time.monotonic() + self._patience_seconds
        pause, attempts = _FIRST_PAUSE, 0
        with self._turn_of(load_balancer_id):
            while True:
                attempts += 1
                try:
                    return decide_and_save()
                except ConcurrentChange:
                    if self._log.was_carried_out(command_id):
                        return None
                    if attempts >= _FEWEST_ATTEMPTS and time.monotonic() > deadline:
                        raise
                time.sleep(random.uniform(0, pause))
                pause = min(pause * 2, _LONGEST_PAUSE)

    @contextmanager
    def _turn_of(self, load_balancer_id: UUID) -> Iterator[None]:
        """The lock is forgotten when nobody waits for it any more."""
        with self._lock:
            turn = self._turns.setdefault(load_balancer_id, _Turn())
            turn.waiting += 1
        try:
            with turn.lock:
                yield
        finally:
            with self._lock:
                turn.waiting -= 1
                if not turn.waiting:
                    del self._turns[load_balancer_id]
