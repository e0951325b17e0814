"""The feed over HTTP: in order, from any position, each project its own, new events at once."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from commands.ports import Origin
from infra.event_store import EventStore
from infra.options import written
from infra.settings import AuthStrategy, Profile, Settings
from tests.given import a_load_balancer
from tests.system.api import until

pytestmark = pytest.mark.postgres

ADMIN = {"X-Identity-Status": "Confirmed", "X-Project-Id": "ops", "X-Roles": "admin,member,reader"}


def of(project: str, roles: str = "member,reader") -> Mapping[str, str]:
    return {"X-Identity-Status": "Confirmed", "X-Project-Id": project, "X-Roles": roles}


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database, connections=2)
    yield store
    store.close()


@pytest.fixture
def port(database: str, tmp_path: Path) -> Iterator[int]:
    """Where a feed answers; it has to end well."""
    settings = Settings(
        database_url=database,
        state_directory=tmp_path,
        profile=Profile.NOOP,
        auth_strategy=AuthStrategy.TESTING,
        feed_port=0,
        feed_subscribers=8,
    )
    file, log = tmp_path / "tacitus.conf", tmp_path / "feed.log"
    file.write_text(written(settings))
    command = [sys.executable, "-m", "infra.cli", "feed", "--config-file", str(file)]
    with log.open("wb") as output, subprocess.Popen(command, stderr=output) as process:
        try:
            found = until(lambda: re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", log.read_text()), 20)
            yield int(found[1])
            process.terminate()
            assert process.wait(15) == 0, log.read_text()
        finally:
            process.kill()


def create(store: EventStore, project: str) -> str:
    load_balancer = a_load_balancer(project_id=project)
    store.save(load_balancer, origin=Origin(project_id=project, request_id="req-1"))
    return str(load_balancer.id)


@contextmanager
def reading(port: int, who: Mapping[str, str], path: str = "/v2/events", **headers: str) -> Iterator[HTTPResponse]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": "text/event-stream", **who, **headers})
        yield connection.getresponse()
    finally:
        connection.close()


def events(answer: HTTPResponse, wanted: int) -> list[dict[str, Any]]:
    """The first so many; waits for them."""
    found: list[dict[str, Any]] = []
    while len(found) < wanted:
        line = answer.readline()
        assert line, "the stream ended"
        if line.startswith(b"data: "):
            found.append(json.loads(line[6:]))
    return found


def test_events_come_in_order_with_what_is_known_of_them(store: EventStore, port: int) -> None:
    ids = [create(store, "p") for _ in range(3)]

    with reading(port, ADMIN) as answer:
        found = events(answer, 3)

    assert answer.getheader("Content-Type") == "text/event-stream"
    assert [each["subject"] for each in found] == ids
    assert [each["type"] for each in found] == ["LoadBalancerCreated"] * 3
    assert {(each["project"], each["request"], each["sequence"]) for each in found} == {("p", "req-1", "1")}
    assert found[0]["data"]["project_id"] == "p"
    assert found[0]["source"].startswith("urn:uuid:")


def test_what_is_recorded_while_somebody_reads_comes_at_once(store: EventStore, port: int) -> None:
    with reading(port, ADMIN) as answer:
        created = create(store, "p")

        (event,) = events(answer, 1)

    assert event["subject"] == created


@pytest.mark.parametrize("way", ["argument", "header"])
def test_a_reader_goes_on_where_it_was(way: str, store: EventStore, port: int) -> None:
    create(store, "p")
    with reading(port, ADMIN) as answer:
        (known,) = events(answer, 1)
    second = create(store, "p")

    path = f"/v2/events?after={known['id']}" if way == "argument" else "/v2/events"
    headers = {"Last-Event-ID": known["id"]} if way == "header" else {}
    with reading(port, ADMIN, path, **headers) as answer:
        (event,) = events(answer, 1)

    assert event["subject"] == second


def test_a_project_sees_its_own_events_alone(store: EventStore, port: int) -> None:
    create(store, "theirs")
    mine = create(store, "mine")
    create(store, "theirs")
    last = create(store, "mine")

    with reading(port, of("mine")) as answer:
        found = events(answer, 2)

    assert [each["subject"] for each in found] == [mine, last]


def test_somebody_without_a_role_sees_nothing(port: int) -> None:
    with reading(port, of("mine", roles="")) as answer:
        assert answer.status == 403
        assert json.loads(answer.read())["faultcode"] == "Client"


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "%C2%B2"])
def test_a_position_that_is_none_is_refused(after: str, port: int) -> None:
    with reading(port, ADMIN, f"/v2/events?after={after}") as answer:
        assert answer.status == 400
        assert "position of the log" in json.loads(answer.read())["faultstring"]
