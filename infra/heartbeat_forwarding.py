"""Heartbeats may arrive at any health manager: those that do not lead pass them on to the one that does, unopened."""

import logging
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Event
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from infra.heartbeats import LARGEST_DATAGRAM

_LOOK_SECONDS = 1.0  # for who leads
_PAUSE_SECONDS = 0.1  # between looks whether it is still others who lead

logger = logging.getLogger(__name__)

Address = tuple[str, int]


class LeaderAddress:
    """Where the health manager that leads can be reached, as the database has it."""

    def __init__(self, pool: ConnectionPool[Any], duty: str) -> None:
        self._pool = pool
        self._duty = duty
        self._known: Address | None = None
        self._due = 0.0

    def __call__(self) -> Address | None:
        """None while nobody ever led. While the database does not answer, the one of before."""
        if time.monotonic() >= self._due:
            with suppress(psycopg.Error, PoolTimeout), self._pool.connection(timeout=1) as connection:
                row = connection.execute("SELECT address FROM terms WHERE duty = %s", (self._duty,)).fetchone()
                self._known = parsed(row[0]) if row and row[0] else None
            self._due = time.monotonic() + _LOOK_SECONDS
        return self._known


class Forwarding:
    """Passes on what arrives while this process does not lead.

    passed_on  datagrams so far
    """

    def __init__(self, ear: socket.socket, leader: Callable[[], Address | None], leads: Callable[[], bool]) -> None:
        self._ear = ear
        self._leader = leader
        self._leads = leads
        self.passed_on = 0

    def run(self, stop: Event) -> None:
        """Until `stop` is set, in a thread of its own."""
        with socket.socket(self._ear.family, socket.SOCK_DGRAM) as mouth:
            while not stop.is_set():
                if self._leads():
                    stop.wait(_PAUSE_SECONDS)
                elif select.select([self._ear], [], [], _PAUSE_SECONDS)[0]:
                    self._pass_on(mouth)

    def _pass_on(self, mouth: socket.socket) -> None:
        """What nobody can take is lost, as a datagram may be: the next heartbeat says the same."""
        leader = self._leader()
        with suppress(BlockingIOError):
            while not self._leads():
                datagram = self._ear.recv(LARGEST_DATAGRAM)
                if leader is not None and leader != self._ear.getsockname()[:2]:
                    with suppress(OSError):
                        mouth.sendto(datagram, leader)
                        self.passed_on += 1


def parsed(address: str) -> Address:
    host, _, port = address.rpartition(":")
    return host, int(port)


def reached_at(ear: socket.socket) -> str:
    """host:port for peers. Where all addresses of this host are listened on, the one that its name stands for."""
    host, port, *_ = ear.getsockname()
    return f"{socket.gethostbyname(socket.gethostname()) if host in ('0.0.0.0', '::') else host}:{port}"
