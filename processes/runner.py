"""Feeds consumers with the events of the stream: position and reactions are stored together, so nothing is lost."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile
from threading import Event
from typing import Generic, Protocol

from domain.fields import Position
from domain.parked_stream import ParkedStream
from processes.actions import Action
from processes.parking import Parking
from processes.ports import EventStream, Ledger, Recorded, ReleaseTooOld, Step, T, Unreadable

_BATCH = 200
_SLOW_LOOK_SECONDS = 1.0
_PAUSE_AFTER_ERROR_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Process(Protocol):
    """Decides purely what follows from an event."""

    @property
    def name(self) -> str: ...

    def react(self, event: object) -> Sequence[Action]: ...


def side_by_side(processes: Sequence[Process]) -> Callable[[Recorded], Sequence[Action]]:
    """What several processes that are one consumer make of an event; each action knows which event it follows from."""

    def react(item: Recorded) -> Sequence[Action]:
        actions = [action for process in processes for action in process.react(item.event)]
        return [replace(action, cause=item.position) for action in actions]

    return react


class Runner(Generic[T]):
    """Runs one consumer of the stream.

    react  decides purely what follows from an event; it may raise anything, which parks the event's stream
    """

    def __init__(
        self,
        consumer: str,
        react: Callable[[Recorded], Sequence[T]],
        stream: EventStream,
        ledger: Ledger[T],
        parking: Parking,
    ) -> None:
        self._consumer = consumer
        self._react = react
        self._stream = stream
        self._ledger = ledger
        self._parking = parking

    def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises ReleaseTooOld."""
        while not stop.is_set():
            try:
                if not self.run_once():
                    self._stream.wait(_SLOW_LOOK_SECONDS)
            except ReleaseTooOld:
                raise
            except Exception:
                logger.exception("%s could not go on", self._consumer)
                stop.wait(_PAUSE_AFTER_ERROR_SECONDS)

    def run_once(self) -> bool:
        """One batch of events of each partition; False when there was nothing new."""
        partitions = self._stream.partitions()
        moved = [self._ledger.advance(self._consumer, each, partial(self._step, each)) for each in partitions]
        return any(moved)

    def _step(self, partition: int, position: Position) -> Step[T]:
        """A request to take up a stream ends a batch: what is before it has to be put aside first."""
        recorded = self._stream.read_after(partition, position, _BATCH)
        if not recorded:
            return Step(reached=position)
        if self._parking.is_request(recorded[0]):
            return self._taken_up(recorded[0], position)
        return self._handled(list(takewhile(lambda item: not self._parking.is_request(item), recorded)))

    def _handled(self, recorded: Sequence[Recorded]) -> Step[T]:
        parked = set(self._ledger.parked(self._consumer))
        reactions: list[T] = []
        put_aside: list[Recorded] = []
        for item in recorded:
            if item.stream not in parked:
                try:
                    reactions += self._reactions(item)
                    continue
                except Exception as error:
                    self._parking.park(item, error)
                    parked.add(item.stream)
            if not isinstance(item.event, ParkedStream.Event):
                put_aside.append(item)
        return Step(reached=recorded[-1].position, reactions=reactions, put_aside=put_aside)

    def _taken_up(self, request: Recorded, position: Position) -> Step[T]:
        """One batch of what was put aside; the request is done with once nothing is left, or the next one fails."""
        waiting = self._ledger.put_aside(self._consumer, request.stream, _BATCH)
        left_out = self._parking.left_out(request.event)
        reactions: list[T] = []
        done: list[Recorded] = []
        found = self._stream.read_at(waiting)
        for item in found:
            try:
                reactions += [] if item.position in left_out else self._reactions(item)
            except Exception as error:
                self._parking.park(item, error)
                return Step(reached=request.position, reactions=reactions, taken_up=done)
            done.append(item)
        is_all = len(found) == len(waiting) < _BATCH
        if is_all:
            self._parking.release(request)
        return Step(reached=request.position if is_all else position, reactions=reactions, taken_up=done)

    def _reactions(self, item: Recorded) -> Sequence[T]:
        if isinstance(item.event, Unreadable):
            raise item.event
        return self._react(item)
