"""The log in PostgreSQL: events, rows, commit record and the end of an action in one short transaction.

The library's own append hangs on large saves and drops what goes with them in its function mode, so ours stands behind
its recorder interface: one pipeline, one wait, the order kept by an advisory lock that is taken last.
"""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import InfrastructureFactory, Mapper, PersistenceError, StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict

import projections.health
import projections.resource_rows  # noqa: F401 - registers what events write into rows
from commands.ports import Attempt, Origin, OutdatedAttempt, Place, StoreUnavailable
from domain.amphora import Amphora
from domain.errors import AddressTaken, ConcurrentChange, NotFound
from domain.load_balancer import RESOURCES, LoadBalancer
from domain.progress import Kind
from infra.transcoding import EventMapper
from projections.rows import Change, Statement, rows_of, statements

CHANNEL = "tacitus_events"
ORDER_LOCK = 7_201_602
"""Advisory lock that gives the log its order: taken after the rows, right before the events."""

_RETRY_SECONDS = 5.0
_OUTDATED_ATTEMPT = "TA001"
_COMPLETE = "SELECT complete_action(%s, %s, %s)"

_INSERT_EVENTS = """
INSERT INTO tacitus_events (originator_id, originator_version, topic, state)
SELECT id, version, topic, state
FROM unnest(%s::uuid[], %s::bigint[], %s::text[], %s::bytea[]) WITH ORDINALITY AS e(id, version, topic, state, place)
ORDER BY place RETURNING notification_id
"""
_INSERT_COMMIT = """
INSERT INTO commits (command_id, position, recorded_at, actor, project_id, request_id, cause)
SELECT %s, currval('tacitus_events_notification_id_seq'),
       greatest(clock_timestamp(), (SELECT recorded_at FROM commits ORDER BY position DESC LIMIT 1)), %s, %s, %s, %s
RETURNING recorded_at
"""


@dataclass(kw_only=True)
class Append:
    """What goes with the events of one save.

    recorded_at  the time that the commit record got: the library hands back nothing but ids
    """

    origin: Origin
    changes: Sequence[Change]
    completing: Attempt | None
    recorded_at: datetime | None = None


