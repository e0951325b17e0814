"""Heartbeats: how many a health manager accepts beside a bare loop with the same decoder, what a fleet costs it."""

import hmac
import json
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from urllib.request import urlopen
from uuid import UUID

import msgspec
import psycopg

from amphora.trust import heartbeat_keys
from amphora.wire import HEX_MAC_LENGTH
from benchmarks.processes import cpu_seconds
from benchmarks.result import FULL, Extent, Result
from benchmarks.stage import a_directory, database
from infra.heartbeats import LARGEST_DATAGRAM, listening
from infra.migration import service_login
from infra.options import written
from infra.settings import Settings
from tests.fleet import Fleet, a_fleet
from tests.system.api import until

HOST = "127.0.0.1"
WAITING_BYTES = 1_024 * 1_024  # in the receiver's buffer, looked at after each burst: more may be lost, less idle
BURST = 64
INTERVAL_SECONDS = 10
BUSY_LIMIT, RATE_LIMIT, SHARE_LIMIT = 0.15, 15_000, 0.30


def heartbeats(extent: Extent) -> list[Result]:
    amphorae = 10_000 if extent == FULL else 300
    with database() as (url, _), a_directory() as directory:
        settings = Settings(
            database_url=service_login(url),
            state_directory=directory,
            heartbeat_port=_free_port(socket.SOCK_DGRAM),
            heartbeat_interval=float(INTERVAL_SECONDS),
        )
        fleet = a_fleet(settings, amphorae, members=3)
        with _health_manager(settings, directory) as manager, _bare_loop(fleet) as bare:
            _make_known(manager, fleet, amphorae, url)
            before = _log_end(url)
            rates = [(_flood(manager, fleet, amphorae), _flood(bare, fleet, amphorae)) for _ in range(extent.rounds)]
            busy = _busy(manager, fleet, 3 * INTERVAL_SECONDS if extent == FULL else INTERVAL_SECONDS)
            written_meanwhile = _log_end(url) - before
    return _results(amphorae, rates, busy, written_meanwhile)


def _results(amphorae: int, rates: Sequence[tuple[float, float]], busy: float, events: int) -> list[Result]:
    ours, bare = median(rate for rate, _ in rates), median(rate for _, rate in rates)
    share = median(one / other for one, other in rates)
    return [
        Result(
            what="heartbeats accepted by one process",
            target=f"≥ {RATE_LIMIT:,}/s, ≥ {SHARE_LIMIT:.0%} of a bare loop",
            measured=f"{ours:,.0f}/s, {share:.0%}",
            baseline=f"receive, check, inflate and parse alone: {bare:,.0f}/s",
            holds=ours >= RATE_LIMIT and share >= SHARE_LIMIT,
        ),
        Result(
            what=f"{amphorae:,} amphorae at one heartbeat each {INTERVAL_SECONDS} s",
            target=f"≤ {BUSY_LIMIT:.0%} of a core",
            measured=f"{busy:.1%}",
            holds=busy <= BUSY_LIMIT,
        ),
        Result(what="events that steady heartbeats write", target="0", measured=str(events), holds=events == 0),
    ]


# Who hears them


@dataclass(frozen=True)
class Ear:
    """A process that counts what it accepted."""

    port: int
    pid: int
    counter: int
    """Port of its /metrics."""

    def accepted(self) -> int:
        with urlopen(f"http://{HOST}:{self.counter}/metrics", timeout=5) as answer:
            found = re.search(rb"^tacitus_heartbeats_accepted_total (\S+)", answer.read(), re.MULTILINE)
        return int(float(found[1])) if found else 0


@contextmanager
def _health_manager(settings: Settings, directory: Path) -> Iterator[Ear]:
    file = directory / "tacitus.conf"
    file.write_text(written(settings))
    counter = _free_port(socket.SOCK_STREAM)
    command = [sys.executable, "-m", "infra.cli", "health-manager", "--config-file", str(file)]
    with _running([*command, "--telemetry", f"{HOST}:{counter}"], directory / "log") as pid:
        found = Ear(settings.heartbeat_port, pid, counter)
        until(lambda: b"tacitus_amphorae_in_service" in _metrics(counter), 60, "the health manager to lead")
        yield found


