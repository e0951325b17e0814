"""Pools as the contract words them: whose default they become, how they keep clients, TLS towards members."""

from typing import Any

import pytest

from domain.tls import DEFAULT_CIPHERS
from tests.contract.conftest import ContractApi

pytestmark = pytest.mark.postgres

VF = "Validation failure: "
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
TLS_FIELDS = ("tls_ciphers", "tls_versions", "alpn_protocols")
OF_DATAGRAMS = "persistence_timeout and persistence_granularity is only for"
ONLY_ACCEPTS = (
    f"{VF}session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, persistence_timeout,"
    " persistence_granularity."
)
NO_TYPE = f"{VF}Invalid session_persistence provided."
NO_COOKIE = f'{VF}Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.'
OTHER_COOKIE = f'{VF}Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".'
NO_AUTHORITY = f"{VF}A CA certificate reference is required to specify a revocation list."
CIPHERS = f"{VF}Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."
NO_VERSIONS = "Empty TLS version list."
NO_ALPN = "Empty ALPN protocol list."

Said = dict[str, Any]


def asked(load_balancer: Said, **said: object) -> Said:
    """The body of a creation."""
    required = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    return {"pool": {**required, **said}}


# Which check speaks first


def test_checks_of_a_new_pool_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    metrics, listener = (
        api.listener(load_balancer, **said) for said in ({"protocol": "PROMETHEUS", "protocol_port": 9}, {})
    )
    api.pool(load_balancer, listener_id=listener["id"])
    said: Said = {
        "listener_id": metrics["id"],
        "protocol": "TCP",
        "session_persistence": {"type": "APP_COOKIE"},
        "crl_container_ref": "crl",
        "tls_ciphers": "no cipher",
        "tls_enabled": True,
        "tls_versions": [],
        "alpn_protocols": [],
    }
    told = []

    def ask(**mended: object) -> None:
        said.update(mended)
        told.append(api("POST", "/pools", asked(load_balancer, **said)).fault)

    ask()
    ask(listener_id=listener["id"])
    ask(protocol="HTTP")
    ask(session_persistence=None)
    ask(listener_id=None)
    ask(crl_container_ref=None)
    ask(tls_ciphers=None)
    ask(tls_versions=["TLSv1.2"])

    texts = [text for _, text in told]
    assert [status for status, _ in told] == [400, 400, 400, 409, 400, 400, 400, 400]
    assert texts[:6] == [
        "Protocol PROMETHEUS listeners cannot have child objects.",
        f"{VF}The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'.",
        NO_COOKIE,
        "This listener already has a default pool",
        NO_AUTHORITY,
        CIPHERS,
    ]
    assert (NO_VERSIONS in texts[6], NO_ALPN in texts[7]) == (True, True)


# Where it belongs


def test_pool_belongs_to_a_load_balancer_or_a_listener(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    nowhere = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}

    assert api("POST", "/pools", {"pool": nowhere}).fault == (
        400,
        f"{VF}Must provide at least one of: loadbalancer_id, listener_id",
    )
    assert api("POST", "/pools", {"pool": {**nowhere, "listener_id": UNKNOWN}}).fault == (
        404,
        f"Listener {UNKNOWN} not found.",
    )
    assert api("POST", "/pools", asked({"id": UNKNOWN})).fault == (404, f"Load Balancer {UNKNOWN} not found.")
    far = api.listener(api.load_balancer())
    assert api("POST", "/pools", asked(load_balancer, listener_id=far["id"])).fault[0] in (400, 404)


def test_pool_of_a_listener_becomes_its_default(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)

    pool = api.pool(load_balancer, listener_id=listener["id"])

    assert (pool["listeners"], pool["loadbalancers"]) == ([{"id": listener["id"]}], [{"id": load_balancer["id"]}])
    assert api.show(f"/listeners/{listener['id']}")["default_pool_id"] == pool["id"]


