"""What subscribers may rely on: a JSON Schema of each event, made from its class, in a file that only grows.

A file describes one version of one event as it is stored and published: `docs/schemas/<name>.v<version>.json`. Whatever
would surprise a reader of that file needs a new version (infra/schema_changes.py says what that is).
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
from eventsourcing.domain import Aggregate
from eventsourcing.utils import get_topic

from infra.schema_changes import surprises
from infra.transcoding import AGGREGATES, newest_version, shape_of

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REF = "#/$defs/{name}"
_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]
_WITH_A_ZONE: Mapping[Any, Any] = {datetime: _AWARE, datetime | None: _AWARE | None}


class Incompatible(Exception):
    """A change that somebody who reads the events would not survive."""

    def __init__(self, name: str, found: Sequence[str]) -> None:
        super().__init__(f"{name}: {'; '.join(found)}. Raise its class_version, and say how the older one is read")


def event_classes() -> list[type]:
    """All events that can be recorded. A class that others go on from only says what these have in common."""
    nested = [value for aggregate in AGGREGATES for value in vars(aggregate).values() if inspect.isclass(value)]
    events = [each for each in nested if issubclass(each, Aggregate.Event) and _has_a_name(each)]
    return [each for each in events if not any(other is not each and issubclass(other, each) for other in events)]


def _has_a_name(event_class: type) -> bool:
    """Of its own: the library makes a class, with the name of another, where an aggregate has none called `Created`."""
    named = next(each for each in event_class.__mro__ if "TOPIC" in vars(each))
    return named.__name__ == event_class.__name__


def name_of(event_class: type) -> str:
    """As its file is called."""
    return f"{get_topic(event_class)}.v{newest_version(event_class)}"


def schema_of(event_class: type) -> Schema:
    """Of the newest version of an event, as the value of a message holds it."""
    topic, version = get_topic(event_class), newest_version(event_class)
    shape = {name: _WITH_A_ZONE.get(kind, kind) for name, kind in shape_of(event_class).__annotations__.items()}
    found, components = _described(topic, shape)
    properties, required = dict(found["properties"]), set()
    for field in fields(event_class):
        if field.default is not MISSING:
            properties[field.name] = {**properties[field.name], "default": field.default}
        elif field.name in shape:
            required.add(field.name)
    if version > 1:
        properties["class_version"] = {"const": version}
        required.add("class_version")
    schema: Schema = {
        "$schema": _DRAFT,
        "$id": f"urn:tacitus:event:{topic}:{version}",
        "title": topic,
        "description": _words_of(event_class),
        "type": "object",
        "properties": dict(sorted(properties.items())),
        "required": sorted(required),
        "$defs": dict(sorted(components.items())),
    }
    as_read: Schema = json.loads(json.dumps({key: value for key, value in schema.items() if value not in ("", {})}))
    return as_read


def _words_of(event_class: type) -> str:
    """As they stand in the code; the library puts its own in their place in classes that it makes of ours."""
    written = [each for each in event_class.__mro__ if "TOPIC" in vars(each) and each.__name__ == event_class.__name__]
    words = [each.__doc__ for each in written if each.__doc__ and not each.__doc__.startswith(f"{each.__name__}(")]
    return inspect.cleandoc(words[0]) if words else ""


def _described(topic: str, shape: Mapping[str, Any]) -> tuple[Schema, dict[str, Schema]]:
    """The event itself, and the values that it is made of."""
    kind = TypedDict(topic, shape, total=False)  # type: ignore[misc]
    (itself,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    found = components.pop(itself["$ref"].rpartition("/")[2])
    return found, components


def current_schemas() -> dict[str, Schema]:
    """By the name of their file."""
    return {name_of(each): schema_of(each) for each in event_classes()}


def text_of(schema: Schema) -> str:
    return json.dumps(schema, indent=2) + "\n"


def read_schemas(directory: Path) -> dict[str, Schema]:
    return {file.stem: json.loads(file.read_text()) for file in sorted(directory.glob("*.json"))}


def write_schemas(directory: Path) -> list[Path]:
    """Files that are new or have grown; those of older versions stay. Raises Incompatible, and writes nothing then."""
    promised, current = read_schemas(directory), current_schemas()
    for name, schema in current.items():
        if name in promised and (found := surprises(promised[name], schema)):
            raise Incompatible(name, found)
    changed = [name for name, schema in current.items() if promised.get(name) != schema]
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for name in changed:
        files.append(directory / f"{name}.json")
        files[-1].write_text(text_of(current[name]))
    return files
