"""Rebuilds a projection while it serves: new rows beside the old from event 1, compared with them, put in their place.

Only rows are written: nothing reacts to events that are read here, so no effect outside happens again.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.metadata import version
from random import random
from typing import Any
from uuid import UUID, uuid4

import psycopg
from eventsourcing.persistence import Mapper
from psycopg import Connection

from infra.event_store import ORDER_LOCK
from infra.garbage import few_collections
from infra.rebuild_difference import Differences, differences
from infra.rebuild_fold import Fold
from infra.rebuild_log import Batch, CannotBeHandled, Log, end_for, hold_end, parked_streams
from infra.rebuild_moment import IN_THE_WAY, Moment, NotNow
from infra.rebuild_tables import Layout, TablesBeside
from infra.transcoding import EventMapper
from projections.known import Projection

REBUILD_LOCK = 7_201_604
"""Advisory lock of whoever builds: one process at a time."""

EVENTS_AT_ONCE = 32_000
_FEW_EVENTS = 200
"""So many may be left to do while writers wait for the switch."""
_SWITCH_SECONDS = 120.0
_CALLED_OFF = "it was called off, or begun anew by somebody else"
_SESSION = "-c timezone=UTC -c datestyle=ISO -c synchronous_commit=off -c lock_timeout=10s -c statement_timeout=0"


class RebuildFailed(Exception):
    """Says why; the rows that serve are as they were."""


class CalledOff(RebuildFailed):
    """Somebody called it off, or began it anew."""


class Step(StrEnum):
    BUILDING = "building"
    COMPLETING = "indexes and constraints"
    COMPARING = "comparing"
    SWITCHING = "switching"


@dataclass(frozen=True)
class Progress:
    """done, end: positions in the log."""

    step: Step
    done: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a rebuild.

    events        that were read, by this run alone
    position      up to which rows were compared
    held_seconds  for how long writers waited for the switch
    """

    events: int
    position: int
    differences: Differences
    switched: bool = False
    held_seconds: float = 0.0


@dataclass
class _Run:
    """One run: what it works with, and how far it is.

    touched  table -> keys of rows that were written since all were compared; None before that
    """

    connection: Connection[Any]
    projection: Projection
    log: Log
    tables: TablesBeside
    id: UUID = field(default_factory=uuid4)
    position: int = 0
    is_complete: bool = False
    events: int = 0
    layouts: dict[str, Layout] = field(default_factory=dict)
    touched: dict[str, set[Any]] | None = None

    def attempt(self) -> "_Run":
        """The same, for what may come to nothing."""
        return replace(self, touched={table: set(keys) for table, keys in (self.touched or {}).items()})

    def folds(self, end: int) -> Iterator[tuple[Batch, Fold]]:
        """What is to be written up to there. One is read and prepared while the one before is written."""
        prepared = ((batch, self.fold_of(batch)) for batch in self.log.batches(self.position, end, EVENTS_AT_ONCE))
        with ThreadPoolExecutor(1, "log of a rebuild") as ahead:
            coming = ahead.submit(next, prepared, None)
            while (found := coming.result()) is not None:
                coming = ahead.submit(next, prepared, None)
                yield found

    def fold_of(self, batch: Batch) -> Fold:
        return Fold(self.layouts, batch.commits)

    def write(self, batch: Batch, fold: Fold) -> None:
        fold.fold(self.connection)
        fold.write(self.connection)
        if self.touched is not None:
            for table, keys in fold.touched.items():
                self.touched.setdefault(table, set()).update(keys)
        self.position = batch.position
        self.events += batch.events
        self.note("events = events + %(events)s", events=batch.events)

    def require_nothing_parked(self) -> None:
        """Rows that serve lack what waits, and nobody knows yet what becomes of it. Raises RebuildFailed."""
        if streams := parked_streams(self.projection, self.connection):
            raise RebuildFailed(
                f"events of {streams} streams are parked, so the rows that serve lack them: see `tacitus parked list`"
            )

    def note(self, change: str, **values: object) -> None:
        """How far it is, in the transaction that went so far. Raises CalledOff."""
        sql = (
            f"UPDATE rebuilds SET {change}, position = %(position)s, updated_at = clock_timestamp() WHERE run = %(run)s"
        )
        self._require_wanted(sql, {"position": self.position, **values})

    def end(self) -> None:
        """Likewise, when it is done."""
        self._require_wanted("DELETE FROM rebuilds WHERE run = %(run)s", {})

    def _require_wanted(self, sql: str, values: Mapping[str, object]) -> None:
        if not self.connection.execute(sql, {"run": self.id, **values}).rowcount:
            raise CalledOff(_CALLED_OFF)

    def outcome(self, found: Differences) -> Outcome:
        return Outcome(events=self.events, position=self.position, differences=found)


