"""Questions to a running HAProxy over its unix sockets: the worker's statistics socket and the master's."""

import socket
import time
from dataclasses import dataclass
from pathlib import Path

ANSWER_LIMIT = 64 * 1024 * 1024  # bytes; 5,000 members answer `show stat` with 2 MB


class NoAnswer(Exception):
    """HAProxy does not listen there, or did not finish its answer in time."""


@dataclass(frozen=True)
class Worker:
    """Who answered: `description` is that of the file it runs, which our renderer sets to the revision."""

    pid: int
    description: str


def ask(path: Path, command: str, timeout_seconds: float = 1.0) -> str:
    """Send one line, read until HAProxy hangs up. Raises NoAnswer."""
    deadline = time.monotonic() + timeout_seconds
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout_seconds)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)  # or the master would wait for the next command
            return _all_of(connection, deadline).decode(errors="replace")
    except OSError as error:
        raise NoAnswer(f"{path.name}: {error}") from error


def worker_behind(path: Path, timeout_seconds: float = 0.5) -> Worker | None:
    """The worker that answers at a statistics socket now; None when none does."""
    try:
        return worker_in(ask(path, "show info", timeout_seconds))
    except NoAnswer:
        return None


def worker_in(answer: str) -> Worker | None:
    """Read the answer to `show info`."""
    facts = dict(line.split(": ", 1) for line in answer.splitlines() if ": " in line)
    return Worker(int(facts["Pid"]), facts.get("description", "")) if "Pid" in facts else None


def current_workers(answer: str) -> set[int]:
    """Read the master's answer to `show proc`: pids of those that no reload has told to end."""
    listed = answer.partition("# workers\n")[2].partition("#")[0]
    return {int(line.split()[0]) for line in listed.splitlines() if line.strip()}


def _all_of(connection: socket.socket, deadline: float) -> bytes:
    answer = bytearray()
    while chunk := connection.recv(1 << 16):
        answer += chunk
        if len(answer) > ANSWER_LIMIT or time.monotonic() > deadline:
            raise TimeoutError("the answer does not end")
    return bytes(answer)
