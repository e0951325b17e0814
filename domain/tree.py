"""The objects below a load balancer, by id, and the questions that rules ask about them."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from uuid import UUID

from domain.errors import DefaultPoolTaken, DuplicateHealthMonitor, DuplicateListener, DuplicateMember, InUse
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy, renumbered
from domain.l7_rule import MOST_RULES, L7Rule, TooManyRules
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool
from domain.progress import Kind, Ref

MemberSocket = tuple[UUID, str, int]
"""Pool id, address as text, port: one member each."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """All that is wanted below a load balancer: what is being deleted is not in it.

    sockets   who holds an address and port of a pool
    monitors  pool id -> its health monitor's id
    rules     L7 policy id -> ids of its rules, in the order of their creation

    Rules look up by key and never scan members: a change costs the same with 10 members and with 5,000.
    """

    listeners: Mapping[UUID, Listener] = field(default_factory=dict)
    pools: Mapping[UUID, Pool] = field(default_factory=dict)
    members: Mapping[UUID, Member] = field(default_factory=dict)
    health_monitors: Mapping[UUID, HealthMonitor] = field(default_factory=dict)
    l7_policies: Mapping[UUID, L7Policy] = field(default_factory=dict)
    l7_rules: Mapping[UUID, L7Rule] = field(default_factory=dict)
    sockets: Mapping[MemberSocket, UUID] = field(default_factory=dict)
    monitors: Mapping[UUID, UUID] = field(default_factory=dict)
    rules: Mapping[UUID, tuple[UUID, ...]] = field(default_factory=dict)

    # Rules

    def require_free_port(self, listener: Listener) -> None:
        for other in self.listeners.values():
            if listener.clashes_with(other):
                raise DuplicateListener(other.protocol, other.protocol_port)

    def require_no_default_pool(self, listener: Listener) -> None:
        if listener.default_pool_id is not None:
            raise DefaultPoolTaken

    def require_free_socket(self, member: Member) -> None:
        if (member.pool_id, *member.socket) in self.sockets:
            raise DuplicateMember(*member.socket)

    def require_unmonitored(self, pool_id: UUID) -> None:
        if pool_id in self.monitors:
            raise DuplicateHealthMonitor

    def require_not_redirected_to(self, pool_id: UUID) -> None:
        for policy in self.l7_policies.values():
            if policy.redirect_pool_id == pool_id:
                raise InUse(f"Pool {pool_id} is in use by L7 policy {policy.id}")

    def require_place_for_rule(self, policy_id: UUID) -> None:
        if len(self.rules_of(policy_id)) >= MOST_RULES:
            raise TooManyRules(policy_id)

    # Relations

    def listeners_with_default(self, pool_id: UUID) -> tuple[Listener, ...]:
        return tuple(listener for listener in self.listeners.values() if listener.default_pool_id == pool_id)

    def listeners_of(self, pool_id: UUID) -> tuple[Listener, ...]:
        """The listeners that send traffic to a pool: by default, or by an enabled policy that has a rule."""
        redirecting = {
            policy.listener_id
            for policy in self.l7_policies.values()
            if policy.redirect_pool_id == pool_id and policy.admin_state_up and self.rules_of(policy.id)
        }
        return tuple(
            listener
            for listener in self.listeners.values()
            if listener.default_pool_id == pool_id or listener.id in redirecting
        )

    def policies_of(self, listener_id: UUID) -> tuple[L7Policy, ...]:
        """In the order of their positions."""
        found = [policy for policy in self.l7_policies.values() if policy.listener_id == listener_id]
        return tuple(sorted(found, key=lambda policy: policy.position))

    def rules_of(self, policy_id: UUID) -> tuple[L7Rule, ...]:
        return tuple(self.l7_rules[id] for id in self.rules.get(policy_id, ()))

    def members_of(self, pool_id: UUID) -> tuple[Member, ...]:
        return tuple(member for member in self.members.values() if member.pool_id == pool_id)

    def health_monitor_of(self, pool_id: UUID) -> HealthMonitor | None:
        monitor_id = self.monitors.get(pool_id)
        return None if monitor_id is None else self.health_monitors[monitor_id]

    def below(self, id: UUID) -> tuple[Ref, ...]:
        """What cannot be without this object; a listener's default pool can."""
        if id in self.pools:
            monitor = self.health_monitor_of(id)
            members = tuple(Ref(Kind.MEMBER, member.id) for member in self.members_of(id))
            return members if monitor is None else (*members, Ref(Kind.HEALTH_MONITOR, monitor.id))
        if id in self.listeners:
            policies = tuple(Ref(Kind.L7_POLICY, policy.id) for policy in self.policies_of(id))
            return (*policies, *(rule for policy in policies for rule in self.below(policy.id)))
        if id in self.l7_policies:
            return tuple(Ref(Kind.L7_RULE, rule.id) for rule in self.rules_of(id))
        return ()

    def shown_with(self, pool_id: UUID) -> tuple[Ref, ...]:
        """What is shown PENDING together with a change below a pool: the pool and the listeners that use it."""
        return Ref(Kind.POOL, pool_id), *self.shown_with_pool(pool_id)

    def shown_with_pool(self, pool_id: UUID) -> tuple[Ref, ...]:
        return tuple(Ref(Kind.LISTENER, listener.id) for listener in self.listeners_of(pool_id))

    def left_by(self, refs: Iterable[Ref]) -> tuple[tuple[Listener, ...], tuple[L7Policy, ...]]:
        """What refers to objects that are gone, or moves up, as it is without them."""
        gone = {ref.id for ref in refs}
        remaining = [listener for listener in self.listeners.values() if listener.id not in gone]
        listeners = (listener.detached() for listener in remaining if listener.default_pool_id in gone)
        policies = (policy for listener in remaining for policy in self._policies_without(listener.id, gone))
        return tuple(listeners), tuple(policy for policy in policies if policy != self.l7_policies[policy.id])

    def _policies_without(self, listener_id: UUID, gone: Set[UUID]) -> tuple[L7Policy, ...]:
        left = [policy for policy in self.policies_of(listener_id) if policy.id not in gone]
        return renumbered(
            [replace(policy, redirect_pool_id=None) if policy.redirect_pool_id in gone else policy for policy in left]
        )

    # Changes

    def with_listeners(self, listeners: Iterable[Listener]) -> "Tree":
        return replace(self, listeners={**self.listeners, **{listener.id: listener for listener in listeners}})

    def with_pool(self, pool: Pool) -> "Tree":
        return replace(self, pools={**self.pools, pool.id: pool})

    def with_members(self, members: Iterable[Member]) -> "Tree":
        members = tuple(members)
        return replace(
            self,
            members={**self.members, **{member.id: member for member in members}},
            sockets={**self.sockets, **{(member.pool_id, *member.socket): member.id for member in members}},
        )

    def with_health_monitor(self, monitor: HealthMonitor) -> "Tree":
        return replace(
            self,
            health_monitors={**self.health_monitors, monitor.id: monitor},
            monitors={**self.monitors, monitor.pool_id: monitor.id},
        )

    def with_l7_policies(self, policies: Iterable[L7Policy]) -> "Tree":
        return replace(self, l7_policies={**self.l7_policies, **{policy.id: policy for policy in policies}})

    def with_l7_rule(self, rule: L7Rule) -> "Tree":
        of_policy = self.rules.get(rule.l7policy_id, ())
        if rule.id not in of_policy:
            of_policy = (*of_policy, rule.id)
        return replace(
            self, l7_rules={**self.l7_rules, rule.id: rule}, rules={**self.rules, rule.l7policy_id: of_policy}
        )

    def without(self, refs: Iterable[Ref]) -> "Tree":
        """The tree without these objects; what hangs below them has to be named too."""
        gone = {ref.id for ref in refs}
        if not gone:
            return self
        return Tree(
            listeners={id: listener for id, listener in self.listeners.items() if id not in gone},
            pools={id: pool for id, pool in self.pools.items() if id not in gone},
            members={id: member for id, member in self.members.items() if id not in gone},
            health_monitors={id: monitor for id, monitor in self.health_monitors.items() if id not in gone},
            l7_policies={id: policy for id, policy in self.l7_policies.items() if id not in gone},
            l7_rules={id: rule for id, rule in self.l7_rules.items() if id not in gone},
            rules={
                policy_id: tuple(id for id in ids if id not in gone)
                for policy_id, ids in self.rules.items()
                if policy_id not in gone
            },
            sockets={socket: id for socket, id in self.sockets.items() if id not in gone},
            monitors={pool_id: id for pool_id, id in self.monitors.items() if id not in gone},
        )

    def with_older(self, ref: Ref, older: "Tree") -> "Tree":
        """The tree with one object as it was in an older one."""
        match ref.kind:
            case Kind.LISTENER:
                return self.with_listeners([older.listeners[ref.id]])
            case Kind.POOL:
                return self.with_pool(older.pools[ref.id])
            case Kind.MEMBER:
                return self.with_members([older.members[ref.id]])
            case Kind.HEALTH_MONITOR:
                return self.with_health_monitor(older.health_monitors[ref.id])
            case Kind.L7_POLICY:
                return self.with_l7_policies([older.l7_policies[ref.id]])
            case Kind.L7_RULE:
                return self.with_l7_rule(older.l7_rules[ref.id])
            case Kind.LOAD_BALANCER:
                return self
