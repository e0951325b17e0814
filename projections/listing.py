"""What the query string of a GET asks for: filters, order, page and fields, the same for every list."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from domain.errors import Invalid
from projections.columns import Column

Params = Mapping[str, str | list[str]]

_RESERVED = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "fields", "page_reverse"})
_TAG_CONDITIONS = {
    "tags": "s.document -> 'tags' ?& %s::text[]",
    "tags-any": "s.document -> 'tags' ?| %s::text[]",
    "not-tags": "NOT s.document -> 'tags' ?& %s::text[]",
    "not-tags-any": "NOT s.document -> 'tags' ?| %s::text[]",
}


@dataclass(frozen=True, kw_only=True)
class ListRules:
    """What a deployment lets lists be asked for; what it does not is passed over.

    largest_page  the longest page, and the one that nobody asked for; None for no limit
    base_uri      what links begin with in the place of the host that the client named
    """

    largest_page: int | None = 1_000
    filtering: bool = True
    sorting: bool = True
    pagination: bool = True
    field_selection: bool = True
    base_uri: str | None = None


class MalformedPage(Invalid):
    """Paging or order that cannot be read at all; answered like an unknown route."""


class NotAFilter(Invalid):
    def __init__(self) -> None:
        super().__init__("One or more arguments are either duplicate or invalid")


@dataclass(frozen=True)
class Condition:
    """SQL over `s`, the row that a list is made of, and what its placeholders stand for."""

    sql: str
    parameters: Sequence[object] = ()


@dataclass(frozen=True)
class Key:
    """One key of an order. Like the reference's store, nothing comes before something."""

    name: str
    descending: bool = False

    def sql(self, columns: Mapping[str, Column]) -> str:
        """Where nothing can be missing nothing is said of it, so that an index may give the order."""
        column = columns[self.name]
        if column.never_null:
            return f"{column.sql} {'DESC' if self.descending else 'ASC'}"
        return f"{column.sql} {'DESC NULLS LAST' if self.descending else 'ASC NULLS FIRST'}"


@dataclass(frozen=True)
class Page:
    """The part of a list that is asked for.

    limit     None for no limit
    order     as it was asked for, without the keys that break ties
    said      the query arguments that links repeat
    linked    whether a list says where its neighbours are
    """

    limit: int | None
    marker: str | None = None
    backwards: bool = False
    order: Sequence[Key] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    linked: bool = True

    def full_order(self, ties: Sequence[str]) -> Sequence[Key]:
        """ties: the keys that order what is equal otherwise"""
        named = {key.name for key in self.order}
        return [*self.order, *(Key(name) for name in ties if name not in named)]

    def links(self, url: str, markers: Sequence[object]) -> list[dict[str, str]] | None:
        """Previous before next; a full last page has a next link that leads to an empty one.

        markers  of the rows of the page
        """
        if not self.linked:
            return None
        if not markers:
            return []
        links = []
        if self.marker is not None:
            links.append({"rel": "previous", "href": self._href(url, markers[0], page_reverse="True")})
        if self.limit is not None and len(markers) == self.limit:
            links.append({"rel": "next", "href": self._href(url, markers[-1])})
        return links

    def _href(self, url: str, marker: object, **more: str) -> str:
        limit = {} if self.limit is None else {"limit": str(self.limit)}
        return f"{url}?{urlencode({**limit, **self.said, 'marker': str(marker), **more}, safe=':,')}"


def page_of(params: Params, rules: ListRules) -> Page:
    """Raises MalformedPage. Keys are looked up when the list is made, since a show ignores them."""
    sorts = ("sort", "sort_key", "sort_dir") if rules.sorting else ()
    said = {name: _one(params, name) for name in sorts if name in params}
    order = tuple(_order(said))
    if not rules.pagination:
        return Page(None, order=order, linked=False)
    return Page(
        limit=_limit(params, rules.largest_page),
        marker=_one(params, "marker") if "marker" in params else None,
        backwards=params.get("page_reverse") == "True",
        order=order,
        said=said,
    )


