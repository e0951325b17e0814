"""L7 rules: which key, value and comparison go with which type, and what a request body may say."""

from typing import Any
from uuid import UUID

import pytest

from commands.body import Parser, Received
from domain.errors import Conflicting, Invalid
from domain.l7_rule import MOST_RULES, L7CompareType, L7Rule, L7RuleType, TooManyRules

TYPES, BY = L7RuleType, L7CompareType
NO_VALUE = "Invalid L7 Rule: L7 rule type requires a value"
NO_KEY = "Invalid L7 Rule: L7 rule type requires a key"
NO_TYPE = "Invalid L7 Rule: invalid rule type"
NOT_SO = "Invalid L7 Rule: invalid comparison type for rule type"
GOOD_VALUES = {TYPES.SSL_CONN_HAS_CERT: "True", TYPES.SSL_VERIFY_RESULT: "10"}
GOOD_KEYS = {TYPES.HEADER: "X-Forwarded_For", TYPES.COOKIE: "session.id", TYPES.SSL_DN_FIELD: "O"}
GOOD_COMPARISONS = {
    TYPES.FILE_TYPE: {BY.EQUAL_TO, BY.REGEX},
    TYPES.SSL_CONN_HAS_CERT: {BY.EQUAL_TO},
    TYPES.SSL_VERIFY_RESULT: {BY.EQUAL_TO},
}


def a_rule(type: L7RuleType | None = TYPES.PATH, **settings: Any) -> L7Rule:
    """A consistent rule of that type, but for what is said."""
    known = {
        "id": UUID(int=1),
        "l7policy_id": UUID(int=2),
        "compare_type": BY.EQUAL_TO,
        "key": GOOD_KEYS.get(type),  # type: ignore[arg-type]
        "value": GOOD_VALUES.get(type, "x"),  # type: ignore[arg-type]
    }
    return L7Rule(**{**known, "type": type, **settings})


def refusal_of(rule: L7Rule) -> str | None:
    """The reason, None for a consistent rule."""
    try:
        rule.require_consistent()
    except Invalid as error:
        frame, _, reason = str(error).partition("Error parsing L7Rule: ")
        assert frame == ""
        return reason
    return None


@pytest.mark.parametrize("compared", BY)
@pytest.mark.parametrize("type", TYPES)
def test_each_type_has_its_comparisons(type: L7RuleType, compared: L7CompareType) -> None:
    reason = refusal_of(a_rule(type, compare_type=compared))

    if compared in GOOD_COMPARISONS.get(type, BY):
        assert reason is None
    elif type == TYPES.FILE_TYPE:
        assert reason == NOT_SO
    else:
        assert reason == f"Invalid L7 Rule: L7rule type {type} only supports the EQUAL_TO compare type."


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("value", ["", None])
def test_every_type_needs_a_value(type: L7RuleType, value: str | None) -> None:
    assert refusal_of(a_rule(type, value=value)) == NO_VALUE


@pytest.mark.parametrize("key", ["", None])
def test_some_types_need_a_key(key: str | None) -> None:
    assert refusal_of(a_rule(TYPES.HEADER, key=key)) == NO_KEY
    assert refusal_of(a_rule(TYPES.COOKIE, key=key)) == NO_KEY
    assert (
        refusal_of(a_rule(TYPES.SSL_DN_FIELD, key=key))
        == "Invalid L7 Rule: L7rule type SSL_DN_FIELD needs to specify a key and a value."
    )


@pytest.mark.parametrize("type", [TYPES.SSL_CONN_HAS_CERT, TYPES.SSL_VERIFY_RESULT])
def test_some_types_have_no_use_for_a_key_and_say_so(type: L7RuleType) -> None:
    assert refusal_of(a_rule(type, key="x")) == f'Invalid L7 Rule: L7rule type {type} does not use the "key" field.'


