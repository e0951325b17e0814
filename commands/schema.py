"""JSON Schema of request bodies and of values in answers, from the annotations that parse the ones and hold the others.

It tells the plain spelling of a value; that numbers and truths are also read from text is left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum, IntEnum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec

from commands.body import Attribute, Parser, ReadBy
from commands.coercion import LARGEST_NUMBER, unfolded
from domain.fields import BY_DEPLOYMENT, CIDR, IP_ADDRESS, ONE_LINE, URL, URL_PATH, Between, Length, Matching, OnNull
from domain.health_monitor import HttpVersion

Schema = dict[str, Any]


def creation_schema(parser: Parser[Any], *, partly: bool = False) -> Schema:
    """What a creation may say. partly: nothing of it has to be there"""
    found = {each.name: _said_on_creation(each) for each in parser.of_creations}
    found |= {each.name: _empty(each) for each in parser.empty}
    required = [] if partly else [each.name for each in parser.of_creations if each.required]
    return object_schema(found, required)


def change_schema(parser: Parser[Any]) -> Schema:
    """What a change may say: of objects within it, too, only what is to change."""
    return object_schema({each.name: _said_on_change(each) for each in parser.of_changes})


def object_schema(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    """An object with these attributes and no others."""
    found: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    names = list(required)
    return {**found, "required": names} if names else found


def value_schema(hint: Any) -> Schema:
    """A value of this annotation in an answer."""
    kind, marks = unfolded(hint)
    schema = _of_type(kind, marks)
    on_null = [mark for mark in marks if isinstance(mark, OnNull)]
    may_be_null = _allows_none(hint) or any(None in (mark.post, mark.put) for mark in on_null)
    return or_null(schema) if may_be_null else schema


def values_schema(kind: type, *, without: Iterable[str] = ()) -> dict[str, Schema]:
    """The fields of a dataclass in an answer, by name."""
    hints = get_type_hints(kind, include_extras=True)
    names = [each.name for each in fields(kind) if each.name not in {*without}]
    return {name: value_schema(hints[name]) for name in names}


def or_null(schema: Schema) -> Schema:
    if "type" not in schema:
        return {"anyOf": [schema, {"type": "null"}]}
    found = {**schema, "type": [schema["type"], "null"]}
    return {**found, "enum": [*schema["enum"], None]} if "enum" in schema else found


# What is said of one attribute


def _said_on_creation(attribute: Attribute) -> Schema:
    schema = _of_hint(attribute.hint) if attribute.nested is None else creation_schema(attribute.nested)
    schema = or_null(schema) if attribute.null_on_post else schema
    return {**schema, **_default(attribute)}


def _said_on_change(attribute: Attribute) -> Schema:
    schema = _of_hint(attribute.hint) if attribute.nested is None else creation_schema(attribute.nested, partly=True)
    return or_null(schema) if attribute.null_on_put else schema


def _default(attribute: Attribute) -> Schema:
    """Nothing for what only a deployment knows."""
    _, marks = unfolded(attribute.hint)
    if attribute.default in (MISSING, None) or BY_DEPLOYMENT in marks:
        return {}
    return {"default": msgspec.to_builtins(attribute.default)}


def _empty(attribute: Attribute) -> Schema:
    limit = "maxItems" if attribute.hint is list else "maxProperties"
    return or_null({**_of_hint(attribute.hint), limit: 0})


def _of_hint(hint: Any) -> Schema:
    return _of_type(*unfolded(hint))


def _allows_none(hint: Any) -> bool:
    while hasattr(hint, "__metadata__"):
        hint = hint.__origin__
    return get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint)


# Types and marks


def _of_type(kind: Any, marks: Iterable[object]) -> Schema:
    schema = dict(_plain(kind))
    for mark in marks:
        schema |= _marked(mark, schema)
    return schema


_SCALARS: Mapping[Any, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    list: {"type": "array"},
    dict: {"type": "object"},
    UUID: {"type": "string", "format": "uuid"},
    HttpVersion: {"type": "number", "enum": [float(each) for each in HttpVersion]},
}


def _plain(kind: Any) -> Schema:
    origin = get_origin(kind)
    if origin is tuple:
        return {"type": "array", "items": value_schema(get_args(kind)[0])}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": value_schema(get_args(kind)[1])}
    if kind in _SCALARS:
        return _SCALARS[kind]
    if is_dataclass(kind):
        properties = values_schema(kind)  # type: ignore[arg-type]
        return object_schema(properties, properties)
    if issubclass(kind, Enum):
        type = "integer" if issubclass(kind, IntEnum) else "string"
        return {"type": type, "enum": [each.value for each in kind]}
    raise TypeError(f"no attribute can hold {kind}")


_MARKED: Mapping[object, Schema] = {
    IP_ADDRESS: {"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    CIDR: {"description": "An IPv4 or IPv6 network"},
    URL_PATH: {"pattern": r"^/", "maxLength": 255},
    URL: {"pattern": r"^[hH][tT][tT][pP][sS]?://"},
    ONE_LINE: {"pattern": r"^[^\r\n]*$"},
}


def _marked(mark: object, schema: Schema) -> Schema:
    """What a mark says of something that is described so far."""
    match mark:
        case Between(low, high):
            return {"minimum": low, "maximum": LARGEST_NUMBER if high is None else high}
        case Length(high, low):
            return {"maxLength": high} | ({"minLength": low} if low else {})
        case Matching(pattern):
            return {"pattern": pattern}
        case ReadBy(parser, partly):
            inner = creation_schema(parser, partly=partly)
            return {"items": inner} if schema["type"] == "array" else inner
        case _:
            return _MARKED.get(mark, {})
