"""Shows pools."""

from domain.pool import Pool
from projections.columns import COMMON, always, columns_of, id_column
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_SHOWN = defaults_of(Pool)


def show(row: Row) -> dict[str, object]:
    """Without a health monitor there is no word of one."""
    monitor_id = row["healthmonitor_id"]
    return {
        **_SHOWN,
        **row["document"],
        **head(row),
        "loadbalancers": ids([row["load_balancer_id"]]),
        "listeners": ids(row["listeners"]),
        "members": ids(row["members"]),
        **({} if monitor_id is None else {"healthmonitor_id": monitor_id}),
    }


_MONITOR = "(SELECT h.id FROM health_monitors h WHERE h.pool_id = s.id ORDER BY h.deleted LIMIT 1)"
_load_balancer = id_column("s.load_balancer_id")

POOLS = Resource(
    title="Pool",
    one="pool",
    many="pools",
    view="shown_pools",
    references=f"""
        ARRAY(SELECT l.id FROM listeners l WHERE l.document ->> 'default_pool_id' = s.id::text
              UNION
              SELECT p.listener_id FROM l7_policies p
              WHERE p.document ->> 'redirect_pool_id' = s.id::text AND (p.document ->> 'admin_state_up')::boolean
                AND EXISTS (SELECT FROM l7_rules r WHERE r.l7policy_id = p.id)) AS listeners,
        ARRAY(SELECT m.id FROM members m WHERE m.pool_id = s.id) AS members,
        {_MONITOR} AS healthmonitor_id
    """,
    columns={
        **COMMON,
        **columns_of(Pool),
        **{name: always(None) for name in ("tls_versions", "alpn_protocols")},
        "loadbalancer_id": _load_balancer,
        "load_balancer_id": _load_balancer,
        "healthmonitor_id": id_column(_MONITOR),
    },
    show=show,
)
