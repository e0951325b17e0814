"""What a listener may be told, alone and together with its load balancer: texts and order are the contract's."""

from typing import Any

import pytest

from domain.errors import Invalid
from domain.listener import INSERTED_HEADERS, INSERTED_TLS_HEADERS, Listener, ListenerProtocol
from domain.tls import Alpn, ClientAuthentication
from tests.given import a_listener

TLS = {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "ref"}
VF = "Validation failure: "
CHILDREN = "cannot have child objects."
CERTIFICATES = "Certificate container references are not allowed on {} protocol listeners."
NO_AUTHORITY = "Client authentication setting {} requires a client CA container reference."
NO_AUTHORITY_FOR_REVOCATIONS = (
    "A client authentication CA reference is required to specify a client authentication revocation list."
)
NO_ALPN = (
    "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default."
)
HSTS_ELSEWHERE = "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
HSTS_FLAGS = "hsts_include_subdomains and hsts_preload"
HSTS_WITHOUT_AGE = f"HSTS configuration options {HSTS_FLAGS} only make sense if hsts_max_age is set as well."
MISSING = "An SNI or default certificate container reference must be provided "
X_SSL = {"X-SSL-Client-CN": "true"}


def words(case: tuple[dict[str, Any], str]) -> str:
    said, text = case
    return f"{said.get('protocol', 'HTTP')} {' '.join(key for key in said if key != 'protocol')} {text[:24]}"


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(
        (
            {"protocol": protocol, "insert_headers": {"X-Forwarded-For": "true"}},
            f"insert-headers is not a valid option for a {protocol} protocol listener.",
        )
        for protocol in ("TCP", "HTTPS", "UDP", "SCTP", "PROMETHEUS")
    ),
    ({"insert_headers": {"X-Loom": "true"}}, "['X-Loom'] is not a valid option for insert_headers"),
    ({"insert_headers": {"x-forwarded-for": "1"}}, "['x-forwarded-for'] is not a valid option for insert_headers"),
    ({"insert_headers": X_SSL}, "['X-SSL-Client-CN'] is not a valid option for HTTP protocol listener."),
    *(
        ({"protocol": protocol, name: value}, f"{VF}{protocol} protocol listener does not support TLS.")
        for protocol in ("UDP", "SCTP")
        for name, value in {
            "default_tls_container_ref": "ref",
            "sni_container_refs": ("ref",),
            "client_ca_tls_container_ref": "ref",
            "client_crl_container_ref": "ref",
        }.items()
    ),
    *(
        ({"protocol": protocol, name: value}, VF + CERTIFICATES.format(protocol))
        for protocol in ("TCP", "HTTP", "HTTPS")
        for name, value in {"default_tls_container_ref": "ref", "sni_container_refs": ("ref",)}.items()
    ),
    *(
        (
            {"protocol": protocol, "client_ca_tls_container_ref": "ref"},
            f"{VF}{MISSING}with a client CA container reference.",
        )
        for protocol in ("TERMINATED_HTTPS", "HTTP", "PROMETHEUS")
    ),
    ({"protocol": "TERMINATED_HTTPS"}, f"{VF}{MISSING}for TERMINATED_HTTPS protocol listeners."),
    ({**TLS, "client_authentication": ClientAuthentication.OPTIONAL}, VF + NO_AUTHORITY.format("OPTIONAL")),
    ({**TLS, "client_authentication": ClientAuthentication.MANDATORY}, VF + NO_AUTHORITY.format("MANDATORY")),
    ({"client_authentication": ClientAuthentication.OPTIONAL}, VF + NO_AUTHORITY.format("OPTIONAL")),
    ({**TLS, "client_crl_container_ref": "ref"}, VF + NO_AUTHORITY_FOR_REVOCATIONS),
    ({"client_crl_container_ref": "ref"}, VF + NO_AUTHORITY_FOR_REVOCATIONS),
    ({**TLS, "alpn_protocols": ()}, VF + NO_ALPN),
    ({**TLS, "protocol": "PROMETHEUS", "alpn_protocols": ()}, VF + NO_ALPN),
    ({**TLS, "hsts_include_subdomains": True}, VF + HSTS_WITHOUT_AGE),
    ({**TLS, "hsts_preload": True}, VF + HSTS_WITHOUT_AGE),
    ({"hsts_preload": True}, VF + HSTS_WITHOUT_AGE),
    *(
        ({"protocol": protocol, "hsts_max_age": 60}, VF + HSTS_ELSEWHERE)
        for protocol in ("TCP", "HTTP", "HTTPS", "UDP", "SCTP", "PROMETHEUS")
    ),
    ({**TLS, "protocol": "PROMETHEUS", "hsts_max_age": 60}, VF + HSTS_ELSEWHERE),
]


