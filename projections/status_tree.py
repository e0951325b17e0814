"""The statuses of a whole tree at one moment, as `GET .../status` shows them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from falcon import Request, Response
from psycopg_pool import ConnectionPool

from domain.errors import NotFound
from projections.scope import caller_of
from projections.view import answer, id_or_none, require_no_arguments

_OBJECTS = """
SELECT 'load_balancers', s.id, s.document || jsonb_build_object('project_id', s.project_id),
       s.provisioning_status, s.operating_status
FROM shown_load_balancers s WHERE s.id = %(id)s
UNION ALL
SELECT 'listeners', s.id, s.document, s.provisioning_status, s.operating_status
FROM shown_listeners s WHERE s.load_balancer_id = %(id)s
UNION ALL
SELECT 'pools', s.id, s.document, s.provisioning_status, s.operating_status
FROM shown_pools s WHERE s.load_balancer_id = %(id)s
UNION ALL
SELECT 'members', s.id, s.document, s.provisioning_status, s.operating_status
FROM shown_members s WHERE s.load_balancer_id = %(id)s
UNION ALL
SELECT 'health_monitors', s.id, s.document, s.provisioning_status, s.operating_status
FROM shown_health_monitors s WHERE s.load_balancer_id = %(id)s
UNION ALL
SELECT 'l7_policies', p.id, p.document || jsonb_build_object('listener_id', p.listener_id), 'ACTIVE', ''
FROM l7_policies p WHERE p.load_balancer_id = %(id)s AND (p.document ->> 'admin_state_up')::boolean
  AND p.document ->> 'redirect_pool_id' IS NOT NULL AND EXISTS (SELECT FROM l7_rules r WHERE r.l7policy_id = p.id)
"""

Objects = Mapping[str, Sequence[dict[str, Any]]]
Found = tuple[str, UUID, dict[str, Any], str | None, str]


class StatusTree:
    """Answers `GET .../status` and its other name, `.../statuses`, with one statement."""

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        key = id_or_none(id)
        with self._pool.connection() as connection:
            found = connection.execute(_OBJECTS, {"id": key}, prepare=True).fetchall()
        objects = _by_kind(found)
        if not objects["load_balancers"]:
            raise NotFound("Load Balancer", id)
        caller_of(req).require("loadbalancer:get_status", objects["load_balancers"][0]["project_id"])
        answer(resp, {"statuses": {"loadbalancer": tree(objects)}})


def _by_kind(found: Sequence[Any]) -> Objects:
    """What is gone has no status any more."""
    objects: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for kind, id, document, provisioning_status, operating_status in found:
        if provisioning_status is not None:
            statuses = {"provisioning_status": provisioning_status, "operating_status": operating_status}
            objects[kind].append({**document, "id": id, "name": document["name"], **statuses})
    return objects


def tree(objects: Objects) -> dict[str, object]:
    """A load balancer with its listeners; pools that no listener uses do not appear."""
    (load_balancer,) = objects["load_balancers"]
    pools = {str(pool["id"]): _pool(pool, objects) for pool in objects["pools"]}
    return {
        **_named(load_balancer),
        "listeners": [
            {**_named(listener), "pools": [pools[used] for used in _used(listener, objects) if used in pools]}
            for listener in objects["listeners"]
        ],
    }


def _used(listener: Mapping[str, Any], objects: Objects) -> Iterable[str]:
    """The pools that a listener sends requests to, each once."""
    redirects = [p["redirect_pool_id"] for p in objects["l7_policies"] if p["listener_id"] == str(listener["id"])]
    return dict.fromkeys([listener["default_pool_id"], *redirects])


def _pool(pool: Mapping[str, Any], objects: Objects) -> dict[str, object]:
    id = str(pool["id"])
    monitors = [monitor for monitor in objects["health_monitors"] if monitor["pool_id"] == id]
    return {
        **_named(pool),
        "health_monitor": {**_named(monitors[0]), "type": monitors[0]["type"]} if monitors else None,
        "members": [
            {**_named(member), "address": member["address"], "protocol_port": member["protocol_port"]}
            for member in objects["members"]
            if member["pool_id"] == id
        ],
    }


def _named(thing: Mapping[str, Any]) -> dict[str, object]:
    return {name: thing[name] for name in ("id", "name", "operating_status", "provisioning_status")}
