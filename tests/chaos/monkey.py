"""Kills whatever a running service is made of, at random moments."""

import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event

import psycopg

from infra.process_table import daemons_in
from tests.system.service import Service

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 3.0


class Monkey:
    """One victim every 0.5 to 3 s: a process of a service, the broker, the database's first process or a connection.

    killed  kind of victim -> how many
    """

    def __init__(self, service: Service, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self.killed: Counter[str] = Counter()
        kinds: dict[str, tuple[int, Callable[[], bool]]] = {
            "service": (8, self._kill_service),
            "connection": (4, self._kill_connection),
            "postmaster": (1, self._kill_postmaster),
        }
        if service.with_kafka:
            kinds["broker"] = (1, self._kill_broker)
        self._kinds: Mapping[str, tuple[int, Callable[[], bool]]] = kinds

    def run(self, stop: Event) -> None:
        while not stop.wait(self._random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE)):
            (kind,) = self._random.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])
            if self._kinds[kind][1]():
                self.killed[kind] += 1

    def _kill_service(self) -> bool:
        """One of a service's processes, its workers among them; the supervisor above them stands for the machine's."""
        return self._kill(daemons_in(self._service.directory / "log"))

    def _kill_postmaster(self) -> bool:
        first_line = self._service.directory / "postgresql/data/postmaster.pid"
        with suppress(OSError, ValueError, IndexError):
            return self._kill([int(first_line.read_text().splitlines()[0])])
        return False

    def _kill_broker(self) -> bool:
        brokers = daemons_in(self._service.directory / "kafka")
        return self._kill(brokers)

    def _kill_connection(self) -> bool:
        with suppress(psycopg.Error), self._service.database() as connection:
            backends = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ).fetchall()
            if backends:
                connection.execute("SELECT pg_terminate_backend(%s)", self._random.choice(backends))
                return True
        return False

    def _kill(self, pids: list[int]) -> bool:
        with suppress(ProcessLookupError):
            if pids:
                os.kill(self._random.choice(sorted(pids)), signal.SIGKILL)
                return True
        return False
