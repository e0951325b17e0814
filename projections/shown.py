"""What all resources are shown with, and how fields that came later are shown for older rows."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any
from uuid import UUID

Row = Mapping[str, Any]


def head(row: Row) -> dict[str, object]:
    """The attributes that every resource has. Times are UTC, without saying so."""
    project_id = row["project_id"]
    return {
        "id": row["id"],
        "project_id": project_id,
        "tenant_id": project_id,
        "provisioning_status": row["provisioning_status"],
        "operating_status": row["operating_status"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
    }


def document(row: Row) -> dict[str, object]:
    """An object that has nothing but its settings and an id."""
    return {"id": row["id"], **row["document"]}


def ids(found: Iterable[UUID]) -> list[dict[str, UUID]]:
    """References to other objects."""
    return [{"id": id} for id in found]


@cache
def defaults_of(kind: type) -> Mapping[str, object]:
    """The defaults of a value: a field that is younger than a row is shown with its default."""
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(kind)
        if not (field.default is MISSING and field.default_factory is MISSING)
    }
