"""A database that says nothing is given up, is not waited for by everybody in turn, and is found again."""

import time
from collections.abc import Iterator
from threading import Thread

import psycopg
import pytest
from psycopg_pool import PoolTimeout

from commands.ports import Origin
from infra.event_store import EventStore, TermOver
from infra.patience import KEPT_ALIVE, ImpatientConnection, Pool, Silent
from tests.cut import Cuttable, cuttable
from tests.given import a_load_balancer

pytestmark = pytest.mark.postgres


@pytest.fixture
def way(database: str) -> Iterator[Cuttable]:
    with cuttable(database) as way:
        yield way


class Hasty(ImpatientConnection):
    patience_seconds = 0.5


def test_a_server_that_says_nothing_is_given_up_and_its_connection_closed(way: Cuttable) -> None:
    with Hasty.connect(way.url, autocommit=True) as connection:
        connection.execute("SELECT 1")
        way.cut()

        with pytest.raises(Silent):
            connection.execute("SELECT 1")

        assert connection.closed


def test_whoever_listens_for_a_while_is_not_taken_for_impatient(database: str) -> None:
    with Hasty.connect(database, autocommit=True) as connection:
        connection.execute("LISTEN news")

        assert list(connection.notifies(timeout=0.8)) == []

        assert not connection.closed


def test_a_connection_that_nobody_takes_is_not_waited_for_long(way: Cuttable) -> None:
    way.cut()
    began = time.monotonic()

    with pytest.raises(psycopg.OperationalError):
        ImpatientConnection.connect(way.url, **KEPT_ALIVE)

    assert time.monotonic() - began < 5


def _find_it_away(pool: Pool, way: Cuttable) -> None:
    """It was there, and whoever asked first has waited for it in vain."""
    _use(pool)
    way.cut()
    pool.drain()
    for _ in range(2):
        with pytest.raises(PoolTimeout):
            _use(pool)


def test_the_second_to_ask_for_a_database_that_is_away_hears_so_at_once(way: Cuttable) -> None:
    with Pool(way.url, 2) as pool:
        _find_it_away(pool, way)
        began = time.monotonic()

        with pytest.raises(PoolTimeout):
            _use(pool)

        assert time.monotonic() - began < 1


def test_a_database_that_is_back_is_found_within_seconds(way: Cuttable) -> None:
    with Pool(way.url, 2) as pool:
        _find_it_away(pool, way)
        way.mend()
        deadline = time.monotonic() + 5

        while not _is_there(pool):
            assert time.monotonic() < deadline


def test_what_a_leader_sent_before_it_was_cut_off_counts_no_more_once_another_leads(
    database: str, way: Cuttable
) -> None:
    faults: list[Exception] = []
    others = a_load_balancer()
    with psycopg.connect(database, autocommit=True) as elsewhere:
        elsewhere.execute("INSERT INTO terms VALUES ('duty', 1)")
        store = EventStore(way.url, connections=1)
        led = store.of_leader("duty", 1)
        led.save(others, origin=Origin())

        def record() -> None:
            try:
                led.save(a_load_balancer(), origin=Origin())
            except Exception as error:
                faults.append(error)

        way.cut()
        sending = Thread(target=record)
        sending.start()
        elsewhere.execute("UPDATE terms SET number = 2")
        way.mend()
        sending.join(20)
        created = elsewhere.execute("SELECT originator_id FROM tacitus_events").fetchall()
        store.close()

    assert [type(fault) for fault in faults] == [TermOver]
    assert {id for (id,) in created} == {others.id}


def _use(pool: Pool) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1")


def _is_there(pool: Pool) -> bool:
    try:
        _use(pool)
    except PoolTimeout:
        return False
    return True


def test_a_connection_that_ended_while_nobody_used_it_is_given_to_nobody(database: str) -> None:
    with Pool(database, 2) as pool:
        with pool.connection() as one, pool.connection() as other:
            pids = [one.info.backend_pid, other.info.backend_pid]
        with psycopg.connect(database, autocommit=True) as owner:
            owner.execute("SELECT pg_terminate_backend(pid, 5000) FROM unnest(%s::int[]) AS pid", (pids,))

        with pool.connection() as one, pool.connection() as other:
            found = [each.execute("SELECT 1").fetchone() for each in (one, other)]

        assert found == [(1,), (1,)]
