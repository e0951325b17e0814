"""Rows in the memory of a test: what projections/rows.py says in SQL, said in Python."""

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address
from uuid import UUID

import msgspec

from domain.errors import AddressTaken, QuotaExceeded
from domain.load_balancer import RESOURCES
from domain.progress import Kind
from domain.quota import COUNTED, QuotaDefaults
from projections.rows import (
    THIS_COMMIT,
    Change,
    Counted,
    Delete,
    Insert,
    InsertOnce,
    Release,
    Row,
    Update,
    Upsert,
    Use,
    counted,
    key_of,
)

Tables = Mapping[str, Mapping[tuple[object, ...], Row]]
"""Table -> key -> row. Replaced, never changed: a reader sees one commit or the next."""

_Rows = dict[tuple[object, ...], Row]


def changed_tables(
    tables: Tables, changes: Iterable[Change], command_id: UUID, limits: QuotaDefaults | None = None
) -> Tables:
    """The tables after these changes. Raises AddressTaken, QuotaExceeded.

    limits  those of projects that have set none; None when no limit counts
    """
    changed = {name: dict(rows) for name, rows in tables.items()}
    uses: list[Use] = []
    for change in changes:
        if isinstance(change, Use):
            uses.append(change)
        elif isinstance(change, Release):
            _count(changed, uses, limits)
            uses = _held_by(changed, change.load_balancer_id)
            _count(changed, uses, None)
            uses = []
        elif isinstance(change, Delete):
            rows = changed.setdefault(change.table, {})
            for key in [key for key, row in rows.items() if row.get(change.column) in change.values]:
                del rows[key]
        else:
            _write(changed.setdefault(change.table, {}), change, _stored(change.row, command_id))
    _count(changed, uses, limits)
    return changed


def _write(rows: _Rows, change: Insert | Upsert | InsertOnce | Update, row: Row) -> None:
    key = tuple(row[column] for column in key_of(change.table))
    before = rows.get(key)
    if before is None:
        if not isinstance(change, Update):
            rows[key] = row
    elif isinstance(change, Insert):
        raise AddressTaken(str(row["address"]))
    elif not isinstance(change, InsertOnce):
        document = {**before["document"], **row["document"]} if "document" in row else before.get("document")
        rows[key] = {**before, **row, "document": document}


def _stored(row: Row, command_id: UUID) -> Row:
    """As a database would hold it."""
    stored = {column: command_id if value is THIS_COMMIT else value for column, value in row.items()}
    if "document" in stored:
        stored["document"] = msgspec.to_builtins(stored["document"])
    if "address" in stored:
        stored["address"] = ip_address(str(stored["address"]))
    return stored


# Quotas


def _held_by(tables: Tables, load_balancer_id: UUID) -> list[Use]:
    """What takes back all that a load balancer and what is below it count."""
    held = {
        kind: sum(load_balancer_id in (row["id"], row.get("load_balancer_id")) for row in tables.get(kind, {}).values())
        for kind in COUNTED
    }
    return [Use(load_balancer_id, kind, -number) for kind, number in held.items() if number]


def _count(tables: dict[str, _Rows], uses: Sequence[Use], limits: QuotaDefaults | None) -> None:
    for each in counted(uses, limits):
        load_balancer = tables.get(Kind.LOAD_BALANCER, {}).get((each.load_balancer_id,))
        if load_balancer is not None:
            _count_one(tables, load_balancer["project_id"], each)


def _count_one(tables: dict[str, _Rows], project_id: str, counted: Counted) -> None:
    uses, key = tables.setdefault("quota_uses", {}), (project_id, counted.kind)
    total = counted.more + (uses[key]["in_use"] if key in uses else 0)
    uses[key] = {"project_id": project_id, "kind": counted.kind, "in_use": total}
    if counted.most is None or counted.more <= counted.leaving:
        return
    quota = tables.get("quotas", {}).get((project_id,))
    most = counted.most if quota is None else quota["limits"].get(counted.kind, counted.most)
    if 0 <= most < total - counted.leaving:
        raise QuotaExceeded(RESOURCES[counted.kind])