class Rebuild:
    """One projection of one database.

    tell  is told of each step, and after each batch
    """

    def __init__(
        self,
        database_url: str,
        projection: Projection,
        tell: Callable[[Progress], None] = lambda progress: None,
        *,
        mapper: Mapper[UUID] | None = None,
    ) -> None:
        self._database_url = database_url
        self._projection = projection
        self._tell = tell
        self._mapper = mapper or EventMapper()

    def compare(self, *, resume: bool = False) -> Outcome:
        """Build, say what differs, and leave everything as it was."""
        with self._begun(resume) as run:
            self._build(run)
            found = self._compared(run)
            with run.connection.transaction():
                run.tables.drop(run.connection)
                run.end()
        return run.outcome(found)

    def replace(self, *, resume: bool = False, accept_differences: bool = False) -> Outcome:
        """Build, and switch when nothing differs; else the new rows are kept for whoever accepts the differences.

        Raises RebuildFailed, CannotSwitch.
        """
        with self._begun(resume) as run:
            run.tables.require_all_follow(run.connection)
            self._build(run)
            found = self._compared(run)
            if found and not accept_differences:
                return run.outcome(found)
            switched = self._switched(run, accept_differences)
        return replace(switched, differences=switched.differences or found)

    def cancel(self) -> bool:
        """Drop what was built. Whoever is building stops after the present step, however long that takes: wait for it.

        False when there was nothing.
        """
        with psycopg.connect(self._database_url, autocommit=True, options=_SESSION) as connection:
            tables = TablesBeside(self._projection, _live_schema(connection))
            name = (self._projection.name,)
            deleted = connection.execute("DELETE FROM rebuilds WHERE projection = %s", name).rowcount
            connection.execute("SET lock_timeout = 0")
            _take(connection, self._projection.name)
            _drop_retired(connection, tables)
            tables.drop(connection)
        return deleted > 0

    @contextmanager
    def _begun(self, resume: bool) -> Iterator[_Run]:
        """On two sessions, one to read the log and one to write."""
        name = f"tacitus replay {self._projection.name}"
        with (
            psycopg.connect(self._database_url, autocommit=True, options=_SESSION, application_name=name) as connection,
            psycopg.connect(self._database_url, autocommit=True, options=_SESSION, application_name=name) as reading,
        ):
            _take(connection, self._projection.name)
            log = Log(reading, self._mapper, self._projection)
            run = _Run(connection, self._projection, log, TablesBeside(self._projection, _live_schema(connection)))
            run.require_nothing_parked()
            self._find_place(run, resume)
            try:
                yield run
            except CannotBeHandled as error:
                raise RebuildFailed(str(error)) from error

    def _find_place(self, run: _Run, resume: bool) -> None:
        """Where the run before came to, if its rows are still right for this log, these tables and this release."""
        made_for = _made_for(run.connection, run.tables)
        if not _drop_retired(run.connection, run.tables):
            raise RebuildFailed("somebody still reads the rows that an earlier rebuild replaced")
        with run.connection.transaction():
            said = {"run": run.id, "projection": self._projection.name, "made_for": made_for}
            found = (
                run.connection.execute(_RESUME, {**said, "schema": run.tables.schema}).fetchone() if resume else None
            )
            if found is None:
                run.tables.drop(run.connection)
                run.tables.create(run.connection)
                found = run.connection.execute(_BEGIN, said).fetchone()
        assert found is not None, "an upsert returns its row"
        run.position, run.is_complete = found
        run.layouts = run.tables.layouts(run.connection)

    # Building

    def _build(self, run: _Run) -> None:
        """All rows up to almost the end of the log, with indexes and constraints."""
        self._follow(run)
        if not run.is_complete:
            self._tell(Progress(Step.COMPLETING, run.position, run.position))
            with run.connection.transaction():
                run.tables.complete(run.connection)
                run.note("is_complete = true")
            run.tables.analyze(run.connection)
            self._follow(run)

    def _follow(self, run: _Run) -> None:
        while (end := run.log.end()) - run.position > (_FEW_EVENTS if run.position else 0):
            with few_collections(1_000_000):
                for batch, fold in run.folds(end):
                    with run.connection.transaction():
                        run.write(batch, fold)
                    self._tell(Progress(Step.BUILDING, run.position, end))

    # Comparing and switching

    def _compared(self, run: _Run) -> Differences:
        """All rows, as they are in one snapshot: it has each commit whole, and none without those before it.

        Of rows that the projector writes it has those up to the position that it has too.
        """
        self._tell(Progress(Step.COMPARING, run.position, run.position))
        try:
            with run.connection.transaction():
                run.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                run.require_nothing_parked()
                for batch, fold in run.folds(end_for(self._projection, run.connection)):
                    run.write(batch, fold)
                found = differences(run.connection, run.tables.live, run.layouts)
        except psycopg.errors.SerializationFailure as error:
            raise CalledOff(_CALLED_OFF) from error
        run.touched = {}
        return found

    def _switched(self, run: _Run, accept_differences: bool) -> Outcome:
        """Tries until nobody is in the way, with growing pauses: each try makes others wait for a moment."""
        give_up_at, pause = time.monotonic() + _SWITCH_SECONDS, 0.1
        while True:
            self._follow(run)
            self._tell(Progress(Step.SWITCHING, run.position, run.position))
            try:
                outcome = _switched_at_once(run.attempt(), accept_differences)
                break
            except IN_THE_WAY as error:
                if time.monotonic() > give_up_at:
                    raise RebuildFailed(f"readers or writers never let go of the tables: {error}") from error
            time.sleep(pause * (0.5 + random()))
            pause = min(2 * pause, 2.0)
        if outcome.switched:
            _drop_retired(run.connection, run.tables)
        return outcome


