"""A load balancer with everything below it in one request: read, referred, added piece by piece, and shown whole.

Each piece is added by the same decision as when it comes alone, so a graph and its steps get the same verdict.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from uuid import UUID

from commands.accepted import Accepted
from commands.answer import View, row_of_new
from commands.body import Parser, ReadBy, Received, invalid_input
from commands.member import settings_of
from domain.deployment import Deployment
from domain.errors import Invalid
from domain.fields import OperatingStatus
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch
from domain.member import Member
from domain.pool import Pool


@dataclass(frozen=True)
class PoolPlan:
    pool: Pool
    members: tuple[Member, ...]
    health_monitor: HealthMonitor | None


@dataclass(frozen=True)
class PolicyPlan:
    policy: L7Policy
    rules: tuple[L7Rule, ...]


@dataclass(frozen=True)
class ListenerPlan:
    listener: Listener
    policies: tuple[PolicyPlan, ...]


@dataclass(frozen=True)
class Graph:
    """What is to be below a new load balancer; references are resolved."""

    pools: tuple[PoolPlan, ...] = ()
    listeners: tuple[ListenerPlan, ...] = ()

    @property
    def objects(self) -> Iterator[object]:
        """All of them, for a provider to look at."""
        for plan in self.pools:
            yield plan.pool
            yield from plan.members
            if plan.health_monitor is not None:
                yield plan.health_monitor
        for listener in self.listeners:
            yield listener.listener
            for policy in listener.policies:
                yield policy.policy
                yield from policy.rules

    @property
    def policies(self) -> Iterator[tuple[L7Policy, Listener]]:
        """Each with its listener."""
        return ((policy.policy, plan.listener) for plan in self.listeners for policy in plan.policies)

    @property
    def members(self) -> Iterator[Member]:
        return (member for plan in self.pools for member in plan.members)

    def add_to(self, load_balancer: LoadBalancer) -> None:
        """Pools before listeners, which refer to them. Raises what the decisions raise."""
        for plan in self.pools:
            load_balancer.add_pool(plan.pool)
            if plan.members:
                load_balancer.replace_members(plan.pool.id, Batch(added=plan.members))
            if plan.health_monitor is not None:
                load_balancer.add_health_monitor(plan.health_monitor)
        for listener in self.listeners:
            load_balancer.add_listener(listener.listener)
            for policy in listener.policies:
                load_balancer.add_l7_policy(policy.policy)
                for rule in policy.rules:
                    load_balancer.add_l7_rule(rule)


_RULE = Parser(L7Rule, without=("id", "l7policy_id"))
_MEMBER = Parser(Member, without=("id", "pool_id", "vnic_type"), extra={"request_sriov": bool | None})
_HEALTH_MONITOR = Parser(HealthMonitor, without=("id", "pool_id"))
POOL = Parser(
    Pool,
    extra={
        "healthmonitor": Annotated[dict | None, ReadBy(_HEALTH_MONITOR)],
        "members": Annotated[list | None, ReadBy(_MEMBER)],
    },
)
_POOL_OR_NAME = Annotated[dict | None, ReadBy(POOL, partly=True)]  # type: ignore[type-arg]
_POLICY = Parser(
    L7Policy,
    without=("id", "listener_id", "redirect_pool_id"),
    extra={"redirect_pool": _POOL_OR_NAME, "rules": Annotated[list | None, ReadBy(_RULE)]},
)
LISTENER = Parser(
    Listener, extra={"default_pool": _POOL_OR_NAME, "l7policies": Annotated[list | None, ReadBy(_POLICY)]}
)
_OF_A_REFERENCE = {"name", "admin_state_up", "tls_enabled"}


@dataclass(frozen=True)
class _Reading:
    """One request. Definitions of pools may stand anywhere in it.

    pools  name -> plan; one without a name stands under ""
    """

    deployment: Deployment
    new_id: Callable[[], UUID]
    pools: dict[str, PoolPlan] = field(default_factory=dict)

    def define_pools(self, said: Received, listeners: Sequence[Received], pools: Sequence[Any]) -> None:
        """Raises Invalid for names that are missing or given twice."""
        inline = [pool for listener in listeners for pool in _pools_within(listener)]
        for pool in inline:
            if not POOL.said(pool).get("name"):
                raise Invalid("Validation failure: Pools must be named when creating a fully populated loadbalancer.")
        definitions = [said.inside("pools", pool) for pool in pools]
        definitions += [pool for pool in inline if pool.attributes.keys() - _OF_A_REFERENCE]
        for definition in definitions:
            plan = self._pool(definition)
            if plan.pool.name in self.pools:
                raise Invalid(
                    "Validation failure: Pool names must be unique when creating a fully populated loadbalancer."
                )
            self.pools[plan.pool.name] = plan

    def _pool(self, said: Received) -> PoolPlan:
        given = dict(POOL.said(said))
        for name in ("protocol", "lb_algorithm"):
            if name not in given:
                label = given.get("name", "")
                raise Invalid(f"Validation failure: Pool definition for '{label}' missing required attribute: {name}")
        members, monitor = given.pop("members", None), given.pop("healthmonitor", None)
        pool = Pool(id=self.new_id(), **self.deployment.completed_pool(given))
        self.deployment.require_pool_allowed(pool)
        pool.require_consistent()
        return PoolPlan(
            pool,
            tuple(self._member(pool, said.inside("members", entry)) for entry in members or ()),
            None if monitor is None else self._health_monitor(pool, said.inside("healthmonitor", monitor)),
        )

    def _member(self, pool: Pool, said: Received) -> Member:
        member = Member(id=self.new_id(), pool_id=pool.id, **settings_of(_MEMBER.given(said)))
        self.deployment.require_address_allowed(member.address, "member address")
        return member

    def _health_monitor(self, pool: Pool, said: Received) -> HealthMonitor:
        monitor = HealthMonitor(id=self.new_id(), pool_id=pool.id, **_HEALTH_MONITOR.given(said)).with_http_defaults()
        self.deployment.require_health_monitor_allowed(monitor, pool.protocol)
        return monitor

    def listener(self, said: Received) -> ListenerPlan:
        given = LISTENER.given(said)
        policies, default_pool = given.pop("l7policies", None), given.pop("default_pool", None)
        listener = Listener(id=self.new_id(), **self.deployment.completed_listener(given))
        if default_pool is not None:
            listener = replace(listener, default_pool_id=self._referred(default_pool))
        self.deployment.require_listener_allowed(listener)
        self.deployment.require_versions_allowed(listener)
        entries = [said.inside("l7policies", entry) for entry in policies or ()]
        return ListenerPlan(listener, tuple(self._policy(listener, entry) for entry in entries))

    def _policy(self, listener: Listener, said: Received) -> PolicyPlan:
        given = _POLICY.given(said)
        rules, redirect_pool = given.pop("rules", None), given.pop("redirect_pool", None)
        if redirect_pool is not None:
            given["redirect_pool_id"] = self._referred(redirect_pool)
        policy = L7Policy(id=self.new_id(), listener_id=listener.id, **L7Policy.normalised(given))
        entries = [said.inside("rules", entry) for entry in rules or ()]
        return PolicyPlan(
            policy, tuple(L7Rule(id=self.new_id(), l7policy_id=policy.id, **_RULE.given(entry)) for entry in entries)
        )

    def _referred(self, reference: Mapping[str, Any]) -> UUID:
        name = reference.get("name")
        if name not in self.pools:
            raise Invalid(f"Validation failure: Pool '{name}' was referenced but no full definition was found.")
        return self.pools[name].pool.id


def _pools_within(listener: Received) -> Iterator[Received]:
    """Definitions of pools and references to them, by the listener itself and by its policies."""
    yield from _inside_if_there(listener, "default_pool")
    policies = listener.attributes.get("l7policies") or []
    if not isinstance(policies, list):
        raise invalid_input(listener.argument, listener.body, f"Value not a valid list: {policies}")
    for entry in policies:
        yield from _inside_if_there(listener.inside("l7policies", entry), "redirect_pool")


def _inside_if_there(said: Received, name: str) -> Iterator[Received]:
    if said.attributes.get(name) is not None:
        yield said.inside(name, said.attributes[name])


@dataclass(frozen=True)
class GraphReader:
    """Reads graphs, and shows them as the answer to their creation does."""

    deployment: Deployment
    listeners: View
    pools: View
    members: View
    health_monitors: View
    l7_policies: View
    l7_rules: View

    def read(self, said: Received, listeners: Sequence[Any], pools: Sequence[Any], new_id: Callable[[], UUID]) -> Graph:
        """Raises Invalid in the contract's words."""
        if not listeners and not pools:
            return Graph()
        reading = _Reading(self.deployment, new_id)
        entries = [said.inside("listeners", entry) for entry in listeners]
        reading.define_pools(said, entries, pools)
        read = tuple(reading.listener(entry) for entry in entries)
        return Graph(tuple(reading.pools.values()), read)

    def shown(self, accepted: Accepted, graph: Graph) -> dict[str, object]:
        """Complete objects instead of references, without those that lead back up."""
        return {
            "listeners": [self._listener(accepted, plan) for plan in graph.listeners],
            "pools": [self._pool(accepted, plan) for plan in graph.pools],
        }

    def _pool(self, accepted: Accepted, plan: PoolPlan) -> dict[str, object]:
        pool, monitor = plan.pool, plan.health_monitor
        users = [listener.id for listener in accepted.load_balancer.tree.listeners_of(pool.id)]
        row = row_of_new(accepted, pool.id, pool, listeners=users, members=(), healthmonitor_id=None)
        shown = None
        if monitor is not None:
            of_pool = row_of_new(accepted, monitor.id, monitor, pool_id=pool.id)
            shown = _without(self.health_monitors.show(of_pool), "pools")
        members = [
            row_of_new(accepted, member.id, member, operating_status=OperatingStatus.NO_MONITOR)
            for member in plan.members
        ]
        return {
            **_without(self.pools.show(row), "loadbalancers", "healthmonitor_id"),
            "members": [self.members.show(member) for member in members],
            "healthmonitor": shown,
        }

    def _listener(self, accepted: Accepted, plan: ListenerPlan) -> dict[str, object]:
        listener = plan.listener
        row = row_of_new(accepted, listener.id, listener, l7policies=())
        by_id = {each.policy.id: each for each in plan.policies}
        in_order = (by_id[policy.id] for policy in accepted.load_balancer.tree.policies_of(listener.id))
        policies = [self._policy(accepted, each) for each in in_order]
        return {**_without(self.listeners.show(row), "loadbalancers"), "l7policies": policies}

    def _policy(self, accepted: Accepted, plan: PolicyPlan) -> dict[str, object]:
        policy = accepted.load_balancer.tree.l7_policies[plan.policy.id]
        row = row_of_new(accepted, policy.id, policy, rules=())
        rules = [self.l7_rules.show(row_of_new(accepted, rule.id, rule)) for rule in plan.rules]
        return {**self.l7_policies.show(row), "rules": rules}


def _without(shown: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in shown.items() if name not in names}
