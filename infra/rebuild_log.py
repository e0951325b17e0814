"""The log as a rebuild reads it: the changes of each commit, in order, in batches of bounded size."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent
from psycopg import Connection

from projections.rows import Change

_COMMITS = """
SELECT position, command_id, recorded_at AT TIME ZONE 'UTC' FROM commits
WHERE position > %s AND position <= %s ORDER BY position
"""
_NEXT_COMMIT = f"{_COMMITS} LIMIT 1"
_EVENTS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events
WHERE notification_id > %s AND notification_id <= %s ORDER BY notification_id
"""
_END = "SELECT coalesce(max(position), 0) FROM commits"


@dataclass(frozen=True)
class Commit:
    """What one command changed.

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


def end_of_log(connection: Connection[Any]) -> int:
    """Position of the last event. Commits are ordered by a lock, so nothing can come before it any more."""
    row = connection.execute(_END).fetchone()
    return int(row[0]) if row else 0


class Log:
    """Reads the log on a connection of its own, one batch ahead of whoever writes what follows from it."""

    def __init__(
        self, connection: Connection[Any], mapper: Mapper[UUID], changes_of: Callable[[object], Sequence[Change]]
    ) -> None:
        self._connection = connection
        self._mapper = mapper
        self._changes_of = changes_of

    def end(self) -> int:
        return end_of_log(self._connection)

    def batches(self, position: int, end: int, size: int) -> Iterator[Batch]:
        """From after `position` up to `end`, about `size` events each: commits are not taken apart."""
        with ThreadPoolExecutor(1, "log of a rebuild") as ahead:
            coming = ahead.submit(self.batch, position, end, size)
            while (batch := coming.result()) is not None:
                coming = ahead.submit(self.batch, batch.position, end, size)
                yield batch

    def batch(self, position: int, end: int, size: int) -> Batch | None:
        """The next one; None at the end. Raises infra.transcoding.NewerFormat."""
        with self._connection.cursor(binary=True) as cursor:
            found = cursor.execute(_COMMITS, (position, min(end, position + size)), prepare=True).fetchall()
            found = found or cursor.execute(_NEXT_COMMIT, (position, end), prepare=True).fetchall()
            if not found:
                return None
            last = found[-1][0]
            events = cursor.execute(_EVENTS, (position, last), prepare=True).fetchall()
        return Batch(last, len(events), list(self._commits(found, events)))

    def _commits(self, found: Sequence[tuple[int, UUID, datetime]], events: Sequence[Any]) -> Iterator[Commit]:
        decoded, changes_of = self._mapper.to_domain_event, self._changes_of
        rest = iter(events)
        for last, command_id, recorded_at in found:
            changes: list[Change] = []
            for position, originator_id, version, topic, state in rest:
                changes += changes_of(decoded(StoredEvent(originator_id, version, topic, state)))
                if position == last:
                    break
            yield Commit(command_id, recorded_at, changes)
