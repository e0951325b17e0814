"""The vocabulary in which events say what they change in the rows, and the SQL that carries it out.

`rows_of` is pure; the event store calls it inside the append transaction, a rebuild from event 1: one function and
identical rows. The registrations stand beside what they show (`resource_rows.py`, `health.py`). Projections that follow
the log in their own time speak the same words by functions of their own (`changes.py`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache, singledispatch
from itertools import groupby
from typing import Any
from uuid import UUID

import msgspec

from domain.progress import Kind
from domain.quota import COUNTED, UNCHECKED_IN_A_GRAPH, QuotaDefaults

Row = Mapping[str, Any]


class _ThisCommit(Enum):
    THIS_COMMIT = "the command that the event was recorded with"


THIS_COMMIT = _ThisCommit.THIS_COMMIT
"""Stands for the command id, which events do not carry; whoever writes the row puts it in."""


class Insert(msgspec.Struct, frozen=True, gc=False):
    """Insert a row; a key that is there undoes the whole append."""

    table: str
    row: Row


class Upsert(msgspec.Struct, frozen=True, gc=False):
    """Insert a row, or give the row with this key these values."""

    table: str
    row: Row


class InsertOnce(msgspec.Struct, frozen=True, gc=False):
    """Insert a row unless its key is there."""

    table: str
    row: Row


class Update(msgspec.Struct, frozen=True, gc=False):
    """Give the row with this id these values; a document is merged into the one that is there. No row is fine."""

    table: str
    row: Row


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Remove the rows in which `column` has one of these values."""

    table: str
    values: tuple[UUID, ...]
    column: str = "id"


class Use(msgspec.Struct, frozen=True, gc=False):
    """Objects that count against the quota of their load balancer's project, or no longer do.

    more     how many more there are, fewer when negative: what is being deleted counts until it is gone
    leaving  how many are deleted by the same event, and make room for as many
    """

    load_balancer_id: UUID
    kind: Kind
    more: int
    leaving: int = 0


class Release(msgspec.Struct, frozen=True, gc=False):
    """A load balancer and all that is still below it count no longer. Comes before their rows are deleted."""

    load_balancer_id: UUID


Change = Insert | Upsert | InsertOnce | Update | Delete | Use | Release


@singledispatch
def rows_of(event: object) -> Sequence[Change]:
    """The changes that one event makes to the rows, in the order in which they have to be made."""
    return ()


_TYPES = {
    "id": "uuid",
    "kind": "text",
    "load_balancer_id": "uuid",
    "listener_id": "uuid",
    "l7policy_id": "uuid",
    "flavor_id": "uuid",
    "availability_zone": "text",
    "edited": "bigint",
    "since": "bigint",
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
    "certificate_expires_at": "timestamptz",
    "vrrp_ip": "text",
    "created_by": "uuid",
    "updated_by": "uuid",
    "command_id": "uuid",
    "limits": "jsonb",
    "originator_id": "uuid",
    "originator_version": "bigint",
    "at": "timestamptz",
    "event": "text",
    "name": "text",
    "deleted_at": "timestamptz",
}
_KEYS = {
    "confirmations": ("load_balancer_id", "applied"),
    "operating_statuses": ("object_id",),
    "reported_statuses": ("object_id",),
    "addresses": ("network_id", "address"),
    "quotas": ("project_id",),
    "quota_uses": ("project_id", "kind"),
    "control": ("kind",),
    "changes": ("originator_id", "originator_version"),
}
_Shape = tuple[type, str, tuple[str, ...]]


def key_of(table: str) -> tuple[str, ...]:
    """The columns that tell the rows of a table apart."""
    return _KEYS.get(table, ("id",))


class Statement(msgspec.Struct, frozen=True):
    """One SQL statement with its parameters.

    writes_one_row  neither none nor two: what it returns is returned once
    """

    sql: str
    parameters: tuple[object, ...]
    writes_one_row: bool = False


class Work(msgspec.Struct, frozen=True):
    """What changes come to in PostgreSQL.

    statements  to be carried out first, in this order
    uses        what is counted against quotas then, for the function count_uses; None for nothing
    created     table -> ids of new rows, which get the time of their commit record from date_rows; None for none
    """

    statements: Sequence[Statement]
    uses: str | None
    created: str | None


