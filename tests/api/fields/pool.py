"""Fields of pools and of their session persistence, as the contract has them (section 8.2)."""

from typing import Any

from tests.api.fields.field import (
    ABSENT,
    MISSING,
    NOT_TEXT,
    TOO_LONG,
    Good,
    Refused,
    choice,
    choice_of_alpn,
    choice_of_versions,
    ciphers,
    elsewhere,
    not_a_list,
    parent,
    project,
    row,
    secret,
    tags,
    text,
    truth,
)
from tests.api.fields.listener import DEFAULT_ALPN, DEFAULT_CIPHERS, DEFAULT_VERSIONS, REF

POOL = "pool"
NEITHER = Refused("Validation failure: Must provide at least one of: loadbalancer_id, listener_id")
ALL_KEYS = dict.fromkeys(("type", "cookie_name", "persistence_timeout", "persistence_granularity"))
TLS = {"tls_enabled": True}
TO_NOTHING = {"absent": None, "on_post": None, "on_put": None}
NO_COOKIE = Refused(
    'Validation failure: Field "cookie_name" must be specified when using the "APP_COOKIE" session persistence type.'
)
COOKIE_OF_OTHERS = Refused(
    'Validation failure: Field "cookie_name" can only be specified with session persistence of type "APP_COOKIE".'
)
INVALID_COOKIE = Refused('Validation failure: Supplied "cookie_name" is invalid.')
ONLY_FOR_DATAGRAMS = "persistence_timeout and persistence_granularity is only for {} protocol pools."
OF_DATAGRAMS: list[dict[str, Any]] = [{"persistence_timeout": 5}, {"persistence_granularity": "255.255.255.0"}]
NOT_FOR_DATAGRAMS = "Validation failure: Session persistence of type {} is not supported for UDP/SCTP protocol pools."


def persistence(**said: Any) -> Good:
    return Good(said, {**ALL_KEYS, **said})


def app_cookie(name: Any) -> dict[str, Any]:
    return {"type": "APP_COOKIE", "cookie_name": name}


WRONG_TYPES = [
    *((wrong, Refused("")) for wrong in ("SOURCE_IP", 3, [])),
    *(({"type": wrong}, Refused("Value should be one of: ")) for wrong in ("LOOM", "", 3, "source_ip")),
    ({"type": None}, Refused("")),
    ({"type": "SOURCE_IP", "loom": 1}, Refused("Unknown attribute for argument")),
]

