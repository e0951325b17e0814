"""The moment in which a switch takes all its locks, and gives them up when it cannot have them at once."""

import time
from typing import Any

import psycopg
from psycopg import Connection

_ENOUGH_MILLISECONDS = 10_000


class NotNow(Exception):
    """Somebody is in the way; it is tried again."""


IN_THE_WAY = (
    NotNow,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.QueryCanceled,
    psycopg.errors.DeadlockDetected,
)


class Moment:
    """How long others may wait for us while we wait for them.

    PostgreSQL ends one of two that wait for each other once the other has waited for its deadlock_timeout: we give up
    before that, so it is never a reader or a writer that fails. When our process is stopped in between, the database
    ends its session.
    """

    _MOST_SECONDS = 0.8

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        row = connection.execute("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'").fetchone()
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = '2s'")
        self._ends_at = time.monotonic() + self._MOST_SECONDS * min(1.0, row[0] / 1e3 if row else 1.0)

    def limit(self, share: float = 1.0) -> None:
        """The next statement ends within what is left, or a share of it. Raises NotNow when nothing is."""
        milliseconds = int((self._ends_at - time.monotonic()) * 1e3 * share)
        if milliseconds < 10:
            raise NotNow("it took too long")
        self._set(milliseconds)

    def is_ours(self) -> None:
        """We wait for nobody any more."""
        self._set(_ENOUGH_MILLISECONDS)

    def _set(self, milliseconds: int) -> None:
        self._connection.execute(f"SET LOCAL lock_timeout = {milliseconds}")
        self._connection.execute(f"SET LOCAL statement_timeout = {milliseconds}")
