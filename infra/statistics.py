"""What listeners counted: collected from heartbeats in memory and written to the database in batches."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from uuid import UUID

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from amphora.wire import Counters, Heartbeat, ListenerReport


class _Row(msgspec.Struct, frozen=True):
    """What is to be added for one listener on one amphora.

    boot_id  empty: the numbers are growth, to be added; else they are counted since the amphora was built
    """

    listener_id: UUID
    amphora_id: UUID
    load_balancer_id: UUID
    boot_id: str
    conns: int
    rx: int
    tx: int
    totconns: int
    ereq: int


_COLUMNS = {"bytes_in": "rx", "bytes_out": "tx", "total_connections": "totconns", "request_errors": "ereq"}


def _grown(counter: str) -> str:
    """How much a counter grew. Within one boot a smaller value is an older one; after another boot it began anew."""
    value, stored = f"x.{counter}", f"coalesce((s.cumulative ->> '{counter}')::bigint, 0)"
    return (
        f"CASE WHEN x.boot_id = '' OR ({value} < {stored} AND x.boot_id <> s.boot_id) THEN {value} "
        f"ELSE greatest({value} - {stored}, 0) END"
    )


_SOURCE = (
    "jsonb_to_recordset(%(rows)s::jsonb) AS x(listener_id uuid, amphora_id uuid, load_balancer_id uuid, boot_id text,"
    " conns bigint, rx bigint, tx bigint, totconns bigint, ereq bigint)"
)
_ADD_ROWS = f"""
INSERT INTO statistics (listener_id, amphora_id, load_balancer_id)
SELECT x.listener_id, x.amphora_id, x.load_balancer_id FROM {_SOURCE}
JOIN load_balancers b ON b.id = x.load_balancer_id
ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""
_LOCK_ROWS = f"""
SELECT 1 FROM statistics s JOIN {_SOURCE} USING (listener_id, amphora_id)
ORDER BY s.listener_id, s.amphora_id FOR UPDATE OF s
"""
_COUNT = f"""
UPDATE statistics AS s SET
    {", ".join(f"{column} = s.{column} + {_grown(counter)}" for column, counter in _COLUMNS.items())},
    active_connections = x.conns,
    boot_id = CASE WHEN x.boot_id = '' THEN s.boot_id ELSE x.boot_id END,
    cumulative = CASE WHEN x.boot_id = '' THEN s.cumulative ELSE jsonb_build_object({
    ", ".join(
        f"'{counter}', CASE WHEN x.boot_id = s.boot_id"
        f" THEN greatest(x.{counter}, coalesce((s.cumulative ->> '{counter}')::bigint, 0)) ELSE x.{counter} END"
        for counter in _COLUMNS.values()
    )
}) END
FROM {_SOURCE}
WHERE s.listener_id = x.listener_id AND s.amphora_id = x.amphora_id
"""


@dataclass(slots=True)
class _Pending:
    """What one amphora told about one listener since the last batch."""

    load_balancer_id: UUID
    boot_id: UUID | None
    conns: int
    counters: Counters


@dataclass
class StatisticsBuffer:
    """Collects counters in memory; `flush` writes what changed, in one transaction for all amphorae.

    Cumulative counters may be written late, twice, or by several controllers that each got some of the heartbeats: the
    database adds only what goes beyond the highest value it has seen of that boot.
    """

    _pending: dict[tuple[UUID, UUID], _Pending] = field(default_factory=dict)
    _written: dict[tuple[UUID, UUID], _Pending] = field(default_factory=dict)
    _absolute: dict[tuple[UUID, UUID], Counters] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add(self, heartbeat: Heartbeat, load_balancer_id: UUID) -> None:
        """Counters that are said since the amphora was built replace earlier ones, growth is added to it."""
        with self._lock:
            for listener_id, report in heartbeat.listeners.items():
                key = (listener_id, heartbeat.amphora_id)
                if heartbeat.additions and listener_id in heartbeat.additions.counters:
                    boot_id, counters = heartbeat.additions.boot_id, heartbeat.additions.counters[listener_id]
                else:
                    boot_id, counters = None, self._growth(key, heartbeat, report)
                self._pending[key] = _Pending(load_balancer_id, boot_id, report.conns, counters)

    def _growth(self, key: tuple[UUID, UUID], heartbeat: Heartbeat, report: ListenerReport) -> Counters:
        grown = report.counters
        if not heartbeat.counters_are_growth:
            grown = report.counters.since(self._absolute.get(key, report.counters))
            self._absolute[key] = report.counters
        waiting = self._pending.get(key)
        return grown if waiting is None or waiting.boot_id else waiting.counters.plus(grown)

    def flush(self, pool: ConnectionPool[Connection[TupleRow]]) -> int:
        """Write what changed since the last time; returns how many rows. What could not be written waits."""
        with self._lock:
            taken, self._pending = self._pending, {}
        rows = [_row(key, pending) for key, pending in sorted(taken.items()) if self._is_news(key, pending)]
        if not rows:
            return 0
        try:
            with pool.connection() as connection, connection.transaction():
                parameters = {"rows": msgspec.json.encode(rows).decode()}
                for statement in (_ADD_ROWS, _LOCK_ROWS, _COUNT):
                    connection.execute(statement, parameters)
        except Exception:
            self._give_back(taken.items())
            raise
        with self._lock:
            self._written.update(taken)
        return len(rows)

    def _is_news(self, key: tuple[UUID, UUID], pending: _Pending) -> bool:
        written = self._written.get(key)
        if pending.boot_id:
            return pending != written
        return pending.counters != Counters() or written is None or pending.conns != written.conns

    def _give_back(self, taken: Iterable[tuple[tuple[UUID, UUID], _Pending]]) -> None:
        with self._lock:
            for key, pending in taken:
                newer = self._pending.get(key)
                if newer is None:
                    self._pending[key] = pending
                elif not newer.boot_id:
                    newer.counters = newer.counters.plus(pending.counters)

    def forget(self, amphora_id: UUID) -> None:
        """The amphora is gone; what it counted and was not written yet still will be."""
        with self._lock:
            for key in [key for key in self._written if key[1] == amphora_id]:
                del self._written[key]
            for key in [key for key in self._absolute if key[1] == amphora_id]:
                del self._absolute[key]


def _row(key: tuple[UUID, UUID], pending: _Pending) -> _Row:
    listener_id, amphora_id = key
    rx, tx, totconns, ereq = pending.counters
    boot_id = str(pending.boot_id) if pending.boot_id else ""
    return _Row(listener_id, amphora_id, pending.load_balancer_id, boot_id, pending.conns, rx, tx, totconns, ereq)
