"""An amphora whose clock is wrong by days takes configurations and is heard like any other."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread

import pytest

from amphora.driver import AmphoraUnreachable
from amphora.rest_driver import RestSettings
from amphora.trust import Trust, heartbeat_key
from amphora.wire import Heartbeat
from infra.heartbeats import HeartbeatReceiver, listening
from tests.amphora.backend import Backend
from tests.amphora.running_agent import MASTER_KEY, Listening, RunningAgent, status_of

pytestmark = pytest.mark.amphora


class Controller:
    """The health manager's receiver; `heard` has what it let through."""

    def __init__(self) -> None:
        self.heard: SimpleQueue[Heartbeat] = SimpleQueue()
        self.ear = listening(("127.0.0.1", 0))
        self.receiver = HeartbeatReceiver(
            self.ear,
            lambda id: [heartbeat_key(MASTER_KEY, id)],
            lambda heartbeat, _: self.heard.put(heartbeat),
        )

    @property
    def address(self) -> str:
        host, port = self.receiver.address
        return f"{host}:{port}"

    def first(self, wanted: Callable[[Heartbeat], object]) -> Heartbeat:
        """The first heartbeat for which `wanted(heartbeat)` is true."""
        while not wanted(heartbeat := self.heard.get(timeout=5)):
            continue
        return heartbeat


@pytest.fixture
def controller() -> Iterator[Controller]:
    controller, stop = Controller(), Event()
    receiving = Thread(target=controller.receiver.run, args=(stop,))
    receiving.start()
    yield controller
    stop.set()
    receiving.join()
    controller.ear.close()


@pytest.mark.parametrize(
    "offset", [pytest.param(timedelta(days=-2), id="behind"), pytest.param(timedelta(days=2), id="ahead")]
)
def test_clock_that_is_two_days_off_keeps_nobody_from_anything(
    tmp_path: Path, controller: Controller, listening: Listening, backend: Backend, offset: timedelta
) -> None:
    trust = Trust.create_or_load(tmp_path, datetime.now(UTC) - offset)
    member = listening.member_ids[0]
    with RunningAgent(trust, controllers=controller.address, clock_offset=offset) as agent:
        agent.driver().load_configuration(agent.address, agent.load_balancer_id, agent.configuration(1, listening), 1)
        serving = status_of(listening.host, listening.port)
        up = controller.first(lambda it: it.pools)
        backend.stop()
        down = controller.first(lambda it: it.additions and it.additions.edges)

    assert serving == 200
    assert up.pools[0].members[member].startswith("UP")
    assert down.pools[0].members[member] == "DOWN"
    assert controller.receiver.dropped == {}
    told = timedelta(seconds=up.additions.sent_at - time.time())  # type: ignore[union-attr]
    assert abs(told - offset) < timedelta(minutes=1)  # so its clock was really wrong


def test_amphora_does_look_at_its_clock(trust: Trust, tmp_path: Path) -> None:
    """A clock that is eight days behind takes a controller's certificate for one that is not valid yet."""
    issued_at = datetime.now(UTC) + timedelta(days=8)
    certificate = tmp_path / "controller.pem"
    certificate.write_bytes(trust.clients.issue_controller_certificate(issued_at, issued_at + timedelta(days=30)))
    with RunningAgent(trust) as agent:
        driver = agent.driver_with(RestSettings(certificate, trust.server_ca_file))

        with pytest.raises(AmphoraUnreachable):
            driver.info(agent.address)
