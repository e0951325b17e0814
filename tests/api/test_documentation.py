"""docs/api.md names every URL."""

import re
from pathlib import Path
from typing import Any

import falcon.inspect
from psycopg_pool import ConnectionPool

from infra.api import api_application
from infra.catalogue import PostgresCatalogue
from infra.memory import MemoryStore
from infra.noop_network import NoopNetwork
from infra.provider_drivers import providers_of
from infra.settings import Profile, Settings

IN_NEUTRONS_PLACE = ("/networks", "/subnets", "/ports", "/qos", "/security-groups")
DOCUMENT = Path(__file__).parents[2] / "docs/api.md"


def an_application(*, healthcheck_enabled: bool = True, in_neutrons_place: bool = True) -> "falcon.App[Any, Any]":
    """One whose database is not there."""
    store, network, pool = MemoryStore(), NoopNetwork(), ConnectionPool("", open=False)
    settings = Settings(
        profile=Profile.NOOP, database_url="", state_directory=Path(), healthcheck_enabled=healthcheck_enabled
    )
    return api_application(
        aggregates=store,
        places=store,
        vips=network,
        network_reads=network if in_neutrons_place else None,
        providers=providers_of(settings.profile),
        catalogue=PostgresCatalogue(pool),
        deployment=settings.deployment,
        pool=pool,
        settings=settings,
    )


def test_every_url_is_documented() -> None:
    documented = set(re.findall(r"`(/[^`?]*)", DOCUMENT.read_text()))

    served = {route.path for route in falcon.inspect.inspect_routes(an_application())}

    assert len(served) > 100
    for path in served:
        root = path.replace("/v2.0", "/v2")
        short = re.sub(r"^/v2(/lbaas)?", "", root)
        with_each = short.removesuffix("/{id}") if short.startswith(IN_NEUTRONS_PLACE) else short
        assert {root, short, with_each} & documented, path
