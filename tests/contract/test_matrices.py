"""Which protocols, types and features go together: every cell of the contract's tables."""

from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import Answer, ContractApi, Document

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

VF = "Validation failure: "
LISTENERS = ("TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "UDP", "SCTP", "PROMETHEUS")
POOLS = ("HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP", "UDP", "SCTP")
SERVED_BY = {
    "HTTP": {"HTTP", "PROXY", "PROXYV2"},
    "HTTPS": {"HTTPS", "PROXY", "PROXYV2", "TCP"},
    "TERMINATED_HTTPS": {"HTTP", "PROXY", "PROXYV2"},
    "TCP": {"HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"},
    "UDP": {"UDP"},
    "SCTP": {"SCTP"},
}
MONITORED_BY = {
    **{name: {"HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO"} for name in ("HTTP", "HTTPS", "TCP", "PROXY", "PROXYV2")},
    **{name: {"HTTP", "TCP", "UDP-CONNECT", "SCTP"} for name in ("UDP", "SCTP")},
}
MONITORS = ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP")
NO_CHILDREN = (400, "Protocol PROMETHEUS listeners cannot have child objects.")


def secret() -> str:
    return f"http://secrets/v1/secrets/{uuid4()}"


def mismatch(pool: str, listener: str) -> tuple[int, str]:
    return 400, f"{VF}The pool protocol '{pool}' is invalid while the listener protocol is '{listener}'."


def try_listener(api: ContractApi, load_balancer: Document, protocol: str, **said: object) -> Answer:
    """On a port of its own."""
    settings: Document = {"protocol_port": 443, **said}
    if protocol == "TERMINATED_HTTPS":
        settings.setdefault("default_tls_container_ref", secret())
    body = {"listener": {"loadbalancer_id": load_balancer["id"], "protocol": protocol, **settings}}
    return api("POST", "/listeners", body)


def a_listener(api: ContractApi, load_balancer: Document, protocol: str, **said: object) -> Document:
    answer = try_listener(api, load_balancer, protocol, **said)
    assert answer.status == 201, answer
    found: Document = answer.object
    return found


def try_pool(api: ContractApi, load_balancer: Document, protocol: str, **said: object) -> Answer:
    settings = {"loadbalancer_id": load_balancer["id"], "protocol": protocol, "lb_algorithm": "ROUND_ROBIN", **said}
    return api("POST", "/pools", {"pool": settings})


# Listeners and pools


@pytest.mark.parametrize("listener_protocol", SERVED_BY)
def test_a_listener_takes_the_pools_that_fit(api: ContractApi, listener_protocol: str) -> None:
    load_balancer = api.load_balancer()
    for port, pool_protocol in enumerate(POOLS, start=1):
        pool = try_pool(api, load_balancer, pool_protocol).object
        empty = a_listener(api, load_balancer, listener_protocol, protocol_port=100 + port)

        answers = {
            "created": try_listener(
                api, load_balancer, listener_protocol, protocol_port=port, default_pool_id=pool["id"]
            ),
            "changed": api("PUT", f"/listeners/{empty['id']}", {"listener": {"default_pool_id": pool["id"]}}),
            "pool created": try_pool(
                api,
                load_balancer,
                pool_protocol,
                listener_id=a_listener(api, load_balancer, listener_protocol, protocol_port=200 + port)["id"],
                loadbalancer_id=None,
            ),
            "redirected to": api(
                "POST",
                "/l7policies",
                {
                    "l7policy": {
                        "listener_id": empty["id"],
                        "action": "REDIRECT_TO_POOL",
                        "redirect_pool_id": pool["id"],
                    }
                },
            ),
        }

        if pool_protocol in SERVED_BY[listener_protocol]:
            assert {name: answer.status for name, answer in answers.items() if answer.status >= 300} == {}
        else:
            expected = mismatch(pool_protocol, listener_protocol)
            assert {name: answer.fault for name, answer in answers.items()} == dict.fromkeys(answers, expected)


def test_a_policy_is_not_changed_to_a_pool_that_does_not_fit(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = a_listener(api, load_balancer, "HTTP", protocol_port=80)
    policy = api.l7_policy(load_balancer, listener)
    pool = try_pool(api, load_balancer, "TCP").object
    change = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool["id"]}

    assert api("PUT", f"/l7policies/{policy['id']}", {"l7policy": change}).fault == mismatch("TCP", "HTTP")


def test_a_pool_of_a_graph_has_to_fit_its_listener(api: ContractApi) -> None:
    pool = {"name": "p", "protocol": "UDP", "lb_algorithm": "ROUND_ROBIN"}
    listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": pool}
    body = {"vip_subnet_id": str(uuid4()), "project_id": "p", "listeners": [listener]}

    assert api("POST", "/loadbalancers", {"loadbalancer": body}).fault == mismatch("UDP", "HTTP")


def test_a_listener_of_metrics_has_no_children(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = a_listener(api, load_balancer, "PROMETHEUS", protocol_port=9100)
    pool = try_pool(api, load_balancer, "HTTP").object
    graph = {"protocol": "PROMETHEUS", "protocol_port": 9100, "l7policies": [{"action": "REJECT"}]}
    body = {"vip_subnet_id": str(uuid4()), "project_id": "p", "listeners": [graph]}

    answers = [
        api("POST", "/l7policies", {"l7policy": {"listener_id": listener["id"], "action": "REJECT"}}),
        try_pool(api, load_balancer, "HTTP", listener_id=listener["id"], loadbalancer_id=None),
        try_listener(api, load_balancer, "PROMETHEUS", default_pool_id=pool["id"]),
        api("PUT", f"/listeners/{listener['id']}", {"listener": {"default_pool_id": pool["id"]}}),
        api("POST", "/loadbalancers", {"loadbalancer": body}),
    ]

    assert [answer.fault for answer in answers] == [NO_CHILDREN] * len(answers)


@pytest.mark.parametrize("protocol", [each for each in LISTENERS if each != "PROMETHEUS"])
def test_any_other_listener_has_policies(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    listener = a_listener(api, load_balancer, protocol)

    answer = api("POST", "/l7policies", {"l7policy": {"listener_id": listener["id"], "action": "REJECT"}})

    assert answer.status == 201, answer


# Ports


CLASSES = {"UDP": "UDP", "SCTP": "SCTP"}


@pytest.mark.parametrize("first", LISTENERS)
def test_listeners_meet_on_a_port_of_their_transport_alone(api: ContractApi, first: str) -> None:
    load_balancer = api.load_balancer()
    a_listener(api, load_balancer, first, protocol_port=443)
    words = f"Another Listener on this Load Balancer is already using protocol {first} and protocol_port 443"

    for second in LISTENERS:
        if CLASSES.get(first, "TCP") == CLASSES.get(second, "TCP"):
            assert try_listener(api, load_balancer, second).fault == (409, words), second
            assert try_listener(api, load_balancer, second, protocol_port=442).status == 201, second
            (other,) = api("GET", "/listeners?protocol_port=442").object
            api("DELETE", f"/listeners/{other['id']}")
            api.gone(f"/listeners/{other['id']}")


def test_one_port_carries_each_transport_once(api: ContractApi) -> None:
    load_balancer = api.load_balancer()

    assert [try_listener(api, load_balancer, each).status for each in ("HTTP", "UDP", "SCTP")] == [201] * 3
    assert try_listener(api, api.load_balancer(), "HTTP").status == 201


# Health monitors


@pytest.mark.parametrize("protocol", MONITORED_BY)
def test_a_pool_has_the_monitors_that_fit(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    found = {}
    for type in MONITORS:
        pool = try_pool(api, load_balancer, protocol).object
        monitor = {"pool_id": pool["id"], "type": type, "delay": 5, "timeout": 1, "max_retries": 1}
        found[type] = api("POST", "/healthmonitors", {"healthmonitor": monitor}).status

    assert {type for type, status in found.items() if status == 201} == MONITORED_BY[protocol]
    assert set(found.values()) == {201, 400}


# Features


INSERTED = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP")
OF_TLS = (
    *("X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer"),
    *("X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After"),
)


@pytest.mark.parametrize("protocol", LISTENERS)
def test_headers_are_inserted_where_http_is_understood(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    headers = dict.fromkeys(INSERTED, "true")

    answer = try_listener(api, load_balancer, protocol, insert_headers=headers)

    if protocol in ("HTTP", "TERMINATED_HTTPS"):
        assert (answer.status, answer.object["insert_headers"]) == (201, headers)
    else:
        words = f"insert-headers is not a valid option for a {protocol} protocol listener."
        assert answer.fault == (400, words)


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
def test_a_change_of_what_knows_no_connections_takes_no_headers(api: ContractApi, protocol: str) -> None:
    listener = a_listener(api, api.load_balancer(), protocol)
    change = {"insert_headers": {"X-Forwarded-For": "true"}}

    words = f"{VF}{protocol} protocol listener does not support TLS or header insertion."
    assert api("PUT", f"/listeners/{listener['id']}", {"listener": change}).fault == (400, words)


@pytest.mark.parametrize("name", OF_TLS)
def test_headers_of_tls_are_inserted_where_tls_ends(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()

    over_tls = try_listener(api, load_balancer, "TERMINATED_HTTPS", insert_headers={name: "true"})
    over_http = try_listener(api, load_balancer, "HTTP", protocol_port=80, insert_headers={name: "true"})

    assert over_tls.status == 201
    assert over_http.fault == (400, f"['{name}'] is not a valid option for HTTP protocol listener.")


@pytest.mark.parametrize("name", ["X-Forwarded-for", "X-Other", ""])
def test_other_headers_are_not_inserted(api: ContractApi, name: str) -> None:
    status, text = try_listener(api, api.load_balancer(), "HTTP", insert_headers={name: "true"}).fault

    assert status == 400
    assert text.endswith("is not a valid option for insert_headers")


@pytest.mark.parametrize("value", ["false", "perhaps", "", "x" * 255])
def test_what_is_said_of_a_header_is_free(api: ContractApi, value: str) -> None:
    created = a_listener(api, api.load_balancer(), "HTTP", insert_headers={"X-Forwarded-For": value})

    assert created["insert_headers"] == {"X-Forwarded-For": value}


@pytest.mark.parametrize("protocol", LISTENERS)
@pytest.mark.parametrize("name", ["default_tls_container_ref", "sni_container_refs"])
def test_certificates_are_for_listeners_that_end_tls(api: ContractApi, protocol: str, name: str) -> None:
    load_balancer = api.load_balancer()
    refs: Any = secret() if name.startswith("default") else [secret()]

    answer = try_listener(api, load_balancer, protocol, **{name: refs})

    if protocol in ("TERMINATED_HTTPS", "PROMETHEUS"):
        assert answer.status == 201, answer
    elif protocol in ("UDP", "SCTP"):
        assert answer.fault == (400, f"{VF}{protocol} protocol listener does not support TLS.")
    else:
        words = f"{VF}Certificate container references are not allowed on {protocol} protocol listeners."
        assert answer.fault == (400, words)


@pytest.mark.parametrize("protocol", LISTENERS)
@pytest.mark.parametrize("said", [{"hsts_max_age": 7}, {"hsts_include_subdomains": True}, {"hsts_preload": True}])
def test_hsts_is_for_listeners_that_end_tls(api: ContractApi, protocol: str, said: Document) -> None:
    answer = try_listener(api, api.load_balancer(), protocol, **{"hsts_max_age": 7, **said})

    if protocol == "TERMINATED_HTTPS":
        assert answer.status == 201, answer
    else:
        words = f"{VF}The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
        assert answer.fault == (400, words)


@pytest.mark.parametrize("protocol", LISTENERS)
def test_what_any_listener_may_have(api: ContractApi, protocol: str) -> None:
    said = {"timeout_tcp_inspect": 7, "connection_limit": 9, "allowed_cidrs": ["10.0.0.0/8"]}
    of_tls = {"tls_ciphers": "AES128-SHA", "tls_versions": ["TLSv1.2"], "alpn_protocols": ["h2"]}

    created = a_listener(api, api.load_balancer(), protocol, **said)
    with_tls = try_listener(api, api.load_balancer(), protocol, **of_tls)

    assert {name: created[name] for name in said} == said
    assert with_tls.status == 201, with_tls
    assert {name: with_tls.object[name] for name in of_tls} == of_tls


@pytest.mark.parametrize("protocol", POOLS)
def test_sessions_persist_by_what_a_pool_sees(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    name = {} if protocol in ("UDP", "SCTP") else {"cookie_name": "c"}  # there, a name is refused before its type
    cookies = ({"type": "HTTP_COOKIE"}, {"type": "APP_COOKIE", **name})

    assert try_pool(api, load_balancer, protocol, session_persistence={"type": "SOURCE_IP"}).status == 201
    for cookie in cookies:
        answer = try_pool(api, load_balancer, protocol, session_persistence=cookie)
        if protocol in ("UDP", "SCTP"):
            words = f"Session persistence of type {cookie['type']} is not supported for UDP/SCTP protocol pools."
            assert answer.fault == (400, VF + words)
        else:
            assert answer.status == 201, answer


@pytest.mark.parametrize("protocol", POOLS)
@pytest.mark.parametrize("said", [{"persistence_timeout": 7}, {"persistence_granularity": "255.255.255.0"}])
def test_persistence_is_tuned_for_datagrams_alone(api: ContractApi, protocol: str, said: Document) -> None:
    load_balancer = api.load_balancer()
    tuned = {"session_persistence": {"type": "SOURCE_IP", **said}}

    created = try_pool(api, load_balancer, protocol, **tuned)
    plain = try_pool(api, load_balancer, protocol).object
    changed = api("PUT", f"/pools/{plain['id']}", {"pool": tuned})

    words = f"{VF}persistence_timeout and persistence_granularity is only for UDP"
    if protocol in ("UDP", "SCTP"):
        assert (created.status, changed.status) == (201, 200)
    else:
        assert created.fault == (400, f"{words} and SCTP protocol pools.")
        assert changed.fault == (400, f"{words} protocol pools.")


@pytest.mark.parametrize("protocol", POOLS)
def test_what_any_pool_may_have(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    of_tls = {"tls_enabled": True, "tls_container_ref": secret()}

    assert try_pool(api, load_balancer, protocol, lb_algorithm="SOURCE_IP_PORT").status == 201
    assert try_pool(api, load_balancer, protocol, **of_tls).status == 201


# TLS

CIPHERS = (
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
    "DHE-RSA-CHACHA20-POLY1305"
)
DEFAULTS = {
    "tls_versions": ["TLSv1.2", "TLSv1.3"],
    "alpn_protocols": ["h2", "http/1.1", "http/1.0"],
    "tls_ciphers": CIPHERS,
}
KINDS = ("listener", "pool")


def with_tls(api: ContractApi, kind: str, **said: object) -> Answer:
    load_balancer = api.load_balancer()
    if kind == "listener":
        return try_listener(api, load_balancer, "TERMINATED_HTTPS", **said)
    return try_pool(api, load_balancer, "HTTP", tls_enabled=True, **said)


@pytest.mark.parametrize("kind", KINDS)
def test_tls_has_its_defaults(api: ContractApi, kind: str) -> None:
    created = with_tls(api, kind).object

    assert {name: created[name] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            {"tls_ciphers": "AES 128"},
            f"{VF}Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed.",
        ),
        (
            {"tls_versions": []},
            f"{VF}Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the"
            " default.",
        ),
        ({"tls_versions": ["TLSv1.4", "TLSv1.2", "x"]}, f"{VF}Invalid TLS versions: TLSv1.4, x"),
        (
            {"alpn_protocols": []},
            f"{VF}Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use"
            " the default.",
        ),
    ],
    ids=["ciphers", "no version", "unknown versions", "no protocol"],
)
def test_tls_is_refused_what_it_cannot_be(api: ContractApi, kind: str, said: Document, words: str) -> None:
    created = with_tls(api, kind, **said)
    there = with_tls(api, kind).object
    changed = api("PUT", f"/{kind}s/{there['id']}", {kind: said})

    assert created.fault == changed.fault == (400, words)


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_protocol_id_is_a_wrong_value(api: ContractApi, kind: str) -> None:
    status, text = with_tls(api, kind, alpn_protocols=["h2", "spdy"]).fault

    assert status == 400
    assert text.startswith("Invalid input for field/attribute alpn_protocols. Value: '")
    assert text.endswith("Value should be a valid ALPN protocol ID")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"])
def test_any_known_version_will_do_unless_there_is_a_minimum(api: ContractApi, kind: str, version: str) -> None:
    free = with_tls(api, kind, tls_versions=[version])
    api.set(minimum_tls_version="TLSv1.2")
    bound = with_tls(api, kind, tls_versions=[version])

    assert free.object["tls_versions"] == [version]
    if version >= "TLSv1.2":
        assert bound.status == 201
    else:
        words = f"{VF}Requested TLS versions are less than the minimum: {version} < TLSv1.2"
        assert bound.fault == (400, words)


@pytest.mark.parametrize("kind", KINDS)
def test_ciphers_may_be_prohibited(api: ContractApi, kind: str) -> None:
    api.set(tls_cipher_prohibit_list="AES128-SHA:RC4")

    refused = with_tls(api, kind, tls_ciphers="AES256-SHA:RC4:AES128-SHA")

    status, text = refused.fault
    start, _, named = text.rpartition(": ")
    assert (status, start) == (400, f"{VF}The following ciphers have been prohibited by an administrator")
    assert set(named.split(", ")) == {"RC4", "AES128-SHA"}
    assert with_tls(api, kind, tls_ciphers="AES256-SHA").status == 201


@pytest.mark.parametrize("said", ["NONE", "OPTIONAL", "MANDATORY"])
def test_clients_may_have_to_show_certificates(api: ContractApi, said: str) -> None:
    created = try_listener(
        api,
        api.load_balancer(),
        "TERMINATED_HTTPS",
        client_authentication=said,
        client_ca_tls_container_ref=secret(),
    )

    assert (created.status, created.object["client_authentication"]) == (201, said)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["tls_ciphers", "tls_versions", "alpn_protocols"])
def test_defaults_of_tls_are_the_operators(api: ContractApi, name: str, kind: str) -> None:
    option, value = {
        "tls_ciphers": (f"default_{kind}_ciphers", "AES256-SHA"),
        "tls_versions": (f"default_{kind}_tls_versions", ["TLSv1.3"]),
        "alpn_protocols": (f"default_{kind}_alpn_protocols", ["http/1.1"]),
    }[name]
    api.set(**{option: value})

    assert with_tls(api, kind).object[name] == value
