"""Local compute with the real agent: two amphorae of one load balancer, booted, resumed and removed side by side."""

import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from amphora.driver import AmphoraAddress, AmphoraUnreachable
from amphora.rest_driver import RestAmphoraDriver, RestSettings
from amphora.trust import Trust
from infra.local_compute import LocalCompute
from infra.loopback_addresses import LoopbackAddresses
from infra.process_table import daemons_in, program_of
from processes.ports import BootOrder

pytestmark = pytest.mark.amphora


@dataclass(frozen=True)
class Site:
    """Local compute, and a controller that can talk to its amphorae."""

    compute: LocalCompute
    trust: Trust
    driver: RestAmphoraDriver
    load_balancer_id: UUID

    def boot(self) -> AmphoraAddress:
        amphora_id, now = uuid4(), datetime.now(UTC)
        files = {
            "amphora-agent.conf": f"[amphora_agent]\namphora_id = {amphora_id}\n",
            "certs/server.pem": self.trust.servers.issue_server_certificate(
                amphora_id, now, now + timedelta(days=1)
            ).decode(),
            "certs/client_ca.pem": self.trust.client_ca_file.read_text(),
        }
        self.compute.boot(BootOrder(amphora_id=amphora_id, load_balancer_id=self.load_balancer_id, files=files))
        state = self.compute.look(str(amphora_id))
        assert state.management_address
        address = AmphoraAddress(amphora_id, state.management_address)
        wait_until(lambda: self.answers(address))
        return address

    def answers(self, address: AmphoraAddress) -> bool:
        with suppress(AmphoraUnreachable):
            self.driver.info(address)
            return True
        return False

    def haproxies(self, address: AmphoraAddress) -> list[int]:
        directory = self.compute.directory / str(address.amphora_id)
        return sorted(pid for pid in daemons_in(directory) if program_of(pid) == "haproxy")


@pytest.fixture
def site() -> Iterator[Site]:
    place = Path(tempfile.mkdtemp(prefix="tacitus-local-")).resolve()
    addresses = LoopbackAddresses(IPv4Network("127.17.0.0/16"), claims=place / "claims")
    compute = LocalCompute(place / "amphorae", addresses)
    trust = Trust.create_or_load(place / "trust", datetime.now(UTC))
    driver = RestAmphoraDriver(RestSettings(trust.controller_certificate_file, trust.server_ca_file))
    yield Site(compute, trust, driver, uuid4())
    driver.close()
    compute.stop_all()
    shutil.rmtree(place)


def wait_until(condition: Callable[[], bool]) -> None:
    """For what happens in another process and cannot be awaited."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def a_configuration(revision: int, address: str) -> str:
    """A frontend that answers by itself, in the form that the renderer gives it."""
    return f"""# tacitus 11111111-1111-4111-8111-111111111111 {revision}
global
    maxconn 100
    stats socket unix@octavia/LB.sock mode 0600 level admin expose-fd listeners
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend {uuid4()}
    bind {address}
    http-request return status 200
"""


def load(site: Site, amphora: AmphoraAddress, vip: str) -> None:
    text = a_configuration(1, vip).replace("LB", str(site.load_balancer_id))
    site.driver.load_configuration(amphora, site.load_balancer_id, text, 1)


def status_of(vip: str) -> int:
    with urllib.request.urlopen(f"http://{vip}/", timeout=2) as answer:
        return int(answer.status)


def test_an_amphora_serves_again_after_all_were_stopped_and_resumed(site: Site) -> None:
    amphora = site.boot()
    load(site, amphora, "127.20.250.1:18080")
    assert status_of("127.20.250.1:18080") == 200

    site.compute.stop_all()
    assert daemons_in(site.compute.directory) == []
    assert [path for path in site.compute.directory.rglob("*") if path.is_socket()] == []
    site.compute.resume()

    wait_until(lambda: site.answers(amphora))
    assert status_of("127.20.250.1:18080") == 200


def test_a_second_amphora_of_a_load_balancer_leaves_the_first_alone(site: Site) -> None:
    first = site.boot()
    load(site, first, "127.20.250.2:18080")
    before = site.haproxies(first)
    assert before

    second = site.boot()
    load(site, second, "127.20.250.2:18080")

    assert site.haproxies(first) == before
    assert site.haproxies(second)


def test_removing_one_amphora_leaves_the_other_serving(site: Site) -> None:
    first, second = site.boot(), site.boot()
    for amphora in (first, second):
        load(site, amphora, "127.20.250.3:18080")

    site.compute.remove(first.amphora_id)

    assert status_of("127.20.250.3:18080") == 200
    assert site.haproxies(first) == []
    assert not (site.compute.directory / str(first.amphora_id)).exists()
