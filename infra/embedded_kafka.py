"""A private Apache Kafka in a directory of ours: one broker on loopback, for `tacitus run --kafka` and for tests.

Its jars come from the Maven registry, once for each user of the machine.
"""

import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from infra.process_table import daemons_in, program_of, send, wait_until_gone

VERSION = "4.3.1"
HOST = "127.0.0.1"
START_SECONDS = 60
STOP_SECONDS = 20
PROJECT = Path(__file__).with_name("kafka") / "pom.xml"
MEMORY = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
SETTINGS: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT",
    "inter.broker.listener.name": "BROKER",
    "auto.create.topics.enable": "false",
    "offsets.topic.num.partitions": "4",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # A broker that was killed comes back when its registration has expired.
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "500",
}


class KafkaFailed(Exception):
    def __init__(self, step: str, words: str) -> None:
        super().__init__(f"the embedded Kafka did not {step}:\n{words.strip()}")


class EmbeddedKafka:
    """One broker in one directory. It outlives the process that started it; the next `start` takes its place.

    settings  of server.properties that differ from SETTINGS
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self._properties = self.directory / "server.properties"
        self._log = self.directory / "log"
        self.settings = {**SETTINGS, **(settings or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Fetch and format what is missing, start the broker, and return where it answers, host:port.

        It answers where it answered before, if nobody else does. Raises KafkaFailed with the broker's own words.
        """
        self.stop()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        jars = _jars()
        self._write_properties()
        self._format(jars)
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                _java(jars, "kafka.Kafka", str(self._properties)),
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C at the terminal is for whoever started us
            )
        self._wait_until_it_answers(self._process)
        return self.address

    def stop(self) -> None:
        """Stop the broker, whoever started it; fine when there is none."""
        remains = self._processes()
        send(remains, signal.SIGTERM)
        if wait_until_gone(remains, STOP_SECONDS):
            self._take_notice()
        else:
            self.kill()

    def kill(self) -> None:
        """As the kernel does when there is no memory left."""
        remains = self._processes()
        send(remains, signal.SIGKILL)
        wait_until_gone(remains, STOP_SECONDS)
        self._take_notice()

    @property
    def pid(self) -> int | None:
        """Number of the running broker's process."""
        return next(iter(self._processes()), None)

    @property
    def address(self) -> str:
        """host:port of the broker that was started last."""
        return f"{HOST}:{self._ports()[0]}"

    def _take_notice(self) -> None:
        """Of the end of our own child."""
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _processes(self) -> Sequence[int]:
        if not self.directory.exists():
            return []
        return [pid for pid in daemons_in(self.directory.resolve()) if program_of(pid) == "java"]

    def _ports(self) -> tuple[int, int]:
        """Of the broker and of its controller, as they were chosen. Raises KafkaFailed before the first start."""
        if not self._properties.exists():
            raise KafkaFailed("start", "it was never started")
        said = dict(line.split("=", 1) for line in self._properties.read_text().splitlines())
        broker, controller = (int(listener.rpartition(":")[2]) for listener in said["listeners"].split(","))
        return broker, controller

    def _write_properties(self) -> None:
        """Clients know the address from before, so it stays unless somebody else has taken it."""
        before = self._ports() if self._properties.exists() else (0, 0)
        broker, controller = before if all(map(_is_free, before)) else _free_ports()
        said = {
            **self.settings,
            "listeners": f"BROKER://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"BROKER://{HOST}:{broker}",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "log.dirs": str(self.directory / "data"),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in said.items()))

    def _format(self, jars: Path) -> None:
        if (self.directory / "data" / "meta.properties").exists():
            return
        cluster_id = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        order = ["format", "--ignore-formatted", f"--cluster-id={cluster_id}", f"--config={self._properties}"]
        _run("format its directory", _java(jars, "kafka.tools.StorageTool", *order))

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(self._ports()[0]):
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise KafkaFailed("start", _tail(self._log))
            time.sleep(0.05)


def _java(jars: Path, main_class: str, *arguments: str) -> list[str]:
    return ["java", *MEMORY, "-Dlog4j2.level=WARN", "-cp", f"{jars}/*", main_class, *arguments]


def _jars() -> Path:
    """The directory with all jars: whole or not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "tacitus" / f"kafka-{VERSION}"
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=place.parent))
        order = ["mvn", "--quiet", "--batch-mode", "--file", str(PROJECT), "dependency:copy-dependencies"]
        _run("fetch its jars", [*order, "-DincludeScope=runtime", f"-DoutputDirectory={unfinished}"])
        try:
            unfinished.rename(place)
        except OSError:  # somebody else was faster
            shutil.rmtree(unfinished)
    return place


def _run(step: str, order: Sequence[str]) -> None:
    try:
        outcome = subprocess.run(order, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise KafkaFailed(step, f"the program `{order[0]}` is missing: `./dev setup` installs it") from None
    if outcome.returncode:
        raise KafkaFailed(step, outcome.stdout + outcome.stderr)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return port != 0
    except OSError:
        return False


def _free_ports() -> tuple[int, int]:
    with closing(socket.create_server((HOST, 0))) as one, closing(socket.create_server((HOST, 0))) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
