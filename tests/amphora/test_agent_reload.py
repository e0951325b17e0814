"""A reload loses nothing: no new connection, and no request of a client that keeps its connection and never retries."""

import socket
import threading
import time
from dataclasses import dataclass, field

import pytest

from tests.amphora.running_agent import Listening, RunningAgent

pytestmark = pytest.mark.amphora
RELOADS = 20
CONNECTIONS_PER_SECOND = 200
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Tally:
    answered: int = 0
    lost: list[str] = field(default_factory=list)


def new_connection_each_time(place: tuple[str, int], stop: threading.Event, tally: Tally) -> None:
    due = time.monotonic()
    while not stop.is_set():
        try:
            with socket.create_connection(place, 2) as connection:
                connection.sendall(REQUEST)
                _count(connection.recv(4096), tally)
        except OSError as error:
            tally.lost.append(repr(error))
        due += 1 / CONNECTIONS_PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))


def kept_connection(place: tuple[str, int], stop: threading.Event, tally: Tally) -> None:
    """Connects anew only when an answer announced that its connection ends."""
    connection = socket.create_connection(place, 2)
    while not stop.is_set():
        try:
            connection.sendall(REQUEST)
            answer = connection.recv(4096)
        except OSError as error:
            answer = repr(error).encode()
        _count(answer, tally)
        if b"connection: close" in answer.lower() or not answer.startswith(b"HTTP/1.1 200"):
            connection.close()
            connection = socket.create_connection(place, 2)
        time.sleep(0.005)
    connection.close()


def _count(answer: bytes, tally: Tally) -> None:
    if answer.startswith(b"HTTP/1.1 200"):
        tally.answered += 1
    else:
        tally.lost.append(repr(answer[:100]))


def test_20_reloads_lose_nothing(agent: RunningAgent, listening: Listening) -> None:
    driver = agent.driver()
    driver.load_configuration(agent.address, agent.load_balancer_id, agent.configuration(1, listening), 1)
    stop, fresh, kept = threading.Event(), Tally(), Tally()
    place = (listening.host, listening.port)
    clients = [
        threading.Thread(target=new_connection_each_time, args=(place, stop, fresh)),
        threading.Thread(target=kept_connection, args=(place, stop, kept)),
    ]
    for client in clients:
        client.start()

    durations = []
    for revision in range(2, RELOADS + 2):
        began = time.monotonic()
        text = agent.configuration(revision, listening, extra=f"    timeout queue {revision}s")
        driver.load_configuration(agent.address, agent.load_balancer_id, text, revision)
        durations.append(time.monotonic() - began)
        stop.wait(0.1)
    stop.set()
    for client in clients:
        client.join()

    assert agent.description() == str(RELOADS + 1)
    print(
        f"new connections: {fresh.answered}, kept: {kept.answered}, "
        f"load_configuration, milliseconds: {[round(1000 * seconds) for seconds in sorted(durations)]}"
    )
    assert (fresh.lost, kept.lost) == ([], [])
    assert fresh.answered > RELOADS * 10
    assert kept.answered > RELOADS * 5
