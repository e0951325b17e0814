"""The log as `tacitus verify` reads it: once, in order, page by page, with what has to hold of any log at all."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import TopicError

from domain.amphora import Amphora
from domain.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from domain.control import Control
from domain.flavor import Flavor, FlavorProfile
from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from infra.transcoding import EventMapper

_PAGE = 2_000
_LARGEST_COMMIT = 100_000
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_READ = """
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state, c.command_id, c.recorded_at
FROM tacitus_events e LEFT JOIN commits c ON c.position = e.notification_id
WHERE e.notification_id > %s ORDER BY e.notification_id LIMIT %s
"""
_WITHOUT_EVENT = """
SELECT c.position, c.command_id FROM commits c LEFT JOIN tacitus_events e ON e.notification_id = c.position
WHERE e.notification_id IS NULL ORDER BY c.position
"""
_LATEST_VERSION = """
SELECT coalesce(max(originator_version), 0) FROM tacitus_events WHERE originator_id = %s AND notification_id < %s
"""


@dataclass(frozen=True)
class Finding:
    """Something that should not be so.

    position  of the event that shows it; None for what is so now
    subject   whom it concerns, with its id
    """

    position: int | None
    subject: str
    words: str

    def __str__(self) -> str:
        where = "now" if self.position is None else f"position {self.position}"
        return f"{where}: {self.subject} {self.words}"


Tell = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event with its place.

    at     when it was recorded
    event  None when this release cannot read it
    """

    position: int
    stream: UUID
    version: int
    topic: str
    at: datetime
    event: Any

    def finding(self, subject: str, words: str) -> Finding:
        return Finding(self.position, subject, words)


@dataclass
class Deadlines:
    """Until when what was asked for has to have its outcome, all in seconds.

    grace     allowed on top: processes may have been down for as long
    held      whether the noop profile was told to complete nothing; nothing is late then
    """

    push: float
    build: float
    delete: float
    grace: float
    held: bool = False
    released_at: datetime = _LONG_AGO

    def see(self, entry: Entry) -> None:
        match entry.event:
            case Control.HoldSet(hold=True):
                self.held = True
            case Control.HoldSet() | Control.Reset():
                self.held, self.released_at = False, entry.at

    def passed(self, since: datetime, seconds: float, now: datetime) -> bool:
        """Whether more than `seconds`, and the grace, lie between."""
        begun = max(since, self.released_at)
        return not self.held and now > begun + timedelta(seconds=seconds + self.grace)


@dataclass(frozen=True, slots=True)
class _Stored:
    position: int
    stream: UUID
    version: int
    topic: str
    state: bytes
    command_id: UUID | None
    recorded_at: datetime | None


@dataclass
class Log:
    """Reads the log behind the last event that was read; may be asked again for what came meanwhile."""

    connection: psycopg.Connection[Any]
    tell: Tell
    last_position: int = 0
    commits: int = 0
    events: int = 0
    _recorded_at: datetime = _LONG_AGO
    _open: list[_Stored] = field(default_factory=list)
    _mapper: EventMapper = field(default_factory=EventMapper)

    def entries(self) -> Iterator[Entry]:
        """Until the end of what the connection can see now. Raises infra.transcoding.NewerFormat."""
        while page := self.connection.execute(_READ, (self.last_position, _PAGE)).fetchall():
            for row in page:
                self._open.append(_Stored(*row))
                self.last_position = row[0]
                if self._open[-1].command_id is not None:
                    yield from self._committed()
                elif len(self._open) >= _LARGEST_COMMIT:
                    yield from self.uncommitted()

    def _committed(self) -> Iterator[Entry]:
        """The events that the commit of the last one recorded."""
        recorded, self._open = self._open, []
        for before, after in pairwise(recorded):
            if after.position != before.position + 1:
                words = f"and position {after.position} belong to one commit, yet nothing is left of what lay between"
                self.tell(Finding(before.position, _stream(before), words))
        at = recorded[-1].recorded_at
        assert at is not None, "a commit has its time"
        if at < self._recorded_at:
            words = f"was recorded at {at}, yet the commit before it at {self._recorded_at}"
            self.tell(Finding(recorded[-1].position, f"commit {recorded[-1].command_id}", words))
        self._recorded_at = max(at, self._recorded_at)
        self.commits += 1
        yield from self._read(recorded)

    def uncommitted(self) -> Iterator[Entry]:
        """The rest of the log, which no commit record covers."""
        left, self._open = self._open, []
        for stored in left:
            self.tell(Finding(stored.position, _stream(stored), "has an event that belongs to no commit"))
        yield from self._read(left)

    def _read(self, recorded: Iterable[_Stored]) -> Iterator[Entry]:
        for stored in recorded:
            self.events += 1
            yield Entry(
                stored.position, stored.stream, stored.version, stored.topic, self._recorded_at, self._event(stored)
            )

    def _event(self, stored: _Stored) -> Any:
        try:
            return self._mapper.to_domain_event(
                StoredEvent(stored.stream, stored.version, stored.topic, bytes(stored.state))
            )
        except (TopicError, msgspec.MsgspecError, KeyError) as error:
            self.tell(Finding(stored.position, _stream(stored), f"has an event that cannot be read: {error}"))
            return None

    def commits_without_event(self) -> None:
        for position, command_id in self.connection.execute(_WITHOUT_EVENT):
            self.tell(Finding(position, f"commit {command_id}", "ends with an event that is not there"))


def _stream(stored: _Stored) -> str:
    return f"{stored.topic} {stored.version} of {stored.stream}"


class Versions:
    """Each stream counts its events from 1 without a gap, in the order of the log.

    Streams that have ended are forgotten, so that what is remembered does not grow with the log; one that goes on
    nevertheless is looked up.
    """

    def __init__(self, connection: psycopg.Connection[Any], tell: Tell) -> None:
        self._connection = connection
        self._tell = tell
        self._latest: dict[UUID, int] = {}

    def see(self, entry: Entry) -> None:
        before = self._latest.get(entry.stream)
        if before is None:
            before = 0 if entry.version == 1 else self._looked_up(entry)
        if entry.version != before + 1:
            words = f"has version {entry.version} after version {before}"
            self._tell(entry.finding(f"{entry.topic} of {entry.stream}", words))
        self._latest[entry.stream] = entry.version
        for id in _ended_by(entry):
            self._latest.pop(id, None)

    def _looked_up(self, entry: Entry) -> int:
        row = self._connection.execute(_LATEST_VERSION, (entry.stream, entry.position)).fetchone()
        assert row is not None, "an aggregate function has a row"
        return int(row[0])


def _ended_by(entry: Entry) -> Iterable[UUID]:
    match entry.event:
        case LoadBalancer.Deleted():
            return entry.stream, LoadBalancerHealth.create_id(entry.stream)
        case (
            Amphora.Removed()
            | Flavor.Deleted()
            | FlavorProfile.Deleted()
            | AvailabilityZone.Deleted()
            | AvailabilityZoneProfile.Deleted()
        ):
            return (entry.stream,)
    return ()