def test_listeners_of_a_pool_are_those_that_use_it(api: ContractApi) -> None:
    """By default, or by a policy that is enabled and has a rule."""
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    listener = api.listener(load_balancer)
    policy = api.l7_policy(load_balancer, listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool["id"])

    def listeners() -> object:
        api.settled(load_balancer["id"])
        return api.show(f"/pools/{pool['id']}")["listeners"]

    without_rule = listeners()
    api.l7_rule(load_balancer, policy)
    with_rule = listeners()
    api("PUT", f"/l7policies/{policy['id']}", {"l7policy": {"admin_state_up": False}})

    assert (without_rule, with_rule, listeners()) == ([], [{"id": listener["id"]}], [])


@pytest.mark.parametrize("name", ["members", "healthmonitor"])
def test_objects_within_belong_into_a_graph(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    something = [{"address": "10.0.0.7", "protocol_port": 80}] if name == "members" else {"type": "TCP"}

    assert api("POST", "/pools", asked(load_balancer, **{name: something})).fault[0] == 400
    assert api("POST", "/pools", asked(load_balancer, **{name: type(something)()})).status == 201
    assert api("POST", "/pools", asked(load_balancer, **{name: None})).status == 201


# How it keeps clients


@pytest.mark.parametrize(
    ("protocol", "said", "text"),
    [
        (
            "UDP",
            {"type": "SOURCE_IP", "cookie_name": "a"},
            ONLY_ACCEPTS,
        ),
        (
            "SCTP",
            {"type": "HTTP_COOKIE", "cookie_name": "a"},
            f"{VF}Cookie names are not supported for UDP/SCTP pools.",
        ),
        (
            "UDP",
            {"type": "APP_COOKIE"},
            f"{VF}Session persistence of type APP_COOKIE is not supported for UDP/SCTP protocol pools.",
        ),
        ("HTTP", {"type": "SOURCE_IP", "persistence_timeout": 5}, f"{VF}{OF_DATAGRAMS} UDP and SCTP protocol pools."),
        (
            "TCP",
            {"type": "SOURCE_IP", "persistence_granularity": "255.0.0.0"},
            f"{VF}{OF_DATAGRAMS} UDP and SCTP protocol pools.",
        ),
        ("HTTP", {"type": "HTTP_COOKIE", "cookie_name": "a"}, OTHER_COOKIE),
        ("HTTP", {"type": "APP_COOKIE", "cookie_name": "a@b"}, f'{VF}Supplied "cookie_name" is invalid.'),
        ("HTTP", {"type": "APP_COOKIE"}, NO_COOKIE),
        ("HTTP", {}, "Invalid input for field/attribute type. Value: 'None'. Mandatory field missing."),
        (
            "HTTP",
            {"type": "APP_COOKIE", "cookie_name": "a b"},
            r"Invalid input for field/attribute cookie_name. Value: 'a b'. Value should match the pattern ^[^\s,;\\]+$",
        ),
        (
            "HTTP",
            {"type": "SOURCE_IP", "loom": 1},
            "Unknown attribute for argument pool_.pool.session_persistence: loom",
        ),
    ],
    ids=lambda said: str(said)[:40],
)
def test_session_persistence_is_refused(api: ContractApi, protocol: str, said: Said, text: str) -> None:
    body = asked(api.load_balancer(), protocol=protocol, session_persistence=said)

    assert api("POST", "/pools", body).fault == (400, text)


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("HTTP", {"type": "SOURCE_IP"}),
        ("PROXY", {"type": "HTTP_COOKIE"}),
        ("HTTP", {"type": "APP_COOKIE", "cookie_name": "session"}),
        ("UDP", {"type": "SOURCE_IP", "persistence_timeout": 5, "persistence_granularity": "255.255.0.0"}),
    ],
    ids=lambda said: str(said)[:40],
)
def test_session_persistence_is_shown_with_four_keys(api: ContractApi, protocol: str, said: Said) -> None:
    pool = api.pool(api.load_balancer(), protocol=protocol, session_persistence=said)

    nothing = dict.fromkeys(("type", "cookie_name", "persistence_timeout", "persistence_granularity"))
    assert pool["session_persistence"] == {**nothing, **said}


