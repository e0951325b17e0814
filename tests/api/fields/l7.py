"""Fields of L7 policies and rules, as the contract has them (sections 8.5 and 8.6)."""

from typing import Any

from tests.api.fields.field import (
    ANYTHING,
    MISSING,
    UNCHANGED,
    UNKNOWN_ID,
    Field,
    Good,
    InGraph,
    Refused,
    bounded_text,
    choice,
    elsewhere,
    existing,
    id_of,
    ids_of_existing,
    not_a_list,
    of_value,
    project,
    row,
    tags,
    text,
    truth,
    unknown,
    wrong_numbers,
)

POLICY, RULE = "l7policy", "rule"
LARGEST = 2_147_483_647
CLEARED: list[Any] = []
TO_NOTHING = {"absent": None, "on_post": None, "on_put": None}
HERE = "http://loom.example.org/"
CODES = (301, 302, 303, 307, 308)
ARGUMENTS = "Invalid L7 Policy arguments: "


def url(name: str, action: str) -> Field:
    """Where clients are sent."""
    no_url = [
        *("", "x", "/", "loom.example.org/", "ftp://loom.example.org/", "http://", "http:///a", "//loom/"),
        *("http://loom/a b", "http://loom/\n", "http://loom/\x85", "http://loom:x/"),
    ]
    needed = Refused(f"{ARGUMENTS}{name} must not be None")
    return bounded_text(
        *(POLICY, name, 255),
        [HERE, "https://loom.example.org:8443/a/b?c=d&e#f", "http://127.0.0.1", "HTTP://loom/", HERE + "x" * 231],
        *((wrong, of_value("Value must be a valid URL string")) for wrong in no_url),
        **{"absent": needed, "on_post": needed, "on_put": None, "beside": {"action": action}},
    )


POLICY_FIELDS = [
    text(POLICY, "name"),
    text(POLICY, "description"),
    truth(POLICY, "admin_state_up", absent=True, on_post=False, on_put=False),
    tags(POLICY, on_put=CLEARED),
    project(POLICY, "project_id"),
    project(POLICY, "tenant_id"),
    id_of(
        *(POLICY, "listener_id", (UNKNOWN_ID, unknown("Listener"))),
        **{"good": ids_of_existing("listener"), "absent": MISSING, "on_post": Refused("")},
        **{"fixed": True, "in_graph": InGraph.UNKNOWN},
    ),
    choice(
        *(POLICY, "action"),
        [
            "REJECT",
            Good("REDIRECT_TO_URL", beside={"redirect_url": HERE}),
            Good("REDIRECT_PREFIX", beside={"redirect_prefix": HERE, "redirect_url": None}),
            Good("REDIRECT_TO_POOL", beside={"redirect_pool_id": existing("pool")}, alone=True),
        ],
        bad_on_post=[
            ("REDIRECT_TO_URL", Refused(f"{ARGUMENTS}redirect_url must not be None")),
            ("REDIRECT_PREFIX", Refused(f"{ARGUMENTS}redirect_prefix must not be None")),
            ("REDIRECT_TO_POOL", Refused(f"{ARGUMENTS}redirect_pool_id or redirect_pool must not be None")),
        ],
        **{"absent": MISSING, "on_post": Refused("")},
        on_put=Refused("Invalid L7 Policy action specified: None"),
    ),
    id_of(
        *(POLICY, "redirect_pool_id", (UNKNOWN_ID, unknown("Pool"))),
        **{"good": ids_of_existing("pool"), "beside": {"action": "REDIRECT_TO_POOL"}},
        absent=Refused(f"{ARGUMENTS}redirect_pool_id or redirect_pool must not be None"),
        on_post=Refused(f"{ARGUMENTS}redirect_pool_id or redirect_pool must not be None"),
        **{"on_put": None, "in_graph": InGraph.UNKNOWN},
    ),
    url("redirect_url", "REDIRECT_TO_URL"),
    url("redirect_prefix", "REDIRECT_PREFIX"),
    row(
        *(POLICY, "redirect_http_code", [*CODES, ("301", 301), (302.5, 302)]),
        [
            *((wrong, of_value("Value should be one of: ")) for wrong in (300, 304, 0, -1, True)),
            *((wrong, Refused("")) for wrong in ("x", "", [], {})),
        ],
        **{"absent": 302, "on_post": 302, "on_put": None},
        beside={"action": "REDIRECT_TO_URL", "redirect_url": HERE},
    ),
    row(
        *(POLICY, "redirect_http_code", [*CODES], []),
        **{**TO_NOTHING, "where": "of a rejection"},
    ),
    row(
        *(
            POLICY,
            "position",
            [Good(sent, shown, alone=True) for sent, shown in ((1, 1), (2, 2), ("1", 1), (LARGEST, 2))],
        ),
        wrong_numbers(1, LARGEST),
        **{"absent": 2, "on_post": ANYTHING, "on_put": UNCHANGED},
    ),
    elsewhere(POLICY, "rules", empty=[[]], shown=[], bad=[([{"type": "PATH"}], Refused("")), *not_a_list("x", 3)]),
]

