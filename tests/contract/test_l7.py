"""L7 policies and rules as the contract words them: targets that decide the action, positions, what rules compare."""

from typing import Any

import pytest

from tests.contract.conftest import ContractApi

pytestmark = pytest.mark.postgres

UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
HERE, THERE = "http://here.example/", "https://there.example/a?b=c"
URL, POOL, PREFIX = "REDIRECT_TO_URL", "REDIRECT_TO_POOL", "REDIRECT_PREFIX"
TO_URL, TO_POOL, TO_PREFIX, CODE = "redirect_url", "redirect_pool_id", "redirect_prefix", "redirect_http_code"
TARGETS = ("action", TO_POOL, TO_URL, TO_PREFIX, CODE)
ARGUMENTS = "Invalid L7 Policy arguments: "
BOTH = f"{ARGUMENTS}Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"
NO_POOL = f"{ARGUMENTS}redirect_pool_id or redirect_pool must not be None"
NO_URL = f"{ARGUMENTS}redirect_url must not be None"
NO_PREFIX = f"{ARGUMENTS}redirect_prefix must not be None"

Said = dict[str, Any]


def target_of(policy: Said) -> tuple[object, ...]:
    return tuple(policy[name] for name in TARGETS)


def in_place(said: Said, pool: Said) -> Said:
    """With the pool's id where a case says POOL."""
    return {name: pool["id"] if value == "POOL" else value for name, value in said.items()}


# Which check speaks first


def test_checks_of_a_new_policy_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    metrics, listener = (
        api.listener(load_balancer, **said) for said in ({"protocol": "PROMETHEUS", "protocol_port": 9}, {})
    )
    far, datagrams = api.pool(api.load_balancer()), api.pool(load_balancer, protocol="UDP")
    said: Said = {"listener_id": UNKNOWN, "action": URL, TO_POOL: UNKNOWN}
    told = []

    for mended in (
        {},
        {"listener_id": metrics["id"]},
        {"listener_id": listener["id"]},
        {TO_POOL: far["id"]},
        {TO_POOL: datagrams["id"]},
        {TO_POOL: None},
    ):
        said.update(mended)
        told.append(api("POST", "/l7policies", {"l7policy": said}).fault)

    assert told == [
        (404, f"Listener {UNKNOWN} not found."),
        (400, "Protocol PROMETHEUS listeners cannot have child objects."),
        (404, f"Pool {UNKNOWN} not found."),
        (404, f"Pool {far['id']} not found."),
        (400, "Validation failure: The pool protocol 'UDP' is invalid while the listener protocol is 'HTTP'."),
        (400, NO_URL),
    ]


# Targets decide the action


@pytest.mark.parametrize(
    ("said", "target"),
    [
        ({"action": "REJECT"}, ("REJECT", None, None, None, None)),
        ({"action": "REJECT", TO_URL: HERE, TO_POOL: "POOL"}, ("REJECT", None, None, None, None)),
        ({"action": "REJECT", TO_PREFIX: HERE}, (PREFIX, None, None, HERE, 302)),
        ({"action": "REJECT", CODE: 303}, ("REJECT", None, None, None, 303)),
        ({"action": URL, TO_URL: THERE}, (URL, None, THERE, None, 302)),
        (
            {"action": URL, TO_URL: HERE, CODE: "308"},
            (URL, None, HERE, None, 308),
        ),
        (
            {"action": URL, TO_URL: HERE, TO_POOL: "POOL"},
            (URL, None, HERE, None, 302),
        ),
        (
            {"action": POOL, TO_POOL: "POOL", CODE: 301},
            (POOL, "POOL", None, None, None),
        ),
        (
            {"action": POOL, TO_POOL: "POOL", TO_URL: HERE},
            (POOL, "POOL", None, None, None),
        ),
        (
            {"action": PREFIX, TO_PREFIX: HERE, TO_URL: THERE},
            (URL, None, THERE, None, 302),
        ),
        (
            {"action": PREFIX, TO_PREFIX: HERE, CODE: 307},
            (PREFIX, None, None, HERE, 307),
        ),
    ],
    ids=lambda case: " ".join(case) if isinstance(case, dict) else None,
)
def test_new_policy_is_what_its_target_says(api: ContractApi, said: Said, target: tuple[object, ...]) -> None:
    load_balancer = api.load_balancer()
    pool, listener = api.pool(load_balancer), api.listener(load_balancer)

    policy = api.l7_policy(load_balancer, listener, **in_place(said, pool))

    assert target_of(policy) == tuple(pool["id"] if value == "POOL" else value for value in target)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"action": None}, "Invalid L7 Policy action specified: None"),
        ({"action": URL}, NO_URL),
        ({"action": URL, TO_URL: None}, NO_URL),
        ({"action": POOL}, NO_POOL),
        ({"action": PREFIX}, NO_PREFIX),
        ({"action": PREFIX, TO_PREFIX: HERE, TO_POOL: "POOL"}, BOTH),
        ({"action": POOL, TO_PREFIX: HERE, TO_POOL: "POOL"}, BOTH),
    ],
    ids=lambda case: " ".join(map(str, case.values())) if isinstance(case, dict) else None,
)
def test_new_policy_is_refused(api: ContractApi, said: Said, text: str) -> None:
    load_balancer = api.load_balancer()
    pool, listener = api.pool(load_balancer), api.listener(load_balancer)

    answer = api("POST", "/l7policies", {"l7policy": {"listener_id": listener["id"], **in_place(said, pool)}})

    assert answer.fault == (400, text)


