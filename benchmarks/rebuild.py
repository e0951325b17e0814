"""Rebuilding the resource rows: its rate, its memory, and what others notice of it."""

import multiprocessing
import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from random import Random
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from benchmarks.load import quantile
from benchmarks.result import Extent, Result
from benchmarks.seed import seed
from benchmarks.stage import database
from commands.ports import Origin
from domain.load_balancer_events import LoadBalancerSettings
from infra.event_store import EventStore
from infra.rebuild import EVENTS_AT_ONCE, Outcome, Progress, Rebuild, Step
from infra.transcoding import EventMapper
from projections.known import PROJECTIONS

RATE, SHARE = 15_000, 0.5
GROWTH_MB = 32
READS, COMMANDS = 50, 10
"""A second, while rows are rebuilt."""

_PROJECTION = PROJECTIONS["resource-rows"]
_EVENTS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events
WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""


def rebuilds(extent: Extent) -> list[Result]:
    with database() as (url, _):
        seed(url, extent.events)
        baseline = _in_a_process(_baseline, url)
        quiet = _in_a_process(_rebuild, url)
        served, serving = _while_serving(url)
    return [_rate(quiet, baseline), _memory(quiet), *_noticed(served, serving)]


def _in_a_process(work: "Callable[[str], Any]", url: str) -> Any:
    """Whose memory is its own."""
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_report, args=(work, url, theirs))
    process.start()
    theirs.close()  # so that we hear of it when the process ends without a word
    found = ours.recv()
    process.join()
    return found


def _report(work: "Callable[[str], Any]", url: str, pipe: "Pipe[Any, Any]") -> None:
    pipe.send(work(url))


# The rebuild


@dataclass
class Run:
    """began, at: seconds by the machine's clock, at begins step by step; memory: megabytes at most, by position."""

    began: float = field(default_factory=time.monotonic)
    at: dict[Step, float] = field(default_factory=dict)
    memory: dict[int, float] = field(default_factory=dict)
    outcome: Outcome | None = None
    ended: float = 0.0

    def tell(self, progress: Progress) -> None:
        self.at.setdefault(progress.step, time.monotonic())
        self.memory[progress.done] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _rebuild(url: str) -> Run:
    run = Run()
    run.outcome = Rebuild(url, _PROJECTION, run.tell).replace()
    run.ended = time.monotonic()
    return run


def _rate(run: Run, baseline: float) -> Result:
    assert run.outcome is not None
    rate = run.outcome.events / (run.at[Step.COMPARING] - run.began)
    target = min(RATE, SHARE * baseline)
    return Result(
        what=f"rebuild of the resource rows from {run.outcome.events:,} events, with indexes",
        target=f"at least {RATE:,}/s, or {SHARE} x reading, decoding and COPY",
        measured=f"{rate:,.0f}/s: {rate / baseline:.2f} x; compared and switched after {run.ended - run.began:.0f} s",
        baseline=f"reading, decoding, COPY of the same rows: {baseline:,.0f}/s",
        holds=rate >= target and run.outcome.switched,
    )


