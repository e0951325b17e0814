"""A whole tree in one request as the contract words it: where pools stand, what refers to them, what comes back."""

from typing import Any

import pytest

from domain.tls import DEFAULT_CIPHERS
from tests.contract.conftest import PROJECT, Answer, ContractApi

pytestmark = pytest.mark.postgres

VF = "Validation failure: "
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
UNNAMED = f"{VF}Pools must be named when creating a fully populated loadbalancer."
TWICE = f"{VF}Pool names must be unique when creating a fully populated loadbalancer."
UNDEFINED = VF + "Pool '{}' was referenced but no full definition was found."
INCOMPLETE = VF + "Pool definition for 'p' missing required attribute: {}"
SRIOV = "The load balancer flavor does not allow SR-IOV member ports."
SAME_MEMBER = "Another member on this pool is already using ip 10.0.0.1 on protocol_port 80"
SAME_PORT = "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80"
RESERVED = "169.254.169.254 is not a valid option for member address"
NO_TYPE = f"{VF}The SCTP type is only supported for pools of type UDP/SCTP."
NO_DELAY = "Invalid input for field/attribute delay. Value: 'None'. Mandatory field missing."
CIPHERS = f"{VF}Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."
MISMATCH = f"{VF}The pool protocol 'HTTP' is invalid while the listener protocol is 'UDP'."
HEADERS = "['X'] is not a valid option for insert_headers"
NO_HSTS = f"{VF}The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
NO_URL = "Invalid L7 Policy arguments: redirect_url must not be None"
NO_POOL = "Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None"
NO_VALUE = "Error parsing L7Rule: Invalid L7 Rule: L7 rule type requires a value"
NO_CHILDREN = "Protocol PROMETHEUS listeners cannot have child objects."

Said = dict[str, Any]

PLAIN: Said = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
POOL: Said = {"name": "p", **PLAIN}
MEMBER: Said = {"address": "10.0.0.1", "protocol_port": 80}
MONITOR: Said = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
RULE: Said = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
LISTENER: Said = {"protocol": "HTTP", "protocol_port": 80}
REDIRECT = "REDIRECT_TO_POOL"
REFERRING: Said = {"action": REDIRECT, "redirect_pool": {"name": "x"}}


def ask(api: ContractApi, **said: object) -> Answer:
    settings = {"vip_subnet_id": UNKNOWN, "project_id": PROJECT, **said}
    return api("POST", "/loadbalancers", {"loadbalancer": settings})


def made(api: ContractApi, **said: object) -> Said:
    answer = ask(api, **said)
    assert answer.status == 201, answer
    found: Said = answer.object
    return found


# Where pools stand, and what refers to them


def test_pool_may_be_defined_where_it_is_used(api: ContractApi) -> None:
    policy = {"action": REDIRECT, "redirect_pool": {"name": "r", **PLAIN}}

    graph = made(
        api, listeners=[{**LISTENER, "default_pool": POOL, "l7policies": [policy]}], pools=[{"name": "q", **PLAIN}]
    )

    pools = {pool["name"]: pool["id"] for pool in graph["pools"]}
    (listener,) = graph["listeners"]
    assert set(pools) == {"p", "q", "r"}
    assert listener["default_pool_id"] == pools["p"]
    assert "default_pool" not in listener
    assert listener["l7policies"][0]["redirect_pool_id"] == pools["r"]
    assert "redirect_pool" not in listener["l7policies"][0]


@pytest.mark.parametrize("besides", [{}, {"admin_state_up": True}, {"tls_enabled": False}], ids=list)
def test_a_name_alone_refers_to_a_definition(api: ContractApi, besides: Said) -> None:
    reference = {"name": "p", **besides}
    policy = {"action": REDIRECT, "redirect_pool": reference}

    graph = made(api, listeners=[{**LISTENER, "default_pool": reference, "l7policies": [policy]}], pools=[POOL])

    (pool,) = graph["pools"]
    assert pool["listeners"] == [{"id": graph["listeners"][0]["id"]}]
    assert graph["listeners"][0]["l7policies"][0]["redirect_pool_id"] == pool["id"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"listeners": [{**LISTENER, "default_pool": PLAIN}]}, UNNAMED),
        ({"listeners": [{**LISTENER, "l7policies": [{"action": REDIRECT, "redirect_pool": PLAIN}]}]}, UNNAMED),
        ({"pools": [POOL, POOL]}, TWICE),
        ({"pools": [PLAIN, PLAIN]}, TWICE),
        ({"pools": [POOL], "listeners": [{**LISTENER, "default_pool": POOL}]}, TWICE),
        ({"listeners": [{**LISTENER, "default_pool": {"name": "x"}}]}, UNDEFINED.format("x")),
        ({"listeners": [{**LISTENER, "l7policies": [REFERRING]}]}, UNDEFINED.format("x")),
        ({"pools": [{"name": "p", "lb_algorithm": "ROUND_ROBIN"}]}, INCOMPLETE.format("protocol")),
        ({"pools": [{"name": "p", "protocol": "HTTP"}]}, INCOMPLETE.format("lb_algorithm")),
    ],
    ids=range(9),
)
def test_reference_is_refused(api: ContractApi, said: Said, text: str) -> None:
    assert ask(api, **said).fault == (400, text)


