"""What the health manager decided, kept as events."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Repository
from eventsourcing.persistence import EventStore as StoredAggregates

from commands.ports import Origin
from domain.errors import ConcurrentChange
from domain.health import FAILOVER_GUARD_ID, FailoverGuard, LoadBalancerHealth
from infra.event_store import EventStore
from processes.health import Statuses

_MOST_TRIES = 10


class RecordedHealth:
    """processes.health.HealthRecords, as events in the log."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        events = StoredAggregates(mapper=store.mapper, recorder=store.recorder)
        self._aggregates = Repository(events, cache_maxsize=1_000)

    def statuses_of(self, load_balancer_id: UUID) -> Statuses:
        return self._health_of(load_balancer_id).statuses

    def record(self, measured: Mapping[UUID, Statuses]) -> None:
        """One append for all; when another health manager was faster with one of them, each for itself."""
        try:
            self._record_at_once(measured)
        except ConcurrentChange:
            for id, statuses in measured.items():
                self._repeated(partial(self._record_at_once, {id: statuses}))

    def _record_at_once(self, measured: Mapping[UUID, Statuses]) -> None:
        changed = []
        for id, statuses in measured.items():
            health = self._health_of(id)
            health.measured(statuses)
            changed.append(health)
        self._store.save(*changed, origin=Origin())

    def is_failover_suspended(self) -> bool:
        return self._guard().is_suspended

    def suspend_failover(self, *, silent: int, in_service: int) -> None:
        self._repeated(partial(self._suspend, silent, in_service))

    def resume_failover(self) -> None:
        self._repeated(self._resume)

    def _suspend(self, silent: int, in_service: int) -> None:
        guard = self._guard()
        guard.suspend(silent=silent, in_service=in_service)
        self._store.save(guard, origin=Origin())

    def _resume(self) -> None:
        guard = self._guard()
        guard.resume()
        self._store.save(guard, origin=Origin())

    def _repeated(self, decide_and_save: Callable[[], None]) -> None:
        for _ in range(_MOST_TRIES - 1):
            with suppress(ConcurrentChange):
                return decide_and_save()
        return decide_and_save()

    def _health_of(self, load_balancer_id: UUID) -> LoadBalancerHealth:
        try:
            health: LoadBalancerHealth = self._aggregates.get(LoadBalancerHealth.create_id(load_balancer_id))
        except AggregateNotFoundError:
            return LoadBalancerHealth.begin(load_balancer_id)
        return health

    def _guard(self) -> FailoverGuard:
        try:
            guard: FailoverGuard = self._aggregates.get(FAILOVER_GUARD_ID)
        except AggregateNotFoundError:
            return FailoverGuard.set_up()
        return guard
