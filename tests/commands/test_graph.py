"""A load balancer with everything below it in one request, and the same step by step: one verdict, one tree."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from domain.deployment import Deployment
from domain.errors import Invalid, QuotaExceeded, Refused
from domain.fields import ProvisioningStatus
from domain.l7_rule import MOST_RULES
from domain.load_balancer import LoadBalancer
from domain.pool import Pool
from domain.quota import QuotaDefaults
from infra.memory import MemoryStore
from tests.commands.graph_choices import ANY, RIGHT, Document, definitions, graphs
from tests.commands.graph_steps import Steps, at_once, create, read
from tests.commands.site import Site
from tests.domain.invariants import check_tree

VF = "Validation failure: "


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=graphs(ANY) | graphs(RIGHT))
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


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=graphs(RIGHT))
def test_graph_without_a_mistake_is_accepted(body: Document) -> None:
    """Otherwise the comparison would prove little."""
    load_balancer = at_once(body)

    assert len(load_balancer.tree.listeners) == len(body["listeners"])
    assert len(load_balancer.tree.pools) == len(list(definitions(body)))


JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=4,
)


@some.composite
def distorted(draw: some.DrawFn) -> Document:
    """A graph with something else in one place."""
    body = draw(graphs(RIGHT))
    holder: Any = body
    while True:
        keys = range(len(holder)) if isinstance(holder, list) else list(holder)
        if not keys:
            return body
        key = draw(some.sampled_from(keys))
        deeper = isinstance(holder[key], list | dict) and draw(some.integers(0, 9)) > 0
        if not deeper and holder is not body:
            holder[key] = draw(JSON)
            return body
        holder = holder[key]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=distorted())
def test_whatever_stands_in_a_graph_is_read_or_refused(body: Document) -> None:
    try:
        load_balancer = at_once(body)
    except Refused as refusal:
        json.dumps(str(refusal))
    else:
        check_tree(load_balancer)


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
        {"listeners": [a_listener(default_pool={"name": [None]})], "pools": [a_pool()]},
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
