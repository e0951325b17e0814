"""Availability zones: where operators offer load balancers, and the profiles that say what a provider makes of them."""

from dataclasses import dataclass
from typing import Annotated, Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from domain.fields import FIXED, NULL_REFUSED, Name
from domain.flavor import ProfileData


@dataclass(frozen=True, kw_only=True)
class AvailabilityZoneProfileSettings:
    """What a provider is told: `availability_zone_data` is JSON with keys of the provider's own."""

    name: Name
    provider_name: Name
    availability_zone_data: ProfileData


class AvailabilityZoneProfile(Aggregate):
    """What one provider is told for all zones that name this profile."""

    TOPIC = "AvailabilityZoneProfile"

    class Event(Aggregate.Event):
        """Anything that happened to an availability zone profile."""

        TOPIC = "AvailabilityZoneProfileEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "AvailabilityZoneProfileCreated"
        settings: AvailabilityZoneProfileSettings

    class Changed(Event):
        TOPIC = "AvailabilityZoneProfileChanged"
        settings: AvailabilityZoneProfileSettings

    class Deleted(Event):
        TOPIC = "AvailabilityZoneProfileDeleted"

    @classmethod
    def create(cls, id: UUID, settings: AvailabilityZoneProfileSettings) -> Self:
        return cls._create(cls.Created, id=id, settings=settings)

    @event(Created)
    def __init__(self, *, settings: AvailabilityZoneProfileSettings) -> None:
        self.settings = settings
        self.deleted = False

    def change(self, settings: AvailabilityZoneProfileSettings) -> None:
        """Whether it is in use is decided where both are known: by the rows, as it is stored."""
        if settings != self.settings:
            self._changed(settings=settings)

    @event(Changed)
    def _changed(self, settings: AvailabilityZoneProfileSettings) -> None:
        self.settings = settings

    def delete(self) -> None:
        """As for a change."""
        self._deleted()

    @event(Deleted)
    def _deleted(self) -> None:
        self.deleted = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """All values are immutable, so one level is enough for the copy that the repository makes."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin


@dataclass(frozen=True, kw_only=True)
class AvailabilityZoneSettings:
    """What users see of a zone, and the profile behind it. The name is unique, and what users know it by."""

    name: Annotated[Name, FIXED]
    description: Name = ""
    enabled: Annotated[bool, NULL_REFUSED] = True
    availability_zone_profile_id: Annotated[UUID, FIXED]


class AvailabilityZone(Aggregate):
    """A place for load balancers that users may choose."""

    TOPIC = "AvailabilityZone"

    class Event(Aggregate.Event):
        """Anything that happened to an availability zone."""

        TOPIC = "AvailabilityZoneEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "AvailabilityZoneCreated"
        settings: AvailabilityZoneSettings

    class Changed(Event):
        TOPIC = "AvailabilityZoneChanged"
        settings: AvailabilityZoneSettings

    class Deleted(Event):
        TOPIC = "AvailabilityZoneDeleted"

    @classmethod
    def create(cls, id: UUID, settings: AvailabilityZoneSettings) -> Self:
        return cls._create(cls.Created, id=id, settings=settings)

    @event(Created)
    def __init__(self, *, settings: AvailabilityZoneSettings) -> None:
        self.settings = settings
        self.deleted = False

    def change(self, settings: AvailabilityZoneSettings) -> None:
        if settings != self.settings:
            self._changed(settings=settings)

    @event(Changed)
    def _changed(self, settings: AvailabilityZoneSettings) -> None:
        self.settings = settings

    def delete(self) -> None:
        """Whether a load balancer has it is decided by the rows, as it is stored."""
        self._deleted()

    @event(Deleted)
    def _deleted(self) -> None:
        self.deleted = True

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """As of a profile."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin
