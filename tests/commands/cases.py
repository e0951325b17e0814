"""For every handler of a command: one that is carried out, what it leaves, and one that is refused."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from commands.accepted import Accepted
from commands.amphora import AmphoraHandler, ConfigureAmphora, DeleteAmphora, FailOverAmphora
from commands.graph import Graph, ListenerPlan
from commands.health_monitor import AddHealthMonitor, ChangeHealthMonitor, HealthMonitorHandler, RemoveHealthMonitor
from commands.l7_policy import AddL7Policy, ChangeL7Policy, L7PolicyHandler, RemoveL7Policy
from commands.l7_rule import AddL7Rule, ChangeL7Rule, L7RuleHandler, RemoveL7Rule
from commands.listener import AddListener, ChangeListener, ListenerHandler, RemoveListener
from commands.load_balancer import (
    ChangeLoadBalancer,
    CreateLoadBalancer,
    DeleteLoadBalancer,
    FailOver,
    LoadBalancerHandler,
)
from commands.member import AddMember, ChangeMember, MemberHandler, RemoveMember, ReplaceMembers
from commands.pool import AddPool, ChangePool, PoolHandler, RemovePool
from commands.ports import Origin, VipRequest
from commands.repair import Repair, RepairHandler
from domain.amphora import Stage
from domain.errors import (
    AddressTaken,
    DuplicateHealthMonitor,
    DuplicateListener,
    DuplicateMember,
    HasChildren,
    Immutable,
    InUse,
    Invalid,
    InvalidState,
    NotAnOption,
    NotFound,
    ProtocolMismatch,
    Refused,
)
from domain.l7_policy import InvalidArguments, L7Action
from domain.l7_rule import InvalidRule
from domain.load_balancer_events import LoadBalancerSettings
from domain.pool import PoolProtocol
from tests.commands.site import Commands, Site
from tests.given import a_health_monitor, a_listener, a_member, a_pool, an_l7_policy, an_l7_rule

NEW, NOWHERE = uuid4(), uuid4()


@dataclass(frozen=True, kw_only=True)
class Case:
    """
    effect  what is so afterwards, and was not before
    error   what the refused command raises
    asks    the question that the provider is asked, None when it has no say
    of      the object that `If-Match` speaks of
    lock    what has to be at rest where locks are strict: "itself", "itself or failed", "tree", "pool", "policy"
    """

    handler: type
    method: str
    command: Commands
    effect: Callable[[Site], object]
    refused: Commands
    error: type[Refused]
    asks: str | None
    of: Callable[[Site], UUID] | None = None
    lock: str | None = "tree"

    @property
    def name(self) -> str:
        return f"{self.handler.__name__}.{self.method}"

    def carry_out(self, site: Site, command: Any) -> Accepted:
        outside = (site, site) if self.handler in (LoadBalancerHandler, MemberHandler) else ()
        accepted: Accepted = getattr(self.handler(site.deciding, *outside), self.method)(command)
        return accepted


def create(site: Site, **said: Any) -> CreateLoadBalancer:
    where = {"subnet_id": said.pop("subnet_id", None) or uuid4(), "address": said.pop("address", None)}
    vip = VipRequest(load_balancer_id=NEW, project_id="p", **where)
    chosen = {"provider": None, "graph": Graph(), "flavor_id": None, "availability_zone": None, **said}
    settings = LoadBalancerSettings(name="new")
    return CreateLoadBalancer(load_balancer_id=NEW, vip=vip, settings=settings, origin=Origin(), **chosen)


def entry(last: int, **said: Any) -> dict[str, Any]:
    return {"address": f"127.0.0.{last}", "protocol_port": 8080, **said}


def another_pool(site: Site) -> Any:
    pool = a_pool()
    site.change(lambda it: it.add_pool(pool))
    return pool


def redirected_to(site: Site) -> UUID:
    """The pool, which a policy needs from now on."""
    redirecting = replace(site.policy, action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=site.pool.id)
    site.change(lambda it: it.change_l7_policy(redirecting))
    return site.pool.id


def being_built(site: Site) -> UUID:
    """The load balancer, whose amphora is replaced by one that is not there yet."""
    site.change(lambda it: it.replace_amphora(site.amphora_id, uuid4(), "silent"))
    return site.id


_TWICE = Graph(listeners=(ListenerPlan(a_listener(), ()), ListenerPlan(a_listener(), ())))

_LOAD_BALANCERS = [
    Case(
        handler=LoadBalancerHandler,
        method="create",
        command=create,
        effect=lambda site: (
            NEW in {key[0] for key in site.store.memory.tables["load_balancers"]}
            and site.store.load_balancer(NEW).settings.name == "new"
        ),
        refused=lambda site: create(site, address="127.20.0.1"),
        error=AddressTaken,
        asks="loadbalancer_create",
        lock=None,
    ),
    Case(
        handler=LoadBalancerHandler,
        method="create",
        command=lambda site: create(site, graph=Graph(listeners=(ListenerPlan(a_listener(), ()),))),
        effect=lambda site: any(key == (NEW,) for key in site.store.memory.tables["load_balancers"]),
        refused=lambda site: create(site, graph=_TWICE),
        error=DuplicateListener,
        asks="loadbalancer_create",
        lock=None,
    ),
    Case(
        handler=LoadBalancerHandler,
        method="change",
        command=lambda site: ChangeLoadBalancer(site.id, {"name": "new"}, Origin()),
        effect=lambda site: site.now.settings.name == "new",
        refused=lambda site: ChangeLoadBalancer(NOWHERE, {}, Origin()),
        error=NotFound,
        asks="loadbalancer_update",
        of=lambda site: site.id,
        lock="itself",
    ),
    Case(
        handler=LoadBalancerHandler,
        method="delete",
        command=lambda site: DeleteLoadBalancer(site.id, True, Origin()),
        effect=lambda site: site.now.being_deleted,
        refused=lambda site: DeleteLoadBalancer(site.id, False, Origin()),
        error=HasChildren,
        asks="loadbalancer_delete",
        of=lambda site: site.id,
        lock="itself or failed",
    ),
    Case(
        handler=LoadBalancerHandler,
        method="fail_over",
        command=lambda site: FailOver(site.id, Origin()),
        effect=lambda site: (
            site.amphora_id not in site.now.amphora_ids
            and site.store.amphora(site.amphora_id).stage == Stage.OUT_OF_SERVICE
            and site.store.amphora(*site.now.amphora_ids).replaces == site.amphora_id
        ),
        refused=lambda site: FailOver(being_built(site), Origin()),
        error=InvalidState,
        asks="loadbalancer_failover",
        of=lambda site: site.id,
        lock="itself or failed",
    ),
]

_AMPHORAE = [
    Case(
        handler=AmphoraHandler,
        method="fail_over",
        command=lambda site: FailOverAmphora(site.id, site.amphora_id, Origin()),
        effect=lambda site: site.amphora_id not in site.now.amphora_ids,
        refused=lambda site: FailOverAmphora(site.id, site.failed_id, Origin()),
        error=Immutable,
        asks=None,
    ),
    Case(
        handler=AmphoraHandler,
        method="configure",
        command=lambda site: ConfigureAmphora(site.id, site.amphora_id, Origin()),
        effect=lambda site: site.store.amphora(site.amphora_id).version == 6,
        refused=lambda site: ConfigureAmphora(site.id, NOWHERE, Origin()),
        error=NotFound,
        asks=None,
        lock=None,
    ),
    Case(
        handler=AmphoraHandler,
        method="delete",
        command=lambda site: DeleteAmphora(site.id, site.failed_id, Origin()),
        effect=lambda site: site.store.amphora(site.failed_id).stage == Stage.BEING_REMOVED,
        refused=lambda site: DeleteAmphora(site.id, site.amphora_id, Origin()),
        error=Immutable,
        asks=None,
        lock=None,
    ),
]

_LISTENERS = [
    Case(
        handler=ListenerHandler,
        method="add",
        command=lambda site: AddListener(site.id, a_listener(id=NEW, protocol_port=81), Origin()),
        effect=lambda site: NEW in site.now.tree.listeners,
        refused=lambda site: AddListener(site.id, a_listener(), Origin()),
        error=DuplicateListener,
        asks="listener_create",
    ),
    Case(
        handler=ListenerHandler,
        method="change",
        command=lambda site: ChangeListener(site.id, site.listener.id, {"name": "new"}, Origin()),
        effect=lambda site: site.now.tree.listeners[site.listener.id].name == "new",
        refused=lambda site: ChangeListener(site.id, site.listener.id, {"insert_headers": {"X-Loom": "1"}}, Origin()),
        error=NotAnOption,
        asks="listener_update",
        of=lambda site: site.listener.id,
    ),
    Case(
        handler=ListenerHandler,
        method="remove",
        command=lambda site: RemoveListener(site.id, site.listener.id, Origin()),
        effect=lambda site: not site.now.tree.listeners and not site.now.tree.l7_policies,
        refused=lambda site: RemoveListener(site.id, NOWHERE, Origin()),
        error=NotFound,
        asks="listener_delete",
        of=lambda site: site.listener.id,
    ),
]

_POOLS = [
    Case(
        handler=PoolHandler,
        method="add",
        command=lambda site: AddPool(site.id, a_pool(id=NEW), site.listener.id, Origin()),
        effect=lambda site: site.now.tree.listeners[site.listener.id].default_pool_id == NEW,
        refused=lambda site: AddPool(site.id, a_pool(protocol=PoolProtocol.TCP), site.listener.id, Origin()),
        error=ProtocolMismatch,
        asks="pool_create",
    ),
    Case(
        handler=PoolHandler,
        method="change",
        command=lambda site: ChangePool(site.id, site.pool.id, {"name": "new"}, Origin()),
        effect=lambda site: site.now.tree.pools[site.pool.id].name == "new",
        refused=lambda site: ChangePool(site.id, site.pool.id, {"session_persistence": {}}, Origin()),
        error=Invalid,
        asks="pool_update",
        of=lambda site: site.pool.id,
    ),
    Case(
        handler=PoolHandler,
        method="remove",
        command=lambda site: RemovePool(site.id, site.pool.id, Origin()),
        effect=lambda site: not site.now.tree.pools,
        refused=lambda site: RemovePool(site.id, redirected_to(site), Origin()),
        error=InUse,
        asks="pool_delete",
        of=lambda site: site.pool.id,
    ),
]

_MEMBERS = [
    Case(
        handler=MemberHandler,
        method="add",
        command=lambda site: AddMember(site.id, a_member(site.pool, id=NEW, **entry(1)), Origin()),
        effect=lambda site: NEW in site.now.tree.members,
        refused=lambda site: AddMember(site.id, a_member(site.pool), Origin()),
        error=DuplicateMember,
        asks="member_create",
        lock="pool",
    ),
    Case(
        handler=MemberHandler,
        method="change",
        command=lambda site: ChangeMember(site.id, site.pool.id, site.member.id, {"weight": 7}, Origin()),
        effect=lambda site: site.now.tree.members[site.member.id].weight == 7,
        refused=lambda site: ChangeMember(site.id, site.pool.id, NOWHERE, {}, Origin()),
        error=NotFound,
        asks="member_update",
        of=lambda site: site.member.id,
        lock="pool",
    ),
    Case(
        handler=MemberHandler,
        method="remove",
        command=lambda site: RemoveMember(site.id, site.pool.id, site.member.id, Origin()),
        effect=lambda site: not site.now.tree.members,
        refused=lambda site: RemoveMember(site.id, NOWHERE, site.member.id, Origin()),
        error=NotFound,
        asks="member_delete",
        of=lambda site: site.member.id,
        lock="pool",
    ),
    Case(
        handler=MemberHandler,
        method="replace_all",
        command=lambda site: ReplaceMembers(site.id, site.pool.id, [entry(1), entry(9, weight=7)], False, Origin()),
        effect=lambda site: (
            sorted((each.address, each.weight) for each in site.now.tree.members.values())
            == [("127.0.0.1", 1), ("127.0.0.9", 7)]
        ),
        refused=lambda site: ReplaceMembers(site.id, site.pool.id, [entry(9), entry(9)], False, Origin()),
        error=Invalid,
        asks="member_batch_update",
        of=lambda site: site.pool.id,
        lock="pool",
    ),
]

_HEALTH_MONITORS = [
    Case(
        handler=HealthMonitorHandler,
        method="add",
        command=lambda site: AddHealthMonitor(site.id, a_health_monitor(another_pool(site), id=NEW), Origin()),
        effect=lambda site: NEW in site.now.tree.health_monitors,
        refused=lambda site: AddHealthMonitor(site.id, a_health_monitor(site.pool), Origin()),
        error=DuplicateHealthMonitor,
        asks="health_monitor_create",
        lock=None,  # the pool that it is for is just being made: see tests/commands/test_locks.py
    ),
    Case(
        handler=HealthMonitorHandler,
        method="change",
        command=lambda site: ChangeHealthMonitor(site.id, site.pool.id, site.monitor.id, {"delay": 9}, Origin()),
        effect=lambda site: site.now.tree.health_monitors[site.monitor.id].delay == 9,
        refused=lambda site: ChangeHealthMonitor(site.id, site.pool.id, site.monitor.id, {"url_path": "/"}, Origin()),
        error=NotAnOption,
        asks="health_monitor_update",
        of=lambda site: site.monitor.id,
        lock="pool",
    ),
    Case(
        handler=HealthMonitorHandler,
        method="remove",
        command=lambda site: RemoveHealthMonitor(site.id, site.pool.id, site.monitor.id, Origin()),
        effect=lambda site: not site.now.tree.health_monitors,
        refused=lambda site: RemoveHealthMonitor(site.id, site.pool.id, NOWHERE, Origin()),
        error=NotFound,
        asks="health_monitor_delete",
        of=lambda site: site.monitor.id,
        lock="pool",
    ),
]

_L7_POLICIES = [
    Case(
        handler=L7PolicyHandler,
        method="add",
        command=lambda site: AddL7Policy(site.id, an_l7_policy(site.listener, id=NEW, position=1), Origin()),
        effect=lambda site: [each.id for each in site.now.tree.policies_of(site.listener.id)] == [NEW, site.policy.id],
        refused=lambda site: AddL7Policy(
            site.id, an_l7_policy(site.listener, action="REDIRECT_TO_POOL", redirect_pool_id=NOWHERE), Origin()
        ),
        error=NotFound,
        asks="l7policy_create",
    ),
    Case(
        handler=L7PolicyHandler,
        method="change",
        command=lambda site: ChangeL7Policy(site.id, site.policy.id, {"redirect_pool_id": site.pool.id}, Origin()),
        effect=lambda site: site.now.tree.l7_policies[site.policy.id].action == L7Action.REDIRECT_TO_POOL,
        refused=lambda site: ChangeL7Policy(site.id, site.policy.id, {"action": L7Action.REDIRECT_TO_URL}, Origin()),
        error=InvalidArguments,
        asks="l7policy_update",
        of=lambda site: site.policy.id,
    ),
    Case(
        handler=L7PolicyHandler,
        method="remove",
        command=lambda site: RemoveL7Policy(site.id, site.policy.id, Origin()),
        effect=lambda site: not site.now.tree.l7_policies and not site.now.tree.l7_rules,
        refused=lambda site: RemoveL7Policy(site.id, NOWHERE, Origin()),
        error=NotFound,
        asks="l7policy_delete",
        of=lambda site: site.policy.id,
    ),
]

_L7_RULES = [
    Case(
        handler=L7RuleHandler,
        method="add",
        command=lambda site: AddL7Rule(site.id, an_l7_rule(site.policy, id=NEW), Origin()),
        effect=lambda site: NEW in site.now.tree.l7_rules,
        refused=lambda site: AddL7Rule(site.id, an_l7_rule(site.policy, type="HEADER"), Origin()),
        error=InvalidRule,
        asks="l7rule_create",
        lock="policy",
    ),
    Case(
        handler=L7RuleHandler,
        method="change",
        command=lambda site: ChangeL7Rule(site.id, site.policy.id, site.rule.id, {"value": "/books"}, Origin()),
        effect=lambda site: site.now.tree.l7_rules[site.rule.id].value == "/books",
        refused=lambda site: ChangeL7Rule(site.id, site.policy.id, site.rule.id, {"value": None}, Origin()),
        error=InvalidRule,
        asks="l7rule_update",
        of=lambda site: site.rule.id,
        lock="policy",
    ),
    Case(
        handler=L7RuleHandler,
        method="remove",
        command=lambda site: RemoveL7Rule(site.id, site.policy.id, site.rule.id, Origin()),
        effect=lambda site: not site.now.tree.l7_rules,
        refused=lambda site: RemoveL7Rule(site.id, NOWHERE, site.rule.id, Origin()),
        error=NotFound,
        asks="l7rule_delete",
        of=lambda site: site.rule.id,
        lock="policy",
    ),
]

_REPAIRS = [
    Case(
        handler=RepairHandler,
        method="repair",
        command=lambda site: Repair(site.id, "no answer", Origin()),
        effect=lambda site: not site.now.running,
        refused=lambda site: Repair(site.id, " ", Origin()),
        error=Invalid,
        asks=None,
        lock=None,
    ),
]

CASES = [
    *_LOAD_BALANCERS,
    *_AMPHORAE,
    *_LISTENERS,
    *_POOLS,
    *_MEMBERS,
    *_HEALTH_MONITORS,
    *_L7_POLICIES,
    *_L7_RULES,
    *_REPAIRS,
]


def ids(cases: list[Case]) -> list[str]:
    """Deterministic and unique."""
    names = [case.name for case in cases]
    return [
        name if names[:n].count(name) == 0 else f"{name}-{names[:n].count(name) + 1}" for n, name in enumerate(names)
    ]
