"""The supervisor keeps children running and leaves none behind; the children here are shells."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.process_table import wait_until_gone
from infra.supervisor import Child, Supervisor


@pytest.fixture
def signals() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of what carries signals to a supervisor, one byte each."""
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def a_child(directory: Path, script: str) -> Child:
    return Child(name="child", command=["sh", "-c", script], log=directory / "child.log", pause=0.01)


def run_in_background(child: Child, arrivals: socket.socket, told: list[str]) -> threading.Thread:
    thread = threading.Thread(target=Supervisor([child], arrivals, told.append).run)
    thread.start()
    return thread


def test_a_child_that_dies_is_started_again_after_a_longer_pause_each_time(
    tmp_path: Path, signals: tuple[socket.socket, socket.socket]
) -> None:
    here, there = signals
    os.mkfifo(tmp_path / "up")
    child = a_child(tmp_path, "echo $$ > up; exit 3")
    told: list[str] = []

    thread = run_in_background(child, there, told)
    for _ in range(3):
        assert wait_until_gone([int((tmp_path / "up").read_text())], 5)
        here.send(bytes([signal.SIGCHLD]))
    here.send(bytes([signal.SIGTERM]))
    thread.join()

    assert told[0] == f"child ended with code 3; see {tmp_path}/child.log"
    assert child.pause >= 0.04


def test_nothing_of_a_group_is_left_after_a_stop(tmp_path: Path, signals: tuple[socket.socket, socket.socket]) -> None:
    here, there = signals
    os.mkfifo(tmp_path / "up")
    child = a_child(tmp_path, "sh -c 'trap : TERM; echo $$ > up; sleep 900 & wait; wait' & wait")
    thread = run_in_background(child, there, [])
    stubborn = int((tmp_path / "up").read_text())

    here.send(bytes([signal.SIGTERM]))
    thread.join()

    assert wait_until_gone([stubborn], 5)
