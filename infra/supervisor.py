"""Child processes that are kept running: one that dies is started again, with growing pauses."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.process_signals import STOP_SIGNALS
from infra.process_table import send, wait_until_gone

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
HEALTHY_SECONDS = 10.0  # a child that ran this long starts over with the shortest pause
STOP_SECONDS = 10.0
LOOK_SECONDS = 1.0  # whether a server still runs


@dataclass
class Child:
    """A program that should run.

    log       where its output is appended; its directory is where it works
    inherits  descriptors that it finds open under the same numbers
    """

    name: str
    command: Sequence[str]
    log: Path
    inherits: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    pause: float = SHORTEST_PAUSE

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=self.inherits,
                start_new_session=True,  # Ctrl-C at the terminal reaches us alone, and we stop things in their order
            )
        self.started_at = time.monotonic()

    def look_after(self) -> str | None:
        """Start what is due; what a person should know, None when all is well."""
        news = None
        if self.process and (code := self.process.poll()) is not None:
            news = f"{self.name} ended with code {code}; see {self.log}"
            now = time.monotonic()
            if now - self.started_at > HEALTHY_SECONDS:
                self.pause = SHORTEST_PAUSE
            self.process, self.due_at = None, now + self.pause
            self.pause = min(self.pause * 2, LONGEST_PAUSE)
        if not self.process and time.monotonic() >= self.due_at:
            self.start()
        return news


class Server(Protocol):
    """A server beside the children, such as the embedded database."""

    @property
    def pid(self) -> int | None: ...

    def start(self) -> object: ...


@dataclass
class Supervisor:
    """Keeps children running until a signal says stop, then ends them all.

    arrivals  signals, one byte each (`signal_socket`); SIGCHLD must be among them
    tell      takes each line that the person at the terminal should read
    servers   what the children need and nobody's child: looked after, but started and stopped by somebody else
    """

    children: Sequence[Child]
    arrivals: socket.socket
    tell: Callable[[str], None]
    servers: Sequence[Server] = ()

    def run(self) -> None:
        try:
            while True:
                self._look_after_servers()
                for child in self.children:
                    if news := child.look_after():
                        self.tell(news)
                if self._stop_came():
                    return
        finally:
            self._stop()

    def _look_after_servers(self) -> None:
        for server in self.servers:
            if server.pid is None:
                self.tell(f"{type(server).__name__} ended: it is started again")
                try:
                    server.start()
                except Exception as error:
                    self.tell(f"it did not start: {error}")

    def _stop_came(self) -> bool:
        """Wait for a signal or until a child is due."""
        due = [child.due_at for child in self.children if not child.process]
        if self.servers:
            due.append(time.monotonic() + LOOK_SECONDS)
        self.arrivals.settimeout(max(0.001, min(due) - time.monotonic()) if due else None)
        try:
            return any(number in STOP_SIGNALS for number in self.arrivals.recv(64))
        except TimeoutError:
            return False

    def _stop(self) -> None:
        """Ask first. What does not end in time is killed, and so is what is left of its group."""
        self.tell("stopping")
        running = [child.process for child in self.children if child.process]
        pids = [process.pid for process in running]
        send(pids, signal.SIGTERM)
        wait_until_gone(pids, STOP_SECONDS)
        for process in running:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # before wait: until then the number is surely its own
            process.wait()
