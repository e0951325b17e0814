"""Events as JSON and back, by the types that their classes declare.

Unknown keys are ignored, wrong types refused. Event classes and their values are the only definition of what is stored.
"""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypedDict, cast, get_type_hints
from uuid import UUID

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import JSONTranscoder, Mapper, StoredEvent
from eventsourcing.utils import TopicError, get_topic, resolve_topic

from domain.amphora import Amphora
from domain.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from domain.control import Control
from domain.flavor import Flavor, FlavorProfile
from domain.health import FailoverGuard, LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.parked_stream import ParkedStream
from domain.quota import Quota
from infra.log_level import LEVEL, version_to_write
from processes.ports import ReleaseTooOld

# Importing an aggregate registers the names of its events: whoever reads the log needs all of them.
AGGREGATES = (
    Amphora,
    AvailabilityZone,
    AvailabilityZoneProfile,
    Control,
    FailoverGuard,
    Flavor,
    FlavorProfile,
    LoadBalancer,
    LoadBalancerHealth,
    ParkedStream,
    Quota,
)

_NOT_IN_STATE = {"originator_id", "originator_version"}


class NewerFormat(ReleaseTooOld):
    """An event was written by a newer release."""


class UnknownEvent(NewerFormat, TopicError):
    """An event of a kind that this release does not have."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"{topic} is an event that this release does not know")


class EventMapper(Mapper[UUID]):
    """Stores an event's own fields as JSON; originator and version have columns of their own.

    level  of the log: events are written in the newest format that it allows
    """

    def __init__(self) -> None:
        super().__init__(JSONTranscoder())
        self.level = LEVEL

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID]) -> StoredEvent:
        """Raises infra.log_level.LevelTooLow."""
        event_class = type(domain_event)
        state = {name: value for name, value in vars(domain_event).items() if name not in _NOT_IN_STATE}
        newest = newest_version(event_class)
        version = version_to_write(get_topic(event_class), newest, self.level)
        if version < newest:
            state = _downcast(event_class, msgspec.to_builtins(state, str_keys=True), newest, version)
        if version > 1:
            state["class_version"] = version
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=get_topic(event_class),
            state=msgspec.json.encode(state),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[UUID]:
        """Raises NewerFormat; msgspec.ValidationError or KeyError for what no release has written."""
        event_class = _class_of(stored_event.topic)
        state = _state_of(event_class, stored_event.state)
        event: DomainEventProtocol[UUID] = object.__new__(event_class)
        event.__dict__.update(
            {**_defaults_of(event_class), **state},
            originator_id=stored_event.originator_id,
            originator_version=stored_event.originator_version,
        )
        return event


def newest_version(event_class: type) -> int:
    """The version that its fields are of."""
    version: int = getattr(event_class, "class_version", 1)
    return version


def _class_of(topic: str) -> type:
    try:
        return cast(type, resolve_topic(topic))
    except TopicError as error:
        raise UnknownEvent(topic) from error


def _state_of(event_class: type, stored: bytes) -> Mapping[str, Any]:
    current = newest_version(event_class)
    if current == 1 and b'"class_version"' not in stored:
        state: Mapping[str, Any] = _decoder_of(event_class).decode(stored)
        return state
    return _upcast(event_class, msgspec.json.decode(stored), current)


def _upcast(event_class: type, raw: dict[str, Any], current: int) -> Mapping[str, Any]:
    written = raw.pop("class_version", 1)
    if written > current:
        raise NewerFormat(f"{get_topic(event_class)} has format {written}, this release reads up to {current}")
    for version in range(written, current):
        getattr(event_class, f"upcast_v{version}_v{version + 1}")(raw)
    state: Mapping[str, Any] = msgspec.convert(raw, shape_of(event_class), str_keys=True)
    return state


def _downcast(event_class: type, raw: dict[str, Any], newest: int, wanted: int) -> dict[str, Any]:
    for version in range(newest, wanted, -1):
        getattr(event_class, f"downcast_v{version}_v{version - 1}")(raw)
    return raw


@cache
def _defaults_of(event_class: type) -> dict[str, Any]:
    """Fields that came later: what they are for an event that was written without them."""
    return {field.name: field.default for field in fields(event_class) if field.default is not MISSING}


@cache
def _decoder_of(event_class: type) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape_of(event_class))


def _prepare_decoders() -> None:
    """All of them before there are threads: while msgspec learns a class, another thread that decodes it crashes."""
    for aggregate in AGGREGATES:
        for event_class in _events_below(aggregate.Event):
            _decoder_of(event_class)


def _events_below(event_class: type) -> Iterator[type]:
    below: list[type] = event_class.__subclasses__()
    for each in below:
        if is_dataclass(each):
            yield each
        yield from _events_below(each)


@cache
def shape_of(event_class: type) -> type[Any]:
    """What is stored of an event, by the types of its fields."""
    kinds = get_type_hints(event_class, include_extras=True)
    hints = {field.name: kinds[field.name] for field in fields(event_class) if field.name not in _NOT_IN_STATE}
    return TypedDict(event_class.__name__, hints, total=False)  # type: ignore[operator, no-any-return]


_prepare_decoders()
