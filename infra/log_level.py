"""The level of the log: up to which format every release that runs can read it.

A release reads new formats before it writes them. While older releases run beside it, it writes what these can read;
`tacitus upgrade finish` raises the level once they are gone.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from commands.ports import StoreUnavailable
from processes.ports import ReleaseTooOld

LEVEL = 2
"""The highest level that this release knows."""

WRITTEN_FROM: Mapping[tuple[str, int], int] = MappingProxyType({("ListenerRemoved", 2): 2})
"""Name and version of an event -> the level from which it is written; all others from the first level on."""

FRESH_FOR_SECONDS = 5.0


class NewerLevel(ReleaseTooOld):
    def __init__(self, level: int) -> None:
        super().__init__(
            f"the log has level {level}, and this release knows levels up to {LEVEL}:"
            " it was told that no older release runs any more. Install the newer release here too"
        )


class LevelTooLow(StoreUnavailable):
    """The event is one that releases which may still run cannot read, in no form."""

    def __init__(self, name: str, level: int) -> None:
        super().__init__(f"{name} can be recorded from level {level} of the log on: see `tacitus upgrade status`")


def require_known(level: int) -> int:
    """The level, if this release knows it. Raises NewerLevel."""
    if level > LEVEL:
        raise NewerLevel(level)
    return level


def version_to_write(name: str, newest: int, level: int) -> int:
    """The newest version of an event that may be written at this level. Raises LevelTooLow when there is none."""
    for version in range(newest, 0, -1):
        if WRITTEN_FROM.get((name, version), 1) <= level:
            return version
    raise LevelTooLow(name, WRITTEN_FROM[name, 1])


class FreshLevel:
    """The level as it was a few seconds ago: it only grows, and what an older level allows is read for ever.

    read  asks the log; while it cannot, raising StoreUnavailable, what is known counts
    """

    def __init__(self, read: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._level = 1
        self._read_at = float("-inf")

    def now(self) -> int:
        """Raises NewerLevel."""
        if self._clock() - self._read_at > FRESH_FOR_SECONDS:
            with suppress(StoreUnavailable):
                self._level = require_known(self._read())
                self._read_at = self._clock()
        return self._level
