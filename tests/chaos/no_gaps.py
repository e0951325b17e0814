"""Many writers, slow transactions, one writer that stops inside its own: readers see each event once, in order."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from uuid import UUID

import psycopg

from commands.ports import Origin, StoreUnavailable
from domain.errors import ProjectBusy
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra.event_store import ORDER_LOCK, EventStore
from infra.log_stream import LogStream
from infra.settings import Settings
from infra.wiring import connection_pool
from tests.given import a_load_balancer

HELD_OPEN_SECONDS = 0.1
_SLOW_COMMITS = f"""
CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF random() < 0.1 THEN PERFORM pg_sleep(random() * {HELD_OPEN_SECONDS}); END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER dawdle BEFORE INSERT ON commits FOR EACH ROW EXECUTE FUNCTION dawdle();
"""
# As an append does it, up to the moment before its commit.
_STOPS_INSIDE = """
import os, signal, sys, psycopg
with psycopg.connect(sys.argv[1], options="-c idle_in_transaction_session_timeout=5s") as connection:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (int(sys.argv[2]),))
    connection.execute("SELECT nextval('tacitus_events_notification_id_seq')")
    print("inside", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@dataclass
class Written:
    """What was accepted: load balancer -> its version in the end; and what had to be sent again."""

    versions: dict[UUID, int] = field(default_factory=dict)
    refused: int = 0
    slowest: float = 0.0


def no_gaps(database: str, *, writers: int, changes: int, seed: int) -> str:
    """Raises AssertionError."""
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute(_SLOW_COMMITS)
    store = EventStore(database, connections=writers)
    seen: list[tuple[UUID, int]] = []
    stop = Event()
    reading = Thread(target=_read, args=(database, store, seen, stop), name="reader")
    reading.start()
    try:
        with ThreadPoolExecutor(writers) as pool:
            done = [pool.submit(_write, store, changes, random.Random(seed * 1_000 + n)) for n in range(writers)]
            with _a_writer_that_stops(database):
                written = [each.result() for each in done]
    finally:
        stop.set()
        reading.join()
        store.close()
    versions = {id: version for each in written for id, version in each.versions.items()}
    _require_each_once_and_in_order(seen, versions)
    refused, slowest = sum(each.refused for each in written), max(each.slowest for each in written)
    return (
        f"{writers} writers made {len(seen)} events while one of them was stopped inside its transaction: every event "
        f"was read once and in order; {refused} were refused and sent again, the slowest waited {slowest:.1f} s"
    )


def _write(store: EventStore, changes: int, choice: random.Random) -> Written:
    """A load balancer of its own, changed again and again; what is refused is decided and sent again."""
    written = Written()
    while not _save(store, load_balancer := a_load_balancer(), written):
        continue
    for n in range(changes):
        time.sleep(choice.uniform(0, 0.05))
        while True:
            load_balancer = store.load_balancer(load_balancer.id)
            load_balancer.change(LoadBalancerSettings(name=str(n)))
            if _save(store, load_balancer, written):
                break
    written.versions[load_balancer.id] = load_balancer.version
    return written


def _save(store: EventStore, load_balancer: LoadBalancer, written: Written) -> bool:
    origin, began = Origin(), time.monotonic()
    try:
        store.save(load_balancer, origin=origin)
    except (StoreUnavailable, ProjectBusy):  # a 503; whether it was carried out is in the log
        written.refused += 1
        return _was_carried_out(store, origin.command_id)
    finally:
        written.slowest = max(written.slowest, time.monotonic() - began)
    return True


def _was_carried_out(store: EventStore, command_id: UUID) -> bool:
    return store.was_carried_out(command_id)


def _read(database: str, store: EventStore, seen: list[tuple[UUID, int]], stop: Event) -> None:
    """As every consumer does it, while others write; and to the end."""
    settings = Settings(database_url=database, state_directory=os.devnull)  # type: ignore[arg-type]
    with connection_pool(settings, 1) as pool:
        stream, position = LogStream(pool, store.mapper), Position(0)
        is_last = False
        while True:
            found = stream.read_after(0, position, 100)
            seen += [(item.event.originator_id, item.event.originator_version) for item in found]  # type: ignore[attr-defined]
            position = found[-1].position if found else position
            if not found and is_last:
                return
            is_last = not found and stop.wait(0.01)


@contextmanager
def _a_writer_that_stops(database: str) -> Iterator[None]:
    """It holds the lock that gives the log its order, and is not heard of for ten seconds."""
    command = [sys.executable, "-c", _STOPS_INSIDE, database, str(ORDER_LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as stopped:
        try:
            assert stopped.stdout
            assert stopped.stdout.readline() == b"inside\n"
            began = time.monotonic()
            yield
            time.sleep(max(0.0, 10 - (time.monotonic() - began)))
        finally:
            stopped.send_signal(signal.SIGCONT)
            stopped.wait(10)


def _require_each_once_and_in_order(seen: list[tuple[UUID, int]], versions: dict[UUID, int]) -> None:
    twice = [event for event, times in Counter(seen).items() if times > 1]
    assert not twice, f"read twice: {twice[:3]}"
    by_stream: dict[UUID, list[int]] = {}
    for id, version in seen:
        by_stream.setdefault(id, []).append(version)
    for id, version in versions.items():
        assert by_stream[id] == list(range(1, version + 1)), f"{id}: {by_stream[id]}"
    assert by_stream.keys() == versions.keys()
