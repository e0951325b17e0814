"""`tacitus replay`, as operators type it."""

import re
from collections.abc import Callable
from random import Random

import psycopg
import pytest

from infra.cli import main
from infra.event_store import EventStore
from tests.infra.rebuilding import Past

Tacitus = Callable[..., tuple[int, str]]


@pytest.fixture
def tacitus(capsys: pytest.CaptureFixture[str]) -> Tacitus:
    """Exit code, and what was printed."""

    def typed(*arguments: str) -> tuple[int, str]:
        code = 0
        try:
            main(["replay", *arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return typed


def test_what_can_be_made_anew_is_listed_with_what_cannot(tacitus: Tacitus) -> None:
    code, said = tacitus()

    assert code == 0
    assert "resource-rows: load_balancers, listeners," in said
    assert "changes: changed_load_balancers, changes\n" in said
    assert "statistics: counters are measured" in said


def test_a_table_that_does_not_follow_from_events_is_refused_with_the_reason(tacitus: Tacitus) -> None:
    code, said = tacitus("statistics")

    assert code == 1
    assert "counters are measured" in said


def test_a_name_that_there_is_not_is_refused(tacitus: Tacitus) -> None:
    known = "There are: resource-rows, changes"

    assert tacitus("nonsense") == (1, f"tacitus: nonsense: there is no such projection. {known}\n")


@pytest.mark.postgres
class TestOnRows:
    @pytest.fixture
    def url(self, database: str) -> list[str]:
        store = EventStore(database)
        Past(store, Random(2)).record(load_balancers=2)
        store.close()
        return ["--database-url", database]

    def test_rows_are_made_anew(self, tacitus: Tacitus, url: list[str]) -> None:
        code, said = tacitus("resource-rows", *url)

        assert code == 0
        assert re.search(r"building +\[#{30}\] 100%  [\d,]+ of [\d,]+", said)
        assert re.search(r"every row is the same, byte for byte, up to position \d+", said)
        assert re.search(r"the new rows serve; writers waited \d+ ms", said)

    def test_what_differs_is_told_and_is_put_right_when_it_is_accepted(self, tacitus: Tacitus, url: list[str]) -> None:
        with psycopg.connect(url[1]) as connection:
            connection.execute("UPDATE pools SET reason = 'by hand'")

        assert tacitus("resource-rows", "--verify", *url)[0] == 1
        code, said = tacitus("resource-rows", *url)
        assert code == 1
        assert 'reason serves as "by hand", was rebuilt as ""' in said
        assert re.search(r"pools: \d+ rows differ", said)
        assert "the old rows still serve" in said

        code, said = tacitus("resource-rows", "--resume", "--accept-differences", *url)
        assert code == 0
        assert "the new rows serve" in said
        assert tacitus("resource-rows", "--verify", *url)[0] == 0

    def test_there_may_be_nothing_to_call_off(self, tacitus: Tacitus, url: list[str]) -> None:
        assert tacitus("resource-rows", "--cancel", *url) == (0, "there was nothing to drop\n")

    def test_a_database_that_does_not_answer_is_said_in_one_line(self, tacitus: Tacitus) -> None:
        code, said = tacitus("resource-rows", "--database-url", "postgresql://127.0.0.1:1/none")

        assert code == 1
        assert said.startswith("tacitus: connection failed")
        assert said.endswith("The rows that serve are as they were.\n")
