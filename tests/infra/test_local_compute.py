"""Local compute with a stand-in for the agent: a real process that starts a daemon of its own, as HAProxy is one."""

import json
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from infra.local_compute import LocalCompute
from infra.loopback_addresses import LoopbackAddresses, NoAddressLeft
from infra.process_table import daemons_in, wait_until_gone
from processes.ports import BootOrder, ComputeFault


@dataclass(frozen=True)
class Machine:
    """Local compute in a directory of its own, and news of each stand-in that came up."""

    compute: LocalCompute
    directory: Path
    news: Path

    def boot(self, order: BootOrder) -> None:
        """Returns once the stand-in and its daemon run."""
        self.compute.boot(order)
        self.wait_for_one()

    def wait_for_one(self) -> None:
        self.news.read_text()  # a fifo: blocks until a stand-in writes and closes it

    def processes(self, order: BootOrder) -> list[int]:
        return daemons_in(self.directory / "amphorae" / str(order.amphora_id))

    def agent(self, order: BootOrder) -> int:
        """The stand-in itself, as the record says."""
        record = self.directory / "amphorae" / str(order.amphora_id) / "process.json"
        return int(json.loads(record.read_text())["pid"])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    news = tmp_path / "news"
    os.mkfifo(news)

    stand_in = ["sh", "-c", f"setsid sleep 900 & echo up > {news}; exec sleep 901"]
    addresses = LoopbackAddresses(IPv4Network("127.17.0.0/16"), claims=tmp_path / "claims")
    compute = LocalCompute(tmp_path / "amphorae", addresses, stand_in)
    yield Machine(compute, tmp_path, news)
    compute.stop_all()


def an_order(files: Mapping[str, str] | None = None) -> BootOrder:
    text = f"[amphora_agent]\namphora_id = {uuid4()}\n"
    return BootOrder(amphora_id=uuid4(), load_balancer_id=uuid4(), files=files or {"amphora-agent.conf": text})


def test_a_booted_amphora_is_active_and_has_a_management_address(machine: Machine) -> None:
    order = an_order()

    machine.boot(order)

    state = machine.compute.look(str(order.amphora_id))
    assert state.status == "ACTIVE"
    assert state.management_address is not None
    assert IPv4Address(state.management_address) in IPv4Network("127.17.0.0/16")
    assert machine.compute.inventory() == [order.amphora_id]


def test_files_are_private_to_the_amphora(machine: Machine) -> None:
    order = an_order({"certs/server.pem": "a key"})

    machine.boot(order)

    place = machine.directory / "amphorae" / str(order.amphora_id)
    assert (place / "certs/server.pem").read_text() == "a key"
    assert [path.stat().st_mode & 0o077 for path in (place, place / "certs", place / "certs/server.pem")] == [0, 0, 0]


@pytest.mark.parametrize("name", ["../elsewhere", "/etc/elsewhere", "certs/../../elsewhere"])
def test_a_file_outside_the_directory_is_refused(machine: Machine, name: str) -> None:
    order = an_order({name: "text"})

    with pytest.raises(ComputeFault, match="does not lie inside"):
        machine.compute.boot(order)


def test_eight_boots_of_one_amphora_at_once_start_one(machine: Machine) -> None:
    order = an_order()
    threads = [threading.Thread(target=machine.compute.boot, args=[order]) for _ in range(8)]

    for thread in threads:
        thread.start()
    machine.wait_for_one()
    for thread in threads:
        thread.join()

    assert len(machine.processes(order)) == 2  # the stand-in and its daemon


