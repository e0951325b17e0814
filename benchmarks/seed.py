"""`./dev bench seed`: many events of load balancers as they are in use, with the rows that follow from them.

A small world is recorded the way everything is recorded, one append after the other. Then its text is multiplied: each
copy has ids, positions and times of its own, so every aggregate of it loads, and its rows are those that appends wrote.
"""

import argparse
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any
from uuid import UUID

import psycopg

from benchmarks.world import World
from domain.health import LoadBalancerHealth
from infra.event_store import ORDER_LOCK, EventStore
from infra.migration import upgrade
from projections.known import PROJECTIONS

WORLDS_AT_ONCE = 8
"""So many copies grow side by side: what belongs together is not recorded together."""

_STEP = timedelta(microseconds=700)  # between two commits
_EVENTS_IN_MEMORY = 50_000
_ID = re.compile(r"(@?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})")
Pieces = Sequence[str]
"""Text that was cut at each id; every other piece is one. After an @ it stands for the time of that command."""


@dataclass(frozen=True)
class _Commit:
    """events: a line for each, without its position; line: of the commit record, likewise without."""

    command_id: str
    events: Sequence[Pieces]
    line: Pieces


@dataclass(frozen=True)
class Template:
    """What a world comes to, in the text format of COPY.

    kept     ids that stay what they are in each copy
    derived  ids of health streams -> their load balancers
    """

    commits: Sequence[_Commit]
    rows: Mapping[str, Sequence[Pieces]]
    columns: Mapping[str, str]
    kept: frozenset[str]
    derived: Mapping[str, str]


@dataclass
class _Copy:
    """One copy as it grows: the ids it has in place of the template's, and when its commands were recorded."""

    template: Template
    random: Random
    ids: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids |= {id: id for id in self.template.kept}
        for health_id, load_balancer_id in self.template.derived.items():
            self.ids[health_id] = str(LoadBalancerHealth.create_id(UUID(self._id(load_balancer_id))))
        self.left = iter(self.template.commits)

    def text(self, pieces: Pieces) -> str:
        parts = list(pieces)
        parts[1::2] = [self.times[id[1:]] if id[0] == "@" else self._id(id) for id in parts[1::2]]
        return "".join(parts)

    def _id(self, id: str) -> str:
        found = self.ids.get(id)
        if found is None:
            digits = f"{self.random.getrandbits(128):032x}"
            found = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
            self.ids[id] = found
        return found

    def rows(self) -> Iterator[tuple[str, list[str]]]:
        for table, lines in self.template.rows.items():
            yield table, [self.text(pieces) for pieces in lines]


@dataclass
class _Lines:
    """What is written next."""

    position: int
    now: datetime
    events: list[str] = field(default_factory=list)
    commits: list[str] = field(default_factory=list)
    rows: dict[str, list[str]] = field(default_factory=dict)

    def record(self, copy: _Copy, commit: _Commit) -> None:
        self.now += _STEP
        copy.times[commit.command_id] = self.now.isoformat(" ")
        for pieces in commit.events:
            self.position += 1
            self.events.append(f"{copy.text(pieces)}\t{self.position}")
        self.commits.append(f"{self.position}\t{self.now.isoformat(' ')}+00\t{copy.text(commit.line)}")

    def complete(self, copy: _Copy) -> None:
        for table, lines in copy.rows():
            self.rows.setdefault(table, []).extend(lines)

    def write(self, connection: psycopg.Connection[Any], columns: Mapping[str, str]) -> None:
        _copy(
            connection, "tacitus_events (originator_id, originator_version, topic, state, notification_id)", self.events
        )
        _copy(
            connection,
            "commits (position, recorded_at, command_id, actor, project_id, request_id, cause)",
            self.commits,
        )
        for table, lines in self.rows.items():
            _copy(connection, f"{table} ({columns[table]})", lines)
        self.events, self.commits, self.rows = [], [], {}


def _copy(connection: psycopg.Connection[Any], target: str, lines: Sequence[str]) -> None:
    if lines:
        with connection.cursor().copy(f"COPY {target} FROM STDIN".encode()) as copy:
            copy.write("\n".join([*lines, ""]).encode())


