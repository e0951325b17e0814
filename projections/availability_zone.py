"""Shows availability zones and their profiles."""

from domain.availability_zone import AvailabilityZoneProfileSettings, AvailabilityZoneSettings
from projections.columns import KEY, columns_of, text_column
from projections.shown import Row, document
from projections.view import Resource


def show_zone(row: Row) -> dict[str, object]:
    """A zone is known by its name alone."""
    return dict(row["document"])


AVAILABILITY_ZONES = Resource(
    title="Availability Zone",
    one="availability_zone",
    many="availability_zones",
    type="availability-zone",
    view="availability_zones",
    visible="true",
    columns={**columns_of(AvailabilityZoneSettings), "name": text_column("s.name", never_null=True)},
    key="name",
    ties=("name",),
    tagged=False,
    shared=True,
    only_settings=True,
    show=show_zone,
)

AVAILABILITY_ZONE_PROFILES = Resource(
    title="Availability Zone Profile",
    one="availability_zone_profile",
    many="availability_zone_profiles",
    links="availability_zone_profile_links",
    type="availability-zone-profile",
    view="availability_zone_profiles",
    visible="true",
    columns={"id": KEY, **columns_of(AvailabilityZoneProfileSettings)},
    ties=("id",),
    tagged=False,
    shared=True,
    only_settings=True,
    show=document,
)
