"""The rows that a batch of the log touches: loaded once, changed in memory, written once.

What projections/rows.py says in SQL for one command is said here for many, with the same changes and the same end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from psycopg import Connection

from domain.progress import Kind
from domain.quota import COUNTED
from infra.rebuild_log import Commit
from infra.rebuild_tables import Layout
from projections.rows import (
    THIS_COMMIT,
    Change,
    Delete,
    InsertOnce,
    Release,
    Row,
    Update,
    Use,
    counted,
)

Key = Any
"""The value of the key column, or the values of several."""

_COUNTING = (Use, Release)
_WITHOUT_KEY = (Delete, Use, Release)
_USES = "quota_uses"
_BELOW = "load_balancer_id"
_NAMING_COMMITS = ("created_by", "updated_by", "command_id")
_Image = dict[str, Any]


@dataclass
class _Table:
    """Rows in memory.

    rows     key -> what the row is now, None where there is none; values are Python's, or text as PostgreSQL gave it
    stored   keys of rows that the database has
    changed  keys of rows that are to be written, or deleted, in the order in which they first were
    found_by column -> value -> keys: where rows are deleted by another column than their key
    """

    layout: Layout
    rows: dict[Key, _Image | None] = field(default_factory=dict)
    stored: set[Key] = field(default_factory=set)
    changed: dict[Key, None] = field(default_factory=dict)
    found_by: dict[str, dict[Any, list[Key]]] = field(default_factory=dict)

    def put(self, key: Key, row: _Image) -> None:
        self.rows[key] = row
        for column, keys in self.found_by.items():
            keys.setdefault(row[column], []).append(key)

    def remove(self, key: Key) -> None:
        if self.rows.get(key) is not None:
            self.rows[key] = None
            self.changed[key] = None

    def present(self, column: str, value: object) -> set[Key]:
        keys = self.found_by.get(column, {}).get(value, ())
        return {key for key in keys if self.rows[key] is not None}


Step = tuple[_Table | None, Key, Change]
"""A change with the row that it changes; without the key of one when it deletes, without a table when it counts."""


@dataclass(frozen=True)
class _Wanted:
    """What has to be in memory before anything is changed: rows by key and by other columns, and what projects use."""

    keys: dict[str, set[Key]] = field(default_factory=dict)
    by_column: dict[tuple[str, str], set[Any]] = field(default_factory=dict)
    projects: set[str] = field(default_factory=set)


class Fold:
    """One batch and what it needs of the database. `fold` and `write` in the transaction that notes the position."""

    def __init__(self, layouts: Mapping[str, Layout], commits: Sequence[Commit]) -> None:
        self._tables = {name: _Table(layout) for name, layout in layouts.items()}
        self._wanted = _Wanted()
        self._steps = [(commit, list(self._steps_of(commit.changes))) for commit in commits]

    @property
    def touched(self) -> Mapping[str, Iterable[Key]]:
        """Table -> keys of the rows that were written or deleted."""
        return {name: table.changed for name, table in self._tables.items() if table.changed}

    def fold(self, connection: Connection[Any]) -> None:
        """Work out what the rows are after these commits."""
        self._load(connection)
        for commit, steps in self._steps:
            self._carry_out(commit, steps)

    def write(self, connection: Connection[Any]) -> None:
        """Old rows go before new ones come: no key and no name is there twice in between."""
        changed = [table for table in self._tables.values() if table.changed]
        with connection.pipeline():
            for table in changed:
                _delete_stored(connection, table)
        for table in changed:
            _copy(connection, table)

    # What the changes need

    def _steps_of(self, changes: Iterable[Change]) -> Iterator[Step]:
        wanted, keys = self._wanted, self._wanted.keys
        for change in changes:
            if isinstance(change, _COUNTING):
                if _USES in self._tables:
                    _want_counted(wanted, change)
                    yield None, None, change
            elif (table := self._tables.get(change.table)) is None:
                continue
            elif isinstance(change, Delete):
                _want_deleted(wanted, table.layout, change)
                yield table, None, change
            else:
                key = table.layout.key_of(change.row)
                keys.setdefault(change.table, set()).add(key)
                if "project_id" in change.row:
                    wanted.projects.add(change.row["project_id"])
                yield table, key, change

    def _load(self, connection: Connection[Any]) -> None:
        """By other columns first: rows that are found by them are noted as they are put."""
        wanted = self._wanted
        for name, column in wanted.by_column:
            self._tables[name].found_by[column] = {}
        by_column = [
            (self._tables[name], f"{column} = ANY(%s)", [list(values)])
            for (name, column), values in wanted.by_column.items()
        ]
        tables = [(self._tables[name], keys) for name, keys in wanted.keys.items()]
        by_key = [(table, table.layout.has_key, table.layout.key_parameters(keys)) for table, keys in tables]
        _load(connection, [*by_column, *by_key])
        if _USES in self._tables:
            rows = self._tables[Kind.LOAD_BALANCER].rows.values()
            projects = wanted.projects.union(row["project_id"] for row in rows if row is not None)
            _load(connection, [(self._tables[_USES], "project_id = ANY(%s)", [list(projects)])])

    # What they do

    def _carry_out(self, commit: Commit, steps: Iterable[Step]) -> None:
        """What is counted is counted in the end, or before a load balancer is released: as the append does it."""
        uses: list[Use] = []
        for table, key, change in steps:
            if key is not None:
                assert table is not None, "a key is one of a table"
                _change(table, key, change, commit)
            elif isinstance(change, Use):
                uses.append(change)
            elif isinstance(change, Delete):
                assert table is not None, "rows are deleted from one"
                _delete(table, change)
            elif isinstance(change, Release):
                self._count(uses)
                self._count(self._held_by(change.load_balancer_id))
                uses = []
        self._count(uses)

    # Quotas, as the functions count_uses and release_uses count them

    def _held_by(self, load_balancer_id: UUID) -> list[Use]:
        held = {kind: len(self._tables[kind].present(_BELOW, load_balancer_id)) for kind in COUNTED[1:]}
        held[Kind.LOAD_BALANCER] = 1
        return [Use(load_balancer_id, kind, -number) for kind, number in held.items() if number]

    def _count(self, uses: Sequence[Use]) -> None:
        for each in counted(uses, None) if uses else ():
            owner = self._tables[Kind.LOAD_BALANCER].rows.get(each.load_balancer_id.int)
            if owner is not None:
                self._add(owner["project_id"], each.kind, each.more)

    def _add(self, project_id: str, kind: Kind, more: int) -> None:
        table, key = self._tables[_USES], (project_id, str(kind))
        row = table.rows.get(key)
        held = int(row["in_use"]) if row else 0
        table.put(key, {"project_id": project_id, "kind": kind, "in_use": held + more})
        table.changed[key] = None


def _want_counted(wanted: _Wanted, change: Use | Release) -> None:
    wanted.keys.setdefault(Kind.LOAD_BALANCER, set()).add(change.load_balancer_id.int)
    if isinstance(change, Release):
        for kind in COUNTED[1:]:
            wanted.by_column.setdefault((kind, _BELOW), set()).add(change.load_balancer_id)


def _want_deleted(wanted: _Wanted, layout: Layout, change: Delete) -> None:
    if layout.key == (change.column,):
        keys = {layout.key_of({change.column: value}) for value in change.values}
        wanted.keys.setdefault(change.table, set()).update(keys)
    else:
        wanted.by_column.setdefault((change.table, change.column), set()).update(change.values)


def _change(table: _Table, key: Key, change: Change, commit: Commit) -> None:
    assert not isinstance(change, _WITHOUT_KEY), "they have no key"
    row = table.rows.get(key)
    if row is not None:
        if not isinstance(change, InsertOnce):
            _overwrite(row, change.row, commit.command_id, is_merged=isinstance(change, Update))
            table.changed[key] = None
    elif not isinstance(change, Update):
        row = table.layout.new_row(commit.recorded_at)
        _overwrite(row, change.row, commit.command_id, is_merged=False)
        table.put(key, row)
        table.changed[key] = None


def _delete(table: _Table, change: Delete) -> None:
    is_key = table.layout.key == (change.column,)
    for value in change.values:
        of_value = [table.layout.key_of({change.column: value})] if is_key else table.present(change.column, value)
        for key in of_value:
            table.remove(key)


def _overwrite(row: _Image, values: Row, command_id: UUID, *, is_merged: bool) -> None:
    before = row["document"] if is_merged and "document" in values else None
    row.update(values)
    if before is not None:
        row["document"] = {**_document(before), **_document(values["document"])}
    for column in _NAMING_COMMITS:
        if values.get(column) is THIS_COMMIT:
            row[column] = command_id


def _document(value: object) -> Mapping[str, Any]:
    """A text is as PostgreSQL gave it; what is in it is left as it is."""
    if isinstance(value, str):
        return _READ_DOCUMENT.decode(value)
    if isinstance(value, dict):
        return value
    fields: dict[str, Any] = msgspec.to_builtins(value, builtin_types=(UUID, datetime))
    return fields


_READ_DOCUMENT = msgspec.json.Decoder(dict[str, msgspec.Raw])


# To and from the database


def _load(connection: Connection[Any], asked: Iterable[tuple[_Table, str, Sequence[object]]]) -> None:
    """Rows of each table for which its condition holds, with these parameters. The database is asked once for all."""
    with connection.pipeline():
        answers = [
            (table, connection.execute(f"{table.layout.select} WHERE {condition}", parameters, prepare=True))
            for table, condition, parameters in asked
        ]
    for table, cursor in answers:
        layout = table.layout
        for values in cursor.fetchall():
            row = dict(zip(layout.columns, values, strict=True))
            key = layout.key_of(row)
            if key not in table.rows:
                table.put(key, row)
                table.stored.add(key)


def _delete_stored(connection: Connection[Any], table: _Table) -> None:
    layout = table.layout
    if stored := table.changed.keys() & table.stored:
        connection.execute(
            f"DELETE FROM {layout.name} WHERE {layout.has_key}", layout.key_parameters(stored), prepare=True
        )


def _copy(connection: Connection[Any], table: _Table) -> None:
    layout = table.layout
    lines = "".join(_lines(layout, (table.rows[key] for key in table.changed)))
    if lines:
        with connection.cursor().copy(f"COPY {layout.name} ({', '.join(layout.columns)}) FROM STDIN") as copy:
            copy.write(lines.encode())


def _lines(layout: Layout, rows: Iterable[_Image | None]) -> Iterator[str]:
    """In the text format of COPY."""
    texts: list[tuple[str, Callable[[Any], str]]] = [
        (column, _TEXTS.get(type, str)) for column, type in zip(layout.columns, layout.types, strict=True)
    ]
    for row in rows:
        if row is not None:
            yield "\t".join([r"\N" if (v := row[column]) is None else text(v) for column, text in texts]) + "\n"


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _escaped(value: str) -> str:
    return value.translate(_ESCAPES) if not value.isalnum() else str(value)


def _id_text(value: UUID | str) -> str:
    return value if isinstance(value, str) else value.hex


def _json_text(value: object) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text.replace("\\", "\\\\") if "\\" in text else text


_TEXTS: Mapping[str, Callable[[Any], str]] = {"uuid": _id_text, "text": _escaped, "jsonb": _json_text}