def _memory(run: Run) -> Result:
    """What it takes once it is warm, against the end."""
    positions = sorted(run.memory)
    warm = run.memory[next(at for at in positions if at >= positions[-1] // 5)]
    grown = run.memory[positions[-1]] - warm
    return Result(
        what="memory of the rebuild",
        target=f"flat: grows by at most {GROWTH_MB} MB after the first fifth",
        measured=f"{warm:.0f} MB, then {grown:+.0f} MB",
        holds=grown <= GROWTH_MB,
    )


# The baseline


def _baseline(url: str) -> float:
    """Events a second."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = {table: _copied_out(connection, table) for table in _PROJECTION.tables}
        connection.execute("CREATE SCHEMA baseline")
        for table in _PROJECTION.tables:
            connection.execute(f"CREATE TABLE baseline.{table} (LIKE public.{table} INCLUDING ALL)".encode())
        began = time.monotonic()
        events = _read_all(connection)
        for table, (columns, lines) in rows.items():
            with connection.cursor().copy(f"COPY baseline.{table} ({columns}) FROM STDIN".encode()) as copy:
                copy.write(lines)
        rate = events / (time.monotonic() - began)
        connection.execute("DROP SCHEMA baseline CASCADE")
    return rate


def _copied_out(connection: psycopg.Connection[Any], table: str) -> tuple[str, bytes]:
    found = connection.execute(_WRITTEN, (table,)).fetchone()
    columns = str(found[0]) if found else ""
    with connection.cursor().copy(f"COPY (SELECT {columns} FROM {table}) TO STDOUT".encode()) as copy:
        return columns, b"".join(copy)


_WRITTEN = """
SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
"""


def _read_all(connection: psycopg.Connection[Any]) -> int:
    mapper, position, count = EventMapper(), 0, 0
    with connection.cursor(binary=True) as cursor:
        while found := cursor.execute(_EVENTS, (position, EVENTS_AT_ONCE), prepare=True).fetchall():
            for _, originator_id, version, topic, state in found:
                mapper.to_domain_event(StoredEvent(originator_id, version, topic, state))
            position, count = found[-1][0], count + len(found)
    return count


# While others read and write


@dataclass
class Served:
    """Seconds that each took, and how many failed."""

    reads: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def _while_serving(url: str) -> tuple[Served, Run]:
    served, stop = Served(), Event()
    store = EventStore(url)
    with psycopg.connect(url) as connection:
        ids = [id for (id,) in connection.execute("SELECT id FROM load_balancers ORDER BY id LIMIT 200")]
    with ThreadPoolExecutor(2) as clients, psycopg.connect(url, autocommit=True) as reading:
        clients.submit(_paced, READS, stop, served.reads, served.failed, lambda random: _read(reading, random, ids))
        clients.submit(
            _paced, COMMANDS, stop, served.commands, served.failed, lambda random: _write(store, random, ids)
        )
        try:
            run: Run = _in_a_process(_rebuild, url)
        finally:
            stop.set()
    store.close()
    return served, run


def _paced(rate: int, stop: Event, took: list[float], failed: list[str], work: Callable[[Random], None]) -> None:
    random, began, number = Random(rate), time.monotonic(), 0
    while not stop.wait(max(0.0, began + number / rate - time.monotonic())):
        number += 1
        started_at = time.perf_counter()
        try:
            work(random)
        except Exception as error:
            failed.append(repr(error))
        took.append(time.perf_counter() - started_at)


_READS = (
    "SELECT * FROM shown_load_balancers WHERE id = %s",
    "SELECT * FROM shown_listeners WHERE load_balancer_id = %s",
    "SELECT * FROM shown_members WHERE load_balancer_id = %s",
    "SELECT * FROM shown_amphorae WHERE load_balancer_id = %s",
)


def _read(connection: psycopg.Connection[Any], random: Random, ids: list[UUID]) -> None:
    if not connection.execute(random.choice(_READS).encode(), (random.choice(ids),), prepare=True).fetchall():
        raise LookupError("nothing is shown")


def _write(store: EventStore, random: Random, ids: list[UUID]) -> None:
    load_balancer = store.load_balancer(random.choice(ids))
    load_balancer.change(LoadBalancerSettings(name=f"renamed {random.random()}"))
    store.save(load_balancer, origin=Origin())


def _noticed(served: Served, run: Run) -> list[Result]:
    assert run.outcome is not None
    reads, commands = (f"{quantile(took, 0.99) * 1e3:.0f}" for took in (served.reads, served.commands))
    longest = max(served.reads) * 1e3
    return [
        Result(
            what=f"{READS} reads/s and {COMMANDS} commands/s while rows are rebuilt",
            target="none fails, new rows equal the old",
            measured=f"{len(served.reads) + len(served.commands):,} asked, {len(served.failed)} failed;"
            f" p99 {reads} and {commands} ms, longest read {longest:.0f} ms",
            holds=not served.failed and run.outcome.switched and not run.outcome.differences,
        ),
        Result(
            what="writers wait for the switch",
            target="at most 1 s",
            measured=f"{run.outcome.held_seconds * 1e3:.0f} ms",
            holds=run.outcome.held_seconds <= 1,
        ),
    ]
