"""Sends agents their settings anew when somebody asks for it."""

from collections.abc import Sequence
from functools import singledispatchmethod
from typing import Protocol
from uuid import UUID

from amphora.driver import AgentFault, AmphoraDriver, AmphoraError, AmphoraUnreachable
from commands.amphora_outcome import AmphoraOutcomes
from commands.ports import Aggregates
from domain.amphora import Amphora, Stage
from processes.actions import Action, ConfigureAgent
from processes.amphora_build import address_of
from processes.ports import Claim
from processes.worker import DONE, RECORDED, LookAgain, Result

_ANSWERS = (Stage.REACHABLE, Stage.PLUGGED, Stage.IN_SERVICE)
_COMES_UP = (Stage.REQUESTED, Stage.BOOTING)
_UNKNOWN_CALL = 404


class AgentConfigurationProcess:
    name = "agent-configuration"

    @singledispatchmethod
    def react(self, event: object) -> Sequence[Action]:
        return []

    @react.register
    def requested(self, event: Amphora.AgentConfigurationRequested) -> Sequence[Action]:
        """Asked for again while it is being sent, it is sent again: what it is made of may have changed."""
        return [
            ConfigureAgent(
                load_balancer_id=event.load_balancer_id,
                amphora_id=event.originator_id,
                wanted=event.originator_version,
            )
        ]


class AgentConfigurations(Protocol):
    """What agents are told."""

    def agent_configuration_of(self, amphora_id: UUID) -> str:
        """The text of amphora-agent.conf, as the settings are now."""
        ...


class AgentConfigurationActions:
    """Carries out what AgentConfigurationProcess decided."""

    def __init__(
        self,
        aggregates: Aggregates,
        outcomes: AmphoraOutcomes,
        driver: AmphoraDriver,
        configurations: AgentConfigurations,
        *,
        look_again_seconds: float,
    ) -> None:
        self._aggregates = aggregates
        self._outcomes = outcomes
        self._driver = driver
        self._configurations = configurations
        self._look_again_seconds = look_again_seconds

    def configure(self, action: ConfigureAgent, claim: Claim) -> Result:
        """Tried again until the deadline: whoever does not answer for so long is replaced, by one with new settings."""
        amphora = self._aggregates.amphora(action.amphora_id)
        if amphora.stage in _COMES_UP:
            return LookAgain(self._look_again_seconds)
        if amphora.stage not in _ANSWERS:
            return DONE
        try:
            self._send(amphora)
        except AmphoraError as error:
            if _is_worth_another_try(error) and not claim.overdue:
                raise
            self._outcomes.agent_is_not_configured(amphora.id, str(error), claim.attempt)
        else:
            self._outcomes.agent_is_configured(amphora.id, claim.attempt)
        return RECORDED

    def _send(self, amphora: Amphora) -> None:
        self._driver.update_agent_configuration(
            address_of(amphora), self._configurations.agent_configuration_of(amphora.id)
        )


def _is_worth_another_try(error: AmphoraError) -> bool:
    """An agent that is too old to know the call will never learn it."""
    if isinstance(error, AgentFault):
        return error.status != _UNKNOWN_CALL
    return isinstance(error, AmphoraUnreachable)
