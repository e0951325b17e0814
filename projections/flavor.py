"""Shows flavors and their profiles."""

from domain.flavor import FlavorProfileSettings, FlavorSettings
from projections.columns import KEY, columns_of
from projections.shown import document
from projections.view import Resource

FLAVORS = Resource(
    title="Flavor",
    one="flavor",
    many="flavors",
    view="flavors",
    visible="true",
    columns={"id": KEY, **columns_of(FlavorSettings)},
    ties=("id",),
    tagged=False,
    shared=True,
    only_settings=True,
    show=document,
)

FLAVOR_PROFILES = Resource(
    title="Flavor Profile",
    one="flavorprofile",
    many="flavorprofiles",
    links="flavorprofile_links",
    type="flavor-profile",
    view="flavor_profiles",
    visible="true",
    columns={"id": KEY, **columns_of(FlavorProfileSettings)},
    ties=("id",),
    tagged=False,
    shared=True,
    only_settings=True,
    show=document,
)
