"""What lists can be filtered and sorted by: an SQL expression for each attribute of a resource, from its definition."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType, NoneType
from typing import Any, get_args, get_type_hints

from domain.health_monitor import HttpVersion

_LOOSELY_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})


@dataclass(frozen=True)
class Column:
    """An attribute, as SQL sees it.

    sql         expression over `s`, the row that a list is made of
    read        turns the text of a filter into what the expression is compared with; ValueError when nothing is equal
    never_null  every row has a value
    """

    sql: str
    read: Callable[[str], object]
    never_null: bool = False


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("PostgreSQL has no place for NUL")
    return value


def _truth(value: str) -> bool:
    return value.lower() in _LOOSELY_TRUE


def _time(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _number(value: str) -> int:
    number = int(value)
    if abs(number) >= 2**63:
        raise ValueError("no column is that wide")
    return number


def _id(value: str) -> uuid.UUID:
    return uuid.UUID(value)


def _id_as_text(value: str) -> str:
    return str(uuid.UUID(value))


def _decimal(value: str) -> str:
    return str(float(value))


def id_column(sql: str) -> Column:
    return Column(sql, _id)


def text_column(sql: str, *, never_null: bool = False) -> Column:
    return Column(f'{sql} COLLATE "C"', _text, never_null)


def number_column(sql: str) -> Column:
    return Column(sql, _number)


def always(value: str | bool | None) -> Column:
    """An attribute that this release shows the same for every object."""
    if isinstance(value, bool):
        return Column(str(value).lower(), _truth)
    return text_column("NULL::text" if value is None else f"'{value}'::text")


KEY = Column("s.id", _id, never_null=True)

COMMON: Mapping[str, Column] = MappingProxyType(
    {
        "id": KEY,
        "project_id": text_column("s.project_id"),
        "provisioning_status": text_column("s.provisioning_status"),
        "operating_status": text_column("s.operating_status"),
        "created_at": Column("s.created_at", _time, never_null=True),
        "updated_at": Column("s.updated_at", _time),
    }
)


def columns_of(kind: type) -> dict[str, Column]:
    """The fields of a value that have one number, text, id or truth: lists and objects cannot be compared."""
    hints = get_type_hints(kind)
    kinds = {each.name: _without_none(hints[each.name]) for each in fields(kind) if each.name != "id"}
    return {name: in_document(name, plain) for name, plain in kinds.items() if _is_scalar(plain)}


def _without_none(hint: Any) -> Any:
    """The type itself of `X | None`."""
    parts = [part for part in get_args(hint) if part is not NoneType]
    return parts[0] if NoneType in get_args(hint) else hint


def _is_scalar(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, bool | int | str | uuid.UUID)


def in_document(name: str, kind: type) -> Column:
    value = f"(s.document ->> '{name}')"
    if kind is bool:
        return Column(f"{value}::boolean", _truth)
    if kind is int:
        return Column(f"{value}::bigint", _number)
    if kind is uuid.UUID:
        return Column(f'{value} COLLATE "C"', _id_as_text)
    if kind is HttpVersion:
        return Column(f'{value} COLLATE "C"', _decimal)
    return text_column(value)
