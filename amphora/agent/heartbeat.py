"""Signs of life to the controllers: regularly, and at once when HAProxy decides that a member is up or down."""

import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from amphora.agent.agent import Agent
from amphora.wire import Additions, Edge, Heartbeat, datagrams, parse_edge

GATHERING_SECONDS = 0.01  # edges that come together go out together: 100 heartbeats a second at most
LOG_LINE_LIMIT = 65_536
LOG_BUFFER_BYTES = 1 << 20  # HAProxy drops lines that do not fit


class HeartbeatSender:
    """Sends one heartbeat per interval, to the controllers in turn, and one more to all of them for edges."""

    def __init__(self, agent: Agent, mouth: "Mouth") -> None:
        self._agent = agent
        self._mouth = mouth
        self._sequence = 0
        self._turns = count()
        self._fresh: list[Edge] = []
        self._repeated: list[Edge] = []  # told once, to be told again with the next regular heartbeat
        self._lock = threading.Lock()
        self._wake = threading.Event()

    def edges_seen(self, edges: list[Edge]) -> None:
        with self._lock:
            self._fresh += edges
        self._wake.set()

    def settings_changed(self) -> None:
        """The next heartbeat follows at once, with the new key, to the new controllers."""
        self._wake.set()

    def run(self) -> None:
        """For ever, in a thread of its own."""
        due = time.monotonic()
        while True:
            if self._wake.wait(max(0.0, due - time.monotonic())):
                time.sleep(GATHERING_SECONDS)
                self._wake.clear()
                self._beat(is_regular=False)
            else:
                due = max(due, time.monotonic() - 1) + self._agent.settings.heartbeat.interval_seconds
                self._beat(is_regular=True)

    def _beat(self, *, is_regular: bool) -> None:
        """An error must not end the signs of life."""
        try:
            self._send(self._edges_to_tell(is_regular=is_regular), is_regular=is_regular)
        except Exception as error:
            print(f"heartbeat not sent: {error!r}", file=sys.stderr, flush=True)

    def _edges_to_tell(self, *, is_regular: bool) -> tuple[Edge, ...]:
        with self._lock:
            fresh, self._fresh = self._fresh, []
            told = [*self._repeated, *fresh] if is_regular else fresh
            self._repeated = fresh if is_regular else [*self._repeated, *fresh]
        return tuple(told)

    def _send(self, edges: tuple[Edge, ...], *, is_regular: bool) -> None:
        """Signs of life go to the controllers in turn, news to all: the next in turn may be down."""
        settings = self._agent.settings.heartbeat
        heartbeat = self._heartbeat(edges)
        if not settings.key or not settings.controllers:
            return
        in_turn = settings.controllers[next(self._turns) % len(settings.controllers)]
        told = [in_turn] if is_regular else settings.controllers
        for datagram in datagrams(heartbeat, settings.key):
            for controller in told:
                self._mouth.say(datagram, controller)
            self._sequence += 1

    def _heartbeat(self, edges: tuple[Edge, ...]) -> Heartbeat:
        seen = self._agent.observer.observe(self._agent.load_balancers())
        additions = Additions(
            boot_id=self._agent.boot_id,
            sent_at=time.time(),
            log_id=seen.running.log_id if seen.running else None,
            revision=seen.running.revision if seen.running else None,
            counters=seen.totals,
            edges=edges,
        )
        return Heartbeat(self._agent.settings.amphora_id, self._sequence, seen.listeners, seen.pools, additions)


class Mouth:
    """UDP out, from the agent's own address where it has one: controllers know it by that."""

    def __init__(self, source_host: str) -> None:
        self._source_host = source_host
        self._sockets: dict[socket.AddressFamily, socket.socket] = {}

    def say(self, datagram: bytes, controller: tuple[str, int]) -> None:
        """A controller that cannot be reached is not our trouble: the next one is told the next time."""
        try:
            family, _, _, _, address = socket.getaddrinfo(*controller, type=socket.SOCK_DGRAM)[0]
            self._socket(family).sendto(datagram, address)
        except OSError:
            return

    def _socket(self, family: socket.AddressFamily) -> socket.socket:
        if family not in self._sockets:
            created = socket.socket(family, socket.SOCK_DGRAM)
            is_same_family = (":" in self._source_host) == (family == socket.AF_INET6)
            if is_same_family and self._source_host not in ("", "::", "0.0.0.0"):
                created.bind((self._source_host, 0))
            self._sockets[family] = created
        return self._sockets[family]


class LogSocket:
    """Where HAProxy logs to. Lines about members become edges; the others pass."""

    def __init__(self, path: Path, edges_seen: Callable[[list[Edge]], None]) -> None:
        path.unlink(missing_ok=True)
        self._edges_seen = edges_seen
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LOG_BUFFER_BYTES)
        former = os.umask(0o077)
        self._socket.bind(str(path))
        os.umask(former)

    def run(self) -> None:
        """For ever, in a thread of its own."""
        while True:
            if edges := self._edges_waiting():
                self._edges_seen(edges)

    def _edges_waiting(self) -> list[Edge]:
        edges = [self._read()]
        while select.select([self._socket], [], [], 0)[0] and len(edges) < 1000:
            edges.append(self._read())
        return [edge for edge in edges if edge]

    def _read(self) -> Edge | None:
        line = self._socket.recv(LOG_LINE_LIMIT)
        return parse_edge(line.decode(errors="replace"), time.time()) if b"Server " in line else None
