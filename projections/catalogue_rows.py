"""The rows of flavors, availability zones and their profiles: what each event writes into them."""

from collections.abc import Sequence

from domain.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from domain.flavor import Flavor, FlavorProfile
from projections.rows import Change, Delete, Update, Upsert, rows_of

_Aggregate = type[Flavor] | type[FlavorProfile] | type[AvailabilityZone] | type[AvailabilityZoneProfile]


def _register(table: str, aggregate: _Aggregate) -> None:
    """Constraints of the tables decide what spans aggregates: names are unique, and what is in use stays."""

    @rows_of.register(aggregate.Created)
    def _(event: Flavor.Created) -> Sequence[Change]:
        return [Upsert(table, {"id": event.originator_id, "document": event.settings})]

    @rows_of.register(aggregate.Changed)
    def _(event: Flavor.Changed) -> Sequence[Change]:
        return [Update(table, {"id": event.originator_id, "document": event.settings})]

    @rows_of.register(aggregate.Deleted)
    def _(event: Flavor.Deleted) -> Sequence[Change]:
        return [Delete(table, (event.originator_id,))]


_register("flavors", Flavor)
_register("flavor_profiles", FlavorProfile)
_register("availability_zones", AvailabilityZone)
_register("availability_zone_profiles", AvailabilityZoneProfile)
