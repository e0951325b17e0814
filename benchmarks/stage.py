"""Servers to measure: the API alone with the baseline beside it, on one database."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg

from benchmarks import baseline
from benchmarks.load import Request
from benchmarks.processes import of_directory
from infra.embedded_postgres import EmbeddedPostgres
from infra.migration import upgrade
from infra.options import written
from infra.settings import AuthStrategy, Profile, Settings
from tests.system.api import until

HOST = "127.0.0.1"
MEMBER = {
    "X-Identity-Status": "Confirmed",
    "X-Project-Id": "p",
    "X-User-Id": "somebody",
    "X-Roles": "member,reader",
}
"""Of a request by a member of a project, with policy and quota in place (strategy *testing*)."""

API = ("-m", "infra.cli", "api", "--config-file")


@dataclass(frozen=True)
class Server:
    """One gunicorn with its workers, which all work in a directory of its own."""

    port: int
    directory: Path

    @property
    def processes(self) -> list[int]:
        return of_directory(self.directory)

    @property
    def workers(self) -> list[int]:
        """Without the arbiter."""
        return sorted(self.processes)[1:]


@dataclass(frozen=True)
class Stage:
    """The API in the noop profile, nothing behind it, and the baseline."""

    settings: Settings
    api: Server
    bare: Server
    postgres: Path

    @property
    def postgres_processes(self) -> list[int]:
        return of_directory(self.postgres)


@contextmanager
def a_directory() -> Iterator[Path]:
    """Not closed to others: under root the database is a user of its own."""
    with tempfile.TemporaryDirectory(prefix="tacitus-bench-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name).resolve()


@contextmanager
def database() -> Iterator[tuple[str, Path]]:
    """URL and directory of a server as `./dev run` starts it, fsync included, with our schema."""
    with a_directory() as directory:
        server = EmbeddedPostgres(directory / "postgresql")
        try:
            url = server.start()
            upgrade(url)
            yield url, directory
        finally:
            server.stop()


@contextmanager
def stage(strategy: AuthStrategy = AuthStrategy.NOAUTH) -> Iterator[Stage]:
    with database() as (url, directory), ExitStack() as stack:
        settings = Settings(
            profile=Profile.NOOP,
            auth_strategy=strategy,
            database_url=url,
            state_directory=directory,
            api_port=_free_port(),
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(baseline.TABLE)
        bare_settings = replace(settings, api_port=_free_port())
        api = stack.enter_context(_served("api", settings, API, directory))
        bare = stack.enter_context(_served("bare", bare_settings, ["-m", "benchmarks.baseline"], directory))
        yield Stage(settings, api, bare, directory / "postgresql")


def started_in(here: Stage) -> float:
    """Seconds that another API on the same database takes from its start to its first answer."""
    settings = replace(here.settings, api_port=_free_port())
    name = f"another-{settings.api_port}"
    began = time.monotonic()
    with _served(name, settings, API, here.postgres.parent):
        until(lambda: _answers(settings.api_port), 20, "an answer")
        return time.monotonic() - began


def _answers(port: int) -> bool:
    try:
        Request.of(port, "GET", "/v2/lbaas/providers").send()
    except (OSError, RuntimeError):
        return False
    return True


@contextmanager
def _served(name: str, settings: Settings, command: Sequence[str], directory: Path) -> Iterator[Server]:
    place = directory / name
    place.mkdir()
    file = place / "tacitus.conf"
    file.write_text(written(settings))
    root = str(Path(__file__).resolve().parent.parent)
    with (place / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *command, str(file)],
            cwd=place,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": root},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            until(lambda: _accepts(settings.api_port), 20, f"{name} to listen")
            yield Server(settings.api_port, place)
        finally:
            process.terminate()
            process.wait(20)


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with closing(socket.create_server((HOST, 0))) as probe:
        return int(probe.getsockname()[1])