@pytest.mark.parametrize("type", [TYPES.HOST_NAME, TYPES.PATH, TYPES.FILE_TYPE])
def test_other_types_ignore_a_key_until_the_rule_is_changed(type: L7RuleType) -> None:
    rule = a_rule(type, key="any thing")

    assert refusal_of(rule) is None
    assert rule.changed_by({"invert": True}).key is None


@pytest.mark.parametrize("type", [TYPES.HEADER, TYPES.COOKIE])
@pytest.mark.parametrize("key", ["a b", "a:b", "a\tb", "a\n", "\u00e4"])
def test_a_key_is_a_header_name(type: L7RuleType, key: str) -> None:
    assert refusal_of(a_rule(type, key=key)) == "Invalid characters in key"


@pytest.mark.parametrize("type", [TYPES.HEADER, TYPES.COOKIE])
def test_a_key_has_any_character_of_a_header_name(type: L7RuleType) -> None:
    assert refusal_of(a_rule(type, key="aZ0!#$%&'*+,-.^_`|~")) is None


@pytest.mark.parametrize("key", ["1O", "-O", "O=", "O\n", "O U"])
def test_a_field_of_a_subject_has_a_plain_name(key: str) -> None:
    reason = refusal_of(a_rule(TYPES.SSL_DN_FIELD, key=key))

    assert reason == "Invalid L7 Rule: Invalid L7rule distinguished name field."


WORDS = {
    TYPES.HOST_NAME: "comparison value",
    TYPES.PATH: "comparison value",
    TYPES.FILE_TYPE: "comparison value",
    TYPES.HEADER: "header value",
    TYPES.COOKIE: "cookie value",
}
BAD_VALUES = [(type, value) for type in WORDS for value in ("a b", "a\tb", "\u00e4", "a\n", "\x7f", '"a b')]
BAD_VALUES += [(TYPES.COOKIE, value) for value in ('"a"', "a;b", "a\\b")]


@pytest.mark.parametrize(("type", "value"), BAD_VALUES)
def test_a_value_has_only_the_characters_of_its_place(type: L7RuleType, value: str) -> None:
    assert refusal_of(a_rule(type, value=value)) == f"Invalid characters in {WORDS[type]}"


@pytest.mark.parametrize("type", [type for type in WORDS if type != TYPES.COOKIE])
@pytest.mark.parametrize("value", ["".join(map(chr, range(0x21, 0x7F))), '"a b\tc"'])
def test_a_value_may_have_spaces_in_double_quotes(type: L7RuleType, value: str) -> None:
    assert refusal_of(a_rule(type, value=value)) is None


def test_a_cookies_value_has_any_other_character() -> None:
    value = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '";\\')

    assert refusal_of(a_rule(TYPES.COOKIE, value=value)) is None


@pytest.mark.parametrize("type", [*WORDS, TYPES.SSL_DN_FIELD])
def test_a_regular_expression_is_parsed(type: L7RuleType) -> None:
    assert refusal_of(a_rule(type, compare_type=BY.REGEX, value=r'^/a b\.(jpg|"\u00fc)$')) is None

    reason = refusal_of(a_rule(type, compare_type=BY.REGEX, value="(a"))

    assert reason == "Unable to parse regular expression: missing ), unterminated subpattern at position 0"


@pytest.mark.parametrize("value", ["a{99999999999999999999}", "(" * 255, "[" * 255, "(?P<a" * 51, "\\"])
@pytest.mark.filterwarnings("ignore::FutureWarning")  # the expression's own: "[[" may get a meaning one day
def test_no_regular_expression_is_too_much(value: str) -> None:
    reason = refusal_of(a_rule(compare_type=BY.REGEX, value=value))

    assert str(reason).startswith("Unable to parse regular expression: ")


