"""Whether rebuilt rows are those that serve, byte for byte; and where they are not, what each says."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from psycopg import Connection

from infra.rebuild_tables import Layout

EXAMPLES = 20
"""Differences of a table that are shown; the others are counted."""


@dataclass(frozen=True)
class Difference:
    """One row. serving, rebuilt: by column; None where there is no such row."""

    table: str
    key: tuple[str, ...]
    serving: Mapping[str, Any] | None
    rebuilt: Mapping[str, Any] | None

    def __str__(self) -> str:
        row = self.serving or self.rebuilt or {}
        name = f"{self.table} {' '.join(str(row[column]) for column in self.key)}"
        if self.rebuilt is None:
            return f"{name}: only serves: {_text(self.serving)}"
        if self.serving is None:
            return f"{name}: was only rebuilt: {_text(self.rebuilt)}"
        said = [
            f"{column} serves as {_text(self.serving[column])}, was rebuilt as {_text(value)}"
            for column, value in self.rebuilt.items()
            if self.serving[column] != value
        ]
        return f"{name}: {'; '.join(said) or 'the same values, stored in other bytes'}"


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


@dataclass(frozen=True)
class Differences:
    """counts: table -> how many rows differ; examples: some of them."""

    counts: Mapping[str, int]
    examples: tuple[Difference, ...]

    def __bool__(self) -> bool:
        return bool(self.counts)


def differences(
    connection: Connection[Any],
    live: str,
    layouts: Mapping[str, Layout],
    only: Mapping[str, Iterable[Any]] | None = None,
) -> Differences:
    """In the tables of the schema `live` and in those of the layouts; `only` rows with these keys, or all."""
    counts: dict[str, int] = {}
    examples: list[Difference] = []
    for table in layouts if only is None else only:
        keys = None if only is None else list(only[table])
        for difference in _of_table(connection, live, table, layouts[table], keys):
            counts[table] = counts.get(table, 0) + 1
            if counts[table] <= EXAMPLES:
                examples.append(difference)
    return Differences(counts, tuple(examples))


def _of_table(
    connection: Connection[Any], live: str, table: str, layout: Layout, keys: list[Any] | None
) -> Iterator[Difference]:
    condition = "" if keys is None else f" WHERE {layout.has_key}"
    parameters = [] if keys is None else layout.key_parameters(keys)
    sql = f"""
        SELECT to_jsonb(l)::text, to_jsonb(n)::text
        FROM (SELECT * FROM {live}.{table}{condition}) l
        FULL JOIN (SELECT * FROM {layout.name}{condition}) n USING ({", ".join(layout.key)})
        WHERE (l *<> n) IS DISTINCT FROM false
    """
    with connection.cursor(name="differences") as cursor:
        for serving, rebuilt in cursor.execute(sql, parameters * 2):
            yield Difference(table, layout.key, _row(serving), _row(rebuilt))


def _row(text: str | None) -> Mapping[str, Any] | None:
    return None if text is None else msgspec.json.decode(text)
