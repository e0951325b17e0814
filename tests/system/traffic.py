"""Clients of a VIP that notice everything that they lose."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field


def fetch(address: str, port: int, seconds: float = 5) -> str:
    """One request over a connection of its own. Raises OSError or HTTPException when it is lost."""
    with closing(http.client.HTTPConnection(address, port, timeout=seconds)) as connection:
        return _ask(connection, {"Connection": "close"})


def serves(address: str, port: int) -> bool:
    try:
        return bool(fetch(address, port, 2))
    except (OSError, http.client.HTTPException):
        return False


def _ask(connection: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise http.client.HTTPException(f"status {answer.status}")
    return text


@dataclass
class Traffic:
    """What came back and what did not."""

    address: str
    port: int
    answers: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    started_at: float = field(default_factory=time.monotonic)
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def total(self) -> int:
        return self.answers.total() + len(self.losses)

    def count(self, kind: str, ask_once: Callable[[], str]) -> None:
        """Nothing is asked twice."""
        try:
            answer = ask_once()
        except (OSError, http.client.HTTPException) as error:
            with self.lock:
                self.losses.append(f"{kind} after {time.monotonic() - self.started_at:.2f} s: {error!r}")
        else:
            with self.lock:
                self.answers[answer] += 1

    def new_connections(self, rate: float) -> None:
        """`rate` requests a second, each over a connection of its own."""
        due = time.monotonic()
        while not self.stop.is_set():
            self.count("new connection", lambda: fetch(self.address, self.port))
            due = max(due + 1 / rate, time.monotonic() - 1)
            self.stop.wait(due - time.monotonic())

    def keep_alive(self, pause: float) -> None:
        """One connection for as long as the server does not announce its end."""
        connection = http.client.HTTPConnection(self.address, self.port, timeout=5)
        while not self.stop.is_set():
            self.count("kept connection", lambda: _ask(connection, {}))
            self.stop.wait(pause)
        connection.close()


@contextmanager
def under_traffic(address: str, port: int, *, rate: float = 200, kept_connections: int = 4) -> Iterator[Traffic]:
    """While this lasts, `rate` new connections a second (four clients) and some kept ones (50 requests/s each)."""
    traffic = Traffic(address, port)
    clients = [threading.Thread(target=traffic.new_connections, args=[rate / 4], daemon=True) for _ in range(4)]
    clients += [threading.Thread(target=traffic.keep_alive, args=[0.02], daemon=True) for _ in range(kept_connections)]
    for client in clients:
        client.start()
    try:
        yield traffic
    finally:
        traffic.stop.set()
        for client in clients:
            client.join(10)
