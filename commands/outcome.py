"""What was done outside returns as commands: an outcome becomes an event and ends its action, in one transaction."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from eventsourcing.domain import Aggregate

from commands.ports import Aggregates, Attempt, Origin
from commands.tracing import request_id
from commands.turns import Turns
from domain.amphora import Amphora
from domain.errors import NotFound
from domain.fields import Revision
from domain.health import LoadBalancerHealth, presumed_statuses
from domain.load_balancer import LoadBalancer


@dataclass(frozen=True, kw_only=True)
class ReportConfigurationApplied:
    """An amphora runs a revision; `without` names objects that it runs at an older one, or not at all."""

    load_balancer_id: UUID
    amphora_id: UUID
    revision: Revision
    sha256: str
    without: frozenset[UUID] = frozenset()


@dataclass(frozen=True, kw_only=True)
class ReportConfigurationRefused:
    """An amphora refused a revision because of these objects: id -> its words."""

    load_balancer_id: UUID
    amphora_id: UUID
    revision: Revision
    words: Mapping[UUID, str]


@dataclass(frozen=True, kw_only=True)
class ReportDeadline:
    """A step did not come to its end; changes older than `allowance` are shown as ERROR."""

    load_balancer_id: UUID
    now: datetime
    allowance: timedelta
    step: str
    reason: str


class Outcomes:
    """Records outcomes. A late, repeated or overtaken one changes nothing."""

    def __init__(self, aggregates: Aggregates, turns: Turns) -> None:
        self._aggregates = aggregates
        self._turns = turns

    # Configuration

    def configuration_applied(self, report: ReportConfigurationApplied, completing: Attempt) -> None:
        """The first confirmation puts a new amphora into service."""

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.configuration_is_applied(report.amphora_id, report.revision, report.sha256, report.without)
            amphora = self._aggregates.amphora(report.amphora_id)
            amphora.entered_service()
            return [amphora]

        self._record(report.load_balancer_id, decide, completing.up_to(report.revision))

    def provider_has_applied(self, load_balancer_id: UUID, revision: Revision, completing: Attempt) -> None:
        """A provider without amphorae carried out everything up to a revision, and says that all is well."""

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.configuration_is_applied(load_balancer.id, revision, sha256="")
            health = self._health_of(load_balancer.id)
            enabled = load_balancer.settings.admin_state_up
            health.measured(presumed_statuses(load_balancer.id, enabled=enabled, tree=load_balancer.tree))
            return [health]

        self._record(load_balancer_id, decide, completing.up_to(revision))

    def _health_of(self, load_balancer_id: UUID) -> LoadBalancerHealth:
        try:
            return self._aggregates.load(LoadBalancerHealth, LoadBalancerHealth.create_id(load_balancer_id))
        except NotFound:
            return LoadBalancerHealth.begin(load_balancer_id)

    def configuration_refused(self, report: ReportConfigurationRefused) -> None:
        """The action goes on: what is left of the revision has to be pushed."""

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.configuration_is_refused(report.amphora_id, report.revision, report.words)
            return []

        self._record(report.load_balancer_id, decide)

    def deadline_reached(self, report: ReportDeadline) -> None:
        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.deadline_is_reached(report.now, report.allowance, report.step, report.reason)
            return []

        self._record(report.load_balancer_id, decide)

    # Amphorae

    def amphora_has_failed(self, amphora_id: UUID, step: str, reason: str, completing: Attempt) -> None:
        """It could not be built: what waited for it is shown as ERROR, until its replacement is there."""
        load_balancer_id = self._aggregates.amphora(amphora_id).load_balancer_id

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            amphora = self._aggregates.amphora(amphora_id)
            if amphora.is_being_built:
                amphora.failed(step, reason)
                load_balancer.amphora_has_failed(amphora_id, step, reason)
            return [amphora]

        self._record(load_balancer_id, decide, completing)

    def amphora_is_lost(self, amphora_id: UUID, reason: str, completing: Attempt | None = None) -> None:
        """Order another amphora in its place. The new one is built first and takes the old one down."""
        load_balancer_id = self._aggregates.amphora(amphora_id).load_balancer_id
        replacement_id = uuid4()

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            if not load_balancer.replace_amphora(amphora_id, replacement_id, reason):
                return []
            lost = self._aggregates.amphora(amphora_id)
            lost.left_service(reason)
            replacement = Amphora.request(replacement_id, load_balancer_id=load_balancer.id, replaces=amphora_id)
            return [lost, replacement]

        self._record(load_balancer_id, decide, completing)

    def amphorae_are_removed(self, amphora_ids: Sequence[UUID], completing: Attempt) -> None:
        """Nothing is left of these amphorae of one load balancer."""

        def removed() -> Sequence[Amphora]:
            amphorae = [self._aggregates.amphora(id) for id in amphora_ids]
            for amphora in amphorae:
                amphora.removed()
            return amphorae

        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            for id in amphora_ids:
                load_balancer.amphora_is_gone(id)
            return removed()

        load_balancer_id = self._aggregates.amphora(amphora_ids[0]).load_balancer_id
        try:
            self._record(load_balancer_id, decide, completing)
        except NotFound:  # the load balancer's history has ended before theirs
            self._aggregates.save(*removed(), origin=Origin(), completing=completing)

    # Deletion

    def deletion_is_overdue(self, load_balancer_id: UUID, step: str, reason: str) -> None:
        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.deletion_is_overdue(step, reason)
            return []

        self._record(load_balancer_id, decide)

    def deletion_is_complete(self, load_balancer_id: UUID, completing: Attempt) -> None:
        def decide(load_balancer: LoadBalancer) -> Iterable[Aggregate]:
            load_balancer.deletion_is_complete()
            return []

        self._record(load_balancer_id, decide, completing)

    def _record(
        self,
        load_balancer_id: UUID,
        decide: Callable[[LoadBalancer], Iterable[Aggregate]],
        completing: Attempt | None = None,
    ) -> None:
        command_id = uuid4()

        def once() -> None:
            load_balancer = self._aggregates.load_balancer(load_balancer_id)
            others = decide(load_balancer)
            origin = Origin(command_id=command_id, project_id=load_balancer.project_id, request_id=request_id())
            self._aggregates.save(load_balancer, *others, origin=origin, completing=completing)

        self._turns.take(load_balancer_id, command_id, once)
