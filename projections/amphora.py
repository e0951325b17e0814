"""Shows amphorae and what passed through each of them, to operators."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from falcon import Request, Response
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from domain.errors import NotFound
from projections.columns import COMMON, Column, always, id_column, number_column, text_column
from projections.listing import Condition, Params, page_of
from projections.scope import caller_of
from projections.view import Collection, Item, Resource, Row, answer, id_or_none, require_no_arguments

_TITLE = "Amphora"
_TAG_FILTERS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})
_TEXTS = ("compute_id", "lb_network_ip", "vrrp_ip", "ha_ip", "role", "status", "vrrp_interface", "cached_zone")
_OF_THE_CLOUD = ("image_id", "compute_flavor")
_NUMBERS = ("vrrp_id", "vrrp_priority")
_PORTS = ("vrrp_port_id", "ha_port_id")
_SHOWN = ("id", *_TEXTS, *_OF_THE_CLOUD, *_NUMBERS, *_PORTS, "cert_expiration", "cert_busy", "created_at", "updated_at")


def show(row: Row) -> dict[str, object]:
    return {**{name: row[name] for name in _SHOWN}, "loadbalancer_id": row["load_balancer_id"]}


_load_balancer = id_column("s.load_balancer_id")
_COLUMNS: Mapping[str, Column] = {
    **{name: COMMON[name] for name in ("id", "project_id", "created_at", "updated_at")},
    "loadbalancer_id": _load_balancer,
    "load_balancer_id": _load_balancer,
    **{name: text_column(f"s.{name}") for name in (*_TEXTS, *_OF_THE_CLOUD)},
    **{name: number_column(f"s.{name}") for name in _NUMBERS},
    **{name: id_column(f"s.{name}") for name in _PORTS},
    "cert_expiration": replace(COMMON["updated_at"], sql="s.cert_expiration"),
    "cert_busy": replace(always(False), sql="s.cert_busy"),
}

AMPHORAE = Resource(
    title=_TITLE,
    one="amphora",
    many="amphorae",
    view="shown_amphorae",
    visible="s.status IS DISTINCT FROM 'DELETED'",
    columns=_COLUMNS,
    tagged=False,
    shared=True,
    show=show,
)


class Amphorae(Collection):
    """Answers the GET of the list: amphorae have no tags, and what is said of them does not matter."""

    def _filters(self, params: Params) -> list[Condition]:
        return super()._filters({name: said for name, said in params.items() if name not in _TAG_FILTERS})


class OneAmphora(Item):
    """Answers the GET of one: unlike a list it is looked up before policy is asked."""

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        page_of(req.params, self._rules)
        row = self._view.row(id)
        _require(req, "get_one")
        self._answer(req, resp, row)


_STATISTICS = """
SELECT t.listener_id, t.amphora_id AS id, t.load_balancer_id AS loadbalancer_id,
       t.active_connections, t.bytes_in, t.bytes_out, t.request_errors, t.total_connections
FROM shown_amphorae a JOIN statistics t ON t.amphora_id = a.id WHERE a.id = %s ORDER BY t.listener_id
"""


class AmphoraStatistics:
    """What passed through one amphora, for each listener. Of one that is gone nothing is shown."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        _require(req, "get_stats")
        rows = self._rows(id)
        if not rows:
            raise NotFound(f"{_TITLE} stats for", id)
        answer(resp, {"amphora_stats": rows})

    def _rows(self, id: str) -> Sequence[Row]:
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(_STATISTICS, (id_or_none(id),), prepare=True).fetchall())


def _require(request: Request, action: str) -> None:
    """Amphorae belong to no project: policy is asked for the caller's own."""
    caller = caller_of(request)
    caller.require(AMPHORAE.rule(action), caller.project_id)
