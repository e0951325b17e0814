"""One leader at a time, and another one soon after it was killed, stopped or cut off."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import psycopg
import pytest

from infra.leadership import TAKE_OVER_SECONDS, Leadership, Term
from tests.cut import cuttable

pytestmark = pytest.mark.postgres

LOCK = 4_711
_CONTENDER = """
import sys
from threading import Event
from infra.leadership import Leadership

def lead(term):
    print(term.number, flush=True)
    term.stop.wait()
    print("lost", flush=True)

Leadership(sys.argv[1], 4711, name="test").run(Event(), lead)
"""


@contextmanager
def a_contender(database: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen([sys.executable, "-c", _CONTENDER, database], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("fate", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_another_leads_soon_after_the_leader_was(fate: signal.Signals, database: str) -> None:
    with a_contender(database) as first:
        assert said(first) == "1"
        with a_contender(database) as second:
            first.send_signal(fate)
            at = time.monotonic()

            assert said(second) == "2"

            assert time.monotonic() - at < TAKE_OVER_SECONDS


def test_a_leader_that_was_stopped_knows_that_it_leads_no_more(database: str) -> None:
    with a_contender(database) as first, a_contender(database) as second:
        one, other = (first, second) if first_to_speak(first, second) is first else (second, first)
        one.send_signal(signal.SIGSTOP)
        assert said(other) == "2"

        one.send_signal(signal.SIGCONT)

        assert said(one) == "lost"


def test_a_leader_that_is_cut_off_gives_up_before_another_leads(database: str) -> None:
    terms: list[Term] = []
    led = Event()

    def lead(term: Term) -> None:
        terms.append(term)
        led.set()
        term.stop.wait()

    stop = Event()
    with cuttable(database) as way:
        thread = Thread(target=Leadership(way.url, LOCK, name="test").run, args=(stop, lead))
        thread.start()
        assert led.wait(10)
        with a_contender(database) as other:
            way.cut()
            at = time.monotonic()

            assert said(other) == "2"

            assert time.monotonic() - at < TAKE_OVER_SECONDS
            assert not terms[0].still_leads()
        stop.set()
        way.mend()
        thread.join(10)
        assert not thread.is_alive()


def test_a_stop_ends_the_term_and_frees_the_duty(database: str) -> None:
    stop, led = Event(), Event()

    def lead(term: Term) -> None:
        led.set()
        term.stop.wait()

    thread = Thread(target=Leadership(database, LOCK, name="test").run, args=(stop, lead))
    thread.start()
    assert led.wait(10)

    stop.set()
    thread.join(10)

    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT pg_try_advisory_lock(%s)", (LOCK,)).fetchone() == (True,)


def first_to_speak(*processes: "subprocess.Popen[str]") -> "subprocess.Popen[str]":
    import select

    ready, _, _ = select.select([process.stdout for process in processes], [], [], 20)
    (speaker,) = [process for process in processes if process.stdout in ready]
    assert said(speaker) == "1"
    return speaker
