"""What a pool may be told, which listeners it can serve, and how clients stay with a member."""

from typing import Any

import pytest

from domain.errors import Invalid, ProtocolMismatch
from domain.listener import ListenerProtocol
from domain.pool import PoolProtocol, SessionPersistence, SessionPersistenceType, require_protocols_fit
from tests.given import a_listener, a_pool

VF = "Validation failure: "
ONLY_FOR_DATAGRAMS = "persistence_timeout and persistence_granularity is only for "
SOURCE_IP, HTTP_COOKIE, APP_COOKIE = SessionPersistenceType
CONNECTIONLESS = [protocol for protocol in PoolProtocol if protocol.is_connectionless]
CONNECTED = [protocol for protocol in PoolProtocol if not protocol.is_connectionless]

SERVED = {
    "HTTP": "HTTP PROXY PROXYV2",
    "HTTPS": "HTTPS PROXY PROXYV2 TCP",
    "TERMINATED_HTTPS": "HTTP PROXY PROXYV2",
    "TCP": "HTTP HTTPS PROXY PROXYV2 TCP",
    "UDP": "UDP",
    "SCTP": "SCTP",
    "PROMETHEUS": "",
}


@pytest.mark.parametrize("listener", ListenerProtocol)
@pytest.mark.parametrize("pool", PoolProtocol)
def test_pool_serves_listeners_whose_protocol_it_can_carry(listener: ListenerProtocol, pool: PoolProtocol) -> None:
    if pool.value in SERVED[listener].split():
        require_protocols_fit(a_listener(protocol=listener), a_pool(protocol=pool))
        return
    with pytest.raises(ProtocolMismatch) as refusal:
        require_protocols_fit(a_listener(protocol=listener), a_pool(protocol=pool))
    assert str(refusal.value) == (
        f"{VF}The pool protocol '{pool}' is invalid while the listener protocol is '{listener}'."
    )


# Session persistence


def persistence(type: SessionPersistenceType, **said: Any) -> SessionPersistence:
    return SessionPersistence(type=type, **said)


def refused(protocol: PoolProtocol, wanted: SessionPersistence) -> str:
    with pytest.raises(Invalid) as refusal:
        a_pool(protocol=protocol, session_persistence=wanted).require_consistent()
    return str(refusal.value)


@pytest.mark.parametrize("protocol", PoolProtocol)
def test_every_pool_keeps_clients_by_their_address(protocol: PoolProtocol) -> None:
    a_pool(protocol=protocol, session_persistence=persistence(SOURCE_IP)).require_consistent()


@pytest.mark.parametrize("protocol", CONNECTED)
def test_pools_of_connections_keep_clients_by_cookies(protocol: PoolProtocol) -> None:
    a_pool(protocol=protocol, session_persistence=persistence(HTTP_COOKIE)).require_consistent()
    a_pool(protocol=protocol, session_persistence=persistence(APP_COOKIE, cookie_name="a")).require_consistent()


@pytest.mark.parametrize("protocol", CONNECTIONLESS)
def test_pools_of_datagrams_keep_clients_for_a_time_and_by_network(protocol: PoolProtocol) -> None:
    wanted = persistence(SOURCE_IP, persistence_timeout=60, persistence_granularity="255.255.255.0")

    a_pool(protocol=protocol, session_persistence=wanted).require_consistent()


@pytest.mark.parametrize("protocol", CONNECTIONLESS)
@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (
            persistence(SOURCE_IP, cookie_name="a"),
            "session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, persistence_timeout,"
            " persistence_granularity.",
        ),
        (persistence(APP_COOKIE, cookie_name="a"), "Cookie names are not supported for UDP/SCTP pools."),
        (persistence(HTTP_COOKIE, cookie_name="a"), "Cookie names are not supported for UDP/SCTP pools."),
        (
            persistence(HTTP_COOKIE),
            "Session persistence of type HTTP_COOKIE is not supported for UDP/SCTP protocol pools.",
        ),
        (
            persistence(APP_COOKIE),
            "Session persistence of type APP_COOKIE is not supported for UDP/SCTP protocol pools.",
        ),
    ],
    ids=["address and name", "name", "name of ours", "cookie of ours", "cookie of theirs"],
)
def test_datagrams_have_no_cookies(protocol: PoolProtocol, wanted: SessionPersistence, text: str) -> None:
    assert refused(protocol, wanted) == VF + text


@pytest.mark.parametrize("protocol", CONNECTED)
@pytest.mark.parametrize("type", SessionPersistenceType)
@pytest.mark.parametrize("said", [{"persistence_timeout": 1}, {"persistence_granularity": "255.0.0.0"}], ids=list)
def test_connections_know_no_time_and_no_network(
    protocol: PoolProtocol, type: SessionPersistenceType, said: dict[str, Any]
) -> None:
    assert refused(protocol, persistence(type, **said)) == f"{VF}{ONLY_FOR_DATAGRAMS}UDP and SCTP protocol pools."


