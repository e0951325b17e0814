"""The service's own secrets on disk: two authorities, the controller's certificate, the masters of heartbeat keys."""

import fcntl
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from amphora.trust import Trust, write_private

_HEARTBEAT_MASTERS = "heartbeat_masters"


@dataclass(frozen=True)
class TrustStore:
    """What amphorae and controllers know each other by.

    heartbeat_masters  the newest first; more than one while they are exchanged
    """

    trust: Trust
    heartbeat_masters: Sequence[str]

    @classmethod
    def open(cls, directory: Path) -> Self:
        """Create what is missing; services that start together take turns."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return cls(Trust.create_or_load(directory, datetime.now(UTC)), _masters(directory / _HEARTBEAT_MASTERS))


def _masters(file: Path) -> Sequence[str]:
    if not file.exists():
        write_private(file, secrets.token_hex(32).encode())
    return file.read_text().split()
