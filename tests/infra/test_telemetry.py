"""What monitoring sees: numbers in Prometheus' format, life, and why a process is not ready; log lines as JSON."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest
from prometheus_client import Counter
from prometheus_client.parser import text_string_to_metric_families

from commands.tracing import serving
from infra.logs import JsonLines
from infra.options import written
from infra.readings import Endpoint, Reading
from infra.settings import AuthStrategy, Profile, Settings
from infra.telemetry import Telemetry
from tests.system.api import until


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refused:
        return refused.code, refused.read().decode()


def numbers(port: int) -> dict[str, float]:
    """Sample with its labels -> value."""
    _, text = ask(port, "/metrics")
    samples = (sample for family in text_string_to_metric_families(text) for sample in family.samples)
    return {sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value for sample in samples}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    with Telemetry(Endpoint("127.0.0.1", 0)) as found:
        yield found


def test_numbers_are_those_of_the_moment_they_are_asked_for(telemetry: Telemetry) -> None:
    counter = Counter("pushes", "Pushes.", registry=telemetry.registry)
    waiting = [1.0]
    telemetry.readings.show("queue", lambda: [Reading("waiting", "Waiting.", waiting[0], {"kind": "push"})])

    counter.inc()
    waiting[0] = 7.0

    assert numbers(telemetry.port)["pushes_total"] == 1
    assert numbers(telemetry.port)["waiting push"] == 7


def test_numbers_that_cannot_be_read_do_not_take_the_others_with_them(telemetry: Telemetry) -> None:
    def away() -> list[Reading]:
        raise psycopg.OperationalError("no database")

    telemetry.readings.show("away", away)
    telemetry.readings.show("here", lambda: [Reading("here", "Here.", 1.0)])

    assert numbers(telemetry.port) == {"here": 1}


def test_a_process_is_alive_before_it_is_ready(telemetry: Telemetry) -> None:
    assert ask(telemetry.port, "/healthz") == (200, "alive\n")
    assert ask(telemetry.port, "/readyz") == (503, "starting\n")

    telemetry.not_ready = lambda: ["the database does not answer"]
    assert ask(telemetry.port, "/readyz") == (503, "the database does not answer\n")

    telemetry.not_ready = list
    assert ask(telemetry.port, "/readyz") == (200, "ready\n")
    assert ask(telemetry.port, "/")[0] == 404


@pytest.mark.parametrize("text", ["", "9000", "host:", "host:port", "host:70000"])
def test_an_endpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT is wanted"):
        Endpoint.parsed(text)


def test_a_log_line_names_the_request_that_it_goes_back_to() -> None:
    record = logging.LogRecord("infra.worker", logging.WARNING, "f", 1, "push of %s failed", ("x",), None)

    with serving("req-1"):
        line = json.loads(JsonLines("worker").format(record))

    assert (line["role"], line["level"], line["message"], line["request_id"]) == (
        *("worker", "WARNING", "push of x failed", "req-1"),
    )
    with serving(""):
        assert "request_id" not in json.loads(JsonLines("worker").format(record))


# The services themselves


@pytest.fixture
def settings_file(database: str, tmp_path: Path) -> Path:
    settings = Settings(
        database_url=database,
        state_directory=tmp_path,
        profile=Profile.NOOP,
        auth_strategy=AuthStrategy.TESTING,
        api_port=0,
        heartbeat_port=0,
    )
    file = tmp_path / "tacitus.conf"
    file.write_text(written(settings))
    return file


@contextmanager
def a_service(name: str, settings_file: Path) -> Iterator[int]:
    """The port on which it answers monitoring."""
    with Telemetry(Endpoint("127.0.0.1", 0)) as taken:
        port = taken.port
    command = [sys.executable, "-m", "infra.cli", name, "--config-file", str(settings_file)]
    log = settings_file.with_name(f"{name}.log")
    with (
        log.open("wb") as output,
        subprocess.Popen([*command, "--telemetry", f"127.0.0.1:{port}"], stderr=output) as it,
    ):
        try:
            until(lambda: _is_ready(port), 20, f"{name} to be ready")
            yield port
            it.terminate()
            assert it.wait(15) == 0, log.read_text()
        finally:
            it.kill()


def _is_ready(port: int) -> bool:
    try:
        return ask(port, "/readyz")[0] == 200
    except OSError:
        return False


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["worker", "health-manager", "housekeeping", "projector"])
def test_a_service_tells_its_numbers_and_ends_when_asked(name: str, settings_file: Path) -> None:
    with a_service(name, settings_file) as port:
        assert numbers(port)["tacitus_log_end_position"] == 0


@pytest.mark.postgres
def test_the_api_counts_what_all_its_workers_answered(settings_file: Path) -> None:
    with a_service("api", settings_file) as port:
        log = settings_file.with_name("api.log")
        (listening,) = until(lambda: re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()), 10)
        for _ in range(20):
            assert ask(int(listening), "/v2")[0] == 200
        assert ask(int(listening), "/v2/lbaas/loadbalancers/none")[0] == 404

        found = numbers(port)

    assert found.get("tacitus_http_request_seconds_count GET 200") == 20, (found, log.read_text())
    assert found["tacitus_http_request_seconds_count GET 404"] == 1


@pytest.mark.postgres
def test_the_api_answers_and_counts_on_when_its_workers_are_replaced(settings_file: Path) -> None:
    def booted() -> list[str]:
        return re.findall(r"Booting worker with pid: (\d+)", settings_file.with_name("api.log").read_text())

    with a_service("api", settings_file) as port:
        log = settings_file.with_name("api.log")
        (listening,) = until(lambda: re.findall(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()), 10)
        assert ask(int(listening), "/v2")[0] == 200
        first = booted()
        for pid in first:
            os.kill(int(pid), signal.SIGTERM)
        until(lambda: len(booted()) == 2 * len(first), 10, "new workers")

        answers = [ask(int(listening), "/v2")[0] for _ in range(10)]
        counted = numbers(port)["tacitus_http_request_seconds_count GET 200"]

    assert answers == [200] * 10, log.read_text()
    assert counted == 11
