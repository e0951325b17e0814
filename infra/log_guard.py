"""Notices when the log went back in time, or belongs to a newer release, and stops the service that would go on.

After a restore from a backup, or a fail-over that lost events, positions would be given twice, and whatever was told of
the lost events (amphorae, subscribers, clouds) would contradict the log. So each role remembers, outside the database,
the last event that it saw, and looks for it regularly. Somebody has to say that the log may go on: `tacitus log adopt`.
"""

import logging
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent

from infra.log_level import LEVEL, require_known
from infra.patience import ANSWER_SECONDS, KEPT_ALIVE, SESSION, ImpatientConnection
from infra.settings import Settings
from infra.state_directory import StateDirectory
from processes.ports import ReleaseTooOld

LOOK_SECONDS = 1.0
_NOTE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class LogWentBack(Exception):
    """An alarm: somebody has to decide before anything goes on."""

    def __init__(self, words: str) -> None:
        super().__init__(
            f"the log went back in time: {words}. It was restored from a backup, or its server lost events. When it is"
            " to go on from where it is now, say so with `tacitus log adopt --why`, and start the services again"
        )


class LogWasAdopted(Exception):
    """This process began with a former life of the log: it has to be started again."""

    def __init__(self) -> None:
        super().__init__("the log was adopted under a new id: this process has to be started again")


class SchemaTooOld(Exception):
    def __init__(self) -> None:
        super().__init__("the schema of the database is older than this release: run `tacitus db upgrade` first")


ALARMS = (LogWentBack, LogWasAdopted, ReleaseTooOld)
"""What ends a service. Only the second one is over once the service is started again."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The last event that somebody saw of a log; `hash` is empty when there was none.

    at  when it was looked at, by the database's clock
    """

    log_id: UUID
    position: int
    hash: str
    at: datetime


def hash_of(event: StoredEvent) -> str:
    """As _HASH, which the database works out."""
    head = f"{event.originator_id}\n{event.originator_version}\n{event.topic}\n"
    return sha256(head.encode() + event.state).hexdigest()


