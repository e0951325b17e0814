"""The aggregate of a load balancer: decides on changes anywhere in its tree and remembers them as events."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from domain import load_balancer_events as events
from domain.errors import DuplicateMember, HasChildren, Immutable, Invalid, InvalidState, NotFound
from domain.fields import NOTHING_YET, ProvisioningStatus, Revision
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy, inserted, relocated, renumbered
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.member import Member, VnicType
from domain.pool import Pool, require_protocols_fit
from domain.progress import Blame, Confirmation, Kind, Progress, Reached, Ref
from domain.tree import Tree
from domain.vip import Vip

RESOURCES = {
    Kind.LOAD_BALANCER: "Load Balancer",
    Kind.LISTENER: "Listener",
    Kind.POOL: "Pool",
    Kind.MEMBER: "Member",
    Kind.HEALTH_MONITOR: "Health Monitor",
    Kind.L7_POLICY: "L7 Policy",
    Kind.L7_RULE: "L7 Rule",
}


class LoadBalancer(Aggregate):
    """Decides on changes to one load balancer and remembers them as events."""

    TOPIC = "LoadBalancer"

    # The library looks up here what its decorator names.
    Event = events.Event
    Revised = events.Revised
    TreeChanged = events.TreeChanged
    Created = events.Created
    Changed = events.Changed
    ListenerAdded = events.ListenerAdded
    ListenerChanged = events.ListenerChanged
    ListenerRemoved = events.ListenerRemoved
    PoolAdded = events.PoolAdded
    PoolChanged = events.PoolChanged
    PoolRemoved = events.PoolRemoved
    MembersChanged = events.MembersChanged
    HealthMonitorAdded = events.HealthMonitorAdded
    HealthMonitorChanged = events.HealthMonitorChanged
    HealthMonitorRemoved = events.HealthMonitorRemoved
    L7PolicyAdded = events.L7PolicyAdded
    L7PolicyChanged = events.L7PolicyChanged
    L7PolicyRemoved = events.L7PolicyRemoved
    L7RuleAdded = events.L7RuleAdded
    L7RuleChanged = events.L7RuleChanged
    L7RuleRemoved = events.L7RuleRemoved
    DeletionRequested = events.DeletionRequested
    DeletionOverdue = events.DeletionOverdue
    DeletionRepeated = events.DeletionRepeated
    Deleted = events.Deleted
    StatusesSet = events.StatusesSet
    StatusesReleased = events.StatusesReleased
    ConfigurationApplied = events.ConfigurationApplied
    ConfigurationRefused = events.ConfigurationRefused
    DeadlinePassed = events.DeadlinePassed
    FailoverRequested = events.FailoverRequested
    RepairRequested = events.RepairRequested
    AmphoraReplaced = events.AmphoraReplaced
    AmphoraFailed = events.AmphoraFailed
    AmphoraGone = events.AmphoraGone

    # Creation and its own settings

    @classmethod
    def create(
        cls,
        id: UUID,
        *,
        project_id: str,
        provider: str,
        vip: Vip,
        settings: LoadBalancerSettings,
        amphora_ids: tuple[UUID, ...],
        flavor_id: UUID | None = None,
        availability_zone: str | None = None,
    ) -> Self:
        """A new load balancer under an id that is known beforehand: its VIP and amphorae are named after it.

        amphora_ids  none when its provider keeps no amphorae: then the provider confirms, under the id of the load
                     balancer itself
        """
        return cls._create(
            cls.Created,
            id=id,
            project_id=project_id,
            provider=provider,
            vip=vip,
            settings=settings,
            amphora_ids=amphora_ids,
            flavor_id=flavor_id,
            availability_zone=availability_zone,
        )

    @event(events.Created)
    def __init__(
        self,
        *,
        project_id: str,
        provider: str,
        vip: Vip,
        settings: LoadBalancerSettings,
        amphora_ids: tuple[UUID, ...],
        flavor_id: UUID | None = None,
        availability_zone: str | None = None,
    ) -> None:
        self.project_id = project_id
        self.provider = provider
        self.vip = vip
        self.settings = settings
        self.amphora_ids = amphora_ids
        self.has_amphorae = bool(amphora_ids)
        self.flavor_id = flavor_id
        self.availability_zone = availability_zone
        self.tree = Tree()
        self.running: Mapping[UUID, str] = {}  # amphora -> fingerprint of what it runs
        self.being_deleted = False
        self.deletion_overdue = False
        self.deleted = False
        self.progress = Progress().changed(Revision(1), created=[self.ref])

    @property
    def ref(self) -> Ref:
        return Ref(Kind.LOAD_BALANCER, self.id)

    @property
    def revision(self) -> Revision:
        """What the amphorae must run."""
        return self.progress.revision

    @property
    def provisioning_status(self) -> ProvisioningStatus:
        """Its own status; that of an object in its tree is `status_of`."""
        reported = self.progress.reported_status_of(self.id)
        if reported is not None:
            return reported
        if self.being_deleted:
            return ProvisioningStatus.ERROR if self.deletion_overdue else ProvisioningStatus.PENDING_DELETE
        return self.progress.status_of(self.id) or ProvisioningStatus.PENDING_DELETE

    def status_of(self, id: UUID) -> ProvisioningStatus | None:
        return self.provisioning_status if id == self.id else self.progress.status_of(id)

    def runs_on(self, amphora_id: UUID) -> bool:
        """Whether this is one of its amphorae, or its provider where there are none."""
        return amphora_id in self.amphora_ids or (not self.has_amphorae and amphora_id == self.id)

    def edited(self, id: UUID) -> Revision | None:
        """The revision that last changed the settings of an object; None when there is no such object."""
        marks = self.progress.marks.get(id)
        return None if marks is None else marks.edited

    def change(self, settings: LoadBalancerSettings) -> None:
        """Raises InvalidState once the deletion was asked for, Invalid for its settings."""
        if self.being_deleted:
            raise InvalidState(self.provisioning_status, self.id)
        if self.vip.vnic_type == VnicType.DIRECT and settings.vip_sg_ids:
            raise Invalid("Validation failure: VIP Security Groups are not allowed with VNIC direct type")
        self._changed(settings=settings)

    @event(events.Changed)
    def _changed(self, settings: LoadBalancerSettings) -> None:
        self.settings = settings
        self._advance(changed=[self.ref])

    # What may be changed

    def require_changeable(self) -> None:
        """Raises Immutable once the deletion was asked for."""
        if self.being_deleted:
            raise Immutable("Load Balancer", self.id)

    @property
    def unapplied_changes(self) -> int:
        """How many wait for the amphorae."""
        return len(self.progress.asked_at)

    def require_at_rest(self, above: Iterable[UUID] = ()) -> None:
        """As Octavia has it: nothing is changed below a load balancer, a pool or an L7 policy that is not ACTIVE."""
        if self.provisioning_status != ProvisioningStatus.ACTIVE:
            raise Immutable("Load Balancer", self.id)
        for id in above:
            if self.status_of(id) not in (ProvisioningStatus.ACTIVE, None):
                raise Immutable("Pool" if self.progress.marks[id].kind == Kind.POOL else "L7Policy", id)

    def require_state(self, *allowed: ProvisioningStatus) -> None:
        """Likewise for the load balancer itself. Raises InvalidState."""
        if self.provisioning_status not in allowed:
            raise InvalidState(self.provisioning_status, self.id)

    def _require_wanted(self, kind: Kind, id: UUID) -> None:
        """Raises NotFound when there is no such object, Immutable when it is being deleted."""
        self.require_changeable()
        marks = self.progress.marks.get(id)
        if marks is None or marks.kind != kind:
            raise NotFound(RESOURCES[kind], id)
        if id in self.progress.deleting:
            raise Immutable("Load Balancer", self.id)

    def _require_pool(self, pool_id: UUID) -> Pool:
        """Raises Immutable also below a pool that was refused before it ever ran: there is nothing to change yet."""
        self._require_wanted(Kind.POOL, pool_id)
        if self._is_left_out(pool_id):
            raise Immutable("Pool", pool_id)
        return self.tree.pools[pool_id]

    def _is_left_out(self, id: UUID) -> bool:
        return self.progress.held_back.get(id) == NOTHING_YET

    # Listeners

    def add_listener(self, listener: Listener) -> None:
        """Accept a listener; the amphorae will carry it once its revision is confirmed.

        Raises what `require_place_for` raises, Invalid when it contradicts itself.
        """
        self.require_place_for(listener)
        listener.require_consistent()
        self._listener_added(listener=listener)

    def require_place_for(self, listener: Listener) -> None:
        """What this load balancer says of a new listener.

        Raises NotFound or ProtocolMismatch for its default pool, DuplicateListener when the port is taken.
        """
        self.require_changeable()
        self.require_default_pool_fits(listener)
        self.tree.require_free_port(listener)
        self.require_clients_can_reach(listener)

    @event(events.ListenerAdded)
    def _listener_added(self, listener: Listener) -> None:
        self.tree = self.tree.with_listeners([listener])
        self._advance(created=[Ref(Kind.LISTENER, listener.id)])

    def change_listener(self, listener: Listener) -> None:
        """Its value was made with `Listener.changed_by`. Raises NotFound or ProtocolMismatch for its default pool."""
        self._require_wanted(Kind.LISTENER, listener.id)
        self.require_clients_can_reach(listener)
        self.require_default_pool_fits(listener)
        self._listener_changed(listener=listener, retried=self._refused_with(listener.id))

    @event(events.ListenerChanged)
    def _listener_changed(self, listener: Listener, retried: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_listeners([listener])
        self._advance(changed=[Ref(Kind.LISTENER, listener.id)], retried=retried)

    def remove_listener(self, listener_id: UUID) -> None:
        """Its L7 policies and their rules go with it; its default pool stays."""
        self._require_wanted(Kind.LISTENER, listener_id)
        removed = (Ref(Kind.LISTENER, listener_id), *self.tree.below(listener_id))
        self._listener_removed(listener_id=listener_id, removed=removed)

    @event(events.ListenerRemoved)
    def _listener_removed(self, listener_id: UUID, removed: tuple[Ref, ...]) -> None:
        self.tree = self.tree.without(removed)
        self._advance(deleted=removed)

    def require_clients_can_reach(self, listener: Listener) -> None:
        """Raises Invalid when it admits networks that cannot get here, or that somebody else decides on."""
        if not listener.allowed_cidrs:
            return
        if self.settings.vip_sg_ids:
            raise Invalid("Validation failure: Allowed CIDRs are not allowed when using custom VIP Security Groups.")
        listener.require_clients_can_reach(self.vip.addresses)

    def _refused_with(self, id: UUID) -> tuple[Ref, ...]:
        """What hangs below an object that was refused before it ever ran: it is tried again with it."""
        return self.tree.below(id) if self._is_left_out(id) else ()

    def require_default_pool_fits(self, listener: Listener) -> None:
        """Raises ChildrenNotAllowed, NotFound or ProtocolMismatch."""
        if listener.default_pool_id is not None:
            self._require_served_by(listener, listener.default_pool_id)

    def _require_served_by(self, listener: Listener, pool_id: UUID) -> None:
        """Raises ChildrenNotAllowed, NotFound or ProtocolMismatch."""
        listener.require_children_allowed()
        if pool_id not in self.tree.pools:
            raise NotFound("Pool", pool_id)
        require_protocols_fit(listener, self.tree.pools[pool_id])

    # Pools

    def add_pool(self, pool: Pool, listener_id: UUID | None = None) -> None:
        """Accept a pool; with a listener it becomes that listener's default.

        Raises DefaultPoolTaken, ProtocolMismatch or NotFound for the listener.
        """
        listeners = self.require_place_for_pool(pool, listener_id)
        pool.require_consistent()
        listeners = tuple(replace(listener, default_pool_id=pool.id) for listener in listeners)
        self._pool_added(pool=pool, listeners=listeners, touched=_refs(Kind.LISTENER, listeners))

    def require_place_for_pool(self, pool: Pool, listener_id: UUID | None) -> tuple[Listener, ...]:
        """What this load balancer says of a new pool; returns the listener whose default it becomes, if there is one.

        Raises DefaultPoolTaken, ProtocolMismatch or NotFound for the listener, Invalid for how it keeps its clients.
        """
        self.require_changeable()
        listeners = () if listener_id is None else (self._require_listener_for(pool, listener_id),)
        pool.require_persistence_fits()
        for listener in listeners:
            self.tree.require_no_default_pool(listener)
        return listeners

    def _require_listener_for(self, pool: Pool, listener_id: UUID) -> Listener:
        self._require_wanted(Kind.LISTENER, listener_id)
        listener = self.tree.listeners[listener_id]
        listener.require_children_allowed()
        require_protocols_fit(listener, pool)
        return listener

    @event(events.PoolAdded)
    def _pool_added(self, pool: Pool, listeners: tuple[Listener, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_pool(pool).with_listeners(listeners)
        self._advance(created=[Ref(Kind.POOL, pool.id)], touched=touched, edited=_refs(Kind.LISTENER, listeners))

    def change_pool(self, pool: Pool) -> None:
        """Its value was made with `Pool.changed_by`."""
        self._require_wanted(Kind.POOL, pool.id)
        pool.require_persistence_fits()
        retried = self._refused_with(pool.id)
        self._pool_changed(pool=pool, retried=retried, touched=self.tree.shown_with_pool(pool.id))

    @event(events.PoolChanged)
    def _pool_changed(self, pool: Pool, retried: tuple[Ref, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_pool(pool)
        self._advance(changed=[Ref(Kind.POOL, pool.id)], retried=retried, touched=touched)

    def remove_pool(self, pool_id: UUID) -> None:
        """Its members and health monitor go with it; listeners lose their default pool. Raises InUse."""
        self._require_wanted(Kind.POOL, pool_id)
        self.tree.require_not_redirected_to(pool_id)
        listeners = tuple(listener.detached() for listener in self.tree.listeners_with_default(pool_id))
        removed = (Ref(Kind.POOL, pool_id), *self.tree.below(pool_id))
        touched = _refs(Kind.LISTENER, listeners)
        self._pool_removed(pool_id=pool_id, removed=removed, listeners=listeners, touched=touched)

    @event(events.PoolRemoved)
    def _pool_removed(
        self, pool_id: UUID, removed: tuple[Ref, ...], listeners: tuple[Listener, ...], touched: tuple[Ref, ...]
    ) -> None:
        self.tree = self.tree.without(removed).with_listeners(listeners)
        self._advance(deleted=removed, touched=touched, edited=_refs(Kind.LISTENER, listeners))

    # Members

    def add_member(self, member: Member) -> None:
        """Raises DuplicateMember when address and port are taken in this pool."""
        self._require_pool(member.pool_id)
        self.tree.require_free_socket(member)
        self._change_members(member.pool_id, Batch(added=(member,)))

    def change_member(self, member: Member) -> None:
        self._require_member(member.pool_id, member.id)
        self._change_members(member.pool_id, Batch(changed=(member,)))

    def remove_member(self, pool_id: UUID, member_id: UUID) -> None:
        self._require_member(pool_id, member_id)
        self._change_members(pool_id, Batch(removed=(member_id,)))

    def replace_members(self, pool_id: UUID, batch: Batch) -> None:
        """Carries out a batch at once. Raises DuplicateMember when two additions want one address and port."""
        self._require_pool(pool_id)
        remaining = self.tree.without(Ref(Kind.MEMBER, id) for id in batch.removed)
        seen: set[tuple[str, int]] = set()
        for member in batch.added:
            remaining.require_free_socket(member)
            if member.socket in seen:
                raise DuplicateMember(*member.socket)
            seen.add(member.socket)
        self._change_members(pool_id, batch)

    def _require_member(self, pool_id: UUID, member_id: UUID) -> None:
        self._require_pool(pool_id)
        self._require_wanted(Kind.MEMBER, member_id)
        if self.tree.members[member_id].pool_id != pool_id:
            raise NotFound("Member", member_id)

    def _change_members(self, pool_id: UUID, batch: Batch) -> None:
        self._members_changed(pool_id=pool_id, batch=batch, touched=self.tree.shown_with(pool_id))

    @event(events.MembersChanged)
    def _members_changed(self, pool_id: UUID, batch: Batch, touched: tuple[Ref, ...]) -> None:
        removed = [Ref(Kind.MEMBER, id) for id in batch.removed]
        self.tree = self.tree.without(removed).with_members((*batch.added, *batch.changed))
        self._advance(
            created=_refs(Kind.MEMBER, batch.added),
            changed=_refs(Kind.MEMBER, batch.changed),
            deleted=removed,
            touched=touched,
        )

    # Health monitors

    def add_health_monitor(self, monitor: HealthMonitor) -> None:
        """Raises DuplicateHealthMonitor when the pool has one, Invalid when the type does not fit the pool."""
        monitor.require_fits(self._require_pool(monitor.pool_id))
        self.tree.require_unmonitored(monitor.pool_id)
        self._health_monitor_added(health_monitor=monitor, touched=self.tree.shown_with(monitor.pool_id))

    @event(events.HealthMonitorAdded)
    def _health_monitor_added(self, health_monitor: HealthMonitor, touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_health_monitor(health_monitor)
        self._advance(created=[Ref(Kind.HEALTH_MONITOR, health_monitor.id)], touched=touched)

    def change_health_monitor(self, monitor: HealthMonitor) -> None:
        self._require_wanted(Kind.HEALTH_MONITOR, monitor.id)
        monitor.require_fits(self._require_pool(monitor.pool_id))
        self._health_monitor_changed(health_monitor=monitor, touched=self.tree.shown_with(monitor.pool_id))

    @event(events.HealthMonitorChanged)
    def _health_monitor_changed(self, health_monitor: HealthMonitor, touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_health_monitor(health_monitor)
        self._advance(changed=[Ref(Kind.HEALTH_MONITOR, health_monitor.id)], touched=touched)

    def remove_health_monitor(self, monitor_id: UUID) -> None:
        self._require_wanted(Kind.HEALTH_MONITOR, monitor_id)
        pool_id = self.tree.health_monitors[monitor_id].pool_id
        self._health_monitor_removed(
            health_monitor_id=monitor_id, pool_id=pool_id, touched=self.tree.shown_with(pool_id)
        )

    @event(events.HealthMonitorRemoved)
    def _health_monitor_removed(self, health_monitor_id: UUID, pool_id: UUID, touched: tuple[Ref, ...]) -> None:
        refs = [Ref(Kind.HEALTH_MONITOR, health_monitor_id)]
        self.tree = self.tree.without(refs)
        self._advance(deleted=refs, touched=touched)

    # L7 policies and rules

    def add_l7_policy(self, policy: L7Policy) -> None:
        """Put in at its position, or last. Raises ChildrenNotAllowed, NotFound or ProtocolMismatch."""
        self._require_policy_fits(policy)
        policy, moved = _parted(policy.id, inserted(self.tree.policies_of(policy.listener_id), policy), self.tree)
        self._l7_policy_added(l7_policy=policy, moved=moved, touched=self._shown_with_policy(policy.listener_id))

    @event(events.L7PolicyAdded)
    def _l7_policy_added(self, l7_policy: L7Policy, moved: tuple[L7Policy, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_l7_policies([l7_policy, *moved])
        created = [Ref(Kind.L7_POLICY, l7_policy.id)]
        self._advance(created=created, touched=touched, edited=_refs(Kind.L7_POLICY, moved))

    def change_l7_policy(self, policy: L7Policy) -> None:
        self._require_wanted(Kind.L7_POLICY, policy.id)
        self._require_policy_fits(policy)
        retried = self._refused_with(policy.id)
        policy, moved = _parted(policy.id, relocated(self.tree.policies_of(policy.listener_id), policy), self.tree)
        touched = self._shown_with_policy(policy.listener_id)
        self._l7_policy_changed(l7_policy=policy, moved=moved, retried=retried, touched=touched)

    @event(events.L7PolicyChanged)
    def _l7_policy_changed(
        self, l7_policy: L7Policy, moved: tuple[L7Policy, ...], retried: tuple[Ref, ...], touched: tuple[Ref, ...]
    ) -> None:
        self.tree = self.tree.with_l7_policies([l7_policy, *moved])
        changed = [Ref(Kind.L7_POLICY, l7_policy.id)]
        self._advance(changed=changed, retried=retried, touched=touched, edited=_refs(Kind.L7_POLICY, moved))

    def remove_l7_policy(self, policy_id: UUID) -> None:
        """Its rules go with it; the policies after it move up."""
        self._require_wanted(Kind.L7_POLICY, policy_id)
        listener_id = self.tree.l7_policies[policy_id].listener_id
        removed = (Ref(Kind.L7_POLICY, policy_id), *self.tree.below(policy_id))
        others = [policy for policy in self.tree.policies_of(listener_id) if policy.id != policy_id]
        moved = tuple(policy for policy in renumbered(others) if policy != self.tree.l7_policies[policy.id])
        touched = self._shown_with_policy(listener_id)
        self._l7_policy_removed(l7_policy_id=policy_id, removed=removed, moved=moved, touched=touched)

    @event(events.L7PolicyRemoved)
    def _l7_policy_removed(
        self, l7_policy_id: UUID, removed: tuple[Ref, ...], moved: tuple[L7Policy, ...], touched: tuple[Ref, ...]
    ) -> None:
        self.tree = self.tree.without(removed).with_l7_policies(moved)
        self._advance(deleted=removed, touched=touched, edited=_refs(Kind.L7_POLICY, moved))

    def _require_policy_fits(self, policy: L7Policy) -> None:
        self.require_target_fits(policy.listener_id, policy.redirect_pool_id)
        if self._is_left_out(policy.listener_id):
            raise Immutable("Listener", policy.listener_id)

    def require_target_fits(self, listener_id: UUID, pool_id: UUID | None) -> None:
        """Whether a listener can have a policy, with this pool to redirect to.

        Raises ChildrenNotAllowed, NotFound or ProtocolMismatch.
        """
        self._require_wanted(Kind.LISTENER, listener_id)
        listener = self.tree.listeners[listener_id]
        listener.require_children_allowed()
        if pool_id is not None:
            self._require_served_by(listener, pool_id)

    def _shown_with_policy(self, listener_id: UUID) -> tuple[Ref, ...]:
        return (Ref(Kind.LISTENER, listener_id),)

    def add_l7_rule(self, rule: L7Rule) -> None:
        """Raises TooManyRules."""
        self._require_policy(rule.l7policy_id)
        rule.require_consistent()
        self.tree.require_place_for_rule(rule.l7policy_id)
        self._l7_rule_added(l7_rule=rule, touched=self._shown_with_rule(rule.l7policy_id))

    @event(events.L7RuleAdded)
    def _l7_rule_added(self, l7_rule: L7Rule, touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_l7_rule(l7_rule)
        self._advance(created=[Ref(Kind.L7_RULE, l7_rule.id)], touched=touched)

    def change_l7_rule(self, rule: L7Rule) -> None:
        """Also below a policy that was refused, perhaps because of this rule: both are tried again."""
        self._require_rule(rule.l7policy_id, rule.id)
        rule.require_consistent()
        retried, touched = self._retried_with_rule(rule), self._shown_with_rule(rule.l7policy_id)
        self._l7_rule_changed(l7_rule=rule, retried=retried, touched=touched)

    @event(events.L7RuleChanged)
    def _l7_rule_changed(self, l7_rule: L7Rule, retried: tuple[Ref, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_l7_rule(l7_rule)
        self._advance(changed=[Ref(Kind.L7_RULE, l7_rule.id)], retried=retried, touched=touched)

    def remove_l7_rule(self, policy_id: UUID, rule_id: UUID) -> None:
        """As for a change."""
        self._require_rule(policy_id, rule_id)
        retried, touched = self._retried_with_rule(self.tree.l7_rules[rule_id]), self._shown_with_rule(policy_id)
        self._l7_rule_removed(l7_rule_id=rule_id, l7_policy_id=policy_id, retried=retried, touched=touched)

    @event(events.L7RuleRemoved)
    def _l7_rule_removed(
        self, l7_rule_id: UUID, l7_policy_id: UUID, retried: tuple[Ref, ...], touched: tuple[Ref, ...]
    ) -> None:
        refs = [Ref(Kind.L7_RULE, l7_rule_id)]
        self.tree = self.tree.without(refs)
        self._advance(deleted=refs, retried=retried, touched=touched)

    def _require_policy(self, policy_id: UUID) -> None:
        """Raises Immutable also below a policy that was refused before it ever ran."""
        self._require_wanted(Kind.L7_POLICY, policy_id)
        if self._is_left_out(policy_id):
            raise Immutable("L7Policy", policy_id)

    def _require_rule(self, policy_id: UUID, rule_id: UUID) -> None:
        """Raises NotFound below another policy, Immutable where not even the listener ever ran."""
        self._require_wanted(Kind.L7_POLICY, policy_id)
        self._require_wanted(Kind.L7_RULE, rule_id)
        if self.tree.l7_rules[rule_id].l7policy_id != policy_id:
            raise NotFound("L7 Rule", rule_id)
        if self._is_left_out(self.tree.l7_policies[policy_id].listener_id):
            raise Immutable("L7Policy", policy_id)

    def _retried_with_rule(self, rule: L7Rule) -> tuple[Ref, ...]:
        refused = self._refused_with(rule.l7policy_id)
        return () if not refused else (Ref(Kind.L7_POLICY, rule.l7policy_id), *_others(refused, rule.id))

    def _shown_with_rule(self, policy_id: UUID) -> tuple[Ref, ...]:
        listener_id = self.tree.l7_policies[policy_id].listener_id
        return Ref(Kind.L7_POLICY, policy_id), *self._shown_with_policy(listener_id)

    # Deletion

    def delete(self, *, cascade: bool) -> None:
        """Ask for the deletion of the whole load balancer; what is being built for it is called off.

        Raises HasChildren without `cascade` while listeners or pools are wanted, InvalidState when it is under way.
        """
        if not cascade:
            self.require_childless()
        if self.provisioning_status == ProvisioningStatus.PENDING_DELETE:
            raise InvalidState(ProvisioningStatus.PENDING_DELETE, self.id)
        self._deletion_requested(cascade=cascade, amphora_ids=self.amphora_ids)

    def require_childless(self) -> None:
        """Raises HasChildren while listeners or pools are wanted."""
        if self.tree.listeners or self.tree.pools:
            raise HasChildren(self.id)

    @event(events.DeletionRequested)
    def _deletion_requested(self, cascade: bool, amphora_ids: tuple[UUID, ...]) -> None:
        self.being_deleted = True
        self.deletion_overdue = False
        self.progress = self.progress.as_measured()

    def amphora_is_gone(self, amphora_id: UUID) -> None:
        """One amphora less to take down before the VIP can be released."""
        if self.being_deleted and amphora_id in self.amphora_ids:
            self._amphora_gone(amphora_id=amphora_id, remaining=len(self.amphora_ids) - 1)

    @event(events.AmphoraGone)
    def _amphora_gone(self, amphora_id: UUID, remaining: int) -> None:
        self.amphora_ids = tuple(id for id in self.amphora_ids if id != amphora_id)

    def deletion_is_overdue(self, step: str, reason: str) -> None:
        if self.being_deleted and not self.deletion_overdue and not self.deleted:
            self._deletion_overdue(settled=self.revision, step=step, reason=reason)

    @event(events.DeletionOverdue)
    def _deletion_overdue(self, settled: Revision, step: str, reason: str) -> None:
        self.deletion_overdue = True
        self.progress = self.progress.settled_to(settled)

    @event(events.DeletionRepeated)
    def _deletion_repeated(self, why: str, amphora_ids: tuple[UUID, ...]) -> None:
        self.deletion_overdue = False

    def deletion_is_complete(self) -> None:
        if self.being_deleted and not self.deleted:
            self._deleted()

    @event(events.Deleted)
    def _deleted(self) -> None:
        self.deleted = True

    # What is set by hand

    def set_statuses(self, statuses: Mapping[UUID, ProvisioningStatus], deleted: Iterable[UUID] = ()) -> None:
        """Show these, whatever runs; what is said to be deleted is gone at once, the load balancer itself too."""
        refs = tuple(Ref(self.progress.marks[id].kind, id) for id in deleted if id in self.progress.marks)
        if self.ref in refs:
            self._deleted()
            return
        gone = tuple(dict.fromkeys(each for ref in refs for each in (ref, *self.tree.below(ref.id))))
        shown = {id: status for id, status in statuses.items() if id in self.progress.marks}
        if shown or gone:
            listeners, policies = self.tree.left_by(gone)
            self._statuses_set(
                statuses=shown, since=self.revision, gone=gone, listeners=listeners, l7_policies=policies
            )

    @event(events.StatusesSet)
    def _statuses_set(
        self,
        statuses: Mapping[UUID, ProvisioningStatus],
        since: Revision,
        gone: tuple[Ref, ...],
        listeners: tuple[Listener, ...],
        l7_policies: tuple[L7Policy, ...],
    ) -> None:
        self.tree = self.tree.without(gone).with_listeners(listeners).with_l7_policies(l7_policies)
        self.progress = self.progress.told(statuses, since).without(gone)

    def release_statuses(self) -> None:
        if self.progress.reported:
            self._statuses_released()

    @event(events.StatusesReleased)
    def _statuses_released(self) -> None:
        self.progress = self.progress.as_measured()

    # Amphorae

    def configuration_is_applied(
        self, amphora_id: UUID, revision: Revision, sha256: str, without: Iterable[UUID] = ()
    ) -> None:
        """An amphora runs a revision. A late or repeated report changes nothing (deliveries come at least once)."""
        if self.being_deleted or not self.runs_on(amphora_id):
            return
        confirmation = self.progress.confirmation(amphora_id, revision, sha256, without)
        if confirmation is not None:
            self._configuration_applied(confirmation=confirmation)

    @event(events.ConfigurationApplied)
    def _configuration_applied(self, confirmation: Confirmation) -> None:
        self.progress = self.progress.confirmed_by(confirmation)
        self.running = {**self.running, confirmation.amphora_id: confirmation.sha256}

    def configuration_is_refused(self, amphora_id: UUID, revision: Revision, words: Mapping[UUID, str]) -> None:
        """An amphora refused a revision because of these objects (id -> its words), or of all when none is named."""
        if self.being_deleted or revision <= self.progress.applied or not self.runs_on(amphora_id):
            return
        words = {**words, **self._policies_refused_with(words, revision)}
        blamed = self.progress.blame(revision, words, lambda id: [ref.id for ref in self.tree.below(id)])
        if blamed:
            self._configuration_refused(amphora_id=amphora_id, revision=revision, blamed=blamed)

    def _policies_refused_with(self, words: Mapping[UUID, str], revision: Revision) -> dict[UUID, str]:
        """A policy that never ran does not run with fewer rules than it was given: it would apply to more requests."""
        rules, marks = self.tree.l7_rules, self.progress.marks
        refused = [rules[id] for id in words if id in rules and marks[id].own <= revision]
        return {
            rule.l7policy_id: f"One of its rules was refused: {words[rule.id]}"
            for rule in refused
            if self.progress.last_good(rule.l7policy_id) == NOTHING_YET
        }

    @event(events.ConfigurationRefused)
    def _configuration_refused(self, amphora_id: UUID, revision: Revision, blamed: tuple[Blame, ...]) -> None:
        self.progress = self.progress.refused(revision, blamed)

    def deadline_is_reached(self, now: datetime, allowance: timedelta, step: str, reason: str) -> None:
        """Changes asked for more than `allowance` ago, and not confirmed since, are shown as ERROR."""
        late = self.progress.overdue(now, allowance)
        if late > self.progress.settled and not self.being_deleted:
            self._deadline_passed(settled=late, step=step, reason=reason)

    @event(events.DeadlinePassed)
    def _deadline_passed(self, settled: Revision, step: str, reason: str) -> None:
        self.progress = self.progress.settled_to(settled)

    def amphora_has_failed(self, amphora_id: UUID, step: str, reason: str) -> None:
        """An amphora could not be built. What waited for it is shown as ERROR; a replacement is ordered later."""
        if not self.being_deleted and amphora_id in self.amphora_ids:
            self._amphora_failed(amphora_id=amphora_id, settled=self.revision, step=step, reason=reason)

    @event(events.AmphoraFailed)
    def _amphora_failed(self, amphora_id: UUID, settled: Revision, step: str, reason: str) -> None:
        self.progress = self.progress.settled_to(settled)

    def request_failover(self) -> None:
        """One at a time. Raises InvalidState while it is being deleted, or an amphora of it is still being built."""
        is_building = any(id not in self.progress.confirmed for id in self.amphora_ids)
        if self.being_deleted or (is_building and self.provisioning_status != ProvisioningStatus.ERROR):
            raise InvalidState(self.provisioning_status, self.id)
        self._failover_requested()

    @event(events.FailoverRequested)
    def _failover_requested(self) -> None:
        self._advance(retried=[self.ref])

    def request_repair(self, why: str) -> None:
        """Have what carries it looked at, and put right; what is left of its deletion is done again."""
        if self.being_deleted:
            self._deletion_repeated(why=why, amphora_ids=self.amphora_ids)
        else:
            self._repair_requested(why=why, amphora_ids=self.amphora_ids)

    @event(events.RepairRequested)
    def _repair_requested(self, why: str, amphora_ids: tuple[UUID, ...]) -> None:
        """What its amphorae are known to run may not be what they run: even the same bytes are pushed."""
        self.running = {}
        self._advance()

    def replace_amphora(self, amphora_id: UUID, replacement_id: UUID, reason: str) -> bool:
        """Put another amphora in the place of one that is lost; False when there is nothing to replace any more."""
        if self.being_deleted or amphora_id not in self.amphora_ids:
            return False
        self._amphora_replaced(
            amphora_id=amphora_id,
            replacement_id=replacement_id,
            reason=reason,
            reached=self.progress.departure(amphora_id),
            retried=(self.ref,) if amphora_id in self.progress.confirmed else (),
        )
        return True

    @event(events.AmphoraReplaced)
    def _amphora_replaced(
        self,
        amphora_id: UUID,
        replacement_id: UUID,
        reason: str,
        reached: Reached,
        retried: tuple[Ref, ...] = (),
    ) -> None:
        self.amphora_ids = (*(id for id in self.amphora_ids if id != amphora_id), replacement_id)
        self.progress = self.progress.departed(amphora_id, reached)
        self.running = {id: sha256 for id, sha256 in self.running.items() if id != amphora_id}
        self._advance(retried=retried)

    # Mechanics

    def _advance(
        self,
        *,
        created: Iterable[Ref] = (),
        changed: Iterable[Ref] = (),
        deleted: Iterable[Ref] = (),
        touched: Iterable[Ref] = (),
        retried: Iterable[Ref] = (),
        edited: Iterable[Ref] = (),
    ) -> None:
        """The version that the event being applied gives this load balancer becomes its revision."""
        revision = Revision(self.version + 1)
        with_itself = (*touched, self.ref)
        self.progress = self.progress.changed(
            revision,
            created=created,
            changed=changed,
            deleted=deleted,
            touched=with_itself,
            retried=retried,
            edited=edited,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The repository copies what it caches. Values are replaced, never changed in place, so one level is enough."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin


def _refs(kind: Kind, objects: Iterable[Listener | Member | L7Policy]) -> tuple[Ref, ...]:
    return tuple(Ref(kind, thing.id) for thing in objects)


def _others(refs: Iterable[Ref], id: UUID) -> tuple[Ref, ...]:
    return tuple(ref for ref in refs if ref.id != id)


def _parted(id: UUID, policies: Iterable[L7Policy], tree: Tree) -> tuple[L7Policy, tuple[L7Policy, ...]]:
    """The policy of this id at its new place, and those of the others that moved."""
    by_id = {policy.id: policy for policy in policies}
    own = by_id.pop(id)
    return own, tuple(policy for policy in by_id.values() if policy != tree.l7_policies[policy.id])
