"""Streams: which events belong together, and how stored ones become events again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import Mapper, StoredEvent

from domain.fields import Position
from processes.ports import Recorded, ReleaseTooOld, Unreadable

_MOST_KNOWN = 100_000
_FIRST = "SELECT originator_id, state FROM tacitus_events WHERE originator_id = ANY(%s) AND originator_version = 1"


class _First(msgspec.Struct):
    """What the first event of an aggregate says about where it belongs."""

    load_balancer_id: UUID | None = None
    stream_id: UUID | None = None


_FIRST_DECODER = msgspec.json.Decoder(_First)


def stream_of(originator_id: UUID, first_state: bytes) -> UUID:
    """The load balancer (or other stream) that an aggregate's first event names, else the aggregate itself."""
    said = _FIRST_DECODER.decode(first_state)
    return said.load_balancer_id or said.stream_id or originator_id


class Streams:
    """Remembers where aggregates belong; what it does not know, it reads from their first events."""

    def __init__(self) -> None:
        self._known: dict[UUID, UUID] = {}

    def of(self, connection: psycopg.Connection[Any], originator_ids: Sequence[UUID]) -> Sequence[UUID]:
        unknown = list({id for id in originator_ids if id not in self._known})
        if unknown:
            if len(self._known) > _MOST_KNOWN:
                self._known, unknown = {}, list(set(originator_ids))
            first = connection.execute(_FIRST, (unknown,), prepare=True).fetchall()
            self._known.update({id: stream_of(id, bytes(state)) for id, state in first})
        return [self._known[id] for id in originator_ids]


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as it is stored, with its place in the log."""

    position: Position
    stream: UUID
    event: StoredEvent


def decoded(found: Iterable[Stored], mapper: Mapper[UUID]) -> Sequence[Recorded]:
    """Up to the first that is of a newer format. Raises ReleaseTooOld when that is the first of all."""
    read: list[Recorded] = []
    for each in found:
        try:
            event = _event(each.event, mapper)
        except ReleaseTooOld:
            if not read:
                raise
            break
        read.append(Recorded(position=each.position, stream=each.stream, event=event))
    return read


def _event(stored: StoredEvent, mapper: Mapper[UUID]) -> object:
    """An event of a newer release stops whoever reads it; one that makes no sense is somebody's mistake."""
    try:
        return mapper.to_domain_event(stored)
    except ReleaseTooOld:
        raise
    except Exception as error:
        return Unreadable(f"{stored.topic}: {error}")
