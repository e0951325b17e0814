"""Flavors: what operators offer as kinds of load balancers, and the profiles that say what a provider makes of them."""

from dataclasses import dataclass
from typing import Annotated, Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from domain.fields import FIXED, NULL_REFUSED, Length, Name

ProfileData = Annotated[str, Length(4_096)]
"""A JSON document as text, kept as it was written."""


@dataclass(frozen=True, kw_only=True)
class FlavorProfileSettings:
    """What a provider is told: `flavor_data` is JSON with keys of the provider's own."""

    name: Name
    provider_name: Name
    flavor_data: ProfileData


class FlavorProfile(Aggregate):
    """What one provider is told for all flavors that name this profile."""

    TOPIC = "FlavorProfile"

    class Event(Aggregate.Event):
        """Anything that happened to a flavor profile."""

        TOPIC = "FlavorProfileEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "FlavorProfileCreated"
        settings: FlavorProfileSettings

    class Changed(Event):
        TOPIC = "FlavorProfileChanged"
        settings: FlavorProfileSettings

    class Deleted(Event):
        TOPIC = "FlavorProfileDeleted"

    @classmethod
    def create(cls, id: UUID, settings: FlavorProfileSettings) -> Self:
        return cls._create(cls.Created, id=id, settings=settings)

    @event(Created)
    def __init__(self, *, settings: FlavorProfileSettings) -> None:
        self.settings = settings
        self.deleted = False

    def change(self, settings: FlavorProfileSettings) -> None:
        """Whether it is in use is decided where both are known: by the rows, as it is stored."""
        if settings != self.settings:
            self._changed(settings=settings)

    @event(Changed)
    def _changed(self, settings: FlavorProfileSettings) -> None:
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
class FlavorSettings:
    """What users see of a flavor, and the profile behind it. Names are unique."""

    name: Name
    description: Name = ""
    enabled: Annotated[bool, NULL_REFUSED] = True
    flavor_profile_id: Annotated[UUID, FIXED]


class Flavor(Aggregate):
    """A kind of load balancer that users may choose."""

    TOPIC = "Flavor"

    class Event(Aggregate.Event):
        """Anything that happened to a flavor."""

        TOPIC = "FlavorEvent"

    class Created(Event, Aggregate.Created):
        TOPIC = "FlavorCreated"
        settings: FlavorSettings

    class Changed(Event):
        TOPIC = "FlavorChanged"
        settings: FlavorSettings

    class Deleted(Event):
        TOPIC = "FlavorDeleted"

    @classmethod
    def create(cls, id: UUID, settings: FlavorSettings) -> Self:
        return cls._create(cls.Created, id=id, settings=settings)

    @event(Created)
    def __init__(self, *, settings: FlavorSettings) -> None:
        self.settings = settings
        self.deleted = False

    def change(self, settings: FlavorSettings) -> None:
        if settings != self.settings:
            self._changed(settings=settings)

    @event(Changed)
    def _changed(self, settings: FlavorSettings) -> None:
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
