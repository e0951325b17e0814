"""What the health manager decided, kept as events."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from commands.ports import Origin
from domain.errors import ConcurrentChange, NotFound
from domain.health import FAILOVER_GUARD_ID, FailoverGuard, LoadBalancerHealth
from infra.event_store import EventStore
from infra.many_aggregates import ManyAggregates
from processes.health import Statuses

_MOST_TRIES = 10
_MOST_REMEMBERED = 20_000  # some kilobytes each


class RecordedHealth:
    """processes.health.HealthRecords, as events in the log."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._health = ManyAggregates(store, LoadBalancerHealth, _MOST_REMEMBERED)
        self._guards = ManyAggregates(store, FailoverGuard, 1)

    def statuses_of(self, load_balancer_id: UUID) -> Statuses:
        (health,) = self._health_of([load_balancer_id])
        return dict(health.statuses)

    def record(self, measured: Mapping[UUID, Statuses]) -> None:
        """One append for all; when another health manager was faster with one of them, or one is gone, each for itself.

        What is gone has no health: the log would have it after the end, and the rows for ever.
        """
        try:
            self._record_at_once(measured)
        except (ConcurrentChange, NotFound):
            for id, statuses in measured.items():
                with suppress(NotFound):
                    self._repeated(partial(self._record_at_once, {id: statuses}))

    def _record_at_once(self, measured: Mapping[UUID, Statuses]) -> None:
        changed = self._health_of(list(measured))
        for health, statuses in zip(changed, measured.values(), strict=True):
            health.measured(statuses)
        try:
            self._store.save(*changed, origin=Origin())
        except BaseException:
            self._health.forget(health.id for health in changed)
            raise

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

    def _health_of(self, load_balancer_ids: Sequence[UUID]) -> Sequence[LoadBalancerHealth]:
        found = self._health.load([LoadBalancerHealth.create_id(id) for id in load_balancer_ids])
        return [found.get(LoadBalancerHealth.create_id(id)) or LoadBalancerHealth.begin(id) for id in load_balancer_ids]

    def _guard(self) -> FailoverGuard:
        self._guards.forget([FAILOVER_GUARD_ID])
        return self._guards.load([FAILOVER_GUARD_ID]).get(FAILOVER_GUARD_ID) or FailoverGuard.set_up()