class Recorder(PostgresApplicationRecorder):
    """Appends events, rows and commit record in one transaction that waits for the server once."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, append: Append | None = None, **kwargs: Any
    ) -> Sequence[int] | None:
        """Raises what commands.ports.Aggregates.save names.

        A connection may die between COMMIT and its answer: before trying again we look whether the command is there.
        """
        if append is None:
            raise TypeError("events are appended with their origin")
        deadline = time.monotonic() + _RETRY_SECONDS
        while True:
            try:
                return self._append(stored_events, append)
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                append.recorded_at = self.recorded_at(append.origin.command_id)
                if append.recorded_at is not None:
                    return []

    def _append(self, stored_events: Sequence[StoredEvent], append: Append) -> Sequence[int]:
        try:
            with self.datastore.get_connection() as connection:
                try:
                    return self._in_one_pipeline(connection, stored_events, append)
                except psycopg.Error as error:
                    raise _named(error) from error
        except PersistenceError as error:  # no connection to be had
            raise StoreUnavailable(str(error)) from error

    def _in_one_pipeline(
        self, connection: psycopg.Connection[Any], stored_events: Sequence[StoredEvent], append: Append
    ) -> Sequence[int]:
        """Queue everything, then fetch the ids: never `pipeline.sync()`, which hangs while bytes are unsent."""
        failure: psycopg.Error | None = None
        ids: list[int] = []
        with connection.pipeline():
            connection.execute("BEGIN", prepare=True)
            for statement in _before_the_lock(append):
                connection.execute(statement.sql, statement.parameters, prepare=True)
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (ORDER_LOCK,), prepare=True)
            connection.execute(f"NOTIFY {CHANNEL}", prepare=True)
            inserted = connection.execute(_INSERT_EVENTS, _columns(stored_events), prepare=True)
            recorded = connection.execute(_INSERT_COMMIT, _commit_parameters(append.origin), prepare=True)
            connection.execute("COMMIT", prepare=True)
            try:
                ids = [row["notification_id"] for row in inserted.fetchall()]
                append.recorded_at = _time(recorded)
            except psycopg.Error as error:
                failure = error  # raised outside, or psycopg warns that the pipeline was left with an error
        if failure is not None:
            raise failure
        return ids

    def complete(self, attempt: Attempt) -> None:
        """End an action whose outcome was no news."""
        try:
            with self.datastore.get_connection() as connection:
                connection.execute(_COMPLETE, (attempt.action_id, attempt.number, attempt.done), prepare=True)
        except PersistenceError as error:
            cause = error.__cause__
            raise _named(cause) if isinstance(cause, psycopg.Error) else StoreUnavailable(str(error)) from error

    def recorded_at(self, command_id: UUID) -> datetime | None:
        """When this command was recorded; None when it is not in the log, or while the database does not answer."""
        with suppress(PersistenceError), self.datastore.get_connection() as connection:
            sql = "SELECT recorded_at FROM commits WHERE command_id = %s"
            return _time(connection.execute(sql, (command_id,), prepare=True))
        return None


def _time(cursor: psycopg.Cursor[Any]) -> datetime | None:
    row = cursor.fetchone()
    return row["recorded_at"] if row else None


def _before_the_lock(append: Append) -> Iterable[Statement]:
    if append.completing is not None:
        action = append.completing
        yield Statement(_COMPLETE, (action.action_id, action.number, action.done))
    yield from statements(append.changes, append.origin.command_id)


def _columns(stored_events: Sequence[StoredEvent]) -> tuple[list[object], ...]:
    return (
        [event.originator_id for event in stored_events],
        [event.originator_version for event in stored_events],
        [event.topic for event in stored_events],
        [event.state for event in stored_events],
    )


def _commit_parameters(origin: Origin) -> tuple[object, ...]:
    return origin.command_id, origin.actor, origin.project_id, origin.request_id, origin.cause


def _named(error: psycopg.Error) -> Exception:
    """The reason behind a failed append; a constraint is told by its name."""
    if error.sqlstate == _OUTDATED_ATTEMPT:
        return OutdatedAttempt(str(error))
    match error.diag.constraint_name:
        case "addresses_one_owner":
            return AddressTaken(str(error.diag.message_detail))
        case "tacitus_events_pkey" | "commits_pkey":
            return ConcurrentChange()
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailable(str(error))
    return error


class _Factory(PostgresFactory):
    application_recorder_class = Recorder


class _Tacitus(Application[UUID]):
    name = "tacitus"

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        return _Factory(env)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()


class EventStore:
    """Loads and saves aggregates (commands.ports.Aggregates) and finds the load balancer of an object (Places)."""

    def __init__(self, database_url: str, *, connections: int = 4) -> None:
        self._application = _Tacitus(_environment(database_url, connections))
        recorder = self._application.recorder
        assert isinstance(recorder, Recorder)
        self.recorder = recorder
        self.mapper = self._application.mapper

    def close(self) -> None:
        self._application.close()

    # commands.ports.Aggregates

    def load_balancer(self, id: UUID) -> LoadBalancer:
        load_balancer = self._get(id, RESOURCES[Kind.LOAD_BALANCER])
        if not isinstance(load_balancer, LoadBalancer) or load_balancer.deleted:
            raise NotFound(RESOURCES[Kind.LOAD_BALANCER], id)
        return load_balancer

    def load_balancer_at(self, id: UUID, revision: int) -> LoadBalancer:
        load_balancer: LoadBalancer = self._application.repository.get(id, version=revision)
        return load_balancer

    def amphora(self, id: UUID) -> Amphora:
        amphora = self._get(id, "Amphora")
        if not isinstance(amphora, Amphora):
            raise NotFound("Amphora", id)
        return amphora

    def _get(self, id: UUID, resource: str) -> Aggregate:
        try:
            aggregate: Aggregate = self._application.repository.get(id)
        except AggregateNotFoundError as error:
            raise NotFound(resource, id) from error
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        return aggregate

    def save(self, *aggregates: Aggregate, origin: Origin, completing: Attempt | None = None) -> datetime | None:
        events = [event for aggregate in aggregates for event in aggregate.pending_events]
        changes = [change for event in events for change in rows_of(event)]
        append = Append(origin=origin, changes=changes, completing=completing)
        if events:
            self._application.save(*aggregates, append=append)
        elif completing is not None:
            self.recorder.complete(completing)
        return append.recorded_at

    def was_carried_out(self, command_id: UUID) -> bool:
        return self.recorder.recorded_at(command_id) is not None

    # commands.ports.Places

    def place_of(self, kind: Kind, id: UUID) -> Place:
        try:
            with self.recorder.datastore.get_connection() as connection:
                row = connection.execute(_PLACES[kind], (id,), prepare=True).fetchone()
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        if row is None:
            raise NotFound(RESOURCES[kind], id)
        return Place(row["load_balancer_id"], row["project_id"])


_PLACES = {
    kind: f"""
        SELECT s.load_balancer_id, b.project_id FROM {kind} s JOIN load_balancers b ON b.id = s.load_balancer_id
        WHERE s.id = %s
    """
    for kind in Kind
    if kind != Kind.LOAD_BALANCER
} | {Kind.LOAD_BALANCER: "SELECT id AS load_balancer_id, project_id FROM load_balancers WHERE id = %s"}


def _environment(database_url: str, connections: int) -> dict[str, str]:
    said = conninfo_to_dict(database_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(said.get("dbname", "postgres")),
        "POSTGRES_HOST": str(said.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(said.get("port", "5432")),
        "POSTGRES_USER": str(said.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(said.get("password", "")),
        "POSTGRES_POOL_SIZE": "1",
        "POSTGRES_MAX_OVERFLOW": str(connections),
        "POSTGRES_POOL_TIMEOUT": "5",
        "POSTGRES_IDLE_IN_TRANSACTION_SESSION_TIMEOUT": "5",
        "CREATE_TABLE": "n",
        "AGGREGATE_CACHE_MAXSIZE": "1000",
        "AGGREGATE_CACHE_FASTFORWARD": "y",
    }
