"""A stored sample of every event replays: what was written once is read for ever.

`python -m tests.domain.test_events` writes samples that are missing. One that is there is never written again: it is
what operators have in their logs. Once a field was added to an event, its sample goes into a folder named after the
release that wrote it, and a new one takes its place.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import StoredEvent
from eventsourcing.utils import get_topic, resolve_topic

from domain.amphora import Amphora
from domain.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneProfile,
    AvailabilityZoneProfileSettings,
    AvailabilityZoneSettings,
)
from domain.control import Control, Fault
from domain.fields import OperatingStatus, Position, ProvisioningStatus
from domain.flavor import Flavor, FlavorProfile, FlavorProfileSettings, FlavorSettings
from domain.health import FailoverGuard, LoadBalancerHealth
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.parked_stream import ParkedStream
from domain.pool import SessionPersistence, SessionPersistenceType
from domain.progress import Kind
from domain.quota import Quota
from domain.tls import ClientAuthentication
from domain.vip import AdditionalVip
from infra.log_level import LEVEL, version_to_write
from infra.transcoding import EventMapper, newest_version
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    a_vip,
    an_l7_policy,
    an_l7_rule,
)

SAMPLES = Path(__file__).parents[1] / "golden/events"
OLDER = {"first": SAMPLES / "first"}
"""Release -> samples of the events as it wrote them."""
DOCUMENTED = Path(__file__).parents[2] / "docs/events.md"
CATALOGUE: tuple[type[Aggregate], ...] = (Flavor, FlavorProfile, AvailabilityZone, AvailabilityZoneProfile)
AGGREGATES: tuple[type[Aggregate], ...] = (
    *(LoadBalancer, Amphora, LoadBalancerHealth, FailoverGuard, Quota, ParkedStream, Control),
    *CATALOGUE,
)
ABSTRACT = {"Event", "Revised", "TreeChanged", "Snapshot"}
MAPPER = EventMapper()


def event_classes() -> list[type[Any]]:
    """Every event that can be recorded, by the aggregate's own definition."""
    nested = (value for aggregate in AGGREGATES for name, value in vars(aggregate).items() if name not in ABSTRACT)
    return [value for value in nested if isinstance(value, type) and issubclass(value, Aggregate.Event)]


def file_of(event_class: type[Any], version: int, samples: Path = SAMPLES) -> Path:
    return samples / f"{event_class.TOPIC}.v{version}.json"


def newest_sample(event_class: type[Any], samples: Path) -> Path | None:
    """None where a release did not have this event yet."""
    files = (file_of(event_class, version, samples) for version in range(newest_version(event_class), 0, -1))
    return next((file for file in files if file.exists()), None)


def mapper_that_wrote(sample: Path) -> EventMapper:
    """As at the level at which this version of the event was written."""
    name, _, version = sample.stem.rpartition(".v")
    newest = newest_version(resolve_topic(name))
    mapper = EventMapper()
    mapper.level = max(n for n in range(1, LEVEL + 1) if version_to_write(name, newest, n) == int(version))
    return mapper


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
    document = json.loads(file_of(event_class, newest_version(event_class)).read_text())

    assert document["topic"] == get_topic(event_class)
    assert {field.name for field in fields(event_class)} - {"originator_id", "originator_version"} <= set(
        document["state"]
    )


@pytest.mark.parametrize("sample", sorted(SAMPLES.glob("*.json")), ids=lambda sample: sample.stem)
def test_sample_is_read_and_written_again_as_it_was(sample: Path) -> None:
    mapper = mapper_that_wrote(sample)
    event = mapper.to_domain_event(stored(sample))

    again = mapper.to_stored_event(event)

    assert json.loads(again.state) == json.loads(sample.read_text())["state"]


@pytest.mark.parametrize(
    "sample",
    [sample for samples in OLDER.values() for sample in sorted(samples.glob("*.json"))],
    ids=lambda sample: f"{sample.parent.name}-{sample.stem}",
)
def test_older_sample_is_read_and_nothing_of_it_is_lost(sample: Path) -> None:
    mapper = mapper_that_wrote(sample)
    event = mapper.to_domain_event(stored(sample))

    again = mapper.to_stored_event(event)

    assert is_within(json.loads(sample.read_text())["state"], json.loads(again.state))
    assert {field.name for field in fields(event)} <= vars(event).keys()  # type: ignore[arg-type]


