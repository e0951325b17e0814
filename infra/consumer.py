"""One consumer of the events: where it reads, and the thread in which its processes react."""

from threading import Event, Thread
from typing import TYPE_CHECKING
from uuid import UUID

from eventsourcing.persistence import Mapper
from psycopg_pool import ConnectionPool

from infra.event_store import CHANNEL
from infra.log_stream import LogStream
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.ports import ReleaseTooOld
from processes.runner import ProcessRunner

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


class RunningProcesses:
    """Processes react beside everything else until `stop` is set; when this release is too old, they set it."""

    def __init__(self, runner: ProcessRunner, stop: Event) -> None:
        self._runner = runner
        self._stop = stop
        self._fault: ReleaseTooOld | None = None
        self._thread = Thread(target=self._run, name="processes", daemon=True)
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
