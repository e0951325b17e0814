"""Feeds processes with the events of the stream: position and actions are stored together, so nothing is lost."""

import logging
from collections.abc import Sequence
from threading import Event
from typing import Protocol

from domain.fields import Position
from processes.actions import Action
from processes.ports import EventStream, Ledger

_BATCH = 200
_SLOW_LOOK_SECONDS = 1.0
_PAUSE_AFTER_ERROR_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Process(Protocol):
    """Decides purely what follows from an event."""

    @property
    def name(self) -> str: ...

    def react(self, event: object) -> Sequence[Action]: ...


class ProcessRunner:
    """Runs processes side by side as one consumer of the stream."""

    def __init__(self, consumer: str, processes: Sequence[Process], stream: EventStream, ledger: Ledger) -> None:
        self._consumer = consumer
        self._processes = processes
        self._stream = stream
        self._ledger = ledger

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                if not self.run_once():
                    self._stream.wait(_SLOW_LOOK_SECONDS)
            except Exception:
                logger.exception("the processes could not go on")
                stop.wait(_PAUSE_AFTER_ERROR_SECONDS)

    def run_once(self) -> bool:
        """One batch of events; False when there was nothing new."""
        return self._ledger.advance(self._consumer, self._decide)

    def _decide(self, position: Position) -> tuple[Position, Sequence[Action]]:
        recorded = self._stream.read_after(position, _BATCH)
        actions = [action for item in recorded for process in self._processes for action in process.react(item.event)]
        return (recorded[-1].position if recorded else position), actions
