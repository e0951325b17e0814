"""Reads the rows of one kind of resource with plain SQL, and answers the GETs on it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import falcon
import msgspec
from falcon import Request, Response
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from domain.entity_tag import tag_of, tag_of_settings
from domain.errors import Invalid, NotFound, UnknownParent
from projections.columns import Column
from projections.listing import (
    Condition,
    ListRules,
    Page,
    Params,
    beyond,
    conditions,
    equal,
    only,
    page_of,
    require_known_keys,
)
from projections.scope import caller_of, listed_project

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Parent:
    """What the URL names above the objects of a resource.

    title   in error texts
    table   where it is
    column  of the objects below, that names it
    """

    title: str
    table: str
    column: str


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What a view has to know about a kind of resource.

    title       in error texts
    one, many   the key of one, and of a list, in answers
    links       the key of a list's links, where it is not that of the list with `_links`
    type        the policy's name of it, where that is not `one`
    view        where its rows are read from
    visible     SQL over `s`: which rows are there for users
    references  SQL of the columns that name other objects, over `s`
    columns     what lists may be filtered and sorted by
    key         the column that URLs and markers name an object by
    ties        the columns that lists are sorted by in the end
    tagged      whether it has tags
    parent      None for what does not stand below anything
    shared      belongs to no project: policy asks for the caller's own, and before anything is looked up
    only_settings  there is nothing to it but what somebody set: its entity tag is made of that
    show        a row as the contract shows it
    """

    title: str
    one: str
    many: str
    links: str = ""
    type: str = ""
    view: str
    visible: str = "s.provisioning_status IS NOT NULL"
    references: str = ""
    columns: Mapping[str, Column]
    key: str = "id"
    ties: Sequence[str] = ("created_at", "id")
    tagged: bool = True
    parent: Parent | None = None
    shared: bool = False
    only_settings: bool = False
    show: Callable[[Row], dict[str, object]]

    def rule(self, action: str) -> str:
        """The policy rule for an action on it."""
        return f"{self.type or self.one}:{action}"


class View:
    """Reads through a pool whose connections commit by themselves: one statement for one object."""

    def __init__(self, resource: Resource, pool: ConnectionPool[Any]) -> None:
        self.resource = resource
        self._pool = pool
        self._key = resource.columns[resource.key]
        references = f", {resource.references}" if resource.references else ""
        self._select = (
            f"SELECT s.*{references} FROM {resource.view} s WHERE {self._key.sql} = %s AND {resource.visible}"
        )

    def show(self, row: Row) -> dict[str, object]:
        return self.resource.show(row)

    def row(self, id: str, *, below: str | None = None) -> Row:
        """The object of that id, or of that name where names are keys.

        Raises NotFound, also for what stands below another parent; UnknownParent when there is no such parent.
        """
        row = self._find(id)
        if row is None or not self._is_below(row, below):
            if below is not None:
                self.require_parent(below)
            raise NotFound(self.resource.title, id)
        return row

    def _find(self, id: str) -> Row | None:
        key = _read(self._key, id)
        if key is None:
            return None
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row: Row | None = cursor.execute(self._select, (key,), prepare=True).fetchone()
        return row

    def _is_below(self, row: Row, below: str | None) -> bool:
        parent = self.resource.parent
        return parent is None or below is None or row[parent.column] == id_or_none(below)

    def require_parent(self, id: str) -> str:
        """The project of what stands above. Raises UnknownParent."""
        parent, key = self.resource.parent, id_or_none(id)
        assert parent is not None, "only what stands below something is asked for it"
        if key is not None:
            sql = (
                f"SELECT b.project_id FROM {parent.table} p JOIN load_balancers b ON b.id = p.load_balancer_id"
                " WHERE p.id = %s"
            )
            with self._pool.connection() as connection:
                found = connection.execute(sql, (key,), prepare=True).fetchone()
            if found is not None:
                return str(found[0])
        raise UnknownParent(parent.title, id)

    def rows(self, page: Page, found: Sequence[Condition]) -> list[Row]:
        """One page of what meets the conditions: one statement, one more when it begins at a marker."""
        columns, order = self.resource.columns, page.full_order(self.resource.ties)
        require_known_keys(page.order, columns)
        all_found = [Condition(self.resource.visible), *found]
        if page.marker is not None:
            marker = self._marker(page.marker, [columns[key.name].sql for key in order])
            all_found.append(beyond(order, columns, marker, backwards=page.backwards))
        parameters = [value for each in all_found for value in each.parameters]
        sql = self._list(", ".join(key.sql(columns) for key in order), all_found, page.limit)
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(sql, parameters).fetchall())

    def _list(self, order: str, found: Sequence[Condition], limit: int | None) -> str:
        """References are looked up for the rows of the page alone."""
        where = " AND ".join(each.sql for each in found)
        cut = f" LIMIT {limit}" if limit is not None else ""
        rows = f"SELECT s.* FROM {self.resource.view} s WHERE {where} ORDER BY {order}{cut}"
        if not self.resource.references:
            return rows
        return f"SELECT s.*, {self.resource.references} FROM ({rows}) s ORDER BY {order}"

    def _marker(self, marker: str, values: Sequence[str]) -> Sequence[object]:
        """The marker's values, whoever may see it. Raises Invalid when there is no such object."""
        key = _read(self._key, marker)
        if key is not None:
            sql = f"SELECT {', '.join(values)} FROM {self.resource.view} s WHERE {self._key.sql} = %s"
            with self._pool.connection() as connection:
                found = connection.execute(sql, (key,)).fetchone()
            if found is not None:
                return tuple(found)
        raise Invalid(f"Supplied pagination marker '{marker}' is not valid.")


