"""Compute without a cloud: an amphora is a process group of this machine, with a directory and a loopback address."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path, PurePosixPath
from uuid import UUID

import amphora
from infra.loopback_addresses import LoopbackAddresses
from infra.process_table import (
    ProcessIdentity,
    daemons_in,
    group_of,
    processes_of_groups,
    send,
    wait_until_gone,
    working_directory,
)
from processes.ports import BootOrder, ComputeFault, ComputeState

MANAGEMENT_NETWORK = IPv4Network("127.17.0.0/16")
ADDRESSES = LoopbackAddresses(MANAGEMENT_NETWORK)
ADDRESS_FILE = "management_address"
PROCESS_FILE = "process.json"
CONSOLE = "console.log"
TERM_SECONDS = 1.0
KILL_SECONDS = 10.0

CONFIGURATION = "amphora-agent.conf"
# What differs from an image: everything lies in the amphora's own directory, where short relative paths keep unix
# sockets within their 107 bytes. The agent takes the last word for each key: this stands behind the controller's text.
LOCAL_CONFIGURATION = """
[haproxy_amphora]
bind_host = {address}
base_path = octavia
[amphora_agent]
agent_server_cert = certs/server.pem
agent_server_ca = certs/client_ca.pem
"""
# -S -P: the agent needs the standard library and its own package only, and starts faster without the rest.
AGENT_COMMAND = (sys.executable, "-S", "-P", "-m", "amphora.agent", "--config", CONFIGURATION)


@dataclass(frozen=True)
class LocalCompute:
    """The amphorae of one service, below one directory.

    Everything is found again from the directories and /proc; nothing is remembered in memory, so that any number of
    processes may use the same directory, and a crash at any point is mended by doing the same again.
    """

    directory: Path
    addresses: LoopbackAddresses = ADDRESSES
    command: Sequence[str] = AGENT_COMMAND

    def boot(self, order: BootOrder) -> str:
        """Start an amphora and return its compute id; one that runs already is left as it is."""
        place = self._place(order.amphora_id)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(place):
            if not _leader(place):
                _end([place])
                _write_files(place, order)
                self._start(place)
        return str(order.amphora_id)

    def look(self, compute_id: str) -> ComputeState:
        place = self._place(UUID(compute_id))
        try:
            with _locked(place):  # a boot that is under way is waited for, not taken for a failure
                address = _recorded_address(place)
                if address and _leader(place):
                    return ComputeState(status="ACTIVE", management_address=str(address))
                return ComputeState(status="ERROR", fault=_last_words(place))
        except FileNotFoundError:
            return ComputeState(status="GONE")

    def remove(self, amphora_id: UUID) -> None:
        """End every process of an amphora and delete its directory, also what is left of either after a crash."""
        place = self._place(amphora_id)
        with suppress(FileNotFoundError), _locked(place):
            _end([place])
            if address := _recorded_address(place):
                self.addresses.release(address, place)
                (place / ADDRESS_FILE).unlink()
            shutil.rmtree(place)
        _end([place])  # a directory that somebody else deleted may have left processes

    def inventory(self) -> Sequence[UUID]:
        return [UUID(place.name) for place in self._places()]

    def stop_all(self) -> None:
        """End the processes of all amphorae; their directories stay for `resume`, without the sockets."""
        places = self._places()
        _end(places)
        for path in (path for place in places for path in place.rglob("*") if path.is_socket()):
            path.unlink()

    def resume(self) -> Sequence[UUID]:
        """Start again every amphora that was booted before, unless it still runs; returns those that were started."""
        started = []
        for place in self._places():
            with _locked(place):
                if _recorded_address(place) and not _leader(place):
                    _end([place])  # what an agent that was killed left behind would be in the new one's way
                    self._start(place)
                    started.append(UUID(place.name))
        return started

    def _start(self, place: Path) -> None:
        address = _recorded_address(place)
        if address is None or not self.addresses.claim_again(address, place):
            address = self.addresses.claim(place)
            _write_whole(place / ADDRESS_FILE, str(address))
        (place / PROCESS_FILE).unlink(missing_ok=True)  # from here to the new record /proc alone tells
        _place_agent(place / CONFIGURATION, address)
        identity = _spawn(self.command, place)
        _write_whole(place / PROCESS_FILE, json.dumps(asdict(identity)))

    def _place(self, amphora_id: UUID) -> Path:
        return self.directory.resolve() / str(amphora_id)

    def _places(self) -> list[Path]:
        """The directories of amphorae, those whose boot was interrupted included."""
        found = []
        for place in sorted(self.directory.resolve().glob("*-*-*-*-*")):
            with suppress(ValueError):
                UUID(place.name)
                found.append(place)
        return found


def _spawn(command: Sequence[str], place: Path) -> ProcessIdentity:
    """A process group of its own, so that nothing that ends us ends an amphora."""
    packages = Path(amphora.__file__ or "").parent.parent
    with (place / CONSOLE).open("ab") as console:
        try:
            process = subprocess.Popen(
                command,
                cwd=place,
                env={
                    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                    "PYTHONPATH": str(packages),
                },
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        except OSError as error:
            raise ComputeFault(f"cannot start {command[0]}: {error}") from error
    # Somebody must take notice of its end, or it stays as a zombie for as long as this process lives.
    threading.Thread(target=process.wait, name=f"amphora {process.pid}", daemon=True).start()
    return ProcessIdentity.of(process.pid) or ProcessIdentity(process.pid, 0)


def _leader(place: Path) -> ProcessIdentity | None:
    """The running agent: the recorded process or, if a crash came before the record, the leader of a group in there."""
    try:
        recorded = ProcessIdentity(**json.loads((place / PROCESS_FILE).read_text()))
    except FileNotFoundError:
        return next((ProcessIdentity.of(pid) for pid in daemons_in(place) if group_of(pid) == pid), None)
    return recorded if recorded.alive and working_directory(recorded.pid) == place else None


def _end(places: Sequence[Path]) -> None:
    """End all processes of these amphorae: TERM, a short wait, KILL until none is left.

    An agent may have started another process between a look and the kill, hence the loop.
    """
    send(remains := _processes_of(places), signal.SIGTERM)
    wait_until_gone(remains, TERM_SECONDS)
    while remains := _processes_of(places):
        send(remains, signal.SIGKILL)
        if not wait_until_gone(remains, KILL_SECONDS):
            raise ComputeFault(f"processes {remains} do not end")


def _processes_of(places: Sequence[Path]) -> list[int]:
    """What works in an amphora's directory, and the group of its agent while that lives.

    HAProxy starts a group of its own and outlives an agent that is killed, but it keeps working in the directory.
    """
    leaders = filter(None, map(_leader, places))
    return sorted({*daemons_in(*places), *processes_of_groups({leader.pid for leader in leaders})})


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """One at a time for each amphora, between threads and between processes; the lock is the directory itself.

    Raises FileNotFoundError when the directory is not there, or was deleted while we waited.
    """
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 0:
            raise FileNotFoundError(place)
        yield
    finally:
        os.close(descriptor)


def _write_files(place: Path, order: BootOrder) -> None:
    for name, text in order.files.items():
        relative = PurePosixPath(name)
        if relative.is_absolute() or ".." in relative.parts:
            raise ComputeFault(f"{name!r} does not lie inside the amphora's directory")
        path = place / relative
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_whole(path, text)


def _place_agent(configuration: Path, address: IPv4Address) -> None:
    """Tell the agent where it is. The controller wrote the file, and may have written it anew since the last start."""
    local = LOCAL_CONFIGURATION.format(address=address)
    text = configuration.read_text() if configuration.exists() else ""
    if not text.endswith(local):
        _write_whole(configuration, text + local)


def _write_whole(path: Path, text: str) -> None:
    """Whoever is killed leaves the old file or the new one, never half of it."""
    unfinished = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    unfinished.replace(path)


def _recorded_address(place: Path) -> IPv4Address | None:
    try:
        return IPv4Address((place / ADDRESS_FILE).read_text())
    except FileNotFoundError:
        return None


def _last_words(place: Path) -> str:
    try:
        return (
            "\n".join((place / CONSOLE).read_text(errors="replace").splitlines()[-5:])
            or "the agent ended without a word"
        )
    except FileNotFoundError:
        return "the agent never started"
