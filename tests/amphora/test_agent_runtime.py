"""Other weights are set in the HAProxy that runs, without a reload, and are as lasting as what a reload does."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace

import pytest

from amphora.agent.runtime_socket import NoAnswer, ask
from amphora.driver import ConfigurationRefused
from tests.amphora.running_agent import Ear, Listening, RunningAgent, free_port, status_of, wait_until
from tests.system.backends import Backend, backends

pytestmark = pytest.mark.amphora


@pytest.fixture
def members() -> Iterator[list[Backend]]:
    with backends("127.19.0.2", "127.19.0.3") as started:
        yield started


@pytest.fixture
def balanced(members: list[Backend]) -> Listening:
    """Two members of weight 1."""
    places = tuple((member.address, member.port) for member in members)
    return Listening("127.20.0.1", free_port("127.20.0.1"), places)


@pytest.fixture
def serving(agent: RunningAgent, balanced: Listening) -> Listening:
    """Revision 1 runs."""
    load(agent, 1, balanced)
    return balanced


def load(agent: RunningAgent, revision: int, listening: Listening, extra: str = "") -> None:
    load_text(agent, revision, agent.configuration(revision, listening, extra=extra))


def load_text(agent: RunningAgent, revision: int, text: str) -> None:
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, revision)


def weights_of(listening: Listening, weights: Sequence[int]) -> dict[object, int]:
    return dict(zip(listening.member_ids, weights, strict=True))


def revision_told(agent: RunningAgent, ear: Ear, wanted: int) -> bool:
    return bool(ear.first(agent.amphora_id, lambda it: it.additions.revision == wanted))


def test_other_weights_take_no_new_worker_and_are_confirmed(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    pid = agent.worker_pid()

    load(agent, 2, replace(serving, weights=(7, 256)))

    assert agent.weights() == weights_of(serving, (7, 256))
    assert agent.worker_pid() == pid
    assert revision_told(agent, ear, 2)


def test_other_weights_shift_the_traffic(agent: RunningAgent, serving: Listening, members: list[Backend]) -> None:
    load(agent, 2, replace(serving, weights=(0, 3)))
    before = [member.served for member in members]

    for _ in range(12):
        assert status_of(serving.host, serving.port) == 200
    load(agent, 3, replace(serving, weights=(3, 1)))
    for _ in range(12):
        assert status_of(serving.host, serving.port) == 200

    assert [member.served - was for member, was in zip(members, before, strict=True)] == [9, 12 + 3]


def test_member_without_weight_is_told_as_draining_and_comes_back(
    agent: RunningAgent, ear: Ear, serving: Listening
) -> None:
    first = serving.member_ids[0]

    load(agent, 2, replace(serving, weights=(0, 1)))
    drained = ear.first(agent.amphora_id, lambda it: it.additions.revision == 2)
    load(agent, 3, replace(serving, weights=(5, 1)))
    back = ear.first(agent.amphora_id, lambda it: it.additions.revision == 3)

    assert drained.pools[0].members[first] == "DRAIN"
    assert back.pools[0].members[first].startswith("UP")


def test_weights_of_disabled_members_change_too(agent: RunningAgent, balanced: Listening) -> None:
    def text(revision: int, weights: tuple[int, int]) -> str:
        return agent.configuration(revision, replace(balanced, weights=weights)).replace("rise 2", "rise 2 disabled")

    load_text(agent, 1, text(1, (1, 1)))
    pid = agent.worker_pid()

    load_text(agent, 2, text(2, (4, 5)))

    assert (agent.weights(), agent.worker_pid()) == (weights_of(balanced, (4, 5)), pid)
    assert status_of(balanced.host, balanced.port) == 503


def test_upload_alone_changes_nothing_that_runs(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    text = agent.configuration(2, replace(serving, weights=(7, 8)))

    status, _ = agent.ask("PUT", f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy", text)
    uploaded_at = time.time()

    assert status == 202
    assert agent.weights() == weights_of(serving, (1, 1))
    assert ear.first(agent.amphora_id, lambda it: it.additions.sent_at > uploaded_at).additions.revision == 1


def test_weights_outlive_kill_9_of_haproxy_and_of_the_agent(agent: RunningAgent, ear: Ear, serving: Listening) -> None:
    load(agent, 2, replace(serving, weights=(7, 8)))
    worker = agent.worker_pid()

    os.kill(agent.master_pid(), signal.SIGKILL)
    wait_until(lambda: worker not in agent.haproxy_pids() and agent.description() == "2", 3)
    after_haproxy = agent.weights()
    assert revision_told(agent, ear, 2)
    load(agent, 3, replace(serving, weights=(9, 10)))
    os.kill(agent.process.pid, signal.SIGKILL)
    agent.process.wait(5)
    agent.start()

    assert after_haproxy == weights_of(serving, (7, 8))
    assert agent.weights() == weights_of(serving, (9, 10))
    assert revision_told(agent, ear, 3)


def test_upload_that_haproxy_died_over_is_not_taken_for_what_runs(agent: RunningAgent, serving: Listening) -> None:
    """Between upload and reload: the next HAProxy runs a file that was never confirmed."""
    more = Listening("127.20.0.1", free_port("127.20.0.1"))
    text = agent.configuration(2, serving, more)
    agent.ask("PUT", f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy", text)
    os.kill(agent.master_pid(), signal.SIGKILL)
    wait_until(lambda: agent.description() == "2", 3)

    load(agent, 3, replace(serving, weights=(7, 8)))

    assert agent.description() == "3"
    assert status_of(more.host, more.port) == 0


def test_weights_and_something_else_take_a_reload(agent: RunningAgent, serving: Listening) -> None:
    pid = agent.worker_pid()

    load(agent, 2, replace(serving, weights=(7, 8)), extra="    timeout queue 3s")

    assert agent.worker_pid() != pid
    assert (agent.description(), agent.weights()) == ("2", weights_of(serving, (7, 8)))


def test_reload_does_not_bring_back_weights_that_were_set_meanwhile(agent: RunningAgent, serving: Listening) -> None:
    """The saved state has the weights of the worker that ends, and the next one believes it where its file agrees."""
    pid = agent.worker_pid()
    load(agent, 2, replace(serving, weights=(7, 0)))
    assert agent.worker_pid() == pid

    load(agent, 3, serving, extra="    timeout queue 3s")

    assert (agent.description(), agent.weights()) == ("3", weights_of(serving, (1, 1)))


def test_weights_outlive_a_reload_that_the_agent_does_not_know_of(agent: RunningAgent, serving: Listening) -> None:
    """At any moment of it: the worker that is still there takes them, the next one has read the file before."""
    for revision in range(2, 22):
        wait_until(lambda: master_listens(agent), 3)
        began, former = time.monotonic(), agent.worker_pid()
        ask(agent.base / f"{agent.load_balancer_id}.cli", "reload")
        time.sleep(max(0.0, began + revision * 0.003 - time.monotonic()))

        load(agent, revision, replace(serving, weights=(revision, 1)))

        wait_until(lambda former=former: master_listens(agent) and agent.worker_pid() != former, 3)
        assert agent.weights() == weights_of(serving, (revision, 1)), f"{3 * revision} ms after the reload began"


def master_listens(agent: RunningAgent) -> bool:
    with suppress(NoAnswer):
        return bool(ask(agent.base / f"{agent.load_balancer_id}.cli", "show proc"))
    return False


def test_another_certificate_takes_a_reload_even_with_weights(agent: RunningAgent, serving: Listening) -> None:
    pid = agent.worker_pid()
    agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/certificates/x.pem", "a certificate")

    load(agent, 2, replace(serving, weights=(7, 8)))

    assert agent.worker_pid() != pid


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        pytest.param("level admin", "level operator", id="a socket that may not set weights"),
        pytest.param("option httpchk", "balance source\n    option httpchk", id="an algorithm that is static"),
    ],
)
def test_what_haproxy_does_not_take_at_runtime_takes_a_reload(
    agent: RunningAgent, balanced: Listening, word: str, instead: str
) -> None:
    load_text(agent, 1, agent.configuration(1, balanced).replace(word, instead))
    pid = agent.worker_pid()

    load_text(agent, 2, agent.configuration(2, replace(balanced, weights=(7, 8))).replace(word, instead))

    assert agent.worker_pid() != pid
    assert (agent.description(), agent.weights()) == ("2", weights_of(balanced, (7, 8)))


def test_weight_out_of_range_is_refused_in_haproxys_words(agent: RunningAgent, serving: Listening) -> None:
    with pytest.raises(ConfigurationRefused, match="257"):
        load(agent, 2, replace(serving, weights=(257, 1)))

    assert agent.weights() == weights_of(serving, (1, 1))


def test_weights_of_500_members_change_at_once(agent: RunningAgent) -> None:
    places = tuple(("127.19.1.1", 1000 + n) for n in range(500))
    many = Listening("127.20.0.1", free_port("127.20.0.1"), places)
    load(agent, 1, many)
    pid = agent.worker_pid()
    weights = tuple(n % 257 for n in range(500))

    load(agent, 2, replace(many, weights=weights))

    assert (agent.weights(), agent.worker_pid()) == (weights_of(many, weights), pid)
