"""What becomes of events that a consumer cannot handle: they wait with those of their stream that follow.

The others go on. Somebody mends what is wrong and asks for another try, or has the event left out.
"""

import logging
from collections.abc import Sequence
from typing import TypeAlias

from commands.ports import Aggregates, Origin
from domain.errors import NotFound
from domain.fields import Position
from domain.parked_stream import ParkedStream
from processes.ports import Recorded

_LONGEST_REASON = 1_000

logger = logging.getLogger(__name__)

Request: TypeAlias = ParkedStream.RetryRequested | ParkedStream.SkipRequested


class Parking:
    """Writes down what one consumer puts aside; saying the same again adds nothing.

    Raises what commands.ports.Aggregates.save names.
    """

    def __init__(self, consumer: str, aggregates: Aggregates) -> None:
        self._consumer = consumer
        self._aggregates = aggregates

    def park(self, item: Recorded, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"[:_LONGEST_REASON]
        logger.error(
            "the stream %s is parked: its event at %d cannot be handled", item.stream, item.position, exc_info=error
        )
        parked = self._parked(item)
        if parked is None:
            self._save(
                ParkedStream.of(consumer=self._consumer, stream_id=item.stream, position=item.position, reason=reason)
            )
        else:
            parked.park(item.position, reason)
            self._save(parked)

    def release(self, item: Recorded) -> None:
        """All of the stream of this event has been handled."""
        parked = self._parked(item)
        if parked is not None:
            parked.release()
            self._save(parked)

    def is_request(self, item: Recorded) -> bool:
        """Whether somebody asks this consumer to take a stream up again."""
        if not isinstance(item.event, Request):
            return False
        return item.event.originator_id == ParkedStream.create_id(self._consumer, item.stream)

    @staticmethod
    def left_out(request: object) -> Sequence[Position]:
        """The events that somebody wants to be skipped."""
        return [request.position] if isinstance(request, ParkedStream.SkipRequested) else []

    def _parked(self, item: Recorded) -> ParkedStream | None:
        try:
            return self._aggregates.load(ParkedStream, ParkedStream.create_id(self._consumer, item.stream))
        except NotFound:
            return None

    def _save(self, parked: ParkedStream) -> None:
        self._aggregates.save(parked, origin=Origin())