def test_session_persistence_is_replaced_but_for_its_type(api: ContractApi) -> None:
    path = f"/pools/{api.pool(api.load_balancer())['id']}"

    def change(said: object) -> Any:
        answer = api("PUT", path, {"pool": {"session_persistence": said}})
        return answer.object["session_persistence"] if answer.status == 200 else answer.fault[1]

    nothing = dict.fromkeys(("cookie_name", "persistence_timeout", "persistence_granularity"))
    assert [change({}), change({"cookie_name": "a"})] == [NO_TYPE, NO_TYPE]
    assert change({"type": "APP_COOKIE", "cookie_name": "a"}) == {**nothing, "type": "APP_COOKIE", "cookie_name": "a"}
    assert change({"cookie_name": "b"}) == {**nothing, "type": "APP_COOKIE", "cookie_name": "b"}
    assert change({"type": "APP_COOKIE"}) == NO_COOKIE
    assert change({"persistence_timeout": 5}) == f"{VF}{OF_DATAGRAMS} UDP protocol pools."
    assert change({**nothing, "type": "HTTP_COOKIE"}) == {**nothing, "type": "HTTP_COOKIE"}
    assert change(None) is None


# TLS towards members


def test_tls_has_defaults_where_it_is_enabled(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    plain, secret = (api.pool(load_balancer, tls_enabled=enabled) for enabled in (None, True))

    assert plain["tls_enabled"] is False
    assert [plain[name] for name in TLS_FIELDS] == [None, None, None]
    assert [secret[name] for name in TLS_FIELDS] == [
        DEFAULT_CIPHERS,
        ["TLSv1.2", "TLSv1.3"],
        ["h2", "http/1.1", "http/1.0"],
    ]


def test_null_for_tls_on_a_change(api: ContractApi) -> None:
    pool = api.pool(
        api.load_balancer(), tls_enabled=True, tls_ciphers="AES", tls_versions=["TLSv1.3"], alpn_protocols=["h2"]
    )

    changed = api("PUT", f"/pools/{pool['id']}", {"pool": dict.fromkeys(TLS_FIELDS)}).object

    assert [changed[name] for name in TLS_FIELDS] == [DEFAULT_CIPHERS, ["TLSv1.2", "TLSv1.3"], None]


def test_empty_lists_of_tls_are_refused_where_they_count_and_on_every_change(api: ContractApi) -> None:
    load_balancer = api.load_balancer()

    pool = api.pool(load_balancer, tls_versions=[], alpn_protocols=[])

    for name, text in (("tls_versions", NO_VERSIONS), ("alpn_protocols", NO_ALPN)):
        enabled = api("POST", "/pools", asked(load_balancer, tls_enabled=True, **{name: []})).fault
        changed = api("PUT", f"/pools/{pool['id']}", {"pool": {name: []}}).fault
        assert enabled == changed
        assert enabled[0] == 400
        assert enabled[1].startswith(VF + text)


def test_revocations_need_an_authority(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    path = f"/pools/{api.pool(load_balancer)['id']}"

    def change(**said: object) -> Any:
        answer = api("PUT", path, {"pool": said})
        return 200 if answer.status == 200 else answer.fault

    assert api("POST", "/pools", asked(load_balancer, crl_container_ref="crl")).fault == (400, NO_AUTHORITY)
    assert change(crl_container_ref="crl") == (
        400,
        f"{VF}A CA reference is required to specify a certificate revocation list.",
    )
    assert change(ca_tls_container_ref="ca") == change(crl_container_ref="crl") == 200
    assert change(ca_tls_container_ref=None) == (
        400,
        f"{VF}A CA reference cannot be removed when a certificate revocation list is present.",
    )
    assert change(ca_tls_container_ref=None, crl_container_ref=None) == 200


# Null, fixed fields, types


@pytest.mark.parametrize(
    ("name", "refused_on"), [("lb_algorithm", {"POST", "PUT"}), ("tls_enabled", {"PUT"}), ("protocol", {"POST"})]
)
def test_null_is_refused(api: ContractApi, name: str, refused_on: set[str]) -> None:
    load_balancer = api.load_balancer()
    path = f"/pools/{api.pool(load_balancer)['id']}"
    asking = {
        "POST": lambda: api("POST", "/pools", asked(load_balancer, **{name: None})),
        "PUT": lambda: api("PUT", path, {"pool": {name: None}}),
    }

    for method in refused_on:
        assert asking[method]().fault == (400, f"None is not a valid option for {name}")


@pytest.mark.parametrize(
    "name", ["loadbalancer_id", "listener_id", "protocol", "members", "healthmonitor", "project_id"]
)
def test_what_is_fixed_is_unknown_to_a_change(api: ContractApi, name: str) -> None:
    pool = api.pool(api.load_balancer())

    fault = api("PUT", f"/pools/{pool['id']}", {"pool": {name: None}}).fault

    assert fault == (400, f"Unknown attribute for argument pool_.pool: {name}")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("protocol", "TERMINATED_HTTPS", "Value should be one of: TCP, HTTP, HTTPS, PROXY, PROXYV2, UDP, SCTP"),
        ("lb_algorithm", "RANDOM", "Value should be one of: ROUND_ROBIN, LEAST_CONNECTIONS, SOURCE_IP, SOURCE_IP_PORT"),
        ("tls_container_ref", "x" * 256, "Value should have a maximum character requirement of 255"),
        ("tls_ciphers", "x" * 2049, "Value should have a maximum character requirement of 2048"),
    ],
    ids=str,
)
def test_value_is_refused(api: ContractApi, name: str, value: object, reason: str) -> None:
    fault = api("POST", "/pools", asked(api.load_balancer(), **{name: value})).fault

    assert fault == (400, f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}")


