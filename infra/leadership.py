"""One leader among many processes: who holds an advisory lock of the database, for as long as its session lives."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import Any

import psycopg

from infra.patience import ANSWER_SECONDS, CONNECT_SECONDS, ImpatientConnection
from infra.readings import Reading

RELAY_LOCK, HOUSEKEEPING_LOCK, HEALTH_LOCK = 7_201_610, 7_201_611, 7_201_612
"""Advisory locks of the duties that one process has for all."""

TAKE_OVER_SECONDS = 5.0
"""No longer is there no leader after one died, was cut off, or stopped answering."""

_LOOK_SECONDS = 1.0
_BEAT_SECONDS = 0.5
_SILENCE_SECONDS = 2.0
# The database ends the session of a leader that is silent, be it stopped, starved or cut off; it has given up by then.
_SESSION_SILENCE_MILLISECONDS = 2_500
_SESSION = f"-c idle_session_timeout={_SESSION_SILENCE_MILLISECONDS} -c statement_timeout=1500"

_BEGIN = """
INSERT INTO terms AS t VALUES (%s, 1, %s)
ON CONFLICT (duty) DO UPDATE SET number = t.number + 1, address = excluded.address RETURNING number
"""

logger = logging.getLogger(__name__)


class Term:
    """The time for which one process leads.

    number  a fencing token: larger than that of every leader before
    stop    set when leadership is lost, or the process is to stop
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.stop = Event()
        self.heard_at = time.monotonic()

    def still_leads(self) -> bool:
        """False once the database has not confirmed it for so long that somebody else might lead."""
        return not self.stop.is_set() and time.monotonic() - self.heard_at < _SILENCE_SECONDS


class Leadership:
    """Competes for one duty among all processes of one database.

    lock     number of the duty's advisory lock
    address  "host:port" where others reach this process once it leads
    """

    def __init__(self, database_url: str, lock: int, *, name: str, address: str = "") -> None:
        self._database_url = database_url
        self._lock = lock
        self._name = name
        self._address = address
        self.leads = False

    def readings(self) -> Iterable[Reading]:
        """For monitoring."""
        text = "Whether this process has a duty that one has for all."
        yield Reading("tacitus_leads", text, float(self.leads), {"duty": self._name})

    def run(self, stop: Event, lead: Callable[[Term], None]) -> None:
        """Until `stop` is set: wait for the duty, lead until it is lost, and compete again.

        `lead` returns soon after its term's `stop` was set. What it raises ends the term; another begins after a pause.
        """
        while not stop.is_set():
            try:
                with self._session() as connection:
                    if self._is_called(connection, stop):
                        self._lead(connection, stop, lead)
            except psycopg.Error as error:
                logger.warning("%s: the database does not answer: %s", self._name, error)
            except Exception:
                logger.exception("%s: could not lead", self._name)
            stop.wait(_LOOK_SECONDS)

    def _is_called(self, connection: ImpatientConnection, stop: Event) -> bool:
        """Waits for the duty to be free, and has it then. False once `stop` is set."""
        connection.patience_seconds = _SILENCE_SECONDS
        while not stop.is_set():
            if _is_free(connection, self._lock):
                connection.patience_seconds = ANSWER_SECONDS  # the first thing a leader does is a commit
                return True
            stop.wait(_LOOK_SECONDS)
        return False

    @contextmanager
    def _session(self) -> Iterator[ImpatientConnection]:
        connection = ImpatientConnection.connect(
            self._database_url,
            autocommit=True,
            options=_SESSION,
            connect_timeout=CONNECT_SECONDS,
            tcp_user_timeout=_SESSION_SILENCE_MILLISECONDS,
            application_name=f"tacitus {self._name} {os.getpid()}",
        )
        try:
            yield connection
        finally:
            with suppress(psycopg.Error):
                connection.close()

    def _lead(self, connection: ImpatientConnection, stop: Event, lead: Callable[[Term], None]) -> None:
        term = Term(_next_term(connection, self._name, self._address))
        connection.patience_seconds = _SILENCE_SECONDS  # from now on a silence ends the term
        logger.info("%s: leads, term %d", self._name, term.number)
        watch = Thread(target=_watch, args=(connection, term, stop), name=f"term of {self._name}", daemon=True)
        watch.start()
        self.leads = True
        try:
            lead(term)
        finally:
            self.leads = False
            term.stop.set()
            watch.join(timeout=_SILENCE_SECONDS)
            logger.info("%s: leads no more", self._name)


def _is_free(connection: psycopg.Connection[Any], lock: int) -> bool:
    """Taken, if it was."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s)", (lock,)).fetchone()
    return bool(row and row[0])


def _next_term(connection: psycopg.Connection[Any], name: str, address: str) -> int:
    row = connection.execute(_BEGIN, (name, address)).fetchone()
    assert row is not None, "an upsert returns its row"
    return int(row[0])


def _watch(connection: psycopg.Connection[Any], term: Term, stop: Event) -> None:
    """Asks on the session that holds the lock: while it answers, nobody else can have the lock."""
    while not term.stop.wait(_BEAT_SECONDS):
        asked_at = time.monotonic()
        try:
            connection.execute("SELECT 1")
        except psycopg.Error as error:
            logger.warning("leadership is lost: %s", error)
            break
        term.heard_at = asked_at
        if stop.is_set():
            break
    term.stop.set()
