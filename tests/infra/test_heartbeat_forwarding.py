"""Heartbeats reach the health manager that leads, wherever they arrive."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from infra.heartbeat_forwarding import Forwarding, LeaderAddress, parsed, reached_at
from infra.heartbeats import listening

LOOPBACK = ("127.0.0.1", 0)


@pytest.fixture
def leader() -> Iterator[socket.socket]:
    with listening(LOOPBACK) as ear:
        ear.settimeout(5)
        yield ear


@contextmanager
def forwarding(ear: socket.socket, leader: socket.socket, *, leads: Event) -> Iterator[Forwarding]:
    stop = Event()
    found = Forwarding(ear, lambda: leader.getsockname(), leads.is_set)
    thread = Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        yield found
    finally:
        stop.set()
        thread.join()


def say(datagram: bytes, ear: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        mouth.sendto(datagram, ear.getsockname())


def test_what_arrives_at_another_reaches_the_leader_unopened(leader: socket.socket) -> None:
    with listening(LOOPBACK) as other, forwarding(other, leader, leads=Event()):
        for number in range(3):
            say(b"heartbeat %d" % number, other)

        assert [leader.recv(100) for _ in range(3)] == [b"heartbeat 0", b"heartbeat 1", b"heartbeat 2"]


def test_the_leader_leaves_to_its_receiver_what_arrives(leader: socket.socket) -> None:
    leads = Event()
    leads.set()
    with listening(LOOPBACK) as other, forwarding(other, leader, leads=leads):
        say(b"mine", other)
        other.settimeout(5)

        assert other.recv(100) == b"mine"


def test_nothing_is_passed_in_a_circle() -> None:
    """A leader that just lost may still be taken for one by itself."""
    with listening(LOOPBACK) as other, forwarding(other, other, leads=Event()) as found:
        say(b"round", other)
        with listening(LOOPBACK) as leader:
            leader.settimeout(5)
            found._leader = lambda: leader.getsockname()  # the database tells of another one
            say(b"on", other)

            assert leader.recv(100) in (b"on", b"round")
        assert found.passed_on <= 2


@pytest.mark.postgres
def test_the_database_knows_where_the_leader_is(database: str) -> None:
    with ConnectionPool(database, min_size=1, open=True, kwargs={"autocommit": True}) as pool:
        nobody = LeaderAddress(pool, "health manager")
        assert nobody() is None
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("INSERT INTO terms VALUES ('health manager', 1, '127.0.0.1:5555')")

        assert LeaderAddress(pool, "health manager")() == ("127.0.0.1", 5_555)


def test_an_address_is_told_and_read_in_the_same_words(leader: socket.socket) -> None:
    assert parsed(reached_at(leader)) == leader.getsockname()
