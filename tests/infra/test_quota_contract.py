"""What counts against quotas, from when until when, and who is refused: one contract for both homes."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import psycopg
import pytest

from commands.ports import Origin
from domain.errors import NotFound, ProjectBusy, QuotaExceeded
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch
from domain.pool import Pool
from domain.progress import Kind
from domain.quota import Quota
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    an_l7_policy,
    an_l7_rule,
    confirm,
)
from tests.infra.stores import Home, InPostgres

PROJECT = "p"
EVERYTHING = {
    "load_balancers": 1,
    "listeners": 1,
    "pools": 1,
    "members": 2,
    "health_monitors": 1,
    "l7_policies": 1,
    "l7_rules": 1,
}


def limited(home: Home, **limits: int) -> None:
    """Kinds are named as in domain/quota.py."""
    quota = Quota.of(PROJECT)
    quota.change({Kind[name.upper()]: limit for name, limit in limits.items()})
    home.store.save(quota, origin=Origin())


def made(home: Home, load_balancer: LoadBalancer) -> LoadBalancer:
    """Saved for somebody whom limits concern."""
    home.store.save(load_balancer, origin=Origin(enforce_quota=True))
    return home.store.load_balancer(load_balancer.id)


def a_whole_tree() -> LoadBalancer:
    load_balancer = a_load_balancer(project_id=PROJECT)
    pool, listener = a_pool(), a_listener()
    load_balancer.add_pool(pool)
    load_balancer.add_health_monitor(a_health_monitor(pool))
    load_balancer.replace_members(pool.id, Batch(added=(a_member(pool), a_member(pool, protocol_port=81))))
    load_balancer.add_listener(listener)
    policy = an_l7_policy(listener)
    load_balancer.add_l7_policy(policy)
    load_balancer.add_l7_rule(an_l7_rule(policy))
    return load_balancer


def in_use(home: Home) -> dict[str, int]:
    return {kind: number for kind, number in home.uses(PROJECT).items() if number}


# What counts


def test_all_of_a_tree_counts_for_the_project_of_its_load_balancer(home: Home) -> None:
    made(home, a_whole_tree())
    made(home, a_load_balancer(project_id="another"))

    assert home.uses(PROJECT) == EVERYTHING
    assert home.uses("another") == {"load_balancers": 1}


def test_what_is_deleted_counts_until_it_is_gone(home: Home) -> None:
    load_balancer = a_whole_tree()
    (listener_id,), (pool_id,) = load_balancer.tree.listeners, load_balancer.tree.pools
    load_balancer = made(home, load_balancer)
    load_balancer.remove_listener(listener_id)
    load_balancer.remove_pool(pool_id)
    load_balancer = made(home, load_balancer)
    while_it_goes = home.uses(PROJECT)

    confirm(load_balancer)
    made(home, load_balancer)

    assert while_it_goes == EVERYTHING
    assert in_use(home) == {"load_balancers": 1}


def test_a_load_balancer_takes_everything_with_it_even_what_was_going_already(home: Home) -> None:
    made(home, a_load_balancer(project_id=PROJECT))
    load_balancer = a_whole_tree()
    (listener_id,) = load_balancer.tree.listeners
    load_balancer = made(home, load_balancer)
    load_balancer.remove_listener(listener_id)
    load_balancer.delete(cascade=True)
    load_balancer = made(home, load_balancer)
    while_it_goes = home.uses(PROJECT)
    for amphora_id in load_balancer.amphora_ids:
        load_balancer.amphora_is_gone(amphora_id)

    load_balancer.deletion_is_complete()
    home.store.save(load_balancer, origin=Origin())

    assert while_it_goes == {**EVERYTHING, "load_balancers": 2}
    assert in_use(home) == {"load_balancers": 1}


def test_what_was_refused_does_not_count(home: Home) -> None:
    limited(home, member=1)
    load_balancer = a_whole_tree()

    with pytest.raises(QuotaExceeded):
        made(home, load_balancer)

    assert in_use(home) == {}
    assert home.rows("members", load_balancer.id) == []
    with pytest.raises(NotFound):
        home.store.load_balancer(load_balancer.id)


# Limits


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("load_balancer", "Load Balancer"),
        ("listener", "Listener"),
        ("pool", "Pool"),
        ("member", "Member"),
        ("health_monitor", "Health Monitor"),
    ],
)
def test_a_limit_refuses_what_would_be_beyond_it_and_names_it(home: Home, kind: str, words: str) -> None:
    enough = EVERYTHING[Kind[kind.upper()]]
    limited(home, **{kind: enough})
    made(home, a_whole_tree())

    with pytest.raises(QuotaExceeded, match=f"Quota has been met for resources: {words}"):
        made(home, a_whole_tree())

    assert home.uses(PROJECT) == EVERYTHING


@pytest.mark.parametrize(("kind", "words"), [("l7_policy", "L7 Policy"), ("l7_rule", "L7 Rule")])
def test_policies_and_rules_are_refused_alone_and_not_with_a_new_load_balancer(
    home: Home, kind: str, words: str
) -> None:
    limited(home, **{kind: 0})
    load_balancer = made(home, a_whole_tree())
    (listener,), (policy,) = load_balancer.tree.listeners.values(), load_balancer.tree.l7_policies.values()
    if kind == "l7_policy":
        load_balancer.add_l7_policy(an_l7_policy(listener))
    else:
        load_balancer.add_l7_rule(an_l7_rule(policy))

    with pytest.raises(QuotaExceeded, match=words):
        made(home, load_balancer)


@pytest.mark.parametrize("limit", [-1, 2])
def test_up_to_the_limit_everything_is_let_in(home: Home, limit: int) -> None:
    limited(home, load_balancer=limit)

    made(home, a_load_balancer(project_id=PROJECT))
    made(home, a_load_balancer(project_id=PROJECT))

    assert home.uses(PROJECT) == {"load_balancers": 2}


def test_whom_limits_do_not_concern_is_counted_all_the_same(home: Home) -> None:
    limited(home, load_balancer=0)

    home.store.save(a_load_balancer(project_id=PROJECT), origin=Origin(enforce_quota=False))

    assert home.uses(PROJECT) == {"load_balancers": 1}


def test_a_limit_below_what_is_in_use_refuses_what_comes_and_lets_go_what_goes(home: Home) -> None:
    load_balancer = a_whole_tree()
    (pool,) = load_balancer.tree.pools.values()
    made(home, load_balancer)
    limited(home, member=1)
    load_balancer = home.store.load_balancer(load_balancer.id)
    load_balancer.add_member(a_member(pool, protocol_port=82))
    with pytest.raises(QuotaExceeded):
        made(home, load_balancer)

    load_balancer = home.store.load_balancer(load_balancer.id)
    for member_id in load_balancer.tree.members:
        load_balancer.remove_member(pool.id, member_id)
    confirm(load_balancer)
    made(home, load_balancer)

    assert "members" not in in_use(home)


def test_members_that_are_replaced_make_room_for_as_many(home: Home) -> None:
    limited(home, member=2)
    load_balancer = a_whole_tree()
    (pool,) = load_balancer.tree.pools.values()
    made(home, load_balancer)

    with pytest.raises(QuotaExceeded):
        made(home, with_members_replaced(home, load_balancer.id, pool, 3))
    load_balancer = made(home, with_members_replaced(home, load_balancer.id, pool, 2))
    confirm(load_balancer)
    made(home, load_balancer)

    assert home.uses(PROJECT)["members"] == 2


def with_members_replaced(home: Home, id: UUID, pool: Pool, number: int) -> LoadBalancer:
    load_balancer = home.store.load_balancer(id)
    added = tuple(a_member(pool, protocol_port=port) for port in range(1, number + 1))
    load_balancer.replace_members(pool.id, Batch(added=added, removed=tuple(load_balancer.tree.members)))
    return load_balancer


# Many at once


def test_of_64_at_once_exactly_the_last_one_there_is_room_for_is_let_in(home: Home) -> None:
    limited(home, load_balancer=3)
    for _ in range(2):
        made(home, a_load_balancer(project_id=PROJECT))
    start = Barrier(64)

    def create(_: int) -> bool:
        start.wait()
        try:
            made(home, a_load_balancer(project_id=PROJECT))
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(64) as clients:
        let_in = sum(clients.map(create, range(64)))

    assert let_in == 1
    assert home.uses(PROJECT) == {"load_balancers": 3}


def test_creations_and_deletions_at_once_leave_exactly_what_is_there(home: Home) -> None:
    trees = [made(home, a_whole_tree()) for _ in range(12)]

    def delete(load_balancer: LoadBalancer) -> None:
        load_balancer.delete(cascade=True)
        for amphora_id in load_balancer.amphora_ids:
            load_balancer.amphora_is_gone(amphora_id)
        load_balancer.deletion_is_complete()
        home.store.save(load_balancer, origin=Origin())

    def create(_: LoadBalancer) -> None:
        made(home, a_whole_tree())

    with ThreadPoolExecutor(8) as clients:
        jobs = [clients.submit(job, tree) for tree in trees for job in (delete, create)]
        for job in jobs:
            job.result()

    assert home.uses(PROJECT) == {kind: number * 12 for kind, number in EVERYTHING.items()}


# PostgreSQL alone


@pytest.mark.postgres
@pytest.mark.slow
def test_a_counted_row_that_stays_locked_is_a_busy_project(postgres: InPostgres) -> None:
    made(postgres, a_load_balancer(project_id=PROJECT))

    with psycopg.connect(postgres.database) as somebody:
        somebody.execute("SELECT FROM quota_uses WHERE project_id = %s FOR UPDATE", (PROJECT,))
        with pytest.raises(ProjectBusy, match=r"^Project busy\.  Unable to lock the project\.  Please try again\.$"):
            made(postgres, a_load_balancer(project_id=PROJECT))
        somebody.rollback()

    made(postgres, a_load_balancer(project_id=PROJECT))
    assert postgres.uses(PROJECT) == {"load_balancers": 2}
