"""What /proc tells about processes on this machine: who is alive, and whether it is still the same one."""

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process, told apart from a later one that was given the same number.

    started  clock ticks between the boot of the machine and the start of the process (proc(5), stat, field 22)
    """

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """None when there is no such process, or nothing but its exit code is left of it."""
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields and fields[0] not in "ZX" else None

    @property
    def alive(self) -> bool:
        return ProcessIdentity.of(self.pid) == self


def working_directory(pid: int) -> Path | None:
    """None when the process is gone or belongs to somebody else."""
    try:
        return Path(os.readlink(PROC / str(pid) / "cwd"))
    except OSError:
        return None


def program_of(pid: int) -> str:
    """The first 15 bytes of the program's name, "" when the process is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return ""


def group_of(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[2]) if fields else None


def processes_of_groups(groups: Set[int]) -> list[int]:
    """Living processes of these groups. Only a group whose leader is known to live is surely the one that was meant."""
    return [pid for pid in _living() if group_of(pid) in groups] if groups else []


def daemons_in(*directories: Path) -> list[int]:
    """Living processes without a terminal that work in one of these directories or below, also in one deleted since.

    A person's shell that looks around in there is none of ours.
    """
    wanted = set(directories)
    return [pid for pid in _living() if _works_in(pid, wanted) and not _has_terminal(pid)]


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def wait_until_gone(pids: Iterable[int], seconds: float) -> bool:
    """Whether all of them ended in time. A process that ended counts as gone before its parent has taken notice."""
    deadline = time.monotonic() + seconds
    poller, open_descriptors = select.poll(), []
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                open_descriptors.append(descriptor)
                poller.register(descriptor, select.POLLIN)
        remaining = len(open_descriptors)
        while remaining and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poller.poll(left * 1_000):
                poller.unregister(descriptor)
                remaining -= 1
        return remaining == 0
    finally:
        for descriptor in open_descriptors:
            os.close(descriptor)


def _works_in(pid: int, directories: set[Path]) -> bool:
    here = working_directory(pid)
    if here is None:
        return False
    here = Path(str(here).removesuffix(" (deleted)"))
    return not directories.isdisjoint((here, *here.parents))


def _living() -> Iterator[int]:
    for entry in PROC.iterdir():
        if entry.name.isdigit() and ProcessIdentity.of(int(entry.name)):
            yield int(entry.name)


def _has_terminal(pid: int) -> bool:
    fields = _stat(pid)
    return bool(fields) and fields[4] != "0"


def _stat(pid: int) -> list[str]:
    """The fields behind the program's name, which may itself hold spaces and brackets; [] when there is no process."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
