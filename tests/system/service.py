"""The whole service as `./dev run` starts it, in a state directory of its own, and what it leaves behind."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from infra.loopback_addresses import CLAIMS
from infra.options import read
from infra.process_table import daemons_in, program_of, send, wait_until_gone
from infra.state_directory import StateDirectory
from tests.system.api import Api, until

START_SECONDS = 30


@dataclass
class Service:
    """One `tacitus run`; it may be stopped or killed, and started again on the same directory."""

    directory: Path
    profile: str = "local"
    replicas: int = 1
    with_kafka: bool = False
    port: int = 0
    process: subprocess.Popen[str] | None = None
    said: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Returns once it answers; the port stays what it was the first time."""
        self.process = self.run("--port", str(self.port))
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.match(r"listening on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                return
        raise AssertionError(f"ended with code {self.process.wait()}: {''.join(self.said)}")

    def run(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "infra.cli", "run", "--state-dir", str(self.directory)]
        command += ["--profile", self.profile, "--replicas", str(self.replicas), *arguments]
        command += ["--kafka"] if self.with_kafka else []
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def stop(self) -> None:
        """Ctrl-C. Raises AssertionError when it does not end well, or leaves a process."""
        process = self.process
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
        self.process = None
        assert process.returncode == 0, f"code {process.returncode}: {''.join(self.said)}{rest}"
        assert self.processes() == [], [program_of(pid) for pid in self.processes()]
        assert self.sockets() == []

    def kill_control_plane(self) -> None:
        """kill -9 for supervisor, API, worker, health manager and PostgreSQL; amphorae are not touched."""
        assert self.process
        pids = [self.process.pid, *self.control_plane()]
        send(pids, signal.SIGKILL)
        self.process.communicate()
        self.process = None
        assert wait_until_gone(pids, 10)
        send(self.control_plane(), signal.SIGKILL)  # what had just been forked

    def clean_up(self) -> None:
        """End whatever there is, however the test went."""
        if self.process:
            self.process.kill()
            self.process.communicate()
        while remains := self.processes():
            send(remains, signal.SIGKILL)
            wait_until_gone(remains, 5)
        for claim in CLAIMS.glob("*"):
            if self.amphorae in Path(os.readlink(claim)).parents:
                claim.unlink()

    # What there is

    @property
    def api(self) -> Api:
        return Api("127.0.0.1", self.port)

    @property
    def amphorae(self) -> Path:
        return self.directory / "amphorae"

    def processes(self) -> list[int]:
        return daemons_in(self.directory)

    def sockets(self) -> list[Path]:
        return [path for path in self.directory.rglob("*") if path.is_socket()]

    def control_plane(self) -> list[int]:
        return daemons_in(self.directory / "log", self.directory / "postgresql")

    def service_process(self, name: str) -> int:
        """The leader of the process group of a service."""
        (found,) = (
            pid
            for pid in daemons_in(self.directory / "log")
            if f"\0{name}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes() and os.getpgid(pid) == pid
        )
        return found

    def amphora_directories(self) -> set[str]:
        return {path.name for path in self.amphorae.glob("*-*-*-*-*")} if self.amphorae.exists() else set()

    def processes_of_amphora(self, id: str, program: str = "") -> list[int]:
        return [pid for pid in daemons_in(self.amphorae / id) if program in program_of(pid)]

    def configuration_of(self, load_balancer_id: str) -> str:
        """The text of the file that the amphora in service runs."""
        amphora_id = self.amphora_of(load_balancer_id)
        (file,) = (self.amphorae / amphora_id).rglob("haproxy.cfg")
        return file.read_text()

    # What the database holds

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection[Any]]:
        url = read([StateDirectory(self.directory).settings]).owner_url
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self.database() as connection:
            return connection.execute(sql, parameters).fetchall()

    def amphora_of(self, load_balancer_id: str) -> str:
        """The amphora in service."""
        ((id,),) = self.query(
            "SELECT id FROM amphorae WHERE load_balancer_id = %s AND stage = 'in service'", load_balancer_id
        )
        return str(id)

    def events(self, originator_id: str | None = None) -> Counter[str]:
        """Topic -> how often it is in the log, for one stream or for all."""
        return Counter(
            topic
            for (topic,) in self.query(
                "SELECT topic FROM tacitus_events WHERE %s::uuid IS NULL OR originator_id = %s",
                originator_id,
                originator_id,
            )
        )

    def pending_actions(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT kind, object_id, failures, last_error FROM actions ORDER BY id")

    def wait_until_quiet(self, seconds: float = 30) -> None:
        """Until every action is done."""
        until(lambda: not self.pending_actions(), seconds, f"no pending action, but there is {self.pending_actions()}")

    def assert_nothing_is_left(self) -> None:
        """After everything was deleted: no process, directory, claim, row or pending action; the history remains."""
        self.wait_until_quiet()
        assert self.amphora_directories() == set()
        assert daemons_in(self.amphorae) == []
        assert [claim for claim in CLAIMS.glob("*") if self.amphorae in Path(os.readlink(claim)).parents] == []
        for table in ("load_balancers", "listeners", "pools", "members", "health_monitors", "addresses"):
            assert self.query(f"SELECT count(*) FROM {table}") == [(0,)], table
        events = self.events()
        assert events["LoadBalancerDeleted"] == events["LoadBalancerCreated"]
