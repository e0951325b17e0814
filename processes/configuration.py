"""Has the amphorae of a load balancer run its latest revision, and finds out what they refuse."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, singledispatchmethod
from typing import Protocol
from uuid import UUID

from amphora.driver import AmphoraAddress, AmphoraDriver, AmphoraError, ConfigurationRefused
from amphora.haproxy import Unrenderable
from commands.outcome import Outcomes, ReportConfigurationApplied, ReportConfigurationRefused, ReportDeadline
from commands.ports import Aggregates
from domain import load_balancer_events as events
from domain.amphora import Amphora, Stage
from domain.fields import NOTHING_YET, Revision
from domain.load_balancer import LoadBalancer
from domain.progress import Kind, Ref
from domain.tree import Tree
from processes.actions import Action, ApplyConfiguration, PushConfiguration, RetryRefused
from processes.amphora_build import address_of
from processes.ports import Claim
from processes.worker import DONE, RECORDED, Done, LookAgain, Result

_NOBODY_IN_SERVICE_PAUSE_SECONDS = 1.0
_RETRY_REFUSED_SECONDS, _LONGEST_RETRY_SECONDS = 15.0, 600.0


class ConfigurationProcess:
    """Reacts to every change of what the amphorae must run."""

    name = "configuration"

    @singledispatchmethod
    def react(self, event: object) -> Sequence[Action]:
        return []

    @react.register
    def created(self, event: events.Created) -> Sequence[Action]:
        if event.amphora_ids:
            return []  # they get their first configuration once they are plugged
        return self.revised(event)

    @react.register
    def revised(self, event: events.Revised) -> Sequence[Action]:
        return [ApplyConfiguration(load_balancer_id=event.originator_id, wanted=event.originator_version)]

    @react.register
    def vip_plugged(self, event: Amphora.VipPlugged) -> Sequence[Action]:
        return [PushConfiguration(load_balancer_id=event.load_balancer_id, amphora_id=event.originator_id)]

    @react.register
    def replaced(self, event: events.AmphoraReplaced) -> Sequence[Action]:
        return [*self.revised(event), self._last_retry(event.originator_id, event.amphora_id)]

    @react.register
    def deletion_requested(self, event: events.DeletionRequested) -> Sequence[Action]:
        return [self._last_retry(event.originator_id, id) for id in event.amphora_ids]

    def _last_retry(self, load_balancer_id: UUID, amphora_id: UUID) -> Action:
        """A retry may wait for minutes: it is due at once, finds no reason left, and ends."""
        return RetryRefused(load_balancer_id=load_balancer_id, amphora_id=amphora_id)

    @react.register
    def refused(self, event: events.ConfigurationRefused) -> Sequence[Action]:
        """What was refused may be accepted later: a port may become free."""
        return [
            RetryRefused(
                load_balancer_id=event.originator_id,
                amphora_id=event.amphora_id,
                wanted=event.revision,
                after_seconds=_RETRY_REFUSED_SECONDS,
            )
        ]


class StillRefused(Exception):
    """An amphora refuses what is left after everything that may be to blame was taken out."""


class OldTrees(Protocol):
    """Load balancers as they were."""

    def load_balancer_at(self, id: UUID, revision: int) -> LoadBalancer: ...


class Renderer(Protocol):
    """Turns a load balancer's tree into the file that HAProxy reads; None when it has nothing to run."""

    def __call__(self, load_balancer: LoadBalancer, tree: Tree) -> str | None: ...


@dataclass(frozen=True)
class _Push:
    """What one amphora is given.

    old_tree  the tree as of a revision; each is replayed once
    """

    load_balancer: LoadBalancer
    amphora: AmphoraAddress
    old_tree: Callable[[Revision], Tree]

    @property
    def held(self) -> Mapping[UUID, Revision]:
        return self.load_balancer.progress.held_back

    def tree_that_runs(self, also_held: Iterable[Ref] = ()) -> Tree:
        """What is wanted, with refused objects at the last value that ran, or left out."""
        progress, tree = self.load_balancer.progress, self.load_balancer.tree
        held = {Ref(progress.marks[id].kind, id): revision for id, revision in self.held.items()}
        held |= {ref: progress.last_good(ref.id) for ref in also_held}
        left_out = [ref for ref, revision in held.items() if revision == NOTHING_YET]
        tree = tree.without([*left_out, *(below for ref in left_out for below in tree.below(ref.id))])
        for ref, revision in held.items():
            if revision != NOTHING_YET:
                tree = tree.with_older(ref, self.old_tree(revision))
        return _without_loose_ends(tree)