CHANGES: list[tuple[Said, Said, object]] = [
    ({"action": "REJECT"}, {TO_POOL: "POOL"}, (POOL, "POOL", None, None, None)),
    ({"action": PREFIX, TO_PREFIX: HERE}, {TO_POOL: "POOL"}, (POOL, "POOL", None, None, None)),
    ({"action": POOL, TO_POOL: "POOL"}, {TO_URL: HERE}, (URL, None, HERE, None, 302)),
    ({"action": URL, TO_URL: HERE}, {TO_PREFIX: THERE}, (PREFIX, None, None, THERE, 302)),
    ({"action": URL, TO_URL: HERE, CODE: 301}, {CODE: 303}, (URL, None, HERE, None, 303)),
    ({"action": URL, TO_URL: HERE}, {"action": "REJECT"}, ("REJECT", None, None, None, None)),
    ({"action": PREFIX, TO_PREFIX: HERE}, {"action": "REJECT"}, ("REJECT", None, None, None, None)),
    ({"action": URL, TO_URL: HERE}, {TO_URL: None}, (URL, None, None, None, 302)),
    ({"action": URL, TO_URL: HERE}, {CODE: None}, (URL, None, HERE, None, None)),
    ({"action": URL, TO_URL: HERE}, {"action": URL}, NO_URL),
    ({"action": POOL, TO_POOL: "POOL"}, {"action": POOL}, NO_POOL),
    ({"action": "REJECT"}, {TO_POOL: "POOL", TO_URL: HERE}, BOTH),
    ({"action": "REJECT"}, {"action": None}, "Invalid L7 Policy action specified: None"),
    ({"action": "REJECT"}, {}, f"{ARGUMENTS}Invalid update options"),
]


@pytest.mark.parametrize(
    ("given", "said", "expected"),
    CHANGES,
    ids=[f"{given['action']} {' '.join(said)} {n}" for n, (given, said, _) in enumerate(CHANGES)],
)
def test_change_of_a_target(api: ContractApi, given: Said, said: Said, expected: object) -> None:
    load_balancer = api.load_balancer()
    pool, listener = api.pool(load_balancer), api.listener(load_balancer)
    policy = api.l7_policy(load_balancer, listener, **in_place(given, pool))

    answer = api("PUT", f"/l7policies/{policy['id']}", {"l7policy": in_place(said, pool)})

    if isinstance(expected, str):
        assert answer.fault == (400, expected)
        return
    assert isinstance(expected, tuple)
    assert target_of(answer.object) == tuple(pool["id"] if value == "POOL" else value for value in expected)