@pytest.mark.parametrize("algorithm", ["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"])
def test_algorithm_can_be_chosen_and_changed(api: ContractApi, algorithm: str) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer, lb_algorithm=algorithm)

    changed = api("PUT", f"/pools/{pool['id']}", {"pool": {"lb_algorithm": "SOURCE_IP"}}).object

    assert (pool["lb_algorithm"], changed["lb_algorithm"]) == (algorithm, "SOURCE_IP")


# Deletion


def test_pool_that_a_policy_redirects_to_stays(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool, listener = api.pool(load_balancer), api.listener(load_balancer)
    policy = api.l7_policy(load_balancer, listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool["id"])

    fault = api("DELETE", f"/pools/{pool['id']}").fault

    assert fault == (409, f"Pool {pool['id']} is in use by L7 policy {policy['id']}")


def test_deletion_takes_members_and_monitor_along_and_clears_the_default(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    pool = api.pool(load_balancer, listener_id=listener["id"])
    api.member(load_balancer, pool)
    monitor = api.health_monitor(load_balancer, pool)

    deleted = api("DELETE", f"/pools/{pool['id']}")
    api.gone(f"/pools/{pool['id']}")

    assert (deleted.status, deleted.text) == (204, "")
    assert api("GET", f"/healthmonitors/{monitor['id']}").status == 404
    assert api("GET", f"/pools/{pool['id']}/members").routing_fault == (404, f"Pool {pool['id']} not found.")
    assert api.show(f"/listeners/{listener['id']}")["default_pool_id"] is None


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_pool_is_not_found(api: ContractApi, method: str, id: str) -> None:
    body = {"pool": {}} if method == "PUT" else None

    assert api(method, f"/pools/{id}", body).fault == (404, f"Pool {id} not found.")
