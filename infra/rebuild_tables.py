"""Tables that are built beside those that serve, and take their place: as PostgreSQL's catalogue describes them."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from psycopg import Connection

from projections.known import Projection
from projections.rows import key_of

_DATED = "created_at"
"""The time of the commit that made the row, where the row has it."""


class CannotSwitch(Exception):
    """Something hangs on the tables that would not follow."""


@dataclass(frozen=True)
class Layout:
    """A table as rows are written into it.

    name      with its schema
    key       the columns that tell rows apart
    found_by  columns by which rows are looked up besides
    columns   those that are written, in order; generated ones are not
    types     of `columns`
    defaults  column -> what a row has that says nothing about it, as PostgreSQL's text
    """

    name: str
    key: tuple[str, ...]
    found_by: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[str, ...]
    defaults: Mapping[str, str | None]

    @cached_property
    def key_of(self) -> Callable[[Mapping[str, Any]], Any]:
        """What tells a row apart: the number of its id, the value of another key, or the texts of several."""
        column, *more = self.key
        if self.is_by_id:
            return lambda row: row[column].int
        if not more:
            return lambda row: row[column]
        return lambda row: tuple(_key_text(row[name], type) for name, type in self._typed_key)

    @cached_property
    def is_by_id(self) -> bool:
        return [type for _, type in self._typed_key] == ["uuid"]

    @cached_property
    def _typed_key(self) -> Sequence[tuple[str, str]]:
        return [(column, self.types[self.columns.index(column)]) for column in self.key]

    def new_row(self, recorded_at: datetime) -> dict[str, Any]:
        """What a row is before anything is said about it."""
        row: dict[str, Any] = dict(self.defaults)
        if _DATED in row:
            row[_DATED] = recorded_at
        return row

    @cached_property
    def select(self) -> str:
        """All columns, as text but for those by which rows are found."""
        found_by = {*self.found_by, *(self.key if len(self.key) == 1 else ())}
        columns = [column if column in found_by else f"{column}::text" for column in self.columns]
        return f"SELECT {', '.join(columns)} FROM {self.name}"

    @cached_property
    def has_key(self) -> str:
        """A condition; its parameters are those of key_parameters."""
        if len(self.key) == 1:
            ((column, type),) = self._typed_key
            return f"{column} = ANY(%s::{type}[])"
        names = [f"v{number}" for number in range(len(self.key))]
        typed = ", ".join(f"{name}::{type}" for name, (_, type) in zip(names, self._typed_key, strict=True))
        arrays = ", ".join("%s::text[]" for _ in names)
        return f"({', '.join(self.key)}) IN (SELECT {typed} FROM unnest({arrays}) AS k({', '.join(names)}))"

    def key_parameters(self, keys: Iterable[Any]) -> list[object]:
        if self.is_by_id:
            return [f"{{{','.join([f'{key:032x}' for key in keys])}}}"]
        return [list(keys)] if len(self.key) == 1 else [list(values) for values in zip(*keys, strict=True)]


def _key_text(value: object, type: str) -> str:
    """One text for one value, however it is written."""
    return str(ip_address(str(value).partition("/")[0])) if type == "inet" else str(value)


class TablesBeside:
    """New tables of a projection, in a schema of their own.

    live  the schema of the tables that serve
    """

    def __init__(self, projection: Projection, live: str) -> None:
        name = projection.name.replace("-", "_")
        self.projection = projection
        self.live = live
        self.schema = f"rebuild_{name}"
        self.retired = f"retired_{name}"

    # Building

    def create(self, connection: Connection[Any]) -> None:
        """Tables with what rows are found by while they are built; all else comes when they are filled."""
        connection.execute(f"CREATE SCHEMA {self.schema}")
        for table in self.projection.tables:
            found = connection.execute(_STORAGE, (self._live(table),)).fetchone()
            options = f" WITH ({', '.join(found[0])})" if found and found[0] else ""
            like = f"(LIKE {self._live(table)} INCLUDING ALL EXCLUDING INDEXES)"
            connection.execute(f"CREATE TABLE {self._new(table)} {like}{options}")
            self._carry_out(connection, [*self._constraints(connection, table, "p"), *self._indexes(connection, table)])

    def complete(self, connection: Connection[Any]) -> None:
        """The other indexes and constraints, by the names that errors are told apart by.

        Foreign keys are looked at when a transaction ends: in between, rows are replaced.
        """
        for table in self.projection.tables:
            unique = self._constraints(connection, table, "ux")
            self._carry_out(connection, [*unique, *self._indexes(connection, table, are_needed_early=False)])
        for table in self.projection.tables:
            foreign_keys = self._constraints(connection, table, "f")
            self._carry_out(connection, [f"{statement} DEFERRABLE INITIALLY DEFERRED" for statement in foreign_keys])

    def analyze(self, connection: Connection[Any]) -> None:
        """Outside a transaction. What the planner has to know, and what lets indexes answer alone."""
        for table in self.projection.tables:
            connection.execute(f"VACUUM (ANALYZE) {self._new(table)}")

    def drop(self, connection: Connection[Any]) -> None:
        """The new tables; fine when there are none. Nobody but the rebuild knows them."""
        connection.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def drop_retired(self, connection: Connection[Any]) -> None:
        """What is left of a switch. The tables without CASCADE: nothing may hang on them any more."""
        if connection.execute("SELECT FROM pg_namespace WHERE nspname = %s", (self.retired,)).rowcount:
            tables = ", ".join(f"{self.retired}.{table}" for table in self.projection.tables)
            connection.execute(f"DROP TABLE IF EXISTS {tables}")
            connection.execute(f"DROP SCHEMA {self.retired}")

    def layouts(self, connection: Connection[Any]) -> dict[str, Layout]:
        return {table: self._layout(connection, table) for table in self.projection.tables}

    def _layout(self, connection: Connection[Any], table: str) -> Layout:
        found = connection.execute(_COLUMNS, (self._new(table),)).fetchall()
        written = [(column, type, default) for column, type, default, generated in found if not generated]
        columns = tuple(column for column, _, _ in written)
        return Layout(
            name=self._new(table),
            key=key_of(table),
            found_by=tuple(column for column in self.projection.found_by if column in columns),
            columns=columns,
            types=tuple(type for _, type, _ in written),
            defaults={column: _constant(connection, default) for column, _, default in written},
        )

    def fingerprint(self, connection: Connection[Any]) -> str:
        """Of the tables that serve, as far as the new ones are made after them."""
        parts: list[object] = []
        for table in self.projection.tables:
            parts.append(connection.execute(_COLUMNS, (self._live(table),)).fetchall())
            parts += self._constraints(connection, table, "puxf") + self._indexes(connection, table)
            parts += self._indexes(connection, table, are_needed_early=False)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    # Taking the place of those that serve

    def keep_writers_out(self, connection: Connection[Any]) -> None:
        """In the order in which appends come to the tables; readers go on."""
        tables = ", ".join(map(self._live, self.projection.tables))
        connection.execute(f"LOCK TABLE {tables} IN SHARE ROW EXCLUSIVE MODE")

    def keep_readers_out(self, connection: Connection[Any]) -> None:
        """Views first: whoever reads through one holds it while waiting for what is below."""
        views = [f"{self.live}.{name}" for name, _, _ in self._views(connection)]
        tables = map(self._live, self.projection.tables)
        connection.execute(f"LOCK TABLE {', '.join([*views, *tables])} IN ACCESS EXCLUSIVE MODE")

    def require_all_follow(self, connection: Connection[Any]) -> None:
        """Raises CannotSwitch."""
        left = connection.execute(_LEFT_BEHIND, {"tables": self._all_live, "live": self.live}).fetchall()
        if left:
            raise CannotSwitch("these would go on with the old rows: " + ", ".join(name for (name,) in left))

    def prepare_switch(self, connection: Connection[Any]) -> None:
        """What may be done before readers have to wait: triggers, owners and rights. Raises CannotSwitch."""
        self.require_all_follow(connection)
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        self._carry_out(connection, [text for (text,) in self._described(connection, _TRIGGERS, self._all_live)])
        for table, owner in self._described(connection, _OWNERS, self._all_live):
            connection.execute(f"ALTER TABLE {self._new(table)} OWNER TO {owner}")
        for table, right, grantee, option in self._described(connection, _GRANTS, self._all_live, self._all_live):
            connection.execute(f"GRANT {right} ON {self._new(table)} TO {grantee}{option}")
        for table in self.projection.tables:
            for (name,) in connection.execute(_FOREIGN_KEYS, (self._new(table),)).fetchall():
                connection.execute(f"ALTER TABLE {self._new(table)} ALTER CONSTRAINT {name} NOT DEFERRABLE")

    def switch(self, connection: Connection[Any]) -> None:
        """While readers are kept out.

        Views keep their identity and are told their definition again: names in it mean the new tables now. Plans of
        running sessions are made again for the same reason.
        """
        views = self._views(connection)
        connection.execute(f"CREATE SCHEMA {self.retired}")
        for table in self.projection.tables:
            connection.execute(f"ALTER TABLE {self._live(table)} SET SCHEMA {self.retired}")
            connection.execute(f"ALTER TABLE {self._new(table)} SET SCHEMA {self.live}")
        connection.execute(f"DROP SCHEMA {self.schema}")
        connection.execute(f"SET LOCAL search_path = {self.live}")
        for name, definition, options in views:
            storage = f" WITH ({', '.join(options)})" if options else ""
            connection.execute(f"CREATE OR REPLACE VIEW {name}{storage} AS {definition}")

    # What the catalogue says of the tables that serve

    def _live(self, table: str) -> str:
        return f"{self.live}.{table}"

    def _new(self, table: str) -> str:
        return f"{self.schema}.{table}"

    @property
    def _all_live(self) -> list[str]:
        return [self._live(table) for table in self.projection.tables]

    def _constraints(self, connection: Connection[Any], table: str, kinds: str) -> list[str]:
        """Statements that make them for the new table. kinds: letters of pg_constraint.contype."""
        found = self._described(connection, _CONSTRAINTS, self._live(table), list(kinds))
        return [f"ALTER TABLE {self._new(table)} ADD CONSTRAINT {name} {definition}" for name, definition in found]

    def _indexes(self, connection: Connection[Any], table: str, *, are_needed_early: bool = True) -> list[str]:
        """Likewise those that stand for no constraint."""
        found = self._described(connection, _INDEXES, self._live(table))
        return [text for text, first in found if (first in self.projection.found_by) == are_needed_early]

    def _views(self, connection: Connection[Any]) -> list[Any]:
        return self._described(connection, _VIEWS, self._all_live, self.live)

    def _described(self, connection: Connection[Any], sql: str, *parameters: object) -> list[Any]:
        """As the catalogue tells it to somebody who is among the tables that serve: without their schema ..."""
        with connection.transaction():
            connection.execute(f"SET LOCAL search_path = {self.live}")
            return connection.execute(sql, parameters).fetchall()

    def _carry_out(self, connection: Connection[Any], statements: Iterable[str]) -> None:
        """... so that the same words mean the new ones to somebody who looks there first."""
        with connection.transaction():
            connection.execute(f"SET LOCAL search_path = {self.schema}, {self.live}")
            for statement in statements:
                connection.execute(statement)


def _constant(connection: Connection[Any], default: str | None) -> str | None:
    """What a default comes to. One that depends on the time is never used (Layout.new_row)."""
    if default is None:
        return None
    row = connection.execute(f"SELECT ({default})::text").fetchone()
    return None if row is None else row[0]


_STORAGE = "SELECT reloptions FROM pg_class WHERE oid = %s::regclass"
_COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attgenerated::text
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_CONSTRAINTS = """
SELECT quote_ident(conname), pg_get_constraintdef(oid, true) FROM pg_constraint
WHERE conrelid = %s::regclass AND contype::text = ANY(%s) ORDER BY conname
"""
_FOREIGN_KEYS = "SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'"
_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid, 0, true), a.attname FROM pg_index i
LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = %s::regclass AND NOT EXISTS (
    SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x'))
ORDER BY 1
"""
_VIEWS = """
SELECT DISTINCT quote_ident(v.relname), pg_get_viewdef(v.oid), v.reloptions
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid = ANY(%s::text[]::regclass[]::oid[]) AND v.relkind = 'v' AND v.relnamespace = %s::regnamespace
ORDER BY 1
"""
_TRIGGERS = """
SELECT pg_get_triggerdef(oid, true) FROM pg_trigger
WHERE tgrelid = ANY(%s::text[]::regclass[]::oid[]) AND NOT tgisinternal ORDER BY oid
"""
_OWNERS = """
SELECT relname, quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = ANY(%s::text[]::regclass[]::oid[])
"""
_GRANTS = """
SELECT x.relname, x.held, CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
       CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM (
    SELECT c.relname, a.privilege_type AS held, a.grantee, a.is_grantable
    FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.oid = ANY(%s::text[]::regclass[]::oid[]) AND a.grantee <> c.relowner
    UNION ALL
    SELECT c.relname, format('%%s (%%I)', a.privilege_type, f.attname), a.grantee, a.is_grantable
    FROM pg_class c JOIN pg_attribute f ON f.attrelid = c.oid, aclexplode(f.attacl) a
    WHERE c.oid = ANY(%s::text[]::regclass[]::oid[]) AND a.grantee <> c.relowner) x
"""
_LEFT_BEHIND = """
WITH moved AS (SELECT unnest(%(tables)s::text[]::regclass[]::oid[]) AS id)
SELECT 'view ' || v.oid::regclass
FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
  AND d.refobjid IN (SELECT id FROM moved) AND (v.relkind <> 'v' OR v.relnamespace <> %(live)s::regnamespace)
UNION SELECT 'constraint ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND confrelid IN (SELECT id FROM moved) AND conrelid NOT IN (SELECT id FROM moved)
UNION SELECT 'function ' || objid::regprocedure FROM pg_depend
WHERE classid = 'pg_proc'::regclass AND refclassid = 'pg_class'::regclass AND refobjid IN (SELECT id FROM moved)
UNION SELECT 'policy ' || polname || ' of ' || polrelid::regclass FROM pg_policy
WHERE polrelid IN (SELECT id FROM moved)
UNION SELECT 'publication of ' || prrelid::regclass FROM pg_publication_rel WHERE prrelid IN (SELECT id FROM moved)
UNION SELECT 'table ' || inhrelid::regclass FROM pg_inherits WHERE inhparent IN (SELECT id FROM moved)
"""