def test_one_pool_may_be_without_a_name(api: ContractApi) -> None:
    assert sorted(pool["name"] for pool in made(api, pools=[POOL, PLAIN])["pools"]) == ["", "p"]


# What is known where

BELOW = "Unknown attribute for argument load_balancer.loadbalancer."


@pytest.mark.parametrize("name", ["project_id", "tenant_id", "loadbalancer_id", "listener_id", "id"])
def test_ids_are_not_said_within_a_graph(api: ContractApi, name: str) -> None:
    said = {name: UNKNOWN}
    graphs = {
        "pools": {"pools": [{**POOL, **said}]},
        "pools.members": {"pools": [{**POOL, "members": [{**MEMBER, **said}]}]},
        "pools.healthmonitor": {"pools": [{**POOL, "healthmonitor": {**MONITOR, **said}}]},
        "listeners": {"listeners": [{**LISTENER, **said}]},
        "listeners.l7policies": {"listeners": [{**LISTENER, "l7policies": [{"action": "REJECT", **said}]}]},
        "listeners.l7policies.rules": {
            "listeners": [{**LISTENER, "l7policies": [{"action": "REJECT", "rules": [{**RULE, **said}]}]}]
        },
        "listeners.default_pool": {"listeners": [{**LISTENER, "default_pool": {**POOL, **said}}]},
    }

    for path, graph in graphs.items():
        assert ask(api, **graph).fault == (400, f"{BELOW}{path}: {name}")


def test_pools_within_a_graph_have_no_ids_yet(api: ContractApi) -> None:
    policy = {"action": REDIRECT, "redirect_pool_id": UNKNOWN}

    by_policy = ask(api, listeners=[{**LISTENER, "l7policies": [policy]}])
    by_listener = ask(api, listeners=[{**LISTENER, "default_pool_id": UNKNOWN}])

    assert by_policy.fault == (400, f"{BELOW}listeners.l7policies: redirect_pool_id")
    assert by_listener.fault == (404, f"Pool {UNKNOWN} not found.")


# Checks within


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ({"pools": [{**POOL, "members": [{**MEMBER, "address": "169.254.169.254"}]}]}, (400, RESERVED)),
        ({"pools": [{**POOL, "members": [MEMBER, MEMBER]}]}, (409, SAME_MEMBER)),
        ({"pools": [{**POOL, "members": [{**MEMBER, "request_sriov": True}]}]}, (400, SRIOV)),
        ({"pools": [{**POOL, "healthmonitor": {**MONITOR, "type": "SCTP"}}]}, (400, NO_TYPE)),
        ({"pools": [{**POOL, "healthmonitor": {"type": "TCP"}}]}, (400, NO_DELAY)),
        ({"pools": [{**POOL, "tls_ciphers": "A B"}]}, (400, CIPHERS)),
        ({"listeners": [LISTENER, {**LISTENER, "protocol": "TCP"}]}, (409, SAME_PORT)),
        (
            {"listeners": [{**LISTENER, "protocol": "PROMETHEUS", "l7policies": [{"action": "REJECT"}]}]},
            (400, NO_CHILDREN),
        ),
        ({"listeners": [{**LISTENER, "protocol": "UDP", "default_pool": POOL}]}, (400, MISMATCH)),
        ({"listeners": [{**LISTENER, "insert_headers": {"X": "true"}}]}, (400, HEADERS)),
        ({"listeners": [{**LISTENER, "hsts_max_age": 1}]}, (400, NO_HSTS)),
        ({"listeners": [{**LISTENER, "l7policies": [{"action": "REDIRECT_TO_URL"}]}]}, (400, NO_URL)),
        ({"listeners": [{**LISTENER, "l7policies": [{"action": REDIRECT}]}]}, (400, NO_POOL)),
        (
            {"listeners": [{**LISTENER, "l7policies": [{"action": "REJECT", "rules": [{**RULE, "value": ""}]}]}]},
            (400, NO_VALUE),
        ),
    ],
    ids=range(14),
)
def test_what_is_wrong_below_is_told_and_nothing_is_made(api: ContractApi, said: Said, fault: tuple[int, str]) -> None:
    assert ask(api, **said).fault == fault
    assert api.show("/loadbalancers") == []


def test_policy_has_fifty_rules_at_most(api: ContractApi) -> None:
    def asked(count: int) -> Answer:
        return ask(api, listeners=[{**LISTENER, "l7policies": [{"action": "REJECT", "rules": [RULE] * count}]}])

    status, text = asked(51).fault

    assert (status, text.startswith("Too many rules on L7 policy ")) == (409, True)
    assert asked(50).status == 201


