"""Which releases still run on a log, and the word that the older ones are gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import psycopg

from infra.log_level import LEVEL, WRITTEN_FROM, require_known

GONE_AFTER = timedelta(seconds=30)
"""A process that did not look at the log for so long is not there any more; they look each few seconds."""

_RUNNING = """
SELECT name, level, release FROM running_processes WHERE seen_at > clock_timestamp() - %s ORDER BY level, name
"""


@dataclass(frozen=True, kw_only=True)
class Running:
    """A process that looked at the log just now, and the highest level that it knows."""

    name: str
    level: int
    release: str


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """How far it is: formats above the level are read by this release, and not written yet."""

    level: int
    running: Sequence[Running]

    @property
    def is_finished(self) -> bool:
        return self.level >= LEVEL

    @property
    def too_old(self) -> Sequence[Running]:
        """Those that could not go on once it is finished."""
        return [each for each in self.running if each.level < LEVEL]

    @property
    def not_written_yet(self) -> Sequence[str]:
        formats = sorted(WRITTEN_FROM.items())
        return [f"{name}, version {version}" for (name, version), level in formats if level > self.level]


class OlderReleasesRun(Exception):
    def __init__(self, running: Sequence[Running]) -> None:
        named = "; ".join(f"{each.name} (release {each.release})" for each in running)
        super().__init__(f"these are of a release that could not read the log any more: {named}. Stop or upgrade them")


def status(connection: psycopg.Connection[Any]) -> Upgrade:
    """Raises infra.log_level.NewerLevel, psycopg.Error."""
    (level,) = connection.execute("SELECT level FROM log_identity").fetchone() or (0,)
    rows = connection.execute(_RUNNING, (GONE_AFTER,)).fetchall()
    running = [Running(name=name, level=known, release=release) for name, known, release in rows]
    return Upgrade(level=require_known(level), running=running)


def finish(owner_url: str) -> None:
    """From now on this release writes its own formats. Raises OlderReleasesRun, infra.log_level.NewerLevel."""
    with psycopg.connect(owner_url) as connection:
        if running := status(connection).too_old:
            raise OlderReleasesRun(running)
        _raise_level(connection)


def finish_alone(owner_url: str) -> None:
    """Likewise, for whoever knows that nothing else runs on this log. Raises infra.log_level.NewerLevel."""
    with psycopg.connect(owner_url) as connection:
        status(connection)
        _raise_level(connection)


def _raise_level(connection: psycopg.Connection[Any]) -> None:
    connection.execute("UPDATE log_identity SET level = greatest(level, %s)", (LEVEL,))
