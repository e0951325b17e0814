"""The part of the API that shows amphorae to operators, and replaces, configures and deletes them."""

from typing import Any

from psycopg_pool import ConnectionPool

from commands.amphora import AmphoraConfigResource, AmphoraFailoverResource, AmphoraHandler, AmphoraResource
from infra.http import Joined, Routes
from projections.amphora import AMPHORAE, Amphorae, AmphoraStatistics, OneAmphora
from projections.listing import ListRules
from projections.view import View


def amphora_routes(handler: AmphoraHandler, pool: ConnectionPool[Any], rules: ListRules) -> Routes:
    """Path below `octavia` -> what answers there."""
    view = View(AMPHORAE, pool)
    return {
        "/amphorae": Amphorae(view, rules),
        "/amphorae/{id}": Joined(OneAmphora(view, rules), AmphoraResource(handler, view)),
        "/amphorae/{id}/stats": AmphoraStatistics(pool),
        "/amphorae/{id}/config": AmphoraConfigResource(handler, view),
        "/amphorae/{id}/failover": AmphoraFailoverResource(handler, view),
    }
