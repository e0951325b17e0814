"""`tacitus run`: the whole service in one process tree on one machine, on an embedded database."""

import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from infra.embedded_postgres import EmbeddedPostgres
from infra.local_compute import LocalCompute
from infra.process_signals import STOP_SIGNALS, signal_socket
from infra.process_table import daemons_in, send, wait_until_gone
from infra.settings import Profile, Settings
from infra.state_directory import StateDirectory
from infra.supervisor import Child, Supervisor

HOST = "127.0.0.1"  # local drivers serve this machine only
READY_SECONDS = 60
SERVICES = ("worker", "health-manager")


class PortTaken(Exception):
    def __init__(self, port: int, reason: str) -> None:
        super().__init__(f"cannot listen on {HOST}:{port}: {reason}. Choose another port with --port.")


@dataclass(frozen=True)
class Run:
    """One `tacitus run`: where it keeps things, where it listens, what stands behind its drivers."""

    state: StateDirectory
    port: int
    profile: Profile

    def until_stopped(self) -> None:
        """Start everything in order, wait for a signal, stop everything in the opposite order.

        Raises StateDirectoryInUse, PortTaken, PostgresFailed; what was started by then is stopped.
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
        settings = Settings(
            profile=self.profile,
            database_url=database_url,
            state_directory=self.state.path,
            api_host=HOST,
            api_port=api_port,
            heartbeat_port=_heartbeat_port(self.state.settings),
        )
        self.state.settings.write_text(settings.to_json())
        self.state.settings.chmod(0o600)
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
        command = [sys.executable, "-m", "infra.cli", name, "--settings", str(self.state.settings)]
        command += ["--parent", str(os.getpid()), *arguments]
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


def _heartbeat_port(written: Path) -> int:
    """The port of the run before; for the first one the usual port, or a free one when that is taken."""
    with suppress(FileNotFoundError):
        return int(json.loads(written.read_text())["heartbeat_port"])
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