def seed(database_url: str, events: int, number: int = 0) -> int:
    """At least so many events more than there were; returns how many. Nobody else may write meanwhile.

    number  other numbers give other worlds
    """
    random = Random(number)
    store = EventStore(database_url)
    world = World(store, random)
    world.record()
    store.close()
    with psycopg.connect(database_url, options="-c timezone=UTC -c synchronous_commit=off") as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (ORDER_LOCK,))
        template = _template(connection, world)
        written = _multiply(connection, template, events, random)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
    return written


def _multiply(connection: psycopg.Connection[Any], template: Template, events: int, random: Random) -> int:
    row = connection.execute("SELECT max(position), max(recorded_at) FROM commits").fetchone()
    assert row is not None, "the world was recorded"
    lines, first = _Lines(row[0], row[1].replace(tzinfo=None)), row[0]
    growing: list[_Copy] = []
    while growing or lines.position - first < events:
        if len(growing) < WORLDS_AT_ONCE and lines.position - first < events:
            growing.append(_Copy(template, random))
        copy = random.choice(growing)
        burst = list(islice(copy.left, random.randint(1, 40)))
        for commit in burst:
            lines.record(copy, commit)
        if not burst:
            growing.remove(copy)
            lines.complete(copy)
        if len(lines.events) > _EVENTS_IN_MEMORY:
            lines.write(connection, template.columns)
    lines.write(connection, template.columns)
    connection.execute("SELECT setval('tacitus_events_notification_id_seq', %s)", (lines.position,))
    return lines.position - first


# What was recorded, as text


def _template(connection: psycopg.Connection[Any], world: World) -> Template:
    columns = {table: _columns(connection, table) for table in PROJECTIONS["resource-rows"].tables}
    return Template(
        commits=list(_commits(connection, world)),
        rows={table: list(_rows(connection, table, names, world)) for table, names in columns.items()},
        columns={table: ", ".join(names) for table, names in columns.items()},
        kept=frozenset({str(world.flavor_id)}),
        derived={str(LoadBalancerHealth.create_id(id)): str(id) for id in world.load_balancer_ids},
    )


def _commits(connection: psycopg.Connection[Any], world: World) -> Iterator[_Commit]:
    events = iter(connection.execute(_EVENTS, (world.first_position,)).fetchall())
    for position, command_id, *rest in connection.execute(_COMMITS, (world.first_position,)).fetchall():
        lines = []
        for at, *values, state in events:
            lines.append(_cut([*values, bytes(state).decode().replace("\\", "\\\\")]))
            if at == position:
                break
        yield _Commit(str(command_id), lines, _cut([command_id, *rest]))


def _rows(connection: psycopg.Connection[Any], table: str, names: Sequence[str], world: World) -> Iterator[Pieces]:
    selected = ", ".join("'@' || created_by" if name == "created_at" else f"{name}::text" for name in names)
    for values in connection.execute(f"SELECT {selected} FROM {table}".encode()).fetchall():
        if world.owns(values):
            yield _cut(values)


_EVENT_COLUMNS = "tacitus_events (originator_id, originator_version, topic, state, notification_id)"
_COMMIT_COLUMNS = "commits (position, recorded_at, command_id, actor, project_id, request_id, cause)"
_EVENTS = """
SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events
WHERE notification_id >= %s ORDER BY notification_id
"""
_COMMITS = """
SELECT position, command_id, actor, project_id, request_id, cause FROM commits WHERE position >= %s ORDER BY position
"""
_COLUMNS = """
SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY attnum
"""
_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    return [name for (name,) in connection.execute(_COLUMNS, (table,))]


def _cut(values: Sequence[Any]) -> Pieces:
    return _ID.split("\t".join(r"\N" if value is None else str(value).translate(_ESCAPES) for value in values))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench seed", description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000, metavar="N", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="for other worlds (%(default)s)")
    parser.add_argument("--database-url", required=True, metavar="URL", help="PostgreSQL, as its owner")
    options = parser.parse_args(arguments)
    upgrade(options.database_url)
    began = time.monotonic()
    written = seed(options.database_url, options.events, options.seed)
    print(f"{written:,} events in {time.monotonic() - began:.0f} s")
    return 0
