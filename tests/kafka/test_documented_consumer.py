"""The consumer of docs/events.md, just as it stands there."""

import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from domain.fields import Position
from domain.load_balancer import LoadBalancer
from infra.event_store import EventStore
from infra.settings import Settings
from tests.given import a_load_balancer
from tests.infra.restoring import wait_until
from tests.kafka.relaying import append, end_of_log, messages_until, relay, renamed, send

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

DOCUMENT = Path(__file__).parents[2] / "docs/events.md"


def code() -> str:
    (found,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


@contextmanager
def consumer(settings: Settings, directory: Path) -> Iterator["subprocess.Popen[str]"]:
    (directory / "consumer.py").write_text(code())
    (broker,) = settings.kafka_bootstrap_servers
    command = [sys.executable, "consumer.py", broker, settings.kafka_topic]
    with subprocess.Popen(command, cwd=directory, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def names(directory: Path) -> dict[UUID, str]:
    with closing(sqlite3.connect(directory / "names.db")) as database:
        try:
            return {UUID(id): name for id, name in database.execute("SELECT id, name FROM names")}
        except sqlite3.OperationalError:  # not made yet
            return {}


def knows(directory: Path, *expected: LoadBalancer) -> Callable[[], bool]:
    return lambda: names(directory) == {each.id: each.settings.name for each in expected}


def test_it_has_at_most_twenty_lines_besides_its_imports() -> None:
    lines = [line for line in code().splitlines() if line and not re.match("import|from", line)]

    assert len(lines) <= 20


def test_it_knows_all_names_and_goes_on_after_it_was_killed(
    settings: Settings, store: EventStore, tmp_path: Path
) -> None:
    one, other = append(store, a_load_balancer()), append(store, a_load_balancer())
    renamed(store, one, "annals", "histories")
    with relay(settings):
        messages_until(settings, end_of_log(settings))
        with consumer(settings, tmp_path):
            wait_until(knows(tmp_path, one, other))
        renamed(store, other, "agricola")
        third = append(store, a_load_balancer())
        with consumer(settings, tmp_path):
            wait_until(knows(tmp_path, one, other, third))

    assert sorted(names(tmp_path).values()) == ["", "agricola", "histories"]


def test_what_comes_again_changes_nothing(settings: Settings, store: EventStore, tmp_path: Path) -> None:
    one = append(store, a_load_balancer())
    renamed(store, one, "annals", "histories")
    with relay(settings):
        partitions = messages_until(settings, end_of_log(settings))
    messages = [message for partition in partitions for message in partition]

    send(settings, [message.stored for message in messages[:2]], previous=lambda position: position - 1)
    other = append(store, a_load_balancer())
    with consumer(settings, tmp_path), relay(settings):
        wait_until(knows(tmp_path, one, other))

    assert names(tmp_path)[one.id] == "histories"


def test_it_stops_at_a_gap(settings: Settings, store: EventStore, tmp_path: Path) -> None:
    one = append(store, a_load_balancer())
    renamed(store, one, "annals")
    with relay(settings):
        partitions = messages_until(settings, end_of_log(settings))
    (last,) = [message for partition in partitions for message in partition if message.position == 2]

    later = replace(last.stored, position=Position(5))
    send(settings, [later], previous=lambda position: 4)
    with consumer(settings, tmp_path) as process:
        code = process.wait(timeout=30)
        assert process.stderr is not None
        said = process.stderr.read()

    assert code == 1
    assert "events after 2 are missing" in said
    assert names(tmp_path) == {one.id: "annals"}
