"""Durable actions as rows of PostgreSQL: short claims, leases, lanes and coalescing."""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg_pool import ConnectionPool

from commands.ports import Attempt
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.actions import ACTIONS, Action, Term
from processes.ports import Claim

CHANNEL = "tacitus_actions"
LEASE_SECONDS = 4
_CLAIM_LOCK = 7_201_603

# More wanted for the same object joins the row that waits; a row that runs is due again once it ends (complete_action).
_INSERT = """
INSERT INTO actions (kind, object_id, lane, priority, payload, wanted, cause, due_at, deadline)
SELECT kind, object_id, lane, priority, payload, wanted, cause,
       now() + make_interval(secs => after_seconds), now() + make_interval(secs => after_seconds + term_seconds)
FROM jsonb_to_recordset(%s::jsonb) AS x(
    kind text, object_id uuid, lane text, priority smallint, payload jsonb, wanted bigint,
    cause bigint, after_seconds double precision, term_seconds double precision)
ORDER BY kind, object_id
ON CONFLICT (kind, object_id) DO UPDATE SET
    wanted = greatest(actions.wanted, excluded.wanted),
    cause = greatest(actions.cause, excluded.cause),
    due_at = CASE WHEN actions.owner IS NULL THEN least(actions.due_at, excluded.due_at) ELSE actions.due_at END
"""
# In each lane the row to go next, unless one of the lane is running; an expired lease frees its own row only.
# Those that failed before have a number among themselves: the first so many may go. A row that is locked is being
# prolonged or ended at this moment, whatever its lease says.
_CLAIM = """
WITH next AS (
    SELECT DISTINCT ON (a.lane) a.id, a.priority, a.due_at, a.failures > 0 AS is_doubtful FROM actions a
    WHERE a.due_at <= now() AND (a.owner IS NULL OR a.lease_until < now())
      AND NOT EXISTS (SELECT FROM actions b WHERE b.lane = a.lane AND b.id <> a.id AND b.owner IS NOT NULL)
    ORDER BY a.lane, a.priority, a.due_at, a.id
), numbered AS (
    SELECT *, row_number() OVER (PARTITION BY is_doubtful ORDER BY priority, due_at) AS number FROM next
), free AS (
    SELECT a.id FROM numbered n JOIN actions a ON a.id = n.id
    WHERE (NOT n.is_doubtful OR n.number <= %(doubtful)s) AND (a.owner IS NULL OR a.lease_until < now())
        AND a.id <> ALL(%(held)s)
    ORDER BY n.priority, n.due_at LIMIT %(limit)s FOR UPDATE OF a SKIP LOCKED
)
UPDATE actions SET owner = %(owner)s, lease_until = clock_timestamp() + make_interval(secs => %(lease)s),
    attempt = attempt + 1
WHERE id IN (SELECT id FROM free)
RETURNING id, kind, payload, wanted, attempt, now(), since, deadline < now(), failures,
    coalesce(cause, 0),
    coalesce((SELECT request_id FROM commits WHERE position >= actions.cause ORDER BY position LIMIT 1), '')
"""
_RENEW = """
WITH held AS (
    SELECT a.id FROM unnest(%s::bigint[], %s::int[]) AS held(id, attempt)
    JOIN actions a ON a.id = held.id AND a.attempt = held.attempt AND a.owner IS NOT NULL
    FOR UPDATE OF a SKIP LOCKED
)
UPDATE actions SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE id IN (SELECT id FROM held)
"""
_LOOK_AGAIN = """
UPDATE actions SET owner = NULL, lease_until = NULL, due_at = now() + make_interval(secs => %s)
WHERE id = %s AND attempt = %s AND owner IS NOT NULL
"""
_FAILED = """
UPDATE actions SET owner = NULL, lease_until = NULL, due_at = now() + make_interval(secs => %s),
    failures = failures + 1, last_error = %s
WHERE id = %s AND attempt = %s AND owner IS NOT NULL
"""
# A worker that died frees what it held by the end of its lease.
_NEXT = """
SELECT extract(epoch FROM min(CASE WHEN owner IS NULL THEN due_at ELSE lease_until END) - now()) FROM actions
WHERE due_at > now() OR owner IS NOT NULL
"""


def insert_actions(connection: psycopg.Connection[Any], actions: Iterable[Action], settings: Settings) -> None:
    """Within the caller's transaction; wakes the workers when it commits."""
    rows = _merged(actions, settings)
    if rows:
        connection.execute(_INSERT, (msgspec.json.encode(rows).decode(),), prepare=True)
        connection.execute(f"NOTIFY {CHANNEL}")