def _switched_at_once(run: _Run, accept_differences: bool) -> Outcome:
    """In one short transaction: the last few events, a look at the rows touched since all were compared, the names."""
    connection, tables = run.connection, run.tables
    with connection.transaction():
        moment = Moment(connection)
        moment.limit(share=0.5)
        held_since = _keep_writers_out(run)
        moment.limit()
        run.require_nothing_parked()
        _write_last_events(run)
        found = differences(connection, tables.live, run.layouts, run.touched)
        if not found or accept_differences:
            tables.prepare_switch(connection)
            moment.limit()
            tables.keep_readers_out(connection)
            moment.is_ours()
            tables.switch(connection)
            run.end()
    if found and not accept_differences:
        return run.outcome(found)
    return replace(run.outcome(found), switched=True, held_seconds=time.monotonic() - held_since)


def _keep_writers_out(run: _Run) -> float:
    """Take the locks in the order in which writers take theirs. Returns since when they have to wait.

    Appends: rows, then the order of the log. The projector: its position, then rows. One that has none yet writes its
    first rows in the same transaction, which waits for ours, or which ours has waited for.
    """
    if run.projection.consumer:
        hold_end(run.projection, run.connection)
        held_since = time.monotonic()
        run.tables.keep_writers_out(run.connection)
    else:
        run.tables.keep_writers_out(run.connection)
        held_since = time.monotonic()
        run.connection.execute("SELECT pg_advisory_xact_lock(%s)", (ORDER_LOCK,))
    return held_since


def _write_last_events(run: _Run) -> None:
    end = run.log.end()
    if end - run.position > 2 * _FEW_EVENTS:
        raise NotNow("more events came than writers can wait for")
    while (batch := run.log.batch(run.position, end, EVENTS_AT_ONCE)) is not None:
        run.write(batch, run.fold_of(batch))


def _live_schema(connection: Connection[Any]) -> str:
    row = connection.execute("SELECT quote_ident(current_schema())").fetchone()
    return str(row[0]) if row else "public"


def _take(connection: Connection[Any], name: str) -> None:
    """One that was killed may take the database a moment to notice."""
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (REBUILD_LOCK,))
    except psycopg.errors.LockNotAvailable as error:
        raise RebuildFailed(f"another process is rebuilding rows; {name} has to wait for it") from error


def _made_for(connection: Connection[Any], tables: TablesBeside) -> str:
    row = connection.execute("SELECT id FROM log_identity").fetchone()
    return f"log {row[0] if row else ''}, tables {tables.fingerprint(connection)}, release {version('tacitus')}"


def _drop_retired(connection: Connection[Any], tables: TablesBeside) -> bool:
    """False when somebody still reads them: sessions look once more at the tables of a plan before making it anew."""
    for _ in range(10):
        try:
            with connection.transaction():
                Moment(connection).limit()
                tables.drop_retired(connection)
                return True
        except IN_THE_WAY:
            time.sleep(random())
    return False


_BEGIN = """
INSERT INTO rebuilds (projection, run, made_for) VALUES (%(projection)s, %(run)s, %(made_for)s)
ON CONFLICT (projection) DO UPDATE SET run = excluded.run, made_for = excluded.made_for, position = 0, events = 0,
    is_complete = false, started_at = excluded.started_at, updated_at = excluded.updated_at
RETURNING position, is_complete
"""
_RESUME = """
UPDATE rebuilds SET run = %(run)s WHERE projection = %(projection)s AND made_for = %(made_for)s
    AND EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s)
RETURNING position, is_complete
"""