def test_change_redirects_to_pools_of_its_own_load_balancer_only(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    far, datagrams = api.pool(api.load_balancer()), api.pool(load_balancer, protocol="UDP")

    faults = [
        api("PUT", f"/l7policies/{policy['id']}", {"l7policy": {TO_POOL: id}}).fault
        for id in (UNKNOWN, far["id"], datagrams["id"])
    ]

    mismatch = "Validation failure: The pool protocol 'UDP' is invalid while the listener protocol is 'HTTP'."
    assert faults == [(404, f"Pool {UNKNOWN} not found."), (404, f"Pool {far['id']} not found."), (400, mismatch)]


# Positions


def test_positions_are_dense(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    for name, position in (
        ("b", {}),
        ("d", {"position": None}),
        ("a", {"position": 1}),
        ("c", {"position": 3}),
        ("e", {"position": 99}),
    ):
        api.l7_policy(load_balancer, listener, name=name, **position)

    def order() -> str:
        api.settled(load_balancer["id"])
        found = api.show(f"/l7policies?listener_id={listener['id']}&sort=position")
        assert [policy["position"] for policy in found] == list(range(1, len(found) + 1))  # type: ignore[index]
        ids = api.show(f"/listeners/{listener['id']}")["l7policies"]
        assert ids == [{"id": policy["id"]} for policy in found]  # type: ignore[index]
        return "".join(policy["name"] for policy in found)  # type: ignore[index]

    def move(name: str, position: object) -> str:
        (policy,) = api.show(f"/l7policies?name={name}")
        answer = api("PUT", f"/l7policies/{policy['id']}", {"l7policy": {"position": position, "description": "moved"}})  # type: ignore[index]
        assert answer.status == 200
        return order()

    assert order() == "abcde"
    assert [move("a", 3), move("e", 1), move("b", 2147483647), move("e", 2), move("e", None)] == [
        *("bcade", "ebcad", "ecadb", "ceadb", "ceadb"),
    ]
    (gone,) = api.show("/l7policies?name=e")
    assert api("DELETE", f"/l7policies/{gone['id']}").status == 204  # type: ignore[index]
    assert order() == "cadb"


# Types, null, fixed fields of policies


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("action", "REDIRECT", "Value should be one of: REJECT, REDIRECT_TO_URL, REDIRECT_TO_POOL, REDIRECT_PREFIX"),
        *(
            (TO_URL, value, "Value must be a valid URL string")
            for value in ("ftp://a", "http://", "/a", "http://a b", "http://a/\x7f")
        ),
        (TO_PREFIX, "here", "Value must be a valid URL string"),
        (CODE, 304, "Value should be one of: 301, 302, 303, 307, 308"),
        ("position", 0, "Value should be greater or equal to 1"),
        ("position", 2147483648, "Value should be lower or equal to 2147483647"),
        (TO_POOL, "pool", "Value should be UUID format"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_value_of_a_policy_is_refused(api: ContractApi, name: str, value: object, reason: str) -> None:
    listener = api.listener(api.load_balancer())

    body = {"l7policy": {"listener_id": listener["id"], "action": "REJECT", name: value}}

    expected = f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}"
    assert api("POST", "/l7policies", body).fault == (400, expected)


def test_null_on_a_change_of_a_policy(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    given = {"name": "n", "description": "d", "admin_state_up": True, "tags": ["blue"]}
    policy = api.l7_policy(load_balancer, api.listener(load_balancer), **given)

    changed = api("PUT", f"/l7policies/{policy['id']}", {"l7policy": dict.fromkeys(given)}).object

    assert {name: changed[name] for name in given} == {
        "name": "",
        "description": "",
        "admin_state_up": False,
        "tags": [],
    }


@pytest.mark.parametrize("name", ["listener_id", "rules", "project_id", "redirect_pool"])
def test_what_is_fixed_is_unknown_to_a_change_of_a_policy(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer), rules=[])

    fault = api("PUT", f"/l7policies/{policy['id']}", {"l7policy": {name: None}}).fault

    assert fault == (400, f"Unknown attribute for argument l7policy_.l7policy: {name}")


def test_rules_within_a_policy_belong_into_a_graph(api: ContractApi) -> None:
    listener = api.listener(api.load_balancer())

    body = {"l7policy": {"listener_id": listener["id"], "action": "REJECT", "rules": [{"type": "PATH"}]}}

    assert api("POST", "/l7policies", body).fault[0] == 400


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "HTTPS"])
def test_policies_belong_to_any_listener_that_has_children(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()

    policy = api.l7_policy(load_balancer, api.listener(load_balancer, protocol=protocol))

    assert (policy["provisioning_status"], policy["operating_status"]) == ("ACTIVE", "ONLINE")


# Rules

REASON = "Error parsing L7Rule: "
RULE = f"{REASON}Invalid L7 Rule: "
COMPARISON = f"{RULE}invalid comparison type for rule type"
ONLY_EQUAL = RULE + "L7rule type {} only supports the EQUAL_TO compare type."
NO_KEY = RULE + 'L7rule type {} does not use the "key" field.'
NUMBER = f"{RULE}L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"
REGEX = f"{REASON}Unable to parse regular expression: missing ), unterminated subpattern at position 0"
REFUSED: list[tuple[Said, str]] = [
    ({"type": None}, f"{RULE}invalid rule type"),
    ({"compare_type": None}, COMPARISON),
    ({"value": None}, f"{RULE}L7 rule type requires a value"),
    ({"value": ""}, f"{RULE}L7 rule type requires a value"),
    ({"value": "a b"}, f"{REASON}Invalid characters in comparison value"),
    ({"type": "HOST_NAME", "compare_type": "REGEX", "value": "("}, REGEX),
    *(({"type": "FILE_TYPE", "compare_type": each}, COMPARISON) for each in ("STARTS_WITH", "ENDS_WITH", "CONTAINS")),
    *(({"type": type}, f"{RULE}L7 rule type requires a key") for type in ("HEADER", "COOKIE")),
    *(({"type": type, "key": "a b"}, f"{REASON}Invalid characters in key") for type in ("HEADER", "COOKIE")),
    ({"type": "HEADER", "key": "X", "value": 'a"\t"'}, f"{REASON}Invalid characters in header value"),
    *(
        ({"type": "COOKIE", "key": "c", "value": f"a{c}b"}, f"{REASON}Invalid characters in cookie value")
        for c in ' ";\\'
    ),
    ({"type": "SSL_CONN_HAS_CERT", "key": "k", "value": "true"}, NO_KEY.format("SSL_CONN_HAS_CERT")),
    ({"type": "SSL_CONN_HAS_CERT", "value": "yes"}, f"{RULE}L7rule value yes is not a boolean True string."),
    ({"type": "SSL_CONN_HAS_CERT", "value": "true", "compare_type": "REGEX"}, ONLY_EQUAL.format("SSL_CONN_HAS_CERT")),
    ({"type": "SSL_VERIFY_RESULT", "key": "k", "value": "0"}, NO_KEY.format("SSL_VERIFY_RESULT")),
    *(({"type": "SSL_VERIFY_RESULT", "value": each}, NUMBER) for each in ("-1", "x")),
    ({"type": "SSL_VERIFY_RESULT", "value": "0", "compare_type": "CONTAINS"}, ONLY_EQUAL.format("SSL_VERIFY_RESULT")),
    ({"type": "SSL_DN_FIELD"}, f"{RULE}L7rule type SSL_DN_FIELD needs to specify a key and a value."),
    ({"type": "SSL_DN_FIELD", "key": "1CN"}, f"{RULE}Invalid L7rule distinguished name field."),
]


@pytest.mark.parametrize(
    ("said", "text"), REFUSED, ids=[f"{n} {' '.join(map(str, said.values()))}" for n, (said, _) in enumerate(REFUSED)]
)
def test_new_rule_is_refused(api: ContractApi, said: Said, text: str) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    body = {"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/", **said}}

    assert api("POST", f"/l7policies/{policy['id']}/rules", body).fault == (400, text)


