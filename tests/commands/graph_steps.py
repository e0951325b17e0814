"""Two ways to the same load balancer: everything in one request, or step by step."""

from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

from commands import health_monitor, l7_policy, l7_rule, listener, member, pool
from commands.body import Parser, received
from commands.graph import Graph, GraphReader
from commands.health_monitor import AddHealthMonitor, HealthMonitorHandler
from commands.l7_policy import AddL7Policy, L7PolicyHandler
from commands.l7_rule import AddL7Rule, L7RuleHandler
from commands.listener import AddListener, ListenerHandler
from commands.load_balancer import CreateLoadBalancer, LoadBalancerHandler
from commands.member import AddMember, MemberHandler, settings_of
from commands.pool import AddPool, PoolHandler
from commands.ports import Origin, VipRequest
from domain.deployment import Deployment
from domain.errors import Refused
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import Member
from domain.pool import Pool
from tests.commands.graph_choices import Document, definitions
from tests.commands.site import Site

ID = UUID(int=0xFFFF)


def new_ids() -> Callable[[], UUID]:
    """1, 2, 3 ...: in both ways the same object gets the same id."""
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


def read(body: Document, deployment: Deployment | None = None) -> Graph:
    views: Any = [None] * 6  # of the answer, which nobody asks for here
    said = received({"loadbalancer": body}, "load_balancer", "loadbalancer")
    reader = GraphReader(deployment or Deployment(), *views)
    return reader.read(said, body.get("listeners", ()), body.get("pools", ()), new_ids())


def create(site: Site, graph: Graph, **said: Any) -> LoadBalancer:
    vip = VipRequest(load_balancer_id=ID, project_id="p", network_id=UUID(int=1), address="127.20.9.9")
    command = CreateLoadBalancer(ID, vip, None, LoadBalancerSettings(), graph, None, None, Origin(**said))
    return LoadBalancerHandler(site.deciding, site, site).create(command).load_balancer


def at_once(body: Document) -> LoadBalancer:
    return create(Site(), read(body))


class Steps:
    """What a client does who does not know of graphs. Goes on after a refusal, and remembers it."""

    def __init__(self) -> None:
        self.site = Site()
        self.new_id = new_ids()
        self.refusals: list[str] = []
        self.pool_ids: dict[str | None, UUID] = {}
        create(self.site, Graph())

    def take(self, body: Document) -> LoadBalancer:
        for each in definitions(body):
            self.pool(each)
        for each in body.get("listeners", ()):
            self.listener(each)
        return self.site.store.load_balancer(ID)

    def pool(self, body: Document) -> None:
        id = self.pool_ids[body.get("name")] = self.new_id()
        own = {key: value for key, value in body.items() if key not in ("members", "healthmonitor")}
        self.attempt(lambda: self.add_pool(id, own))
        for each in body.get("members", ()):
            member_id = self.new_id()
            self.attempt(lambda id=id, each=each, member_id=member_id: self.add_member(id, member_id, each))
        if body.get("healthmonitor"):
            monitor_id = self.new_id()
            self.attempt(lambda: self.add_health_monitor(id, monitor_id, body["healthmonitor"]))

    def listener(self, body: Document) -> None:
        id = self.new_id()
        own = {key: value for key, value in body.items() if key not in ("default_pool", "l7policies")}
        if "default_pool" in body:
            own["default_pool_id"] = str(self.pool_ids[body["default_pool"]["name"]])
        self.attempt(lambda: self.add_listener(id, own))
        for each in body.get("l7policies", ()):
            self.policy(id, each)

    def policy(self, listener_id: UUID, body: Document) -> None:
        id = self.new_id()
        own = {key: value for key, value in body.items() if key not in ("redirect_pool", "rules")}
        if "redirect_pool" in body:
            own["redirect_pool_id"] = str(self.pool_ids[body["redirect_pool"]["name"]])
        self.attempt(lambda: self.add_policy(listener_id, id, own))
        for each in body.get("rules", ()):
            rule_id = self.new_id()
            self.attempt(lambda each=each, rule_id=rule_id: self.add_rule(id, rule_id, each))

    def attempt(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Refused as refusal:
            self.refusals.append(str(refusal))

    def add_pool(self, id: UUID, body: Document) -> None:
        given = parsed(pool.PARSER, body, loadbalancer_id=ID)
        added = Pool(id=id, **self.site.deployment.completed_pool(given))
        PoolHandler(self.site.deciding).add(AddPool(ID, added, None, Origin()))

    def add_member(self, pool_id: UUID, id: UUID, body: Document) -> None:
        added = Member(id=id, pool_id=pool_id, **settings_of(parsed(member.PARSER, body)))
        MemberHandler(self.site.deciding, self.site, self.site).add(AddMember(ID, added, Origin()))

    def add_health_monitor(self, pool_id: UUID, id: UUID, body: Document) -> None:
        added = HealthMonitor(id=id, **parsed(health_monitor.PARSER, {**body, "pool_id": str(pool_id)}))
        handler = HealthMonitorHandler(self.site.deciding)
        handler.add(AddHealthMonitor(ID, added.with_http_defaults(), Origin()))

    def add_listener(self, id: UUID, body: Document) -> None:
        given = parsed(listener.PARSER, body, loadbalancer_id=ID)
        added = Listener(id=id, **self.site.deployment.completed_listener(given))
        ListenerHandler(self.site.deciding).add(AddListener(ID, added, Origin()))

    def add_policy(self, listener_id: UUID, id: UUID, body: Document) -> None:
        given = parsed(l7_policy.PARSER, {**body, "listener_id": str(listener_id)})
        added = L7Policy(id=id, **L7Policy.normalised(given))
        L7PolicyHandler(self.site.deciding).add(AddL7Policy(ID, added, Origin()))

    def add_rule(self, policy_id: UUID, id: UUID, body: Document) -> None:
        added = L7Rule(id=id, l7policy_id=policy_id, **parsed(l7_rule.PARSER, body))
        L7RuleHandler(self.site.deciding).add(AddL7Rule(ID, added, Origin()))


def parsed(parser: Parser[Any], body: Document, **dropped: UUID) -> dict[str, Any]:
    """dropped: attributes that say where the object belongs"""
    said = received({"it": {**body, **{name: str(id) for name, id in dropped.items()}}}, "it_", "it")
    return {name: value for name, value in parser.given(said).items() if name not in dropped}
