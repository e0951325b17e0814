"""The two homes of events and actions that keep one contract: PostgreSQL, and the memory of a test."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from psycopg_pool import ConnectionPool

from commands.ports import Aggregates, Places
from infra.action_queue import CHANNEL, PostgresActionQueue
from infra.consumer import action_ledger
from infra.event_store import CHANNEL as EVENTS_CHANNEL
from infra.event_store import EventStore
from infra.log_stream import LogStream
from infra.memory import MemoryActionQueue, MemoryLedger, MemoryStore, MemoryStream
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.actions import Action
from processes.configuration import OldTrees
from processes.ports import ActionQueue, EventStream, Ledger

Found = list[dict[str, Any]]


class Store(Aggregates, Places, OldTrees, Protocol):
    """What a test may ask of either."""


class Home:
    """One of the two, with what only its own kind can tell."""

    store: Store
    stream: EventStream
    ledger: Ledger[Action]
    queue: ActionQueue

    def advance(self, seconds: float) -> None:
        """Let time pass for actions."""
        raise NotImplementedError

    def rows(self, table: str, id: UUID) -> Found:
        """The rows of a load balancer, by its id."""
        raise NotImplementedError

    def actions(self) -> Found:
        """kind and object_id of all that is to be done."""
        raise NotImplementedError

    def uses(self, project_id: str) -> dict[str, int]:
        """What counts against a project's quota, by kind."""
        raise NotImplementedError


class InMemory(Home):
    def __init__(self) -> None:
        store = MemoryStore()
        self.store = store
        self.memory = store.memory
        self.stream = MemoryStream(store)
        self.ledger = MemoryLedger(store.memory)
        self.queue = MemoryActionQueue(store.memory)

    def advance(self, seconds: float) -> None:
        self.memory.clock.advance(seconds)

    def rows(self, table: str, id: UUID) -> Found:
        rows = self.memory.tables.get(table, {}).values()
        return [dict(row) for row in rows if id in (row.get("load_balancer_id"), row.get("id"))]

    def actions(self) -> Found:
        rows = self.memory.actions.values()
        return [{"kind": row.action.kind, "object_id": row.action.object_id} for row in rows]

    def uses(self, project_id: str) -> dict[str, int]:
        rows = self.memory.tables.get("quota_uses", {}).values()
        return {row["kind"]: row["in_use"] for row in rows if row["project_id"] == project_id}


class InPostgres(Home):
    def __init__(self, database: str, pool: "ConnectionPool[Any]", wakeups: tuple[Wakeup, Wakeup]) -> None:
        settings = Settings(database_url=database, state_directory=Path("/nonexistent"))
        store = EventStore(database, connections=16)
        self.database = database
        self.store = store
        self.recorder = store.recorder
        self.close = store.close
        self.pool = pool
        self.stream = LogStream(pool, store.mapper, wakeups[0])
        self.ledger = action_ledger(settings, pool)
        self.queue = PostgresActionQueue(pool, settings, wakeups[1])

    def advance(self, seconds: float) -> None:
        """The database's clock cannot be moved: everything else is moved instead."""
        self._select(
            "WITH moved AS (UPDATE actions SET since = since - x, due_at = due_at - x, deadline = deadline - x,"
            " lease_until = lease_until - x FROM make_interval(secs => %s) AS x RETURNING 1)"
            " SELECT count(*) AS n FROM moved",
            seconds,
        )

    def rows(self, table: str, id: UUID) -> Found:
        column = "id" if table == "load_balancers" else "load_balancer_id"
        return self._select(f"SELECT to_jsonb(t) AS row FROM {table} t WHERE {column} = %s", id)

    def actions(self) -> Found:
        return self._select("SELECT kind, object_id FROM actions ORDER BY id")

    def uses(self, project_id: str) -> dict[str, int]:
        rows = self._select("SELECT kind, in_use FROM quota_uses WHERE project_id = %s", project_id)
        return {row["kind"]: row["in_use"] for row in rows}

    def _select(self, sql: str, *parameters: object) -> Found:
        with self.pool.connection() as connection:
            cursor = connection.execute(sql, parameters)  # type: ignore[arg-type]
            names = [column.name for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor]


@contextmanager
def in_postgres(database: str) -> Iterator[InPostgres]:
    wakeups = Wakeup(database, EVENTS_CHANNEL), Wakeup(database, CHANNEL)
    with ConnectionPool(database, min_size=1, max_size=6, kwargs={"autocommit": True}) as pool:
        home = InPostgres(database, pool, wakeups)
        yield home
        home.close()
    for wakeup in wakeups:
        wakeup.close()