@pytest.mark.parametrize(
    "said", [{"pools": "x"}, {"listeners": [1]}, {"pools": [None]}, {"pools": [{**POOL, "members": "x"}]}], ids=str
)
def test_what_is_no_graph_is_refused(api: ContractApi, said: Said) -> None:
    assert ask(api, **said).fault[0] == 400


def test_null_below_is_nothing(api: ContractApi) -> None:
    pool = {**POOL, "members": None, "healthmonitor": None, "session_persistence": None}
    listener = {**LISTENER, "l7policies": None, "default_pool": None}

    assert [made(api, pools=None, listeners=None)[name] for name in ("pools", "listeners")] == [[], []]
    graph = made(api, pools=[pool], listeners=[listener])
    assert (graph["pools"][0]["members"], graph["listeners"][0]["l7policies"]) == ([], [])


def test_policies_are_put_in_one_after_the_other(api: ContractApi) -> None:
    policies = [{"action": "REJECT", "name": name, "position": 1} for name in ("first", "second")]

    (listener,) = made(api, listeners=[{**LISTENER, "l7policies": [*policies, {"action": "REJECT", "name": "last"}]}])[
        "listeners"
    ]

    assert {each["name"]: each["position"] for each in listener["l7policies"]} == {"second": 1, "first": 2, "last": 3}


def test_tls_of_pools_has_its_defaults(api: ContractApi) -> None:
    (pool,) = made(api, pools=[{**POOL, "tls_enabled": True}])["pools"]

    tls = [pool[name] for name in ("tls_ciphers", "tls_versions", "alpn_protocols")]
    assert tls == [DEFAULT_CIPHERS, ["TLSv1.2", "TLSv1.3"], ["h2", "http/1.1", "http/1.0"]]


# What comes back


def test_answer_holds_complete_objects(api: ContractApi) -> None:
    """They differ from those of a GET in what would lead back up."""
    api.hold()
    policies = [{"action": "REJECT", "rules": [RULE]}]
    pools = [{**POOL, "members": [MEMBER], "healthmonitor": MONITOR}, {**PLAIN, "name": "bare"}]

    graph = made(api, listeners=[{**LISTENER, "default_pool": {"name": "p"}, "l7policies": policies}], pools=pools)

    (listener,), (pool, bare) = graph["listeners"], sorted(graph["pools"], key=lambda pool: pool["name"], reverse=True)
    (policy,), (member,), monitor = listener["l7policies"], pool["members"], pool["healthmonitor"]
    (rule,) = policy["rules"]
    shown = {name: api.show(f"/{name}/{of['id']}") for name, of in (("listeners", listener), ("pools", pool))}
    del shown["listeners"]["loadbalancers"], shown["pools"]["loadbalancers"], shown["pools"]["healthmonitor_id"]
    assert listener == {**shown["listeners"], "l7policies": [policy]}
    assert pool == {**shown["pools"], "members": [member], "healthmonitor": monitor}
    assert policy == {**api.show(f"/l7policies/{policy['id']}"), "rules": [rule]}
    assert rule == api.show(f"/l7policies/{policy['id']}/rules/{rule['id']}")
    assert {**monitor, "pools": [{"id": pool["id"]}]} == api.show(f"/healthmonitors/{monitor['id']}")
    assert "pools" not in monitor
    assert member == api.show(f"/pools/{pool['id']}/members/{member['id']}")
    assert (bare["healthmonitor"], "healthmonitor_id" in bare, bare["listeners"]) == (None, False, [])
    for each in (graph, listener, pool, bare, policy, rule, monitor, member):
        offline = "NO_MONITOR" if each is member else "OFFLINE"
        assert (each["provisioning_status"], each["operating_status"]) == ("PENDING_CREATE", offline)
        assert each["project_id"] == each["tenant_id"] == PROJECT


def test_a_plain_load_balancer_has_nothing_below(api: ContractApi) -> None:
    plain = made(api)

    assert (plain["listeners"], plain["pools"]) == ([], [])


def test_graph_is_a_tree_like_any_other(api: ContractApi) -> None:
    policies = [{"action": REDIRECT, "redirect_pool": {"name": "q", **PLAIN}, "rules": [RULE]}]
    pools = [{**POOL, "members": [MEMBER], "healthmonitor": MONITOR}]
    graph = made(api, listeners=[{**LISTENER, "default_pool": {"name": "p"}, "l7policies": policies}], pools=pools)
    api.settled(graph["id"])

    tree = api("GET", f"/loadbalancers/{graph['id']}/status").json["statuses"]["loadbalancer"]

    (listener,) = tree["listeners"]
    assert {pool["name"] for pool in listener["pools"]} == {"p", "q"}
    (used,) = (pool for pool in listener["pools"] if pool["name"] == "p")
    assert used["health_monitor"]["type"] == "TCP"
    assert [member["address"] for member in used["members"]] == [MEMBER["address"]]
    assert {tree["provisioning_status"], listener["provisioning_status"], used["provisioning_status"]} == {"ACTIVE"}
