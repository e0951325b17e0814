"""What happens to load balancers: the events of the aggregate in load_balancer.py, in the words that are stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from eventsourcing.domain import Aggregate

from domain.fields import AdminStateUp, Name, ProvisioningStatus, Revision, Tags
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool
from domain.progress import Blame, Confirmation, Kind, Reached, Ref
from domain.vip import Vip


@dataclass(frozen=True, kw_only=True)
class LoadBalancerSettings:
    """The settings of a load balancer that its user may change.

    Names, limits, defaults: Octavia API reference v2, "Create Load Balancer".
    """

    name: Name = ""
    description: Name = ""
    admin_state_up: AdminStateUp = True
    vip_qos_policy_id: UUID | None = None
    vip_sg_ids: tuple[UUID, ...] = ()
    tags: Tags = ()


class Described(Protocol):
    """What the API shows of a load balancer: the aggregate has it, and the event of its creation."""

    provider: str
    vip: Vip
    settings: LoadBalancerSettings
    flavor_id: UUID | None
    availability_zone: str | None


def document_of(source: Described) -> dict[str, Any]:
    """By the API's names."""
    vip = source.vip
    return {
        **vars(source.settings),
        "provider": source.provider,
        "flavor_id": source.flavor_id,
        "availability_zone": source.availability_zone,
        "vip_address": vip.address,
        "vip_port_id": vip.port_id,
        "vip_subnet_id": vip.subnet_id,
        "vip_network_id": vip.network_id,
        "vip_vnic_type": vip.vnic_type,
        "additional_vips": vip.additional,
    }


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The members of one pool that a batch adds, changes and removes; each member stands in one list only."""

    added: tuple[Member, ...] = ()
    changed: tuple[Member, ...] = ()
    removed: tuple[UUID, ...] = ()


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
    flavor_id: UUID | None = None
    availability_zone: str | None = None


class Changed(Revised):
    TOPIC = "LoadBalancerChanged"
    settings: LoadBalancerSettings


class ListenerAdded(Revised):
    TOPIC = "ListenerAdded"
    listener: Listener


class ListenerChanged(Revised):
    """retried: what was refused together with the listener and is tried again with it."""

    TOPIC = "ListenerChanged"
    listener: Listener
    retried: tuple[Ref, ...] = ()


class ListenerRemoved(Revised):
    """removed: the listener, its policies and their rules. Version 1 named the latter alone, as `below`."""

    TOPIC = "ListenerRemoved"
    class_version = 2
    listener_id: UUID
    removed: tuple[Ref, ...]

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        listener = {"kind": Kind.LISTENER.value, "id": state["listener_id"]}
        state["removed"] = [listener, *state.pop("below", [])]

    @staticmethod
    def downcast_v2_v1(state: dict[str, Any]) -> None:
        """Written as long as the log may be read by a release that knows version 1 alone."""
        state["below"] = [ref for ref in state.pop("removed") if ref["id"] != state["listener_id"]]


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


class L7PolicyAdded(TreeChanged):
    """moved: the listener's other policies whose position changed, with the new one."""

    TOPIC = "L7PolicyAdded"
    l7_policy: L7Policy
    moved: tuple[L7Policy, ...]


class L7PolicyChanged(TreeChanged):
    """moved: as in L7PolicyAdded; retried: rules that were refused with the policy and are tried again with it."""

    TOPIC = "L7PolicyChanged"
    l7_policy: L7Policy
    moved: tuple[L7Policy, ...]
    retried: tuple[Ref, ...]


class L7PolicyRemoved(TreeChanged):
    """removed: the policy and its rules; moved: as in L7PolicyAdded."""

    TOPIC = "L7PolicyRemoved"
    l7_policy_id: UUID
    removed: tuple[Ref, ...]
    moved: tuple[L7Policy, ...]


class L7RuleAdded(TreeChanged):
    TOPIC = "L7RuleAdded"
    l7_rule: L7Rule


class L7RuleChanged(TreeChanged):
    """retried: the policy that was refused with the rule and all its others, which are tried again together."""

    TOPIC = "L7RuleChanged"
    l7_rule: L7Rule
    retried: tuple[Ref, ...]


class L7RuleRemoved(TreeChanged):
    """retried: as in L7RuleChanged."""

    TOPIC = "L7RuleRemoved"
    l7_rule_id: UUID
    l7_policy_id: UUID
    retried: tuple[Ref, ...]


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


class DeletionRepeated(Event):
    """Somebody found that a deletion does not end, and said why: all that is left of it is done again.

    amphora_ids  what is still to be taken down
    """

    TOPIC = "LoadBalancerDeletionRepeated"
    why: str
    amphora_ids: tuple[UUID, ...]


class Deleted(Event):
    """Nothing is left of it outside; its history remains."""

    TOPIC = "LoadBalancerDeleted"


class StatusesSet(Event):
    """Somebody said by hand what is to be shown, for those who test against us.

    statuses  provisioning statuses, shown until the object is changed again
    since     the revision at that time
    gone      objects that were said to be deleted, with all below them
    listeners, l7_policies  those that referred to them, or move up, as they are without them
    """

    TOPIC = "LoadBalancerStatusesSet"
    statuses: Mapping[UUID, ProvisioningStatus]
    since: Revision
    gone: tuple[Ref, ...]
    listeners: tuple[Listener, ...]
    l7_policies: tuple[L7Policy, ...]


class StatusesReleased(Event):
    """What was set by hand is shown no more."""

    TOPIC = "LoadBalancerStatusesReleased"


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


class FailoverRequested(Revised):
    """Somebody asked for it: its amphorae are replaced, whether they are well or not."""

    TOPIC = "LoadBalancerFailoverRequested"


class RepairRequested(Revised):
    """Somebody found something wrong, and said why: its amphorae are looked at, and pushed to again or replaced."""

    TOPIC = "LoadBalancerRepairRequested"
    why: str
    amphora_ids: tuple[UUID, ...]


class AmphoraReplaced(Revised):
    """An amphora left service, or could not be built, and another takes its place.

    retried  the load balancer itself when the amphora was in service: it shows ERROR when nothing comes of it
    """

    TOPIC = "AmphoraReplaced"
    amphora_id: UUID
    replacement_id: UUID
    reason: str
    reached: Reached
    retried: tuple[Ref, ...] = ()


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