FIELDS = [
    text(POOL, "name"),
    text(POOL, "description"),
    truth(POOL, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(POOL),
    project(POOL, "project_id"),
    project(POOL, "tenant_id"),
    parent(
        *(POOL, "loadbalancer_id", "loadbalancer", "Load Balancer", "loadbalancers"),
        **{"absent": NEITHER, "on_post": NEITHER},
    ),
    parent(
        *(POOL, "listener_id", "listener", "Listener", "listeners"),
        **{"absent": NEITHER, "on_post": NEITHER, "beside": {"loadbalancer_id": ABSENT}},
    ),
    choice(
        *(POOL, "protocol", ["HTTP", "HTTPS", "TCP", "PROXY", "PROXYV2", "UDP", "SCTP"]),
        **{"absent": MISSING, "on_post": Refused(""), "fixed": True},
    ),
    choice(
        *(POOL, "lb_algorithm", ["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"]),
        **{"absent": MISSING, "on_post": Refused(""), "on_put": Refused("")},
    ),
    row(
        *(POOL, "session_persistence"),
        [
            *(persistence(type=kind) for kind in ("SOURCE_IP", "HTTP_COOKIE")),
            *(persistence(**app_cookie(name)) for name in ("loom", "x" * 255, "!#$%&'*+-.^_`|~9")),
            Good({"type": "SOURCE_IP", **dict.fromkeys(list(ALL_KEYS)[1:])}, {**ALL_KEYS, "type": "SOURCE_IP"}),
        ],
        [
            *WRONG_TYPES,
            ({"type": "APP_COOKIE"}, NO_COOKIE),
            (app_cookie(None), NO_COOKIE),
            ({"type": "SOURCE_IP", "cookie_name": "x"}, COOKIE_OF_OTHERS),
            ({"type": "HTTP_COOKIE", "cookie_name": "x"}, COOKIE_OF_OTHERS),
            *(
                (app_cookie(wrong), Refused("Value should match the pattern"))
                for wrong in ("", "a b", "a;", "a\\", "a\n")
            ),
            *((app_cookie(wrong), INVALID_COOKIE) for wrong in ('"', "(", "/", "=", "[", "}", "a\x7f", "a\x01")),
            *((app_cookie(wrong), Refused(NOT_TEXT)) for wrong in (3, [])),
            (app_cookie("x" * 256), Refused(TOO_LONG.format(255))),
        ],
        bad_on_post=[
            ({}, Refused("Mandatory field missing.")),
            *(
                ({"type": "SOURCE_IP", **said}, Refused(ONLY_FOR_DATAGRAMS.format("UDP and SCTP")))
                for said in OF_DATAGRAMS
            ),
        ],
        bad_on_put=[
            *(({"type": "SOURCE_IP", **said}, Refused(ONLY_FOR_DATAGRAMS.format("UDP"))) for said in OF_DATAGRAMS),
        ],
        **TO_NOTHING,
    ),
    *(
        row(
            *(POOL, "session_persistence"),
            [
                persistence(type="SOURCE_IP"),
                persistence(type="SOURCE_IP", persistence_timeout=0),
                persistence(type="SOURCE_IP", persistence_timeout=300, persistence_granularity="255.255.255.0"),
            ],
            [
                *WRONG_TYPES,
                *(({"type": kind}, Refused(NOT_FOR_DATAGRAMS.format(kind))) for kind in ("HTTP_COOKIE", "APP_COOKIE")),
                (app_cookie("x"), Refused("Validation failure: Cookie names are not supported for UDP/SCTP pools.")),
                (
                    {"type": "SOURCE_IP", "cookie_name": "x"},
                    Refused("session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts: type, "),
                ),
                *(({"type": "SOURCE_IP", "persistence_timeout": wrong}, Refused("int()")) for wrong in ("x", "", [])),
                *(
                    ({"type": "SOURCE_IP", "persistence_granularity": wrong}, Refused("Value should be "))
                    for wrong in ("x", "", 3, "255.255.255.256")
                ),
            ],
            **{**TO_NOTHING, "beside": {"protocol": protocol}, "where": f"of {protocol}"},
        )
        for protocol in ("UDP", "SCTP")
    ),
    elsewhere(
        POOL, "members", empty=[[]], shown=[], bad=[([{"address": "1.1.1.1"}], Refused("")), *not_a_list("x", 3)]
    ),
    elsewhere(
        POOL, "healthmonitor", empty=[], shown=None, bad=[(wrong, Refused("")) for wrong in ({"type": "TCP"}, "x", 3)]
    ),
    # TLS
    truth(POOL, "tls_enabled", absent=False, on_post=False, on_put=Refused("")),
    secret(POOL, "tls_container_ref", beside=TLS),
    secret(POOL, "tls_container_ref", where="without TLS"),
    secret(POOL, "ca_tls_container_ref", beside=TLS),
    secret(POOL, "crl_container_ref", beside={**TLS, "ca_tls_container_ref": REF}),
    row(
        *(POOL, "crl_container_ref", [], []),
        bad_on_post=[(REF, Refused("A CA certificate reference is required to specify a revocation list."))],
        bad_on_put=[(REF, Refused("A CA reference is required to specify a certificate revocation list."))],
        **{**TO_NOTHING, "where": "without CA"},
    ),
    ciphers(POOL, absent=DEFAULT_CIPHERS, on_post=DEFAULT_CIPHERS, on_put=DEFAULT_CIPHERS, beside=TLS),
    ciphers(POOL, absent=None, on_post=None, on_put=DEFAULT_CIPHERS, where="without TLS"),
    choice_of_versions(POOL, absent=DEFAULT_VERSIONS, on_post=DEFAULT_VERSIONS, on_put=DEFAULT_VERSIONS, beside=TLS),
    row(
        *(POOL, "tls_versions", [["TLSv1.2"]], []),
        bad_on_put=[([], Refused("Validation failure: Empty TLS version list."))],
        **{"absent": None, "on_post": None, "on_put": DEFAULT_VERSIONS, "where": "without TLS"},
    ),
    choice_of_alpn(POOL, absent=DEFAULT_ALPN, on_post=DEFAULT_ALPN, on_put=None, beside=TLS),
    row(
        *(POOL, "alpn_protocols", [["http/1.0"]], []),
        bad_on_put=[([], Refused("Validation failure: Empty ALPN protocol list."))],
        **{**TO_NOTHING, "where": "without TLS"},
    ),
]