def test_a_boot_whose_record_was_lost_in_a_crash_starts_no_second_one(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    before = machine.processes(order)
    (machine.directory / "amphorae" / str(order.amphora_id) / "process.json").unlink()

    machine.compute.boot(order)

    assert machine.processes(order) == before
    assert machine.compute.look(str(order.amphora_id)).status == "ACTIVE"


def test_remove_leaves_no_process_no_directory_and_no_claim(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    pids = machine.processes(order)

    machine.compute.remove(order.amphora_id)

    assert len(pids) == 2
    assert wait_until_gone(pids, 0.1)
    assert list((machine.directory / "amphorae").iterdir()) == []
    assert not (machine.directory / "claims").exists()
    assert machine.compute.look(str(order.amphora_id)).status == "GONE"


def test_remove_ends_what_a_killed_agent_left_running(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    agent = machine.agent(order)
    (daemon,) = (pid for pid in machine.processes(order) if pid != agent)
    os.kill(agent, signal.SIGKILL)
    assert wait_until_gone([agent], 5)

    machine.compute.remove(order.amphora_id)

    assert wait_until_gone([daemon], 0.1)


def test_remove_ends_one_that_ignores_the_polite_request(machine: Machine) -> None:
    stubborn = replace(
        machine.compute,
        command=["sh", "-c", f"trap '' TERM; echo up > {machine.news}; sleep 900; sleep 900"],
    )
    order = an_order()
    stubborn.boot(order)
    machine.wait_for_one()

    stubborn.remove(order.amphora_id)

    assert machine.processes(order) == []


def test_removing_what_is_not_there_is_fine(machine: Machine) -> None:
    unknown = uuid4()

    machine.compute.remove(unknown)

    assert machine.compute.inventory() == []


def test_an_amphora_that_was_killed_is_an_error_with_its_last_words(machine: Machine) -> None:
    talkative = replace(machine.compute, command=["sh", "-c", f"echo no room left; echo > {machine.news}"])
    order = an_order()
    talkative.boot(order)
    machine.wait_for_one()
    assert wait_until_gone(machine.processes(order), 5)

    state = talkative.look(str(order.amphora_id))

    assert (state.status, state.fault) == ("ERROR", "no room left")


def test_an_agent_that_cannot_be_started_is_a_fault(machine: Machine) -> None:
    broken = replace(machine.compute, command=["/nonexistent/agent"])

    with pytest.raises(ComputeFault, match="/nonexistent/agent"):
        broken.boot(an_order())


def test_after_a_stop_the_same_amphora_resumes_on_the_same_address(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    before = machine.compute.look(str(order.amphora_id))
    machine.compute.stop_all()
    assert machine.processes(order) == []

    resumed = machine.compute.resume()
    machine.wait_for_one()

    assert resumed == [order.amphora_id]
    assert machine.compute.look(str(order.amphora_id)) == before


def test_resume_adopts_what_still_runs(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    before = machine.processes(order)

    resumed = machine.compute.resume()

    assert resumed == []
    assert machine.processes(order) == before


def test_the_agent_is_told_its_address_also_after_the_controller_wrote_its_settings_anew(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    configuration = machine.directory / "amphorae" / str(order.amphora_id) / "amphora-agent.conf"
    machine.compute.stop_all()
    configuration.write_text("[haproxy_amphora]\nbind_host = ::\n")

    machine.compute.resume()
    machine.wait_for_one()

    parser = ConfigParser(strict=False)
    parser.read_string(configuration.read_text())
    assert parser["haproxy_amphora"]["bind_host"] == machine.compute.look(str(order.amphora_id)).management_address


def test_an_address_whose_claim_was_swept_away_and_taken_is_replaced(machine: Machine) -> None:
    order = an_order()
    machine.boot(order)
    place = machine.directory / "amphorae" / str(order.amphora_id)
    address = IPv4Address((place / "management_address").read_text())
    machine.compute.stop_all()
    machine.compute.addresses.release(address, place)
    machine.compute.addresses.claim_again(address, Path("/somebody/else"))

    machine.compute.resume()
    machine.wait_for_one()

    state = machine.compute.look(str(order.amphora_id))
    assert state.status == "ACTIVE"
    assert state.management_address != str(address)


def test_two_services_on_one_machine_never_share_an_address(tmp_path: Path) -> None:
    small = LoopbackAddresses(IPv4Network("127.17.1.0/29"), claims=tmp_path / "claims")
    owners = [tmp_path / service / str(UUID(int=number)) for service in ("one", "two") for number in range(4)]

    claimed = [small.claim(owner) for owner in owners[:7]]

    assert len(set(claimed)) == 7
    with pytest.raises(NoAddressLeft):
        small.claim(owners[7])
