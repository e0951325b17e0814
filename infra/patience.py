"""Connections to the database that do not wait for ever: a server that says nothing is taken for one that is away.

The server's own limits (statement_timeout and the like) are of no use when it hangs itself, or the way to it is cut.
"""

import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg.abc import RV, PQGen
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool, PoolTimeout

ANSWER_SECONDS = 12.0
"""So long an answer may take: longer than the limit of a statement, since a commit is not part of that."""

STATEMENT_SECONDS = 10
CONNECT_SECONDS = 2
_POOL_SECONDS = 5.0
_AWAY_SECONDS = 0.5

SESSION = f"-c lock_timeout=5s -c statement_timeout={STATEMENT_SECONDS}s -c idle_in_transaction_session_timeout=5s"
KEPT_ALIVE: Mapping[str, Any] = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": int(1_000 * ANSWER_SECONDS),
}
"""Of every connection, so that one that only listens notices too when there is nobody any more."""

# A pool that keeps trying by itself does so ever more seldom: it gives up soon, and tries again for whoever asks next.
_RECONNECT_SECONDS = 1.0


class Silent(psycopg.OperationalError):
    """The server did not answer in time. What it was asked for may be done nevertheless."""


class ImpatientConnection(psycopg.Connection[Any]):
    """Gives up on a server that does not answer, and is closed then."""

    patience_seconds = ANSWER_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Whoever has a time-out of their own has reckoned with silence."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience_seconds)
        except psycopg.errors._WaitTimeout:
            self.pgconn.finish()
            raise Silent(f"the server did not answer for {self.patience_seconds:g} s") from None


class Pool(ConnectionPool[Any]):
    """Connections for many threads. While the database is known to be away, nobody waits as long as the first did.

    size     the most connections
    session  parameters of each connection
    """

    def __init__(self, database_url: str, size: int, **session: Any) -> None:
        self.is_away = False
        super().__init__(
            database_url,
            connection_class=ImpatientConnection,
            configure=_read_documents_fast,
            check=_require_open,
            min_size=1,
            max_size=size,
            timeout=_POOL_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            reconnect_failed=_is_gone,
            open=True,
            kwargs={**KEPT_ALIVE, "autocommit": True, "options": SESSION, **session},
        )

    @contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Any]:
        """The pool's own ends a transaction each time; here there is none but those that end by themselves."""
        connection = self.getconn(timeout)
        try:
            yield connection
        finally:
            self.putconn(connection)

    def getconn(self, timeout: float | None = None) -> Any:
        """Raises PoolTimeout."""
        patience = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + (min(patience, _AWAY_SECONDS) if self.is_away else patience)
        while True:
            try:
                connection = super().getconn(max(0.001, min(_RECONNECT_SECONDS, deadline - time.monotonic())))
            except PoolTimeout:
                if time.monotonic() >= deadline:
                    raise
            else:
                self.is_away = False
                return connection


def _require_open(connection: psycopg.Connection[Any]) -> None:
    """Without a question: all that a server says to an idle session is that it ends. Raises OperationalError."""
    news = select.poll()
    news.register(connection.pgconn.socket, select.POLLIN)
    if news.poll(0):
        connection.close()  # or the pool would keep it
        raise psycopg.OperationalError("the server ended this session")


def _read_documents_fast(connection: psycopg.Connection[Any]) -> None:
    """A list of load balancers spends a fifth of its time with the standard library's decoder."""
    set_json_loads(msgspec.json.decode, connection)


def _is_gone(pool: ConnectionPool[Any]) -> None:
    assert isinstance(pool, Pool), "it is asked for by no other"
    pool.is_away = True
