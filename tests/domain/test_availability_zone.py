"""Availability zones and their profiles."""

from dataclasses import replace
from uuid import uuid4

from domain.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneProfile,
    AvailabilityZoneProfileSettings,
    AvailabilityZoneSettings,
)

SETTINGS = AvailabilityZoneSettings(name="north", availability_zone_profile_id=uuid4())
PROFILE = AvailabilityZoneProfileSettings(name="p", provider_name="amphora", availability_zone_data="{}")


def test_zone_is_what_it_was_last_changed_to() -> None:
    zone = AvailabilityZone.create(uuid4(), SETTINGS)

    zone.change(replace(SETTINGS, description="beyond the wall"))

    assert zone.settings.description == "beyond the wall"
    assert [type(event) for event in zone.pending_events] == [AvailabilityZone.Created, AvailabilityZone.Changed]


def test_change_to_what_is_there_already_is_no_event() -> None:
    zone, profile = AvailabilityZone.create(uuid4(), SETTINGS), AvailabilityZoneProfile.create(uuid4(), PROFILE)

    zone.change(replace(SETTINGS))
    profile.change(replace(PROFILE))

    assert (len(zone.pending_events), len(profile.pending_events)) == (1, 1)


def test_what_was_deleted_knows_it() -> None:
    zone, profile = AvailabilityZone.create(uuid4(), SETTINGS), AvailabilityZoneProfile.create(uuid4(), PROFILE)

    zone.delete()
    profile.delete()

    assert (zone.deleted, profile.deleted) == (True, True)
