"""Fields of health monitors, as the contract has them (sections 6.3, 8.4 and 15.3)."""

from typing import Any

from tests.api.fields.field import (
    MISSING,
    NOT_TEXT,
    Field,
    Good,
    Refused,
    bounded_text,
    choice,
    existing,
    no_option,
    number,
    of_value,
    parent,
    project,
    row,
    tags,
    text,
    truth,
)

HM = "healthmonitor"
LARGEST = 2_147_483_647
PATTERN = r"Value should match the pattern ^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$"
TO_NOTHING = {"absent": None, "on_post": None, "on_put": None}
OTHER_TYPES = ("TCP", "PING", "TLS-HELLO")


def mandatory(name: str) -> dict[str, Any]:
    none = no_option(None, name)
    return {"absent": MISSING, "on_post": none, "on_put": none}


def on_another_type(name: str, value: str, type: str) -> Field:
    """What only checks by HTTP have. Null on a change counts as said."""
    wrong = no_option(name, f"health monitors of type {type}")
    meaning = {"absent": None, "on_post": None, "on_put": wrong, "beside": {"type": type}, "where": f"of {type}"}
    return row(HM, name, [], [(value, wrong)], **meaning)


def of_pool(type: str, protocol: str) -> Good:
    return Good(type, beside={"pool_id": existing("pool", protocol=protocol), "delay": 3}, alone=True)


FIELDS = [
    text(HM, "name"),
    truth(HM, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(HM),
    project(HM, "project_id"),
    project(HM, "tenant_id"),
    parent(HM, "pool_id", "pool", "Pool", "pools"),
    choice(
        *(HM, "type"),
        [
            *("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO"),
            *(of_pool(type, "UDP") for type in ("UDP-CONNECT", "SCTP", "TCP", "HTTP")),
            *(of_pool(type, "SCTP") for type in ("UDP-CONNECT", "SCTP", "TCP", "HTTP")),
        ],
        **{"absent": MISSING, "on_post": no_option(None, "type"), "fixed": True},
    ),
    row(
        *(HM, "type", []),
        [
            (type, Refused(f"Validation failure: The {type} type is only supported for pools of type UDP/SCTP."))
            for type in ("UDP-CONNECT", "SCTP")
        ],
        **{"absent": MISSING, "on_post": no_option(None, "type"), "fixed": True, "where": "of a pool of streams"},
    ),
    number(HM, "delay", 0, LARGEST, **mandatory("delay")),
    number(HM, "timeout", 0, LARGEST, **mandatory("timeout")),
    number(HM, "max_retries", 1, 10, **mandatory("max_retries")),
    number(HM, "max_retries_down", 1, 10, absent=3, on_post=3, on_put=3),
    choice(
        *(HM, "http_method", ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"]),
        **{"absent": "GET", "on_post": "GET", "on_put": "GET"},
    ),
    row(
        *(HM, "url_path", ["/", "/a?b=c#d", "/%20", "/" + "x" * 254]),
        [
            *(
                (wrong, of_value("Value must be a valid URL Path string"))
                for wrong in ("", "x", "//h/", "/a b", "/\n", "/\t", "http://h/", "h:80/", "u@h/", "?a", "#a")
            ),
            *((wrong, of_value(NOT_TEXT)) for wrong in (3, [])),
            ("/" + "x" * 255, of_value("Value should have a maximum character requirement of 255")),
        ],
        **{"absent": "/", "on_post": "/", "on_put": "/"},
    ),
    bounded_text(
        *(HM, "expected_codes", 64, ["200", "200,201 , 404", "200-299", ",".join(["200"] * 16)]),
        *((wrong, of_value(PATTERN)) for wrong in ("", "20", "200-", "200\n", "٢٠٠", "200-204,300", "200;201")),
        **{"absent": "200", "on_post": "200", "on_put": "200"},
    ),
    *(
        on_another_type(name, value, type)
        for type in OTHER_TYPES
        for name, value in (("http_method", "GET"), ("url_path", "/"), ("expected_codes", "200"))
    ),
    row(
        *(HM, "http_version", [1.0, 1.1, ("1.1", 1.1), ("1.0", 1.0), (1, 1.0)]),
        [(wrong, of_value("Value should be one of: 1.0, 1.1")) for wrong in (2, "x", "", [], {}, 1.2, 0)],
        **TO_NOTHING,
    ),
    row(
        *(HM, "domain_name", ["a", "_x.loom.example.org.", "x" * 63 + ".org", "x." * 127]),
        [
            *(
                (wrong, of_value("Value should match the pattern"))
                for wrong in ("-a", "a-", "a..b", ".", "x" * 64, "a b", "a\n", "ä", "a_b._", "x." * 127 + "x")
            ),
            *((wrong, of_value(NOT_TEXT)) for wrong in (3, [])),
            ("", of_value("Value should have a minimum character requirement of 1")),
            ("a." * 128, of_value("Value should have a maximum character requirement of 255")),
        ],
        **{**TO_NOTHING, "beside": {"http_version": 1.1}},
    ),
    row(
        *(HM, "domain_name", []),
        [("a", Refused("Validation failure: 'http_version' must be specified when 'domain_name' is provided."))],
        **{**TO_NOTHING, "where": "without a version"},
    ),
    row(
        *(HM, "domain_name", []),
        [("a", no_option("http_version 1.0", "health monitors HTTP 1.1 domain name health check"))],
        **{**TO_NOTHING, "beside": {"http_version": 1.0}, "where": "of HTTP 1.0"},
    ),
]
