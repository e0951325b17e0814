"""The log as a rebuild reads it: the changes of each commit, in order, in batches of bounded size."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent
from psycopg import Connection

from domain.fields import Position
from domain.parked_stream import ParkedStream
from processes.ports import ReleaseTooOld
from projections.known import Projection
from projections.rows import Change

_COMMITS = """
SELECT position, command_id, recorded_at AT TIME ZONE 'UTC' FROM commits
WHERE position > %s AND position <= %s ORDER BY position
"""
_NEXT_COMMIT = """
SELECT position, command_id, recorded_at AT TIME ZONE 'UTC' FROM commits WHERE position > %s ORDER BY position LIMIT 1
"""
_EVENTS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events
WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""
_END = "SELECT coalesce(max(position), 0) FROM commits"
_REACHED = f"SELECT least(({_END}), coalesce((SELECT position FROM positions WHERE consumer = %s), 0))"
_HOLD = "SELECT FROM positions WHERE consumer = %s FOR UPDATE"
_PARKED = "SELECT count(DISTINCT stream) FROM parked_events WHERE consumer = %s"
_DECISIONS = """
SELECT d.notification_id, d.originator_id, d.originator_version, d.topic, d.state
FROM tacitus_events p JOIN tacitus_events d USING (originator_id)
WHERE p.topic = %s AND p.originator_version = 1 AND convert_from(p.state, 'UTF8')::jsonb ->> 'consumer' = %s
    AND d.topic = %s
"""


@dataclass(frozen=True)
class Commit:
    """What one command changed; or as much of it as rows that follow the log in their own time have so far.

    recorded_at  by the database's clock, in UTC without saying so, as rows hold it
    """

    command_id: UUID
    recorded_at: datetime
    changes: Sequence[Change]


@dataclass(frozen=True)
class Batch:
    """Some commits in a row.

    position  of their last event
    events    how many they have in all
    """

    position: int
    events: int
    commits: Sequence[Commit]


class CannotBeHandled(Exception):
    """The projection cannot stand an event, and nobody has said that it may be left out."""

    def __init__(self, position: int, cause: Exception) -> None:
        super().__init__(f"the event at position {position} cannot be handled: {type(cause).__name__}: {cause}")


def end_for(projection: Projection, connection: Connection[Any]) -> int:
    """The last position that the rows that serve have: the end of the log where they are written with each append.

    Commits are ordered by a lock, so nothing can come before it any more.
    """
    if projection.consumer:
        row = connection.execute(_REACHED, (projection.consumer,)).fetchone()
    else:
        row = connection.execute(_END).fetchone()
    return int(row[0]) if row else 0


def hold_end(projection: Projection, connection: Connection[Any]) -> None:
    """The projector goes no further before the transaction ends."""
    connection.execute(_HOLD, (projection.consumer,))


def parked_streams(projection: Projection, connection: Connection[Any]) -> int:
    """How many streams the rows that serve lack the rest of."""
    row = connection.execute(_PARKED, (projection.consumer,)).fetchone()
    return int(row[0]) if row else 0


class Log:
    """Reads the log on a connection of its own."""

    def __init__(self, connection: Connection[Any], mapper: Mapper[UUID], projection: Projection) -> None:
        self._connection = connection
        self._mapper = mapper
        self._projection = projection

    def end(self) -> int:
        return end_for(self._projection, self._connection)

    def batches(self, position: int, end: int, size: int) -> Iterator[Batch]:
        """From after `position` up to `end`, about `size` events each: commits are not taken apart but by the end."""
        while (batch := self.batch(position, end, size)) is not None:
            yield batch
            position = batch.position

    def batch(self, position: int, end: int, size: int) -> Batch | None:
        """The next one; None at the end. Raises infra.transcoding.NewerFormat, CannotBeHandled."""
        if position >= end:
            return None
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(_COMMITS, (position, min(end, position + size)), prepare=True).fetchall()
            found = found or cursor.execute(_NEXT_COMMIT, (position,), prepare=True).fetchall()
            if not found:
                return None
            last = min(found[-1][0], end)
            events = cursor.execute(_EVENTS, (position, last), prepare=True).fetchall()
        return Batch(last, len(events), list(self._commits(found, events)))

    def _commits(self, found: Sequence[tuple[int, UUID, datetime]], events: Sequence[Any]) -> Iterator[Commit]:
        rest = iter(events)
        for last, command_id, recorded_at in found:
            changes: list[Change] = []
            for position, *stored in rest:
                changes += self._changes(position, StoredEvent(*stored))
                if position == last:
                    break
            yield Commit(command_id, recorded_at, changes)

    def _changes(self, position: int, stored: StoredEvent) -> Sequence[Change]:
        """An event that somebody had the projector leave out is left out, unless it can be handled by now."""
        try:
            return self._projection.changes_of(self._mapper.to_domain_event(stored))
        except ReleaseTooOld:
            raise
        except Exception as error:
            if position in self._left_out:
                return ()
            raise CannotBeHandled(position, error) from error

    @cached_property
    def _left_out(self) -> Set[Position]:
        """Found by a look at the whole log, which is rarely needed."""
        said = (ParkedStream.Created.TOPIC, self._projection.consumer, ParkedStream.SkipRequested.TOPIC)
        with self._connection.cursor(binary=True) as cursor:
            stored = [StoredEvent(*event) for _, *event in cursor.execute(_DECISIONS, said)]
        decided = [self._mapper.to_domain_event(each) for each in stored]
        return {each.position for each in decided if isinstance(each, ParkedStream.SkipRequested)}