def _read(column: Column, text: str) -> object | None:
    """None for what no row can have: an id that is none is the id of nothing."""
    try:
        return column.read(text)
    except ValueError:
        return None


def id_or_none(text: str) -> UUID | None:
    """None for what is no id at all: it is the id of nothing."""
    try:
        return UUID(text)
    except ValueError:
        return None


class Collection:
    """Answers the GET of a list."""

    def __init__(self, view: View, rules: ListRules) -> None:
        self._view = view
        self._rules = rules

    def on_get(self, req: Request, resp: Response) -> None:
        page = page_of(req.params, self._rules)
        params = dict(req.params)
        resource, caller = self._view.resource, caller_of(req)
        if resource.shared:
            caller.require(resource.rule("get_all"), caller.project_id)
            return self._answer(req, resp, page, self._filters(params))
        project_id = listed_project(caller, resource.type or resource.one, params)
        params.pop("project_id", None)
        scope = [] if project_id is None else [equal(resource.columns["project_id"], project_id)]
        self._answer(req, resp, page, [*scope, *self._filters(params)])

    def _filters(self, params: Params) -> list[Condition]:
        resource = self._view.resource
        return conditions(params, resource.columns, tagged=resource.tagged) if self._rules.filtering else []

    def _answer(self, req: Request, resp: Response, page: Page, found: Sequence[Condition]) -> None:
        resource = self._view.resource
        rows = self._view.rows(page, found)
        fields = req.params.get("fields") if self._rules.field_selection else None
        content = {
            resource.many: [only(resource.show(row), fields) for row in rows],
            resource.links or f"{resource.many}_links": page.links(self._url(req), [row[resource.key] for row in rows]),
        }
        answer(resp, content)

    def _url(self, req: Request) -> str:
        base = self._rules.base_uri
        return req.uri.partition("?")[0] if base is None else f"{base.rstrip('/')}{req.path}"


class CollectionBelow(Collection):
    """Answers the GET of a list of what stands below something: whoever may see that may see the list."""

    def on_get(self, req: Request, resp: Response, id: str) -> None:  # type: ignore[override]
        project_id, resource = self._view.require_parent(id), self._view.resource
        page = page_of(req.params, self._rules)
        caller_of(req).require(resource.rule("get_all"), project_id)
        assert resource.parent is not None, "the view found it"
        below = Condition(f"s.{resource.parent.column} = %s", [id_or_none(id)])
        self._answer(req, resp, page, [below, *self._filters(req.params)])


class Item:
    """Answers the GET of one object; of the query string only `fields` means anything, but a page has to be right."""

    def __init__(self, view: View, rules: ListRules) -> None:
        self._view = view
        self._rules = rules

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        page_of(req.params, self._rules)
        resource, caller = self._view.resource, caller_of(req)
        if resource.shared:
            caller.require(resource.rule("get_one"), caller.project_id)
        row = self._view.row(id)
        if not resource.shared:
            caller.require(resource.rule("get_one"), row["project_id"])
        self._answer(req, resp, row)

    def _answer(self, req: Request, resp: Response, row: Row) -> None:
        fields = req.params.get("fields") if self._rules.field_selection else None
        if row.get("edited") is not None:
            resp.set_header("ETag", tag_of(row["edited"]))
        elif self._view.resource.only_settings:
            resp.set_header("ETag", tag_of_settings(row["document"]))
        answer(resp, {self._view.resource.one: only(self._view.show(row), fields)})


class ItemBelow(Item):
    """Answers the GET of one object below another."""

    def on_get(self, req: Request, resp: Response, id: str, **below: str) -> None:
        page_of(req.params, self._rules)
        (child_id,) = below.values()
        row = self._view.row(child_id, below=id)
        caller_of(req).require(self._view.resource.rule("get_one"), row["project_id"])
        self._answer(req, resp, row)


def require_no_arguments(request: Request) -> None:
    """Raises Invalid: some GETs know no query argument at all."""
    for name in request.params if request.query_string else ():
        raise Invalid(f'Unknown argument: "{name}"')


def answer(response: Response, content: object) -> None:
    response.content_type = falcon.MEDIA_JSON
    response.data = msgspec.json.encode(content)
