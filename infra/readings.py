"""Numbers for monitoring, and those that stand in the database: how long the log is, how far consumers are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

Reasons = Callable[[], Sequence[str]]
"""Why a process is not ready, in plain words; none when it is."""

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Reading:
    """What one number is now. `labels` tell it from others of the same name."""

    name: str
    help: str
    value: float
    labels: Labels = field(default_factory=dict)
    counts_up: bool = False


Read = Callable[[], Iterable[Reading]]


@dataclass(frozen=True)
class Endpoint:
    """Where a process answers monitoring."""

    host: str
    port: int

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Of "host:port"; raises ValueError."""
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"HOST:PORT is wanted, not {text!r}")
        return cls(host.strip("[]"), int(port))


_PATIENCE_SECONDS = 2.0
_LOG_END = "SELECT coalesce(max(notification_id), 0) FROM tacitus_events"
_LAGS = "SELECT consumer, lag FROM consumer_lags"
_WAITING = """
SELECT kind, count(*) FILTER (WHERE owner IS NULL), count(*) FILTER (WHERE owner IS NOT NULL),
       count(*) FILTER (WHERE deadline < now()),
       coalesce(extract(epoch FROM now() - min(due_at) FILTER (WHERE owner IS NULL AND due_at < now())), 0)
FROM actions GROUP BY kind
"""


class DatabaseReadings:
    """pool: connections in autocommit."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def log(self) -> Iterable[Reading]:
        """The end of the log, and how many positions each consumer is behind what it reads."""
        with self._pool.connection(timeout=_PATIENCE_SECONDS) as connection:
            (end,) = connection.execute(_LOG_END).fetchone() or (0,)
            lags = connection.execute(_LAGS).fetchall()
        yield Reading("tacitus_log_end_position", "Position of the last event of the log.", end)
        for consumer, lag in lags:
            text = "Positions between a consumer and the end of the log, or of what was published to it."
            yield Reading("tacitus_consumer_lag", text, lag, {"consumer": consumer})

    def actions(self) -> Iterable[Reading]:
        with self._pool.connection(timeout=_PATIENCE_SECONDS) as connection:
            rows = connection.execute(_WAITING).fetchall()
        for kind, waiting, running, overdue, oldest in rows:
            labels = {"kind": kind}
            yield Reading("tacitus_actions_waiting", "Actions that nobody works on now.", waiting, labels)
            yield Reading("tacitus_actions_running", "Actions that a worker holds.", running, labels)
            yield Reading("tacitus_actions_overdue", "Actions past their deadline.", overdue, labels)
            text = "Seconds since the longest waiting action fell due."
            yield Reading("tacitus_actions_oldest_due_seconds", text, float(oldest), labels)

    def not_ready(self) -> Sequence[str]:
        """Empty while the database answers."""
        try:
            with self._pool.connection(timeout=_PATIENCE_SECONDS) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout) as error:
            return [f"the database does not answer: {error}".strip()]
        return []
