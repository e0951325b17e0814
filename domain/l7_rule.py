"""An L7 rule: one condition that a request must meet for its L7 policy to apply."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from domain.errors import Conflicting, Invalid
from domain.fields import FIXED, ONE_LINE, AdminStateUp, Length, Name, OnNull

MOST_RULES = 50
"""Of one policy."""


class TooManyRules(Conflicting):
    def __init__(self, policy_id: UUID) -> None:
        super().__init__(f"Too many rules on L7 policy {policy_id}")


class L7RuleType(StrEnum):
    """What of a request is looked at."""

    HOST_NAME = "HOST_NAME"
    PATH = "PATH"
    FILE_TYPE = "FILE_TYPE"
    HEADER = "HEADER"
    COOKIE = "COOKIE"
    SSL_CONN_HAS_CERT = "SSL_CONN_HAS_CERT"
    SSL_VERIFY_RESULT = "SSL_VERIFY_RESULT"
    SSL_DN_FIELD = "SSL_DN_FIELD"

    @property
    def ignores_key(self) -> bool:
        return self in (L7RuleType.HOST_NAME, L7RuleType.PATH, L7RuleType.FILE_TYPE)


class L7CompareType(StrEnum):
    """How it is compared with the rule's value."""

    REGEX = "REGEX"
    STARTS_WITH = "STARTS_WITH"
    ENDS_WITH = "ENDS_WITH"
    CONTAINS = "CONTAINS"
    EQUAL_TO = "EQUAL_TO"


Comparand = Annotated[str, Length(255), ONE_LINE]

HEADER_NAME = r"[a-zA-Z0-9!#$%&'*+,\-.^_`|~]+"
HEADER_VALUE = r'[\x21-\x7e]+|"[\x20-\x7e\t]*"'
"""In double quotes there may be spaces; what is compared stands between the quotes."""
COOKIE_VALUE = r"[\x21\x23-\x3a\x3c-\x5b\x5d-\x7e]+"
DN_FIELD = r"[a-zA-Z][A-Za-z0-9-]*"


@dataclass(frozen=True, kw_only=True)
class L7Rule:
    """The settings of an L7 rule, as the API user gave them.

    key     name of the header or cookie, or of the field of the certificate's subject
    invert  the rule is met by what does not compare

    Names, limits, defaults: Octavia API reference v2, "Create an L7 Rule".
    """

    id: UUID
    l7policy_id: Annotated[UUID, FIXED]
    type: Annotated[L7RuleType, OnNull(post=None, put=None)]
    compare_type: Annotated[L7CompareType, OnNull(post=None, put=None)]
    key: Comparand | None = None
    value: Annotated[Comparand, OnNull(post=None, put=None)]
    invert: bool = False
    admin_state_up: AdminStateUp = True
    tags: tuple[Name, ...] = ()

    def changed_by(self, changes: Mapping[str, Any]) -> "L7Rule":
        """The rule with new values for what is named, and without a key where its type has no use for one.

        Raises InvalidRule.
        """
        changed = replace(self, **changes)
        changed.require_consistent()
        return replace(changed, key=None) if changed.type.ignores_key else changed

    def require_consistent(self) -> None:
        """Raises InvalidRule when key, value and comparison do not fit the type, or one was said to be null."""
        if not self.value:
            raise InvalidRule("Invalid L7 Rule: L7 rule type requires a value")
        if self.type == L7RuleType.HEADER:
            _require_key(self.key)
            _require_comparison(self, "header value", HEADER_VALUE)
        elif self.type == L7RuleType.COOKIE:
            _require_key(self.key)
            _require_comparison(self, "cookie value", COOKIE_VALUE)
        elif self.type in (L7RuleType.HOST_NAME, L7RuleType.PATH, L7RuleType.FILE_TYPE):
            _require_comparison(self, "comparison value", HEADER_VALUE)
        elif self.type == L7RuleType.SSL_DN_FIELD:
            _require_subject_fits(self)
        elif self.type in (L7RuleType.SSL_CONN_HAS_CERT, L7RuleType.SSL_VERIFY_RESULT):
            _require_certificate_fits(self)
        else:
            raise InvalidRule("Invalid L7 Rule: invalid rule type")


class InvalidRule(Invalid):
    def __init__(self, reason: str) -> None:
        super().__init__(f"Error parsing L7Rule: {reason}")


def _require_key(key: str | None) -> None:
    if not key:
        raise InvalidRule("Invalid L7 Rule: L7 rule type requires a key")
    if not re.fullmatch(HEADER_NAME, key):
        raise InvalidRule("Invalid characters in key")


def _require_comparison(rule: L7Rule, what: str, grammar: str) -> None:
    """grammar: of values that are compared as they are"""
    possible = tuple(L7CompareType)
    if rule.type == L7RuleType.FILE_TYPE:
        possible = (L7CompareType.EQUAL_TO, L7CompareType.REGEX)
    if rule.compare_type not in possible:
        raise InvalidRule("Invalid L7 Rule: invalid comparison type for rule type")
    if rule.compare_type == L7CompareType.REGEX:
        _require_regex(rule.value)
    elif not re.fullmatch(grammar, rule.value):
        raise InvalidRule(f"Invalid characters in {what}")


def _require_regex(text: str) -> None:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidRule(f"Unable to parse regular expression: {error}") from None


def _require_subject_fits(rule: L7Rule) -> None:
    if rule.compare_type is None:
        raise InvalidRule("Invalid L7 Rule: invalid comparison type for rule type")
    if rule.compare_type == L7CompareType.REGEX:
        _require_regex(rule.value)
    if not rule.key:
        raise InvalidRule(f"Invalid L7 Rule: L7rule type {rule.type} needs to specify a key and a value.")
    if not re.fullmatch(DN_FIELD, rule.key):
        raise InvalidRule("Invalid L7 Rule: Invalid L7rule distinguished name field.")


def _require_certificate_fits(rule: L7Rule) -> None:
    if rule.key:
        raise InvalidRule(f'Invalid L7 Rule: L7rule type {rule.type} does not use the "key" field.')
    if rule.type == L7RuleType.SSL_CONN_HAS_CERT and rule.value.lower() != "true":
        raise InvalidRule(f"Invalid L7 Rule: L7rule value {rule.value} is not a boolean True string.")
    if rule.type == L7RuleType.SSL_VERIFY_RESULT and not re.fullmatch("[0-9]+", rule.value):
        raise InvalidRule(f"Invalid L7 Rule: L7rule type {rule.type} needs a int value, which is >= 0")
    if rule.compare_type != L7CompareType.EQUAL_TO:
        raise InvalidRule(f"Invalid L7 Rule: L7rule type {rule.type} only supports the EQUAL_TO compare type.")
