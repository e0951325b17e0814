"""Reads the rows of one kind of resource with plain SQL, and answers the GETs on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import falcon
import msgspec
from falcon import Request, Response
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from domain.errors import Invalid, NotFound, UnknownParent
from projections.columns import Column
from projections.listing import Page, beyond, conditions, only, page_of, require_known_keys

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What a view has to know about a kind of resource.

    title       in error texts
    one, many   the key of one, and of a list, in answers
    view        where its rows are read from
    references  SQL of the columns that name other objects, over `s`
    columns     what lists may be filtered and sorted by
    show        a row as the contract shows it
    """

    title: str
    one: str
    many: str
    view: str
    references: str = ""
    columns: Mapping[str, Column]
    show: Callable[[Row], dict[str, object]]


class View:
    """Reads through a pool whose connections commit by themselves: one statement for one object."""

    def __init__(self, resource: Resource, pool: ConnectionPool[Any]) -> None:
        self.resource = resource
        self._pool = pool
        references = f", {resource.references}" if resource.references else ""
        self._select = f"SELECT s.*{references} FROM {resource.view} s WHERE s.id = %s"

    def show(self, row: Row) -> dict[str, object]:
        return self.resource.show(row)

    def row(self, id: str, *, below: str | None = None) -> Row:
        """Raises NotFound, also for what stands below another pool; UnknownParent when there is no such pool."""
        row = self._find(id)
        if row is None or (below is not None and row["pool_id"] != id_or_none(below)):
            if below is not None:
                self.require_pool(below)
            raise NotFound(self.resource.title, id)
        return row

    def _find(self, id: str) -> Row | None:
        key = id_or_none(id)
        if key is None:
            return None
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            row = cursor.execute(self._select, (key,), prepare=True).fetchone()
        return row if row is not None and row["provisioning_status"] is not None else None

    def require_pool(self, id: str) -> None:
        """Raises UnknownParent."""
        key = id_or_none(id)
        if key is not None:
            with self._pool.connection() as connection:
                if connection.execute("SELECT 1 FROM pools WHERE id = %s", (key,), prepare=True).fetchone():
                    return
        raise UnknownParent("Pool", id)

    def rows(self, params: Mapping[str, Any], page: Page, *, below: str | None = None) -> list[Row]:
        """One page of a list: one statement, one more when it begins at a marker."""
        columns = self.resource.columns
        require_known_keys(page.order, columns)
        found, parameters = conditions(params, columns)
        if below is not None:
            found.append("s.pool_id = %s")
            parameters.append(id_or_none(below))
        if page.marker is not None:
            condition, compared = beyond(page, columns, self._marker(page))
            found.append(condition)
            parameters += compared
        sql = self._list(page, ["s.provisioning_status IS NOT NULL", *found])
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(sql, parameters).fetchall())

    def _list(self, page: Page, found: list[str]) -> str:
        """References are looked up for the rows of the page alone."""
        resource = self.resource
        order = ", ".join(key.sql(resource.columns) for key in page.full_order)
        limit = f" LIMIT {page.limit}" if page.limit is not None else ""
        rows = f"SELECT s.* FROM {resource.view} s WHERE {' AND '.join(found)} ORDER BY {order}{limit}"
        references = f", {resource.references}" if resource.references else ""
        return f"SELECT s.*{references} FROM ({rows}) s ORDER BY {order}"

    def _marker(self, page: Page) -> tuple[object, ...]:
        """The marker's values for the keys of the order. Raises Invalid when there is no such object."""
        key = id_or_none(page.marker or "")
        values = ", ".join(self.resource.columns[key.name].sql for key in page.full_order)
        if key is not None:
            with self._pool.connection() as connection:
                sql = f"SELECT {values} FROM {self.resource.view} s WHERE s.id = %s"
                marker = connection.execute(sql, (key,)).fetchone()
            if marker is not None:
                return tuple(marker)
        raise Invalid(f"Supplied pagination marker '{page.marker}' is not valid.")


def id_or_none(text: str) -> UUID | None:
    """None for what is no id at all: it is the id of nothing."""
    try:
        return UUID(text)
    except ValueError:
        return None


class Collection:
    """Answers the GET of a list."""

    def __init__(self, view: View, largest_page: int) -> None:
        self._view = view
        self._largest_page = largest_page

    def on_get(self, req: Request, resp: Response) -> None:
        self._answer(req, resp, None)

    def _answer(self, req: Request, resp: Response, pool_id: str | None) -> None:
        params, resource = req.params, self._view.resource
        page = page_of(params, self._largest_page)
        rows = self._view.rows(params, page, below=pool_id)
        url = req.uri.partition("?")[0]
        content = {
            resource.many: [only(resource.show(row), params.get("fields")) for row in rows],
            f"{resource.many}_links": page.links(url, [row["id"] for row in rows]),
        }
        answer(resp, content)


class CollectionBelow(Collection):
    """Answers the GET of a list of what stands below a pool."""

    def on_get(self, req: Request, resp: Response, id: str) -> None:  # type: ignore[override]
        self._view.require_pool(id)
        self._answer(req, resp, id)


class Item:
    """Answers the GET of one object; of the query string only `fields` means anything."""

    def __init__(self, view: View, largest_page: int) -> None:
        self._view = view
        self._largest_page = largest_page

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        self._answer(req, resp, id, None)

    def _answer(self, req: Request, resp: Response, id: str, pool_id: str | None) -> None:
        params = req.params if req.query_string else {}
        if params:
            page_of(params, self._largest_page)
        resource = self._view.resource
        shown = resource.show(self._view.row(id, below=pool_id))
        answer(resp, {resource.one: only(shown, params.get("fields"))})


class ItemBelow(Item):
    """Answers the GET of one object below a pool."""

    def on_get(self, req: Request, resp: Response, id: str, member_id: str) -> None:  # type: ignore[override]
        self._answer(req, resp, member_id, id)


def require_no_arguments(request: Request) -> None:
    """Raises Invalid: some GETs know no query argument at all."""
    for name in request.params if request.query_string else ():
        raise Invalid(f'Unknown argument: "{name}"')


def answer(response: Response, content: object) -> None:
    response.content_type = falcon.MEDIA_JSON
    response.data = msgspec.json.encode(content)
