"""Whether the addresses that a configuration binds can be bound, and in plain words why not."""

import contextlib
import errno
import os
import shlex
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SECTIONS = {"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "cache", "program"}


@dataclass(frozen=True)
class Bind:
    """One address and port of one frontend; the frontend's name is the listener's id."""

    frontend: str
    address: str  # empty: all addresses
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{host}:{self.port}"

    @property
    def place(self) -> tuple[str, int]:
        return self.address, self.port


def binds_of(configuration: str) -> tuple[Bind, ...]:
    """Every `bind` of TCP addresses; unix sockets, port ranges and transparent binds are HAProxy's own affair."""
    frontend, binds = "", []
    for line in configuration.splitlines():
        words = _words(line)
        if words and words[0] in SECTIONS:
            frontend = words[1] if words[0] in ("frontend", "listen") and len(words) > 1 else ""
        elif frontend and len(words) > 1 and words[0] == "bind" and "transparent" not in words:
            binds += [bind for address in words[1].split(",") if (bind := _bind(frontend, address))]
    return tuple(binds)


def refused_binds(wanted: Iterable[Bind], held: frozenset[tuple[str, int]], load_balancer_id: str) -> dict[str, str]:
    """Frontend -> why it cannot have its address. `held`: what our running HAProxy has already."""
    refused: dict[str, str] = {}
    taken_by: dict[tuple[str, int], str] = {}
    for bind in wanted:
        first = taken_by.setdefault(bind.place, bind.frontend)
        if first != bind.frontend:
            refused.setdefault(bind.frontend, f"{bind} is bound by listener {first} already")
        elif bind.place not in held and (reason := _why_not(bind, load_balancer_id)):
            refused.setdefault(bind.frontend, reason)
    return refused


def _why_not(bind: Bind, load_balancer_id: str) -> str | None:
    """Without SO_REUSEPORT, which HAProxy sets: with it, two HAProxies would share a port and mix their traffic."""
    family = socket.AF_INET6 if ":" in bind.address else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((bind.address, bind.port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _only_ours_listen_at(bind, load_balancer_id):
            return None
        return _in_words(bind, error)
    return None


def _in_words(bind: Bind, error: OSError) -> str:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return f"{bind}: port {bind.port} needs the capability CAP_NET_BIND_SERVICE or root"
        case errno.EADDRINUSE:
            return f"{bind} is in use by another process; free the port or choose another one"
        case errno.EADDRNOTAVAIL:
            return f"{bind}: {bind.address} is not an address of this amphora; the VIP has to be plugged first"
    return f"{bind} cannot be bound: {error.strerror or error}"


def _only_ours_listen_at(bind: Bind, load_balancer_id: str) -> bool:
    """The holders are HAProxies of this load balancer: ours, or that of the amphora which this one replaces."""
    inodes = _rival_inodes(bind)
    holders = {pid: found for pid in _pids() if (found := inodes & _socket_inodes(pid))}
    ours = f"/{load_balancer_id}/haproxy.cfg".encode()
    explained = {inode for found in holders.values() for inode in found}
    return bool(inodes) and explained == inodes and all(ours in _arguments(pid) for pid in holders)


def _rival_inodes(bind: Bind) -> set[int]:
    """Listening sockets (state 0A) at the port whose address is the same, or where either is all addresses."""
    wanted = _kernel_form(bind.address)
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:] if Path(table).exists() else ():
            columns = line.split()
            address, _, port = columns[1].partition(":")
            rivals = address == wanted or not int(address, 16) or not int(wanted, 16)
            if columns[3] == "0A" and int(port, 16) == bind.port and rivals:
                inodes.add(int(columns[9]))
    return inodes


def _kernel_form(address: str) -> str:
    """As /proc/net/tcp writes it: 32-bit words in the machine's byte order, hexadecimal."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address or "0.0.0.0")
    words = (packed[start : start + 4] for start in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _socket_inodes(pid: int) -> set[int]:
    inodes: set[int] = set()
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:  # ended meanwhile, or somebody else's
        return inodes
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
            if target.startswith("socket:["):
                inodes.add(int(target[8:-1]))
    return inodes


def _arguments(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _words(line: str) -> list[str]:
    """Of the lines that matter here; to take apart those of 5,000 members would cost half a second."""
    if line.split(maxsplit=1)[:1] != ["bind"] and not SECTIONS & set(line.split(maxsplit=1)[:1]):
        return []
    try:
        return shlex.split(line, comments=True)
    except ValueError:  # quotes that do not close: HAProxy's check has refused the file already
        return []


def _bind(frontend: str, address: str) -> Bind | None:
    host, _, port = address.removeprefix("ipv4@").removeprefix("ipv6@").rpartition(":")
    if not port.isdigit() or "@" in host or host.startswith("/"):
        return None
    host = host.strip("[]")
    return Bind(frontend, "" if host == "*" else host, int(port))
