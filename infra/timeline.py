"""The history of one load balancer as a person reads it: every event of its tree, its amphorae and its health."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatchmethod
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from domain import load_balancer_events as events
from domain.amphora import Amphora
from domain.health import LoadBalancerHealth
from infra.transcoding import EventMapper

# An event was committed with the first commit record that does not end before it.
_READ = """
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state,
       c.recorded_at, c.request_id, p.user_id
FROM tacitus_events e
CROSS JOIN LATERAL (SELECT * FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1) c
LEFT JOIN actors p ON p.id = c.actor
WHERE e.originator_id = ANY(%s) ORDER BY e.notification_id
"""
# Amphorae are known by the events of their load balancer: their rows go with them.
_AMPHORAE = """
SELECT (jsonb_array_elements_text(state -> 'amphora_ids'))::uuid FROM (
    SELECT convert_from(state, 'UTF8')::jsonb AS state FROM tacitus_events
    WHERE originator_id = %(id)s AND topic = 'LoadBalancerCreated') AS created
UNION
SELECT (convert_from(state, 'UTF8')::jsonb ->> 'replacement_id')::uuid FROM tacitus_events
WHERE originator_id = %(id)s AND topic = 'AmphoraReplaced'
"""


@dataclass(frozen=True)
class Moment:
    """One event.

    who     a person's id, "somebody" for a request without one, "Tacitus" for the service itself
    stream  load balancer, amphora or health
    """

    at: datetime
    who: str
    stream: str
    what: str
    position: int
    event: object = field(repr=False)


def timeline(connection: psycopg.Connection[Any], load_balancer_id: UUID) -> Sequence[Moment]:
    """Everything the log holds about a load balancer, in its order, also after its deletion."""
    amphorae = [id for (id,) in connection.execute(_AMPHORAE, {"id": load_balancer_id})]
    streams = [load_balancer_id, LoadBalancerHealth.create_id(load_balancer_id), *amphorae]
    teller, mapper = Teller(), EventMapper()
    moments = []
    for position, id, version, topic, state, at, request_id, user_id in connection.execute(_READ, (streams,)):
        event = mapper.to_domain_event(StoredEvent(id, version, topic, bytes(state)))
        who = who_did(event, user_id, request_id)
        moments.append(Moment(at, who, _stream_of(event), teller.tell(event), position, event))
    return moments


_ASKED_FOR = (
    events.Revised,
    events.DeletionRequested,
    events.DeletionRepeated,
    events.StatusesSet,
    Amphora.RemovalRequested,
    Amphora.AgentConfigurationRequested,
)
"""What comes of a request has its id too, and is done by the service itself."""


def who_did(event: object, user_id: str | None, request_id: str) -> str:
    """As in a Moment. user_id: of the actor, None when the commit names none or the person was forgotten."""
    return user_id or ("somebody" if request_id and isinstance(event, _ASKED_FOR) else "Tacitus")


def _stream_of(event: object) -> str:
    match event:
        case Amphora.Event():
            return "amphora"
        case LoadBalancerHealth.Event():
            return "health"
    return "load balancer"


@dataclass
class Teller:
    """Says in a sentence what an event means; remembers what things are called.

    names  id of an object -> what it is called, learned from the events that NAMING lists
    """

    names: dict[UUID, str] = field(default_factory=dict)

    @singledispatchmethod
    def tell(self, event: object) -> str:
        return type(event).__name__

    # The load balancer

    @tell.register
    def _created(self, event: events.Created) -> str:
        self.names[event.originator_id] = "load balancer"
        amphorae = ", ".join(self._amphora(id) for id in event.amphora_ids)
        said = f"asked for: {event.settings.name or 'without a name'}, VIP {event.vip.address}"
        return f"{said}, on {amphorae}" if amphorae else said

    @tell.register
    def _changed(self, event: events.Changed) -> str:
        return "settings changed"

    @tell.register
    def _listener_added(self, event: events.ListenerAdded) -> str:
        listener = event.listener
        self.names[listener.id] = f"listener {listener.name or listener.protocol_port}"
        return f"{self.names[listener.id]} added: {listener.protocol} on port {listener.protocol_port}"

    @tell.register
    def _listener_changed(self, event: events.ListenerChanged) -> str:
        return f"{self._name(event.listener.id)} changed"

    @tell.register
    def _listener_removed(self, event: events.ListenerRemoved) -> str:
        return f"{self._name(event.listener_id)} removed"

    @tell.register
    def _pool_added(self, event: events.PoolAdded) -> str:
        self.names[event.pool.id] = f"pool {event.pool.name or str(event.pool.id)[:8]}"
        return f"{self.names[event.pool.id]} added: {event.pool.lb_algorithm}"

    @tell.register
    def _pool_changed(self, event: events.PoolChanged) -> str:
        return f"{self._name(event.pool.id)} changed"

    @tell.register
    def _pool_removed(self, event: events.PoolRemoved) -> str:
        return f"{self._name(event.pool_id)} removed"

    @tell.register
    def _members_changed(self, event: events.MembersChanged) -> str:
        return "; ".join(self._parts(event))

    def _parts(self, event: events.MembersChanged) -> Iterator[str]:
        for member in event.batch.added:
            self.names[member.id] = f"member {member.address}:{member.protocol_port}"
            yield f"{self.names[member.id]} added, weight {member.weight}"
        for member in event.batch.changed:
            yield f"{self._name(member.id)} changed, weight {member.weight}"
        for id in event.batch.removed:
            yield f"{self._name(id)} removed"

    @tell.register
    def _monitor_added(self, event: events.HealthMonitorAdded) -> str:
        monitor = event.health_monitor
        self.names[monitor.id] = "health monitor"
        return f"health monitor added: {monitor.type} every {monitor.delay} s"

    @tell.register
    def _monitor_changed(self, event: events.HealthMonitorChanged) -> str:
        return "health monitor changed"

    @tell.register
    def _monitor_removed(self, event: events.HealthMonitorRemoved) -> str:
        return "health monitor removed"

    @tell.register
    def _policy_added(self, event: events.L7PolicyAdded) -> str:
        policy = event.l7_policy
        self.names[policy.id] = f"L7 policy {policy.name or str(policy.id)[:8]}"
        return (
            f"{self.names[policy.id]} added: {policy.action} at {policy.position} of {self._name(policy.listener_id)}"
        )

    @tell.register
    def _policy_changed(self, event: events.L7PolicyChanged) -> str:
        return f"{self._name(event.l7_policy.id)} changed: {event.l7_policy.action} at {event.l7_policy.position}"

    @tell.register
    def _policy_removed(self, event: events.L7PolicyRemoved) -> str:
        return f"{self._name(event.l7_policy_id)} removed"

    @tell.register(events.L7RuleAdded)
    @tell.register(events.L7RuleChanged)
    def _rule_set(self, event: Any) -> str:
        rule, verb = event.l7_rule, "added" if isinstance(event, events.L7RuleAdded) else "changed"
        return f"rule of {self._name(rule.l7policy_id)} {verb}: {rule.type} {rule.compare_type} {rule.value}"

    @tell.register
    def _rule_removed(self, event: events.L7RuleRemoved) -> str:
        return f"rule of {self._name(event.l7_policy_id)} removed"

    @tell.register
    def _failover_requested(self, event: events.FailoverRequested) -> str:
        return "failover asked for"

    @tell.register
    def _repair_requested(self, event: events.RepairRequested) -> str:
        return f"repair asked for: {event.why}"

    @tell.register
    def _deletion_repeated(self, event: events.DeletionRepeated) -> str:
        return f"deletion is done again: {event.why}"

    @tell.register
    def _statuses_set(self, event: events.StatusesSet) -> str:
        return f"{len(event.statuses)} statuses set by hand, {len(event.gone)} objects said to be deleted"

    @tell.register
    def _statuses_released(self, event: events.StatusesReleased) -> str:
        return "statuses are measured again"

    @tell.register
    def _applied(self, event: events.ConfigurationApplied) -> str:
        return f"revision {event.confirmation.revision} runs on {self._amphora(event.confirmation.amphora_id)}"

    @tell.register
    def _refused(self, event: events.ConfigurationRefused) -> str:
        blamed = "; ".join(f"{self._name(blame.ref.id)}: {blame.words[:80]}" for blame in event.blamed)
        return f"{self._amphora(event.amphora_id)} refuses {blamed}"

    @tell.register
    def _overdue(self, event: events.DeadlinePassed) -> str:
        return f"overdue: {event.step}: {event.reason}"

    @tell.register
    def _replaced(self, event: events.AmphoraReplaced) -> str:
        lost, replacement = self._amphora(event.amphora_id), self._amphora(event.replacement_id)
        return f"{lost} is replaced by {replacement}: {event.reason[:80]}"

    @tell.register
    def _deletion_requested(self, event: events.DeletionRequested) -> str:
        return "deletion asked for"

    @tell.register
    def _deletion_overdue(self, event: events.DeletionOverdue) -> str:
        return f"deletion overdue: {event.step}: {event.reason}"

    @tell.register
    def _deleted(self, event: events.Deleted) -> str:
        return "deleted; nothing is left of it outside"

    @tell.register
    def _amphora_failed(self, event: events.AmphoraFailed) -> str:
        return f"{self._amphora(event.amphora_id)} could not be built, {event.step}: {event.reason[:80]}"

    @tell.register
    def _amphora_gone(self, event: events.AmphoraGone) -> str:
        return f"{self._amphora(event.amphora_id)} is gone, {event.remaining} left"

    # Its amphorae

    @tell.register
    def _requested(self, event: Amphora.Created) -> str:
        return f"{self._amphora(event.originator_id)} ordered"

    @tell.register
    def _reachable(self, event: Amphora.BecameReachable) -> str:
        version = event.haproxy_version
        return f"{self._amphora(event.originator_id)} answers at {event.management_address}, HAProxy {version}"

    @tell.register(Amphora.Booted)
    @tell.register(Amphora.VipPlugged)
    @tell.register(Amphora.EnteredService)
    @tell.register(Amphora.Removed)
    def _step(self, event: Amphora.Event) -> str:
        return f"{self._amphora(event.originator_id)} {_STEPS[type(event)]}"

    @tell.register(Amphora.LeftService)
    @tell.register(Amphora.Failed)
    def _lost(self, event: Any) -> str:
        verb = "failed" if isinstance(event, Amphora.Failed) else "left service"
        return f"{self._amphora(event.originator_id)} {verb}: {event.reason[:80]}"

    @tell.register(Amphora.RemovalRequested)
    @tell.register(Amphora.AgentConfigurationRequested)
    @tell.register(Amphora.AgentConfigured)
    def _agent(self, event: Amphora.Event) -> str:
        return f"{self._amphora(event.originator_id)} {_AGENTS[type(event)]}"

    @tell.register(Amphora.RemovalOverdue)
    @tell.register(Amphora.AgentNotConfigured)
    def _not_done(self, event: Any) -> str:
        verb = "cannot be removed" if isinstance(event, Amphora.RemovalOverdue) else "did not take its settings"
        return f"{self._amphora(event.originator_id)} {verb}: {event.reason[:80]}"

    # Its health

    @tell.register
    def _first_measured(self, event: LoadBalancerHealth.Created) -> str:
        return "measured for the first time"

    @tell.register
    def _health_changed(self, event: LoadBalancerHealth.HealthChanged) -> str:
        return ", ".join(f"{self._name(id)} {status}" for id, status in event.changes.items())

    def _name(self, id: UUID) -> str:
        return self.names.get(id, str(id)[:8])

    @staticmethod
    def _amphora(id: UUID) -> str:
        return f"amphora {str(id)[:8]}"


NAMING: tuple[type[events.Event], ...] = (
    events.Created,
    events.ListenerAdded,
    events.PoolAdded,
    events.MembersChanged,
    events.HealthMonitorAdded,
    events.L7PolicyAdded,
)
"""Whoever has not heard these before is told of objects by the beginning of their ids."""

_STEPS: dict[type[Amphora.Event], str] = {
    Amphora.Booted: "boots",
    Amphora.VipPlugged: "has the VIP",
    Amphora.EnteredService: "is in service",
    Amphora.Removed: "is gone",
}
_AGENTS: dict[type[Amphora.Event], str] = {
    Amphora.RemovalRequested: "is to be removed",
    Amphora.AgentConfigurationRequested: "is to be sent its settings",
    Amphora.AgentConfigured: "has its settings",
}
