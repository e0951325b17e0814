"""The aggregate of a load balancer: decides on changes anywhere in its tree and remembers them as events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

from eventsourcing.domain import Aggregate, event

from domain.errors import DuplicateMember, HasChildren, Immutable, InvalidState, NotFound
from domain.fields import NOTHING_YET, AdminStateUp, Name, ProvisioningStatus, Revision, Tags
from domain.health_monitor import HealthMonitor
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool, require_protocols_fit
from domain.progress import Blame, Confirmation, Kind, Progress, Reached, Ref
from domain.tree import Tree

MOST_UNAPPLIED_CHANGES = 1_000
"""Per load balancer; beyond it a change is refused with the 409 that every client retries."""

RESOURCES = {
    Kind.LOAD_BALANCER: "Load Balancer",
    Kind.LISTENER: "Listener",
    Kind.POOL: "Pool",
    Kind.MEMBER: "Member",
    Kind.HEALTH_MONITOR: "Health Monitor",
}


@dataclass(frozen=True, kw_only=True)
class LoadBalancerSettings:
    """The settings of a load balancer that its user may change.

    Names, limits, defaults: Octavia API reference v2, "Create Load Balancer".
    """

    name: Name = ""
    description: Name = ""
    admin_state_up: AdminStateUp = True
    tags: Tags = ()


@dataclass(frozen=True, kw_only=True)
class Vip:
    """The address that clients connect to, and the port of the network that holds it.

    is_exclusive  whether no other load balancer may have the address on this network
    """

    address: str
    port_id: UUID
    subnet_id: UUID
    network_id: UUID
    is_exclusive: bool = True


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The members of one pool that a batch adds, changes and removes; each member stands in one list only."""

    added: tuple[Member, ...] = ()
    changed: tuple[Member, ...] = ()
    removed: tuple[UUID, ...] = ()


