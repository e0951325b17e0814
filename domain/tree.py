"""The objects below a load balancer, by id, and the questions that rules ask about them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from domain.errors import DefaultPoolTaken, DuplicateHealthMonitor, DuplicateListener, DuplicateMember
from domain.health_monitor import HealthMonitor
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool
from domain.progress import Kind, Ref

MemberSocket = tuple[UUID, str, int]
"""Pool id, address as text, port: one member each."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Listeners, pools, members and health monitors that are wanted: what is being deleted is not in it.

    sockets   who holds an address and port of a pool
    monitors  pool id -> its health monitor's id

    Rules look up by key and never scan members: a change costs the same with 10 members and with 5,000.
    """

    listeners: Mapping[UUID, Listener] = field(default_factory=dict)
    pools: Mapping[UUID, Pool] = field(default_factory=dict)
    members: Mapping[UUID, Member] = field(default_factory=dict)
    health_monitors: Mapping[UUID, HealthMonitor] = field(default_factory=dict)
    sockets: Mapping[MemberSocket, UUID] = field(default_factory=dict)
    monitors: Mapping[UUID, UUID] = field(default_factory=dict)

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

    # Relations

    def listeners_of(self, pool_id: UUID) -> tuple[Listener, ...]:
        """The listeners that send traffic to a pool."""
        return tuple(listener for listener in self.listeners.values() if listener.default_pool_id == pool_id)

    def members_of(self, pool_id: UUID) -> tuple[Member, ...]:
        return tuple(member for member in self.members.values() if member.pool_id == pool_id)

    def health_monitor_of(self, pool_id: UUID) -> HealthMonitor | None:
        monitor_id = self.monitors.get(pool_id)
        return None if monitor_id is None else self.health_monitors[monitor_id]

    def below(self, id: UUID) -> tuple[Ref, ...]:
        """What cannot be without this object; a listener's default pool can."""
        if id not in self.pools:
            return ()
        monitor = self.health_monitor_of(id)
        members = tuple(Ref(Kind.MEMBER, member.id) for member in self.members_of(id))
        return members if monitor is None else (*members, Ref(Kind.HEALTH_MONITOR, monitor.id))

    def shown_with(self, pool_id: UUID) -> tuple[Ref, ...]:
        """What is shown PENDING together with a change below a pool: the pool and the listeners that use it."""
        return Ref(Kind.POOL, pool_id), *self.shown_with_pool(pool_id)

    def shown_with_pool(self, pool_id: UUID) -> tuple[Ref, ...]:
        return tuple(Ref(Kind.LISTENER, listener.id) for listener in self.listeners_of(pool_id))

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
            case Kind.LOAD_BALANCER:
                return self
