"""What is swept up from time to time: amphorae that run although nothing wants them."""

import logging
from threading import Event
from uuid import UUID

from commands.ports import Aggregates
from domain.amphora import Stage
from domain.errors import NotFound
from processes.ports import ComputeDriver

logger = logging.getLogger(__name__)


class OrphanSweep:
    """Finds what a step left behind that was repeated after its worker was taken for dead, and takes it down."""

    def __init__(self, aggregates: Aggregates, compute: ComputeDriver) -> None:
        self._aggregates = aggregates
        self._compute = compute

    def run(self, stop: Event, interval_seconds: float) -> None:
        while not stop.wait(interval_seconds):
            try:
                self.sweep()
            except Exception:
                logger.exception("the sweep could not be finished")

    def sweep(self) -> list[UUID]:
        """The amphorae that were taken down."""
        orphans = [id for id in self._compute.inventory() if self._is_orphan(id)]
        for id in orphans:
            logger.warning("amphora %s runs although it was removed: it is taken down", id)
            self._compute.remove(id)
        return orphans

    def _is_orphan(self, amphora_id: UUID) -> bool:
        """The order is in the log before anything is booted: an amphora that the log does not know is nobody's."""
        try:
            return self._aggregates.amphora(amphora_id).stage == Stage.REMOVED
        except NotFound:
            return True