PARSING = "Error parsing L7Rule: "
NO_TYPE = Refused(f"{PARSING}Invalid L7 Rule: invalid rule type")
NO_COMPARISON = Refused(f"{PARSING}Invalid L7 Rule: invalid comparison type for rule type")
NO_KEY = Refused(f"{PARSING}Invalid L7 Rule: L7 rule type requires a key")
NO_VALUE = Refused(f"{PARSING}Invalid L7 Rule: L7 rule type requires a value")
TWO_LINES = of_value(r"Value should match the pattern")
EXACTLY = {"compare_type": "EQUAL_TO"}


def _wrong(what: str, *values: str) -> list[tuple[Any, Refused]]:
    return [(value, Refused(f"{PARSING}Invalid characters in {what}")) for value in values]


def key_of(type: str, good: list[Any], *bad: tuple[Any, Refused], lacking: Refused, **beside: Any) -> Field:
    return bounded_text(
        *(RULE, "key", 255, good),
        *bad,
        *((wrong, TWO_LINES) for wrong in ("a\n", "a\rb")),
        ("", lacking),
        **{"absent": lacking, "on_post": lacking, "on_put": lacking, "where": f"of {type}"},
        beside={"type": type, **beside},
    )


def value_of(type: str, good: list[Any], bad: list[tuple[Any, Refused]], **beside: Any) -> Field:
    where = ", ".join(("of " + type, *beside.values()))
    return bounded_text(
        *(RULE, "value", 255, good),
        *bad,
        *((wrong, TWO_LINES) for wrong in ("a\n", "a\rb")),
        ("", NO_VALUE),
        **{"absent": MISSING, "on_post": NO_VALUE, "on_put": NO_VALUE, "where": where},
        beside={"type": type, **EXACTLY, **beside},
    )


NO_REGEX = [(wrong, Refused(f"{PARSING}Unable to parse regular expression: ")) for wrong in ("(", "[a", "*", "a{2,1}")]
IN_HEADERS = _wrong("header value", "a b", "ä", 'a"b c"', "a\tb")
IN_OTHERS = _wrong("comparison value", "a b", "ä", '"a b', "a\tb")
IN_COOKIES = _wrong("cookie value", "a b", 'a"', "a;", "a\\", "ä")
NO_TRUTH = [
    (wrong, Refused(f"{PARSING}Invalid L7 Rule: L7rule value {wrong} is not a boolean True string."))
    for wrong in ("false", "1", "yes")
]
NO_NUMBER = [
    (wrong, Refused(f"{PARSING}Invalid L7 Rule: L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"))
    for wrong in ("-1", "x", "1.5", "²")
]
NO_SUBJECT = Refused(f"{PARSING}Invalid L7 Rule: L7rule type SSL_DN_FIELD needs to specify a key and a value.")
NO_DN_FIELD = Refused(f"{PARSING}Invalid L7 Rule: Invalid L7rule distinguished name field.")
USELESS_KEY = 'Invalid L7 Rule: L7rule type {} does not use the "key" field.'

