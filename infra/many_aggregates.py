"""Many aggregates of one kind at once: one statement brings all of them up to date, however many are asked for."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, cast
from uuid import UUID

from eventsourcing.domain import CanMutateProtocol
from eventsourcing.persistence import PersistenceError, StoredEvent

from commands.ports import A, StoreUnavailable
from infra.event_store import EventStore

_NEWER = """
SELECT e.originator_id, e.originator_version, e.topic, e.state
FROM unnest(%s::uuid[], %s::bigint[]) AS known(id, version)
JOIN tacitus_events e ON e.originator_id = known.id AND e.originator_version > known.version
ORDER BY e.originator_id, e.originator_version
"""


class ManyAggregates(Generic[A]):
    """Remembers the `most` that were used last. For one thread, which owns what it is given."""

    def __init__(self, store: EventStore, kind: type[A], most: int) -> None:
        self._store = store
        self._kind = kind
        self._most = most
        self._known: OrderedDict[UUID, A] = OrderedDict()

    def load(self, ids: Collection[UUID]) -> Mapping[UUID, A]:
        """Those that exist, as they are now. What is changed must be saved, or else be forgotten.

        Raises StoreUnavailable.
        """
        for stored in self._newer(ids):
            self._apply(stored)
        found = {id: self._known[id] for id in ids if id in self._known}
        for id in found:
            self._known.move_to_end(id)
        while len(self._known) > self._most:
            self._known.popitem(last=False)
        return found

    def forget(self, ids: Iterable[UUID]) -> None:
        """To be read anew: something was decided about them that is not in the log."""
        for id in ids:
            self._known.pop(id, None)

    def _newer(self, ids: Collection[UUID]) -> Sequence[StoredEvent]:
        versions = [self._known[id].version if id in self._known else 0 for id in ids]
        try:
            with self._store.recorder.datastore.get_connection() as connection:
                rows: list[Any] = connection.execute(_NEWER, (list(ids), versions), prepare=True).fetchall()
        except PersistenceError as error:
            raise StoreUnavailable(str(error)) from error
        return [StoredEvent(*row.values()) for row in rows]

    def _apply(self, stored: StoredEvent) -> None:
        """One that cannot be brought up to date is not kept half-done."""
        event = cast("CanMutateProtocol[Any]", self._store.mapper.to_domain_event(stored))
        id = stored.originator_id
        assert isinstance(id, UUID), "our aggregates have no other ids"
        after = event.mutate(self._known.pop(id, None))
        if isinstance(after, self._kind):
            self._known[id] = after
