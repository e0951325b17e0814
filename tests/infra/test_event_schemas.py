"""What subscribers were promised: schemas are those of the classes, and no change takes anything back.

`tacitus events schemas --directory docs/schemas` writes them, and refuses to break a promise.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import make_dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.utils import get_topic, resolve_topic

from infra import event_schemas
from infra.cli import main
from infra.event_schemas import Incompatible, current_schemas, event_classes, read_schemas, schema_of, write_schemas
from infra.log_level import LEVEL, WRITTEN_FROM
from infra.schema_changes import surprises
from infra.transcoding import newest_version
from tests.domain.test_events import SAMPLES
from tests.infra.json_schema import faults

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs/schemas"
PROMISED = ROOT / "tests/golden/schemas"
"""As they were when a release first had them. They are never written again."""


@pytest.mark.parametrize("event_class", event_classes(), ids=get_topic)
def test_committed_schema_is_that_of_the_class(event_class: type) -> None:
    """If it is not: `tacitus events schemas --directory docs/schemas`."""
    file = SCHEMAS / f"{event_schemas.name_of(event_class)}.json"

    assert json.loads(file.read_text()) == schema_of(event_class)


def test_every_version_of_every_event_has_a_schema_and_nothing_else_has() -> None:
    wanted = {
        f"{get_topic(each)}.v{version}" for each in event_classes() for version in range(1, newest_version(each) + 1)
    }

    assert read_schemas(SCHEMAS).keys() == wanted


def test_every_schema_is_promised() -> None:
    """Copy what is new into tests/golden/schemas."""
    assert read_schemas(PROMISED).keys() == read_schemas(SCHEMAS).keys()


@pytest.mark.parametrize("name", sorted(read_schemas(PROMISED)))
def test_no_promise_was_broken(name: str) -> None:
    assert surprises(read_schemas(PROMISED)[name], read_schemas(SCHEMAS)[name]) == []


@pytest.mark.parametrize(
    "sample", [*sorted(SAMPLES.glob("*.json")), *sorted(SAMPLES.glob("*/*.json"))], ids=lambda file: file.stem
)
def test_stored_sample_is_as_its_schema_says(sample: Path) -> None:
    """One that was written before a field came is, too: the field has a default."""
    state, schema = json.loads(sample.read_text())["state"], read_schemas(SCHEMAS)[sample.stem]

    assert faults(state, schema) == []


def test_every_newer_version_has_a_level_from_which_it_is_written() -> None:
    newer = {(get_topic(each), version) for each in event_classes() for version in range(2, newest_version(each) + 1)}

    assert newer <= WRITTEN_FROM.keys()
    assert max(WRITTEN_FROM.values()) == LEVEL
    for name, version in WRITTEN_FROM:
        assert newest_version(resolve_topic(name)) >= version


# Planted changes


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class MoreColours(StrEnum):
    RED = "red"
    GREEN = "green"
    BLUE = "blue"


class FewerColours(StrEnum):
    RED = "red"


Value = make_dataclass("Value", [("id", UUID), ("name", str)], frozen=True)
ShorterValue = make_dataclass("Value", [("id", UUID)], frozen=True)
LongerValue = make_dataclass("Value", [("id", UUID), ("name", str), ("age", int)], frozen=True)
OlderValue = make_dataclass("Value", [("id", UUID), ("name", str), ("age", int, 0)], frozen=True)


class Planted(Aggregate):
    TOPIC = "Planted"

    class Event(Aggregate.Event):
        TOPIC = "PlantedEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "PlantedCreated"
        colour: Colour
        size: int
        values: tuple[Value, ...]  # type: ignore[valid-type]
        note: str | None = None


_numbers = count()


def with_fields(without: str = "", default: object = None, **fields: Any) -> type:
    """The event with another set of fields; `default` is that of a new one."""
    kinds = {name: kind for name, kind in Planted.Created.__annotations__.items() if name != without} | fields
    body: dict[str, Any] = {"TOPIC": f"PlantedCreated{next(_numbers)}", "note": None}
    if default is not None:
        body |= dict.fromkeys(fields.keys() - Planted.Created.__annotations__.keys(), default)
    body["__annotations__"] = dict(sorted(kinds.items(), key=lambda field: field[0] in body))  # defaults come last
    return type("Created", (Planted.Event, Aggregate.Created), body)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        pytest.param(lambda: with_fields(without="size"), ["size is removed"], id="field removed"),
        pytest.param(lambda: with_fields(size=str), ["size was integer and is string"], id="other type"),
        pytest.param(
            lambda: with_fields(colour=FewerColours), ["colour is narrowed: green is gone"], id="word removed"
        ),
        pytest.param(lambda: with_fields(note=str), ["note is narrowed: it cannot be null any more"], id="no null"),
        pytest.param(
            lambda: with_fields(size=int | None),
            ["size is widened: it can be null, which nobody expects"],
            id="null where there was none",
        ),
        pytest.param(
            lambda: with_fields(age=int), ["age is new and has no default, and older events lack it"], id="no default"
        ),
        pytest.param(
            lambda: with_fields(values=tuple[ShorterValue, ...]), ["values[].name is removed"], id="removed below"
        ),
        pytest.param(
            lambda: with_fields(values=tuple[LongerValue, ...]),
            ["values[].age is new and has no default, and older events lack it"],
            id="no default below",
        ),
    ],
)
def test_incompatible_change_is_found(changed: Callable[[], type], found: list[str]) -> None:
    assert surprises(schema_of(Planted.Created), schema_of(changed())) == found


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(lambda: with_fields(), id="none"),
        pytest.param(lambda: with_fields(age=int, default=1), id="field with a default"),
        pytest.param(lambda: with_fields(values=tuple[OlderValue, ...]), id="the same below"),
        pytest.param(lambda: with_fields(colour=MoreColours), id="one more word"),
    ],
)
def test_compatible_change_is_let_through(changed: Callable[[], type]) -> None:
    assert surprises(schema_of(Planted.Created), schema_of(changed())) == []


def test_field_that_lost_its_default_is_found() -> None:
    older = schema_of(Planted.Created)
    newer = deepcopy(older)
    newer["required"].append("note")

    assert surprises(older, newer) == ["note has no default any more, and older events lack it"]


@pytest.mark.parametrize(
    ("limit", "before", "after", "is_found"),
    [("maxLength", 255, 64, True), ("maxLength", 64, 255, False), ("minimum", 0, 1, True), ("minimum", 1, 0, False)],
)
def test_limit_may_only_be_loosened(limit: str, before: int, after: int, is_found: bool) -> None:
    older, newer = ({"type": "object", "properties": {"x": {"type": "any", limit: n}}} for n in (before, after))

    assert bool(surprises(older, newer)) == is_found


def test_file_that_promises_something_else_is_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_schemas(tmp_path)
    file = tmp_path / "AmphoraBooted.v1.json"
    promised = json.loads(file.read_text())
    promised["properties"]["host"] = {"type": "string"}
    file.write_text(json.dumps(promised))

    with pytest.raises(SystemExit):
        main(["events", "schemas", "--directory", str(tmp_path)])

    assert "AmphoraBooted.v1: host is removed" in capsys.readouterr().err
    assert "host" in file.read_text()
    with pytest.raises(Incompatible):
        write_schemas(tmp_path)


def test_file_that_promises_less_is_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_schemas(tmp_path)
    file = tmp_path / "AmphoraBooted.v1.json"
    promised = json.loads(file.read_text())
    del promised["properties"]["certificate_expires_at"]
    file.write_text(json.dumps(promised))

    main(["events", "schemas", "--directory", str(tmp_path)])

    assert capsys.readouterr().out == f"{file}\n"
    assert read_schemas(tmp_path) == current_schemas()
