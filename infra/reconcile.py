"""The parts of reconciliation as a service has them: what should exist by the rows, and repairs asked for by itself."""

from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from commands.deciding import Deciding
from commands.ports import Origin
from commands.repair import Repair, RepairHandler
from commands.turns import Turns
from domain.amphora import Stage
from infra.event_store import EventStore
from infra.health_records import RecordedHealth
from infra.provider_drivers import providers_of
from infra.settings import Settings
from processes.reconciliation import Serving

_SERVING = "SELECT id, load_balancer_id FROM amphorae WHERE stage = %s ORDER BY id"


class ExpectedRows:
    """processes.reconciliation.Expected."""

    def __init__(self, pool: ConnectionPool[Any], store: EventStore) -> None:
        self._pool = pool
        self._records = RecordedHealth(store)

    def serving(self) -> list[Serving]:
        with self._pool.connection() as connection:
            return [Serving(*row) for row in connection.execute(_SERVING, (Stage.IN_SERVICE,))]

    def is_failover_suspended(self) -> bool:
        return self._records.is_failover_suspended()


class Repairs:
    """Asks for repairs in the name of somebody.

    actor  random id of a person, None for the service itself
    """

    def __init__(self, settings: Settings, store: EventStore, actor: UUID | None = None) -> None:
        providers = providers_of(settings.profile, enabled=None, default=None)
        self._handler = RepairHandler(Deciding(store, Turns(store), providers))
        self._actor = actor

    def __call__(self, load_balancer_id: UUID, why: str) -> None:
        """Raises Invalid, NotFound, StoreUnavailable."""
        self._handler.repair(Repair(load_balancer_id, why, Origin(actor=self._actor)))
