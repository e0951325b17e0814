"""What the rows of flavors, availability zones and their profiles tell commands."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import ConnectionPool

from commands.ports import Choice

_FLAVOR = """
SELECT f.document, p.document, p.document ->> 'flavor_data'
FROM flavors f JOIN flavor_profiles p ON p.id = f.flavor_profile_id WHERE f.id = %s
"""
_ZONE = """
SELECT z.document, p.document, p.document ->> 'availability_zone_data'
FROM availability_zones z JOIN availability_zone_profiles p ON p.id = z.availability_zone_profile_id WHERE z.name = %s
"""


class PostgresCatalogue:
    """Fulfils commands.ports.Catalogue, and says which profiles are used."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def flavor(self, id: UUID) -> Choice | None:
        return self._choice(_FLAVOR, id)

    def availability_zone(self, name: str) -> Choice | None:
        return self._choice(_ZONE, name)

    def _choice(self, sql: str, key: object) -> Choice | None:
        with self._pool.connection() as connection:
            found = connection.execute(sql, (key,), prepare=True).fetchone()
        if found is None:
            return None
        settings, profile, data = found
        return Choice(enabled=settings["enabled"], provider=profile["provider_name"], data=_data(data))

    def flavor_profile_is_used(self, id: UUID) -> bool:
        return self._exists("SELECT FROM flavors WHERE flavor_profile_id = %s LIMIT 1", id)

    def availability_zone_profile_is_used(self, id: UUID) -> bool:
        return self._exists("SELECT FROM availability_zones WHERE availability_zone_profile_id = %s LIMIT 1", id)

    def _exists(self, sql: str, key: object) -> bool:
        with self._pool.connection() as connection:
            return connection.execute(sql, (key,), prepare=True).fetchone() is not None


def _data(text: str) -> Mapping[str, object]:
    """What a profile says; a provider may have accepted what is no object, and then it says nothing by name."""
    data = msgspec.json.decode(text)
    return data if isinstance(data, dict) else {}