def work_of(changes: Sequence[Change], command_id: UUID | None, limits: QuotaDefaults | None = None) -> Work:
    """Neighbours of one shape share a statement.

    command_id  stands for THIS_COMMIT; None when no change asks for it
    limits      those of projects that have set none; None when no limit counts
    """
    found: list[Statement] = []
    uses: list[Use] = []
    for shape, alike in groupby(changes, _shape):
        if shape[0] is Use:
            uses += alike  # type: ignore[arg-type]
        elif shape[0] is Release:
            found += _counting(uses, limits)
            found += [Statement(_RELEASE, (change.load_balancer_id,)) for change in alike]  # type: ignore[union-attr]
            uses = []
        elif shape[0] is Delete:
            values = [value for change in alike for value in change.values]  # type: ignore[union-attr]
            found.append(Statement(_deletion(shape), (values,)))
        else:
            rows = [_with_commit(change.row, command_id) for change in alike]  # type: ignore[union-attr]
            is_one = len(rows) == 1
            writes_one_row = is_one and shape[0] in (Insert, Upsert)
            found.append(Statement(_sql(shape, is_one), (_json(rows[0] if is_one else rows),), writes_one_row))
    return Work(found, _json(list(counted(uses, limits))) if uses else None, _created(changes))


def rebuilding(changes: Sequence[Change], command_id: UUID) -> Iterator[Statement]:
    """For rows that are made again from the log: the commit record is there already."""
    work = work_of(changes, command_id)
    yield from work.statements
    if work.uses is not None:
        yield Statement(_COUNT, (work.uses,))
    if work.created is not None:
        yield Statement(_DATE, (work.created, command_id))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# Quotas

_COUNT = "SELECT count_uses(%s::jsonb)"
_RELEASE = "SELECT release_uses(%s)"


class Counted(msgspec.Struct, frozen=True):
    """What changes for one kind. most: the limit of whoever has set none, None when limits do not count."""

    load_balancer_id: UUID
    kind: Kind
    more: int
    leaving: int
    most: int | None


def counted(uses: Sequence[Use], limits: QuotaDefaults | None) -> Iterator[Counted]:
    """Each kind once for a load balancer, in the one order in which counted rows are locked."""
    sums: dict[tuple[Kind, UUID], tuple[int, int]] = {}
    for use in uses:
        more, leaving = sums.get((use.kind, use.load_balancer_id), (0, 0))
        sums[use.kind, use.load_balancer_id] = more + use.more, leaving + use.leaving
    is_new = any(use.kind == Kind.LOAD_BALANCER for use in uses)
    for (kind, id), (more, leaving) in sorted(sums.items(), key=lambda each: COUNTED.index(each[0][0])):
        is_checked = not (is_new and kind in UNCHECKED_IN_A_GRAPH)
        yield Counted(id, kind, more, leaving, limits.of(kind) if limits is not None and is_checked else None)


def _counting(uses: Sequence[Use], limits: QuotaDefaults | None) -> list[Statement]:
    return [Statement(_COUNT, (_json(list(counted(uses, limits))),))] if uses else []


_DATED = frozenset({"load_balancers", "listeners", "pools", "health_monitors", "l7_policies", "amphorae"})
"""Tables with the time of creation in the row: their lists are in its order, and it is read from an index."""
_DATE = "SELECT date_rows(%s::jsonb, recorded_at) FROM commits WHERE command_id = %s"


def _created(changes: Iterable[Change]) -> str | None:
    ids: dict[str, list[UUID]] = {}
    for change in changes:
        if isinstance(change, Upsert) and change.table in _DATED and "created_by" in change.row:
            ids.setdefault(change.table, []).append(change.row["id"])
    return _json(ids) if ids else None


def _shape(change: Change) -> _Shape:
    if isinstance(change, Delete):
        return Delete, change.table, (change.column,)
    if isinstance(change, Use | Release):
        return type(change), "", ()
    return type(change), change.table, tuple(change.row)


def _with_commit(row: Row, command_id: UUID | None) -> Row:
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
