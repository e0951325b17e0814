"""Operating statuses, as they follow from what amphorae see, and the streams that remember them."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from domain.fields import OperatingStatus
from domain.health import FailoverGuard, LoadBalancerHealth, Observation, operating_statuses, unmeasured_status
from domain.tree import Tree
from tests.given import a_health_monitor, a_listener, a_member, a_pool

LOAD_BALANCER_ID = uuid4()
POOL = a_pool()
LISTENER = a_listener(default_pool_id=POOL.id)
ONE, OTHER = a_member(POOL, address="127.0.0.1"), a_member(POOL, address="127.0.0.2")
MONITOR = a_health_monitor(POOL)
TREE = Tree().with_listeners([LISTENER]).with_pool(POOL).with_members([ONE, OTHER]).with_health_monitor(MONITOR)


def seen(listener: str | None = "OPEN", pool: str = "UP", one: str = "UP", other: str = "UP") -> Observation:
    """What one amphora says."""
    return Observation(
        listeners={} if listener is None else {LISTENER.id: listener},
        pools={POOL.id: frozenset([pool])},
        members={ONE.id: frozenset([one]), OTHER.id: frozenset([other])},
    )


def statuses(
    *observations: Observation, enabled: bool = True, settled: bool = True, tree: Tree = TREE
) -> Mapping[str, str]:
    """By short names; None for a status that stays what it was."""
    found = operating_statuses(LOAD_BALANCER_ID, enabled=enabled, settled=settled, tree=tree, seen=observations)
    return {name: found.get(id) for name, id in _NAMES.items()}  # type: ignore[misc]


_NAMES = {"load balancer": LOAD_BALANCER_ID, "listener": LISTENER.id, "pool": POOL.id, "one": ONE.id, "other": OTHER.id}


def test_everything_is_online_when_everything_is_up() -> None:
    assert set(statuses(seen()).values()) == {"ONLINE"}


def test_nothing_follows_from_nobodys_sight() -> None:
    assert operating_statuses(LOAD_BALANCER_ID, enabled=True, settled=True, tree=TREE, seen=()) == {}


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("UP", "ONLINE"),
        ("UP 1/2", "ONLINE"),
        ("DOWN", "ERROR"),
        ("DOWN 1/2", "ERROR"),
        ("DRAIN", "DRAINING"),
        ("MAINT", "OFFLINE"),
        ("no check", "NO_MONITOR"),
        ("RESTARTING", None),
        ("something new", None),
    ],
)
def test_a_member_is_what_haproxy_says(words: str, status: str | None) -> None:
    assert statuses(seen(one=words))["one"] == status


def test_a_member_that_is_down_degrades_its_pool_and_the_load_balancer() -> None:
    found = statuses(seen(one="DOWN"))

    assert (found["one"], found["pool"], found["load balancer"]) == ("ERROR", "DEGRADED", "DEGRADED")
    assert found["listener"] == "ONLINE"


def test_a_pool_that_is_down_is_the_load_balancers_error() -> None:
    found = statuses(seen(pool="DOWN", one="DOWN", other="DOWN"))

    assert (found["pool"], found["load balancer"]) == ("ERROR", "ERROR")


def test_a_full_listener_is_degraded_with_its_load_balancer() -> None:
    found = statuses(seen(listener="FULL"))

    assert (found["listener"], found["load balancer"]) == ("DEGRADED", "DEGRADED")


@pytest.mark.parametrize(
    ("settled", "enabled", "admin_state_up", "status"),
    [
        (True, True, True, "ERROR"),
        (False, True, True, "OFFLINE"),
        (True, False, True, "OFFLINE"),
        (True, True, False, "OFFLINE"),
    ],
)
def test_a_listener_that_no_amphora_has_is_an_error_only_when_it_should_be_there(
    settled: bool, enabled: bool, admin_state_up: bool, status: str
) -> None:
    tree = TREE.with_listeners([replace(LISTENER, admin_state_up=admin_state_up)])

    found = statuses(seen(listener=None), settled=settled, enabled=enabled, tree=tree)

    assert found["listener"] == status


def test_a_missing_listener_does_not_lower_the_load_balancer() -> None:
    assert statuses(seen(listener=None))["load balancer"] == "ONLINE"


def test_a_disabled_load_balancer_is_offline_whatever_is_seen() -> None:
    assert statuses(seen(pool="DOWN"), enabled=False)["load balancer"] == "OFFLINE"


def test_what_no_amphora_mentions_is_offline() -> None:
    found = statuses(Observation(listeners={LISTENER.id: "OPEN"}))

    assert (found["pool"], found["one"], found["load balancer"]) == ("OFFLINE", "OFFLINE", "ONLINE")


def test_a_member_without_monitor_shows_that_before_and_after() -> None:
    tree = Tree().with_pool(POOL).with_members([ONE])

    assert unmeasured_status(tree, ONE.id) == "NO_MONITOR"
    assert unmeasured_status(TREE, ONE.id) == unmeasured_status(tree, POOL.id) == "OFFLINE"
    assert statuses(Observation(), tree=tree)["one"] == "NO_MONITOR"


def test_of_two_amphorae_the_worst_sight_of_a_member_counts() -> None:
    first, second = seen(one="DOWN"), seen(one="UP")

    assert statuses(first, second) == statuses(second, first)
    assert statuses(first, second)["one"] == "ERROR"


def test_a_pool_that_one_of_two_amphorae_cannot_serve_is_degraded() -> None:
    assert statuses(seen(pool="DOWN"), seen())["pool"] == "DEGRADED"


def test_a_pool_that_is_down_for_one_of_its_listeners_is_degraded() -> None:
    both = Observation(pools={POOL.id: frozenset(["UP", "DOWN"])})

    assert statuses(both)["pool"] == "DEGRADED"


def test_health_remembers_the_net_of_what_changed() -> None:
    health = LoadBalancerHealth.begin(LOAD_BALANCER_ID)
    health.measured({ONE.id: OperatingStatus.ONLINE, OTHER.id: OperatingStatus.ONLINE})

    health.measured({ONE.id: OperatingStatus.ERROR, OTHER.id: OperatingStatus.ONLINE})

    assert health.pending_events[-1].changes == {ONE.id: "ERROR"}  # type: ignore[attr-defined]
    assert health.statuses == {ONE.id: "ERROR", OTHER.id: "ONLINE"}


def test_health_that_did_not_change_is_no_event() -> None:
    health = LoadBalancerHealth.begin(LOAD_BALANCER_ID)
    health.measured({ONE.id: OperatingStatus.ONLINE})
    before = len(health.pending_events)

    health.measured({ONE.id: OperatingStatus.ONLINE})

    assert len(health.pending_events) == before


def test_the_stream_of_health_is_beside_that_of_the_load_balancer() -> None:
    health = LoadBalancerHealth.begin(LOAD_BALANCER_ID)

    assert health.id != LOAD_BALANCER_ID
    assert health.id == LoadBalancerHealth.create_id(LOAD_BALANCER_ID) != LoadBalancerHealth.create_id(UUID(int=1))


def test_the_guard_suspends_and_resumes_once() -> None:
    guard = FailoverGuard.set_up()

    for _ in range(2):
        guard.suspend(silent=5, in_service=20)
    suspended = guard.is_suspended
    for _ in range(2):
        guard.resume()

    assert suspended
    assert not guard.is_suspended
    assert len(guard.pending_events) == 3
