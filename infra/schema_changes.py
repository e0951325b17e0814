"""What of a change to an event's schema would surprise somebody who reads events, old or new.

Whoever wrote down the older schema reads what the newer release writes, and the newer release reads what older ones
wrote. Both hold when fields only come, with a default, and words are only added to a list of words: readers are told to
ignore fields, and to expect words, that they do not know.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]

_NARROWER_WHEN_GREATER = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_NARROWER_WHEN_LESS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_FIXED = ("format", "pattern", "const")


def surprises(older: Schema, newer: Schema) -> list[str]:
    """In words, each with the field that it is about; none when the change is a compatible one."""
    return list(_Comparison(older, newer).of(older, newer, ""))


class _Comparison:
    def __init__(self, older: Schema, newer: Schema) -> None:
        self._older = older.get("$defs", {})
        self._newer = newer.get("$defs", {})
        self._compared: set[tuple[str, str]] = set()

    def of(self, older: Schema, newer: Schema, path: str) -> Iterator[str]:
        names = older.get("$ref", ""), newer.get("$ref", "")
        if all(names):
            if names in self._compared:
                return
            self._compared.add(names)
        older, newer = _resolved(older, self._older), _resolved(newer, self._newer)
        if "anyOf" in older or "anyOf" in newer:
            yield from self._alternatives(older, newer, path)
        elif "enum" in older and "enum" in newer:
            if gone := [word for word in older["enum"] if word not in newer["enum"]]:
                yield f"{path} is narrowed: {', '.join(map(str, gone))} is gone"
        elif _kind(older) != _kind(newer):
            yield f"{path} was {_kind(older)} and is {_kind(newer)}"
        else:
            yield from self._limits(older, newer, path)
            yield from self._parts(older, newer, path)

    def _alternatives(self, older: Schema, newer: Schema, path: str) -> Iterator[str]:
        before = {_kind(each): each for each in self._each(older, self._older)}
        after = {_kind(each): each for each in self._each(newer, self._newer)}
        for kind in before.keys() - after.keys():
            yield f"{path} is narrowed: it cannot be {kind} any more"
        for kind in after.keys() - before.keys():
            yield f"{path} is widened: it can be {kind}, which nobody expects"
        for kind in before.keys() & after.keys():
            yield from self.of(before[kind], after[kind], path)

    def _each(self, schema: Schema, definitions: Schema) -> list[Schema]:
        return [_resolved(each, definitions) for each in schema.get("anyOf", [schema])]

    def _limits(self, older: Schema, newer: Schema, path: str) -> Iterator[str]:
        for name in _FIXED:
            if older.get(name) != newer.get(name):
                yield f"{path} has another {name}: {newer.get(name)} in the place of {older.get(name)}"
        for name in _NARROWER_WHEN_GREATER:
            if newer.get(name, float("-inf")) > older.get(name, float("-inf")):
                yield f"{path} is narrowed: {name} is {newer[name]}"
        for name in _NARROWER_WHEN_LESS:
            if newer.get(name, float("inf")) < older.get(name, float("inf")):
                yield f"{path} is narrowed: {name} is {newer[name]}"

    def _parts(self, older: Schema, newer: Schema, path: str) -> Iterator[str]:
        yield from self._fields(older, newer, path)
        for name, mark in (("items", "[]"), ("additionalProperties", "{}"), ("propertyNames", " (its keys)")):
            before, after = older.get(name), newer.get(name)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                yield from self.of(before, after, path + mark)
            elif before != after:
                yield f"{path}{mark} was {before} and is {after}"
        for number, (before, after) in enumerate(
            zip(older.get("prefixItems", ()), newer.get("prefixItems", ()), strict=False)
        ):
            yield from self.of(before, after, f"{path}[{number}]")

    def _fields(self, older: Schema, newer: Schema, path: str) -> Iterator[str]:
        before, after = older.get("properties", {}), newer.get("properties", {})
        required_before, required_after = older.get("required", ()), newer.get("required", ())
        for name in before:
            at = f"{path}.{name}".lstrip(".")
            if name not in after:
                yield f"{at} is removed"
                continue
            yield from self.of(before[name], after[name], at)
            if name in required_after and name not in required_before:
                yield f"{at} has no default any more, and older events lack it"
        for name in after.keys() - before.keys():
            if name in required_after:
                yield f"{path}.{name}".lstrip(".") + " is new and has no default, and older events lack it"


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    while "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    return schema


def _kind(schema: Schema) -> str:
    """What tells alternatives apart."""
    if "enum" in schema:
        return "one of some words"
    if "const" in schema:
        return "a fixed value"
    return str(schema.get("type", "anything"))
