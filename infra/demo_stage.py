"""What the demonstration needs on stage: two members, clients that count their losses, and a screen."""

import http.client
import http.server
import json
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BOLD, DIM, GREEN, RED, BLUE, PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[34m", "\033[0m"
LOST = (OSError, http.client.HTTPException)


class TooLate(Exception):
    """Something did not happen in time."""


# Members


class Member(ThreadingHTTPServer):
    """A web server that answers with its own name."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, name: str, address: str, port: int = 0) -> None:
        super().__init__((address, port), _Answer)
        self.name, self.address, self.port = name, address, int(self.server_address[1])
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def kill(self) -> None:
        self.shutdown()
        self.server_close()

    def again(self) -> "Member":
        return Member(self.name, self.address, self.port)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Answer(BaseHTTPRequestHandler):
    """Without keep-alive, so that a member that is killed is gone for all."""

    server: Member
    wbufsize = -1

    def do_GET(self) -> None:
        text = self.server.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """The screen is ours."""


# Clients


@dataclass(frozen=True)
class Api:
    """The REST API. Raises TooLate and OSError; an answer of 4xx or 5xx is a RuntimeError."""

    port: int

    def ask(self, method: str, path: str, document: object = None) -> Any:
        body = None if document is None else json.dumps(document)
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, f"/v2/lbaas{path}", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")
        return next(iter(json.loads(text).values())) if text else None


def fetch(address: str, port: int) -> str:
    """One request over a connection of its own. Raises one of LOST."""
    with closing(http.client.HTTPConnection(address, port, timeout=2)) as connection:
        return ask_once(connection, {"Connection": "close"})


def ask_once(connection: http.client.HTTPConnection, headers: dict[str, str]) -> str:
    connection.request("GET", "/", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    if answer.status != 200:
        raise http.client.HTTPException(f"status {answer.status}")
    return text


def serves(address: str, port: int) -> bool:
    with suppress(*LOST):
        return bool(fetch(address, port))
    return False


@dataclass
class Traffic:
    """Requests that were answered, by whom, and those that were not. Nothing is asked twice."""

    address: str
    port: int
    answers: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def total(self) -> int:
        return sum(self.answers.values()) + self.lost

    def new_connections(self, rate: float) -> None:
        due = time.monotonic()
        while not self.stop.is_set():
            self._count(lambda: fetch(self.address, self.port))
            due = max(due + 1 / rate, time.monotonic() - 1)
            self.stop.wait(due - time.monotonic())

    def one_kept_connection(self) -> None:
        with closing(http.client.HTTPConnection(self.address, self.port, timeout=5)) as connection:
            while not self.stop.wait(0.02):
                self._count(lambda: ask_once(connection, {}))

    def _count(self, request: Callable[[], str]) -> None:
        try:
            self.answers[request()] += 1
        except LOST:
            self.lost += 1


@contextmanager
def under_traffic(address: str, port: int) -> Iterator[Traffic]:
    """200 new connections a second, and two that are kept."""
    traffic = Traffic(address, port)
    clients = [threading.Thread(target=traffic.new_connections, args=[50], daemon=True) for _ in range(4)]
    clients += [threading.Thread(target=traffic.one_kept_connection, daemon=True) for _ in range(2)]
    for client in clients:
        client.start()
    try:
        yield traffic
    finally:
        traffic.stop.set()
        for client in clients:
            client.join(5)


# The screen


class Screen:
    """Lines, and one line at the bottom that moves as long as it is a terminal."""

    def __init__(self) -> None:
        self._moves = sys.stdout.isatty()

    def title(self, text: str) -> None:
        print(f"\n{self._in(BOLD + BLUE, text)}\n", flush=True)

    def say(self, text: str = "") -> None:
        print(f"  {text}", flush=True)

    def command(self, text: str) -> None:
        self.say(self._in(DIM, f"$ {text}"))

    def done(self, text: str) -> None:
        self._clear()
        self.say(f"{self._in(GREEN, '✓')} {text}")

    def failed(self, text: str) -> None:
        self._clear()
        self.say(f"{self._in(RED, '✗')} {text}")

    def progress(self, share: float, text: str) -> None:
        """A bar with a text behind it; `share` is between 0 and 1."""
        if self._moves:
            full = round(share * 30)
            line = f"  {'█' * full}{'░' * (30 - full)} {text}"
            print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)

    def moment(self, at: str, who: str, stream: str, what: str) -> None:
        self.say(f"{self._in(DIM, at)}  {who:<9} {self._in(BLUE, f'{stream:<13}')} {what}")

    def _clear(self) -> None:
        if self._moves:
            print("\r\033[K", end="")

    def _in(self, colour: str, text: str) -> str:
        return f"{colour}{text}{PLAIN}" if self._moves else text


def wait_for(screen: Screen, what: str, condition: Callable[[], bool], seconds: float) -> float:
    """Show how long it takes until a condition is true and return that. Raises TooLate."""
    started_at = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - started_at
        passed = time.monotonic() - started_at
        if passed > seconds:
            raise TooLate(f"{what} did not happen within {seconds:.0f} s")
        screen.progress(passed / seconds, f"{what} ... {passed:.1f} s")
        time.sleep(0.05)
