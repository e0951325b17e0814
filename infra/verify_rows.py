"""What has to hold of everything that follows from the log: rows, quotas, consumers and actions, in one snapshot."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from eventsourcing.persistence import StoredEvent

from domain.health import LoadBalancerHealth
from domain.progress import Kind
from domain.quota import COUNTED
from infra.memory_rows import Tables, changed_tables
from infra.transcoding import EventMapper
from infra.verify_amphorae import Amphorae
from infra.verify_load_balancers import LoadBalancers, by_load_balancer
from infra.verify_log import Finding, Tell
from projections.known import PROJECTIONS
from projections.resource_rows import TREE_TABLES
from projections.rows import key_of

_NOT_COMPARED = frozenset({"created_by", "updated_by", "command_id", "created_at"})
"""Columns that tell of the commit rather than of the event."""
_NO_VALUE: tuple[object, ...] = (None, 0, "", {}, [])
_CHANGES_OF = PROJECTIONS["resource-rows"].changes_of
_SAMPLED = (*Kind, "amphorae", "addresses", "confirmations", "operating_statuses", "reported_statuses")
_BELOW = (*TREE_TABLES, "addresses", "confirmations", "operating_statuses")
_COUNTS = " UNION ALL ".join(
    f"SELECT b.project_id, '{kind}' AS kind, count(*) AS number"
    f" FROM {kind} x JOIN load_balancers b ON b.id = x.{column} GROUP BY 1"
    for kind in COUNTED
    for column in ["id" if kind == Kind.LOAD_BALANCER else "load_balancer_id"]
)
_QUOTAS = f"""
SELECT coalesce(u.project_id, n.project_id), coalesce(u.kind, n.kind), coalesce(u.in_use, 0), coalesce(n.number, 0)
FROM quota_uses u FULL JOIN ({_COUNTS}) n ON n.project_id = u.project_id AND n.kind = u.kind
WHERE coalesce(u.in_use, 0) <> coalesce(n.number, 0)
"""
_LEFT = " UNION ALL ".join(
    f"SELECT '{table}', load_balancer_id, count(*) FROM {table} x"
    f" WHERE NOT EXISTS (SELECT FROM load_balancers b WHERE b.id = x.load_balancer_id) GROUP BY 2"
    for table in _BELOW
)
_AHEAD = """
SELECT * FROM (
    SELECT 'consumer ' || consumer AS name, max(position) AS position FROM positions GROUP BY consumer
    UNION ALL SELECT 'topic ' || topic, max(position) FROM published GROUP BY topic) p
WHERE position > (SELECT coalesce(max(notification_id), 0) FROM tacitus_events) ORDER BY 1
"""
# An action whose object is gone ends as soon as it is looked at: one that stays is looked at by nobody.
_LEFT_ACTIONS = """
SELECT kind, object_id, due_at FROM actions a
WHERE due_at < now() - make_interval(secs => %s) AND (owner IS NULL OR lease_until < now()) AND (
    NOT EXISTS (SELECT FROM tacitus_events e WHERE e.originator_id = a.object_id)
    OR EXISTS (SELECT FROM tacitus_events e WHERE e.originator_id = a.object_id
               AND e.topic IN ('LoadBalancerDeleted', 'AmphoraRemoved')))
