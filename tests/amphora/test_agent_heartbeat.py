"""Heartbeats: regular, in turn, authentic; edges at once and once more; counters that outlive HAProxy's workers."""

import os
import signal
import socket
import time
from uuid import UUID, uuid4

import pytest

from amphora.agent.runtime_socket import ask
from amphora.heartbeat_reading import claimed_amphora_id, decode_heartbeat
from amphora.trust import Trust, heartbeat_key
from amphora.wire import Tampered
from tests.amphora.backend import Backend
from tests.amphora.running_agent import LOG_ID, MASTER_KEY, Ear, Listening, RunningAgent, status_of, wait_until

pytestmark = pytest.mark.amphora
REVISION = 4


@pytest.fixture
def serving(agent: RunningAgent, listening: Listening) -> Listening:
    text = agent.configuration(REVISION, listening)
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, REVISION)
    return listening


def test_amphora_without_a_load_balancer_says_that_it_lives(agent: RunningAgent, ear: Ear) -> None:
    first, second = ear.next(agent.amphora_id), ear.next(agent.amphora_id)

    assert (first.version, first.listeners, first.pools) == (3, {}, ())
    assert second.sequence == (first.sequence or 0) + 1
    assert second.additions is not None
    assert first.additions is not None
    assert second.additions.boot_id == first.additions.boot_id
    assert second.additions.revision is None


def test_heartbeat_comes_from_the_amphoras_own_address_and_names_it(agent: RunningAgent, ear: Ear) -> None:
    datagram, source = ear.raw()

    assert source == agent.host
    assert claimed_amphora_id(datagram) == agent.amphora_id


def test_heartbeat_tells_what_runs(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    heartbeat = ear.first(agent.amphora_id, lambda it: it.pools and it.pools[0].members)
    pool = heartbeat.pools[0]

    assert heartbeat.additions.log_id == LOG_ID  # type: ignore[union-attr]
    assert heartbeat.additions.revision == REVISION  # type: ignore[union-attr]
    assert heartbeat.listeners[serving.id].status == "OPEN"
    assert (pool.pool_id, pool.listener_id, pool.status) == (serving.pool_id, serving.id, "UP")
    assert pool.members[serving.member_ids[0]].startswith("UP")


def test_counters_grow_by_what_passed_and_outlive_reload_and_kill(
    agent: RunningAgent, ear: Ear, serving: Listening
) -> None:
    for revision in range(REVISION + 1, REVISION + 4):
        for _ in range(5):
            assert status_of(serving.host, serving.port) == 200
        text = agent.configuration(revision, serving, extra=f"    timeout queue {revision}s")
        agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, revision)
    heartbeat = ear.first(agent.amphora_id, lambda it: _total(it, serving.id) >= 15)
    worker = agent.worker_pid()
    os.kill(agent.master_pid(), signal.SIGKILL)
    wait_until(lambda: worker not in agent.haproxy_pids() and status_of(serving.host, serving.port) == 200, 3)

    after = ear.first(agent.amphora_id, lambda it: _total(it, serving.id) >= 16)

    assert _total(heartbeat, serving.id) == 15
    assert _total(after, serving.id) in (16, 17)  # one of the attempts may have been cut off by the kill


def _total(heartbeat: object, listener_id: UUID) -> int:
    counters = heartbeat.additions.counters.get(listener_id)  # type: ignore[attr-defined]
    return counters.totconns if counters else 0


def test_growth_in_heartbeats_adds_up_to_the_total(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    for _ in range(7):
        assert status_of(serving.host, serving.port) == 200

    growth = 0
    while True:
        heartbeat = ear.next(agent.amphora_id)
        if serving.id in heartbeat.listeners:
            growth += heartbeat.listeners[serving.id].counters.totconns
        if _total(heartbeat, serving.id) == 7:
            break

    assert growth == 7


def test_edge_arrives_at_once_and_once_more(trust: Trust, ear: Ear, listening: Listening, backend: Backend) -> None:
    with RunningAgent(trust, controllers=ear.address, interval_seconds=0.7) as agent:
        text = agent.configuration(1, listening)
        agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, 1)
        ear.first(agent.amphora_id, lambda it: it.pools and not it.additions.edges)
        backend.stop()

        first = ear.first(agent.amphora_id, lambda it: it.additions.edges)
        arrived = time.time()
        again = ear.next(agent.amphora_id)
        later = ear.next(agent.amphora_id)

    edge = first.additions.edges[0]  # type: ignore[union-attr]
    assert (edge.member_id, edge.pool_id, edge.listener_id) == (
        listening.member_ids[0],
        listening.pool_id,
        listening.id,
    )
    assert (edge.status, edge.reason) == ("DOWN", "Layer4 connection problem")
    assert arrived - edge.at < 0.1
    assert first.pools[0].members[listening.member_ids[0]] == "DOWN"
    assert again.additions.edges == first.additions.edges  # type: ignore[union-attr]
    assert later.additions.edges == ()  # type: ignore[union-attr]