def _merged(actions: Iterable[Action], settings: Settings) -> list[dict[str, object]]:
    """One row for each kind and object, with the highest revision that is wanted."""
    merged: dict[tuple[str, object], Action] = {}
    for action in actions:
        key = (action.kind, action.object_id)
        if key not in merged or merged[key].wanted < action.wanted:
            merged[key] = action
    return [_row(action, settings) for action in merged.values()]


def _row(action: Action, settings: Settings) -> dict[str, object]:
    terms = {
        Term.PUSH: settings.push_deadline,
        Term.BUILD: settings.build_deadline,
        Term.DELETE: settings.delete_deadline,
    }
    return {
        "kind": action.kind,
        "object_id": action.object_id,
        "lane": action.lane,
        "priority": int(action.priority),
        "payload": action,
        "wanted": action.wanted,
        "cause": action.cause or None,
        "after_seconds": action.after_seconds,
        "term_seconds": terms[action.term],
    }


class PostgresActionQueue:
    """processes.ports.ActionQueue.

    leases  connections for prolongations alone, which may not wait for what is being stored; None for those of `pool`
    """

    def __init__(
        self, pool: ConnectionPool, settings: Settings, wakeup: Wakeup, leases: ConnectionPool | None = None
    ) -> None:
        self._pool = pool
        self._leases = leases or pool
        self._settings = settings
        self._wakeup = wakeup
        self._storing_seconds = 0.0

    def claim(
        self, owner: str, limit: int, *, doubtful: int | None = None, held: Sequence[Claim] = ()
    ) -> Sequence[Claim]:
        """Claims take turns, so that two workers cannot choose one lane."""
        said: dict[str, Any] = {"owner": owner, "lease": self._lease(), "limit": limit}
        said["doubtful"] = limit if doubtful is None else doubtful
        said["held"] = [claim.attempt.action_id for claim in held]
        with self._measured(), self._pool.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_CLAIM_LOCK,), prepare=True)
            rows = connection.execute(_CLAIM, said, prepare=True).fetchall()
        return [_claim(*row) for row in rows]

    def renew(self, claims: Sequence[Claim]) -> None:
        ids = [claim.attempt.action_id for claim in claims]
        numbers = [claim.attempt.number for claim in claims]
        with self._measured(), self._leases.connection() as connection:
            connection.execute(_RENEW, (ids, numbers, self._lease()), prepare=True)

    def _lease(self) -> float:
        """Seconds: while transactions take long, so do prolongations."""
        return LEASE_SECONDS + 2 * self._storing_seconds

    @contextmanager
    def _measured(self) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._storing_seconds = time.monotonic() - began

    def complete(self, claim: Claim, then: Sequence[Action] = ()) -> None:
        """An attempt that is outdated ends nothing."""
        attempt = claim.attempt
        try:
            with self._pool.connection() as connection, connection.transaction():
                connection.execute(
                    "SELECT complete_action(%s, %s, %s)",
                    (attempt.action_id, attempt.number, attempt.done),
                    prepare=True,
                )
                insert_actions(connection, then, self._settings)
        except psycopg.DatabaseError as error:
            if error.sqlstate != "TA001":
                raise

    def look_again(self, claim: Claim, seconds: float) -> None:
        self._execute(_LOOK_AGAIN, (seconds, claim.attempt.action_id, claim.attempt.number))

    def failed(self, claim: Claim, error: str, pause_seconds: float) -> None:
        self._execute(_FAILED, (pause_seconds, error[:2_000], claim.attempt.action_id, claim.attempt.number))

    def wait(self, seconds: float) -> None:
        """Also ends when the next action falls due."""
        self._wakeup.wait(min(seconds, self._seconds_to_next()))

    def wake(self) -> None:
        self._wakeup.wake()

    def _seconds_to_next(self) -> float:
        with self._pool.connection() as connection:
            row = connection.execute(
                _NEXT,
                prepare=True,
            ).fetchone()
        return max(float(row[0]), 0.001) if row and row[0] is not None else 1.0

    def _execute(self, sql: str, parameters: tuple[object, ...]) -> None:
        with self._pool.connection() as connection:
            connection.execute(sql, parameters, prepare=True)


def _claim(
    id: int,
    kind: str,
    payload: Any,
    wanted: int,
    attempt: int,
    now: Any,
    since: Any,
    overdue: bool,
    failures: int,
    cause: int,
    request_id: str,
) -> Claim:
    return Claim(
        action=msgspec.convert({**payload, "wanted": wanted, "cause": cause}, ACTIONS[kind]),
        attempt=Attempt(id, attempt, wanted),
        now=now,
        since=since,
        overdue=overdue,
        failures=failures,
        request_id=request_id,
    )
