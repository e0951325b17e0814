"""Says that the log may go on although it lost events: it gets a new id, and positions that were never given before."""

from dataclasses import dataclass
from uuid import UUID, uuid4

import psycopg

from infra.event_store import ORDER_LOCK

BEYOND = 1_000_000_000
"""Positions that are left out: more than can have been lost, so that none is given a second time."""

_KNOWN = """
SELECT id, coalesce((SELECT max(notification_id) FROM tacitus_events), 0),
    (SELECT last_value FROM tacitus_events_notification_id_seq)
FROM log_identity
"""
# Whatever is kept beside the log came back with it, or from somewhere else: nothing may be ahead of the log's end.
_CLAMP = (
    "UPDATE positions SET position = %(end)s WHERE position > %(end)s",
    "UPDATE published SET position = %(end)s WHERE position > %(end)s",
    "DELETE FROM parked_events WHERE position > %(end)s",
    "UPDATE terms SET number = number + %(beyond)s",
)


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """One life of the log follows another.

    end   the position of its last event
    next  the position that the next event will get
    """

    log_id: UUID
    former: UUID
    end: int
    next: int


def adopt(owner_url: str, why: str) -> Adoption:
    """Whoever appends meanwhile waits. Services that run end, since they know the former id. Raises psycopg.Error."""
    with psycopg.connect(owner_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ORDER_LOCK,))
        former, end, given = connection.execute(_KNOWN).fetchone() or (None, 0, 0)
        assert former is not None, "migrations make the row"
        adoption = Adoption(log_id=uuid4(), former=former, end=end, next=max(end, given) + BEYOND)
        connection.execute("UPDATE log_identity SET id = %s", (adoption.log_id,))
        said = (adoption.log_id, former, end, why)
        connection.execute("INSERT INTO log_adoptions (id, former, position, why) VALUES (%s, %s, %s, %s)", said)
        connection.execute("SELECT setval('tacitus_events_notification_id_seq', %s, false)", (adoption.next,))
        for statement in _CLAMP:
            connection.execute(statement.encode(), {"end": end, "beyond": BEYOND})
    return adoption
