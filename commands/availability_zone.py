"""Making, changing and deleting availability zones and their profiles."""

from dataclasses import dataclass
from functools import partial
from typing import Protocol
from uuid import UUID

from commands.body import Parser
from commands.catalogue import EntryKind, Settings
from commands.ports import ProviderGate
from commands.profile import in_use
from domain.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneProfile,
    AvailabilityZoneProfileSettings,
    AvailabilityZoneSettings,
)
from domain.errors import Invalid, NameTaken


def _name_taken(settings: Settings) -> NameTaken:
    return NameTaken("availability zone", settings.name)


def _no_such_profile(settings: Settings) -> Invalid:
    return Invalid("Validation failure: Invalid availability_zone_profile_id.")


AVAILABILITY_ZONE = EntryKind(
    aggregate=AvailabilityZone,
    parser=Parser(AvailabilityZoneSettings, without=()),
    title="Availability Zone",
    rule="availability-zone",
    argument="availability_zone_",
    root="availability_zone",
    refusals={"availability_zones_name": _name_taken, "availability_zones_profile": _no_such_profile},
    in_use={"load_balancers_availability_zone": partial(in_use, "Availability Zone")},
)

_PROFILE = "Availability Zone Profile"
AVAILABILITY_ZONE_PROFILE = EntryKind(
    aggregate=AvailabilityZoneProfile,
    parser=Parser(AvailabilityZoneProfileSettings, without=()),
    title=_PROFILE,
    rule="availability-zone-profile",
    argument="availability_zone_profile_",
    root="availability_zone_profile",
    in_use={"availability_zones_profile": partial(in_use, _PROFILE)},
)


class AvailabilityZoneProfileUse(Protocol):
    def availability_zone_profile_is_used(self, id: UUID) -> bool: ...


@dataclass(frozen=True)
class AvailabilityZoneProfileRules:
    """What commands.profile.ProfileRules asks for."""

    providers: ProviderGate
    use: AvailabilityZoneProfileUse
    data: str = "availability_zone_data"
    data_if_wrong: str = "flavor_data"  # the reference's own mistake, which clients see
    deleted_title: str = _PROFILE

    def is_used(self, id: UUID) -> bool:
        return self.use.availability_zone_profile_is_used(id)

    def require_understood(self, provider: str, data: object) -> None:
        self.providers.require_zone_data(provider, data)
