"""Streams that a consumer has parked: one of their events could not be handled, and the others must not overtake it."""

from typing import Self
from uuid import UUID, uuid5

from eventsourcing.domain import Aggregate, event

from domain.errors import NotParked
from domain.fields import Position

_NAMESPACE = UUID("8a0b1f5e-6f2c-5a37-9d60-3c6f4f1b7e02")


class ParkedStream(Aggregate):
    """Remembers what one consumer put aside of one stream, and what somebody decided about it."""

    TOPIC = "ParkedStream"

    class Event(Aggregate.Event):
        """Anything about a parked stream."""

        TOPIC = "ParkedStreamEvent"

    class Created(Event, Aggregate.Created):
        """stream_id: the load balancer, else the aggregate, whose events they are. position: the one that failed."""

        TOPIC = "StreamParked"
        consumer: str
        stream_id: UUID
        position: Position
        reason: str

    class ParkedAgain(Event):
        """Another event of the stream failed, or the same one once more."""

        TOPIC = "StreamParkedAgain"
        position: Position
        reason: str

    class RetryRequested(Event):
        TOPIC = "StreamRetryRequested"
        why: str

    class SkipRequested(Event):
        """position: the event that is to be left out for good."""

        TOPIC = "StreamSkipRequested"
        position: Position
        why: str

    class Released(Event):
        """All that was put aside has been handled."""

        TOPIC = "StreamReleased"

    @staticmethod
    def create_id(consumer: str, stream_id: UUID) -> UUID:
        return uuid5(_NAMESPACE, f"{consumer}/{stream_id}")

    @classmethod
    def of(cls, *, consumer: str, stream_id: UUID, position: Position, reason: str) -> Self:
        id = cls.create_id(consumer, stream_id)
        return cls._create(cls.Created, id=id, consumer=consumer, stream_id=stream_id, position=position, reason=reason)

    @event(Created)
    def __init__(self, *, consumer: str, stream_id: UUID, position: Position, reason: str) -> None:
        self.consumer = consumer
        self.stream_id = stream_id
        self.position: Position | None = position
        self.reason = reason
        self.is_asked_for = False

    def park(self, position: Position, reason: str) -> None:
        """Nothing new unless another event fails, or somebody has asked for another try since."""
        if self.is_asked_for or self.position != position:
            self._parked_again(position=position, reason=reason)

    @event(ParkedAgain)
    def _parked_again(self, position: Position, reason: str) -> None:
        self.position, self.reason = position, reason
        self.is_asked_for = False

    def request_retry(self, why: str) -> None:
        """Raises NotParked."""
        self._require_parked()
        self._retry_requested(why=why)

    @event(RetryRequested)
    def _retry_requested(self, why: str) -> None:
        self.is_asked_for = True

    def request_skip(self, why: str) -> None:
        """Leave the event out that failed. Raises NotParked."""
        self._skip_requested(position=self._require_parked(), why=why)

    @event(SkipRequested)
    def _skip_requested(self, position: Position, why: str) -> None:
        self.is_asked_for = True

    def release(self) -> None:
        if self.position is not None:
            self._released()

    @event(Released)
    def _released(self) -> None:
        self.position, self.reason = None, ""
        self.is_asked_for = False

    def _require_parked(self) -> Position:
        if self.position is None:
            raise NotParked(self.stream_id)
        return self.position