@pytest.mark.parametrize(("said", "text"), REFUSED, ids=map(words, REFUSED))
def test_new_listener_is_refused(said: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        a_listener(**said).require_consistent()

    assert str(refusal.value) == text


ACCEPTED: list[dict[str, Any]] = [
    *({"protocol": protocol} for protocol in ListenerProtocol if protocol != ListenerProtocol.TERMINATED_HTTPS),
    {"insert_headers": dict.fromkeys(INSERTED_HEADERS, "true")},
    {**TLS, "insert_headers": dict.fromkeys(INSERTED_HEADERS | INSERTED_TLS_HEADERS, "false")},
    {"protocol": "TERMINATED_HTTPS", "sni_container_refs": ("ref",)},
    {**TLS, "protocol": "PROMETHEUS"},
    {
        **TLS,
        "client_ca_tls_container_ref": "ref",
        "client_crl_container_ref": "ref",
        "client_authentication": ClientAuthentication.MANDATORY,
    },
    {**TLS, "alpn_protocols": (Alpn.H2,)},
    {**TLS, "hsts_max_age": 0, "hsts_include_subdomains": True, "hsts_preload": True},
    {"alpn_protocols": (), "tls_versions": (), "tls_ciphers": ""},  # kept without effect where there is no TLS
    {"protocol": "TCP", "timeout_tcp_inspect": 5, "connection_limit": 7, "allowed_cidrs": ("10.0.0.0/8",)},
]


@pytest.mark.parametrize("said", ACCEPTED, ids=[f"{n} {' '.join(said)}" for n, said in enumerate(ACCEPTED)])
def test_new_listener_is_accepted(said: dict[str, Any]) -> None:
    a_listener(**said).require_consistent()


def test_every_header_has_its_place() -> None:
    assert not INSERTED_HEADERS & INSERTED_TLS_HEADERS
    assert len(INSERTED_HEADERS) == 6
    assert len(INSERTED_TLS_HEADERS) == 8


# Changes

MUTUAL = {
    **TLS,
    "client_ca_tls_container_ref": "ca",
    "client_crl_container_ref": "crl",
    "client_authentication": ClientAuthentication.OPTIONAL,
}
CHANGES_REFUSED: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    *(
        (
            {"protocol": protocol},
            {name: value},
            f"{VF}{protocol} protocol listener does not support TLS or header insertion.",
        )
        for protocol in ("UDP", "SCTP")
        for name, value in {
            "insert_headers": {"X-Real-IP": "true"},
            "default_tls_container_ref": "ref",
            "sni_container_refs": ("ref",),
            "client_ca_tls_container_ref": "ref",
            "client_crl_container_ref": "ref",
        }.items()
    ),
    *(
        ({"protocol": protocol}, {name: value}, VF + CERTIFICATES.format(protocol))
        for protocol in ("TCP", "HTTP", "HTTPS")
        for name, value in {"default_tls_container_ref": "ref", "sni_container_refs": ("ref",)}.items()
    ),
    (TLS, {"client_authentication": ClientAuthentication.MANDATORY}, VF + NO_AUTHORITY.format("MANDATORY")),
    ({}, {"client_authentication": ClientAuthentication.OPTIONAL}, VF + NO_AUTHORITY.format("OPTIONAL")),
    (
        {**MUTUAL, "client_crl_container_ref": None},
        {"client_ca_tls_container_ref": None},
        VF + NO_AUTHORITY.format("OPTIONAL"),
    ),
    (
        {"protocol": "TCP"},
        {"insert_headers": {"X-Real-IP": "true"}},
        "insert-headers is not a valid option for a TCP protocol listener.",
    ),
    ({}, {"insert_headers": {"X-Loom": "true"}}, "['X-Loom'] is not a valid option for insert_headers"),
    ({}, {"insert_headers": X_SSL}, "['X-SSL-Client-CN'] is not a valid option for HTTP protocol listener."),
    (TLS, {"client_crl_container_ref": "ref"}, VF + NO_AUTHORITY_FOR_REVOCATIONS),
    (
        {**MUTUAL, "client_authentication": ClientAuthentication.NONE},
        {"client_ca_tls_container_ref": None},
        VF + NO_AUTHORITY_FOR_REVOCATIONS,
    ),
    (TLS, {"alpn_protocols": ()}, VF + NO_ALPN),
    ({}, {"alpn_protocols": ()}, VF + NO_ALPN),
    *(
        (
            TLS,
            {name: True},
            f"{VF}Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well.",
        )
        for name in ("hsts_include_subdomains", "hsts_preload")
    ),
    ({}, {"hsts_max_age": 60}, VF + HSTS_ELSEWHERE),
]


def changed_by(listener: Listener, changes: dict[str, Any]) -> Listener:
    """In the two steps in which it is said."""
    changed = listener.changed_by(changes)
    changed.require_tls_change_fits(changes)
    return changed


