"""The append of one event without rows, against raw inserts under the same lock."""

import multiprocessing
import time
from collections.abc import Callable
from uuid import uuid4

import psycopg
from eventsourcing.persistence import StoredEvent

from benchmarks.load import median
from benchmarks.result import Extent, Result
from benchmarks.stage import database
from commands.ports import Origin
from infra.event_store import ORDER_LOCK, Append, EventStore

TARGETS = {1: 0.5, 2: 0.5, 8: 0.4}
STATE = b'{"timestamp":"2026-01-01T00:00:00Z","weight":1,"note":"' + b"x" * 200 + b'"}'
Write = Callable[[str, int, Callable[[], object]], None]


def appends(extent: Extent) -> list[Result]:
    """In turns: raw, ours, raw, ours ..."""
    with database() as (url, _):
        return [_compare(url, writers, target, extent) for writers, target in TARGETS.items()]


def _compare(url: str, writers: int, target: float, extent: Extent) -> Result:
    rounds = [[_rate(write, url, writers, extent.appends) for write in (_raw, _ours)] for _ in range(extent.rounds)]
    share = median([ours / raw for raw, ours in rounds])
    return Result(
        what=f"append of one event without rows, {writers} writer{'s' if writers > 1 else ''}",
        target=f"at least {target} x raw",
        measured=f"{median([ours for _, ours in rounds]):.0f}/s: {share:.2f} x raw",
        baseline=f"raw: {median([raw for raw, _ in rounds]):.0f}/s",
        holds=share >= target,
    )


def _rate(write: Write, url: str, writers: int, count: int) -> float:
    """Writes a second; each writer is a process, connected and warm before the clock starts."""
    context = multiprocessing.get_context("fork")
    start = context.Barrier(writers + 1)
    each = count // writers
    processes = [context.Process(target=_writer, args=(write, url, each, start)) for _ in range(writers)]
    for process in processes:
        process.start()
    start.wait()
    started_at = time.monotonic()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    return each * writers / (time.monotonic() - started_at)


def _writer(write: Write, url: str, count: int, start: "multiprocessing.synchronize.Barrier") -> None:
    write(url, count, start.wait)


def _raw(url: str, count: int, ready: Callable[[], object]) -> None:
    with psycopg.connect(url) as connection:
        for number in range(count + 10):
            if number == 10:
                ready()
            with connection.transaction():
                connection.execute("SELECT pg_advisory_xact_lock(%s)", (ORDER_LOCK,), prepare=True)
                connection.execute(
                    "INSERT INTO tacitus_events (originator_id, originator_version, topic, state)"
                    " VALUES (%s, %s, %s, %s)",
                    (uuid4(), 1, "Raw", STATE),
                    prepare=True,
                )


def _ours(url: str, count: int, ready: Callable[[], object]) -> None:
    store = EventStore(url, connections=1)
    for number in range(count + 10):
        if number == 10:
            ready()
        event = StoredEvent(uuid4(), 1, "Ours", STATE)
        store.recorder.insert_events([event], append=Append(origin=Origin(), changes=[], completing=None))
    store.close()
