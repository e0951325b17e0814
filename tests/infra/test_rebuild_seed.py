"""Seeded events are as good as recorded ones: aggregates load, and the rows are those that the log gives."""

import psycopg
import pytest

import benchmarks.world
from benchmarks.seed import seed
from domain.health import LoadBalancerHealth
from infra.event_store import EventStore
from infra.rebuild import Rebuild
from projections.known import PROJECTIONS

pytestmark = pytest.mark.postgres


def test_what_is_seeded_loads_and_has_the_rows_that_follow_from_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmarks.world, "LOAD_BALANCERS", 10)

    written = seed(database, 3_000)

    assert written >= 3_000
    store = EventStore(database)
    with psycopg.connect(database) as connection:
        shown = connection.execute("SELECT id, provisioning_status FROM shown_load_balancers").fetchall()
        members = dict(connection.execute("SELECT load_balancer_id, count(*) FROM members GROUP BY 1").fetchall())
    assert len(shown) > 30
    for id, status in shown:
        load_balancer = store.load_balancer(id)
        assert load_balancer.provisioning_status == status
        assert len(load_balancer.tree.members) == members[id]
        assert store.load(LoadBalancerHealth, LoadBalancerHealth.create_id(id)).load_balancer_id == id
    store.close()
    assert not Rebuild(database, PROJECTIONS["resource-rows"]).compare().differences
