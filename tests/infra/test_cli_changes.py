"""`tacitus changes`: who changed what in a project, as auditors and operators ask it."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from commands.ports import Origin
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra.actors import Actors
from infra.cli import main
from infra.event_store import EventStore
from infra.log_stream import LogStream
from infra.projector import projecting
from infra.settings import Settings
from infra.wiring import connection_pool
from projections.known import PROJECTIONS
from tests.given import a_listener, a_load_balancer, a_member, a_pool, a_vip, confirm

pytestmark = pytest.mark.postgres

LONG_AGO = "2020-01-01"
Tacitus = Callable[..., tuple[list[str], str]]


class Project:
    """A load balancer of `annals`, changed by livia and by the service, and one of somebody else."""

    def __init__(self, database: str, pool: Any, store: EventStore) -> None:
        self._store = store
        self._livia = Actors(pool).id_of("livia")
        self._projector = projecting(PROJECTIONS["changes"], LogStream(pool, store.mapper), pool, store)
        self.load_balancer = a_load_balancer(
            project_id="annals", vip=a_vip(), settings=LoadBalancerSettings(name="rome")
        )
        self.other = a_load_balancer(project_id="histories", vip=a_vip(is_exclusive=False))
        self.by_livia("req-1", self.load_balancer)
        self.listener = a_listener(name="web", protocol_port=80)
        self.load_balancer.add_listener(self.listener)
        self.by_livia("req-2", self.load_balancer)
        confirm(self.load_balancer)
        self.load_balancer.request_repair("it looks wrong")
        self.load_balancer.remove_listener(self.listener.id)
        self._store.save(self.load_balancer, origin=Origin())
        self._store.save(self.other, origin=Origin())
        self.project()

    def by_livia(self, request_id: str, load_balancer: LoadBalancer) -> None:
        self._store.save(load_balancer, origin=Origin(actor=self._livia, project_id="annals", request_id=request_id))

    def project(self) -> None:
        while self._projector.run_once():
            pass

    def add_a_pool(self) -> None:
        pool = a_pool(name="books")
        self.load_balancer.add_pool(pool)
        self.load_balancer.add_member(a_member(pool))
        self._store.save(self.load_balancer, origin=Origin())


@pytest.fixture
def project(database: str) -> Iterator[Project]:
    store = EventStore(database)
    settings = Settings(database_url=database, state_directory=Path("/nowhere"))
    with connection_pool(settings, 3) as pool:
        yield Project(database, pool, store)
    store.close()


@pytest.fixture
def tacitus(project: Project, database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tacitus:
    """Types the verb; returns the lines on standard output, and what was said on standard error."""
    file = tmp_path / "tacitus.conf"
    file.write_text(f"[DEFAULT]\nstate_directory = {tmp_path}\n[database]\nconnection = {database}\n")

    def typed(*arguments: object, code: int = 0) -> tuple[list[str], str]:
        left: int | str | None = 0
        try:
            main(["changes", "--config-file", str(file), *map(str, arguments)])
        except SystemExit as end:
            left = end.code
        said = capsys.readouterr()
        assert left == code, said
        return said.out.splitlines(), said.err

    return typed


def test_changes_of_a_project_are_told_in_their_order(project: Project, tacitus: Tacitus) -> None:
    lines, warned = tacitus("--project", "annals", "--since", LONG_AGO)

    assert warned == ""
    assert lines[0].split() == ["time", "load", "balancer", "who", "request", "what"]
    told = [re.split(r" {2,}", line, maxsplit=4) for line in lines[1:]]
    assert [(name, who) for _, name, who, *_ in told] == [("rome", "livia")] * 2 + [("rome", "Tacitus")] * 2
    assert [line.split("  ")[-1].strip() for line in lines[1:]] == [
        f"asked for: rome, VIP {project.load_balancer.vip.address}, on amphora "
        f"{str(project.load_balancer.amphora_ids[0])[:8]}",
        "listener web added: HTTP on port 80",
        "repair asked for: it looks wrong",
        "listener web removed",
    ]
    assert "req-2" in lines[2]


def test_what_was_named_before_is_called_by_its_name(project: Project, tacitus: Tacitus) -> None:
    (*_, created), _ = tacitus("--project", "annals", "--since", LONG_AGO, "--limit", 3)

    (_, last), _ = tacitus("--project", "annals", "--since", project.load_balancer.modified_on.isoformat())

    assert created.endswith("repair asked for: it looks wrong")
    assert last.endswith("listener web removed")


def test_each_is_one_object_in_json(project: Project, tacitus: Tacitus) -> None:
    lines, _ = tacitus("--project", "annals", "--since", LONG_AGO, "--json")

    found = [json.loads(line) for line in lines]
    assert [each["event"] for each in found] == [
        "LoadBalancerCreated",
        "ListenerAdded",
        "LoadBalancerRepairRequested",
        "ListenerRemoved",
    ]
    assert found[1] == {
        "at": found[1]["at"],
        "load_balancer_id": str(project.load_balancer.id),
        "name": "rome",
        "event": "ListenerAdded",
        "who": "livia",
        "what": "listener web added: HTTP on port 80",
        "request_id": "req-2",
    }
    assert datetime.fromisoformat(found[0]["at"]) == project.load_balancer.created_on


def test_times_limit_what_is_told(project: Project, tacitus: Tacitus) -> None:
    begun, ended = project.load_balancer.created_on, project.load_balancer.modified_on
    moment = timedelta(microseconds=1)

    def count(*arguments: object) -> int:
        return len(tacitus("--project", "annals", "--json", *arguments)[0])

    assert count("--since", begun.isoformat()) == 4
    assert count("--since", (begun + moment).isoformat()) == 3
    assert count("--since", LONG_AGO, "--until", ended.isoformat()) == 3
    assert count("--since", LONG_AGO, "--until", (ended + moment).isoformat()) == 4
    assert count("--since", datetime.now(UTC).isoformat()) == 0


def test_more_than_the_limit_is_announced_with_where_to_go_on(project: Project, tacitus: Tacitus) -> None:
    first, said = tacitus("--project", "annals", "--since", LONG_AGO, "--limit", 2, "--json")
    match = re.fullmatch(r"tacitus: there are more: --since (\S+)\n", said)
    assert match

    rest, said = tacitus("--project", "annals", "--since", match[1], "--json")

    assert (len(first), len(rest), said) == (2, 2, "")


def test_one_load_balancer_alone(project: Project, tacitus: Tacitus) -> None:
    found, _ = tacitus("--project", "histories", "--since", LONG_AGO, "--load-balancer", project.other.id, "--json")
    _, refused = tacitus("--project", "annals", "--since", LONG_AGO, "--load-balancer", project.other.id, code=1)

    assert len(found) == 1
    assert refused == f"tacitus: project 'annals' has, and had, no load balancer {project.other.id}\n"


def test_load_balancer_without_a_name_is_shown_by_its_id(project: Project, tacitus: Tacitus) -> None:
    lines, _ = tacitus("--project", "histories", "--since", LONG_AGO)

    assert str(project.other.id) in lines[1]


def test_it_says_that_the_projector_is_behind(project: Project, tacitus: Tacitus) -> None:
    project.add_a_pool()
    _, behind = tacitus("--project", "annals", "--since", LONG_AGO)
    project.project()
    lines, there = tacitus("--project", "annals", "--since", LONG_AGO)

    assert behind == (
        "tacitus: this is 2 positions behind the log, so the latest changes may be missing:"
        " is `tacitus projector` running?\n"
    )
    assert there == ""
    assert "pool books added" in lines[-2]


def test_project_that_is_not_known_is_said(tacitus: Tacitus) -> None:
    _, said = tacitus("--project", "nobody", "--since", LONG_AGO, code=1)

    assert said == "tacitus: project 'nobody' has, and had, no load balancer\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--since", "tuesday"), "argument --since: Invalid isoformat string: 'tuesday'"),
        (("--since", LONG_AGO, "--until", "late"), "argument --until: Invalid isoformat string: 'late'"),
        (("--since", LONG_AGO, "--load-balancer", "rome"), "argument --load-balancer: invalid UUID value: 'rome'"),
        (("--since", LONG_AGO, "--limit", "0"), "argument --limit: at least 1 is wanted"),
        ((), "the following arguments are required: --since"),
    ],
)
def test_what_cannot_be_understood_is_said(tacitus: Tacitus, arguments: tuple[str, ...], said: str) -> None:
    assert said in tacitus("--project", "annals", *arguments, code=2)[1]


def test_database_that_does_not_answer_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tacitus.conf"
    url = "postgresql://postgres@127.0.0.1:1/nothing"
    file.write_text(f"[DEFAULT]\nstate_directory = {tmp_path}\n[database]\nconnection = {url}\n")

    with pytest.raises(SystemExit) as end:
        main(["changes", "--project", str(uuid4()), "--since", LONG_AGO, "--config-file", str(file)])

    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("tacitus: the database does not answer: ")
