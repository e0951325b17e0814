"""Flavors and their profiles."""

from dataclasses import replace
from uuid import uuid4

from domain.flavor import Flavor, FlavorProfile, FlavorProfileSettings, FlavorSettings

SETTINGS = FlavorSettings(name="large", flavor_profile_id=uuid4())
PROFILE = FlavorProfileSettings(name="p", provider_name="amphora", flavor_data="{}")


def test_flavor_is_what_it_was_last_changed_to() -> None:
    flavor = Flavor.create(uuid4(), SETTINGS)

    flavor.change(replace(SETTINGS, enabled=False))

    assert not flavor.settings.enabled
    assert [type(event) for event in flavor.pending_events] == [Flavor.Created, Flavor.Changed]


def test_change_to_what_is_there_already_is_no_event() -> None:
    flavor, profile = Flavor.create(uuid4(), SETTINGS), FlavorProfile.create(uuid4(), PROFILE)

    flavor.change(replace(SETTINGS))
    profile.change(replace(PROFILE))

    assert (len(flavor.pending_events), len(profile.pending_events)) == (1, 1)


def test_data_of_a_profile_is_kept_as_it_was_written() -> None:
    profile = FlavorProfile.create(uuid4(), PROFILE)

    profile.change(replace(PROFILE, flavor_data='{ "compute_flavor" :  "x" }'))

    assert profile.settings.flavor_data == '{ "compute_flavor" :  "x" }'


def test_what_was_deleted_knows_it() -> None:
    flavor, profile = Flavor.create(uuid4(), SETTINGS), FlavorProfile.create(uuid4(), PROFILE)

    flavor.delete()
    profile.delete()

    assert (flavor.deleted, profile.deleted) == (True, True)