@pytest.mark.parametrize("type", [SOURCE_IP, HTTP_COOKIE])
def test_only_an_applications_cookie_has_a_name(type: SessionPersistenceType) -> None:
    assert refused(PoolProtocol.HTTP, persistence(type, cookie_name="a")) == (
        f'{VF}Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".'
    )


def test_an_applications_cookie_has_a_name() -> None:
    assert refused(PoolProtocol.HTTP, persistence(APP_COOKIE)) == (
        f'{VF}Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.'
    )


@pytest.mark.parametrize(
    "character", [*map(chr, range(0x21)), *'"(),/:;<=>?@[\\]{}', "\x7f"], ids=lambda c: hex(ord(c))
)
def test_characters_that_end_a_cookie_name_are_refused(character: str) -> None:
    wanted = persistence(APP_COOKIE, cookie_name=f"a{character}b")

    assert refused(PoolProtocol.HTTP, wanted) == f'{VF}Supplied "cookie_name" is invalid.'


@pytest.mark.parametrize("character", "!#$%&'*+-.^_`|~09azAZ")
def test_other_characters_may_stand_in_a_cookie_name(character: str) -> None:
    wanted = persistence(APP_COOKIE, cookie_name=character)

    a_pool(session_persistence=wanted).require_consistent()


# TLS to members


def test_revocations_need_an_authority() -> None:
    with pytest.raises(Invalid) as refusal:
        a_pool(crl_container_ref="crl").require_consistent()

    assert str(refusal.value) == f"{VF}A CA certificate reference is required to specify a revocation list."
    a_pool(crl_container_ref="crl", ca_tls_container_ref="ca").require_consistent()


def test_an_empty_list_of_alpn_protocols_is_refused_where_there_is_tls() -> None:
    with pytest.raises(Invalid, match="Empty ALPN protocol list"):
        a_pool(tls_enabled=True, alpn_protocols=()).require_consistent()

    a_pool(tls_enabled=False, alpn_protocols=()).require_consistent()


# Changes

CRL = {"ca_tls_container_ref": "ca", "crl_container_ref": "crl"}
COOKIE = {"session_persistence": persistence(APP_COOKIE, cookie_name="a")}
CHANGES_REFUSED: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    (
        "revocations without an authority",
        {},
        {"crl_container_ref": "crl"},
        "A CA reference is required to specify a certificate revocation list.",
    ),
    (
        "revocations that lose their authority",
        CRL,
        {"ca_tls_container_ref": None},
        "A CA reference cannot be removed when a certificate revocation list is present.",
    ),
    (
        "revocations whose authority is taken at the same time",
        {},
        {"ca_tls_container_ref": None, "crl_container_ref": "crl"},
        "A CA reference is required to specify a certificate revocation list.",
    ),
    (
        "nothing to speak",
        {},
        {"alpn_protocols": ()},
        "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the"
        " default.",
    ),
    ("persistence of no type", {}, {"session_persistence": {}}, "Invalid session_persistence provided."),
    (
        "a name and no type",
        {},
        {"session_persistence": {"cookie_name": "a"}},
        "Invalid session_persistence provided.",
    ),
    *(
        (
            f"{name} of connections",
            {},
            {"session_persistence": {"type": SOURCE_IP, name: value}},
            f"{ONLY_FOR_DATAGRAMS}UDP protocol pools.",
        )
        for name, value in {"persistence_timeout": 1, "persistence_granularity": "255.0.0.0"}.items()
    ),
]


@pytest.mark.parametrize(
    ("given", "changes", "text"), [case[1:] for case in CHANGES_REFUSED], ids=[case[0] for case in CHANGES_REFUSED]
)
def test_change_of_a_pool_is_refused(given: dict[str, Any], changes: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        a_pool(**given).changed_by(changes)

    assert str(refusal.value) == VF + text


def test_a_type_alone_loses_the_name() -> None:
    changed = a_pool(**COOKIE).changed_by({"session_persistence": {"type": APP_COOKIE}})

    with pytest.raises(Invalid, match='Field "cookie_name" must be specified'):
        changed.require_persistence_fits()


def test_persistence_without_a_type_keeps_the_one_there_is() -> None:
    changed = a_pool(**COOKIE).changed_by({"session_persistence": {"cookie_name": "b"}})

    assert changed.session_persistence == persistence(APP_COOKIE, cookie_name="b")


def test_persistence_can_be_taken_back() -> None:
    assert a_pool(**COOKIE).changed_by({"session_persistence": None}).session_persistence is None


def test_authority_and_revocations_can_go_together() -> None:
    changed = a_pool(**CRL).changed_by(dict.fromkeys(CRL))

    assert (changed.ca_tls_container_ref, changed.crl_container_ref) == (None, None)
