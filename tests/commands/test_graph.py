"""A load balancer with everything below it in one request, and the same step by step: one verdict, one tree."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

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
from domain.errors import Invalid, QuotaExceeded, Refused
from domain.fields import ProvisioningStatus
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy
from domain.l7_rule import MOST_RULES, L7Rule
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import Member
from domain.pool import Pool
from domain.quota import QuotaDefaults
from infra.memory import MemoryStore
from tests.commands.site import Site
from tests.domain.invariants import check_tree

VF = "Validation failure: "
ID = UUID(int=0xFFFF)
Document = dict[str, Any]


def new_ids() -> Callable[[], UUID]:
    """1, 2, 3 ...: in both ways the same object gets the same id."""
    numbers = count(1)
    return lambda: UUID(int=next(numbers))


# In one request


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


# Step by step


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


def definitions(body: Document) -> Iterator[Document]:
    yield from body.get("pools", ())
    for each in body.get("listeners", ()):
        redirections = [policy["redirect_pool"] for policy in each.get("l7policies", ()) if "redirect_pool" in policy]
        inline = [each["default_pool"]] if "default_pool" in each else []
        yield from (pool for pool in (*inline, *redirections) if "protocol" in pool)


# Graphs: right more often than not, and wrong in all the ways that single objects can be

PROTOCOLS = some.sampled_from(["HTTP", "HTTP", "HTTP", "TCP", "HTTPS", "UDP", "PROXY"])
MEMBERS = some.builds(
    lambda last, port, weight: {"address": f"10.0.0.{last}", "protocol_port": port, "weight": weight},
    some.integers(1, 3),
    some.sampled_from([80, 80, 81]),
    some.sampled_from([1, 1, 1, 0, 256, 257]),
) | some.just({"address": "169.254.169.254", "protocol_port": 1})
MONITORS = some.fixed_dictionaries(
    {
        "type": some.sampled_from(["HTTP", "TCP", "TCP", "PING", "UDP-CONNECT"]),
        "delay": some.sampled_from([5, 2]),
        "timeout": some.just(1),
        "max_retries": some.sampled_from([1, 1, 1, 11]),
    },
    optional={"url_path": some.just("/health"), "domain_name": some.just("example.org")},
)
PERSISTENCE = some.sampled_from(
    [{"type": "SOURCE_IP"}, {"type": "HTTP_COOKIE"}, {"type": "APP_COOKIE", "cookie_name": "a"}, {"type": "APP_COOKIE"}]
)
RULES = some.fixed_dictionaries(
    {
        "type": some.sampled_from(["PATH", "PATH", "HOST_NAME", "HEADER"]),
        "compare_type": some.sampled_from(["STARTS_WITH", "EQUAL_TO", "REGEX"]),
        "value": some.sampled_from(["/a", "/b", "/c", "("]),
    },
    optional={"key": some.just("X-Loom"), "invert": some.booleans()},
)


def pools(names: Sequence[str]) -> some.SearchStrategy[list[Document]]:
    definition = some.fixed_dictionaries(
        {"protocol": PROTOCOLS, "lb_algorithm": some.just("ROUND_ROBIN"), "members": some.lists(MEMBERS, max_size=3)},
        optional={"healthmonitor": MONITORS, "session_persistence": PERSISTENCE, "tls_enabled": some.booleans()},
    )
    found = some.lists(definition, min_size=len(names), max_size=len(names))
    return found.map(lambda each: [{"name": name, **body} for name, body in zip(names, each, strict=True)])


def policies(referred: Sequence[str]) -> some.SearchStrategy[Document]:
    redirection: some.SearchStrategy[Document] = some.just({"action": "REJECT"}) | some.just(
        {"action": "REDIRECT_TO_URL", "redirect_url": "http://example.org/"}
    )
    if referred:
        named = some.sampled_from(referred).map(lambda name: {"name": name})
        redirection |= some.fixed_dictionaries({"action": some.just("REDIRECT_TO_POOL"), "redirect_pool": named})
    common = some.fixed_dictionaries(
        {"rules": some.lists(RULES, max_size=2)}, optional={"position": some.integers(1, 3), "name": some.just("it")}
    )
    return some.builds(lambda one, other: {**one, **other}, redirection, common)


@some.composite
def graphs(draw: some.DrawFn) -> Document:
    names = ["a", "b", "c"][: draw(some.integers(0, 3))]
    defined = draw(pools(names))
    inline = {each["name"]: each for each in defined if draw(some.booleans())}
    listeners = []
    for port in range(80, 80 + draw(some.integers(0, 3))):
        body = {
            "protocol": draw(some.sampled_from(["HTTP", "HTTP", "HTTP", "TCP", "UDP", "PROMETHEUS"])),
            "protocol_port": draw(some.sampled_from([port, port, port, port, 80])),
            "l7policies": draw(some.lists(policies(names), max_size=3)),
        }
        if names and draw(some.booleans()):
            body["default_pool"] = {"name": draw(some.sampled_from(names))}
        listeners.append(body)
    _put_inline(listeners, inline)
    return {"listeners": listeners, "pools": [each for each in defined if each["name"] not in inline]}


def _put_inline(listeners: Sequence[Document], inline: dict[str, Document]) -> None:
    """Replaces the first reference to each of these pools by its definition; without any it stays unused."""
    for body in listeners:
        for holder, key in ((body, "default_pool"), *((each, "redirect_pool") for each in body["l7policies"])):
            name = holder.get(key, {}).get("name")
            if name in inline:
                holder[key] = inline.pop(name)
    if inline and listeners:
        first = listeners[0]
        for definition in list(inline.values()):
            first["l7policies"].append({"action": "REDIRECT_TO_POOL", "redirect_pool": definition, "rules": []})
        inline.clear()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=graphs())
def test_graph_and_its_steps_get_the_same_verdict_and_the_same_tree(body: Document) -> None:
    steps = Steps()
    stepwise = steps.take(body)

    if steps.refusals:
        assert refused(body) in steps.refusals
        return
    whole = at_once(body)

    assert whole.tree == stepwise.tree
    assert statuses(whole) == statuses(stepwise)
    assert set(statuses(whole).values()) == {ProvisioningStatus.PENDING_CREATE}
    check_tree(whole)


def statuses(load_balancer: LoadBalancer) -> Mapping[UUID, ProvisioningStatus | None]:
    return {id: load_balancer.status_of(id) for id in load_balancer.progress.marks}


# The rules of references, one by one

HTTP = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}


def a_pool(name: str | None = "books", **said: Any) -> Document:
    return {**HTTP, **({} if name is None else {"name": name}), **said}


def a_listener(**said: Any) -> Document:
    return {"protocol": "HTTP", "protocol_port": 80, **said}


def to_pool(pool: Document, **said: Any) -> Document:
    return {"action": "REDIRECT_TO_POOL", "redirect_pool": pool, **said}


def default_of(load_balancer: LoadBalancer) -> Pool:
    (found,) = load_balancer.tree.listeners.values()
    assert found.default_pool_id is not None
    return load_balancer.tree.pools[found.default_pool_id]


def test_definition_within_a_listener_becomes_its_default_pool() -> None:
    assert default_of(at_once({"listeners": [a_listener(default_pool=a_pool())]})).name == "books"


def test_reference_is_to_a_definition_anywhere_in_the_request() -> None:
    referring = a_listener(default_pool={"name": "books"})
    defining = a_listener(protocol_port=81, l7policies=[to_pool(a_pool())])

    one, other = at_once({"listeners": [referring], "pools": [a_pool()]}), at_once({"listeners": [referring, defining]})

    assert default_of(one).name == "books"
    assert {each.default_pool_id for each in other.tree.listeners.values()} == {None, *other.tree.pools}


@pytest.mark.parametrize(
    "beside", [{"admin_state_up": False}, {"tls_enabled": True}], ids=lambda said: next(iter(said))
)
def test_reference_may_say_this_without_becoming_a_definition(beside: Document) -> None:
    body = {"listeners": [a_listener(default_pool={"name": "books", **beside})], "pools": [a_pool()]}

    found = default_of(at_once(body))

    assert (found.admin_state_up, found.tls_enabled) == (True, False), "what the definition says"


@pytest.mark.parametrize("beside", [{"description": "x"}, {"protocol": "HTTP"}, {"members": []}, {"tags": []}])
def test_anything_else_makes_a_definition_which_has_to_be_complete(beside: Document) -> None:
    body = {"listeners": [a_listener(default_pool={"name": "books", **beside})]}
    missing = "lb_algorithm" if "protocol" in beside else "protocol"

    assert refused(body) == f"{VF}Pool definition for 'books' missing required attribute: {missing}"


UNNAMED = f"{VF}Pools must be named when creating a fully populated loadbalancer."
TWICE = f"{VF}Pool names must be unique when creating a fully populated loadbalancer."
UNDEFINED = f"{VF}Pool 'scrolls' was referenced but no full definition was found."
NO_PROTOCOL = f"{VF}Pool definition for 'books' missing required attribute: protocol"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"listeners": [a_listener(default_pool=a_pool(None))]}, UNNAMED),
        ({"listeners": [a_listener(default_pool=a_pool(""))]}, UNNAMED),
        ({"listeners": [a_listener(default_pool={})]}, UNNAMED),
        ({"listeners": [a_listener(l7policies=[to_pool(a_pool(None))])]}, UNNAMED),
        ({"pools": [a_pool(), a_pool()]}, TWICE),
        ({"pools": [a_pool(None), a_pool(None)]}, TWICE),
        ({"pools": [a_pool()], "listeners": [a_listener(default_pool=a_pool())]}, TWICE),
        ({"listeners": [a_listener(default_pool=a_pool(), l7policies=[to_pool(a_pool())])]}, TWICE),
        ({"listeners": [a_listener(default_pool={"name": "scrolls"})]}, UNDEFINED),
        ({"listeners": [a_listener(l7policies=[to_pool({"name": "scrolls"})])], "pools": [a_pool()]}, UNDEFINED),
        ({"pools": [{"name": "books", "lb_algorithm": "ROUND_ROBIN"}]}, NO_PROTOCOL),
        ({"pools": [{"name": "books"}]}, NO_PROTOCOL),
        (
            {"pools": [{"name": "books", "protocol": "HTTP"}]},
            f"{VF}Pool definition for 'books' missing required attribute: lb_algorithm",
        ),
        (
            {"pools": [{"protocol": "HTTP"}]},
            f"{VF}Pool definition for '' missing required attribute: lb_algorithm",
        ),
    ],
    ids=[
        *("no name", "empty name", "empty reference", "no name in a policy"),
        *("twice above", "unnamed twice", "above and within", "within twice"),
        *("undefined", "undefined in a policy"),
        *("no protocol", "nothing", "no algorithm", "no algorithm and no name"),
    ],
)
def test_references_are_refused(body: Document, text: str) -> None:
    assert refused(body) == text


def refused(body: Document) -> str:
    with pytest.raises(Refused) as refusal:
        at_once(body)
    return str(refusal.value)


def test_one_pool_may_do_without_a_name() -> None:
    assert [pool.name for pool in at_once({"pools": [a_pool(None)]}).tree.pools.values()] == [""]


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ({"listeners": [a_listener(loadbalancer_id="x")]}, "loadbalancer_id"),
        ({"listeners": [a_listener(project_id="p")]}, "project_id"),
        ({"listeners": [a_listener(id="x")]}, "id"),
        ({"listeners": [a_listener(l7policies=[{"action": "REJECT", "redirect_pool_id": "x"}])]}, "redirect_pool_id"),
        ({"listeners": [a_listener(l7policies=[{"action": "REJECT", "listener_id": "x"}])]}, "listener_id"),
        ({"pools": [a_pool(loadbalancer_id="x")]}, "loadbalancer_id"),
        ({"pools": [a_pool(listener_id="x")]}, "listener_id"),
        ({"pools": [a_pool(members=[{"address": "10.0.0.1", "protocol_port": 1, "tenant_id": "p"}])]}, "tenant_id"),
        ({"pools": [a_pool(healthmonitor={"pool_id": "x"})]}, "pool_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_says_where_an_object_belongs_is_unknown(body: Document, unknown: str) -> None:
    text = refused(body)

    assert text.startswith("Unknown attribute for argument ")
    assert text.endswith(f": {unknown}")


def test_default_pool_by_id_cannot_be_there_yet() -> None:
    nothing = UUID(int=7)

    assert refused({"listeners": [a_listener(default_pool_id=str(nothing))]}) == f"Pool {nothing} not found."


@pytest.mark.parametrize("name", ["default_pool", "l7policies"])
def test_null_is_nothing(name: str) -> None:
    (found,) = at_once({"listeners": [a_listener(**{name: None})]}).tree.listeners.values()

    assert found.default_pool_id is None


@pytest.mark.parametrize("name", ["members", "healthmonitor"])
def test_null_is_nothing_in_a_pool_too(name: str) -> None:
    tree = at_once({"pools": [a_pool(**{name: None})]}).tree

    assert [tree.members, tree.health_monitors] == [{}, {}]


@pytest.mark.parametrize(
    "body",
    [
        {"listeners": ["x"]},
        {"pools": ["x"]},
        {"listeners": [a_listener(l7policies="x")]},
        {"listeners": [a_listener(l7policies=["x"])]},
        {"listeners": [a_listener(default_pool="x")]},
        {"listeners": [a_listener(l7policies=[to_pool([])])]},  # type: ignore[arg-type]
        {"listeners": [a_listener(l7policies=[{"action": "REJECT", "rules": "x"}])]},
        {"listeners": [a_listener(l7policies=[{"action": "REJECT", "rules": [1]}])]},
        {"pools": [a_pool(members=[1])]},
        {"pools": [a_pool(members={})]},
        {"pools": [a_pool(healthmonitor=[])]},
        {"pools": [a_pool(name=[])]},
        {"listeners": [a_listener(default_pool={"name": []})]},
        {"listeners": [a_listener(default_pool={"name": {}}, l7policies=[])], "pools": [a_pool()]},
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_has_another_shape_is_refused(body: Document) -> None:
    with pytest.raises(Invalid):
        at_once(body)


def test_two_policies_that_want_the_first_place_get_it_in_turn() -> None:
    wanted = [{"action": "REJECT", "name": name, "position": 1} for name in ("earlier", "later")]

    load_balancer = at_once({"listeners": [a_listener(l7policies=wanted)]})

    (listener_id,) = load_balancer.tree.listeners
    assert [each.name for each in load_balancer.tree.policies_of(listener_id)] == ["later", "earlier"]


def test_what_shows_metrics_has_no_policies_here_either() -> None:
    body = {"listeners": [a_listener(protocol="PROMETHEUS", l7policies=[{"action": "REJECT"}])]}

    assert refused(body) == "Protocol PROMETHEUS listeners cannot have child objects."


def test_policy_has_so_many_rules_and_no_more_here_either() -> None:
    rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}

    text = refused({"listeners": [a_listener(l7policies=[{"action": "REJECT", "rules": [rule] * (MOST_RULES + 1)}])]})

    assert text.startswith("Too many rules on L7 policy ")


def test_pools_with_tls_get_what_the_deployment_presumes() -> None:
    (found,) = at_once({"pools": [a_pool(tls_enabled=True)]}).tree.pools.values()

    presumed = Deployment().tls.pools
    assert (found.tls_ciphers, found.tls_versions) == (presumed.ciphers, presumed.versions)
    assert found.alpn_protocols == presumed.alpn


@pytest.mark.parametrize("kind", ["listener", "pool", "member", "healthmonitor"])
def test_quotas_limit_a_graph(kind: str) -> None:
    limits = {f"{name}": 1 for name in ("listener", "pool", "member", "health_monitor")}
    members = [{"address": f"10.0.0.{n}", "protocol_port": 80} for n in (1, 2)]
    monitor = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    body: Document = {
        "listener": {"listeners": [a_listener(), a_listener(protocol_port=81)]},
        "pool": {"pools": [a_pool("a"), a_pool("b")]},
        "member": {"pools": [a_pool(members=members)]},
        "healthmonitor": {"pools": [a_pool("a", healthmonitor=monitor), a_pool("b", healthmonitor=monitor)]},
    }[kind]
    if kind == "healthmonitor":
        limits["pool"] = 2
    store = MemoryStore(quota_defaults=quotas(**limits))

    with pytest.raises(QuotaExceeded):
        create(Site(store=store), read(body), enforce_quota=True)

    create(Site(store=MemoryStore(quota_defaults=quotas(**limits))), read(body))


def quotas(**limits: int) -> QuotaDefaults:
    return QuotaDefaults(**limits)


def test_refused_graph_leaves_nothing() -> None:
    site = Site()
    events = site.events

    with pytest.raises(Refused):
        create(site, read({"listeners": [a_listener(), a_listener()]}))

    assert site.events == events


def test_graph_is_recorded_at_once() -> None:
    site = Site()
    commits = site.commits

    create(site, read({"listeners": [a_listener(default_pool=a_pool())]}))

    assert site.commits == commits + 1
