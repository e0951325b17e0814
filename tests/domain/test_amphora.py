"""The life of an amphora: each step once and in its order, and who may ask for its end."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from domain.amphora import Amphora, Stage
from domain.errors import Immutable, NotFound

Step = Callable[[Amphora], None]


def boot(amphora: Amphora) -> None:
    amphora.booted("compute", datetime(2027, 1, 1, tzinfo=UTC))


def reach(amphora: Amphora) -> None:
    amphora.became_reachable("127.17.0.5", "2.6.12")


def plug(amphora: Amphora) -> None:
    amphora.vip_plugged("127.20.0.250")


def enter(amphora: Amphora) -> None:
    amphora.entered_service()


def leave(amphora: Amphora) -> None:
    amphora.left_service("silent")


def fail(amphora: Amphora) -> None:
    amphora.failed("booting", "no host")


def ask_for_removal(amphora: Amphora) -> None:
    amphora.request_removal()


def be_late(amphora: Amphora) -> None:
    amphora.removal_is_overdue("no answer")


def remove(amphora: Amphora) -> None:
    amphora.removed()


STEPS = (boot, reach, plug, enter, leave, fail, be_late, remove)
WAYS = {
    Stage.REQUESTED: (),
    Stage.BOOTING: (boot,),
    Stage.REACHABLE: (boot, reach),
    Stage.PLUGGED: (boot, reach, plug),
    Stage.IN_SERVICE: (boot, reach, plug, enter),
    Stage.OUT_OF_SERVICE: (boot, reach, plug, enter, leave),
    Stage.FAILED: (boot, fail),
    Stage.BEING_REMOVED: (boot, fail, ask_for_removal),
    Stage.REMOVED: (remove,),
}
"""How each stage is reached."""

FOLLOWING = {
    Stage.REQUESTED: {boot: Stage.BOOTING, leave: Stage.OUT_OF_SERVICE, fail: Stage.FAILED},
    Stage.BOOTING: {reach: Stage.REACHABLE, leave: Stage.OUT_OF_SERVICE, fail: Stage.FAILED},
    Stage.REACHABLE: {plug: Stage.PLUGGED, leave: Stage.OUT_OF_SERVICE, fail: Stage.FAILED},
    Stage.PLUGGED: {enter: Stage.IN_SERVICE, leave: Stage.OUT_OF_SERVICE},
    Stage.IN_SERVICE: {leave: Stage.OUT_OF_SERVICE},
    Stage.OUT_OF_SERVICE: {},
    Stage.FAILED: {},
    Stage.BEING_REMOVED: {be_late: Stage.FAILED},
    Stage.REMOVED: {},
}
"""Where an outcome leads to besides the end; any other one is late or repeated, and changes nothing."""


def an_amphora(stage: Stage = Stage.REQUESTED) -> Amphora:
    amphora = Amphora.request(uuid4(), load_balancer_id=uuid4(), replaces=uuid4())
    for step in WAYS[stage]:
        step(amphora)
    return amphora


@pytest.mark.parametrize("stage", Stage)
def test_each_stage_can_be_reached(stage: Stage) -> None:
    assert an_amphora(stage).stage == stage


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
@pytest.mark.parametrize("stage", Stage)
def test_outcome_counts_where_it_belongs_and_changes_nothing_elsewhere(stage: Stage, step: Step) -> None:
    amphora = an_amphora(stage)
    before = amphora.version

    step(amphora)

    expected = Stage.REMOVED if step is remove else FOLLOWING[stage].get(step, stage)
    assert amphora.stage == expected
    assert amphora.version == before + (expected != stage)


@pytest.mark.parametrize("stage", Stage)
def test_what_is_wanted_is_or_will_be_in_service(stage: Stage) -> None:
    on_its_way_out = (Stage.OUT_OF_SERVICE, Stage.FAILED, Stage.BEING_REMOVED, Stage.REMOVED)

    assert an_amphora(stage).is_wanted == (stage not in on_its_way_out)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage != Stage.IN_SERVICE])
def test_only_what_serves_can_be_failed_over(stage: Stage) -> None:
    amphora = an_amphora(stage)

    with pytest.raises(Immutable, match=f"Load Balancer {amphora.load_balancer_id} is immutable"):
        amphora.require_in_service()


def test_what_serves_can_be_failed_over() -> None:
    an_amphora(Stage.IN_SERVICE).require_in_service()


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage not in (Stage.FAILED, Stage.REMOVED)])
def test_only_a_failed_one_can_be_deleted(stage: Stage) -> None:
    amphora = an_amphora(stage)

    with pytest.raises(Immutable, match=f"amphora {amphora.id} is immutable and cannot be updated."):
        amphora.request_removal()

    assert amphora.stage == stage


@pytest.mark.parametrize("ask", [Amphora.request_removal, Amphora.request_agent_configuration])
def test_one_that_is_gone_is_not_found(ask: Step) -> None:
    amphora = an_amphora(Stage.REMOVED)

    with pytest.raises(NotFound, match=f"Amphora {amphora.id} not found."):
        ask(amphora)


def test_whoever_had_the_vip_has_taken_its_predecessors_down() -> None:
    had_the_vip = {stage for stage in Stage if an_amphora(stage).has_had_the_vip}

    assert had_the_vip == {Stage.PLUGGED, Stage.IN_SERVICE, Stage.OUT_OF_SERVICE}


def test_word_of_an_agent_comes_too_late_for_one_that_is_gone() -> None:
    amphora = an_amphora(Stage.REMOVED)
    before = amphora.version

    amphora.agent_is_configured()
    amphora.agent_is_not_configured("no answer")

    assert amphora.version == before
