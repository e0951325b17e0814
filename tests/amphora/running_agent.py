"""A real amphora for tests: our agent as a process group of its own on a loopback address, with real HAProxy."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID, uuid4

from amphora.agent.haproxy import processes_running
from amphora.agent.runtime_socket import ask, worker_behind
from amphora.driver import AmphoraAddress
from amphora.heartbeat_reading import decode_heartbeat
from amphora.rest_driver import RestAmphoraDriver, RestSettings
from amphora.trust import Trust, heartbeat_key
from amphora.wire import Heartbeat, Stamp
from infra.local_compute import ADDRESSES

HAPROXY = shutil.which("haproxy", path="/usr/local/sbin:/usr/sbin:/usr/bin") or "/usr/sbin/haproxy"
LOG_ID = UUID("11111111-1111-4111-8111-111111111111")
MASTER_KEY = "a master key for tests"
BOOT_SECONDS = 10.0
PORT = 9443
SHIFTED_CLOCK = """
import os, time
offset, true_time, true_time_ns = float(os.environ["CLOCK_OFFSET"]), time.time, time.time_ns
time.time = lambda: true_time() + offset
time.time_ns = lambda: true_time_ns() + int(offset * 1e9)
"""


@dataclass
class RunningAgent:
    """Use as a context: started at its beginning; at its end the process group is killed and its directory removed.

    clock_offset  how much its wall clock is ahead of ours; what OpenSSL takes for the time is not within reach, so the
                  certificates come from a controller whose clock is as much behind ours: the difference is the same
    """

    trust: Trust
    interval_seconds: float = 0.2
    controllers: str = ""
    base_path: Path | None = None
    amphora_id: UUID = field(default_factory=uuid4)
    load_balancer_id: UUID = field(default_factory=uuid4)
    clock_offset: timedelta = timedelta(0)

    def __enter__(self) -> Self:
        self._drivers: list[RestAmphoraDriver] = []
        self.directory = Path(tempfile.mkdtemp(prefix="amp-", dir="/tmp"))  # short: unix sockets live below it
        self.base = self.base_path or self.directory
        self.host = self._claim_host()
        self.address = AmphoraAddress(self.amphora_id, self.host)
        issued_at = datetime.now(UTC) - self.clock_offset
        self.not_after = issued_at + timedelta(days=30)
        server_pem = self.trust.servers.issue_server_certificate(self.amphora_id, issued_at, self.not_after)
        (self.directory / "server.pem").write_bytes(server_pem)
        (self.directory / "client_ca.pem").write_bytes(self.trust.client_ca_file.read_bytes())
        self.conf.write_text(self.conf_text())
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for driver in self._drivers:
            driver.close()
        self.kill_group()
        ADDRESSES.release(IPv4Address(self.host), self._claimant)
        shutil.rmtree(self.directory)

    def _claim_host(self) -> str:
        """An address that nobody else uses: amphorae of other test runs claim theirs in the same place."""
        for number in count():
            self._claimant = self.directory / f"address-{number}"
            self._claimant.touch()
            host = str(ADDRESSES.claim(self._claimant))
            with suppress(OSError), socket.create_server((host, PORT)):
                return host
        raise AssertionError("unreachable")

    @property
    def conf(self) -> Path:
        return self.directory / "amphora-agent.conf"

    def conf_text(self, **more: str) -> str:
        heartbeat = {
            "controller_ip_port_list": self.controllers,
            "heartbeat_interval": str(self.interval_seconds),
            "heartbeat_key": heartbeat_key(MASTER_KEY, self.amphora_id),
        } | more
        lines = "\n".join(f"{key} = {value}" for key, value in heartbeat.items())
        return (
            f"[haproxy_amphora]\nbase_path = {self.base}\nbind_host = {self.host}\nbind_port = {PORT}\n"
            f"haproxy_cmd = {HAPROXY}\n[amphora_agent]\namphora_id = {self.amphora_id}\n"
            f"agent_server_cert = {self.directory}/server.pem\nagent_server_ca = {self.directory}/client_ca.pem\n"
            f"[health_manager]\n{lines}\n"
        )

    def start(self) -> None:
        with (self.directory / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "amphora.agent", "--config", str(self.conf)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until(self.answers, BOOT_SECONDS)

    def _environment(self) -> dict[str, str]:
        """Python runs a sitecustomize.py that it finds before anything else."""
        if not self.clock_offset:
            return dict(os.environ)
        clock = self.directory / "clock"
        clock.mkdir(exist_ok=True)
        (clock / "sitecustomize.py").write_text(SHIFTED_CLOCK)
        path = os.pathsep.join(filter(None, [str(clock), os.environ.get("PYTHONPATH")]))
        return {**os.environ, "PYTHONPATH": path, "CLOCK_OFFSET": str(self.clock_offset.total_seconds())}

    def kill_group(self, number: int = signal.SIGKILL) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(5)
        wait_until(lambda: not self.haproxy_pids(), 5)

    def answers(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/")[0] == 200
        assert self.process.poll() is None, (self.directory / "agent.log").read_text()
        return False

    def output(self) -> str:
        return (self.directory / "agent.log").read_text()

    def driver(self) -> RestAmphoraDriver:
        """As the controller has it; closed with this agent."""
        return self.driver_with(RestSettings(self.trust.controller_certificate_file, self.trust.server_ca_file))

    def driver_with(self, settings: RestSettings) -> RestAmphoraDriver:
        driver = RestAmphoraDriver(settings)
        self._drivers.append(driver)
        return driver

    def connection(self, certificate: Path | None) -> HTTPSConnection:
        """A plain client that shows `certificate` and checks nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if certificate:
            context.load_cert_chain(certificate)
        return HTTPSConnection(self.host, PORT, context=context, timeout=5)

    def ask(self, method: str, path: str, body: str | bytes | None = None) -> tuple[int, bytes]:
        status, content, _ = self.ask_for_headers(method, path, body)
        return status, content

    def ask_for_headers(self, method: str, path: str, body: str | bytes | None = None) -> tuple[int, bytes, Any]:
        connection = self.connection(self.trust.controller_certificate_file)
        try:
            connection.request(method, path, body)
            response: HTTPResponse = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    # HAProxy on it

    @property
    def statistics_socket(self) -> Path:
        return self.base / f"{self.load_balancer_id}.sock"

    @property
    def load_balancer_directory(self) -> Path:
        return self.base / str(self.load_balancer_id)

    def haproxy_pids(self) -> list[int]:
        return processes_running(HAPROXY, self.load_balancer_directory / "haproxy.cfg")

    def worker_pid(self) -> int:
        worker = worker_behind(self.statistics_socket)
        assert worker is not None
        return worker.pid

    def description(self) -> str | None:
        """Of the file that HAProxy runs now: its revision. None while it does not answer."""
        worker = worker_behind(self.statistics_socket)
        return worker.description if worker else None

    def weights(self) -> dict[UUID, int]:
        """Member -> weight in HAProxy now."""
        rows = [line.split() for line in ask(self.statistics_socket, "show servers state").splitlines()[2:]]
        return {UUID(row[3]): int(row[7]) for row in rows if row}

    def master_pid(self) -> int:
        worker_pid = self.worker_pid()
        return int(Path(f"/proc/{worker_pid}/stat").read_text().rpartition(")")[2].split()[1])

    def configuration(self, revision: int, *listeners: "Listening", log_id: UUID = LOG_ID, extra: str = "") -> str:
        """A complete haproxy.cfg, in the form that the renderer gives it."""
        lines = [
            str(Stamp(log_id, revision)),
            "global",
            f"    description {revision}",
            "    maxconn 2000",
            f"    log {self.base}/log.sock format raw local0 notice",
            f"    stats socket {self.statistics_socket} mode 0600 level admin expose-fd listeners",
            f"    server-state-file {self.load_balancer_directory}/servers-state",
            "defaults",
            "    log global",
            "    mode http",
            "    option idle-close-on-response",
            "    load-server-state-from-file global",
            "    timeout connect 2s",
            "    timeout client 30s",
            "    timeout server 30s",
            *(line for listener in listeners for line in listener.lines()),
            extra,
        ]
        return "\n".join(lines) + "\n"