@pytest.mark.parametrize(
    ("given", "changes", "text"),
    CHANGES_REFUSED,
    ids=[f"{words((given, text))} {' '.join(changes)}" for given, changes, text in CHANGES_REFUSED],
)
def test_change_of_a_listener_is_refused(given: dict[str, Any], changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        changed_by(a_listener(**given), changes)

    assert str(refusal.value) == text


CHANGES_ACCEPTED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"protocol": "UDP"}, {"name": "datagrams", "insert_headers": {}}),
    (TLS, {"default_tls_container_ref": None, "sni_container_refs": ()}),
    ({"protocol": "PROMETHEUS"}, {"default_tls_container_ref": "ref"}),
    (TLS, {"client_ca_tls_container_ref": "ca", "client_authentication": ClientAuthentication.MANDATORY}),
    (
        MUTUAL,
        {
            "client_ca_tls_container_ref": None,
            "client_crl_container_ref": None,
            "client_authentication": ClientAuthentication.NONE,
        },
    ),
    (MUTUAL, {"client_authentication": ClientAuthentication.NONE}),
    (TLS, {"hsts_max_age": 60, "hsts_preload": True}),
    ({**TLS, "hsts_max_age": 60}, {"hsts_preload": True}),
    ({**TLS, "hsts_max_age": 60}, {"hsts_max_age": None}),
    ({**TLS, "hsts_max_age": 60, "hsts_preload": True}, {"hsts_max_age": None}),
    ({**TLS, "hsts_preload": True}, {"name": "HSTS was taken back"}),
    ({"insert_headers": {"X-Real-IP": "true"}}, {"insert_headers": {}}),
]


@pytest.mark.parametrize(
    ("given", "changes"),
    CHANGES_ACCEPTED,
    ids=[f"{given.get('protocol', 'HTTP')} {changes}"[:70] for given, changes in CHANGES_ACCEPTED],
)
def test_change_of_a_listener_is_accepted(given: dict[str, Any], changes: dict[str, Any]) -> None:
    listener = a_listener(**given)

    changed = changed_by(listener, changes)

    assert {name: getattr(changed, name) for name in changes} == changes
    assert (changed.id, changed.protocol) == (listener.id, listener.protocol)


def test_null_for_client_authentication_demands_no_authority_once_it_stands_for_none() -> None:
    assert a_listener(**TLS).changed_by({"client_authentication": ClientAuthentication.NONE})


# Ports


@pytest.mark.parametrize("one", ListenerProtocol)
@pytest.mark.parametrize("other", ListenerProtocol)
def test_only_udp_and_sctp_have_ports_of_their_own(one: ListenerProtocol, other: ListenerProtocol) -> None:
    apart = {ListenerProtocol.UDP, ListenerProtocol.SCTP}
    shared = one == other or not {one, other} & apart

    assert a_listener(protocol=one).clashes_with(a_listener(protocol=other)) == shared
    assert not a_listener(protocol=one).clashes_with(a_listener(protocol=other, protocol_port=81))


# Clients and certificates


@pytest.mark.parametrize(
    ("addresses", "cidr", "is_reached"),
    [
        (["10.0.0.7"], "192.168.0.0/16", True),
        (["10.0.0.7"], "2001:db8::/32", False),
        (["2001:db8::7"], "2001:db8::/32", True),
        (["2001:db8::7"], "0.0.0.0/0", False),
        (["10.0.0.7", "2001:db8::7"], "2001:db8::/32", True),
        (["2001:db8::7", "10.0.0.7"], "10.0.0.0/8", True),
    ],
    ids=lambda value: str(value),
)
def test_networks_may_connect_that_have_an_address_of_their_version(
    addresses: list[str], cidr: str, is_reached: bool
) -> None:
    listener = a_listener(allowed_cidrs=(cidr,))

    if is_reached:
        listener.require_clients_can_reach(addresses)
        return
    with pytest.raises(Invalid) as refusal:
        listener.require_clients_can_reach(addresses)
    assert str(refusal.value) == f"{VF}CIDR {cidr} IP version incompatible with all VIPs {addresses} IP version."


def test_a_listener_shows_its_default_certificate_first() -> None:
    assert a_listener(**TLS, sni_container_refs=("b", "a")).certificates == ("ref", "b", "a")
    assert a_listener().certificates == ()


@pytest.mark.parametrize(
    ("said", "terminates"),
    [({"protocol": "PROMETHEUS"}, False), ({**TLS, "protocol": "PROMETHEUS"}, True), (TLS, True), ({}, False)],
    ids=["metrics", "metrics with a certificate", "TLS", "HTTP"],
)
def test_tls_ends_where_there_is_a_certificate(said: dict[str, Any], terminates: bool) -> None:
    assert a_listener(**said).terminates_tls == terminates


@pytest.mark.parametrize("protocol", ListenerProtocol)
def test_only_what_shows_metrics_has_no_children(protocol: ListenerProtocol) -> None:
    listener = a_listener(protocol=protocol)

    if protocol != ListenerProtocol.PROMETHEUS:
        listener.require_children_allowed()
        return
    with pytest.raises(Invalid) as refusal:
        listener.require_children_allowed()
    assert str(refusal.value) == f"Protocol PROMETHEUS listeners {CHILDREN}"


def test_a_detached_listener_differs_in_nothing_else() -> None:
    listener = a_listener(**TLS, name="annals", default_pool_id=a_listener().id)

    detached = listener.detached()

    assert detached == Listener(**{**vars(listener), "default_pool_id": None})
