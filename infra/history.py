"""A load balancer as it was at a time, and what changed between two: worked out from its events alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent

from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import document_of
from domain.progress import Kind
from infra.transcoding import EventMapper

Document = Mapping[str, Mapping[str, Any]]
"""Object, by kind and id -> what the API would show of it."""

STATUSES = frozenset({"provisioning_status", "operating_status"})

_ENDS = "SELECT coalesce(min(position), 0), coalesce(max(position), 0) FROM commits"
_NEXT_COMMIT = "SELECT position, recorded_at FROM commits WHERE position >= %s ORDER BY position LIMIT 1"
_STREAM = """
SELECT originator_version, topic, state FROM tacitus_events
WHERE originator_id = %s AND notification_id <= %s ORDER BY originator_version
"""


def position_at(connection: psycopg.Connection[Any], at: datetime) -> int:
    """The last position recorded at or before a time, 0 when there is none: the same for everything in the log.

    Times of commits grow with their positions, so it is found by halves.
    """
    low, high = connection.execute(_ENDS).fetchone() or (0, 0)
    found = 0
    while low <= high:
        middle = (low + high) // 2
        row = connection.execute(_NEXT_COMMIT, (middle,)).fetchone()
        if row is not None and row[0] <= high and row[1] <= at:
            found, low = row[0], row[0] + 1
        else:
            high = middle - 1
    return found


@dataclass(frozen=True)
class LoadBalancerThen:
    """What its events up to a position come to; neither, when it was not there yet."""

    load_balancer: LoadBalancer | None
    health: LoadBalancerHealth | None

    @property
    def document(self) -> Document:
        """Empty when it is not there."""
        if self.load_balancer is None or self.load_balancer.deleted:
            return {}
        return document(self.load_balancer, self.health)


def load_balancer_at(connection: psycopg.Connection[Any], id: UUID, position: int) -> LoadBalancerThen:
    """Raises processes.ports.ReleaseTooOld."""
    health_id = LoadBalancerHealth.create_id(id)
    return LoadBalancerThen(_folded(connection, id, position), _folded(connection, health_id, position))


def _folded(connection: psycopg.Connection[Any], id: UUID, position: int) -> Any:
    mapper, aggregate = EventMapper(), None
    for version, topic, state in connection.execute(_STREAM, (id, position)):
        event: Any = mapper.to_domain_event(StoredEvent(id, version, topic, bytes(state)))
        aggregate = event.mutate(aggregate)
    return aggregate


def document(load_balancer: LoadBalancer, health: LoadBalancerHealth | None = None) -> Document:
    """The load balancer and all that is wanted below it."""
    own = {**document_of(load_balancer), "project_id": load_balancer.project_id}
    objects: dict[str, Any] = {
        f"load balancer {load_balancer.id}": _shown(load_balancer, load_balancer.id, own, health)
    }
    for kind in Kind:
        if kind == Kind.LOAD_BALANCER:
            continue
        for id, setting in getattr(load_balancer.tree, kind).items():
            objects[f"{_NAMES[kind]} {id}"] = _shown(load_balancer, id, msgspec.to_builtins(setting), health)
    return objects


def _shown(
    load_balancer: LoadBalancer, id: UUID, fields: Mapping[str, Any], health: LoadBalancerHealth | None
) -> dict[str, Any]:
    measured = None if health is None else health.statuses.get(id)
    own = {name: value for name, value in fields.items() if name != "id"}
    shown = {**own, "provisioning_status": load_balancer.status_of(id), "operating_status": measured}
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shown))
    return plain


_NAMES: Mapping[Kind, str] = {
    Kind.LISTENER: "listener",
    Kind.POOL: "pool",
    Kind.MEMBER: "member",
    Kind.HEALTH_MONITOR: "health monitor",
    Kind.L7_POLICY: "L7 policy",
    Kind.L7_RULE: "L7 rule",
}


def differences(before: Document, after: Document, *, without: frozenset[str] = frozenset()) -> Iterator[str]:
    """One line for each object that came or went, and for each field that changed.

    without  fields that do not count
    """
    for name in before.keys() - after.keys():
        yield f"- {_titled(name, before[name])}"
    for name, fields in after.items():
        if name not in before:
            yield f"+ {_titled(name, fields)}"
            continue
        for field in sorted(fields.keys() - without):
            if before[name].get(field) != fields[field]:
                yield f"  {_titled(name, fields)}: {field}: {before[name].get(field)!r} -> {fields[field]!r}"


def _titled(name: str, fields: Mapping[str, Any]) -> str:
    return f"{name} ({fields['name']})" if fields.get("name") else name
