"""Wakes whoever waits for the log or for actions, by LISTEN/NOTIFY."""

import logging
from threading import Event, Thread

import psycopg

from infra.patience import KEPT_ALIVE, ImpatientConnection

_RECONNECT_PAUSE_SECONDS = 0.5

logger = logging.getLogger(__name__)


class Wakeup:
    """A thread that listens on one channel. A dead connection is made anew; meanwhile waits end by their own limit."""

    def __init__(self, database_url: str, channel: str) -> None:
        self._database_url = database_url
        self._channel = channel
        self._news = Event()
        self._stop = Event()
        self._connection: psycopg.Connection | None = None
        self._thread = Thread(target=self._listen, name=f"listen {channel}", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Return when something was notified since the last wait ended, after `seconds` at the latest."""
        self._news.wait(seconds)
        self._news.clear()

    def wake(self) -> None:
        """End a wait from within this process."""
        self._news.set()

    def close(self) -> None:
        self._stop.set()
        self._news.set()
        self._thread.join(timeout=2)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen_once()
            except psycopg.Error as error:
                logger.warning("lost the connection that listens on %s: %s", self._channel, error)
                self._stop.wait(_RECONNECT_PAUSE_SECONDS)

    def _listen_once(self) -> None:
        with ImpatientConnection.connect(self._database_url, autocommit=True, **KEPT_ALIVE) as connection:
            connection.execute(f"LISTEN {self._channel}")
            self._news.set()  # something may have come before we listened
            while not self._stop.is_set():
                for _ in connection.notifies(timeout=0.5, stop_after=1):
                    self._news.set()
