"""Fields of listeners, as the contract has them (sections 6.4 to 6.6 and 8.1)."""

from typing import Any

from tests.api.fields.field import (
    MISSING,
    NOT_TEXT,
    TOO_LONG,
    UNKNOWN_ID,
    Good,
    Refused,
    choice,
    choice_of_alpn,
    choice_of_versions,
    ciphers,
    elsewhere,
    id_of,
    ids_of_existing,
    not_a_list,
    number,
    of_body,
    parent,
    project,
    row,
    secret,
    tags,
    text,
    truth,
    unknown,
)

LISTENER = "listener"
LARGEST, LONGEST_TIMEOUT = 2_147_483_647, 2_073_600_000
REF = "https://secrets.example.org/v1/secrets/0"
CERTIFICATE = {"default_tls_container_ref": REF}
TLS = {"protocol": "TERMINATED_HTTPS", **CERTIFICATE}
AUTHORITY = {**TLS, "client_ca_tls_container_ref": REF}
DEFAULT_CIPHERS = (
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"
    ":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256"
    ":DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)
DEFAULT_VERSIONS, DEFAULT_ALPN = ["TLSv1.2", "TLSv1.3"], ["h2", "http/1.1", "http/1.0"]
NO_CERTIFICATE = Refused(
    "Validation failure: An SNI or default certificate container reference must be provided for TERMINATED_HTTPS"
    " protocol listeners."
)
NO_PLACE = Refused("Validation failure: Certificate container references are not allowed on HTTP protocol listeners.")
NO_HSTS = Refused(
    "Validation failure: The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
)
HEADERS = ("For", "Port", "Proto", "IP")
TLS_HEADERS = (
    *("X-SSL-Client-Verify", "X-SSL-Client-Has-Cert", "X-SSL-Client-DN", "X-SSL-Client-CN", "X-SSL-Issuer"),
    *("X-SSL-Client-SHA1", "X-SSL-Client-Not-Before", "X-SSL-Client-Not-After"),
)
WRONG_HEADERS = [
    *((wrong, of_body(f"Value not a valid dict: {wrong}")) for wrong in ([], "x", 3)),
    *(({"X-Real-IP": wrong}, Refused(NOT_TEXT)) for wrong in (1, True, [], None)),
    ({"X-Real-IP": "x" * 256}, Refused(TOO_LONG.format(255))),
    *(({wrong: "true"}, Refused("is not a valid option for insert_headers")) for wrong in ("x-real-ip", "", "X-Loom")),
]
NO_NETWORK = Refused("Value should be IPv4 or IPv6 CIDR format")


def reset_to(default: Any) -> dict[str, Any]:
    """Whenever nothing is said."""
    return {"absent": default, "on_post": default, "on_put": default}


FIELDS = [
    text(LISTENER, "name"),
    text(LISTENER, "description"),
    truth(LISTENER, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(LISTENER),
    project(LISTENER, "project_id"),
    project(LISTENER, "tenant_id"),
    parent(LISTENER, "loadbalancer_id", "loadbalancer", "Load Balancer", "loadbalancers"),
    choice(
        *(LISTENER, "protocol"),
        [
            *("HTTP", "TCP", "HTTPS", "UDP", "SCTP", "PROMETHEUS"),
            Good("TERMINATED_HTTPS", beside=CERTIFICATE),
        ],
        **{"absent": MISSING, "on_post": Refused(""), "fixed": True},
    ),
    number(LISTENER, "protocol_port", 1, 65_535, absent=MISSING, on_post=Refused(""), fixed=True),
    number(LISTENER, "connection_limit", -1, LARGEST, absent=-1, on_post=None, on_put=-1),
    id_of(
        *(LISTENER, "default_pool_id", (UNKNOWN_ID, unknown("Pool"))),
        **{"good": ids_of_existing("pool", alone=True), **reset_to(None)},
    ),
    elsewhere(
        *(LISTENER, "default_pool"),
        **{"empty": [], "shown": None, "bad": [({"name": "p"}, Refused("")), ("x", Refused("")), (3, Refused(""))]},
    ),
    elsewhere(
        *(LISTENER, "l7policies"),
        **{"empty": [[]], "shown": [], "bad": [([{"action": "REJECT"}], Refused("")), *not_a_list("x", 3)]},
    ),
    row(
        *(LISTENER, "insert_headers"),
        [
            *({}, {f"X-Forwarded-{which}": "true" for which in HEADERS}),
            {"X-Client-IP": "false", "X-Real-IP": "x" * 255},
        ],
        [
            *WRONG_HEADERS,
            *(({name: "true"}, Refused(f"['{name}'] is not a valid option for HTTP")) for name in TLS_HEADERS),
        ],
        **reset_to({}),
    ),
    row(
        *(LISTENER, "insert_headers"),
        [dict.fromkeys(TLS_HEADERS, "true"), {"X-SSL-Issuer": "", "X-Forwarded-For": "false"}],
        WRONG_HEADERS,
        **{**reset_to({}), "beside": TLS, "where": "inside TLS"},
    ),
    *(
        row(
            *(LISTENER, "insert_headers", [{}], [({"X-Real-IP": "true"}, Refused(""))]),
            **{**reset_to({}), "beside": {"protocol": protocol}, "where": f"of {protocol}"},
        )
        for protocol in ("TCP", "HTTPS", "UDP", "SCTP", "PROMETHEUS")
    ),
    *(
        number(LISTENER, f"timeout_{name}", 0, LONGEST_TIMEOUT, **reset_to(default))
        for name, default in (("client_data", 50_000), ("member_connect", 5_000), ("member_data", 50_000))
    ),
    number(LISTENER, "timeout_tcp_inspect", 0, LONGEST_TIMEOUT, **reset_to(0)),
    row(
        *(LISTENER, "allowed_cidrs"),
        [
            ([], None),
            (["10.0.0.1/8", "10.0.0.1", "192.168.0.0/16"], ["10.0.0.0/8", "10.0.0.1/32", "192.168.0.0/16"]),
            (["10.0.0.0/8", "10.0.0.1/8"], ["10.0.0.0/8"]),
        ],
        [
            *not_a_list("10.0.0.0/8", {}, 3),
            *(([wrong], NO_NETWORK) for wrong in ("loom", "", "10.0.0.0/33", "10.0.0.256", "10.0.0.0/8\n", 3, None)),
            (
                ["2001:db8::/32"],
                Refused("Validation failure: CIDR 2001:db8::/32 IP version incompatible with all VIPs"),
            ),
        ],
        **reset_to(None),
    ),
    # TLS
    secret(
        *(LISTENER, "default_tls_container_ref"),
        **{"absent": NO_CERTIFICATE, "on_post": NO_CERTIFICATE, "beside": {"protocol": "TERMINATED_HTTPS"}},
    ),
    row(
        *(LISTENER, "default_tls_container_ref", [], [(REF, NO_PLACE)]),
        **{**reset_to(None), "where": "without TLS"},
    ),
    row(
        *(LISTENER, "sni_container_refs", [[], [REF], ["x" * 255, REF], ([REF, REF], [REF])]),
        [
            *not_a_list(REF, {}, 3),
            *(([wrong], Refused(NOT_TEXT)) for wrong in (3, [], None)),
            (["x" * 256], Refused(TOO_LONG.format(255))),
        ],
        **{**reset_to([]), "beside": TLS},
    ),
    row(LISTENER, "sni_container_refs", [[]], [([REF], NO_PLACE)], **reset_to([]), where="without TLS"),
    secret(LISTENER, "client_ca_tls_container_ref", beside=TLS),
    secret(LISTENER, "client_crl_container_ref", beside=AUTHORITY),
    row(
        *(LISTENER, "client_crl_container_ref", []),
        [
            (
                REF,
                Refused(
                    "Validation failure: A client authentication CA reference is required to specify a client"
                    " authentication revocation list."
                ),
            )
        ],
        **{**reset_to(None), "beside": TLS, "where": "without CA"},
    ),
    choice(
        *(LISTENER, "client_authentication", ["NONE", "OPTIONAL", "MANDATORY"]),
        **{**reset_to("NONE"), "beside": AUTHORITY},
    ),
    row(
        *(LISTENER, "client_authentication", ["NONE"]),
        [
            (each, Refused(f"Validation failure: Client authentication setting {each} requires a client CA"))
            for each in ("OPTIONAL", "MANDATORY")
        ],
        **{**reset_to("NONE"), "beside": TLS, "where": "without CA"},
    ),
    ciphers(LISTENER, **reset_to(DEFAULT_CIPHERS), beside=TLS),
    ciphers(LISTENER, absent=None, on_post=None, on_put=DEFAULT_CIPHERS, where="without TLS"),
    choice_of_versions(LISTENER, **reset_to(DEFAULT_VERSIONS), beside=TLS),
    row(
        *(LISTENER, "tls_versions", [["TLSv1.2"]], []),
        **{"absent": None, "on_post": None, "on_put": DEFAULT_VERSIONS, "where": "without TLS"},
    ),
    choice_of_alpn(LISTENER, **reset_to(DEFAULT_ALPN), beside=TLS),
    row(
        *(LISTENER, "alpn_protocols", [["http/1.0"]], []),
        **{"absent": None, "on_post": None, "on_put": DEFAULT_ALPN, "where": "without TLS"},
    ),
    number(LISTENER, "hsts_max_age", 0, LARGEST, **reset_to(None), beside=TLS),
    row(LISTENER, "hsts_max_age", [], [(0, NO_HSTS), (1, NO_HSTS)], **reset_to(None), where="without TLS"),
    *(
        truth(LISTENER, name, absent=False, on_post=None, on_put=False, beside={**TLS, "hsts_max_age": 1})
        for name in ("hsts_include_subdomains", "hsts_preload")
    ),
    *(
        row(
            *(LISTENER, name, [False], []),
            **{"absent": False, "on_post": None, "on_put": False, "beside": TLS, "where": "without age"},
            bad_on_post=[(True, Refused("only make sense if hsts_max_age is set as well."))],
            bad_on_put=[(True, Refused("if hsts_max_age was not set as well."))],
        )
        for name in ("hsts_include_subdomains", "hsts_preload")
    ),
]