@pytest.mark.parametrize("value", ["false", "1", "yes", "truetrue"])
def test_that_there_is_a_certificate_is_only_ever_true(value: str) -> None:
    reason = refusal_of(a_rule(TYPES.SSL_CONN_HAS_CERT, value=value))

    assert reason == f"Invalid L7 Rule: L7rule value {value} is not a boolean True string."


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "\u0663", "1\n"])
def test_the_result_of_a_verification_is_a_number(value: str) -> None:
    reason = refusal_of(a_rule(TYPES.SSL_VERIFY_RESULT, value=value))

    assert reason == "Invalid L7 Rule: L7rule type SSL_VERIFY_RESULT needs a int value, which is >= 0"


def test_a_subjects_field_has_any_value() -> None:
    assert refusal_of(a_rule(TYPES.SSL_DN_FIELD, value="Z\u00fcrich & Co")) is None


# Changes


def test_a_change_is_judged_together_with_what_is_stored() -> None:
    rule = a_rule(TYPES.HEADER, value="a")

    assert rule.changed_by({"value": "b"}) == a_rule(TYPES.HEADER, value="b")
    with pytest.raises(Invalid, match="does not use the"):
        rule.changed_by({"type": TYPES.SSL_CONN_HAS_CERT, "value": "true"})
    with pytest.raises(Invalid, match=NO_KEY):
        rule.changed_by({"key": None})


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("field", ["type", "compare_type", "value"])
def test_null_is_refused_where_something_is_needed(type: L7RuleType, field: str) -> None:
    reason = refusal_of(a_rule(**{"type": type, field: None}))

    of_certificate = type in (TYPES.SSL_CONN_HAS_CERT, TYPES.SSL_VERIFY_RESULT)
    only_equal = f"Invalid L7 Rule: L7rule type {type} only supports the EQUAL_TO compare type."
    assert (
        reason == {"type": NO_TYPE, "compare_type": only_equal if of_certificate else NOT_SO, "value": NO_VALUE}[field]
    )


# What a request body may say

PARSER = Parser(L7Rule, without=("id", "l7policy_id"))


def read(attributes: dict[str, Any]) -> dict[str, Any]:
    return PARSER.given(Received("rule_", "rule_.rule", attributes, attributes))


def read_change(attributes: dict[str, Any]) -> dict[str, Any]:
    return PARSER.changes(Received("l7rule_", "l7rule_.rule", attributes, attributes))


def test_a_new_rule_is_read_into_the_domains_types() -> None:
    found = read({"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x", "invert": "yes", "key": None})

    assert found == {"type": TYPES.PATH, "compare_type": BY.STARTS_WITH, "value": "/x", "invert": True, "key": None}


@pytest.mark.parametrize("absent", ["type", "compare_type", "value"])
def test_a_new_rule_needs_type_comparison_and_value(absent: str) -> None:
    said = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x"}
    del said[absent]

    with pytest.raises(Invalid, match=f"field/attribute {absent}. Value: 'None'. Mandatory field missing."):
        read(said)


@pytest.mark.parametrize("attribute", ["key", "value"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\rb", r"Value should match the pattern ^[^\r\n]*$"),
        ("a\n", r"Value should match the pattern ^[^\r\n]*$"),
        ("x" * 256, "Value should have a maximum character requirement of 255"),
        (7, "Value should be string"),
    ],
)
def test_key_and_value_are_one_line_of_text(attribute: str, value: Any, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_change({attribute: value})

    assert str(refusal.value) == f"Invalid input for field/attribute {attribute}. Value: '{value}'. {reason}"


def test_null_on_a_change_clears_or_is_passed_on() -> None:
    found = read_change(dict.fromkeys(("type", "compare_type", "key", "value", "invert", "tags", "admin_state_up")))

    nothing = dict.fromkeys(("type", "compare_type", "key", "value"))
    assert found == {**nothing, "invert": False, "tags": (), "admin_state_up": False}


def test_a_policy_has_at_most_fifty_rules() -> None:
    refusal = TooManyRules(UUID(int=2))

    assert MOST_RULES == 50
    assert isinstance(refusal, Conflicting)
    assert str(refusal) == f"Too many rules on L7 policy {UUID(int=2)}"
