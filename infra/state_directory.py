"""The directory that `tacitus run` keeps everything in, and the lock that gives it to one process at a time."""

import fcntl
import os
from pathlib import Path


class StateDirectoryInUse(Exception):
    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"{path} is in use by another `tacitus run` (process {holder}). "
            "Stop that one, or choose another directory with --state-dir."
        )


class StateDirectory:
    """Where the embedded database, the amphorae and the settings of one `tacitus run` live.

    The directory can be passed through by everybody (the database runs as a user of its own), but not listed; what is
    private in it is in directories of mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    @property
    def postgresql(self) -> Path:
        return self.path / "postgresql"

    @property
    def kafka(self) -> Path:
        return self.path / "kafka"

    @property
    def amphorae(self) -> Path:
        return self.path / "amphorae"

    @property
    def settings(self) -> Path:
        return self.path / "tacitus.conf"

    @property
    def logs(self) -> Path:
        return self.path / "log"

    @property
    def seen(self) -> Path:
        """What each role saw of the log last."""
        return self.path / "seen"

    def lock(self) -> None:
        """Claim the directory until this process ends, however it ends.

        Raises StateDirectoryInUse when another process has it.
        """
        self.path.mkdir(mode=0o711, parents=True, exist_ok=True)
        self.logs.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode().strip()
            os.close(descriptor)
            raise StateDirectoryInUse(self.path, holder or "unknown") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._lock = descriptor

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def default_state_directory() -> Path:
    """/var/lib/tacitus for root, else where the XDG base directory specification puts a user's state."""
    if os.geteuid() == 0:
        return Path("/var/lib/tacitus")
    home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(home) / "tacitus"