class ConfigurationActions:
    """Carries out what ConfigurationProcess decided."""

    def __init__(
        self,
        aggregates: Aggregates,
        old_trees: OldTrees,
        outcomes: Outcomes,
        driver: AmphoraDriver,
        renderer: Renderer,
        *,
        push_deadline: timedelta,
    ) -> None:
        self._aggregates = aggregates
        self._old_trees = old_trees
        self._outcomes = outcomes
        self._driver = driver
        self._renderer = renderer
        self._push_deadline = push_deadline

    def apply(self, action: ApplyConfiguration, claim: Claim) -> Result:
        """One push per amphora, each in a lane of its own: a slow one delays no other."""
        load_balancer = self._aggregates.load_balancer(action.load_balancer_id)
        progress = load_balancer.progress
        if load_balancer.being_deleted or progress.applied >= progress.revision:
            return DONE
        if not load_balancer.has_amphorae:
            self._outcomes.provider_has_applied(load_balancer.id, progress.revision, claim.attempt)
            return RECORDED
        if not progress.confirmed:
            if not self._is_one_on_its_way(load_balancer):  # else its build and first push have their own deadlines
                self._report_deadline(load_balancer.id, claim, "no amphora is in service")
            return LookAgain(_NOBODY_IN_SERVICE_PAUSE_SECONDS)
        return Done(
            [
                PushConfiguration(load_balancer_id=load_balancer.id, amphora_id=id, wanted=progress.revision)
                for id in progress.confirmed
            ]
        )

    def _is_one_on_its_way(self, load_balancer: LoadBalancer) -> bool:
        return any(self._aggregates.amphora(id).is_wanted for id in load_balancer.amphora_ids)

    def push(self, action: PushConfiguration, claim: Claim) -> Result:
        """Raises what the driver reports: the worker tries again with a growing pause."""
        load_balancer = self._aggregates.load_balancer(action.load_balancer_id)
        amphora = self._aggregates.amphora(action.amphora_id)
        if load_balancer.being_deleted or amphora.stage not in (Stage.PLUGGED, Stage.IN_SERVICE):
            return DONE
        if load_balancer.progress.confirmed.get(amphora.id) == load_balancer.revision:
            return DONE
        try:
            return self._load(self._push(load_balancer, amphora), claim)
        except (AmphoraError, StillRefused) as error:
            self._report_deadline(load_balancer.id, claim, str(error))
            if claim.overdue and amphora.stage == Stage.PLUGGED:  # never in service, so nobody waits for its heartbeats
                self._outcomes.amphora_is_lost(amphora.id, str(error), claim.attempt)
                return RECORDED
            raise

    def _push(self, load_balancer: LoadBalancer, amphora: Amphora) -> _Push:
        def old_tree(revision: Revision) -> Tree:
            return self._old_trees.load_balancer_at(load_balancer.id, revision).tree

        return _Push(load_balancer, address_of(amphora), cache(old_tree))

    def _load(self, push: _Push, claim: Claim) -> Result:
        try:
            sha256 = self._run(push, push.tree_that_runs())
        except ConfigurationRefused as refused:
            return self._report_refused(push, self._blame(push, refused))
        except Unrenderable as unrenderable:
            return self._report_refused(push, {unrenderable.ref.id: unrenderable.words})
        without = frozenset(push.held) - {push.load_balancer.id}  # which is blamed when nothing below it is to blame
        self._report_applied(push, sha256, without, claim)
        return RECORDED

    def _run(self, push: _Push, tree: Tree) -> str:
        """Have the amphora run this tree and return its fingerprint; the same bytes are not pushed twice."""
        load_balancer, amphora_id = push.load_balancer, push.amphora.amphora_id
        file = self._renderer(load_balancer, tree)
        sha256 = fingerprint(file)
        if load_balancer.running.get(amphora_id) == sha256:
            return sha256
        if file is None:
            self._driver.remove_configuration(push.amphora, load_balancer.id)
        else:
            self._driver.load_configuration(push.amphora, load_balancer.id, file, load_balancer.revision)
        return sha256

    def _report_applied(self, push: _Push, sha256: str, without: frozenset[UUID], claim: Claim) -> None:
        self._outcomes.configuration_applied(
            ReportConfigurationApplied(
                load_balancer_id=push.load_balancer.id,
                amphora_id=push.amphora.amphora_id,
                revision=push.load_balancer.revision,
                sha256=sha256,
                without=without,
            ),
            claim.attempt,
        )

    def _report_refused(self, push: _Push, words: Mapping[UUID, str]) -> Result:
        """What is left of the revision is pushed at once. Raises StillRefused when leaving those out did not help."""
        load_balancer = push.load_balancer
        if set(words) <= set(push.held):
            raise StillRefused("; ".join(words.values()))
        self._outcomes.configuration_refused(
            ReportConfigurationRefused(
                load_balancer_id=load_balancer.id,
                amphora_id=push.amphora.amphora_id,
                revision=load_balancer.revision,
                words=words,
            )
        )
        return LookAgain(0)

    def _report_deadline(self, load_balancer_id: UUID, claim: Claim, reason: str) -> None:
        """A change may be older than the action, whose time begins when there is an amphora to push to."""
        if not claim.overdue:
            return
        self._outcomes.deadline_reached(
            ReportDeadline(
                load_balancer_id=load_balancer_id,
                now=claim.now,
                allowance=self._push_deadline,
                step="apply configuration",
                reason=reason,
            )
        )

    # What is refused

    def _blame(self, push: _Push, refused: ConfigurationRefused) -> Mapping[UUID, str]:
        """Which of the changes not yet applied are refused, each with the amphora's own words.

        The amphora's check is repeated over halves, so one culprit among n takes about log2(n) checks.
        """
        progress = push.load_balancer.progress
        if refused.refused:
            return {id: words for id, words in refused.refused.items() if progress.is_wanted(id)}
        suspects = progress.suspects(progress.revision)
        words: dict[UUID, str] = {}

        def refusal(without: Iterable[Ref]) -> str | None:
            return self._refusal(push, push.tree_that_runs(without))

        _find_culprits(suspects, refusal, words)
        return words or {push.load_balancer.id: refused.words}

    def _refusal(self, push: _Push, tree: Tree) -> str | None:
        """The amphora's words against a tree; None when it has none."""
        try:
            file = self._renderer(push.load_balancer, tree)
            if file is not None:
                self._driver.check_configuration(push.amphora, push.load_balancer.id, file)
        except (ConfigurationRefused, Unrenderable) as refused:
            return refused.words
        return None

    def retry_refused(self, action: RetryRefused, claim: Claim) -> Result:
        """Offer all that is wanted once more; the pause grows until somebody changes it or it is accepted."""
        load_balancer = self._aggregates.load_balancer(action.load_balancer_id)
        amphora = self._aggregates.amphora(action.amphora_id)
        if load_balancer.being_deleted or amphora.stage != Stage.IN_SERVICE or not load_balancer.progress.held_back:
            return DONE
        push = self._push(load_balancer, amphora)
        try:
            sha256 = self._run(push, load_balancer.tree)
        except (ConfigurationRefused, Unrenderable):
            waited = (claim.now - claim.since).total_seconds()
            return LookAgain(min(max(waited, _RETRY_REFUSED_SECONDS), _LONGEST_RETRY_SECONDS))
        self._report_applied(push, sha256, frozenset(), claim)
        return RECORDED


