"""`tacitus run`: the whole service in one process tree on one machine, on an embedded database."""

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.embedded_postgres import EmbeddedPostgres
from infra.local_compute import LocalCompute
from infra.options import read, written
from infra.process_signals import STOP_SIGNALS, signal_socket
from infra.process_table import daemons_in, send, wait_until_gone
from infra.settings import AuthStrategy, Profile, Settings
from infra.state_directory import StateDirectory
from infra.supervisor import Child, Supervisor

HOST = "127.0.0.1"  # local drivers serve this machine only
READY_SECONDS = 60
SERVICES = ("worker", "health-manager")

_SMALL: Mapping[str, Any] = {"heartbeat_interval": 1.0, "heartbeat_timeout": 4.0, "amphora_maxconn": 2_000}
PRESUMED: Mapping[Profile, Mapping[str, Any]] = {
    Profile.LOCAL: {**_SMALL, "auth_strategy": AuthStrategy.NOAUTH},
    Profile.NOOP: {**_SMALL, "auth_strategy": AuthStrategy.TESTING},
}
"""What each profile has for a default on one machine."""


class PortTaken(Exception):
    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {HOST}:{port}: {reason}. Choose another port with --port.")


@dataclass(frozen=True)
class Run:
    """One `tacitus run`: where it keeps things, where it listens, what stands behind its drivers.

    config_files  what an operator wants otherwise
    """

    state: StateDirectory
    port: int
    profile: Profile
    config_files: Sequence[Path] = ()

    def until_stopped(self) -> None:
        """Start everything in order, wait for a signal, stop everything in the opposite order.

        Raises StateDirectoryInUse, PortTaken, PostgresFailed, InvalidSettings; what was started by then is stopped.
        """
        with self._locked(), closing(_listen(self.port)) as listener:
            arrivals = signal_socket(*STOP_SIGNALS, signal.SIGCHLD)
            _end_remains(self.state.logs)
            with self._database() as url:
                settings = self._settings(url, listener.getsockname()[1])
                with self._amphorae():
                    _announce_when_ready(settings)
                    Supervisor(self._children(listener), arrivals, _tell).run()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.state.lock()
        try:
            yield
        finally:
            self.state.unlock()

    @contextmanager
    def _database(self) -> Iterator[str]:
        from infra.migration import upgrade  # takes a while to import, and only this step needs it

        server = EmbeddedPostgres(self.state.postgresql)
        try:
            url = server.start()
            upgrade(url)
            yield url
        finally:
            server.stop()

    @contextmanager
    def _amphorae(self) -> Iterator[None]:
        compute = LocalCompute(self.state.amphorae)
        try:
            if self.profile is Profile.LOCAL and (resumed := compute.resume()):
                _tell(f"booted {len(resumed)} amphorae again")
            yield
        finally:
            compute.stop_all()

    def _settings(self, database_url: str, api_port: int) -> Settings:
        """Written down for the children; the heartbeat port stays what it was, since running amphorae send there."""
        fixed = {
            "profile": self.profile,
            "database_url": database_url,
            "state_directory": self.state.path,
            "api_host": HOST,
            "api_port": api_port,
            "heartbeat_port": _heartbeat_port(self.state.settings),
        }
        settings = read(self.config_files, presumed=PRESUMED[self.profile], fixed=fixed)
        self.state.settings.touch(0o600)
        self.state.settings.write_text(written(settings))
        return settings

    def _children(self, listener: socket.socket) -> list[Child]:
        """The listening socket is ours: while the API is started again, its clients wait rather than being refused."""
        descriptor = listener.fileno()
        api = self._child("api", "--listen-descriptor", str(descriptor), inherits=[descriptor])
        return [api, *(self._child(name) for name in SERVICES)]

    def _child(self, name: str, *arguments: str, inherits: list[int] | None = None) -> Child:
        log = self.state.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        command = [sys.executable, "-m", "infra.cli", name, "--parent", str(os.getpid()), *arguments]
        for file in (*self.config_files, self.state.settings):  # the libraries' own settings stand in the former alone
            command += ["--config-file", str(file.absolute())]
        return Child(name=name, command=command, log=log, inherits=inherits or [])


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except OSError as error:
        raise PortTaken(port, error.strerror or str(error)) from None


def _end_remains(directory: Path) -> None:
    """Children of a run that was killed: they were told to stop when it died, and may not meet their successors."""
    remains = daemons_in(directory.resolve())
    wait_until_gone(remains, 2)
    send(remains, signal.SIGKILL)
    wait_until_gone(remains, 2)


def _heartbeat_port(before: Path) -> int:
    """The port of the run before; for the first one the usual port, or a free one when that is taken."""
    kept = ConfigParser(interpolation=None)
    if kept.read(before):
        return kept.getint("health_manager", "bind_port")
    for port in (5555, 0):
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise OSError("no UDP port is free")


def _announce_when_ready(settings: Settings) -> None:
    threading.Thread(target=_announce, args=[settings, _tell], name="announcement", daemon=True).start()


def _announce(settings: Settings, tell: Callable[[str], None]) -> None:
    """Connections wait in the listening socket until the API takes them, so that asking once is mostly enough."""
    deadline = time.monotonic() + READY_SECONDS
    while not _answers(settings):
        if time.monotonic() > deadline:
            tell(f"GET / was not answered within {READY_SECONDS} s; see {settings.state_directory / 'log/api.log'}")
            return
    url = f"http://{settings.api_host}:{settings.api_port}"
    tell(f"listening on {url}\n\nTry, in another terminal:\n")
    client = f"{_openstack()} --os-auth-type none --os-endpoint {url} loadbalancer"
    tell(f"  {client} create --name annals --vip-subnet-id vip-subnet --wait")
    tell(f"  {client} list")
    tell(f"  {client} status show annals\n\nCtrl-C stops everything; the next run brings the same amphorae back.")


def _answers(settings: Settings) -> bool:
    connection = http.client.HTTPConnection(settings.api_host, settings.api_port, timeout=READY_SECONDS)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _openstack() -> str:
    """The client beside our interpreter, as short as it can be written here."""
    program = Path(sys.executable).with_name("openstack")
    if not program.exists():
        return "openstack"
    return str(program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program)


def _tell(line: str) -> None:
    print(line, flush=True)
