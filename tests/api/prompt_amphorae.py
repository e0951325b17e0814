"""Amphorae that have done what was asked for before anybody can ask how far they are."""

from datetime import datetime

from commands.ports import Aggregates, Attempt, Origin
from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer


class PromptAmphorae:
    """An event store behind which every change is confirmed, and every deletion complete, as soon as it is stored."""

    def __init__(self, store: Aggregates) -> None:
        self._store = store
        self.load_balancer = store.load_balancer
        self.amphora = store.amphora
        self.load = store.load
        self.was_carried_out = store.was_carried_out

    def save(
        self, *aggregates: LoadBalancer | Amphora, origin: Origin, completing: Attempt | None = None
    ) -> datetime | None:
        recorded_at = self._store.save(*aggregates, origin=origin, completing=completing)
        for aggregate in aggregates:
            if isinstance(aggregate, LoadBalancer):
                self._carry_out(self._store.load_balancer(aggregate.id))
        return recorded_at

    def _carry_out(self, load_balancer: LoadBalancer) -> None:
        for amphora_id in load_balancer.amphora_ids:
            load_balancer.configuration_is_applied(amphora_id, load_balancer.revision, sha256="")
            load_balancer.amphora_is_gone(amphora_id)
        load_balancer.deletion_is_complete()
        self._store.save(load_balancer, origin=Origin())
