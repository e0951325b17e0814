"""The rows of random histories, without a database: what they hold, and that a rebuild gives the same."""

from random import Random
from uuid import UUID, uuid4

import msgspec
import pytest

from domain.load_balancer import LoadBalancer
from domain.progress import Kind
from infra.memory_rows import Tables, changed_tables
from infra.transcoding import EventMapper
from projections.known import PROJECTIONS
from tests.domain.history import History
from tests.domain.planted import Planted
from tests.given import a_load_balancer

MAPPER = EventMapper()
rows_of = PROJECTIONS["resource-rows"].changes_of
SEEDS = range(500, 540)


def a_history(seed: int) -> History:
    """Every other one has no amphorae."""
    amphora_ids = () if seed % 2 else (uuid4(), uuid4())
    history = History(Random(seed), load_balancer=a_load_balancer(amphora_ids=amphora_ids))
    history.run(steps=60)
    return history


def rows_after(load_balancer: LoadBalancer, *, stored: bool = False) -> Tables:
    """stored: from the log, instead of as they happened"""
    tables: Tables = {}
    for event in load_balancer.pending_events:
        read = MAPPER.to_domain_event(MAPPER.to_stored_event(event)) if stored else event
        command_id = UUID(int=event.originator_version)
        tables = changed_tables(tables, rows_of(read), command_id)
    return tables


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_hold_the_settings_and_the_marks_of_the_tree(seed: int) -> None:
    check_rows(a_history(seed).load_balancer)


@pytest.mark.parametrize("name", ["pool", "policy", "rule", "member", "monitor", "listener"])
def test_rows_hold_what_is_left_when_an_object_is_said_to_be_deleted(name: str) -> None:
    planted = Planted()

    planted.load_balancer.set_statuses({}, deleted=[getattr(planted, name).id])

    check_rows(planted.load_balancer)


def check_rows(load_balancer: LoadBalancer) -> None:
    tables = rows_after(load_balancer)
    for kind in Kind:
        if kind != Kind.LOAD_BALANCER:
            check_rows_of(kind, load_balancer, tables)


def check_rows_of(kind: Kind, load_balancer: LoadBalancer, tables: Tables) -> None:
    """Rows outlive what is being deleted."""
    rows = {row["id"]: row for row in tables.get(kind, {}).values()}
    marks = {id: each for id, each in load_balancer.progress.marks.items() if each.kind == kind}
    assert rows.keys() == marks.keys()
    for id, row in rows.items():
        for name in ("created", "own", "edited", "touched", "deleted", "failed"):
            assert row.get(name, 0) == getattr(marks[id], name), (kind, name)
    for id, thing in getattr(load_balancer.tree, kind).items():
        assert msgspec.to_builtins(rows[id]["document"]).items() >= msgspec.to_builtins(thing).items()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rebuild_from_the_log_gives_the_same_rows(seed: int) -> None:
    load_balancer = a_history(seed).load_balancer

    assert rows_after(load_balancer, stored=True) == rows_after(load_balancer)
