"""The log in PostgreSQL: events, rows, commit record and the end of an action in one short transaction.

The library's own append hangs on large saves and drops what goes with them in its function mode, so ours stands behind
its recorder interface: one pipeline, one wait, the order kept by an advisory lock that is taken last.
"""

import re
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import psycopg
from eventsourcing.application import AggregateNotFoundError, Application, Repository
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import (
    InfrastructureFactory,
    InterfaceError,
    Mapper,
    OperationalError,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresFactory
from eventsourcing.utils import Environment
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row, tuple_row

import projections.amphora_rows
import projections.catalogue_rows
import projections.control_rows
import projections.health
import projections.quota_rows
import projections.resource_rows  # noqa: F401 - registers what events write into rows
from commands.ports import A, Attempt, Origin, OutdatedAttempt, Place, StoreUnavailable
from domain.amphora import Amphora
from domain.errors import AddressTaken, ConcurrentChange, ConstraintBroken, NotFound, ProjectBusy, QuotaExceeded
from domain.health import LoadBalancerHealth
from domain.load_balancer import RESOURCES, LoadBalancer
from domain.progress import Kind
from domain.quota import QuotaDefaults
from infra.log_level import FreshLevel
from infra.patience import SESSION, Pool
from infra.transcoding import EventMapper
from projections.rows import Change, Statement, Work, rows_of, work_of

CHANNEL = "tacitus_events"
ORDER_LOCK = 7_201_602
"""Advisory lock that gives the log its order: taken after the rows, right before the events."""

_RETRY_SECONDS = 5.0
# The call that ends an append waits for the lock of its quota and for that of the order: for both as long as for one.
_SESSION = f"{SESSION} -c statement_timeout=5s"
_OUTDATED_ATTEMPT, _QUOTA_MET, _TERM_OVER, _MEASURED_GONE = "TA001", "TA002", "TA003", "TA004"
_COMPLETE = "SELECT complete_action(%s, %s, %s)"
_REQUIRE_TERM = "SELECT require_term(%s, %s)"
_HOLD_MEASURED = "SELECT hold_measured(%s)"

_APPEND = (
    "append_events(%s, %s::uuid[], %s::bigint[], %s::text[], %s::bytea[], %s, %s, %s, %s, %s, %s::jsonb, %s::jsonb)"
)


@dataclass(kw_only=True)
class Append:
    """What goes with the events of one save.

    limits       those of projects that have set none; None when no limit counts
    measured     load balancers that must still be there: nothing is recorded about the health of one that is gone
    leading      duty and term of a leader, None for everybody else
    recorded_at  the time that the commit record got: the library hands back nothing but ids
    """

    origin: Origin
    changes: Sequence[Change]
    completing: Attempt | None
    limits: QuotaDefaults | None = None
    measured: Collection[UUID] = ()
    leading: tuple[str, int] | None = None
    recorded_at: datetime | None = None


class _Waited(StoreUnavailable):
    """The database answered that it took too long: nothing was stored, and who asked has waited long enough."""


class TermOver(_Waited):
    """Somebody else leads by now: nothing was stored."""


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
        while append.recorded_at is None:
            try:
                self._append(stored_events, append)
            except _Waited:
                raise
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
                append.recorded_at = self.recorded_at(append.origin.command_id)
        return None  # whoever needs positions reads the log

    def _append(self, stored_events: Sequence[StoredEvent], append: Append) -> None:
        try:
            with self.datastore.get_connection() as connection:
                try:
                    _append_to_log(connection, stored_events, append)
                except psycopg.Error as error:
                    is_gone = error.sqlstate == _MEASURED_GONE
                    raise (gone(append.measured) if is_gone else _named(error)) from error
        except (InterfaceError, OperationalError) as error:  # no connection to be had
            raise StoreUnavailable(str(error)) from error

    def complete(self, attempt: Attempt) -> None:
        """End an action whose outcome was no news."""
        try:
            with self.datastore.get_connection() as connection:
                connection.execute(_COMPLETE, (attempt.action_id, attempt.number, attempt.done), prepare=True)
        except PersistenceError as error:
            cause = error.__cause__
            raise _named(cause) if isinstance(cause, psycopg.Error) else StoreUnavailable(str(error)) from error

    def level(self) -> int:
        """Of the log. Raises StoreUnavailable."""
        try:
            with self.datastore.get_connection() as connection:
                row = connection.execute("SELECT level FROM log_identity", prepare=True).fetchone()
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        assert row is not None, "migrations make the row"
        return int(row["level"])

    def recorded_at(self, command_id: UUID) -> datetime | None:
        """When this command was recorded; None when it is not in the log, or while the database does not answer."""
        with suppress(PersistenceError), self.datastore.get_connection() as connection:
            sql = "SELECT recorded_at FROM commits WHERE command_id = %s"
            row = connection.execute(sql, (command_id,), prepare=True).fetchone()
            return row["recorded_at"] if row else None
        return None


def _append_to_log(connection: psycopg.Connection[Any], stored_events: Sequence[StoredEvent], append: Append) -> None:
    """Events, rows and commit record: all of them or none."""
    work = work_of(append.changes, append.origin.command_id, append.limits)
    cursor = connection.cursor(row_factory=tuple_row)
    appending = _append_parameters(stored_events, append.origin, work)
    *before, last = _with_append([*_before_rows(append), *work.statements], appending)
    if before:
        _in_one_pipeline(connection, cursor, [*before, last])
    else:
        cursor.execute(last.sql, last.parameters, prepare=True)
    row = cursor.fetchone()
    append.recorded_at = row[0] if row else None


def _with_append(before: Sequence[Statement], appending: tuple[object, ...]) -> Sequence[Statement]:
    """Events are appended last, so that nobody who waits for a row holds the lock of the order."""
    if before and before[-1].writes_one_row:  # spares both ends a message
        *others, last = before
        return [*others, Statement(f"{last.sql} RETURNING {_APPEND}", last.parameters + appending)]
    return [*before, Statement(f"SELECT {_APPEND}", appending)]


def _in_one_pipeline(
    connection: psycopg.Connection[Any], cursor: psycopg.Cursor[Any], statements: Sequence[Statement]
) -> None:
    """Queue everything and leave: until the end of the pipeline the server takes it for one transaction.

    Nothing is fetched before, or the lock would be held while the answer travels. Never `pipeline.sync()`, which hangs
    while bytes are unsent.
    """
    try:
        with connection.pipeline(), _nothing_by_halves(connection):
            for statement in statements:
                cursor.execute(statement.sql, statement.parameters, prepare=True)
    except psycopg.errors.PipelineAborted as error:
        cause = error.__context__  # what it was aborted for, when that was read before the rest
        raise cause if isinstance(cause, psycopg.Error) else error from None


@contextmanager
def _nothing_by_halves(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Whatever is queued when a pipeline is left is committed: half of an append must not come that far.

    An error that the server found needs nothing: it ignores what follows.
    """
    try:
        yield
    except BaseException as error:
        if not isinstance(error, psycopg.Error) or error.sqlstate is None:
            connection.close()
        raise


def _before_rows(append: Append) -> Iterator[Statement]:
    """What undoes the transaction when it does not hold."""
    if append.leading is not None:
        yield Statement(_REQUIRE_TERM, append.leading)
    if append.measured:
        yield Statement(_HOLD_MEASURED, (list(append.measured),))
    if (action := append.completing) is not None:
        yield Statement(_COMPLETE, (action.action_id, action.number, action.done))


def _append_parameters(stored_events: Sequence[StoredEvent], origin: Origin, work: Work) -> tuple[object, ...]:
    return (
        ORDER_LOCK,
        _array(str(event.originator_id) for event in stored_events),
        _array(str(event.originator_version) for event in stored_events),
        _array(event.topic for event in stored_events),
        _array(rf'"\\x{event.state.hex()}"' for event in stored_events),
        origin.command_id,
        origin.actor,
        origin.project_id,
        origin.request_id,
        origin.cause,
        work.uses,
        work.created,
    )


def _array(elements: Iterable[str]) -> str:
    """As PostgreSQL reads it: of one element in the usual case, for which psycopg's own lists are slow."""
    return f"{{{','.join(elements)}}}"


def _named(error: psycopg.Error) -> Exception:
    """The reason behind a failed append; a constraint is told by its name."""
    if error.sqlstate == _OUTDATED_ATTEMPT:
        return OutdatedAttempt(str(error))
    if error.sqlstate == _TERM_OVER:
        return TermOver(str(error))
    if error.sqlstate == _QUOTA_MET:
        return QuotaExceeded(RESOURCES[Kind(str(error.diag.message_detail))])
    if isinstance(error, _WAITED) and "quota_uses" in str(error.diag.context):
        return ProjectBusy()
    match error.diag.constraint_name:
        case "addresses_one_owner":
            return AddressTaken(str(error.diag.message_detail))
        case "tacitus_events_pkey" | "commits_pkey":
            return ConcurrentChange()
        case str(constraint) if constraint in _ACROSS_AGGREGATES:
            return ConstraintBroken(constraint)
    if isinstance(error, _WAITED):
        return _Waited(str(error))
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailable(str(error))
    return error


_WAITED = psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled
_ACROSS_AGGREGATES = frozenset(
    {
        "flavors_name",
        "flavors_flavor_profile",
        "availability_zones_name",
        "availability_zones_profile",
        "load_balancers_flavor",
        "load_balancers_availability_zone",
    }
)
"""Rules of flavors and zones that several commands may break, each with words of its own."""


class _Factory(PostgresFactory):
    application_recorder_class = Recorder

    def __init__(self, env: Environment, pool: Pool) -> None:
        """pool: in the place of the library's, which was not opened yet"""
        super().__init__(env)
        self.datastore.pool = pool  # type: ignore[assignment]  # it asks for no more than any pool has


class _Tacitus(Application[UUID]):
    name = "tacitus"

    def __init__(self, database_url: str, connections: int) -> None:
        self._pool = Pool(database_url, connections + 1, row_factory=dict_row, options=_SESSION)
        super().__init__(_environment(database_url))

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        return _Factory(env, self._pool)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()


def loaded(repository: Repository[UUID], kind: type[A], id: UUID) -> A:
    """As commands.ports.Aggregates.load."""
    try:
        aggregate: Aggregate = repository.get(id)
    except AggregateNotFoundError as error:
        raise NotFound(_title_of(kind), id) from error
    except PersistenceError as error:
        raise StoreUnavailable(str(error)) from error
    if not isinstance(aggregate, kind) or getattr(aggregate, "deleted", False):
        raise NotFound(_title_of(kind), id)
    return aggregate


def gone(measured: Iterable[UUID]) -> NotFound:
    """At least one of these load balancers, which somebody has measured."""
    return NotFound(_title_of(LoadBalancer), " or ".join(sorted(map(str, measured))))


def measured_in(events: Iterable[object]) -> frozenset[UUID]:
    """Load balancers that are measured by somebody who does not decide on them: who does cannot overlook their end."""
    measured, decided = set(), set()
    for event in events:
        if isinstance(event, LoadBalancerHealth.Created | LoadBalancerHealth.HealthChanged):
            measured.add(event.load_balancer_id)
        elif isinstance(event, LoadBalancer.Event):
            decided.add(event.originator_id)
    return frozenset(measured - decided)


def _title_of(kind: type[Aggregate]) -> str:
    """The words of the class's name, which are those of Octavia's glossary."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__)


class EventStore:
    """Loads and saves aggregates (commands.ports.Aggregates) and finds the load balancer of an object (Places)."""

    def __init__(self, database_url: str, *, connections: int = 4, quota_defaults: QuotaDefaults | None = None) -> None:
        self._application = _Tacitus(database_url, connections)
        self._quota_defaults = quota_defaults or QuotaDefaults()
        self._leading: tuple[str, int] | None = None
        recorder = self._application.recorder
        assert isinstance(recorder, Recorder)
        self.recorder = recorder
        mapper = self._application.mapper
        assert isinstance(mapper, EventMapper)
        self.mapper = mapper
        self._level = FreshLevel(recorder.level)

    def limited_by(self, quota_defaults: QuotaDefaults) -> Self:
        """The same store with other limits for projects that have none of their own."""
        twin = copy(self)
        twin._quota_defaults = quota_defaults
        return twin

    def of_leader(self, duty: str, term: int) -> Self:
        """The same store for whoever leads: it records nothing any more (TermOver) once somebody else does."""
        twin = copy(self)
        twin._leading = duty, term
        return twin

    def close(self) -> None:
        self._application.close()

    # commands.ports.Aggregates

    def load(self, kind: type[A], id: UUID) -> A:
        return loaded(self._application.repository, kind, id)

    def load_balancer(self, id: UUID) -> LoadBalancer:
        return self.load(LoadBalancer, id)

    def load_balancer_at(self, id: UUID, revision: int) -> LoadBalancer:
        load_balancer: LoadBalancer = self._application.repository.get(id, version=revision)
        return load_balancer

    def amphora(self, id: UUID) -> Amphora:
        return self.load(Amphora, id)

    def save(self, *aggregates: Aggregate, origin: Origin, completing: Attempt | None = None) -> datetime | None:
        events = [event for aggregate in aggregates for event in aggregate.collect_events()]
        changes = [change for event in events for change in rows_of(event)]
        limits = self._quota_defaults if origin.enforce_quota else None
        append = Append(
            origin=origin,
            changes=changes,
            completing=completing,
            limits=limits,
            measured=measured_in(events),
            leading=self._leading,
        )
        if events:
            self.mapper.level = self._level.now()
            self._application.events.put(events, append=append)
        elif completing is not None:
            self.recorder.complete(completing)
        return append.recorded_at

    def was_carried_out(self, command_id: UUID) -> bool:
        return self.recorder.recorded_at(command_id) is not None

    def load_balancer_as_of(self, id: UUID, command_id: UUID) -> tuple[LoadBalancer, datetime] | None:
        try:
            with self.recorder.datastore.get_connection() as connection:
                row = connection.execute(_AS_OF, (id, command_id), prepare=True).fetchone()
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        if row is None or row["version"] is None:
            return None
        return self.load_balancer_at(id, row["version"]), row["recorded_at"]

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


_AS_OF = """
SELECT recorded_at, (SELECT max(originator_version) FROM tacitus_events
                     WHERE originator_id = %s AND notification_id <= c.position) AS version
FROM commits c WHERE command_id = %s
"""
_PLACES = {
    kind: f"""
        SELECT s.load_balancer_id, b.project_id FROM {kind} s JOIN load_balancers b ON b.id = s.load_balancer_id
        WHERE s.id = %s
    """
    for kind in Kind
    if kind != Kind.LOAD_BALANCER
} | {Kind.LOAD_BALANCER: "SELECT id AS load_balancer_id, project_id FROM load_balancers WHERE id = %s"}


def _environment(database_url: str) -> dict[str, str]:
    said = conninfo_to_dict(database_url)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": str(said.get("dbname", "postgres")),
        "POSTGRES_HOST": str(said.get("host", "127.0.0.1")),
        "POSTGRES_PORT": str(said.get("port", "5432")),
        "POSTGRES_USER": str(said.get("user", "postgres")),
        "POSTGRES_PASSWORD": str(said.get("password", "")),
        "CREATE_TABLE": "n",
        "AGGREGATE_CACHE_MAXSIZE": "1000",
        "AGGREGATE_CACHE_FASTFORWARD": "y",
    }
