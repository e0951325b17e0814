"""Rebuilt rows are those that serve, byte for byte, whatever happened; and they take their place without a trace."""

import re
from collections.abc import Iterator
from random import Random

import psycopg
import pytest

from commands.ports import Origin
from infra.event_store import EventStore
from infra.rebuild import Progress, Rebuild, Step
from infra.rebuild_tables import CannotSwitch
from projections.known import PROJECTIONS
from tests.given import a_listener, a_vip, an_active_load_balancer
from tests.infra.rebuilding import Past, catalogue, dump

pytestmark = pytest.mark.postgres

ROWS = PROJECTIONS["resource-rows"]


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database)
    yield store
    store.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_rebuild_of_a_random_past_gives_the_rows_that_serve(
    store: EventStore, database: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.rebuild.EVENTS_AT_ONCE", (1, 7, 50, 4_000)[seed % 4])
    Past(store, Random(seed)).record()
    before = dump(database, ROWS.tables)

    outcome = Rebuild(database, ROWS).replace()

    assert not outcome.differences, "\n".join(map(str, outcome.differences.examples))
    assert outcome.switched
    assert dump(database, ROWS.tables) == before
    assert sum(map(bool, before.values())) >= 16, "hardly a table had anything to lose"


def test_the_schema_is_what_it_was_before(store: EventStore, database: str) -> None:
    Past(store, Random(1)).record()
    before = catalogue(database)

    Rebuild(database, ROWS).replace()

    assert catalogue(database) == before


# What differs is said


def execute(database: str, *statements: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def changed_by_hand(store: EventStore, database: str) -> dict[str, list[bytes]]:
    """The rows as they were before somebody changed some past the log."""
    Past(store, Random(3)).record()
    before = dump(database, ROWS.tables)
    execute(
        database,
        "UPDATE listeners SET reason = 'by hand' WHERE id = (SELECT id FROM listeners ORDER BY id LIMIT 1)",
        "DELETE FROM members WHERE id = (SELECT id FROM members ORDER BY id LIMIT 1)",
        "INSERT INTO confirmations VALUES ('00000000-0000-0000-0000-00000000000a', 3, gen_random_uuid())",
        "UPDATE quota_uses SET in_use = in_use + 1 WHERE kind = 'pools' AND project_id = 'annals'",
    )
    return before


def test_rows_that_differ_are_named_and_go_on_serving(database: str, changed_by_hand: dict[str, list[bytes]]) -> None:
    served = dump(database, ROWS.tables)

    outcome = Rebuild(database, ROWS).replace()

    assert not outcome.switched
    assert outcome.differences.counts == {"listeners": 1, "members": 1, "confirmations": 1, "quota_uses": 1}
    said = "\n".join(map(str, outcome.differences.examples))
    assert re.search(r'^listeners \S+: reason serves as "by hand", was rebuilt as ""$', said, re.M)
    assert re.search(r"^members \S+: was only rebuilt: \{", said, re.M)
    assert re.search(r"^confirmations 00000000-0000-0000-0000-00000000000a 3: only serves: \{", said, re.M)
    assert re.search(r"^quota_uses annals pools: in_use serves as (\d+), was rebuilt as \d+$", said, re.M)
    assert dump(database, ROWS.tables) == served


def test_accepted_differences_are_put_right(database: str, changed_by_hand: dict[str, list[bytes]]) -> None:
    refused = Rebuild(database, ROWS).replace()

    outcome = Rebuild(database, ROWS).replace(resume=True, accept_differences=True)

    assert outcome.switched
    assert outcome.events == 0, "nothing was read twice"
    assert outcome.differences.counts == refused.differences.counts
    assert dump(database, ROWS.tables) == changed_by_hand


def test_a_row_that_is_changed_by_hand_after_the_comparison_is_found_when_an_event_touches_it(
    store: EventStore, database: str
) -> None:
    Past(store, Random(4)).record()
    load_balancer = an_active_load_balancer(vip=a_vip())
    store.save(load_balancer, origin=Origin())

    def tell(progress: Progress) -> None:
        if progress.step == Step.SWITCHING:
            load_balancer.add_listener(a_listener())
            store.save(load_balancer, origin=Origin())
            execute(database, f"UPDATE load_balancers SET reason = 'by hand' WHERE id = '{load_balancer.id}'")

    outcome = Rebuild(database, ROWS, tell).replace()

    assert not outcome.switched
    assert [str(each) for each in outcome.differences.examples] == [
        f'load_balancers {load_balancer.id}: reason serves as "by hand", was rebuilt as ""'
    ]


def test_a_comparison_leaves_everything_as_it_was(store: EventStore, database: str) -> None:
    Past(store, Random(5)).record()
    before, schema = dump(database, ROWS.tables), catalogue(database)

    outcome = Rebuild(database, ROWS).compare()

    assert not outcome.differences
    assert not outcome.switched
    assert dump(database, ROWS.tables) == before
    assert catalogue(database) == schema


# What a rebuild may go on from, and what it may not


def interrupted(database: str) -> None:
    """One that came to its end, but for the switch."""

    def tell(progress: Progress) -> None:
        if progress.step == Step.SWITCHING:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Rebuild(database, ROWS, tell).replace()


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE listeners ADD COLUMN more text NOT NULL DEFAULT 'x'",
        "CREATE INDEX more ON members (own)",
        "UPDATE log_identity SET id = gen_random_uuid()",
        "DROP SCHEMA rebuild_resource_rows CASCADE",
    ],
)
def test_what_was_built_for_another_schema_or_another_log_is_built_again(
    store: EventStore, database: str, change: str
) -> None:
    Past(store, Random(6)).record(load_balancers=2)
    interrupted(database)
    execute(database, change)

    outcome = Rebuild(database, ROWS).replace(resume=True)

    assert outcome.switched
    assert outcome.events == len(store.recorder.select_notifications(1, 10_000))


def test_a_view_that_would_go_on_with_the_old_rows_stops_the_switch(store: EventStore, database: str) -> None:
    Past(store, Random(8)).record(load_balancers=1)
    execute(database, "CREATE SCHEMA reports", "CREATE VIEW reports.names AS SELECT document FROM listeners")

    with pytest.raises(CannotSwitch, match=r"view reports\.names"):
        Rebuild(database, ROWS).replace()


def test_nothing_is_done_again_for_events_that_are_read_again(store: EventStore, database: str) -> None:
    Past(store, Random(9)).record()
    with psycopg.connect(database, autocommit=True) as listening:
        listening.execute("LISTEN tacitus_events")
        listening.execute("LISTEN tacitus_actions")

        Rebuild(database, ROWS).replace()

        assert not list(listening.notifies(timeout=0.2))
        assert listening.execute("SELECT FROM actions").rowcount == 0