@dataclass
class Listening:
    """A listener with one pool and its members, as the renderer writes them; without weights each member has 1."""

    host: str
    port: int
    members: tuple[tuple[str, int], ...] = ()
    id: UUID = field(default_factory=uuid4)
    pool_id: UUID = field(default_factory=uuid4)
    member_ids: tuple[UUID, ...] = ()
    weights: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.member_ids = self.member_ids or tuple(uuid4() for _ in self.members)
        self.weights = self.weights or tuple(1 for _ in self.members)

    @property
    def backend(self) -> str:
        """HAProxy's name for it."""
        return f"{self.pool_id}:{self.id}"

    def lines(self) -> list[str]:
        return [
            f"frontend {self.id}",
            f"    bind {self.host}:{self.port}",
            f"    default_backend {self.backend}",
            f"backend {self.backend}",
            "    option httpchk GET /health",
            *(
                f"    server {id} {host}:{port} weight {weight} check inter 100ms fall 2 rise 2"
                for id, (host, port), weight in zip(self.member_ids, self.members, self.weights, strict=True)
            ),
        ]


class Ear:
    """A controller's side of the heartbeats: a UDP socket on loopback."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def raw(self, timeout_seconds: float = 5.0) -> tuple[bytes, str]:
        """A datagram and the address it came from."""
        self._socket.settimeout(timeout_seconds)
        datagram, (host, _) = self._socket.recvfrom(65_536)
        return datagram, str(host)

    def next(self, amphora_id: UUID, timeout_seconds: float = 5.0) -> Heartbeat:
        return decode_heartbeat(self.raw(timeout_seconds)[0], [heartbeat_key(MASTER_KEY, amphora_id)])

    def first(self, amphora_id: UUID, wanted: Any, timeout_seconds: float = 5.0) -> Heartbeat:
        """The first heartbeat for which `wanted(heartbeat)` is true."""
        deadline = time.monotonic() + timeout_seconds
        while time.monotonic() < deadline:
            heartbeat = self.next(amphora_id, deadline - time.monotonic())
            if wanted(heartbeat):
                return heartbeat
        raise AssertionError("no such heartbeat")


def wait_until(condition: Any, timeout_seconds: float) -> None:
    """For what happens in another process and cannot be awaited."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.005)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def status_of(host: str, port: int) -> int:
    """What a GET through HAProxy answers; 0 when nobody does."""
    try:
        with socket.create_connection((host, port), 1) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = connection.recv(100)
            return int(answer.split()[1]) if answer else 0
    except OSError:
        return 0