@contextmanager
def _bare_loop(fleet: Fleet) -> Iterator[Ear]:
    """As little as can be done with a heartbeat, with the same decoder."""
    keys = {str(each.amphora_id): heartbeat_keys(fleet.masters, each.amphora_id)[0] for each in fleet.heartbeats}
    port, counter = _free_port(socket.SOCK_DGRAM), _free_port(socket.SOCK_STREAM)
    with a_directory() as directory:
        (directory / "keys.json").write_text(json.dumps(keys))
        order = f"from benchmarks.heartbeats import bare_loop; bare_loop({port}, {counter}, {str(directory)!r})"
        with _running([sys.executable, "-c", order], directory / "log") as pid:
            until(lambda: _metrics(counter), 20, "the bare loop to listen")
            yield Ear(port, pid, counter)


def bare_loop(port: int, counter: int, directory: str) -> None:
    """Receives, checks, inflates and parses, for ever."""
    from infra.readings import Endpoint, Reading
    from infra.telemetry import Telemetry

    keys = {UUID(id).hex: key.encode() for id, key in json.loads((Path(directory) / "keys.json").read_text()).items()}
    accepted = 0
    telemetry = Telemetry(Endpoint(HOST, counter))
    telemetry.readings.show("", lambda: [Reading("tacitus_heartbeats_accepted", "Accepted.", accepted, counts_up=True)])
    with telemetry, listening((HOST, port)) as ear:
        ear.setblocking(True)
        while True:
            datagram = ear.recv(LARGEST_DATAGRAM)
            payload, code = datagram[:-HEX_MAC_LENGTH], datagram[-HEX_MAC_LENGTH:]
            key = keys[datagram[14:50].replace(b"-", b"").decode()]
            if hmac.compare_digest(hmac.digest(key, payload, "sha256").hex().encode(), code):
                msgspec.json.decode(zlib.decompress(payload))
                accepted += 1


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[int]:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


# How they are said


def _flood(listener: Ear, fleet: Fleet, amphorae: int) -> float:
    """Accepted per second while it always has something to read. What the kernel drops is not counted."""
    rounds = [fleet.said() for _ in range(max(1, 20_000 // amphorae))]
    before = listener.accepted()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        began = time.perf_counter()
        for number, datagram in enumerate(each for datagrams in rounds for each in datagrams):
            mouth.sendto(datagram, (HOST, listener.port))
            while number % BURST == 0 and _waiting_bytes(listener.port) > WAITING_BYTES:
                time.sleep(0.0005)
        until(lambda: _waiting_bytes(listener.port) == 0, 30, "everything to be read", pause=0.001)
        seconds = time.perf_counter() - began
    return (listener.accepted() - before) / seconds


def _make_known(manager: Ear, fleet: Fleet, amphorae: int, url: str) -> None:
    """Until all statuses are recorded: then there is no news. What comes while they are may be dropped."""
    deadline = time.monotonic() + 180
    while (known := _measured(url)) < amphorae:
        assert time.monotonic() < deadline, f"the health of {known:,} of {amphorae:,} load balancers was recorded"
        _flood(manager, fleet, amphorae)
        time.sleep(1)


def _busy(listener: Ear, fleet: Fleet, seconds: float) -> float:
    """Share of a core while each amphora says something once an interval, evenly."""
    rounds = [fleet.said() for _ in range(int(seconds / INTERVAL_SECONDS))]
    pause = INTERVAL_SECONDS / len(fleet.heartbeats)
    began, before = time.perf_counter(), cpu_seconds([listener.pid])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
        for number, datagram in enumerate(each for datagrams in rounds for each in datagrams):
            time.sleep(max(0.0, began + number * pause - time.perf_counter()))
            mouth.sendto(datagram, (HOST, listener.port))
    return (cpu_seconds([listener.pid]) - before) / (time.perf_counter() - began)


def _waiting_bytes(port: int) -> int:
    """In the receive buffer of the socket that is bound to this port, from /proc/net/udp."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == wanted:
            return int(fields[4].partition(":")[2], 16)
    return 0


def _metrics(port: int) -> bytes:
    try:
        with urlopen(f"http://{HOST}:{port}/metrics", timeout=5) as answer:
            found: bytes = answer.read()
            return found
    except OSError:
        return b""


def _log_end(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT coalesce(max(notification_id), 0) FROM tacitus_events").fetchone()
        assert row is not None
        return int(row[0])


def _measured(url: str) -> int:
    """Load balancers of which the health is recorded."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(DISTINCT load_balancer_id) FROM operating_statuses").fetchone()
        assert row is not None
        return int(row[0])


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