@pytest.mark.parametrize(
    "said",
    [
        {"type": "HOST_NAME", "compare_type": "ENDS_WITH", "value": ".example"},
        {"type": "PATH", "compare_type": "REGEX", "value": "^/(a|b)$", "key": "kept though ignored"},
        {"type": "FILE_TYPE", "compare_type": "REGEX", "value": "jpe?g"},
        {"type": "HEADER", "key": "X-Loom!#$%&'*+,-.^_`|~", "compare_type": "CONTAINS", "value": '"a b\t"'},
        {"type": "COOKIE", "key": "c", "compare_type": "EQUAL_TO", "value": "a,b=c"},
        {"type": "SSL_CONN_HAS_CERT", "compare_type": "EQUAL_TO", "value": "TrUe"},
        {"type": "SSL_VERIFY_RESULT", "compare_type": "EQUAL_TO", "value": "12"},
        {"type": "SSL_DN_FIELD", "key": "CN", "compare_type": "STARTS_WITH", "value": "a b"},
    ],
    ids=lambda said: said["type"],
)
def test_new_rule_is_accepted(api: ContractApi, said: Said) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))

    rule = api.l7_rule(load_balancer, policy, **said)

    assert {name: rule[name] for name in said} == said
    assert (rule["provisioning_status"], rule["operating_status"]) == ("ACTIVE", "ONLINE")


