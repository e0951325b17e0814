"""Which load balancers changed when: what each event says of it."""

from random import Random
from uuid import uuid4

import pytest

from domain import load_balancer_events as events
from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.health import LoadBalancerHealth
from domain.load_balancer_events import LoadBalancerSettings
from infra.transcoding import EventMapper
from projections.changes import changes_of
from projections.known import PROJECTIONS
from projections.rows import InsertOnce, Update, Upsert, work_of
from tests.domain.history import History
from tests.domain.planted import Planted
from tests.given import a_load_balancer, an_active_load_balancer


def test_creation_is_a_change_and_says_whose_load_balancer_it_is() -> None:
    load_balancer = a_load_balancer(project_id="annals", settings=LoadBalancerSettings(name="first"))
    (created,) = load_balancer.pending_events

    change, owner = changes_of(created)

    assert change == InsertOnce(
        "changes",
        {
            "originator_id": load_balancer.id,
            "originator_version": 1,
            "load_balancer_id": load_balancer.id,
            "at": load_balancer.created_on,
            "event": "LoadBalancerCreated",
        },
    )
    assert owner == Upsert("changed_load_balancers", {"id": load_balancer.id, "project_id": "annals", "name": "first"})


def test_latest_name_is_kept() -> None:
    load_balancer = a_load_balancer()
    load_balancer.change(LoadBalancerSettings(name="second"))

    _, name = changes_of(load_balancer.pending_events[-1])

    assert name == Update("changed_load_balancers", {"id": load_balancer.id, "name": "second"})


def test_row_of_a_load_balancer_outlives_it() -> None:
    load_balancer = a_load_balancer(amphora_ids=())
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()

    requested, deleted = map(changes_of, load_balancer.pending_events[-2:])

    assert [each.row["event"] for each in requested if isinstance(each, InsertOnce)] == [
        "LoadBalancerDeletionRequested"
    ]
    assert deleted[1] == Update(
        "changed_load_balancers", {"id": load_balancer.id, "deleted_at": load_balancer.modified_on}
    )


def test_everything_that_is_done_to_the_tree_is_a_change() -> None:
    load_balancer = Planted().load_balancer

    said = [each.row["event"] for event in load_balancer.pending_events for each in changes_of(event)[:1]]

    assert said == [
        "LoadBalancerCreated",
        "ListenerAdded",
        "PoolAdded",
        "L7PolicyAdded",
        "L7RuleAdded",
        "MembersChanged",
        "HealthMonitorAdded",
    ]


def test_what_amphorae_confirm_and_what_is_measured_is_no_change() -> None:
    load_balancer = an_active_load_balancer()
    amphora = Amphora.request(uuid4(), load_balancer_id=load_balancer.id)
    health = LoadBalancerHealth.begin(load_balancer.id)
    health.measured({load_balancer.id: OperatingStatus.ONLINE})
    confirmed = [each for each in load_balancer.pending_events if isinstance(each, events.ConfigurationApplied)]

    said = [changes_of(each) for each in [*confirmed, *amphora.pending_events, *health.pending_events]]

    assert len(said) >= 4
    assert not any(said)


@pytest.mark.parametrize("seed", range(5))
def test_stored_events_say_the_same_as_new_ones(seed: int) -> None:
    history, mapper = History(Random(seed)), EventMapper()
    history.run(steps=60)

    for event in history.load_balancer.pending_events:
        assert changes_of(mapper.to_domain_event(mapper.to_stored_event(event))) == changes_of(event)


@pytest.mark.parametrize("seed", range(5))
def test_no_statement_says_two_things_of_one_row(seed: int) -> None:
    """PostgreSQL would take either, or refuse both."""
    history = History(Random(seed))
    history.run(steps=60)
    for number in range(3):
        history.load_balancer.change(LoadBalancerSettings(name=str(number)))
    changes = [change for event in history.load_balancer.pending_events for change in changes_of(event)]

    statements = work_of(changes, None).statements

    assert sum("UPDATE changed_load_balancers" in each.sql for each in statements) == sum(
        isinstance(each, Update) for each in changes
    )


def test_projection_names_the_tables_that_it_writes() -> None:
    load_balancer = a_load_balancer(amphora_ids=())
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()

    written = {change.table for event in load_balancer.pending_events for change in changes_of(event)}  # type: ignore[union-attr]

    assert written == set(PROJECTIONS["changes"].tables)
