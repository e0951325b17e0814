"""The history of a load balancer: every event in words, as it was at a time, and what changed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from infra.history import STATUSES, differences, document, load_balancer_at, position_at
from infra.timeline import Teller, timeline
from tests.domain.test_events import event_classes
from tests.infra.annals import Annals, annals_in

pytestmark = pytest.mark.postgres


@pytest.fixture
def annals(database: str) -> Iterator[Annals]:
    with annals_in(database) as made:
        yield made


def times(annals: Annals) -> list[tuple[int, datetime]]:
    """Position and time of each commit."""
    return annals.connection.execute("SELECT position, recorded_at FROM commits ORDER BY position").fetchall()


# As of a time


def test_position_of_a_time_is_that_of_the_last_commit_until_then(annals: Annals) -> None:
    for position, at in times(annals):
        assert position_at(annals.connection, at) >= position
        assert position_at(annals.connection, at - timedelta(microseconds=1)) < position


@pytest.mark.parametrize("commits", [0, 1, 2, 3, 6])
def test_position_is_found_in_logs_of_any_length(annals: Annals, commits: int) -> None:
    kept = times(annals)[:commits]
    annals.connection.execute("DELETE FROM commits WHERE NOT position = ANY(%s)", ([position for position, _ in kept],))

    assert position_at(annals.connection, datetime.now(UTC)) == (kept[-1][0] if kept else 0)
    assert position_at(annals.connection, datetime(2000, 1, 1, tzinfo=UTC)) == 0


def test_load_balancer_is_shown_as_it_was(annals: Annals) -> None:
    before = annals.end
    was = document(annals.serving)
    annals.serving.change_pool(replace(annals.planted.pool, name="changed"))
    annals.save(annals.serving)

    then = load_balancer_at(annals.connection, annals.serving.id, before)
    now = load_balancer_at(annals.connection, annals.serving.id, annals.end)

    assert list(differences(was, then.document, without=STATUSES)) == []
    name = f"pool {annals.planted.pool.id}"
    assert (then.document[name]["name"], now.document[name]["name"]) == ("", "changed")
    assert (then.document[name]["provisioning_status"], now.document[name]["provisioning_status"]) == (
        "ACTIVE",
        "PENDING_UPDATE",
    )
    assert now.document[f"load balancer {annals.serving.id}"]["operating_status"] == "ONLINE"


def test_nothing_is_shown_before_its_creation_and_after_its_end(annals: Annals) -> None:
    assert load_balancer_at(annals.connection, annals.gone.id, 0).document == {}
    assert load_balancer_at(annals.connection, annals.gone.id, annals.end).document == {}


# What changed


def test_differences_name_what_came_what_went_and_what_changed() -> None:
    before = {"pool 1": {"name": "books", "weight": 1}, "member 2": {"name": ""}}
    after = {"pool 1": {"name": "books", "weight": 7}, "listener 3": {"name": "web"}}

    assert list(differences(before, after)) == ["- member 2", "  pool 1 (books): weight: 1 -> 7", "+ listener 3 (web)"]
    assert list(differences(before, before)) == []


def test_statuses_need_not_count() -> None:
    before, after = {"pool 1": {"provisioning_status": "ACTIVE"}}, {"pool 1": {"provisioning_status": "ERROR"}}

    assert list(differences(before, after, without=STATUSES)) == []


# In words


def test_every_event_is_told_in_words(annals: Annals) -> None:
    """None by the name of its class."""
    told = vars(Teller)["tell"].dispatcher.registry
    silent = {
        each.__name__
        for each in event_classes()
        if each.TOPIC.startswith(("LoadBalancer", "Listener", "Pool", "Member", "Health", "L7", "Amphora", "Config"))
        if not any(base in told for base in each.__mro__ if base is not object)
    }

    assert silent == set()


def test_whoever_asked_is_named_and_the_service_did_the_rest(annals: Annals) -> None:
    annals.connection.execute("INSERT INTO actors (user_id) VALUES ('livia')")
    annals.sql(
        "UPDATE commits SET request_id = 'req-1', actor = (SELECT id FROM actors) WHERE position = %s",
        times(annals)[0][0],
    )
    annals.sql("UPDATE commits SET request_id = 'req-2' WHERE position > %s", times(annals)[0][0])
    annals.serving.request_repair("it looks wrong")
    annals.save(annals.serving)

    whos = {(moment.who, moment.what) for moment in timeline(annals.connection, annals.serving.id)}

    assert ("Tacitus", "repair asked for: it looks wrong") in whos
    assert "livia" in {who for who, what in whos if re.match("asked for|listener", what)}


def test_outcome_of_a_request_is_done_by_the_service(annals: Annals) -> None:
    annals.sql("UPDATE commits SET request_id = 'req-1'")

    moments = timeline(annals.connection, annals.replaced.id)

    assert {moment.who for moment in moments if "runs on" in moment.what} == {"Tacitus"}
    assert {moment.who for moment in moments if moment.what.startswith("asked for")} == {"somebody"}
