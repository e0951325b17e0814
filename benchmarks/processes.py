"""What processes cost, from /proc."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from infra.process_table import daemons_in

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of those of their children that have ended.

    What one of them spent that just ended is found again at its parent, if that is among them.
    """
    total = 0
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(field) for field in fields[11:15])
    return total * _TICK


def resident_mebibytes(pid: int) -> float:
    return _kibibytes(Path(f"/proc/{pid}/status"), "VmRSS") / 1_024


def proportional_mebibytes(pids: Iterable[int]) -> float:
    """Shared pages count in parts, one for each process that has them."""
    return sum(_kibibytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss") for pid in pids) / 1_024


def _kibibytes(file: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(f"{name}:"))


def of_directory(directory: Path) -> list[int]:
    return daemons_in(directory.resolve())


def program_arguments(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