def is_within(older: Any, newer: Any) -> bool:
    """Whether a JSON value says all that an older one said; objects may have more keys."""
    if isinstance(older, dict) and isinstance(newer, dict):
        return all(key in newer and is_within(value, newer[key]) for key, value in older.items())
    if isinstance(older, list) and isinstance(newer, list):
        return len(older) == len(newer) and all(map(is_within, older, newer))
    return bool(older == newer)


@pytest.mark.parametrize("aggregate", AGGREGATES, ids=lambda aggregate: aggregate.__name__)
@pytest.mark.parametrize("samples", [SAMPLES, *OLDER.values()], ids=["now", *OLDER])
def test_samples_of_an_aggregate_replay(aggregate: type[Aggregate], samples: Path) -> None:
    """Those of the stream that begins with its creation; one of another stream goes on from the same beginning."""
    files = [newest_sample(each, samples) for each in event_classes() if _belongs(each, aggregate)]
    mine: list[Any] = [MAPPER.to_domain_event(stored(file)) for file in files if file is not None]
    if not mine:
        assert samples != SAMPLES, "an aggregate of a later release"
        return
    created = next(event for event in mine if event.originator_version == 1)
    main = sorted((e for e in mine if e.originator_id == created.originator_id), key=lambda e: e.originator_version)
    others = [event for event in mine if event.originator_id != created.originator_id]

    replayed = [_replay(main)]
    for other in others:
        beginning = [event for event in main if event.originator_version < other.originator_version]
        replayed.append(_replay([replace(event, originator_id=other.originator_id) for event in (*beginning, other)]))

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
    more = (AdditionalVip(subnet_id=UUID(int=0x52), ip_address="2001:db8::7", port_id=UUID(int=0x50)),)
    it = a_load_balancer(
        UUID(int=1),
        vip=a_vip(port_id=UUID(int=0x50), additional=more),
        amphora_ids=(first,),
        flavor_id=UUID(int=0xF1),
        availability_zone="forum",
    )
    it.change(LoadBalancerSettings(name="annals", description="of the city", tags=("history",)))
    cookie = SessionPersistence(type=SessionPersistenceType.APP_COOKIE, cookie_name="reader")
    listener = a_listener(
        name="https",
        protocol="TERMINATED_HTTPS",
        insert_headers={"X-Forwarded-For": "true"},
        allowed_cidrs=("127.0.0.0/8",),
        default_tls_container_ref="ref/own",
        sni_container_refs=("ref/other",),
        client_ca_tls_container_ref="ref/authority",
        client_authentication=ClientAuthentication.OPTIONAL,
        tls_versions=("TLSv1.2", "TLSv1.3"),
        hsts_max_age=60,
    )
    pool = a_pool(name="books", session_persistence=cookie, tls_enabled=True, ca_tls_container_ref="ref/authority")
    it.add_listener(listener)
    it.change_listener(listener)
    it.add_pool(pool, listener.id)
    it.change_pool(pool)
    member = a_member(pool, name="one", tags=("shelf",))
    it.replace_members(pool.id, Batch(added=(member,)))
    _with_policies(it, listener)
    it.set_statuses({pool.id: ProvisioningStatus.ERROR}, deleted=[member.id])
    it.release_statuses()
    monitor = a_health_monitor(pool)
    it.add_health_monitor(monitor)
    it.change_health_monitor(monitor)
    it.configuration_is_refused(first, it.revision, {monitor.id: "timer overflow"})
    it.configuration_is_applied(first, it.revision, "0" * 64, [monitor.id])
    it.remove_health_monitor(monitor.id)
    it.remove_pool(pool.id)
    it.remove_listener(listener.id)
    it.deadline_is_reached(it.modified_on + timedelta(hours=1), timedelta(seconds=60), "push", "no answer")
    it.request_failover()
    it.replace_amphora(first, second, "failover was asked for")
    it.amphora_has_failed(second, "boot", "no host")
    it.delete(cascade=True)
    it.deletion_is_overdue("release the VIP", "no answer")
    it.amphora_is_gone(second)
    it.deletion_is_complete()
    yield it


def _repaired() -> Iterator[Aggregate]:
    it = a_load_balancer(UUID(int=2), amphora_ids=(UUID(int=0xA1),))
    it.request_repair("its amphora was rebooted by hand")
    it.delete(cascade=False)
    it.request_repair("the host of its amphora is gone")
    yield it


