"""As much of JSON Schema as the schemas of events use, so that samples can be held against them."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

Schema = Mapping[str, Any]

_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_KNOWN = {
    *("$schema", "$id", "$defs", "$ref", "title", "description", "default"),
    *("type", "enum", "const", "anyOf", "format", "properties", "required", "items", "additionalProperties"),
    *("propertyNames", "maxLength", "minLength", "minimum", "maximum", "prefixItems", "minItems", "maxItems"),
}


def faults(value: Any, schema: Schema) -> list[str]:
    """What of a value is not as the schema says."""
    return list(_faults(value, schema, schema.get("$defs", {}), "it"))


def _faults(value: Any, schema: Schema, definitions: Schema, path: str) -> Iterator[str]:
    assert schema.keys() <= _KNOWN, f"{schema.keys() - _KNOWN} is not understood here"
    if "$ref" in schema:
        yield from _faults(value, definitions[schema["$ref"].rpartition("/")[2]], definitions, path)
    elif "anyOf" in schema:
        if all(list(_faults(value, each, definitions, path)) for each in schema["anyOf"]):
            yield f"{path} is none of the alternatives: {value}"
    elif "enum" in schema:
        if value not in schema["enum"]:
            yield f"{path} is none of the words: {value}"
    elif "const" in schema:
        if value != schema["const"]:
            yield f"{path} is not {schema['const']}: {value}"
    elif "type" in schema:
        yield from _faults_of_type(value, schema, definitions, path)


def _faults_of_type(value: Any, schema: Schema, definitions: Schema, path: str) -> Iterator[str]:
    is_odd_number = isinstance(value, bool) and schema["type"] != "boolean"
    if not isinstance(value, _TYPES[schema["type"]]) or is_odd_number:
        yield f"{path} is no {schema['type']}: {value}"
    elif isinstance(value, dict):
        yield from (f"{path} lacks {name}" for name in schema.get("required", ()) if name not in value)
        for name, each in value.items():
            inner = schema.get("properties", {}).get(name, schema.get("additionalProperties", {}))
            yield from _faults(each, inner or {}, definitions, f"{path}.{name}")
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _faults(each, schema.get("items", {}), definitions, f"{path}[{number}]")
    elif isinstance(value, str):
        yield from _faults_of_format(value, schema.get("format"), path)


def _faults_of_format(value: str, wanted: str | None, path: str) -> Iterator[str]:
    try:
        if wanted == "uuid":
            UUID(value)
        elif wanted == "date-time":
            assert datetime.fromisoformat(value).tzinfo is not None
    except (ValueError, AssertionError):
        yield f"{path} is no {wanted}: {value}"
