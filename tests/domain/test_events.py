"""A stored sample of every event replays: what was written once is read for ever.

`python -m tests.domain.test_events` writes samples that are missing. One that is there is never written again: it is
what operators have in their logs.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import get_topic

from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.health import FailoverGuard, LoadBalancerHealth
from domain.load_balancer import Batch, LoadBalancer, LoadBalancerSettings
from domain.pool import SessionPersistence, SessionPersistenceType
from infra.transcoding import EventMapper
from tests.given import a_health_monitor, a_listener, a_load_balancer, a_member, a_pool, a_vip

SAMPLES = Path(__file__).parents[1] / "golden/events"
DOCUMENTED = Path(__file__).parents[2] / "docs/events.md"
AGGREGATES: tuple[type[Aggregate], ...] = (LoadBalancer, Amphora, LoadBalancerHealth, FailoverGuard)
ABSTRACT = {"Event", "Revised", "TreeChanged", "Snapshot"}
MAPPER = EventMapper()


def event_classes() -> list[type[Any]]:
    """Every event that can be recorded, by the aggregate's own definition."""
    nested = (value for aggregate in AGGREGATES for name, value in vars(aggregate).items() if name not in ABSTRACT)
    return [value for value in nested if isinstance(value, type) and issubclass(value, Aggregate.Event)]


def file_of(event_class: type[Any]) -> Path:
    return SAMPLES / f"{event_class.TOPIC}.v{getattr(event_class, 'class_version', 1)}.json"


def stored(sample: Path) -> StoredEvent:
    document = json.loads(sample.read_text())
    return StoredEvent(
        originator_id=UUID(document["originator_id"]),
        originator_version=document["originator_version"],
        topic=document["topic"],
        state=json.dumps(document["state"]).encode(),
    )


@pytest.mark.parametrize("event_class", event_classes(), ids=lambda event_class: event_class.TOPIC)
def test_every_event_has_a_stored_sample_of_its_present_format(event_class: type[Any]) -> None:
    document = json.loads(file_of(event_class).read_text())

    assert document["topic"] == get_topic(event_class)
    assert {field.name for field in fields(event_class)} - {"originator_id", "originator_version"} <= set(
        document["state"]
    )


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda sample: sample.stem)
def test_sample_is_read_and_written_again_as_it_was(sample: Path) -> None:
    event = MAPPER.to_domain_event(stored(sample))

    again = MAPPER.to_stored_event(event)

    assert json.loads(again.state) == json.loads(sample.read_text())["state"]


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.__name__)
def test_samples_of_an_aggregate_replay(aggregate: type[Aggregate]) -> None:
    """Those of the stream that begins with its creation; one of another stream goes on from the same beginning."""
    mine = [MAPPER.to_domain_event(stored(file_of(each))) for each in event_classes() if _belongs(each, aggregate)]
    created = next(event for event in mine if event.originator_version == 1)
    main = sorted((e for e in mine if e.originator_id == created.originator_id), key=lambda e: e.originator_version)
    others = [event for event in mine if event.originator_id != created.originator_id]

    replayed = [_replay(main)]
    for other in others:
        beginning = [event for event in main if event.originator_version < other.originator_version]
        replayed.append(_replay([replace(event, originator_id=other.originator_id) for event in (*beginning, other)]))  # type: ignore[type-var]

    assert all(isinstance(each, aggregate) for each in replayed)


def _replay(events: Iterable[Any]) -> object:
    replayed = None
    for event in events:
        replayed = event.mutate(replayed)
    return replayed


def test_every_stored_name_is_given_once() -> None:
    topics = [event_class.TOPIC for event_class in event_classes()]

    assert len(set(topics)) == len(topics)


@pytest.mark.parametrize("event_class", event_classes(), ids=lambda event_class: event_class.TOPIC)
def test_every_event_is_documented_with_its_fields(event_class: type[Any]) -> None:
    lines = [line for line in DOCUMENTED.read_text().splitlines() if line.startswith(f"| `{event_class.TOPIC}` |")]
    common = {field.name for field in fields(Aggregate.Created)}
    own = {field.name for field in fields(event_class)} - common

    assert len(lines) == 1
    assert {name for name in own if f"`{name}`" not in lines[0]} == set()


def _belongs(event_class: type[Any], aggregate: type[Aggregate]) -> bool:
    return event_class in vars(aggregate).values()


# Writing samples: short histories in which each event happens once


def _load_balancers() -> Iterator[Aggregate]:
    first, second = UUID(int=0xA1), UUID(int=0xA2)
    it = a_load_balancer(UUID(int=1), vip=a_vip(), amphora_ids=(first,))
    it.change(LoadBalancerSettings(name="annals", description="of the city", tags=("history",)))
    cookie = SessionPersistence(type=SessionPersistenceType.APP_COOKIE, cookie_name="reader")
    listener, pool = (
        a_listener(name="http", insert_headers={"X-Forwarded-For": "true"}),
        a_pool(name="books", session_persistence=cookie),
    )
    it.add_listener(listener)
    it.change_listener(listener)
    it.add_pool(pool, listener.id)
    it.change_pool(pool)
    monitor = a_health_monitor(pool)
    it.replace_members(pool.id, Batch(added=(a_member(pool, name="one", tags=("shelf",)),)))
    it.add_health_monitor(monitor)
    it.change_health_monitor(monitor)
    it.configuration_is_refused(first, it.revision, {monitor.id: "timer overflow"})
    it.configuration_is_applied(first, it.revision, "0" * 64, [monitor.id])
    it.remove_health_monitor(monitor.id)
    it.remove_pool(pool.id)
    it.remove_listener(listener.id)
    it.deadline_is_reached(it.modified_on + timedelta(hours=1), timedelta(seconds=60), "push", "no answer")
    it.replace_amphora(first, second, "silent")
    it.amphora_has_failed(second, "boot", "no host")
    it.delete(cascade=True)
    it.deletion_is_overdue("release the VIP", "no answer")
    it.amphora_is_gone(second)
    it.deletion_is_complete()
    yield it


def _amphorae() -> Iterator[Aggregate]:
    """Some are reached by no single amphora, so there are two: one serves, one fails."""
    for number in (0xA1, 0xA2):
        it = Amphora.request(UUID(int=number), load_balancer_id=UUID(int=1), replaces=UUID(int=0xA0))
        it.booted("compute")
        if number == 0xA1:
            it.became_reachable("127.17.0.5", "2.6.12")
            it.vip_plugged()
            it.entered_service()
            it.left_service("silent")
            it.removed()
        else:
            it.failed("booting", "no host")
        yield it


def _health() -> Iterator[Aggregate]:
    it = LoadBalancerHealth.begin(UUID(int=1))
    it.measured({UUID(int=2): OperatingStatus.ONLINE, UUID(int=3): OperatingStatus.ERROR})
    yield it
    guard = FailoverGuard.set_up()
    guard.suspend(silent=5, in_service=20)
    guard.resume()
    yield guard


def _write(aggregates: Iterable[Aggregate]) -> None:
    for event in (event for aggregate in aggregates for event in aggregate.pending_events):
        found, file = MAPPER.to_stored_event(event), file_of(type(event))
        document = {
            "topic": found.topic,
            "originator_id": str(found.originator_id),
            "originator_version": found.originator_version,
            "state": json.loads(found.state),
        }
        if not file.exists():
            file.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    SAMPLES.mkdir(parents=True, exist_ok=True)
    for histories in (_load_balancers(), _amphorae(), _health()):
        _write(histories)
