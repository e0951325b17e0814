"""The agent takes a configuration that works, refuses one that does not with the reason, and keeps what it had."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from amphora.agent.binds import Bind, binds_of, refused_binds
from amphora.driver import AgentFault, ConfigurationRefused, OutdatedConfiguration
from amphora.trust import Trust
from tests.amphora.running_agent import Listening, RunningAgent, free_port, status_of, wait_until

pytestmark = pytest.mark.amphora


def load(agent: RunningAgent, revision: int, *listeners: Listening, extra: str = "") -> None:
    text = agent.configuration(revision, *listeners, extra=extra)
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, revision)


def test_traffic_flows_once_the_call_returns(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)

    assert status_of(listening.host, listening.port) == 200


def test_new_worker_runs_the_new_file_once_the_call_returns(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)

    for revision in range(2, 8):
        load(agent, revision, listening, extra=f"    timeout queue {revision}s")
        assert agent.description() == str(revision)


def test_same_file_again_is_no_work(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)
    pid = agent.worker_pid()

    load(agent, 1, listening)

    assert agent.worker_pid() == pid


def test_older_revision_is_refused_and_both_are_named(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 7, listening)

    with pytest.raises(OutdatedConfiguration, match="revision 6 is older than revision 7"):
        load(agent, 6, listening)

    assert agent.description() == "7"


def test_older_revision_of_another_log_is_taken(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 7, listening)

    text = agent.configuration(2, listening, log_id=uuid4())
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, 2)

    assert agent.description() == "2"


def test_refused_file_tells_haproxys_words_and_changes_nothing(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)
    pid = agent.worker_pid()

    with pytest.raises(ConfigurationRefused, match="unknown keyword 'bogus'") as refused:
        load(agent, 2, listening, extra="    bogus")

    assert str(agent.base) not in refused.value.words
    assert refused.value.refused == {}
    assert agent.worker_pid() == pid
    files = sorted(file.name for file in agent.load_balancer_directory.iterdir())
    assert files == ["haproxy.cfg", "haproxy.cfg.new-failed", "servers-state"]
    assert "description 1" in (agent.load_balancer_directory / "haproxy.cfg").read_text()


def test_port_that_another_process_holds_is_refused_with_listener_and_reason(
    agent: RunningAgent, listening: Listening
) -> None:
    load(agent, 1, listening)
    with socket.create_server((listening.host, 0)) as other:
        taken = Listening(listening.host, other.getsockname()[1])

        with pytest.raises(ConfigurationRefused) as refused:
            load(agent, 2, listening, taken)

    assert list(refused.value.refused) == [taken.id]
    assert refused.value.refused[taken.id].startswith(f"{taken.host}:{taken.port} is in use by another process")
    load(agent, 2, listening, taken)  # free now


def test_port_that_haproxy_of_another_load_balancer_holds_is_refused(agent: RunningAgent, trust: Trust) -> None:
    port = free_port("127.20.0.1")
    load(agent, 1, Listening("127.20.0.1", port))

    with RunningAgent(trust) as other, pytest.raises(ConfigurationRefused, match="in use by another process"):
        load(other, 1, Listening("127.20.0.1", port))


def test_replacement_of_an_amphora_takes_the_ports_that_the_old_one_still_holds(
    agent: RunningAgent, trust: Trust, listening: Listening
) -> None:
    load(agent, 1, listening)

    with RunningAgent(trust, load_balancer_id=agent.load_balancer_id) as replacement:
        load(replacement, 1, listening)
        agent.kill_group()

        assert status_of(listening.host, listening.port) == 200


def test_address_that_the_amphora_does_not_have_is_refused(agent: RunningAgent) -> None:
    listener = Listening("192.0.2.1", 8080)

    with pytest.raises(ConfigurationRefused) as refused:
        load(agent, 1, listener)

    assert "192.0.2.1 is not an address of this amphora" in refused.value.refused[listener.id]


def test_address_in_the_form_that_listens_everywhere_meets_the_one_that_haproxy_holds(
    agent: RunningAgent, listening: Listening
) -> None:
    load(agent, 1, listening)

    load(agent, 2, replace(listening, host="*"))

    assert status_of("127.20.0.9", listening.port) == 200


def test_port_moves_from_one_listener_to_another(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)

    load(agent, 2, replace(listening, id=uuid4()))

    assert status_of(listening.host, listening.port) == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up the privilege to bind port 80")
def test_privileged_port_is_refused_with_what_helps() -> None:
    bind = Bind("a-listener", "127.20.0.1", 80)
    program = (
        "import os\nfrom amphora.agent.binds import Bind, refused_binds\nos.setuid(65534)\n"
        f"print(refused_binds([Bind('{bind.frontend}', '{bind.address}', {bind.port})], frozenset(), 'x'))"
    )
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= bind.port:
        pytest.skip(f"on this machine everybody may bind ports from {lowest} on")

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "127.20.0.1:80: port 80 needs the capability CAP_NET_BIND_SERVICE or root" in done.stdout, done.stderr


def test_two_listeners_at_one_address_are_told_apart_from_strangers() -> None:
    port = free_port("127.20.0.1")
    binds = [Bind("one", "127.20.0.1", port), Bind("two", "127.20.0.1", port)]

    assert refused_binds(binds, frozenset(), "x") == {"two": f"127.20.0.1:{port} is bound by listener one already"}


def test_binds_are_found_in_every_form() -> None:
    text = (
        "global\n stats socket /run/x\nfrontend a\n bind 10.0.0.1:80,'[::1]:81' name x\n bind *:82 ssl crt-list /x\n"
        " bind /run/y.sock\n bind 10.0.0.1:90-99\n bind 10.0.0.2:83 transparent # why\nbackend b\n bind 10.0.0.3:84\n"
        "peers p\n bind 10.0.0.4:85\nlisten c\n bind :::86\n"
    )

    assert [(bind.frontend, str(bind)) for bind in binds_of(text)] == [
        ("a", "10.0.0.1:80"),
        ("a", "[::1]:81"),
        ("a", "*:82"),
        ("c", "[::]:86"),
    ]


def test_check_has_no_effect(agent: RunningAgent, listening: Listening) -> None:
    driver, id = agent.driver(), agent.load_balancer_id

    driver.check_configuration(agent.address, id, agent.configuration(1, listening))
    with pytest.raises(ConfigurationRefused, match="bogus"):
        driver.check_configuration(agent.address, id, agent.configuration(1, extra="bogus"))

    assert not agent.load_balancer_directory.exists()
    assert agent.haproxy_pids() == []


def test_removal_leaves_nothing(agent: RunningAgent, listening: Listening) -> None:
    before = {file.name for file in agent.base.iterdir()} | {"certs", "stats_counters.json"}
    load(agent, 1, listening)
    path = f"/1.0/loadbalancer/{agent.load_balancer_id}/certificates/x.pem"
    assert agent.ask("PUT", path, "a certificate")[0] == 200

    agent.driver().remove_configuration(agent.address, agent.load_balancer_id)

    assert agent.haproxy_pids() == []
    assert status_of(listening.host, listening.port) == 0
    assert {file.name for file in agent.base.iterdir()} <= before
    assert list((agent.base / "certs").iterdir()) == []


def test_stop_and_start(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)

    stopped, _ = agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/stop")
    status_while_stopped = status_of(listening.host, listening.port)
    started, _ = agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/start")

    assert (stopped, status_while_stopped, started) == (202, 0, 202)
    assert status_of(listening.host, listening.port) == 200


def test_haproxy_that_does_not_come_up_is_a_fault_with_its_last_words(
    agent: RunningAgent, listening: Listening
) -> None:
    """The check says yes, and yet: the file names a user list's file... that is gone by the time of the reload."""
    load(agent, 1, listening)
    errors = Path(agent.directory / "503.http")
    errors.write_text("HTTP/1.0 503 No\r\nContent-Length: 0\r\n\r\n")
    text = agent.configuration(2, listening, extra=f"    errorfile 503 {errors}")
    assert agent.ask("PUT", f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy", text)[0] == 202
    errors.unlink()

    began = time.monotonic()
    status, body = agent.ask("PUT", f"/1.0/loadbalancer/{agent.load_balancer_id}/reload")

    assert time.monotonic() - began < 2.0
    assert status == 500
    assert "503.http" in json.loads(body)["details"]
    assert status_of(listening.host, listening.port) == 200  # the old worker goes on
    load(agent, 3, listening)  # and a better file heals it
    assert agent.description() == "3"


def test_reload_that_haproxys_master_did_not_hear_is_a_fault_and_works_when_repeated(
    agent: RunningAgent, listening: Listening
) -> None:
    load(agent, 1, listening)
    master = agent.master_pid()
    os.kill(master, signal.SIGSTOP)

    began = time.monotonic()
    with pytest.raises(AgentFault, match="cannot be reloaded"):
        load(agent, 2, listening, extra="    timeout queue 2s")
    took = time.monotonic() - began
    os.kill(master, signal.SIGCONT)
    load(agent, 2, listening, extra="    timeout queue 2s")

    assert took < 2.5  # of which the upload needs a part
    assert agent.description() == "2"


def test_what_is_on_disk_runs_again_before_the_api_answers(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)
    agent.kill_group()

    agent.start()

    assert status_of(listening.host, listening.port) == 200
    assert agent.description() == "1"


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of 256 kB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    directory = Path(tempfile.mkdtemp(prefix="amp-", dir="/tmp"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "amphora", str(directory)], capture_output=True
    )
    if mounted.returncode:
        directory.rmdir()
        pytest.skip(f"cannot mount a small disk here: {mounted.stderr.decode()}")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)
    directory.rmdir()


