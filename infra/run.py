"""`tacitus run`: the whole service in one process tree on one machine, on an embedded database."""

import http.client
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.embedded_postgres import EmbeddedPostgres
from infra.heartbeats import listening
from infra.local_compute import LocalCompute
from infra.options import read, written
from infra.process_signals import STOP_SIGNALS, signal_socket
from infra.process_table import daemons_in, send, wait_until_gone
from infra.settings import AuthStrategy, Profile, Settings
from infra.state_directory import StateDirectory
from infra.supervisor import Child, Server, Supervisor

if TYPE_CHECKING:
    from infra.embedded_kafka import EmbeddedKafka

HOST = "127.0.0.1"  # local drivers serve this machine only
READY_SECONDS = 60
SERVICES = ("worker", "health-manager", "housekeeping", "projector")
KAFKA_SERVICES = ("relay",)
# Each run has one of its own, so that none finds it taken when it is started again. Below those that Linux gives to
# whoever asks for any.
HEARTBEAT_PORTS = range(20_000, 30_000)

_SMALL: Mapping[str, Any] = {"heartbeat_interval": 1.0, "heartbeat_timeout": 4.0, "amphora_maxconn": 2_000}
PRESUMED: Mapping[Profile, Mapping[str, Any]] = {
    Profile.LOCAL: {
        **_SMALL,
        "auth_strategy": AuthStrategy.NOAUTH,
        "reconcile_interval": 10.0,
        "remove_orphans": True,
    },
    Profile.NOOP: {**_SMALL, "auth_strategy": AuthStrategy.TESTING},
}
"""What each profile has for a default on one machine."""


class PortTaken(Exception):
    def __init__(self, port: int, reason: str, remedy: str) -> None:
        super().__init__(f"cannot listen on {HOST}:{port}: {reason}. {remedy}")


