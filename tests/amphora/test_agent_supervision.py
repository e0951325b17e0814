"""HAProxy is kept alive, as part of the amphora's process group, with nothing of ours in its environment."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.amphora.running_agent import Listening, RunningAgent, status_of, wait_until

pytestmark = pytest.mark.amphora
BACK_WITHIN_SECONDS = 3.0


@pytest.fixture
def serving(agent: RunningAgent, listening: Listening) -> Listening:
    text = agent.configuration(1, listening)
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, 1)
    return listening


@pytest.mark.parametrize(
    "victims",
    [
        pytest.param(lambda agent: [agent.master_pid()], id="master"),
        pytest.param(lambda agent: [agent.worker_pid()], id="worker"),
        pytest.param(lambda agent: [agent.master_pid(), agent.worker_pid()], id="both"),
    ],
)
def test_haproxy_is_back_after_kill_9(
    agent: RunningAgent, serving: Listening, victims: Callable[[RunningAgent], list[int]]
) -> None:
    former = agent.worker_pid()

    for pid in victims(agent):
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: former not in agent.haproxy_pids() and status_of(serving.host, serving.port) == 200, 3)

    assert agent.worker_pid() != former
    assert len(agent.haproxy_pids()) == 2


def test_haproxy_is_back_each_time(agent: RunningAgent, serving: Listening) -> None:
    for _ in range(4):
        killed, began = agent.master_pid(), time.monotonic()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda killed=killed: killed not in agent.haproxy_pids(), 3)
        wait_until(lambda: status_of(serving.host, serving.port) == 200, 3)
        assert time.monotonic() - began < BACK_WITHIN_SECONDS


def test_haproxy_that_dies_at_once_is_a_fault_in_its_own_words_until_it_can_start(
    agent: RunningAgent, serving: Listening
) -> None:
    """Its check finds nothing wrong, since a check opens no socket: a directory lies where the master's should be."""
    obstacle = agent.base / f"{agent.load_balancer_id}.cli"
    obstacle.unlink()
    obstacle.mkdir()
    text = agent.configuration(2, serving, extra="    timeout queue 2s")
    for pid in [agent.master_pid(), agent.worker_pid()]:
        os.kill(pid, signal.SIGKILL)

    uploaded, _ = agent.ask("PUT", f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy", text)
    began = time.monotonic()
    reloaded, body = agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/reload")
    took = time.monotonic() - began
    obstacle.rmdir()
    wait_until(lambda: status_of(serving.host, serving.port) == 200, 3)
    repeated, _ = agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/reload")

    assert (uploaded, reloaded, repeated) == (202, 500, 202)
    assert "error when trying to preserve previous UNIX socket" in json.loads(body)["details"]
    assert took < 2.5
    assert agent.description() == "2"


def test_worker_that_outlives_its_master_is_removed(agent: RunningAgent, serving: Listening) -> None:
    former = agent.worker_pid()
    master = agent.master_pid()
    os.kill(former, signal.SIGSTOP)  # so it cannot notice that its master is gone

    os.kill(master, signal.SIGKILL)
    wait_until(lambda: former not in agent.haproxy_pids() and status_of(serving.host, serving.port) == 200, 3)

    assert len(agent.haproxy_pids()) == 2


def test_haproxy_ends_with_the_process_group(agent: RunningAgent, serving: Listening) -> None:
    groups = {os.getpgid(pid) for pid in agent.haproxy_pids()}

    agent.kill_group()

    assert groups == {agent.process.pid}
    assert agent.haproxy_pids() == []


def test_agent_told_to_end_takes_haproxy_along(agent: RunningAgent, serving: Listening) -> None:
    agent.process.send_signal(signal.SIGTERM)

    assert agent.process.wait(5) == 0
    assert agent.haproxy_pids() == []


def test_haproxy_of_an_agent_that_was_killed_alone_is_replaced(agent: RunningAgent, serving: Listening) -> None:
    orphans = agent.haproxy_pids()
    os.kill(agent.process.pid, signal.SIGKILL)
    agent.process.wait(5)
    served_meanwhile = status_of(serving.host, serving.port)

    agent.start()

    assert served_meanwhile == 200
    assert not set(orphans) & set(agent.haproxy_pids())
    assert status_of(serving.host, serving.port) == 200


def test_haproxy_has_no_environment_of_ours(agent: RunningAgent, serving: Listening) -> None:
    names = {
        entry.partition(b"=")[0]
        for pid in agent.haproxy_pids()
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    }

    assert {name for name in names if name and not name.startswith(b"HAPROXY_")} == set()


def test_amphora_is_small(agent: RunningAgent, serving: Listening) -> None:
    for _ in range(20):
        status_of(serving.host, serving.port)
        agent.ask("GET", "/1.0/details")

    pids = [agent.process.pid, *agent.haproxy_pids()]

    assert sum(proportional_kilobytes(pid) for pid in pids) < 70 * 1024


def proportional_kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
