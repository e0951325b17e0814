"""A command that was carried out: the state that it led to, and when that was recorded."""

from dataclasses import dataclass
from datetime import datetime

from commands.ports import Aggregates, Origin
from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer


@dataclass(frozen=True)
class Accepted:
    """at: by the database's clock"""

    load_balancer: LoadBalancer
    at: datetime


def saved(aggregates: Aggregates, load_balancer: LoadBalancer, *amphorae: Amphora, origin: Origin) -> Accepted:
    """Stores what was decided. Raises what `Aggregates.save` names."""
    recorded_at = aggregates.save(load_balancer, *amphorae, origin=origin)
    return Accepted(load_balancer, recorded_at or load_balancer.modified_on)
