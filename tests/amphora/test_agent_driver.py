"""The drivers keep the contract: the one that remembers, and the one that talks to real agents."""

import os
import signal
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from amphora.driver import AgentFault, AmphoraAddress, AmphoraUnreachable, ConfigurationRefused, NoopAmphoraDriver
from amphora.rest_driver import RestAmphoraDriver, RestSettings
from amphora.wire import Stamp
from tests.amphora.driver_contract import AmphoraDriverContract, another
from tests.amphora.running_agent import LOG_ID, Listening, RunningAgent

WRONG = "this is no HAProxy keyword"


class TestNoopAmphoraDriver(AmphoraDriverContract):
    @pytest.fixture
    def amphora(self) -> AmphoraAddress:
        return AmphoraAddress(uuid4(), "127.17.0.5")

    @pytest.fixture
    def nowhere(self) -> AmphoraAddress:
        return AmphoraAddress(uuid4(), "127.17.0.6")

    @pytest.fixture
    def driver(self, nowhere: AmphoraAddress) -> NoopAmphoraDriver:
        def refuses(amphora: AmphoraAddress, haproxy_cfg: str) -> ConfigurationRefused | None:
            return ConfigurationRefused("unknown keyword") if WRONG in haproxy_cfg else None

        return NoopAmphoraDriver(unreachable={nowhere.amphora_id}, refuses=refuses)

    @pytest.fixture
    def load_balancer_id(self) -> UUID:
        return uuid4()

    @pytest.fixture
    def render(self) -> Callable[[int], str]:
        return lambda revision: f"{Stamp(LOG_ID, revision)}\n"

    @pytest.fixture
    def wrong(self) -> Callable[[int], str]:
        return lambda revision: f"{Stamp(LOG_ID, revision)}\n{WRONG}\n"


@pytest.mark.amphora
class TestRestAmphoraDriver(AmphoraDriverContract):
    @pytest.fixture
    def amphora(self, agent: RunningAgent) -> AmphoraAddress:
        return agent.address

    @pytest.fixture
    def nowhere(self) -> AmphoraAddress:
        return AmphoraAddress(uuid4(), "127.17.255.6")

    @pytest.fixture
    def driver(self, agent: RunningAgent) -> RestAmphoraDriver:
        return agent.driver()

    @pytest.fixture
    def load_balancer_id(self, agent: RunningAgent) -> UUID:
        return agent.load_balancer_id

    @pytest.fixture
    def render(self, agent: RunningAgent, listening: Listening) -> Callable[[int], str]:
        return lambda revision: agent.configuration(revision, listening)

    @pytest.fixture
    def wrong(self, agent: RunningAgent, listening: Listening) -> Callable[[int], str]:
        return lambda revision: agent.configuration(revision, listening, extra=WRONG)


@pytest.mark.amphora
def test_agent_with_another_amphoras_certificate_is_not_talked_to(agent: RunningAgent) -> None:
    with pytest.raises(AmphoraUnreachable, match="certificate"):
        agent.driver().info(another(agent.address))


@pytest.mark.amphora
def test_connection_is_kept_and_replaced_when_the_agent_was_started_again(agent: RunningAgent) -> None:
    driver = agent.driver()
    before = driver.info(agent.address)

    agent.kill_group()
    with pytest.raises(AmphoraUnreachable):
        driver.info(agent.address)
    agent.start()

    after = driver.info(agent.address)
    assert after.boot_id != before.boot_id


@pytest.mark.amphora
def test_new_certificate_is_shown_to_new_connections(agent: RunningAgent) -> None:
    not_after = datetime.now(UTC) + timedelta(days=2)
    now = datetime.now(UTC)
    pem = agent.trust.servers.issue_server_certificate(agent.amphora_id, now, not_after)
    agent.driver().replace_certificate(agent.address, pem.decode())

    connection = agent.connection(agent.trust.controller_certificate_file)
    connection.connect()
    shown = connection.sock.getpeercert(binary_form=True)
    connection.close()

    assert shown == _der(pem)
    assert agent.driver().info(agent.address).api_version == "1.0"


@pytest.mark.amphora
def test_nonsense_as_a_certificate_is_refused_and_the_old_one_stays(agent: RunningAgent) -> None:
    with pytest.raises(ConfigurationRefused, match="certificate"):
        agent.driver().replace_certificate(agent.address, "nonsense")

    assert agent.driver().info(agent.address).api_version == "1.0"


@pytest.mark.amphora
def test_agent_that_hangs_costs_the_read_time_out(agent: RunningAgent) -> None:
    trust = agent.trust
    driver = agent.driver_with(
        RestSettings(trust.controller_certificate_file, trust.server_ca_file, connect_seconds=0.3, read_seconds=0.3)
    )
    os.killpg(agent.process.pid, signal.SIGSTOP)

    try:
        with pytest.raises(AmphoraUnreachable):
            driver.info(agent.address)
    finally:
        os.killpg(agent.process.pid, signal.SIGCONT)


@pytest.mark.amphora
def test_fault_of_the_agent_tells_its_words(agent: RunningAgent) -> None:
    driver = agent.driver()
    no_stamp = agent.configuration(1).replace("description 1", "description another")

    with pytest.raises(AgentFault, match="does not run") as fault:
        driver.load_configuration(agent.address, agent.load_balancer_id, _shadowed(no_stamp), 1)

    assert fault.value.status == 500


def _shadowed(configuration: str) -> str:
    """A file whose second `description` wins over the one that the agent looks for: it comes up as another."""
    return configuration.replace("    maxconn", "    description yet-another\n    maxconn", 1)


def _der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode().partition("-----BEGIN EC")[0])
