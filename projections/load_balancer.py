"""Shows load balancers."""

from collections.abc import Mapping
from uuid import UUID

from domain.load_balancer_events import LoadBalancerSettings
from projections.columns import COMMON, always, columns_of, in_document
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_YOUNGER: Mapping[str, object] = {
    "vip_vnic_type": "normal",
    "flavor_id": None,
    "availability_zone": None,
    "additional_vips": (),
}
_SHOWN = {**defaults_of(LoadBalancerSettings), **_YOUNGER}
_TEXTS = ("vip_address", "provider", "vip_vnic_type", "availability_zone")
_IDS = ("vip_port_id", "vip_subnet_id", "vip_network_id", "flavor_id")
_TOLERATED = {
    "enabled": in_document("admin_state_up", bool),
    "topology": always("SINGLE"),
    "vip_sg_ids": always(None),
}
"""Names of the reference's inside that clients may use; lists equal no text."""


def show(row: Row) -> dict[str, object]:
    return {
        **_SHOWN,
        **row["document"],
        **head(row),
        "listeners": ids(row["listeners"]),
        "pools": ids(row["pools"]),
    }


LOAD_BALANCERS = Resource(
    title="Load Balancer",
    one="loadbalancer",
    many="loadbalancers",
    view="shown_load_balancers",
    references="""
        ARRAY(SELECT l.id FROM listeners l WHERE l.load_balancer_id = s.id) AS listeners,
        ARRAY(SELECT p.id FROM pools p WHERE p.load_balancer_id = s.id) AS pools
    """,
    columns={
        **COMMON,
        **columns_of(LoadBalancerSettings),
        **{name: in_document(name, str) for name in _TEXTS},
        **{name: in_document(name, UUID) for name in _IDS},
        **_TOLERATED,
    },
    show=show,
)
