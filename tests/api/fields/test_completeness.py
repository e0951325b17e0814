"""The tables name every attribute that a parser knows, so that a new one without its row fails."""

import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import pytest

import commands
from commands import availability_zone as zone
from commands import flavor, health_monitor, l7_policy, l7_rule, listener, load_balancer, member, pool, quota
from commands.body import Attribute, Parser, ReadBy
from commands.catalogue import EntryKind
from commands.coercion import unfolded
from tests.api.fields.field import Field, InGraph
from tests.api.fields.tables import FIELDS
from tests.api.fields.tree import KINDS

PARSERS: Mapping[str, Parser[Any]] = {
    "loadbalancer": load_balancer.PARSER,
    "listener": listener.PARSER,
    "pool": pool.PARSER,
    "member": member.PARSER,
    "healthmonitor": health_monitor.PARSER,
    "l7policy": l7_policy.PARSER,
    "rule": l7_rule.PARSER,
    "quota": quota.PARSER,
    "flavor": flavor.FLAVOR.parser,
    "flavorprofile": flavor.FLAVOR_PROFILE.parser,
    "availability_zone": zone.AVAILABILITY_ZONE.parser,
    "availability_zone_profile": zone.AVAILABILITY_ZONE_PROFILE.parser,
}
OF_KIND = {parser.kind: of for of, parser in PARSERS.items()}
IN_ROWS = {"additional_vips", "session_persistence"}
"""Whose attributes are in the values of one row each."""

each_kind = pytest.mark.parametrize("of", PARSERS)


def rows(of: str) -> list[Field]:
    return [field for field in FIELDS if field.of == of]


def names(attributes: list[Attribute]) -> set[str]:
    return {attribute.name for attribute in attributes}


def parser_within(attribute: Attribute) -> Parser[Any] | None:
    """Of the objects that an attribute holds."""
    marks = (mark.parser for mark in unfolded(attribute.hint)[1] if isinstance(mark, ReadBy))
    return attribute.nested or next(marks, None)


def parsers_below(parser: Parser[Any], path: str = "") -> Iterator[tuple[str, Parser[Any]]]:
    """Path and parser of all objects within an object."""
    for attribute in parser.of_creations:
        within = parser_within(attribute)
        if within is not None:
            here = f"{path}.{attribute.name}".lstrip(".")
            yield here, within
            yield from parsers_below(within, here)


IN_GRAPHS = [
    (path, parser)
    for path, parser in parsers_below(load_balancer.PARSER)
    if path.rsplit(".", maxsplit=1)[-1] not in IN_ROWS
]


@each_kind
def test_rows_are_the_attributes_of_a_creation(of: str) -> None:
    attributes = [*PARSERS[of].of_creations, *PARSERS[of].empty]

    assert {field.name for field in rows(of)} == names(attributes)


@each_kind
def test_rows_that_are_not_fixed_are_the_attributes_of_a_change(of: str) -> None:
    changeable = {field.name for field in rows(of) if not field.fixed}

    assert changeable == names(PARSERS[of].of_changes)
    assert changeable.isdisjoint(field.name for field in rows(of) if field.fixed)


@pytest.mark.parametrize(("path", "parser"), IN_GRAPHS, ids=[path for path, _ in IN_GRAPHS])
def test_rows_are_the_attributes_of_objects_in_a_graph(path: str, parser: Parser[Any]) -> None:
    """Those that hold objects in turn are parsers of their own."""
    holding = {attribute.name for attribute in parser.of_creations if parser_within(attribute)} - IN_ROWS
    same = {field.name for field in rows(OF_KIND[parser.kind]) if field.in_graph is InGraph.SAME}

    assert names(parser.of_creations) == same | holding
    assert not parser.empty


@pytest.mark.parametrize("of_name", [("loadbalancer", "additional_vips"), ("pool", "session_persistence")])
def test_values_of_a_row_name_the_attributes_of_the_objects_in_it(of_name: tuple[str, str]) -> None:
    of, name = of_name
    (attribute,) = (each for each in PARSERS[of].of_creations if each.name == name)
    within = parser_within(attribute)
    assert within is not None
    found = [field for field in rows(of) if field.name == name]

    good = {key for field in found for each in field.goods for key in keys_of(each.sent)}
    bad = {key for field in found for sent, _ in field.bad for key in keys_of(sent)}

    assert good == names(within.of_creations)
    assert names(within.of_creations) <= bad


def keys_of(sent: object) -> set[str]:
    """Of an object, or of the objects in a list."""
    entries = sent if isinstance(sent, list) else [sent]
    return {key for entry in entries if isinstance(entry, dict) for key in entry}


def test_tables_are_of_every_parser_there_is() -> None:
    modules = [import_module(f"commands.{each.name}") for each in pkgutil.iter_modules(commands.__path__)]
    values = [value for module in modules for value in vars(module).values()]
    parsers = [value for value in values if isinstance(value, Parser)]
    parsers += [value.parser for value in values if isinstance(value, EntryKind)]

    nested = {parser.kind for _, parser in parsers_below(load_balancer.PARSER)}
    assert {parser.kind for parser in parsers} - nested <= OF_KIND.keys()
    assert KINDS.keys() == PARSERS.keys() == {field.of for field in FIELDS}


def test_no_two_rows_have_the_same_name() -> None:
    ids = [field.id for field in FIELDS]

    assert len(ids) == len(set(ids))
