"""The clock of simulated worlds: also the time that new events are stamped with. What is left to chance is not."""

import logging
from collections.abc import Callable

import pytest

from infra.memory import Clock
from processes.ports import ComputeFault, NetworkFault
from tests.processes.world import World


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Clock:
    clock = Clock()
    monkeypatch.setattr("eventsourcing.domain.datetime_now_with_tzinfo", lambda: clock.now)
    monkeypatch.setattr("processes.worker.random.uniform", lambda low, high: (low + high) / 2)  # runs are compared
    caplog.set_level(logging.ERROR, "processes.worker")  # faults are what these tests are about
    return clock


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Callable[[World, str], Callable[[], None]]:
    """Makes a call to compute or network fail until the function that it returns is called."""

    def failing(world: World, method: str) -> Callable[[], None]:
        service, error = (world.compute, ComputeFault) if method == "remove" else (world.network, NetworkFault)

        def told_so(*args: object) -> None:
            raise error("told so")

        monkeypatch.setattr(service, method, told_so)
        return lambda: monkeypatch.delattr(service, method)

    return failing