class LoadBalancer(Aggregate):
    """Decides on changes to one load balancer and remembers them as events."""

    TOPIC = "LoadBalancer"

    class Event(Aggregate.Event):
        """Anything that happened to a load balancer."""

        TOPIC = "LoadBalancerEvent"

    class Revised(Event):
        """The amphorae must run something new: the version of such an event is the new revision."""

        TOPIC = "LoadBalancerRevised"

        def mutate(self, aggregate: Any) -> Any:
            aggregate = super().mutate(aggregate)
            aggregate.progress = aggregate.progress.asked(self.timestamp)
            return aggregate

    class TreeChanged(Revised):
        """touched: objects that are shown PENDING with the changed one; the load balancer always is."""

        TOPIC = "LoadBalancerTreeChanged"
        touched: tuple[Ref, ...]

    class Created(Revised, Aggregate.Created):
        TOPIC = "LoadBalancerCreated"
        project_id: str
        provider: str
        vip: Vip
        settings: LoadBalancerSettings
        amphora_ids: tuple[UUID, ...]

    class Changed(Revised):
        TOPIC = "LoadBalancerChanged"
        settings: LoadBalancerSettings

    class ListenerAdded(Revised):
        TOPIC = "ListenerAdded"
        listener: Listener

    class ListenerChanged(Revised):
        TOPIC = "ListenerChanged"
        listener: Listener

    class ListenerRemoved(Revised):
        TOPIC = "ListenerRemoved"
        listener_id: UUID

    class PoolAdded(TreeChanged):
        """listeners: those that get this pool as their default, with the new setting."""

        TOPIC = "PoolAdded"
        pool: Pool
        listeners: tuple[Listener, ...]

    class PoolChanged(TreeChanged):
        """retried: what was refused together with the pool and is tried again with it."""

        TOPIC = "PoolChanged"
        pool: Pool
        retried: tuple[Ref, ...]

    class PoolRemoved(TreeChanged):
        """removed: all that goes with the pool; listeners: those that lose their default pool, with the new setting."""

        TOPIC = "PoolRemoved"
        pool_id: UUID
        removed: tuple[Ref, ...]
        listeners: tuple[Listener, ...]

    class MembersChanged(TreeChanged):
        """One member, or many in one batch."""

        TOPIC = "MembersChanged"
        pool_id: UUID
        batch: Batch

    class HealthMonitorAdded(TreeChanged):
        TOPIC = "HealthMonitorAdded"
        health_monitor: HealthMonitor

    class HealthMonitorChanged(TreeChanged):
        TOPIC = "HealthMonitorChanged"
        health_monitor: HealthMonitor

    class HealthMonitorRemoved(TreeChanged):
        TOPIC = "HealthMonitorRemoved"
        health_monitor_id: UUID
        pool_id: UUID

    class DeletionRequested(Event):
        """amphora_ids: what has to be taken down before the VIP can be released."""

        TOPIC = "LoadBalancerDeletionRequested"
        cascade: bool
        amphora_ids: tuple[UUID, ...]

    class DeletionOverdue(Event):
        """Changes up to `settled` that still waited when the deletion was asked for will not be confirmed any more."""

        TOPIC = "LoadBalancerDeletionOverdue"
        settled: Revision
        step: str
        reason: str

    class Deleted(Event):
        """Nothing is left of it outside; its history remains."""

        TOPIC = "LoadBalancerDeleted"

    class ConfigurationApplied(Event):
        TOPIC = "ConfigurationApplied"
        confirmation: Confirmation

    class ConfigurationRefused(Event):
        """blamed: the objects that are rendered at an older revision, or left out, until somebody changes them."""

        TOPIC = "ConfigurationRefused"
        amphora_id: UUID
        revision: Revision
        blamed: tuple[Blame, ...]

    class DeadlinePassed(Event):
        """Changes up to `settled` were not confirmed in time; a later confirmation heals them."""

        TOPIC = "LoadBalancerDeadlinePassed"
        settled: Revision
        step: str
        reason: str

    class AmphoraReplaced(Revised):
        """An amphora left service, or could not be built, and another takes its place."""

        TOPIC = "AmphoraReplaced"
        amphora_id: UUID
        replacement_id: UUID
        reason: str
        reached: Reached

    class AmphoraFailed(Event):
        """An amphora could not be built: all that waited for it failed, until a replacement is there."""

        TOPIC = "LoadBalancerAmphoraFailed"
        amphora_id: UUID
        settled: Revision
        step: str
        reason: str

    class AmphoraGone(Event):
        """remaining: amphorae still to be taken down. Only recorded while the load balancer is being deleted."""

        TOPIC = "LoadBalancerAmphoraGone"
        amphora_id: UUID
        remaining: int

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
    ) -> Self:
        """A new load balancer under an id that is known beforehand: its VIP and amphorae are named after it."""
        return cls._create(
            cls.Created,
            id=id,
            project_id=project_id,
            provider=provider,
            vip=vip,
            settings=settings,
            amphora_ids=amphora_ids,
        )

    @event(Created)
    def __init__(
        self,
        *,
        project_id: str,
        provider: str,
        vip: Vip,
        settings: LoadBalancerSettings,
        amphora_ids: tuple[UUID, ...],
    ) -> None:
        self.project_id = project_id
        self.provider = provider
        self.vip = vip
        self.settings = settings
        self.amphora_ids = amphora_ids
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
        if self.being_deleted:
            return ProvisioningStatus.ERROR if self.deletion_overdue else ProvisioningStatus.PENDING_DELETE
        return self.progress.status_of(self.id) or ProvisioningStatus.PENDING_DELETE

    def status_of(self, id: UUID) -> ProvisioningStatus | None:
        return self.provisioning_status if id == self.id else self.progress.status_of(id)

    def change(self, settings: LoadBalancerSettings) -> None:
        self.require_changeable()
        self._changed(settings=settings)

    @event(Changed)
    def _changed(self, settings: LoadBalancerSettings) -> None:
        self.settings = settings
        self._advance(changed=[self.ref])

    # What may be changed

    def require_changeable(self) -> None:
        """Raises Immutable once the deletion was asked for, or when too many changes wait for the amphorae."""
        if self.being_deleted or len(self.progress.asked_at) >= MOST_UNAPPLIED_CHANGES:
            raise Immutable("Load Balancer", self.id)

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

        Raises DuplicateListener when the port is taken, NotFound or ProtocolMismatch for its default pool.
        """
        self.require_changeable()
        self._require_default_pool(listener)
        listener.require_consistent()
        self.tree.require_free_port(listener)
        self._listener_added(listener=listener)

    @event(ListenerAdded)
    def _listener_added(self, listener: Listener) -> None:
        self.tree = self.tree.with_listeners([listener])
        self._advance(created=[Ref(Kind.LISTENER, listener.id)])

    def change_listener(self, listener: Listener) -> None:
        self._require_wanted(Kind.LISTENER, listener.id)
        listener.require_consistent()
        self._require_default_pool(listener)
        self._listener_changed(listener=listener)

    @event(ListenerChanged)
    def _listener_changed(self, listener: Listener) -> None:
        self.tree = self.tree.with_listeners([listener])
        self._advance(changed=[Ref(Kind.LISTENER, listener.id)])

    def remove_listener(self, listener_id: UUID) -> None:
        self._require_wanted(Kind.LISTENER, listener_id)
        self._listener_removed(listener_id=listener_id)

    @event(ListenerRemoved)
    def _listener_removed(self, listener_id: UUID) -> None:
        refs = [Ref(Kind.LISTENER, listener_id)]
        self.tree = self.tree.without(refs)
        self._advance(deleted=refs)

    def _require_default_pool(self, listener: Listener) -> None:
        if listener.default_pool_id is None:
            return
        if listener.default_pool_id not in self.tree.pools:
            raise NotFound("Pool", listener.default_pool_id)
        require_protocols_fit(listener, self.tree.pools[listener.default_pool_id])

    # Pools

    def add_pool(self, pool: Pool, listener_id: UUID | None = None) -> None:
        """Accept a pool; with a listener it becomes that listener's default.

        Raises DefaultPoolTaken, ProtocolMismatch or NotFound for the listener.
        """
        self.require_changeable()
        pool.require_consistent()
        listeners: tuple[Listener, ...] = ()
        if listener_id is not None:
            self._require_wanted(Kind.LISTENER, listener_id)
            listener = self.tree.listeners[listener_id]
            require_protocols_fit(listener, pool)
            self.tree.require_no_default_pool(listener)
            listeners = (replace(listener, default_pool_id=pool.id),)
        self._pool_added(pool=pool, listeners=listeners, touched=_refs(Kind.LISTENER, listeners))

    @event(PoolAdded)
    def _pool_added(self, pool: Pool, listeners: tuple[Listener, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_pool(pool).with_listeners(listeners)
        self._advance(created=[Ref(Kind.POOL, pool.id)], touched=touched)

    def change_pool(self, pool: Pool) -> None:
        self._require_wanted(Kind.POOL, pool.id)
        pool.require_consistent()
        retried = self.tree.below(pool.id) if self._is_left_out(pool.id) else ()
        self._pool_changed(pool=pool, retried=retried, touched=self.tree.shown_with_pool(pool.id))

    @event(PoolChanged)
    def _pool_changed(self, pool: Pool, retried: tuple[Ref, ...], touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_pool(pool)
        self._advance(changed=[Ref(Kind.POOL, pool.id), *retried], touched=touched)

    def remove_pool(self, pool_id: UUID) -> None:
        """Its members and health monitor go with it; listeners lose their default pool."""
        self._require_wanted(Kind.POOL, pool_id)
        listeners = tuple(listener.detached() for listener in self.tree.listeners_of(pool_id))
        removed = (Ref(Kind.POOL, pool_id), *self.tree.below(pool_id))
        touched = _refs(Kind.LISTENER, listeners)
        self._pool_removed(pool_id=pool_id, removed=removed, listeners=listeners, touched=touched)

    @event(PoolRemoved)
    def _pool_removed(
        self, pool_id: UUID, removed: tuple[Ref, ...], listeners: tuple[Listener, ...], touched: tuple[Ref, ...]
    ) -> None:
        self.tree = self.tree.without(removed).with_listeners(listeners)
        self._advance(deleted=removed, touched=touched)

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

    @event(MembersChanged)
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

    @event(HealthMonitorAdded)
    def _health_monitor_added(self, health_monitor: HealthMonitor, touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_health_monitor(health_monitor)
        self._advance(created=[Ref(Kind.HEALTH_MONITOR, health_monitor.id)], touched=touched)

    def change_health_monitor(self, monitor: HealthMonitor) -> None:
        self._require_wanted(Kind.HEALTH_MONITOR, monitor.id)
        monitor.require_fits(self._require_pool(monitor.pool_id))
        self._health_monitor_changed(health_monitor=monitor, touched=self.tree.shown_with(monitor.pool_id))

    @event(HealthMonitorChanged)
    def _health_monitor_changed(self, health_monitor: HealthMonitor, touched: tuple[Ref, ...]) -> None:
        self.tree = self.tree.with_health_monitor(health_monitor)
        self._advance(changed=[Ref(Kind.HEALTH_MONITOR, health_monitor.id)], touched=touched)

    def remove_health_monitor(self, monitor_id: UUID) -> None:
        self._require_wanted(Kind.HEALTH_MONITOR, monitor_id)
        pool_id = self.tree.health_monitors[monitor_id].pool_id
        self._health_monitor_removed(
            health_monitor_id=monitor_id, pool_id=pool_id, touched=self.tree.shown_with(pool_id)
        )

    @event(HealthMonitorRemoved)
    def _health_monitor_removed(self, health_monitor_id: UUID, pool_id: UUID, touched: tuple[Ref, ...]) -> None:
        refs = [Ref(Kind.HEALTH_MONITOR, health_monitor_id)]
        self.tree = self.tree.without(refs)
        self._advance(deleted=refs, touched=touched)

    # Deletion

    def delete(self, *, cascade: bool) -> None:
        """Ask for the deletion of the whole load balancer; what is being built for it is called off.

        Raises HasChildren without `cascade` while listeners or pools are wanted, InvalidState when it is under way.
        """
        if not cascade and (self.tree.listeners or self.tree.pools):
            raise HasChildren(self.id)
        if self.provisioning_status == ProvisioningStatus.PENDING_DELETE:
            raise InvalidState(ProvisioningStatus.PENDING_DELETE, self.id)
        self._deletion_requested(cascade=cascade, amphora_ids=self.amphora_ids)

    @event(DeletionRequested)
    def _deletion_requested(self, cascade: bool, amphora_ids: tuple[UUID, ...]) -> None:
        self.being_deleted = True
        self.deletion_overdue = False

    def amphora_is_gone(self, amphora_id: UUID) -> None:
        """One amphora less to take down before the VIP can be released."""
        if self.being_deleted and amphora_id in self.amphora_ids:
            self._amphora_gone(amphora_id=amphora_id, remaining=len(self.amphora_ids) - 1)

    @event(AmphoraGone)
    def _amphora_gone(self, amphora_id: UUID, remaining: int) -> None:
        self.amphora_ids = tuple(id for id in self.amphora_ids if id != amphora_id)

    def deletion_is_overdue(self, step: str, reason: str) -> None:
        if self.being_deleted and not self.deletion_overdue and not self.deleted:
            self._deletion_overdue(settled=self.revision, step=step, reason=reason)

    @event(DeletionOverdue)
    def _deletion_overdue(self, settled: Revision, step: str, reason: str) -> None:
        self.deletion_overdue = True
        self.progress = self.progress.settled_to(settled)

    def deletion_is_complete(self) -> None:
        if self.being_deleted and not self.deleted:
            self._deleted()

    @event(Deleted)
    def _deleted(self) -> None:
        self.deleted = True

    # Amphorae

    def configuration_is_applied(
        self, amphora_id: UUID, revision: Revision, sha256: str, without: Iterable[UUID] = ()
    ) -> None:
        """An amphora runs a revision. A late or repeated report changes nothing (deliveries come at least once)."""
        if self.being_deleted or amphora_id not in self.amphora_ids:
            return
        confirmation = self.progress.confirmation(amphora_id, revision, sha256, without)
        if confirmation is not None:
            self._configuration_applied(confirmation=confirmation)

    @event(ConfigurationApplied)
    def _configuration_applied(self, confirmation: Confirmation) -> None:
        self.progress = self.progress.confirmed_by(confirmation)
        self.running = {**self.running, confirmation.amphora_id: confirmation.sha256}

    def configuration_is_refused(self, amphora_id: UUID, revision: Revision, words: Mapping[UUID, str]) -> None:
        """An amphora refused a revision because of these objects (id -> its words), or of all when none is named."""
        if self.being_deleted or revision <= self.progress.applied or amphora_id not in self.amphora_ids:
            return
        blamed = self.progress.blame(revision, words, lambda id: [ref.id for ref in self.tree.below(id)])
        if blamed:
            self._configuration_refused(amphora_id=amphora_id, revision=revision, blamed=blamed)

    @event(ConfigurationRefused)
    def _configuration_refused(self, amphora_id: UUID, revision: Revision, blamed: tuple[Blame, ...]) -> None:
        self.progress = self.progress.refused(revision, blamed)

    def deadline_is_reached(self, now: datetime, allowance: timedelta, step: str, reason: str) -> None:
        """Changes asked for more than `allowance` ago, and not confirmed since, are shown as ERROR."""
        late = self.progress.overdue(now, allowance)
        if late > self.progress.settled and not self.being_deleted:
            self._deadline_passed(settled=late, step=step, reason=reason)

    @event(DeadlinePassed)
    def _deadline_passed(self, settled: Revision, step: str, reason: str) -> None:
        self.progress = self.progress.settled_to(settled)

    def amphora_has_failed(self, amphora_id: UUID, step: str, reason: str) -> None:
        """An amphora could not be built. What waited for it is shown as ERROR; a replacement is ordered later."""
        if not self.being_deleted and amphora_id in self.amphora_ids:
            self._amphora_failed(amphora_id=amphora_id, settled=self.revision, step=step, reason=reason)

    @event(AmphoraFailed)
    def _amphora_failed(self, amphora_id: UUID, settled: Revision, step: str, reason: str) -> None:
        self.progress = self.progress.settled_to(settled)

    def replace_amphora(self, amphora_id: UUID, replacement_id: UUID, reason: str) -> bool:
        """Put another amphora in the place of one that is lost; False when there is nothing to replace any more."""
        if self.being_deleted or amphora_id not in self.amphora_ids:
            return False
        reached = self.progress.departure(amphora_id)
        self._amphora_replaced(amphora_id=amphora_id, replacement_id=replacement_id, reason=reason, reached=reached)
        return True

    @event(AmphoraReplaced)
    def _amphora_replaced(self, amphora_id: UUID, replacement_id: UUID, reason: str, reached: Reached) -> None:
        self.amphora_ids = (*(id for id in self.amphora_ids if id != amphora_id), replacement_id)
        self.progress = self.progress.departed(amphora_id, reached)
        self.running = {id: sha256 for id, sha256 in self.running.items() if id != amphora_id}
        self._advance()

    # Mechanics

    def _advance(
        self,
        *,
        created: Iterable[Ref] = (),
        changed: Iterable[Ref] = (),
        deleted: Iterable[Ref] = (),
        touched: Iterable[Ref] = (),
    ) -> None:
        """The version that the event being applied gives this load balancer becomes its revision."""
        revision = Revision(self.version + 1)
        with_itself = (*touched, self.ref)
        self.progress = self.progress.changed(
            revision, created=created, changed=changed, deleted=deleted, touched=with_itself
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """The repository copies what it caches. Values are replaced, never changed in place, so one level is enough."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._pending_events = list(self._pending_events)
        return twin


def _refs(kind: Kind, objects: Iterable[Listener | Member]) -> tuple[Ref, ...]:
    return tuple(Ref(kind, thing.id) for thing in objects)
