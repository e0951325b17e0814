"""The part of the API that operators offer things with: providers, flavors, availability zones and their profiles."""

from typing import Any

from psycopg_pool import ConnectionPool

from commands.availability_zone import AVAILABILITY_ZONE, AVAILABILITY_ZONE_PROFILE, AvailabilityZoneProfileRules
from commands.catalogue import EntriesResource, EntryHandler, EntryResource
from commands.flavor import FLAVOR, FLAVOR_PROFILE, FlavorProfileRules
from commands.ports import Aggregates
from commands.profile import ProfileResource, ProfileRules, ProfilesResource
from commands.providers import (
    FlavorCapabilitiesResource,
    ProviderResource,
    Providers,
    ProvidersResource,
    ZoneCapabilitiesResource,
)
from commands.turns import Turns
from infra.catalogue import PostgresCatalogue
from infra.http import Joined, Routes
from projections.availability_zone import AVAILABILITY_ZONE_PROFILES, AVAILABILITY_ZONES
from projections.flavor import FLAVOR_PROFILES, FLAVORS
from projections.listing import ListRules
from projections.view import Collection, Item, View


def catalogue_routes(
    providers: Providers, aggregates: Aggregates, turns: Turns, pool: ConnectionPool[Any], rules: ListRules
) -> Routes:
    """Path -> what answers there."""
    use = PostgresCatalogue(pool)

    def entries(path: str, handler: EntryHandler, view: View) -> Routes:
        return {
            path: Joined(Collection(view, rules), EntriesResource(handler, view)),
            f"{path}/{{id}}": Joined(Item(view, rules), EntryResource(handler, view)),
        }

    def profiles(path: str, handler: EntryHandler, view: View, of_profiles: ProfileRules) -> Routes:
        return {
            path: Joined(Collection(view, rules), ProfilesResource(handler, view, of_profiles)),
            f"{path}/{{id}}": Joined(Item(view, rules), ProfileResource(handler, view, of_profiles)),
        }

    return {
        "/providers": ProvidersResource(providers),
        "/providers/{name}": ProviderResource(),
        "/providers/{name}/flavor_capabilities": FlavorCapabilitiesResource(providers),
        "/providers/{name}/availability_zone_capabilities": ZoneCapabilitiesResource(providers),
        **entries("/flavors", EntryHandler(FLAVOR, aggregates, turns), View(FLAVORS, pool)),
        **profiles(
            "/flavorprofiles",
            EntryHandler(FLAVOR_PROFILE, aggregates, turns),
            View(FLAVOR_PROFILES, pool),
            FlavorProfileRules(providers, use),
        ),
        **entries(
            "/availabilityzones", EntryHandler(AVAILABILITY_ZONE, aggregates, turns), View(AVAILABILITY_ZONES, pool)
        ),
        **profiles(
            "/availabilityzoneprofiles",
            EntryHandler(AVAILABILITY_ZONE_PROFILE, aggregates, turns),
            View(AVAILABILITY_ZONE_PROFILES, pool),
            AvailabilityZoneProfileRules(providers, use),
        ),
    }
