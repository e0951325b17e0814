"""The rules of derived status, under random histories and one by one."""

from collections.abc import Callable
from random import Random

import pytest

from infra.transcoding import EventMapper
from tests.domain.history import History
from tests.given import a_load_balancer

MAPPER = EventMapper()


def on_two_amphorae(seed: int) -> History:
    return History(Random(seed))


def without_amphorae(seed: int) -> History:
    return History(Random(seed), load_balancer=a_load_balancer(amphora_ids=()))


@pytest.mark.parametrize("first", range(0, 400, 50))
@pytest.mark.parametrize("a_history", [on_two_amphorae, without_amphorae])
def test_random_histories_never_show_what_does_not_run_and_come_to_rest(
    a_history: Callable[[int], History], first: int
) -> None:
    for seed in range(first, first + 50):
        history = a_history(seed)
        try:
            history.run(steps=60)
            history.settle()
            history.check_at_rest()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("a_history", [on_two_amphorae, without_amphorae])
def test_replay_of_what_was_stored_gives_the_same_load_balancer(a_history: Callable[[int], History]) -> None:
    for seed in range(1_000, 1_020):
        history = a_history(seed)
        history.run(steps=60)

        replayed = None
        for event in history.load_balancer.pending_events:
            replayed = MAPPER.to_domain_event(MAPPER.to_stored_event(event)).mutate(replayed)  # type: ignore[attr-defined]

        expected = {**vars(history.load_balancer), "_pending_events": []}
        assert vars(replayed) == expected, f"seed {seed}"


def test_random_histories_have_every_kind_of_object_and_every_way_to_fail() -> None:
    """Otherwise they would prove little."""
    events = {
        type(event).__name__ for seed in range(60) for event in ran(on_two_amphorae(seed)).load_balancer.pending_events
    }

    assert events >= {
        *("Created", "ListenerAdded", "ListenerChanged", "ListenerRemoved", "PoolAdded", "PoolChanged", "PoolRemoved"),
        *("MembersChanged", "HealthMonitorAdded", "HealthMonitorChanged", "HealthMonitorRemoved"),
        *("L7PolicyAdded", "L7PolicyChanged", "L7PolicyRemoved", "L7RuleAdded", "L7RuleChanged", "L7RuleRemoved"),
        *("ConfigurationApplied", "ConfigurationRefused", "DeadlinePassed", "FailoverRequested", "AmphoraReplaced"),
    }


def ran(history: History) -> History:
    history.run(steps=60)
    return history