@dataclass(frozen=True)
class Run:
    """One `tacitus run`: where it keeps things, where it listens, what stands behind its drivers.

    config_files  what an operator wants otherwise
    replicas      processes of each service
    with_kafka    whether events travel through a broker, which is then started too
    """

    state: StateDirectory
    port: int
    profile: Profile
    config_files: Sequence[Path] = ()
    replicas: int = 1
    with_kafka: bool = False

    def until_stopped(self) -> None:
        """Start everything in order, wait for a signal, stop everything in the opposite order.

        Raises StateDirectoryInUse, PortTaken, PostgresFailed, InvalidSettings; what was started by then is stopped.
        """
        with self._locked(), closing(_listen(self.port)) as listener:
            arrivals = signal_socket(*STOP_SIGNALS, signal.SIGCHLD)
            _end_remains(self.state.logs)
            with self._database() as (database, url), self._broker() as broker, self._ears() as ears:
                port, ports = listener.getsockname()[1], [ear.getsockname()[1] for ear in ears]
                settings = self._settings(url, port, ports, broker.address if broker else "")
                with self._amphorae():
                    _announce_when_ready(settings)
                    servers: list[Server] = [database, *([broker] if broker else [])]
                    Supervisor(self._children(listener, ears), arrivals, _tell, servers).run()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.state.lock()
        try:
            yield
        finally:
            self.state.unlock()

    @contextmanager
    def _database(self) -> Iterator[tuple[EmbeddedPostgres, str]]:
        from infra.log_upgrade import finish_alone
        from infra.migration import upgrade  # takes a while to import, and only this step needs it

        server = EmbeddedPostgres(self.state.postgresql)
        try:
            url = server.start()
            upgrade(url)
            finish_alone(url)
            yield server, url
        finally:
            server.stop()

    @contextmanager
    def _broker(self) -> Iterator["EmbeddedKafka | None"]:
        if not self.with_kafka:
            yield None
            return
        from infra.embedded_kafka import EmbeddedKafka

        broker = EmbeddedKafka(self.state.kafka)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()

    @contextmanager
    def _amphorae(self) -> Iterator[None]:
        compute = LocalCompute(self.state.amphorae)
        try:
            if self.profile is Profile.LOCAL and (resumed := compute.resume()):
                _tell(f"booted {len(resumed)} amphorae again")
            yield
        finally:
            compute.stop_all()

    @contextmanager
    def _ears(self) -> Iterator[list[socket.socket]]:
        """Where heartbeats arrive. They are ours: no other run takes them while a health manager is started again.

        Ports stay what they were, since running amphorae send there.
        """
        before = _ports_of(self.state.settings)
        with ExitStack() as stack:
            ears = []
            for number in range(self.replicas):
                kept = before[number : number + 1] if self.profile is Profile.LOCAL else []
                ears.append(stack.enter_context(_first_free(kept or random.sample(HEARTBEAT_PORTS, 20))))
            yield ears

    def _settings(self, owner_url: str, api_port: int, ports: Sequence[int], brokers: str) -> Settings:
        """Written down for the children."""
        from infra.migration import service_login

        fixed = {
            "profile": self.profile,
            "database_url": service_login(owner_url),
            "database_owner_url": owner_url,
            "state_directory": self.state.path,
            "api_host": HOST,
            "api_port": api_port,
            "heartbeat_host": HOST,
            "heartbeat_port": ports[0],
            "controller_ip_port_list": tuple(f"{HOST}:{port}" for port in ports),
            "kafka_bootstrap_servers": tuple(filter(None, [brokers])),
        }
        settings = read(self.config_files, presumed=PRESUMED[self.profile], fixed=fixed)
        self.state.settings.touch(0o600)
        self.state.settings.write_text(written(settings))
        return settings

    def _children(self, listener: socket.socket, ears: Sequence[socket.socket]) -> list[Child]:
        """The listening socket is ours: while the API is started again, its clients wait rather than being refused."""
        services = [*SERVICES, *(KAFKA_SERVICES if self.with_kafka else ())]
        children = []
        for number, ear in enumerate(ears, start=1):
            sockets = {"api": listener, "health-manager": ear}
            children += [self._child(name, number, sockets.get(name)) for name in ("api", *services)]
        return children

    def _child(self, service: str, number: int, listener: socket.socket | None) -> Child:
        name = service if self.replicas == 1 else f"{service}-{number}"
        log = self.state.logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.old"))
        command = [sys.executable, "-m", "infra.cli", service, "--parent", str(os.getpid())]
        for file in (*self.config_files, self.state.settings):  # the libraries' own settings stand in the former alone
            command += ["--config-file", str(file.absolute())]
        if listener is not None:
            command += ["--listen-descriptor", str(listener.fileno())]
        if self.replicas > 1:
            address = f"{HOST}:{_free_port()}"
            command += ["--telemetry", address]
            _tell(f"{name}: http://{address}/metrics")
        return Child(name=name, command=command, log=log, inherits=[listener.fileno()] if listener else [])


def _listen(port: int) -> socket.socket:
    try:
        return socket.create_server((HOST, port), backlog=1024)
    except OSError as error:
        raise PortTaken(port, error.strerror or str(error), "Choose another port with --port.") from None


def _end_remains(directory: Path) -> None:
    """Children of a run that was killed: they were told to stop when it died, and may not meet their successors."""
    remains = daemons_in(directory.resolve())
    wait_until_gone(remains, 2)
    send(remains, signal.SIGKILL)
    wait_until_gone(remains, 2)


def _ports_of(settings: Path) -> list[int]:
    """Those of heartbeats in the run before; none when there was none."""
    kept = ConfigParser(interpolation=None)
    if not kept.read(settings):
        return []
    listed = kept.get("health_manager", "controller_ip_port_list", fallback="")
    return [int(entry.rpartition(":")[2]) for entry in listed.split(",") if entry]


def _first_free(ports: Sequence[int]) -> socket.socket:
    """Raises PortTaken."""
    for port in ports:
        with suppress(OSError):
            return listening((HOST, port))
    raise PortTaken(ports[0], "another program has the port", "Amphorae of this state directory send heartbeats there.")


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


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
