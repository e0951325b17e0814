"""A command that was carried out: the state that it led to, and when that was recorded; or what would have happened."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from eventsourcing.utils import get_topic

from commands.ports import Aggregates, Origin
from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer


@dataclass(frozen=True)
class Accepted:
    """at: by the database's clock; would_record: of a dry run, the events that were not recorded."""

    load_balancer: LoadBalancer
    at: datetime
    would_record: Sequence[dict[str, Any]] | None = None

    @property
    def is_dry_run(self) -> bool:
        return self.would_record is not None


def saved(aggregates: Aggregates, load_balancer: LoadBalancer, *amphorae: Amphora, origin: Origin) -> Accepted:
    """Stores what was decided, unless it is a dry run. Raises what `Aggregates.save` names."""
    if origin.dry_run:
        events = [event for aggregate in (load_balancer, *amphorae) for event in aggregate.pending_events]
        return Accepted(load_balancer, datetime.now(UTC), [_told(event) for event in events])
    recorded_at = aggregates.save(load_balancer, *amphorae, origin=origin)
    return Accepted(load_balancer, recorded_at or load_balancer.modified_on)


_OF_THE_LOG = ("originator_id", "originator_version", "timestamp")


def _told(event: Any) -> dict[str, Any]:
    """An event for somebody who wants to know what would happen."""
    return {
        "type": get_topic(type(event)),
        "version": event.originator_version,
        "data": {name: value for name, value in vars(event).items() if name not in _OF_THE_LOG},
    }
