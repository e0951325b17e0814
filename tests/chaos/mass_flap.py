"""All members of all load balancers go down within a second and come back, again and again."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from threading import Event, Thread

import psycopg

from infra.migration import service_login
from infra.options import written
from infra.settings import AuthStrategy, Settings
from tests.fleet import Fleet, a_fleet
from tests.system.api import Api, until

MEMBERS = 10
RIGHT_WITHIN_SECONDS = 5.0
PAUSE_SECONDS = 10.0
_COMMAND_PAUSE_SECONDS = 0.1
_HEARTBEAT_SECONDS = 2.0


def mass_flap(owner_url: str, directory: Path, *, load_balancers: int, times: int) -> str:
    """Raises AssertionError when rows are late, events too many, or something is failed over."""
    settings = _settings(service_login(owner_url), directory)
    fleet = a_fleet(settings, load_balancers, MEMBERS)
    with (
        psycopg.connect(owner_url, autocommit=True) as log,
        _services(settings, directory),
        _Speakers(fleet) as speakers,
    ):
        speakers.address = ("127.0.0.1", settings.heartbeat_port)
        api = Api("127.0.0.1", settings.api_port)
        speakers.say("UP")
        until(
            lambda: _with_status(log, "ONLINE") == load_balancers * MEMBERS, 120, "all members to be ONLINE", pause=0.2
        )
        quiet = _commands_meanwhile(api, fleet, lambda: time.sleep(PAUSE_SECONDS))
        edges: list[tuple[float, int]] = []
        meanwhile = _commands_meanwhile(api, fleet, lambda: edges.extend(_flap(log, speakers, load_balancers, times)))
        replaced = log.execute("SELECT count(*) FROM tacitus_events WHERE topic = 'AmphoraReplaced'").fetchone()
    assert replaced == (0,), f"{replaced} amphorae were replaced"
    slowest, most = max(seconds for seconds, _ in edges), max(events for _, events in edges)
    assert slowest <= RIGHT_WITHIN_SECONDS, f"rows were right after {slowest:.1f} s"
    assert most <= 2 * load_balancers, f"{most} events for one edge"
    return (
        f"{load_balancers} load balancers with {MEMBERS} members each, {len(edges)} edges: rows right after at most "
        f"{slowest:.1f} s, at most {most} events an edge, no failover; a command took {_ms(median(meanwhile))} p50 and "
        f"{_ms(_p99(meanwhile))} p99, quiet {_ms(median(quiet))} and {_ms(_p99(quiet))}: "
        f"p99 {_p99(meanwhile) / _p99(quiet):.2f} times as long"
    )


def _flap(
    log: "psycopg.Connection[tuple[int, ...]]", speakers: "_Speakers", load_balancers: int, times: int
) -> Iterator[tuple[float, int]]:
    """Of each edge: seconds until the rows were right, and how many events it took."""
    wanted = load_balancers * MEMBERS
    for number in range(2 * times):
        member, shown = (("DOWN", "ERROR"), ("UP", "ONLINE"))[number % 2]
        before, began = _log_end(log), time.monotonic()
        speakers.say(member)
        until(lambda shown=shown: _with_status(log, shown) == wanted, 60, f"all members to be {shown}", pause=0.1)
        taken = time.monotonic() - began
        time.sleep(max(0.0, PAUSE_SECONDS - taken))  # the incident's own pace
        yield taken, _log_end(log) - before


class _Speakers:
    """The amphorae: each says what it sees once an interval, and at once when that changes."""

    def __init__(self, fleet: Fleet) -> None:
        self.address = ("127.0.0.1", 0)
        self._fleet = fleet
        self._status = "UP"
        self._stop, self._news = Event(), Event()
        self._thread = Thread(target=self._speak, name="speakers", daemon=True)

    def __enter__(self) -> "_Speakers":
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join()

    def say(self, status: str) -> None:
        self._status = status
        self._news.set()
        if not self._thread.is_alive():
            self._thread.start()

    def _speak(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mouth:
            while not self._stop.is_set():
                self._news.clear()
                for number, datagram in enumerate(self._fleet.said(self._status)):
                    mouth.sendto(datagram, self.address)
                    if number % 100 == 99:
                        time.sleep(0.02)  # within a second, not within a millisecond
                self._news.wait(_HEARTBEAT_SECONDS)


def _commands_meanwhile(api: Api, fleet: Fleet, work: Callable[[], object]) -> Sequence[float]:
    """Seconds of each command that a user gives while `work()` goes on."""
    taken: list[float] = []
    stop = Event()

    def give() -> None:
        ids = iter(fleet.load_balancer_ids * 100)
        while not stop.wait(_COMMAND_PAUSE_SECONDS):
            began = time.monotonic()
            api.put(f"/loadbalancers/{next(ids)}", "loadbalancer", {"name": "annals"})
            taken.append(time.monotonic() - began)

    thread = Thread(target=give, name="user")
    thread.start()
    try:
        work()
    finally:
        stop.set()
        thread.join()
    return taken


# What is asked of the database


def _with_status(log: "psycopg.Connection[tuple[int, ...]]", status: str) -> int:
    row = log.execute(
        "SELECT count(*) FROM operating_statuses o JOIN members m ON m.id = o.object_id WHERE o.status = %s", (status,)
    ).fetchone()
    return row[0] if row else 0


def _log_end(log: "psycopg.Connection[tuple[int, ...]]") -> int:
    """Events of health alone: those of commands are the user's."""
    row = log.execute("SELECT count(*) FROM tacitus_events WHERE topic LIKE 'Health%%'").fetchone()
    return row[0] if row else 0


# The services


def _settings(database_url: str, directory: Path) -> Settings:
    return Settings(
        database_url=database_url,
        state_directory=directory,
        auth_strategy=AuthStrategy.NOAUTH,
        api_port=_free_port(socket.SOCK_STREAM),
        heartbeat_port=_free_port(socket.SOCK_DGRAM),
        heartbeat_interval=_HEARTBEAT_SECONDS,
        heartbeat_timeout=4 * _HEARTBEAT_SECONDS,
    )


@contextmanager
def _services(settings: Settings, directory: Path) -> Iterator[None]:
    file = directory / "tacitus.conf"
    file.write_text(written(settings))
    running: list[subprocess.Popen[bytes]] = []
    try:
        for name in ("api", "health-manager"):
            command = [sys.executable, "-m", "infra.cli", name, "--config-file", str(file)]
            with (directory / f"{name}.log").open("wb") as log:
                running.append(subprocess.Popen(command, stdout=log, stderr=log))
        until(lambda: _answers(settings.api_port), 20, "the API to answer")
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(20)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _p99(taken: Sequence[float]) -> float:
    return quantiles(taken, n=100, method="inclusive")[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms"
