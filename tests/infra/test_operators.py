"""The verbs of operators, as a person types them."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest

from infra.cli import main
from tests.infra.annals import Annals, annals_in

pytestmark = pytest.mark.postgres

Tacitus = Callable[..., list[str]]


@pytest.fixture
def annals(database: str) -> Iterator[Annals]:
    with annals_in(database) as made:
        yield made


@pytest.fixture
def tacitus(annals: Annals, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tacitus:
    """Types a verb with its arguments, and returns the lines of its answer; `code` is what it has to end with."""
    file = tmp_path / "tacitus.conf"
    file.write_text(
        f"[DEFAULT]\nprofile = noop\nstate_directory = {tmp_path}\n[database]\nconnection = {annals.database}\n"
    )

    def typed(verb: str, *arguments: object, code: int = 0) -> list[str]:
        with nullcontext() if code == 0 else pytest.raises(SystemExit) as end:
            main([verb, "--config-file", str(file), *map(str, arguments)])
        assert end is None or end.value.code == code
        said = capsys.readouterr()
        return (said.out if code == 0 else said.out + said.err).splitlines()

    return typed


def test_doctor_says_that_nothing_is_wrong(tacitus: Tacitus) -> None:
    assert tacitus("doctor") == ["nothing is wrong"]


def test_doctor_fails_when_something_is_wrong(annals: Annals, tacitus: Tacitus) -> None:
    annals.sql("INSERT INTO parked_events VALUES ('processes', %s, 7)", annals.serving.id)

    help = f"    tacitus parked show {annals.serving.id} --consumer processes  # what waits"
    assert tacitus("doctor", annals.serving.id, code=1)[1] == help
    assert tacitus("doctor", annals.remote.id) == ["nothing is wrong"]


def test_repair_is_recorded_with_who_and_why(annals: Annals, tacitus: Tacitus) -> None:
    (said,) = tacitus("repair", annals.serving.id, "--why", "the host was rebooted")

    *_, last = tacitus("history", annals.serving.id)
    assert said == f"asked for; `tacitus history {annals.serving.id}` tells what comes of it"
    assert re.search(r"\S+@\S+ +load balancer +repair asked for: the host was rebooted$", last)


def test_repair_needs_a_reason_and_a_load_balancer(annals: Annals, tacitus: Tacitus) -> None:
    nobody = uuid4()

    (said,) = tacitus("repair", annals.serving.id, "--why", " ", code=1)
    (other,) = tacitus("repair", nobody, "--why", "lost", code=1)

    assert said == "tacitus: Validation failure: Why has to be said, in at most 1000 characters"
    assert other == f"tacitus: Load Balancer {nobody} not found."


def test_load_balancer_is_found_by_its_name(annals: Annals, tacitus: Tacitus) -> None:
    annals.sql(
        """UPDATE load_balancers SET document = document || '{"name": "annals"}' WHERE id = %s""", annals.remote.id
    )

    assert "runs on" in tacitus("history", "annals")[-1]
    assert tacitus("history", "histories", code=1) == ["tacitus: no load balancers are called 'histories'"]
    annals.sql("""UPDATE load_balancers SET document = document || '{"name": "annals"}'""")
    assert tacitus("history", "annals", code=1) == ["tacitus: 3 load balancers are called 'annals': name one by its id"]


def test_history_tells_also_of_what_is_gone(annals: Annals, tacitus: Tacitus) -> None:
    told = "\n".join(tacitus("history", annals.gone.id))

    assert "deletion asked for" in told
    assert "deleted; nothing is left of it outside" in told


def test_history_of_something_else_is_none(annals: Annals, tacitus: Tacitus) -> None:
    (said,) = tacitus("history", annals.amphora.id, code=1)

    assert said == f"tacitus: the log knows no load balancer {annals.amphora.id}"


def test_history_tells_what_each_event_changed(annals: Annals, tacitus: Tacitus) -> None:
    lines = tacitus("history", annals.serving.id, "--diff")

    added = next(number for number, line in enumerate(lines) if "listener 80 added" in line)
    pool = next(number for number, line in enumerate(lines) if line.startswith("    + pool"))
    assert lines[added + 1] == f"    + listener {annals.planted.listener.id}"
    assert any(f"default_pool_id: None -> '{annals.planted.pool.id}'" in line for line in lines[pool - 2 : pool + 2])


def test_history_shows_how_it_was(annals: Annals, tacitus: Tacitus) -> None:
    annals.age(1)
    annals.serving.remove_l7_policy(annals.planted.policy.id)
    annals.save(annals.serving)
    minutes_ago = datetime.fromtimestamp(datetime.now(UTC).timestamp() - 600, UTC).isoformat()

    then = json.loads("\n".join(tacitus("history", annals.serving.id, "--at", minutes_ago)))
    since = tacitus("history", annals.serving.id, "--at", minutes_ago, "--diff")

    assert f"L7 policy {annals.planted.policy.id}" in then
    assert f"- L7 policy {annals.planted.policy.id}" in since
    assert tacitus("history", annals.serving.id, "--at", "2020-01-01", code=1) == [
        f"tacitus: load balancer {annals.serving.id} was not there at 2020-01-01 00:00:00, position 0"
    ]


def test_time_that_is_none_is_refused(annals: Annals, tacitus: Tacitus) -> None:
    assert "argument --at: Invalid isoformat string" in tacitus("history", annals.gone.id, "--at", "late", code=2)[-1]


def test_no_orphan_is_no_line(tacitus: Tacitus) -> None:
    assert tacitus("orphans") == []


def test_database_that_does_not_answer_ends_the_command_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "tacitus.conf"
    url = "postgresql://postgres@127.0.0.1:1/nothing"
    file.write_text(f"[DEFAULT]\nprofile = noop\nstate_directory = {tmp_path}\n[database]\nconnection = {url}\n")

    with pytest.raises(SystemExit) as end:
        main(["doctor", "--config-file", str(file)])

    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("tacitus: the database does not answer: ")
