"""`tacitus run` as a stranger meets it: started as a command, stopped by a signal, killed."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.local_network import VIP_SUBNET
from infra.process_table import daemons_in, send, wait_until_gone

pytestmark = [pytest.mark.postgres, pytest.mark.amphora, pytest.mark.slow]


@dataclass
class Stranger:
    """Somebody at a terminal with a state directory."""

    directory: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "infra.cli", "run", "--state-dir", str(self.directory), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.started.append(process)
        return process

    def run_until_ready(self, profile: str = "noop") -> tuple[subprocess.Popen[str], str]:
        """The process and the URL that it announced."""
        process = self.run("--port", "0", "--profile", profile)
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if found := re.match(r"listening on (http://\S+)", line):
                return process, found[1]
        raise AssertionError(f"ended with code {process.wait()}:\n{said}")

    def remains(self) -> list[int]:
        return daemons_in(self.directory)

    def amphorae(self) -> list[str]:
        return sorted(path.name for path in (self.directory / "amphorae").iterdir())

    def sockets(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_socket()]


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with tempfile.TemporaryDirectory(prefix="tacitus-run-") as name:
        directory = Path(name).resolve() / "state"  # not tmp_path: the database's user must be able to pass through
        directory.parent.chmod(0o711)
        somebody = Stranger(directory)
        yield somebody
        for process in somebody.started:
            process.send_signal(signal.SIGTERM)
            process.communicate()
        send(somebody.remains(), signal.SIGKILL)
        wait_until_gone(somebody.remains(), 5)


def answer_of(url: str) -> int:
    """The status of a GET, 0 when nobody listens."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_leaves_no_process_and_no_socket(stranger: Stranger, how: signal.Signals) -> None:
    process, url = stranger.run_until_ready()
    assert answer_of(url) == 200

    process.send_signal(how)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 0, said
    assert stranger.remains() == []
    assert stranger.sockets() == []


def test_a_second_run_on_the_same_directory_says_so_and_exits(stranger: Stranger) -> None:
    first, _ = stranger.run_until_ready()

    second = stranger.run("--port", "0")
    said, _ = second.communicate(timeout=30)

    assert second.returncode == 4
    assert f"is in use by another `tacitus run` (process {first.pid})" in said
    assert first.poll() is None


def test_a_port_that_is_taken_is_named_and_nothing_is_left(stranger: Stranger) -> None:
    _, url = stranger.run_until_ready()
    port = url.rpartition(":")[2]
    other = Stranger(stranger.directory.parent / "other")

    process = other.run("--port", port)
    said, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert other.remains() == []


def heartbeat_port(state: Path) -> int:
    said = ConfigParser(interpolation=None)
    said.read(state / "tacitus.conf")
    return said.getint("health_manager", "bind_port")


def test_two_runs_hear_heartbeats_on_ports_of_their_own(stranger: Stranger) -> None:
    other = Stranger(stranger.directory.parent / "other", stranger.started)
    stranger.run_until_ready()
    other.run_until_ready()

    assert heartbeat_port(stranger.directory) != heartbeat_port(other.directory)


def test_port_that_amphorae_send_heartbeats_to_is_never_exchanged(stranger: Stranger) -> None:
    process, _ = stranger.run_until_ready("local")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    port = heartbeat_port(stranger.directory)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", port))
        process = stranger.run("--port", "0")
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: another program has the port. Amphorae" in said
    assert stranger.remains() == []


def test_services_end_when_the_process_that_started_them_is_killed(stranger: Stranger) -> None:
    process, _ = stranger.run_until_ready()
    services = daemons_in(stranger.directory / "log")
    assert len(services) >= 3

    process.kill()

    assert wait_until_gone(services, 15)


def test_after_a_kill_the_next_run_adopts_the_database_and_answers(stranger: Stranger) -> None:
    process, _ = stranger.run_until_ready()
    postmaster = (stranger.directory / "postgresql/data/postmaster.pid").read_text().split()[0]
    process.kill()
    process.wait()

    _, url = stranger.run_until_ready()

    assert answer_of(url) == 200
    assert (stranger.directory / "postgresql/data/postmaster.pid").read_text().split()[0] == postmaster


def test_a_service_that_is_killed_is_started_again(stranger: Stranger) -> None:
    process, url = stranger.run_until_ready()
    (arbiter,) = (pid for pid in daemons_in(stranger.directory / "log") if _is_api(pid) and os.getpgid(pid) == pid)

    os.kill(arbiter, signal.SIGKILL)
    answer = answer_of(url)

    assert answer == 200
    assert process.poll() is None


def test_the_same_amphora_serves_again_after_a_stop_and_a_start(stranger: Stranger) -> None:
    process, url = stranger.run_until_ready("local")
    vip = a_serving_load_balancer(url)
    before = stranger.amphorae()

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert answer_of(vip) == 0
    stranger.run_until_ready("local")

    wait_until(lambda: answer_of(vip) == 503)
    assert stranger.amphorae() == before


def test_amphorae_serve_while_the_control_plane_is_dead_and_are_adopted_after_it(stranger: Stranger) -> None:
    process, url = stranger.run_until_ready("local")
    vip = a_serving_load_balancer(url)
    (amphora,) = stranger.amphorae()
    running = daemons_in(stranger.directory / "amphorae" / amphora)

    process.kill()
    process.wait()
    assert wait_until_gone(daemons_in(stranger.directory / "log"), 15)
    assert answer_of(vip) == 503
    stranger.run_until_ready("local")

    assert answer_of(vip) == 503
    assert daemons_in(stranger.directory / "amphorae" / amphora) == running


def a_serving_load_balancer(url: str) -> str:
    """URL of a VIP whose listener answers 503, for want of a pool."""
    api = f"{url}/v2.0/lbaas"
    settings = {"name": "annals", "vip_subnet_id": str(VIP_SUBNET.id)}
    load_balancer = ask(f"{api}/loadbalancers", {"loadbalancer": settings})["loadbalancer"]
    listener = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 18080}
    ask(f"{api}/listeners", {"listener": listener})
    vip = f"http://{load_balancer['vip_address']}:18080/"
    wait_until(lambda: answer_of(vip) == 503)
    return vip


def ask(url: str, body: object) -> Any:
    headers = {"Content-Type": "application/json", "X-Project-Id": "annalists"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read().decode()) from None


def wait_until(condition: Callable[[], bool]) -> None:
    """For what happens in other processes and cannot be awaited."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.02)


def _is_api(pid: int) -> bool:
    return b"\x00api\x00" in Path(f"/proc/{pid}/cmdline").read_bytes()