RULE_FIELDS = [
    truth(RULE, "admin_state_up", absent=True, on_post=False, on_put=False),
    truth(RULE, "invert", absent=False, on_post=False, on_put=False),
    tags(RULE, on_put=CLEARED),
    project(RULE, "project_id"),
    project(RULE, "tenant_id"),
    choice(
        *(RULE, "type"),
        [
            *(Good(type, beside={**EXACTLY, "value": "a"}) for type in ("HOST_NAME", "PATH", "FILE_TYPE")),
            *(
                Good(type, beside={**EXACTLY, "key": "a", "value": "a"})
                for type in ("HEADER", "COOKIE", "SSL_DN_FIELD")
            ),
            Good("SSL_CONN_HAS_CERT", beside={**EXACTLY, "key": None, "value": "True"}),
            Good("SSL_VERIFY_RESULT", beside={**EXACTLY, "key": None, "value": "0"}),
        ],
        **{"absent": MISSING, "on_post": NO_TYPE, "on_put": NO_TYPE},
    ),
    choice(
        *(RULE, "compare_type", ["REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO"]),
        **{"absent": MISSING, "on_post": NO_COMPARISON, "on_put": NO_COMPARISON},
    ),
    row(
        *(RULE, "compare_type", ["REGEX", "EQUAL_TO"]),
        [(wrong, NO_COMPARISON) for wrong in ("STARTS_WITH", "ENDS_WITH", "CONTAINS")],
        **{"absent": MISSING, "on_post": NO_COMPARISON, "on_put": NO_COMPARISON},
        **{"beside": {"type": "FILE_TYPE", "value": "png"}, "where": "of FILE_TYPE"},
    ),
    *(
        row(
            *(RULE, "compare_type", ["EQUAL_TO"]),
            [
                (
                    wrong,
                    Refused(f"{PARSING}Invalid L7 Rule: L7rule type {type} only supports the EQUAL_TO compare type."),
                )
                for wrong in ("REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS")
            ],
            **{"absent": MISSING, "on_post": Refused(PARSING), "on_put": Refused(PARSING)},
            **{"beside": {"type": type, "value": value}, "where": f"of {type}"},
        )
        for type, value in (("SSL_CONN_HAS_CERT", "true"), ("SSL_VERIFY_RESULT", "0"))
    ),
    *(
        key_of(type, ["X-A", "x" * 255, "!#$%&'*+,-.^_`|~9"], *_wrong("key", "a b", "a:", "ä", "a;"), lacking=NO_KEY)
        for type in ("HEADER", "COOKIE")
    ),
    key_of(
        *("SSL_DN_FIELD", ["CN", "x" * 255, "a-9"], *((wrong, NO_DN_FIELD) for wrong in ("9a", "a b", "-a", "a_"))),
        lacking=NO_SUBJECT,
    ),
    *(
        row(
            *(RULE, "key", [], [("a", Refused(PARSING + USELESS_KEY.format(type)))]),
            **{**TO_NOTHING, "beside": {"type": type, **EXACTLY, "value": value}, "where": f"of {type}"},
        )
        for type, value in (("SSL_CONN_HAS_CERT", "true"), ("SSL_VERIFY_RESULT", "0"))
    ),
    *(
        row(RULE, "key", [], [(3, of_value(""))], **TO_NOTHING, beside={"type": type}, where=f"of {type}")
        for type in ("HOST_NAME", "PATH", "FILE_TYPE")
    ),
    *(value_of(type, ["a", "x" * 255, '"a b\tc"', "!~"], IN_OTHERS) for type in ("HOST_NAME", "PATH", "FILE_TYPE")),
    value_of("HEADER", ["a", "x" * 255, '"a b\tc"', "!~"], IN_HEADERS, key="X-A"),
    value_of("COOKIE", ["a", "x" * 255, "!#,~"], IN_COOKIES, key="a"),
    value_of("PATH", ["a b", "^/a[0-9]+$", "ä"], NO_REGEX, compare_type="REGEX"),
    value_of("COOKIE", ["a b", "^/a[0-9]+$"], NO_REGEX, key="a", compare_type="REGEX"),
    value_of("SSL_DN_FIELD", ["a b", "^/a[0-9]+$"], NO_REGEX, key="CN", compare_type="REGEX"),
    value_of("SSL_CONN_HAS_CERT", ["true", "TRUE", "True"], NO_TRUTH),
    value_of("SSL_VERIFY_RESULT", ["0", "10", "007"], NO_NUMBER),
    value_of("SSL_DN_FIELD", ["a", "a b", "x" * 255], [], key="CN"),
]

FIELDS = [*POLICY_FIELDS, *RULE_FIELDS]