_HASH = r"""
encode(sha256(convert_to(concat_ws(E'\n', originator_id, originator_version, topic, ''), 'UTF8') || state), 'hex')
"""
_LOOK = f"""
SELECT i.id, i.level, a.adopted_at, clock_timestamp(), coalesce(latest.position, 0), coalesce(latest.hash, ''),
    (SELECT {_HASH} FROM tacitus_events WHERE notification_id = %(position)s)
FROM log_identity i LEFT JOIN log_adoptions a ON a.id = i.id LEFT JOIN LATERAL (
    SELECT notification_id AS position, {_HASH} AS hash
    FROM tacitus_events ORDER BY notification_id DESC LIMIT 1) latest ON true
"""
_NOTE = """
WITH gone AS (DELETE FROM running_processes WHERE seen_at < clock_timestamp() - interval '1 hour')
INSERT INTO running_processes VALUES (%(name)s, %(level)s, %(release)s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET level = excluded.level, release = excluded.release, seen_at = excluded.seen_at
"""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the database says at one moment.

    held_hash  of the event at the position that was asked for, None when there is none
    """

    latest: Seen
    level: int
    adopted_at: datetime | None
    held_hash: str | None

    @classmethod
    def at(cls, connection: psycopg.Connection[Any], position: int) -> Self:
        """Raises SchemaTooOld, psycopg.Error."""
        try:
            row = connection.execute(_LOOK, {"position": position}, prepare=False).fetchone()
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            raise SchemaTooOld from error
        assert row is not None, "migrations make the row"
        log_id, level, adopted_at, now, end, end_hash, held_hash = row
        latest = Seen(log_id=log_id, position=end, hash=end_hash, at=now)
        return cls(latest=latest, level=level, adopted_at=adopted_at, held_hash=held_hash)

    def require_follows(self, seen: Seen) -> None:
        """Raises LogWentBack unless this log holds what was seen, or was adopted since."""
        if self.adopted_at is not None and self.adopted_at > seen.at:
            return
        if self.latest.log_id != seen.log_id:
            raise LogWentBack(f"it has the id {self.latest.log_id}, and the one seen before was {seen.log_id}")
        if seen.position and self.held_hash is None:
            raise LogWentBack(f"it ends at {self.latest.position}, and position {seen.position} was seen before")
        if seen.position and self.held_hash != seen.hash:
            raise LogWentBack(f"it holds another event at position {seen.position} than the one seen before")


def require_follows(connection: psycopg.Connection[Any], seen: Seen) -> None:
    """For whoever remembers by other means, like messages. Raises LogWentBack."""
    Look.at(connection, seen.position).require_follows(seen)


class Memory:
    """What processes of one role saw last, in a file that survives them and the database."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> Seen | None:
        """None when nothing was kept, or the machine died while it was written."""
        with suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=Seen)
        return None

    def keep(self, seen: Seen) -> None:
        """Another process may overwrite it with what it saw a moment earlier: what it keeps next is later again."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._file.with_suffix(f".{os.getpid()}")
        beside.write_bytes(msgspec.json.encode(seen))
        beside.replace(self._file)


class LogGuard:
    """Looks at the log on a connection of its own, in the name of one process of a role."""

    def __init__(self, settings: Settings, role: str) -> None:
        self._database_url = settings.database_url
        self._memory = Memory(StateDirectory(settings.state_directory).seen / f"{role}.json")
        self._role = role
        self._seen = self._memory.read()
        self._log_id: UUID | None = None
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def name(self) -> str:
        return f"{self._role} on {socket.gethostname()}, process {os.getpid()}"

    def check(self) -> None:
        """Raises LogWentBack, LogWasAdopted, infra.log_level.NewerLevel; psycopg.Error without an answer."""
        look = Look.at(self._connected(), self._seen.position if self._seen else 0)
        require_known(look.level)
        if self._seen is not None:
            look.require_follows(self._seen)
        if self._log_id not in (None, look.latest.log_id):
            raise LogWasAdopted
        self._log_id = look.latest.log_id
        if self._seen is None or self._seen.hash != look.latest.hash or self._seen.log_id != self._log_id:
            self._memory.keep(look.latest)
        self._seen = look.latest

    def note(self) -> None:
        """Let `tacitus upgrade` know that this process runs. Raises psycopg.Error."""
        said = {"name": self.name, "level": LEVEL, "release": version("tacitus")}
        self._connected().execute(_NOTE, said)

    def leave(self) -> None:
        """This process ends: nobody needs to wait for it."""
        with suppress(psycopg.Error):
            self._connected().execute("DELETE FROM running_processes WHERE name = %s", (self.name,))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._connection is None or self._connection.closed:
            said = {**KEPT_ALIVE, "options": SESSION}
            self._connection = ImpatientConnection.connect(self._database_url, autocommit=True, **said)
        return self._connection

    def first_check(self, stop: Event) -> None:
        """Before anything is done; waits for a database that does not answer. Raises as `check` does, SchemaTooOld."""
        while not stop.is_set():
            try:
                self.check()
                return self.note()
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                logger.warning("the database does not answer: %s", str(error).strip())
                stop.wait(LOOK_SECONDS)

    def watch(self, stop: Event) -> Exception | None:
        """Look regularly until `stop` is set: None then, or the alarm that somebody has to hear."""
        looks = 0
        while not stop.wait(LOOK_SECONDS):
            looks += 1
            try:
                self.check()
                if looks % round(_NOTE_SECONDS / LOOK_SECONDS) == 0:
                    self.note()
            except ALARMS as alarm:
                logger.critical("%s", alarm)
                return alarm
            except psycopg.Error as error:
                logger.warning("the log cannot be looked at: %s", str(error).strip())
        return None


@contextmanager
def checked_around(settings: Settings, role: str) -> Iterator[None]:
    """For a process whose children look while they run (`end_parent_on_alarm`): it says what they ended for.

    Raises as `guarded` does.
    """
    _check_once(settings, role)
    try:
        yield
    finally:
        _check_once(settings, role)


def _check_once(settings: Settings, role: str) -> None:
    """As far as the database answers."""
    guard = LogGuard(settings, role)
    with closing(guard), suppress(psycopg.OperationalError, psycopg.InterfaceError):
        guard.check()


def end_parent_on_alarm(settings: Settings, role: str, parent: int) -> None:
    """Look from now on, in a thread."""
    guard = LogGuard(settings, role)

    def watch() -> None:
        if guard.watch(Event()) is not None:
            os.kill(parent, signal.SIGTERM)

    Thread(target=watch, name="log guard", daemon=True).start()


@contextmanager
def guarded(settings: Settings, role: str, stop: Event) -> Iterator[None]:
    """Runs a service while the log is what it was; sets `stop` when it is not, and raises why at the end.

    Raises LogWentBack, LogWasAdopted, ReleaseTooOld, SchemaTooOld.
    """
    alarms: list[Exception] = []

    def watch() -> None:
        if (alarm := guard.watch(stop)) is not None:
            alarms.append(alarm)
            stop.set()

    with closing(LogGuard(settings, role)) as guard:
        guard.first_check(stop)
        watching = Thread(target=watch, name="log guard", daemon=True)
        watching.start()
        try:
            yield
        finally:
            stop.set()
            watching.join(timeout=ANSWER_SECONDS)
            guard.leave()
            if alarms:
                raise alarms[0]
