"""What the query string of a GET asks for: filters, order, page and fields, the same for every list."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid
from projections.columns import Column

Params = Mapping[str, str | list[str]]
Parameters = list[object]

_RESERVED = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "fields", "page_reverse"})
_TAG_CONDITIONS = {
    "tags": "s.document -> 'tags' ?& %s::text[]",
    "tags-any": "s.document -> 'tags' ?| %s::text[]",
    "not-tags": "NOT s.document -> 'tags' ?& %s::text[]",
    "not-tags-any": "NOT s.document -> 'tags' ?| %s::text[]",
}


class MalformedPage(Invalid):
    """Paging or order that cannot be read at all; answered like an unknown route."""


class NotAFilter(Invalid):
    def __init__(self) -> None:
        super().__init__("One or more arguments are either duplicate or invalid")


@dataclass(frozen=True)
class Key:
    """One key of an order. Like the reference's store, nothing comes before something."""

    name: str
    descending: bool = False

    def sql(self, columns: Mapping[str, Column]) -> str:
        return f"{columns[self.name].sql} {'DESC NULLS LAST' if self.descending else 'ASC NULLS FIRST'}"


@dataclass(frozen=True)
class Page:
    """The part of a list that is asked for.

    limit     None for no limit
    order     as it was asked for, without the keys that break ties
    said      the query arguments that links repeat
    """

    limit: int | None
    marker: str | None = None
    backwards: bool = False
    order: Sequence[Key] = ()
    said: Mapping[str, str] = field(default_factory=dict)

    @property
    def full_order(self) -> Sequence[Key]:
        named = {key.name for key in self.order}
        return [*self.order, *(Key(name) for name in ("created_at", "id") if name not in named)]

    def links(self, url: str, ids: Sequence[object]) -> list[dict[str, str]]:
        """Previous before next; a full last page has a next link that leads to an empty one."""
        if not ids:
            return []
        links = []
        if self.marker is not None:
            links.append({"rel": "previous", "href": self._href(url, ids[0], page_reverse="True")})
        if self.limit is not None and len(ids) == self.limit:
            links.append({"rel": "next", "href": self._href(url, ids[-1])})
        return links

    def _href(self, url: str, marker: object, **more: str) -> str:
        limit = {} if self.limit is None else {"limit": str(self.limit)}
        return f"{url}?{urlencode({**limit, **self.said, 'marker': str(marker), **more}, safe=':,')}"


def page_of(params: Params, largest: int) -> Page:
    """Raises MalformedPage. Keys are looked up when the list is made, since a show ignores them."""
    if not params:
        return Page(largest)
    said = {name: _one(params, name) for name in ("sort", "sort_key", "sort_dir") if name in params}
    return Page(
        limit=_limit(params, largest),
        marker=_one(params, "marker") if "marker" in params else None,
        backwards=params.get("page_reverse") == "True",
        order=tuple(_order(said)),
        said=said,
    )


def _one(params: Params, name: str) -> str:
    value = params[name]
    if isinstance(value, str):
        return value
    raise MalformedPage(f"The argument '{name}' is given more than once.")


def _limit(params: Params, largest: int) -> int | None:
    if "limit" not in params:
        return largest
    said = _one(params, "limit")
    try:
        limit = 0 if said == "infinite" else int(said)
    except ValueError:
        raise MalformedPage(f"Supplied pagination limit '{said}' is not valid.") from None
    return min(limit, largest) if limit > 0 else None


def _order(said: Mapping[str, str]) -> Iterator[Key]:
    if "sort" in said:
        for part in said["sort"].split(","):
            name, *direction = part.split(":")
            if len(direction) > 1:
                raise MalformedPage(f"Supplied sort key '{part.split(':')}' is not valid.")
            yield Key(name.strip(), _is_descending(direction[0] if direction else "asc"))
    elif "sort_key" in said:
        directions = said.get("sort_dir", "").split(",") if said.get("sort_dir") else []
        for place, name in enumerate(said["sort_key"].split(",")):
            yield Key(name.strip(), _is_descending(directions[place] if place < len(directions) else "asc"))


def _is_descending(direction: str) -> bool:
    if direction.strip().lower() not in ("asc", "desc"):
        raise MalformedPage(f"Supplied sort direction '{direction}' is not valid.")
    return direction.strip().lower() == "desc"


def require_known_keys(order: Iterable[Key], columns: Mapping[str, Column]) -> None:
    for key in order:
        if key.name not in columns:
            raise Invalid(f"Supplied sort key '{key.name}' is not valid.")


def conditions(params: Params, columns: Mapping[str, Column]) -> tuple[list[str], Parameters]:
    """The filters as SQL, all of which have to hold. Raises NotAFilter."""
    found: list[str] = []
    parameters: Parameters = []
    for name, value in params.items():
        if name in _RESERVED:
            continue
        if name in _TAG_CONDITIONS:
            found.append(_TAG_CONDITIONS[name])
            parameters.append(_tags(value))
        elif name in columns and isinstance(value, str):
            condition, compared = _equal(columns[name], value)
            found.append(condition)
            parameters += compared
        else:
            raise NotAFilter
    return found, parameters


def _tags(value: str | list[str]) -> list[str]:
    """A comma list, repetition, or both."""
    said = ",".join([value] if isinstance(value, str) else value)
    return [tag for tag in said.replace("\0", "").split(",") if tag]


def _equal(column: Column, value: str) -> tuple[str, Parameters]:
    try:
        return f"{column.sql} = %s", [column.read(value)]
    except ValueError:
        return "false", []


def beyond(page: Page, columns: Mapping[str, Column], marker: Sequence[object]) -> tuple[str, Parameters]:
    """The condition for rows after the marker's row, or before it, whose values for the order's keys these are."""
    alternatives: list[str] = []
    parameters: Parameters = []
    equal: list[str] = []
    equal_parameters: Parameters = []
    for key, value in zip(page.full_order, marker, strict=True):
        sql = columns[key.name].sql
        further, compared = _further(sql, value, larger=key.descending == page.backwards)
        alternatives.append(" AND ".join([*equal, further]))
        parameters += [*equal_parameters, *compared]
        equal.append(f"{sql} IS NOT DISTINCT FROM %s")
        equal_parameters.append(value)
    return f"({' OR '.join(f'({each})' for each in alternatives)})", parameters


def _further(sql: str, value: Any, *, larger: bool) -> tuple[str, Parameters]:
    """Null counts as smaller than everything."""
    if larger:
        return (f"{sql} IS NOT NULL", []) if value is None else (f"{sql} > %s", [value])
    return ("false", []) if value is None else (f"({sql} < %s OR {sql} IS NULL)", [value])


def only(shown: dict[str, object], names: str | list[str] | None) -> dict[str, object]:
    """The attributes named by `fields`, each argument one name; the tenant's id goes with the project's."""
    if names is None:
        return shown
    wanted = {names} if isinstance(names, str) else set(names)
    if "project_id" not in wanted:
        wanted.discard("tenant_id")
    return {name: value for name, value in shown.items() if name in wanted}
