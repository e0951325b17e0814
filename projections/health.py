"""Rows of measured health: the operating status of each object."""

from collections.abc import Sequence

from domain.health import LoadBalancerHealth
from projections.rows import Change, Upsert, rows_of


@rows_of.register
def health_changed(event: LoadBalancerHealth.HealthChanged) -> Sequence[Change]:
    """In the order of ids, so that writers of the same rows cannot wait for each other."""
    return [
        Upsert(
            "operating_statuses",
            {"object_id": id, "load_balancer_id": event.load_balancer_id, "status": event.changes[id]},
        )
        for id in sorted(event.changes)
    ]
