"""Shows load balancers."""

from uuid import UUID

from domain.load_balancer import LoadBalancerSettings
from projections.columns import COMMON, always, columns_of, in_document
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_ABSENT = {
    "vip_qos_policy_id": None,
    "vip_vnic_type": "normal",
    "flavor_id": None,
    "availability_zone": None,
}
_SHOWN = {**defaults_of(LoadBalancerSettings), **_ABSENT, "vip_sg_ids": (), "additional_vips": ()}


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
        "vip_address": in_document("vip_address", str),
        "provider": in_document("provider", str),
        **{name: in_document(name, UUID) for name in ("vip_port_id", "vip_subnet_id", "vip_network_id")},
        **{name: always(value) for name, value in _ABSENT.items()},
    },
    show=show,
)