"""
_SAMPLE = """
(SELECT id FROM load_balancers WHERE id >= %(from)s ORDER BY id LIMIT %(most)s)
UNION (SELECT id FROM load_balancers WHERE id < %(from)s ORDER BY id LIMIT %(most)s) LIMIT %(most)s
"""
_STREAMS = """
SELECT originator_id, originator_version, topic, state FROM tacitus_events
WHERE originator_id = ANY(%s) AND notification_id <= %s ORDER BY notification_id
"""


@dataclass(frozen=True)
class Rows:
    """Compares rows with what was followed through the log, at the position up to which that was read."""

    connection: psycopg.Connection[Any]
    load_balancers: LoadBalancers
    amphorae: Amphorae
    tell: Tell

    def check(self, *, position: int, sample: int, grace: float) -> None:
        """sample: load balancers of which every row is worked out anew from their events"""
        self._load_balancers()
        self._amphorae()
        self._addresses()
        self._left()
        self._quotas()
        self._consumers()
        self._actions(grace)
        amphorae = {id: it.load_balancer_id for id, it in self.amphorae.live.items()}
        for id, amphora_ids in by_load_balancer(self._chosen(sample), amphorae).items():
            self._all_rows_of(id, amphora_ids, position)

    def _found(self, subject: str, words: str) -> None:
        self.tell(Finding(None, subject, words))

    # Against what was followed

    def _load_balancers(self) -> None:
        live = self.load_balancers.live
        shown: set[UUID] = set()
        for id, applied, settled in self._select("SELECT id, applied, settled FROM load_balancers"):
            shown.add(id)
            it = live.get(id)
            if it is None:
                self._found(f"load balancer {id}", "has a row, yet by the events it is not there")
            elif (applied, settled) != (it.applied, it.settled):
                words = f"has applied and settled {applied}, {settled} in its row, by the events {it.applied}, "
                self._found(str(it), f"{words}{it.settled}")
        for id in live.keys() - shown:
            self._found(f"load balancer {id}", "has no row, yet by the events it is there")

    def _amphorae(self) -> None:
        """Rows go with their load balancer, also those of amphorae that are still to be removed."""
        shown: set[UUID] = set()
        for id, stage in self._select("SELECT id, stage FROM amphorae"):
            shown.add(id)
            it = self.amphorae.live.get(id)
            if it is None:
                self._found(f"amphora {id}", "has a row, yet by the events it is not there")
            elif it.stage != stage:
                self._found(f"amphora {id}", f"is {stage} in its row, by the events {it.stage}")
        for id, it in self.amphorae.live.items():
            if id not in shown and it.load_balancer_id in self.load_balancers.live:
                self._found(f"amphora {id}", "has no row, yet by the events it is there")

    def _addresses(self) -> None:
        owners = dict(self.load_balancers.owners)
        sql = "SELECT network_id, host(address), load_balancer_id FROM addresses"
        for network_id, address, load_balancer_id in self._select(sql):
            owner = owners.pop((network_id, address), None)
            if owner != load_balancer_id:
                words = f"belongs to load balancer {load_balancer_id} in its row, by the events to {owner or 'nobody'}"
                self._found(f"{address} on network {network_id}", words)
        for (network_id, address), owner in owners.items():
            self._found(f"{address} on network {network_id}", f"has no row, yet load balancer {owner} owns it")

    # Rows among themselves

    def _left(self) -> None:
        for table, load_balancer_id, number in self._select(_LEFT):
            self._found(f"load balancer {load_balancer_id}", f"is gone, yet {number} rows of {table} are left of it")

    def _quotas(self) -> None:
        for project_id, kind, in_use, number in self._select(_QUOTAS):
            self._found(f"project {project_id!r}", f"is charged with {in_use} {kind}, yet it has {number}")

    def _consumers(self) -> None:
        for name, position in self._select(_AHEAD):
            self._found(name, f"is at position {position}, beyond the end of the log")

    def _actions(self, grace: float) -> None:
        for kind, object_id, due_at in self._select(_LEFT_ACTIONS, grace):
            self._found(f"action {kind} on {object_id}", f"is due since {due_at}, yet its object is gone")

    # Rows worked out anew

    def _chosen(self, sample: int) -> Sequence[UUID]:
        """Neighbours of a random id: ids are random themselves."""
        return [id for (id,) in self.connection.execute(_SAMPLE, {"from": uuid4(), "most": sample}).fetchall()]

    def _all_rows_of(self, id: UUID, amphora_ids: Sequence[UUID], position: int) -> None:
        streams = [id, LoadBalancerHealth.create_id(id), *amphora_ids]
        expected = self._folded(streams, position)
        for table in _SAMPLED:
            column = "id" if table == Kind.LOAD_BALANCER else "load_balancer_id"
            found = {_key(table, row): row for (row,) in self._select(_ROWS.format(table, column), id)}
            for words in _differences(table, expected.get(table, {}), found):
                self._found(f"load balancer {id}", words)

    def _folded(self, streams: Sequence[UUID], position: int) -> Tables:
        mapper = EventMapper()
        changes = [
            change
            for stream, version, topic, state in self._select(_STREAMS, streams, position)
            for change in _CHANGES_OF(mapper.to_domain_event(StoredEvent(stream, version, topic, bytes(state))))
        ]
        return changed_tables({}, changes, uuid4())

    def _select(self, sql: str, *parameters: object) -> Iterator[Any]:
        return iter(self.connection.execute(sql.encode(), parameters))


_ROWS = "SELECT to_jsonb(t) FROM {} t WHERE {} = %s"


def _differences(
    table: str, expected: Mapping[tuple[object, ...], Any], found: Mapping[tuple[str, ...], Any]
) -> Iterator[str]:
    by_key = {_key(table, row): row for row in map(_as_stored, expected.values())}
    for key in by_key.keys() - found.keys():
        yield f"has no row {_named(key)} in {table}, yet its events make one"
    for key in found.keys() - by_key.keys():
        yield f"has a row {_named(key)} in {table}, which its events do not make"
    for key in sorted(by_key.keys() & found.keys()):
        for column in sorted((by_key[key].keys() | found[key].keys()) - _NOT_COMPARED):
            is_so, should_be = found[key].get(column), by_key[key].get(column)
            if not _is_same(is_so, should_be):
                yield f"has {column} {is_so!r} in row {_named(key)} of {table}, its events say {should_be!r}"


def _as_stored(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """As the database would show it."""
    said = {column: value for column, value in row.items() if column not in _NOT_COMPARED}
    stored: Mapping[str, Any] = msgspec.json.decode(msgspec.json.encode(said, enc_hook=str))
    return stored


def _key(table: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(row[column]) for column in key_of(table))


def _named(key: tuple[object, ...]) -> str:
    return " ".join(map(str, key))


def _is_same(found: object, expected: object) -> bool:
    """A column that no event wrote has its default."""
    if found == expected or (found in _NO_VALUE and expected in _NO_VALUE):
        return True
    with suppress(TypeError, ValueError):
        return datetime.fromisoformat(found) == datetime.fromisoformat(expected)  # type: ignore[arg-type]
    return False