def test_change_of_a_rule_is_held_against_what_is_there(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    rule = api.l7_rule(
        load_balancer, policy, type="HEADER", key="X-Loom", compare_type="CONTAINS", value="a", tags=["blue"]
    )

    def change(**said: object) -> Any:
        answer = api("PUT", f"/l7policies/{policy['id']}/rules/{rule['id']}", {"rule": said})
        return answer.object if answer.status == 200 else answer.fault

    assert change(key=None) == (400, f"{RULE}L7 rule type requires a key")
    assert change(type="FILE_TYPE") == (400, COMPARISON)
    assert change(type=None) == (400, f"{RULE}invalid rule type")
    assert change(compare_type=None) == (400, COMPARISON)
    assert change(value=None) == (400, f"{RULE}L7 rule type requires a value")
    assert change(name="x") == (400, "Unknown attribute for argument l7rule_.rule: name")
    assert change(type="PATH", invert=True)["key"] is None
    changed = change(invert=None, admin_state_up=None, tags=None)
    assert (changed["invert"], changed["admin_state_up"], changed["tags"]) == (False, False, [])


@pytest.mark.parametrize("name", ["key", "value"])
def test_rules_are_of_one_line(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    body = {"rule": {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "k", "value": "v", name: "a\r\nb"}}

    assert api("POST", f"/l7policies/{policy['id']}/rules", body).fault[0] == 400


def test_policy_has_fifty_rules_at_most(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    path = f"/l7policies/{policy['id']}/rules"
    rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
    for _ in range(50):
        assert api("POST", path, {"rule": rule}).status == 201

    assert api("POST", path, {"rule": {**rule, "value": ""}}).fault == (400, f"{RULE}L7 rule type requires a value")
    assert api("POST", path, {"rule": rule}).fault == (409, f"Too many rules on L7 policy {policy['id']}")


@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("POST", ""), ("GET", "/x"), ("PUT", "/x"), ("DELETE", "/x")]
)
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_policy_of_a_rule_is_told_before_anything_is_read(
    api: ContractApi, method: str, path: str, id: str
) -> None:
    answer = api(method, f"/l7policies/{id}/rules{path}", body=b"no json", roles="")

    assert answer.routing_fault == (404, f"L7Policy {id} not found.")


def test_rule_of_another_policy_is_not_found(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    policy, other = api.l7_policy(load_balancer, listener), api.l7_policy(load_balancer, listener)
    rule = api.l7_rule(load_balancer, policy)

    for id in (rule["id"], UNKNOWN, "loom"):
        for method in ("GET", "PUT", "DELETE"):
            answer = api(method, f"/l7policies/{other['id']}/rules/{id}", {"rule": {}} if method == "PUT" else None)
            assert answer.fault == (404, f"L7 Rule {id} not found.")


def test_what_stands_above_a_rule_is_pending_with_it(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    policy = api.l7_policy(load_balancer, listener)
    rule = api.l7_rule(load_balancer, policy)
    api.hold()

    deleted = api("DELETE", f"/l7policies/{policy['id']}/rules/{rule['id']}")

    above = [f"/loadbalancers/{load_balancer['id']}", f"/listeners/{listener['id']}", f"/l7policies/{policy['id']}"]
    assert (deleted.status, deleted.text) == (204, "")
    assert [api.show(path)["provisioning_status"] for path in above] == ["PENDING_UPDATE"] * 3
    assert api.show(f"/l7policies/{policy['id']}/rules/{rule['id']}")["provisioning_status"] == "PENDING_DELETE"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_l7_policy_is_not_found(api: ContractApi, method: str, id: str) -> None:
    body = {"l7policy": {"name": "x"}} if method == "PUT" else None

    assert api(method, f"/l7policies/{id}", body).fault == (404, f"L7 Policy {id} not found.")
