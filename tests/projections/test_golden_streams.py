"""Whole streams as releases wrote them: they replay, and give the rows that they gave then.

`python -m tests.projections.test_golden_streams` writes those of a level that has none yet. One that is there is never
written again. A line is an event as it is stored, the last line is what the rows were.
"""

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent

import projections.known  # noqa: F401 - registers what events write into rows
from infra.log_level import LEVEL
from infra.memory_rows import Tables, changed_tables
from infra.transcoding import EventMapper
from projections.rows import rows_of
from tests.domain.history import History
from tests.domain.test_events import (
    _amphorae,
    _catalogue,
    _control,
    _health,
    _load_balancers,
    _parked,
    _quotas,
    _repaired,
    is_within,
)
from tests.given import a_load_balancer

STREAMS = Path(__file__).parents[1] / "golden/streams"
SEEDS = (7, 8)

Documents = dict[str, list[Any]]
"""Table -> rows as JSON, in the order of their keys."""


def files() -> list[Path]:
    return sorted(STREAMS.glob("*.jsonl"))


def read(file: Path) -> tuple[list[StoredEvent], Documents]:
    *lines, rows = map(json.loads, file.read_text().splitlines())
    return [
        StoredEvent(UUID(line["id"]), line["version"], line["topic"], json.dumps(line["state"]).encode())
        for line in lines
    ], rows


def mapper_at(level: int) -> EventMapper:
    mapper = EventMapper()
    mapper.level = level
    return mapper


def documents_of(events: list[Any]) -> Documents:
    tables: Tables = {}
    for number, event in enumerate(events):
        tables = changed_tables(tables, rows_of(event), UUID(int=number))
    return {
        str(name): [
            json.loads(msgspec.json.encode(row, enc_hook=str))
            for _, row in sorted(rows.items(), key=lambda keyed: str(keyed[0]))
        ]
        for name, rows in sorted(tables.items())
        if rows
    }


@pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
def test_golden_stream_replays_to_its_last_event(file: Path) -> None:
    stored, _ = read(file)

    replayed = None
    for event in map(EventMapper().to_domain_event, stored):
        replayed = event.mutate(replayed)  # type: ignore[attr-defined]

    assert isinstance(replayed, Aggregate)
    assert replayed.version == stored[-1].originator_version


@pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
def test_golden_stream_gives_the_rows_that_it_gave(file: Path) -> None:
    """Rows may have more columns by now; what they said they say."""
    stored, rows = read(file)

    now = documents_of([EventMapper().to_domain_event(each) for each in stored])

    assert now.keys() == rows.keys()
    assert is_within(rows, now)


@pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
def test_golden_stream_is_written_as_it_was_at_its_level(file: Path) -> None:
    stored, _ = read(file)
    mapper = mapper_at(int(file.stem.partition("-")[0].removeprefix("level")))

    again = [mapper.to_stored_event(mapper.to_domain_event(each)) for each in stored]

    assert [json.loads(each.state) for each in again] == [json.loads(each.state) for each in stored]


def test_every_level_has_streams_with_what_changed_in_it() -> None:
    written = {int(file.stem.partition("-")[0].removeprefix("level")) for file in files()}
    removals = [event for file in files() for event in read(file)[0] if event.topic == "ListenerRemoved"]

    assert written == set(range(1, LEVEL + 1))
    assert {b'"below"' in event.state for event in removals} == {True, False}


# Writing them


def _streams() -> Iterator[tuple[str, Aggregate]]:
    for seed in SEEDS:
        history = History(Random(seed), load_balancer=a_load_balancer(amphora_ids=(uuid4(), uuid4())))
        history.run(steps=40)
        history.settle()
        yield f"load-balancer-{seed}", history.load_balancer
    for name, aggregates in [
        ("load-balancer", chain(_load_balancers(), _repaired())),
        ("amphora", _amphorae()),
        ("health", _health()),
        ("parked", _parked()),
        ("control", _control()),
        ("quota", _quotas()),
        ("catalogue", _catalogue()),
    ]:
        for number, aggregate in enumerate(aggregates):
            yield f"{name}-{chr(ord('a') + number)}", aggregate


def _write(file: Path, events: list[Any], mapper: EventMapper) -> None:
    stored = [mapper.to_stored_event(event) for event in events]
    lines: list[Any] = [
        {
            "id": str(each.originator_id),
            "version": each.originator_version,
            "topic": each.topic,
            "state": json.loads(each.state),
        }
        for each in stored
    ]
    rows = documents_of([mapper.to_domain_event(each) for each in stored])
    file.write_text("".join(json.dumps(line) + "\n" for line in [*lines, rows]))


if __name__ == "__main__":
    STREAMS.mkdir(parents=True, exist_ok=True)
    streams = [(name, list(aggregate.pending_events)) for name, aggregate in _streams()]
    for level in range(1, LEVEL + 1):
        if not list(STREAMS.glob(f"level{level}-*.jsonl")):
            for name, events in streams:
                _write(STREAMS / f"level{level}-{name}.jsonl", events, mapper_at(level))
