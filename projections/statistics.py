"""The traffic of a load balancer or of one listener, as `GET .../stats` shows it."""

from typing import Any

from falcon import Request, Response
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from domain.errors import NotFound
from projections.scope import caller_of
from projections.view import answer, id_or_none, require_no_arguments

_SUMS = """
SELECT min(o.project_id) AS project_id,
       coalesce(sum(t.active_connections)
           FILTER (WHERE a.stage = 'in service' OR t.amphora_id = t.listener_id), 0)::bigint AS active_connections,
       coalesce(sum(t.bytes_in), 0)::bigint AS bytes_in,
       coalesce(sum(t.bytes_out), 0)::bigint AS bytes_out,
       coalesce(sum(t.request_errors), 0)::bigint AS request_errors,
       coalesce(sum(t.total_connections), 0)::bigint AS total_connections
FROM {owners} o LEFT JOIN statistics t ON t.{owner} = o.id LEFT JOIN amphorae a ON a.id = t.amphora_id
WHERE o.id = %s GROUP BY o.id
"""
_OF_LOAD_BALANCERS = "load_balancers"
_OF_LISTENERS = "(SELECT l.id, b.project_id FROM listeners l JOIN load_balancers b ON b.id = l.load_balancer_id)"


class Statistics:
    """Connections that are open count on amphorae in service only; what has passed counts for ever.

    A provider without amphorae counts for the listener itself: its rows have the listener's id for the amphora's.
    """

    def __init__(self, pool: ConnectionPool[Any], title: str, rule: str, owners: str, owner: str) -> None:
        self._pool = pool
        self._title = title
        self._rule = rule
        self._sql = _SUMS.format(owners=owners, owner=owner)

    @classmethod
    def of_load_balancers(cls, pool: ConnectionPool[Any]) -> "Statistics":
        return cls(pool, "Load Balancer", "loadbalancer:get_stats", _OF_LOAD_BALANCERS, "load_balancer_id")

    @classmethod
    def of_listeners(cls, pool: ConnectionPool[Any]) -> "Statistics":
        return cls(pool, "Listener", "listener:get_stats", _OF_LISTENERS, "listener_id")

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        with self._pool.connection() as connection, connection.cursor(row_factory=dict_row) as cursor:
            sums = cursor.execute(self._sql, (id_or_none(id),), prepare=True).fetchone()
        if sums is None:
            raise NotFound(self._title, id)
        caller_of(req).require(self._rule, sums.pop("project_id"))
        answer(resp, {"stats": sums})