def _find_culprits(
    suspects: Sequence[Ref], refusal: Callable[[Iterable[Ref]], str | None], words: dict[UUID, str]
) -> None:
    """Fills `words`. `refusal` says what is held against the tree without the given changes.

    Halves are tried in the order of the changes, so that what a later one needs is there.
    """

    def search(untried: Sequence[Ref], after: Sequence[Ref]) -> None:
        culprits = [ref for ref in suspects if ref.id in words]
        said = refusal([*culprits, *after])
        if said is None:
            return
        if len(untried) == 1:
            words[untried[0].id] = said
            return
        middle = len(untried) // 2
        first, second = untried[:middle], untried[middle:]
        search(first, [*second, *after])
        search(second, after)

    if suspects:
        search(suspects, ())


def _without_loose_ends(tree: Tree) -> Tree:
    """An older value may point at a pool that is not there any more."""
    loose = [each for each in tree.listeners.values() if each.default_pool_id not in (None, *tree.pools)]
    orphans = [Ref(Kind.MEMBER, m.id) for m in tree.members.values() if m.pool_id not in tree.pools]
    return tree.without(orphans).with_listeners(listener.detached() for listener in loose)


def fingerprint(file: str | None) -> str:
    """SHA-256 of what a file makes HAProxy do: the lines that only name the revision do not count."""
    if file is None:
        return ""
    told = (line for line in file.splitlines() if not line.startswith(("# tacitus ", "    description ")))
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