def test_full_disk_is_told_and_the_old_file_stays_whole(trust: Trust, small_disk: Path, listening: Listening) -> None:
    with RunningAgent(trust, base_path=small_disk) as agent:
        load(agent, 1, listening)
        file = agent.load_balancer_directory / "haproxy.cfg"
        before = file.read_text()
        with (small_disk / "ballast").open("wb") as ballast:
            wait_until(lambda: not _room(ballast.fileno()), 5)

        big = agent.configuration(2, listening, extra="# x" * 20_000)
        status, body = agent.ask("PUT", f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy", big)
        with pytest.raises(AgentFault, match="507"):
            load(agent, 2, listening, extra="# x" * 20_000)

        assert status == 507
        assert "No space left" in json.loads(body)["details"]
        assert file.read_text() == before
        assert not (agent.load_balancer_directory / "haproxy.cfg.new").exists()
        assert status_of(listening.host, listening.port) == 200
        (small_disk / "ballast").unlink()
        load(agent, 2, listening, extra="# x" * 20_000)


def _room(descriptor: int) -> bool:
    try:
        os.write(descriptor, bytes(4096))
    except OSError:
        return False
    return True


def test_ids_of_the_file_are_those_of_the_listeners(agent: RunningAgent, listening: Listening) -> None:
    load(agent, 1, listening)

    listeners = json.loads(agent.ask("GET", "/1.0/listeners")[1])

    assert listeners == [{"status": "ACTIVE", "uuid": str(UUID(str(listening.id))), "type": "HTTP"}]
