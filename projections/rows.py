"""The vocabulary in which events say what they change in the rows, and the SQL that carries it out.

`rows_of` is pure; the event store calls it inside the append transaction, a rebuild from event 1: one function and
identical rows. The registrations stand beside what they show (`resource_rows.py`, `health.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache, singledispatch
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

Row = Mapping[str, Any]


class _ThisCommit(Enum):
    THIS_COMMIT = "the command that the event was recorded with"


THIS_COMMIT = _ThisCommit.THIS_COMMIT
"""Stands for the command id, which events do not carry; whoever writes the row puts it in."""


@dataclass(frozen=True)
class Insert:
    """Insert a row; a key that is there undoes the whole append."""

    table: str
    row: Row


@dataclass(frozen=True)
class Upsert:
    """Insert a row, or give the row with this key these values."""

    table: str
    row: Row


@dataclass(frozen=True)
class InsertOnce:
    """Insert a row unless its key is there."""

    table: str
    row: Row


@dataclass(frozen=True)
class Update:
    """Give the row with this id these values; a document is merged into the one that is there. No row is fine."""

    table: str
    row: Row


@dataclass(frozen=True)
class Delete:
    """Remove the rows in which `column` has one of these values."""

    table: str
    values: tuple[UUID, ...]
    column: str = "id"


Change = Insert | Upsert | InsertOnce | Update | Delete


@singledispatch
def rows_of(event: object) -> Sequence[Change]:
    """The changes that one event makes to the rows, in the order in which they have to be made."""
    return ()


_TYPES = {
    "id": "uuid",
    "load_balancer_id": "uuid",
    "pool_id": "uuid",
    "object_id": "uuid",
    "network_id": "uuid",
    "address": "inet",
    "project_id": "text",
    "document": "jsonb",
    "created": "bigint",
    "own": "bigint",
    "touched": "bigint",
    "deleted": "bigint",
    "failed": "bigint",
    "applied": "bigint",
    "settled": "bigint",
    "deletion": "text",
    "reason": "text",
    "status": "text",
    "stage": "text",
    "replaces": "uuid",
    "compute_id": "text",
    "management_address": "text",
    "haproxy_version": "text",
    "created_by": "uuid",
    "updated_by": "uuid",
    "command_id": "uuid",
}
_KEYS = {
    "confirmations": ("load_balancer_id", "applied"),
    "operating_statuses": ("object_id",),
    "addresses": ("network_id", "address"),
}
_Shape = tuple[type, str, tuple[str, ...]]


def key_of(table: str) -> tuple[str, ...]:
    """The columns that tell the rows of a table apart."""
    return _KEYS.get(table, ("id",))


@dataclass(frozen=True)
class Statement:
    """One SQL statement with its parameter."""

    sql: str
    parameters: tuple[object, ...]


def statements(changes: Iterable[Change], command_id: UUID) -> Iterator[Statement]:
    """The SQL for changes, in their order: neighbours of one shape share a statement."""
    for shape, alike in groupby(changes, _shape):
        if shape[0] is Delete:
            values = [value for change in alike for value in change.values]  # type: ignore[union-attr]
            yield Statement(_deletion(shape), (values,))
        else:
            rows = [_with_commit(change.row, command_id) for change in alike]  # type: ignore[union-attr]
            is_one = len(rows) == 1
            document = msgspec.json.encode(rows[0] if is_one else rows).decode()
            yield Statement(_sql(shape, is_one), (document,))


def _shape(change: Change) -> _Shape:
    if isinstance(change, Delete):
        return Delete, change.table, (change.column,)
    return type(change), change.table, tuple(change.row)


def _with_commit(row: Row, command_id: UUID) -> Row:
    return {column: command_id if value is THIS_COMMIT else value for column, value in row.items()}


def _deletion(shape: _Shape) -> str:
    _, table, columns = shape
    return f"DELETE FROM {table} WHERE {columns[0]} = ANY(%s::uuid[])"


@lru_cache(maxsize=512)
def _sql(shape: _Shape, is_one: bool) -> str:
    """One row is told from many: the planner takes a set for a hundred rows, and reads the whole table for them."""
    kind, table, columns = shape
    read = "jsonb_to_record" if is_one else "jsonb_to_recordset"
    source = f"{read}(%s::jsonb) AS x({', '.join(f'{column} {_TYPES[column]}' for column in columns)})"
    if kind is Update:
        values = ", ".join(_assignment(column) for column in columns if column != "id")
        return f"UPDATE {table} AS t SET {values} FROM {source} WHERE t.id = x.id"
    keys = key_of(table)
    names = ", ".join(columns)
    insert = f"INSERT INTO {table} ({names}) SELECT {names} FROM {source}"
    if kind is Insert:
        return insert
    if kind is InsertOnce:
        return f"{insert} ON CONFLICT ({', '.join(keys)}) DO NOTHING"
    values = ", ".join(f"{column} = excluded.{column}" for column in columns if column not in keys)
    return f"{insert} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {values}"


def _assignment(column: str) -> str:
    return "document = t.document || x.document" if column == "document" else f"{column} = x.{column}"
