"""What tests of amphorae may ask for: authorities, a running agent, an ear for its heartbeats, and backends."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from amphora.trust import Trust
from tests.amphora.backend import Backend
from tests.amphora.running_agent import Ear, Listening, RunningAgent, free_port


@pytest.fixture(scope="session")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    """The two authorities of this test run, and its controller's certificate."""
    return Trust.create_or_load(Path(tmp_path_factory.mktemp("trust")), datetime.now(UTC))


@pytest.fixture
def ear() -> Iterator[Ear]:
    with Ear() as ear:
        yield ear


@pytest.fixture
def agent(trust: Trust, ear: Ear) -> Iterator[RunningAgent]:
    """A running amphora without a load balancer, whose heartbeats go to `ear`."""
    with RunningAgent(trust, controllers=ear.address) as agent:
        yield agent


@pytest.fixture(scope="session")
def shared_agent(trust: Trust) -> Iterator[RunningAgent]:
    """One for all tests that change nothing on it."""
    with RunningAgent(trust) as agent:
        yield agent


@pytest.fixture
def backend() -> Iterator[Backend]:
    """An HTTP server that answers 200 to everything."""
    with Backend("127.19.0.1") as backend:
        threading.Thread(target=backend.serve_forever, args=(0.02,), daemon=True).start()
        yield backend
        backend.stop()


@pytest.fixture
def listening(backend: Backend) -> Listening:
    """A listener on a free port with `backend` as its only member."""
    return Listening("127.20.0.1", free_port("127.20.0.1"), (backend.place,))