def _one(params: Params, name: str) -> str:
    value = params[name]
    if isinstance(value, str):
        return value
    raise MalformedPage(f"The argument '{name}' is given more than once.")


def _limit(params: Params, largest: int | None) -> int | None:
    if "limit" not in params:
        return largest
    said = _one(params, "limit")
    try:
        limit = 0 if said == "infinite" else int(said)
    except ValueError:
        raise MalformedPage(f"Supplied pagination limit '{said}' is not valid.") from None
    if limit <= 0:
        return None
    return limit if largest is None else min(limit, largest)


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


def require_known_keys(order: Sequence[Key], columns: Mapping[str, Column]) -> None:
    """Raises Invalid."""
    for key in order:
        if key.name not in columns:
            raise Invalid(f"Supplied sort key '{key.name}' is not valid.")


def conditions(params: Params, columns: Mapping[str, Column], *, tagged: bool) -> list[Condition]:
    """The filters, all of which have to hold. Raises NotAFilter.

    tagged  whether what is listed has tags
    """
    found: list[Condition] = []
    for name, value in params.items():
        if name in _RESERVED:
            continue
        if tagged and name in _TAG_CONDITIONS:
            found.append(Condition(_TAG_CONDITIONS[name], [_tags(value)]))
        elif name in columns and isinstance(value, str):
            found.append(equal(columns[name], value))
        else:
            raise NotAFilter
    return found


def _tags(value: str | list[str]) -> list[str]:
    """A comma list, repetition, or both."""
    said = ",".join([value] if isinstance(value, str) else value)
    return [tag for tag in said.replace("\0", "").split(",") if tag]


def equal(column: Column, value: str) -> Condition:
    try:
        return Condition(f"{column.sql} = %s", [column.read(value)])
    except ValueError:
        return Condition("false")


def beyond(order: Sequence[Key], columns: Mapping[str, Column], marker: Sequence[Any], *, backwards: bool) -> Condition:
    """Holds for the rows after the marker's row, or before it, whose values for the order's keys these are."""
    larger = [key.descending == backwards for key in order]
    if len(set(larger)) == 1 and all(columns[key.name].never_null for key in order):
        return _beyond_as_a_row([columns[key.name].sql for key in order], marker, larger=larger[0])
    alternatives: list[str] = []
    parameters: list[object] = []
    same: list[str] = []
    for place, (key, value) in enumerate(zip(order, marker, strict=True)):
        further = _further(columns[key.name].sql, value, larger=larger[place])
        alternatives.append(f"({' AND '.join([*same, further.sql])})")
        parameters += [*marker[:place], *further.parameters]
        same.append(f"{columns[key.name].sql} IS NOT DISTINCT FROM %s")
    condition = Condition(f"({' OR '.join(alternatives)})", parameters)
    first = columns[order[0].name]
    if not first.never_null:
        return condition
    bound = f"{first.sql} {'>=' if larger[0] else '<='} %s"  # says nothing new, but an index understands it
    return Condition(f"{bound} AND {condition.sql}", [marker[0], *parameters])


def _beyond_as_a_row(keys: Sequence[str], marker: Sequence[object], *, larger: bool) -> Condition:
    """In this form an index leads to the page, however far it is from the beginning."""
    places = ", ".join(["%s"] * len(keys))
    return Condition(f"({', '.join(keys)}) {'>' if larger else '<'} ({places})", marker)


def _further(sql: str, value: object, *, larger: bool) -> Condition:
    """Null counts as smaller than everything."""
    if larger:
        return Condition(f"{sql} IS NOT NULL") if value is None else Condition(f"{sql} > %s", [value])
    return Condition("false") if value is None else Condition(f"({sql} < %s OR {sql} IS NULL)", [value])


def only(shown: dict[str, object], names: str | list[str] | None) -> dict[str, object]:
    """The attributes named by `fields`, each argument one name; the tenant's id goes with the project's."""
    if names is None:
        return shown
    wanted = {names} if isinstance(names, str) else set(names)
    if "project_id" not in wanted:
        wanted.discard("tenant_id")
    return {name: value for name, value in shown.items() if name in wanted}