def _with_policies(it: LoadBalancer, listener: Listener) -> None:
    elsewhere = {"action": "REDIRECT_TO_URL", "redirect_url": "https://example.org/", "redirect_http_code": 301}
    policy = an_l7_policy(listener, name="elsewhere", **elsewhere)
    it.add_l7_policy(policy)
    it.change_l7_policy(replace(policy, redirect_http_code=302))
    rule = an_l7_rule(policy, tags=("shelf",))
    it.add_l7_rule(rule)
    it.change_l7_rule(replace(rule, invert=True))
    it.remove_l7_rule(policy.id, rule.id)
    it.remove_l7_policy(policy.id)


def _amphorae() -> Iterator[Aggregate]:
    """Some are reached by no single amphora, so there are three: one serves, two fail."""
    for number in (0xA1, 0xA2, 0xA3):
        it = Amphora.request(UUID(int=number), load_balancer_id=UUID(int=1), replaces=UUID(int=0xA0))
        it.booted("compute", datetime(2027, 1, 1, tzinfo=UTC))
        if number == 0xA1:
            it.became_reachable("127.17.0.5", "2.6.12")
            it.vip_plugged("127.20.0.8")
            it.entered_service()
            it.request_agent_configuration()
            it.agent_is_configured()
            it.agent_is_not_configured("no answer")
            it.left_service("silent")
            it.removed()
        else:
            it.failed("booting", "no host")
            it.request_removal()
            it.removal_is_overdue("no answer")
        yield it


def _health() -> Iterator[Aggregate]:
    it = LoadBalancerHealth.begin(UUID(int=1))
    it.measured({UUID(int=2): OperatingStatus.ONLINE, UUID(int=3): OperatingStatus.ERROR})
    yield it
    guard = FailoverGuard.set_up()
    guard.suspend(silent=5, in_service=20)
    guard.resume()
    yield guard


def _parked() -> Iterator[Aggregate]:
    reason = "ValueError: no such listener"
    it = ParkedStream.of(consumer="processes", stream_id=UUID(int=1), position=Position(7), reason=reason)
    it.request_retry("the new release knows it")
    it.park(Position(9), "ValueError: no such pool")
    it.request_skip("the pool is gone anyway")
    it.release()
    yield it


def _control() -> Iterator[Aggregate]:
    it = Control.set_up()
    it.set_hold(True)
    it.set_fault(Fault(error="DriverError", provider="noop", method="pool_create"))
    it.prepare_network({"subnets": [{"id": "vip-subnet", "cidr": "127.20.0.0/16"}]})
    it.override({"max_unapplied_changes": 1})
    it.report_statistics(({"listener_id": str(UUID(int=2)), "bytes_in": 7},))
    it.report_amphora(UUID(int=0xA1), {"status": "DELETED"})
    it.reset()
    yield it


def _quotas() -> Iterator[Aggregate]:
    quota = Quota.of("p")
    quota.change({Kind.LISTENER: 5})
    quota.reset()
    yield quota


def _catalogue() -> Iterator[Aggregate]:
    flavor_profile = FlavorProfileSettings(name="one", provider_name="amphora", flavor_data="{}")
    zone_profile = AvailabilityZoneProfileSettings(name="here", provider_name="amphora", availability_zone_data="{}")
    made: list[tuple[Any, Any]] = [
        (FlavorProfile, flavor_profile),
        (Flavor, FlavorSettings(name="small", description="one amphora", flavor_profile_id=UUID(int=0xF0))),
        (AvailabilityZoneProfile, zone_profile),
        (AvailabilityZone, AvailabilityZoneSettings(name="forum", availability_zone_profile_id=UUID(int=0x20))),
    ]
    for number, (kind, settings) in enumerate(made):
        it = kind.create(UUID(int=0xF0 + number), settings)
        it.change(replace(settings, **_another(settings)))
        it.delete()
        yield it


def _another(settings: Any) -> dict[str, str]:
    return {"description": "another"} if hasattr(settings, "description") else {"name": "another"}


def _write(aggregates: Iterable[Aggregate]) -> None:
    for event in (event for aggregate in aggregates for event in aggregate.pending_events):
        found, file = MAPPER.to_stored_event(event), file_of(type(event), newest_version(type(event)))
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
    serving = (_load_balancers(), _repaired(), _amphorae(), _health())
    for histories in (*serving, _parked(), _quotas(), _catalogue(), _control()):
        _write(histories)
