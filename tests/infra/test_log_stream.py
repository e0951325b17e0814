"""The log as a stream of events, and what wakes its readers."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from infra.consumer import action_ledger
from infra.event_store import CHANNEL, EventStore
from infra.log_stream import LogStream
from infra.settings import Settings
from infra.wakeup import Wakeup
from infra.wiring import connection_pool
from processes.actions import Action, ApplyConfiguration
from processes.ports import Step
from tests.given import a_load_balancer
from tests.infra import event_stream_contract as contract

pytestmark = pytest.mark.postgres

LONG = 30.0


@pytest.fixture
def settings(database: str) -> Settings:
    return Settings(database_url=database, state_directory=Path("/nowhere"))


@pytest.fixture
def pool(settings: Settings) -> Iterator[ConnectionPool]:
    with connection_pool(settings, 4) as pool:
        yield pool


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database, connections=8)
    yield store
    store.close()


@pytest.fixture
def wakeup(database: str) -> Iterator[Wakeup]:
    wakeup = Wakeup(database, CHANNEL)
    yield wakeup
    wakeup.close()


@pytest.fixture
def stream(pool: ConnectionPool, store: EventStore, wakeup: Wakeup) -> LogStream:
    return LogStream(pool, store.mapper, wakeup)


@pytest.fixture
def append(store: EventStore) -> Callable[[LoadBalancer], None]:
    def append(load_balancer: LoadBalancer) -> None:
        store.save(load_balancer, origin=Origin())
        load_balancer.collect_events()

    return append


def test_positions_grow_and_pages_join_without_gaps(stream: LogStream, append: contract.Append) -> None:
    contract.positions_grow_and_pages_join_without_gaps(stream, append)


def test_events_of_one_load_balancer_keep_their_order(stream: LogStream, append: contract.Append) -> None:
    contract.events_of_one_load_balancer_keep_their_order(stream, append)


def test_what_was_put_aside_is_found_again(stream: LogStream, append: contract.Append) -> None:
    contract.what_was_put_aside_is_found_again(stream, append)


def test_an_append_ends_a_wait(stream: LogStream, append: contract.Append) -> None:
    _drain(stream)

    append(a_load_balancer())

    assert _seconds_of(lambda: stream.wait(LONG)) < LONG / 2


def test_a_reader_whose_listening_connection_died_listens_again(
    database: str, stream: LogStream, append: contract.Append
) -> None:
    _drain(stream)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = %s", (f"LISTEN {CHANNEL}",)
        )

    stream.wait(LONG)  # ended by the new connection, since something may have come before it listened
    append(a_load_balancer())

    assert _seconds_of(lambda: stream.wait(LONG)) < LONG / 2


def test_what_was_decided_is_stored_with_the_position_or_not_at_all(pool: ConnectionPool, settings: Settings) -> None:
    ledger = action_ledger(settings, pool)
    action = ApplyConfiguration(load_balancer_id=a_load_balancer().id, wanted=3)

    def fail(position: Position) -> Step[Action]:
        raise RuntimeError("in the middle of a decision")

    decided = Step[Action](reached=Position(7), reactions=[action, replace(action, wanted=5)])
    assert ledger.advance("consumer", 0, lambda position: decided)
    with pytest.raises(RuntimeError):
        ledger.advance("consumer", 0, fail)

    with pool.connection() as connection:
        assert connection.execute("SELECT consumer, position FROM positions").fetchall() == [("consumer", 7)]
        assert connection.execute("SELECT kind, wanted FROM actions").fetchall() == [("ApplyConfiguration", 5)]
    assert not ledger.advance("consumer", 0, lambda position: Step(reached=position))


def _drain(stream: LogStream) -> None:
    """The wait that ends because the connection has just begun to listen."""
    stream.wait(LONG)


def _seconds_of(wait: Callable[[], None]) -> float:
    began = time.monotonic()
    wait()
    return time.monotonic() - began