def test_edge_follows_haproxys_decision_within_100_milliseconds(
    trust: Trust, ear: Ear, listening: Listening, backend: Backend
) -> None:
    """Twenty decisions, forced over HAProxy's own socket: from the command to the datagram.

    A check that is under way meanwhile must not decide otherwise, so it takes a hundred of them to decide anything.
    """
    server = f"{listening.pool_id}:{listening.id}/{listening.member_ids[0]}"
    latencies = []
    with RunningAgent(trust, controllers=ear.address, interval_seconds=30) as agent:
        text = agent.configuration(1, listening).replace("fall 2 rise 2", "fall 100 rise 100")
        agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, 1)
        for status in ["down", "up"] * 10:
            began = time.monotonic()
            ask(agent.statistics_socket, f"set server {server} health {status}")
            heartbeat = ear.first(agent.amphora_id, lambda it: it.additions.edges)
            latencies.append(time.monotonic() - began)
            assert [edge.status for edge in heartbeat.additions.edges] == [status.upper()]  # type: ignore[union-attr]

    print("edge latencies, milliseconds:", [round(1000 * latency) for latency in sorted(latencies)])
    assert max(latencies) < 0.1


def test_controllers_are_told_in_turn(trust: Trust) -> None:
    with Ear() as one, Ear() as two, RunningAgent(trust, controllers=f"{one.address}, {two.address}") as agent:
        heard = [one.next(agent.amphora_id), two.next(agent.amphora_id), one.next(agent.amphora_id)]

    assert [heartbeat.sequence for heartbeat in heard] == [0, 1, 2]


def test_unreachable_controller_does_not_silence_the_amphora(trust: Trust) -> None:
    with Ear() as ear, RunningAgent(trust, controllers=f"127.0.0.1:1,no.such.host.invalid:1,{ear.address}") as agent:
        assert ear.next(agent.amphora_id).amphora_id == agent.amphora_id
        assert ear.next(agent.amphora_id).amphora_id == agent.amphora_id


def test_new_key_and_controller_take_effect_at_once(agent: RunningAgent) -> None:
    new_key = heartbeat_key("another master key", agent.amphora_id)
    with Ear() as other:
        text = agent.conf_text(heartbeat_key=new_key, controller_ip_port_list=other.address, heartbeat_interval="60")
        agent.driver().update_agent_configuration(agent.address, text)

        datagram, _ = other.raw(2)

    assert decode_heartbeat(datagram, [new_key]).amphora_id == agent.amphora_id
    assert agent.conf.read_text() == text


def test_haproxy_that_does_not_answer_is_left_out(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    ear.first(agent.amphora_id, lambda it: it.listeners)
    worker = agent.worker_pid()
    os.kill(worker, signal.SIGSTOP)

    try:
        assert ear.first(agent.amphora_id, lambda it: not it.listeners).amphora_id == agent.amphora_id
    finally:
        os.kill(worker, signal.SIGCONT)


def test_noise_on_the_log_socket_disturbs_nobody(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as noise:
        noise.connect(str(agent.base / "log.sock"))
        for line in (
            b"",
            b"Server ",
            b"\xff\xfe Server is DOWN",
            b"<>Server",
            b"<1>x[1]: Server a:b/c is DOWN",
            b"x" * 60_000,
        ):
            noise.send(line)

    assert ear.next(agent.amphora_id).additions.edges == ()  # type: ignore[union-attr]
    assert "Traceback" not in agent.output()


def test_keys_belong_to_one_amphora(agent: RunningAgent, ear: Ear) -> None:
    datagram, _ = ear.raw()

    with pytest.raises(Tampered):
        decode_heartbeat(datagram, [heartbeat_key(MASTER_KEY, uuid4())])
