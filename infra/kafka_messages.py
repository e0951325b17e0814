"""Events as messages of Kafka: CloudEvents in binary mode, so the value is the event's own fields as JSON.

Headers: source "urn:uuid:<id of the log>", id the position in the log, type the event's name, subject the aggregate,
sequence the event's number in the aggregate, time when it was recorded, partitionkey the stream. `previous` is the
position of the message before it in this partition, from which a consumer sees that something is missing; that holds
among messages of the same number of `partitions`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from kafka.partitioner.default import murmur2

from domain.fields import Position
from infra.streams import Stored

Headers = list[tuple[str, bytes]]


@lru_cache(maxsize=100_000)
def partition_of(stream: UUID, partitions: int) -> int:
    """Where Kafka's own clients would put a message with this key: the text of the stream's id."""
    return int(murmur2(str(stream).encode()) & 0x7FFFFFFF) % partitions


class Foreign(Exception):
    """A message that is none of ours."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event on its way.

    offset    in Kafka's partition; a hint where to go on, nothing more
    previous  the position of the message before it
    """

    offset: int
    previous: Position
    stored: Stored

    @property
    def position(self) -> Position:
        return self.stored.position


@dataclass(frozen=True, slots=True)
class Layout:
    """What all messages of one relay have in common.

    source  the id of the log as a URN
    """

    source: bytes
    partitions: int

    @classmethod
    def of(cls, log_id: UUID, partitions: int) -> Self:
        return cls(f"urn:uuid:{log_id}".encode(), partitions)


def headers_of(stored: Stored, recorded_at: datetime, previous: Position, layout: Layout) -> Headers:
    event = stored.event
    return [
        ("ce_specversion", b"1.0"),
        ("ce_source", layout.source),
        ("ce_id", b"%d" % stored.position),
        ("ce_type", event.topic.encode()),
        ("ce_subject", str(event.originator_id).encode()),
        ("ce_sequence", b"%d" % event.originator_version),
        ("ce_time", recorded_at.isoformat().encode()),
        ("ce_partitionkey", str(stored.stream).encode()),
        ("ce_previous", b"%d" % previous),
        ("ce_partitions", b"%d" % layout.partitions),
        ("content-type", b"application/json"),
    ]


def message_of(record: Any, layout: Layout) -> Message:
    """record: kafka-python's ConsumerRecord. Raises Foreign, also for a message of another log or another layout."""
    said = dict(record.headers)
    try:
        if Layout(said["ce_source"], int(said["ce_partitions"])) != layout:
            raise Foreign(f"offset {record.offset} of partition {record.partition} is of {said['ce_source']!r}")
        event = StoredEvent(
            originator_id=UUID(said["ce_subject"].decode()),
            originator_version=int(said["ce_sequence"]),
            topic=said["ce_type"].decode(),
            state=record.value or b"",
        )
        stored = Stored(Position(int(said["ce_id"])), UUID(said["ce_partitionkey"].decode()), event)
        return Message(record.offset, Position(int(said["ce_previous"])), stored)
    except (KeyError, ValueError) as error:
        raise Foreign(f"offset {record.offset} of partition {record.partition} makes no sense: {error}") from error


def size_of(value: bytes, headers: Sequence[tuple[str, bytes]]) -> int:
    """Bytes of a message, and somewhat more."""
    return len(value) + sum(len(name) + len(said) for name, said in headers) + 200
