"""One consumer of the events: where it reads, where its actions are kept, and the thread in which it runs."""

from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

from eventsourcing.persistence import Mapper
from psycopg_pool import ConnectionPool

from infra.action_queue import insert_actions
from infra.event_store import CHANNEL
from infra.log_stream import LogStream, PostgresLedger
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.actions import Action
from processes.ports import ReleaseTooOld
from processes.runner import Runner

if TYPE_CHECKING:
    from infra.kafka_stream import KafkaStream  # whoever reads the log itself does without


def open_stream(
    settings: Settings, consumer: str, pool: ConnectionPool, mapper: Mapper[UUID]
) -> "LogStream | KafkaStream":
    """The events through Kafka where there is one, else those of the log itself. Close it."""
    if settings.kafka_bootstrap_servers:
        from infra.kafka_stream import KafkaStream

        return KafkaStream(settings, consumer, pool, LogStream(pool, mapper))
    return LogStream(pool, mapper, Wakeup(settings.database_url, CHANNEL))


def action_ledger(settings: Settings, pool: ConnectionPool) -> PostgresLedger[Action]:
    """For consumers whose reactions are actions."""
    return PostgresLedger(pool, settings.event_partitions, partial(insert_actions, settings=settings))


class RunningConsumer:
    """It reacts beside everything else until `stop` is set; when this release is too old, it sets it."""

    def __init__(self, runner: Runner[Any], stop: Event) -> None:
        self._runner = runner
        self._stop = stop
        self._fault: ReleaseTooOld | None = None
        self._thread = Thread(target=self._run, name="consumer", daemon=True)
        self._thread.start()

    def finish(self, patience_seconds: float = 5.0) -> None:
        """Wait for the end. Raises ReleaseTooOld when that was why."""
        self._thread.join(timeout=patience_seconds)
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            self._runner.run(self._stop)
        except ReleaseTooOld as error:
            self._fault = error
            self._stop.set()
