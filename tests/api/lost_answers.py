"""A process that dies between a commit and its answer, or anywhere else, and a client that asks again with its key."""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
from falcon.testing import Result, TestClient
from psycopg_pool import ConnectionPool

from infra.api import api_application
from infra.catalogue import PostgresCatalogue
from infra.event_store import EventStore
from infra.local_network import VIP_SUBNET, LocalNetwork
from infra.provider_drivers import providers_of
from infra.settings import AuthStrategy, Settings

PROJECT = "weaving"
LONGEST_LIFE_SECONDS = 0.15


class DyingStore(EventStore):
    """Commits, and dies before it can say so."""

    def save(self, *aggregates: Any, **said: Any) -> Any:
        super().save(*aggregates, **said)
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Trials:
    """Load balancers and listeners that are created by processes which do not live to tell."""

    database: str

    def run(self, number: int, random: Random) -> list[str]:
        """What went wrong, in words; nothing as it should be."""
        with self._client(EventStore) as (ask, _):
            load_balancer_id = UUID(ask(str(uuid4()), *_load_balancer()).json["loadbalancer"]["id"])
            found: list[str] = []
            for trial in range(number):
                key = str(uuid4())
                what = _load_balancer() if trial % 2 else _listener(load_balancer_id, 1 + trial)
                self._die(key, what, random, after_commit=trial % 4 < 2)
                first, second = ask(key, *what), ask(key, *what)
                if first.status_code != 201 or first.text != second.text:
                    found.append(f"trial {trial}: {first.status_code} {first.text}, then {second.text}")
            return found + self._surplus(number)

    def _die(self, key: str, what: tuple[str, Any], random: Random, *, after_commit: bool) -> None:
        """In a process of its own: right after the commit, or at any moment of the request."""
        pid = os.fork()
        if pid == 0:
            try:
                with self._client(DyingStore if after_commit else EventStore) as (ask, _):
                    ask(key, *what)
            finally:
                os._exit(0)
        if not after_commit:
            time.sleep(random.uniform(0, LONGEST_LIFE_SECONDS))
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert not after_commit or os.WTERMSIG(status) == signal.SIGKILL, status

    def _surplus(self, number: int) -> list[str]:
        """One object and one port for each key, however often it was asked for."""
        with psycopg.connect(self.database) as connection:
            row = connection.execute(
                """SELECT (SELECT count(*) FROM load_balancers), (SELECT count(*) FROM listeners),
                          (SELECT count(DISTINCT document ->> 'vip_port_id') FROM load_balancers),
                          (SELECT count(*) FROM addresses),
                          (SELECT count(*) FROM tacitus_events WHERE topic = 'LoadBalancerCreated')"""
            ).fetchone()
        wanted = (1 + number // 2, number - number // 2, *([1 + number // 2] * 3))
        return [] if row == wanted else [f"there are {row} and not {wanted}"]

    def _client(self, kind: type[EventStore]) -> "_Client":
        return _Client(self.database, kind)


class _Client:
    """The whole application in this process."""

    def __init__(self, database: str, kind: type[EventStore]) -> None:
        self._settings = Settings(
            database_url=database, state_directory=Path("/nonexistent"), auth_strategy=AuthStrategy.NOAUTH
        )
        self._kind = kind

    def __enter__(self) -> tuple[Callable[..., Result], EventStore]:
        settings = self._settings
        self._store = store = self._kind(settings.database_url, connections=2)
        self._pool = pool = ConnectionPool(
            settings.database_url, min_size=1, max_size=4, open=True, kwargs={"autocommit": True}
        )
        network = LocalNetwork(pool)
        application = api_application(
            aggregates=store,
            places=store,
            vips=network,
            network_reads=None,
            providers=providers_of(settings.profile),
            catalogue=PostgresCatalogue(pool),
            deployment=settings.deployment,
            pool=pool,
            settings=settings,
        )
        client = TestClient(application)

        def ask(key: str, path: str, body: object) -> Result:
            headers = {"X-Project-Id": PROJECT, "Idempotency-Key": key}
            return client.simulate_post(f"/v2/lbaas{path}", json=body, headers=headers)

        return ask, store

    def __exit__(self, *_: object) -> None:
        self._pool.close()
        self._store.close()


def _load_balancer() -> tuple[str, Any]:
    return "/loadbalancers", {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}}


def _listener(load_balancer_id: UUID, port: int) -> tuple[str, Any]:
    said = {"loadbalancer_id": str(load_balancer_id), "protocol": "TCP", "protocol_port": port}
    return "/listeners", {"listener": said}
