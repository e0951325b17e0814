"""What follows when somebody asks for a repair: each amphora is looked at, and the step is taken that mends it."""

from collections.abc import Callable, Sequence
from functools import singledispatchmethod

from commands.outcome import Outcomes
from commands.ports import Aggregates
from domain import load_balancer_events as events
from domain.amphora import Amphora, Stage
from domain.fields import NOTHING_YET
from processes.actions import Action, BuildAmphora, PushConfiguration, RepairAmphora
from processes.amphora_build import address_of
from processes.health import Askable, why_it_does_not_answer
from processes.ports import Claim
from processes.worker import DONE, RECORDED, Done, LookAgain, Result


class RepairProcess:
    """Beside the push that follows from every revision."""

    name = "repair"

    @singledispatchmethod
    def react(self, event: object) -> Sequence[Action]:
        return []

    @react.register
    def requested(self, event: events.RepairRequested) -> Sequence[Action]:
        return [
            RepairAmphora(load_balancer_id=event.originator_id, amphora_id=id, wanted=event.originator_version)
            for id in event.amphora_ids
        ]


class RepairActions:
    """Carries out what RepairProcess decided.

    pause  called between two questions to an agent that does not answer
    """

    def __init__(
        self,
        aggregates: Aggregates,
        outcomes: Outcomes,
        driver: Askable,
        pause: Callable[[], object],
        *,
        look_again_seconds: float,
    ) -> None:
        self._aggregates = aggregates
        self._outcomes = outcomes
        self._driver = driver
        self._pause = pause
        self._look_again_seconds = look_again_seconds

    def repair(self, action: RepairAmphora, claim: Claim) -> Result:
        """One that is being built is built on; one that serves is watched until it runs what it should, or is lost."""
        load_balancer = self._aggregates.load_balancer(action.load_balancer_id)
        if load_balancer.being_deleted or action.amphora_id not in load_balancer.amphora_ids:
            return DONE
        amphora = self._aggregates.amphora(action.amphora_id)
        if amphora.is_being_built:
            return Done([BuildAmphora(load_balancer_id=load_balancer.id, amphora_id=amphora.id)])
        if amphora.stage == Stage.PLUGGED:
            return Done([PushConfiguration(load_balancer_id=load_balancer.id, amphora_id=amphora.id)])
        if load_balancer.progress.confirmed.get(amphora.id, NOTHING_YET) >= action.wanted:
            return DONE
        reason = self._why_lost(amphora)
        if reason is not None:
            self._outcomes.amphora_is_lost(amphora.id, reason, claim.attempt)
            return RECORDED
        return DONE if claim.overdue else LookAgain(self._look_again_seconds)

    def _why_lost(self, amphora: Amphora) -> str | None:
        if amphora.stage != Stage.IN_SERVICE:
            return f"a repair found it {amphora.stage}"
        silence = why_it_does_not_answer(self._driver, address_of(amphora), self._pause)
        return None if silence is None else f"a repair found that it does not answer: {silence}"
