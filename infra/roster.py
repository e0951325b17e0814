"""The amphorae in service, as the health manager knows them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from psycopg import Connection
from psycopg.rows import TupleRow
from psycopg_pool import ConnectionPool

from amphora.driver import AmphoraAddress
from domain import load_balancer_events as events
from domain.amphora import Amphora, Stage

EVENTS_AT_ONCE = 1_000
Pool = ConnectionPool[Connection[TupleRow]]


@dataclass(frozen=True)
class News:
    """What the log said since the last look.

    changed  ids of whatever changed, load balancers among them
    deleted  load balancers that are gone
    moved    whether amphorae entered or left service
    left     amphorae that left, with their load balancers
    """

    changed: frozenset[UUID] = frozenset()
    deleted: frozenset[UUID] = frozenset()
    moved: bool = False
    left: tuple[tuple[UUID, UUID], ...] = ()


_NO_NEWS = News()
_MOVES = {Amphora.EnteredService.TOPIC, Amphora.LeftService.TOPIC, Amphora.Failed.TOPIC, Amphora.Removed.TOPIC}
_READ_LOG = """
SELECT notification_id, originator_id, topic FROM tacitus_events
WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""
_IN_SERVICE = "SELECT id, load_balancer_id, management_address FROM amphorae WHERE stage = %s"


class Roster:
    """The amphorae in service, kept up to date from the log: rows are read only of those that moved."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._position = 0
        self._addresses: dict[UUID, AmphoraAddress] = {}
        self.load_balancers: dict[UUID, UUID] = {}

    @property
    def amphora_ids(self) -> Collection[UUID]:
        return self._addresses.keys()

    def address_of(self, amphora_id: UUID) -> AmphoraAddress | None:
        return self._addresses.get(amphora_id)

    def load(self) -> None:
        """The position first: what comes after it is read once more, which does no harm."""
        with self._pool.connection() as connection:
            found = connection.execute("SELECT coalesce(max(notification_id), 0) FROM tacitus_events").fetchone()
            self._position = found[0] if found else 0
            self._enter(connection.execute(_IN_SERVICE, (Stage.IN_SERVICE,)).fetchall())

    def refresh(self) -> News:
        with self._pool.connection() as connection:
            found = connection.execute(_READ_LOG, (self._position, EVENTS_AT_ONCE), prepare=True).fetchall()
            if not found:
                return _NO_NEWS
            moved = [id for _, id, topic in found if topic in _MOVES]
            left = self._moved(connection, moved) if moved else ()
        self._position = found[-1][0]
        return News(
            changed=frozenset(id for _, id, _ in found),
            deleted=frozenset(id for _, id, topic in found if topic == events.Deleted.TOPIC),
            moved=bool(moved),
            left=left,
        )

    def _moved(self, connection: Connection[TupleRow], ids: list[UUID]) -> tuple[tuple[UUID, UUID], ...]:
        """Those of them that were in service and are no more, with their load balancers."""
        rows = connection.execute(f"{_IN_SERVICE} AND id = ANY(%s)", (Stage.IN_SERVICE, ids)).fetchall()
        gone = set(ids) & self._addresses.keys() - {row[0] for row in rows}
        left = tuple((id, self.load_balancers.pop(id)) for id in gone)
        for id in gone:
            del self._addresses[id]
        self._enter(rows)
        return left

    def _enter(self, rows: Iterable[TupleRow]) -> None:
        for id, load_balancer_id, management_address in rows:
            self._addresses[id] = AmphoraAddress(id, management_address or "")
            self.load_balancers[id] = load_balancer_id
