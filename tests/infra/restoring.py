"""A service with everything that is outside its database, and a database that can go back in time."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from amphora.driver import NoopAmphoraDriver
from commands.ports import Origin
from domain.amphora import Amphora
from domain.errors import ConcurrentChange
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra import wiring
from infra.embedded_postgres import in_database
from infra.event_store import EventStore
from infra.settings import Profile, Settings
from tests.given import a_listener, a_load_balancer

PATIENCE_SECONDS = 60.0


class Copies:
    """Backups of one database by copies on the same server."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = urlsplit(url).path.lstrip("/")
        self._server = in_database(url, "postgres")
        self._backup = f"{self._name}_backup"

    def make(self) -> None:
        self._run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")
        self._run(f"CREATE DATABASE {self._backup} TEMPLATE {self._name}")

    def restore(self) -> None:
        """Whoever is connected is cut off, and finds the past when it comes back."""
        self._run(f"DROP DATABASE {self._name} WITH (FORCE)")
        self._run(f"CREATE DATABASE {self._name} TEMPLATE {self._backup}")

    def drop(self) -> None:
        self._run(f"DROP DATABASE IF EXISTS {self._backup} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(statement.encode())


@dataclass
class Site:
    """amphorae: what runs on them, which no restore of a database undoes."""

    settings: Settings
    copies: Copies
    store: EventStore
    amphorae: NoopAmphoraDriver = field(default_factory=NoopAmphoraDriver)

    @property
    def config(self) -> Path:
        """A file with these settings."""
        file = self.settings.state_directory / "tacitus.conf"
        said = f"profile = {self.settings.profile}\nstate_directory = {self.settings.state_directory}\n"
        file.write_text(f"[DEFAULT]\n{said}[database]\nconnection = {self.settings.database_url}\n")
        return file

    def restore(self) -> None:
        """Nothing that remembers the lost events in this process is left."""
        self.store.close()
        self.copies.restore()
        self.store = EventStore(self.settings.database_url)

    @contextmanager
    def worker(self) -> Iterator[None]:
        """The real one, on these amphorae."""
        stop = Event()
        thread = Thread(target=wiring.run_worker, args=(self.settings, stop))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def create(self) -> UUID:
        load_balancer = a_load_balancer()
        amphora = Amphora.request(load_balancer.amphora_ids[0], load_balancer_id=load_balancer.id)
        listener = a_listener(name="first")
        load_balancer.add_listener(listener)
        self.store.save(load_balancer, amphora, origin=Origin())
        return load_balancer.id

    def rename(self, id: UUID, times: int) -> None:
        """So many events."""
        for number in range(times):
            self._change(id, lambda it, name=f"name {number}": it.change(LoadBalancerSettings(name=name)))

    def add_listener(self, id: UUID, name: str, port: int) -> None:
        listener = a_listener(id=uuid4(), name=name, protocol_port=port)
        self._change(id, lambda it: it.add_listener(listener))

    def _change(self, id: UUID, change: Callable[[LoadBalancer], None]) -> None:
        """Whatever a worker does to it meanwhile."""
        while True:
            load_balancer = self.store.load_balancer(id)
            change(load_balancer)
            with suppress(ConcurrentChange):
                self.store.save(load_balancer, origin=Origin())
                return

    def wait_until_at_rest(self, id: UUID) -> None:
        """Its amphorae have confirmed all that was asked for."""

        def is_at_rest() -> bool:
            progress = self.store.load_balancer(id).progress
            return bool(progress.confirmed) and progress.applied >= progress.revision

        wait_until(is_at_rest)

    def runs(self, id: UUID) -> str:
        """The file of its amphora."""
        (file,) = [file for (_, of), (_, file) in self.amphorae.configurations.items() if of == id]
        return file

    def sql(self, statement: str, *parameters: object) -> list[Any]:
        with psycopg.connect(self.settings.database_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    @property
    def end(self) -> int:
        ((end,),) = self.sql("SELECT max(notification_id) FROM tacitus_events")
        return int(end)


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@contextmanager
def a_site(database: str, state_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """The local profile with drivers that remember, so that amphorae have files."""
    settings = Settings(profile=Profile.LOCAL, database_url=database, state_directory=state_directory)
    site = Site(settings, Copies(database), EventStore(database))
    outside = wiring._outside

    def with_these_amphorae(settings: Settings, pool: Any) -> Any:
        return replace(outside(replace(settings, profile=Profile.NOOP), pool), driver=site.amphorae)

    monkeypatch.setattr(wiring, "_outside", with_these_amphorae)
    try:
        yield site
    finally:
        site.store.close()
        site.copies.drop()
