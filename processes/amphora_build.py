"""From the order for an amphora to one that can carry a configuration, and back to nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import singledispatchmethod
from typing import Protocol
from uuid import UUID

from amphora.driver import AgentFault, AmphoraAddress, AmphoraDriver, AmphoraUnreachable, VipPlug
from commands.amphora_outcome import AmphoraOutcomes
from commands.outcome import Outcomes
from commands.ports import Aggregates, Origin
from domain import load_balancer_events as events
from domain.amphora import Amphora, Stage
from domain.errors import NotFound
from processes.actions import (
    Action,
    BuildAmphora,
    OrderReplacement,
    ReleaseVip,
    RemoveAmphora,
    RemoveFailedAmphora,
)
from processes.ports import BootOrder, Claim, ComputeDriver, ComputeFault, NetworkFault, VipPlugging
from processes.worker import DONE, RECORDED, LookAgain, Result

REPLACEMENT_PAUSE_SECONDS = 10.0


class AmphoraBuildProcess:
    """Reacts to orders for amphorae, to failures and to the end of load balancers."""

    name = "amphora-build"

    @singledispatchmethod
    def react(self, event: object) -> Sequence[Action]:
        return []

    @react.register
    def amphora_requested(self, event: Amphora.Created) -> Sequence[Action]:
        return [BuildAmphora(load_balancer_id=event.load_balancer_id, amphora_id=event.originator_id)]

    @react.register
    def amphora_failed(self, event: Amphora.Failed) -> Sequence[Action]:
        """Undo what there is of it, and try with another one after a pause. Whom it was to replace may serve still."""
        load_balancer_id, amphora_id = event.load_balancer_id, event.originator_id
        return [
            RemoveFailedAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id),
            OrderReplacement(
                load_balancer_id=load_balancer_id, amphora_id=amphora_id, after_seconds=REPLACEMENT_PAUSE_SECONDS
            ),
        ]

    @react.register
    def removal_requested(self, event: Amphora.RemovalRequested) -> Sequence[Action]:
        """It may be waiting for its next try already: then that is due at once."""
        return [RemoveFailedAmphora(load_balancer_id=event.load_balancer_id, amphora_id=event.originator_id)]

    @react.register(events.DeletionRequested)
    @react.register(events.DeletionRepeated)
    def deletion_requested(self, event: events.DeletionRequested | events.DeletionRepeated) -> Sequence[Action]:
        if not event.amphora_ids:
            return [ReleaseVip(load_balancer_id=event.originator_id)]
        return [RemoveAmphora(load_balancer_id=event.originator_id, amphora_id=id) for id in event.amphora_ids]

    @react.register
    def amphora_gone(self, event: events.AmphoraGone) -> Sequence[Action]:
        return [] if event.remaining else [ReleaseVip(load_balancer_id=event.originator_id)]


@dataclass(frozen=True, kw_only=True)
class AmphoraFiles:
    """by_path: path -> text, see BootOrder; certificate_expires_at: of the server certificate, if there is one."""

    by_path: Mapping[str, str]
    certificate_expires_at: datetime | None = None


class BootFiles(Protocol):
    """What an amphora needs on its disk before it can be talked to."""

    def files_of(self, amphora_id: UUID) -> AmphoraFiles: ...


class AmphoraBuildActions:
    """Carries out what AmphoraBuildProcess decided. The next step follows from the stage of the amphora."""

    def __init__(
        self,
        aggregates: Aggregates,
        outcomes: Outcomes,
        amphora_outcomes: AmphoraOutcomes,
        compute: ComputeDriver,
        network: VipPlugging,
        driver: AmphoraDriver,
        boot_files: BootFiles,
        *,
        look_again_seconds: float,
    ) -> None:
        self._aggregates = aggregates
        self._outcomes = outcomes
        self._amphora_outcomes = amphora_outcomes
        self._compute = compute
        self._network = network
        self._driver = driver
        self._boot_files = boot_files
        self._look_again_seconds = look_again_seconds

    # Building

    def build(self, action: BuildAmphora, claim: Claim) -> Result:
        """As many steps as can be taken now. Each may be repeated: what an earlier try made is found by name."""
        amphora = self._aggregates.amphora(action.amphora_id)
        if not amphora.is_being_built or self._is_called_off(amphora):
            return DONE
        step = amphora.stage
        try:
            return self._take_steps(amphora, claim)
        except (ComputeFault, NetworkFault, AmphoraUnreachable, AgentFault) as error:
            if not claim.overdue:
                raise
            self._outcomes.amphora_has_failed(amphora.id, f"when {step}", str(error), claim.attempt)
            return RECORDED

    def _is_called_off(self, amphora: Amphora) -> bool:
        try:
            return self._aggregates.load_balancer(amphora.load_balancer_id).being_deleted
        except NotFound:
            return True

    def _take_steps(self, amphora: Amphora, claim: Claim) -> Result:
        if amphora.stage == Stage.REQUESTED:
            self._boot(amphora)
        if amphora.stage == Stage.BOOTING:
            waiting_for = self._look_for(amphora)
            if waiting_for:
                return self._wait(amphora, claim, waiting_for)
        return self._plug(amphora, claim)

    def _boot(self, amphora: Amphora) -> None:
        """One that an earlier try booted keeps that try's certificate, which is not much older."""
        files = self._boot_files.files_of(amphora.id)
        order = BootOrder(
            amphora_id=amphora.id,
            load_balancer_id=amphora.load_balancer_id,
            files=files.by_path,
        )
        amphora.booted(self._compute.boot(order), files.certificate_expires_at)

    def _look_for(self, amphora: Amphora) -> str:
        """Empty once the agent answers, else what is still missing. Raises ComputeFault when it cannot come up."""
        state = self._compute.look(amphora.compute_id or "")
        if state.status in ("ERROR", "GONE"):
            raise ComputeFault(state.fault or "the instance is gone")
        if state.status == "BOOTING" or state.management_address is None:
            return "the instance to boot"
        try:
            info = self._driver.info(AmphoraAddress(amphora.id, state.management_address))
        except (AmphoraUnreachable, AgentFault):
            return "the agent to answer"
        amphora.became_reachable(state.management_address, info.haproxy_version)
        return ""

    def _wait(self, amphora: Amphora, claim: Claim, waiting_for: str) -> Result:
        if claim.overdue:
            self._outcomes.amphora_has_failed(
                amphora.id, f"when {amphora.stage}", f"waited too long for {waiting_for}", claim.attempt
            )
            return RECORDED
        self._aggregates.save(amphora, origin=Origin())
        return LookAgain(self._look_again_seconds)

    def _plug(self, amphora: Amphora, claim: Claim) -> Result:
        """The VIP has one holder at a time: the amphora that this one replaces is taken down first."""
        _, *replaced = chain = self._with_replaced(amphora)
        for each in replaced:
            self._compute.remove(each.id)
            each.removed()
        load_balancer = self._aggregates.load_balancer(amphora.load_balancer_id)
        port = self._network.plug_vip(load_balancer.id, amphora.id, load_balancer.vip)
        self._driver.plug_vip(
            address_of(amphora),
            VipPlug(
                vip_address=load_balancer.vip.address,
                subnet_cidr=port.subnet_cidr,
                mac_address=port.mac_address,
                gateway=port.gateway,
                vrrp_ip=port.address,
            ),
        )
        amphora.vip_plugged(port.address)
        self._aggregates.save(*chain, origin=Origin(), completing=claim.attempt)
        return RECORDED

    def order_replacement(self, action: OrderReplacement, claim: Claim) -> Result:
        self._outcomes.amphora_is_lost(action.amphora_id, "could not be built", claim.attempt)
        return RECORDED

    # Taking down

    def remove(self, action: RemoveAmphora, claim: Claim) -> Result:
        """Also those whose place it took, if it never came so far as to take them down itself."""
        amphorae = self._with_replaced(self._aggregates.amphora(action.amphora_id))
        try:
            for amphora in amphorae:
                self._compute.remove(amphora.id)
        except ComputeFault as error:
            if claim.overdue:
                self._outcomes.deletion_is_overdue(action.load_balancer_id, "remove amphora", str(error))
            raise
        self._outcomes.amphorae_are_removed([amphora.id for amphora in amphorae], claim.attempt)
        return RECORDED

    def _with_replaced(self, amphora: Amphora) -> Sequence[Amphora]:
        """Itself first, then those before it that may still be there: whoever had the VIP has taken down all before."""
        chain = [amphora]
        while not chain[-1].has_had_the_vip and (replaced := chain[-1].replaces) is not None:
            chain.append(self._aggregates.amphora(replaced))
        return [amphora, *(each for each in chain[1:] if each.stage != Stage.REMOVED)]

    def remove_failed(self, action: RemoveFailedAmphora, claim: Claim) -> Result:
        """Nobody waits for it but whoever asked for it by name."""
        amphora = self._aggregates.amphora(action.amphora_id)
        if amphora.stage not in (Stage.FAILED, Stage.BEING_REMOVED):
            return DONE
        try:
            self._compute.remove(amphora.id)
        except ComputeFault as error:
            if claim.overdue:
                self._amphora_outcomes.removal_is_overdue(amphora.id, str(error))
            raise
        self._amphora_outcomes.failed_one_is_removed(amphora.id, claim.attempt)
        return RECORDED

    def release_vip(self, action: ReleaseVip, claim: Claim) -> Result:
        load_balancer = self._aggregates.load_balancer(action.load_balancer_id)
        try:
            self._network.release_vip(load_balancer.id, load_balancer.vip)
        except NetworkFault as error:
            if claim.overdue:
                self._outcomes.deletion_is_overdue(load_balancer.id, "release the VIP", str(error))
            raise
        self._outcomes.deletion_is_complete(load_balancer.id, claim.attempt)
        return RECORDED


def address_of(amphora: Amphora) -> AmphoraAddress:
    """Where a reachable amphora's agent answers."""
    return AmphoraAddress(amphora.id, amphora.management_address or "")
