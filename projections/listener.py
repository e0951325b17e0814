"""Shows listeners."""

from domain.listener import Listener
from projections.columns import COMMON, always, columns_of, id_column
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_SHOWN = defaults_of(Listener)
_LISTS = ("insert_headers", "tls_versions", "alpn_protocols")


def show(row: Row) -> dict[str, object]:
    """Where everybody may connect, there is no word of networks."""
    shown = {**_SHOWN, **row["document"], **head(row)}
    return {
        **shown,
        "allowed_cidrs": shown["allowed_cidrs"] or None,
        "loadbalancers": ids([row["load_balancer_id"]]),
        "l7policies": ids(row["l7policies"]),
    }


_load_balancer = id_column("s.load_balancer_id")

LISTENERS = Resource(
    title="Listener",
    one="listener",
    many="listeners",
    view="shown_listeners",
    references="""
        ARRAY(SELECT p.id FROM l7_policies p WHERE p.listener_id = s.id
              ORDER BY (p.document ->> 'position')::bigint, p.deleted) AS l7policies
    """,
    columns={
        **COMMON,
        **columns_of(Listener),
        **{name: always(None) for name in _LISTS},
        "loadbalancer_id": _load_balancer,
        "load_balancer_id": _load_balancer,
    },
    show=show,
)
