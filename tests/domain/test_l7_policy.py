"""L7 policies: which settings go together, what a request body may say, and the order of a listener's policies."""

from typing import Any
from uuid import UUID

import pytest

from commands.body import Parser, Received
from domain.errors import Invalid
from domain.l7_policy import L7Action, L7Policy, RedirectCode, inserted, relocated, renumbered

POOL_ID = UUID("00000000-0000-4000-8000-000000000002")
REJECT, TO_URL, TO_POOL, PREFIX = (
    L7Action.REJECT,
    L7Action.REDIRECT_TO_URL,
    L7Action.REDIRECT_TO_POOL,
    L7Action.REDIRECT_PREFIX,
)
URL, OTHER_URL = "https://a.example/x", "https://b.example"


def a_policy(number: int = 1, **settings: Any) -> L7Policy:
    return L7Policy(**{"id": UUID(int=number), "listener_id": UUID(int=99), "action": REJECT, **settings})


def redirect_of(policy: L7Policy) -> dict[str, Any]:
    """What it does, without what is not set."""
    names = ("action", "redirect_pool_id", "redirect_url", "redirect_prefix", "redirect_http_code")
    return {name: getattr(policy, name) for name in names if getattr(policy, name) is not None}


# Which settings go together


@pytest.mark.parametrize(
    ("said", "becomes"),
    [
        ({"action": REJECT}, {"action": REJECT}),
        ({"action": REJECT, "redirect_url": URL}, {"action": REJECT}),
        ({"action": REJECT, "redirect_pool_id": POOL_ID}, {"action": REJECT}),
        (
            {"action": REJECT, "redirect_prefix": URL},
            {"action": PREFIX, "redirect_prefix": URL, "redirect_http_code": 302},
        ),
        ({"action": REJECT, "redirect_http_code": 301}, {"action": REJECT, "redirect_http_code": 301}),
        ({"action": TO_URL, "redirect_url": URL}, {"action": TO_URL, "redirect_url": URL, "redirect_http_code": 302}),
        (
            {"action": TO_URL, "redirect_url": URL, "redirect_http_code": 308},
            {"action": TO_URL, "redirect_url": URL, "redirect_http_code": 308},
        ),
        (
            {"action": TO_URL, "redirect_url": URL, "redirect_pool_id": POOL_ID},
            {"action": TO_URL, "redirect_url": URL, "redirect_http_code": 302},
        ),
        (
            {"action": TO_URL, "redirect_url": URL, "redirect_prefix": OTHER_URL},
            {"action": TO_URL, "redirect_url": URL, "redirect_http_code": 302},
        ),
        ({"action": TO_POOL, "redirect_pool_id": POOL_ID}, {"action": TO_POOL, "redirect_pool_id": POOL_ID}),
        (
            {"action": TO_POOL, "redirect_pool_id": POOL_ID, "redirect_url": URL, "redirect_http_code": 301},
            {"action": TO_POOL, "redirect_pool_id": POOL_ID},
        ),
        (
            {"action": PREFIX, "redirect_prefix": URL},
            {"action": PREFIX, "redirect_prefix": URL, "redirect_http_code": 302},
        ),
        (
            {"action": PREFIX, "redirect_prefix": URL, "redirect_url": OTHER_URL},
            {"action": TO_URL, "redirect_url": OTHER_URL, "redirect_http_code": 302},
        ),
    ],
)
def test_a_new_policy_gets_an_action_and_a_target_that_go_together(
    said: dict[str, Any], becomes: dict[str, Any]
) -> None:
    policy = a_policy(**L7Policy.normalised(said))

    assert redirect_of(policy) == becomes


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"action": TO_URL}, "Invalid L7 Policy arguments: redirect_url must not be None"),
        ({"action": TO_URL, "redirect_url": None}, "Invalid L7 Policy arguments: redirect_url must not be None"),
        ({"action": TO_POOL}, "Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None"),
        ({"action": PREFIX}, "Invalid L7 Policy arguments: redirect_prefix must not be None"),
        ({"action": None}, "Invalid L7 Policy action specified: None"),
        ({"action": None, "redirect_url": URL}, "Invalid L7 Policy action specified: None"),
        (
            {"action": TO_POOL, "redirect_pool_id": POOL_ID, "redirect_prefix": URL},
            "Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the"
            " same time",
        ),
        (
            {"action": PREFIX, "redirect_pool_id": POOL_ID, "redirect_prefix": URL},
            "Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the"
            " same time",
        ),
        (
            {"redirect_pool_id": POOL_ID, "redirect_url": URL},
            "Invalid L7 Policy arguments: Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the"
            " same time",
        ),
    ],
)
def test_a_policy_is_refused_when_action_and_target_do_not_go_together(said: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as new:
        L7Policy.normalised(said)
    with pytest.raises(Invalid) as changed:
        a_policy(redirect_url=URL, redirect_prefix=URL, redirect_pool_id=POOL_ID).changed_by(said)

    assert str(new.value) == str(changed.value) == words


TO_A_URL = {"action": TO_URL, "redirect_url": URL, "redirect_http_code": RedirectCode.MOVED_PERMANENTLY}
TO_A_PREFIX = {"action": PREFIX, "redirect_prefix": URL, "redirect_http_code": RedirectCode.MOVED_PERMANENTLY}
TO_A_POOL = {"action": TO_POOL, "redirect_pool_id": POOL_ID}


@pytest.mark.parametrize("stored", [{"action": REJECT}, TO_A_URL, TO_A_PREFIX, TO_A_POOL])
@pytest.mark.parametrize(
    ("changes", "becomes"),
    [
        ({"redirect_pool_id": POOL_ID}, TO_A_POOL),
        (
            {"redirect_url": OTHER_URL},
            {"action": TO_URL, "redirect_url": OTHER_URL, "redirect_http_code": 302},
        ),
        (
            {"redirect_prefix": OTHER_URL, "redirect_http_code": 307},
            {"action": PREFIX, "redirect_prefix": OTHER_URL, "redirect_http_code": 307},
        ),
        ({"action": REJECT}, {"action": REJECT}),
    ],
)
def test_a_target_alone_switches_the_action_and_clears_the_others(
    stored: dict[str, Any], changes: dict[str, Any], becomes: dict[str, Any]
) -> None:
    changed = a_policy(**stored).changed_by(changes)

    assert redirect_of(changed) == becomes


def test_a_change_may_leave_an_action_without_its_target() -> None:
    changed = a_policy(**TO_A_URL).changed_by({"redirect_url": None})

    assert redirect_of(changed) == {"action": TO_URL, "redirect_http_code": 301}


def test_a_change_of_something_else_leaves_the_target_alone() -> None:
    changed = a_policy(**TO_A_URL).changed_by({"name": "new", "redirect_http_code": RedirectCode.SEE_OTHER})

    assert redirect_of(changed) == {**TO_A_URL, "redirect_http_code": 303}
    assert changed.name == "new"


def test_a_change_of_nothing_changes_nothing() -> None:
    policy = a_policy()

    assert policy.changed_by({}) == policy


# What a request body may say

PARSER = Parser(L7Policy)


def read(attributes: dict[str, Any]) -> dict[str, Any]:
    return PARSER.given(Received("l7policy_", "l7policy_.l7policy", attributes, attributes))


def read_change(attributes: dict[str, Any]) -> dict[str, Any]:
    return PARSER.changes(Received("l7policy_", "l7policy_.l7policy", attributes, attributes))


def test_a_new_policy_is_read_into_the_domains_types() -> None:
    found = read({"listener_id": str(POOL_ID), "action": "REJECT", "redirect_http_code": "307", "position": "3"})

    assert found == {"listener_id": POOL_ID, "action": REJECT, "redirect_http_code": 307, "position": 3}
    assert type(found["redirect_http_code"]) is RedirectCode


@pytest.mark.parametrize(
    ("attribute", "value", "reason"),
    [
        ("action", "DROP", "Value should be one of: REJECT, REDIRECT_TO_URL, REDIRECT_TO_POOL, REDIRECT_PREFIX"),
        ("redirect_http_code", 304, "Value should be one of: 301, 302, 303, 307, 308"),
        ("redirect_url", "ftp://a", "Value must be a valid URL string"),
        ("redirect_url", "https:///no-host", "Value must be a valid URL string"),
        ("redirect_url", "https://a/b c", "Value must be a valid URL string"),
        ("redirect_url", "https://a/\x85", "Value must be a valid URL string"),
        ("redirect_url", "https://a:port/", "Value must be a valid URL string"),
        ("redirect_url", "https://[::1/", "Value must be a valid URL string"),
        ("redirect_prefix", "/path", "Value must be a valid URL string"),
        ("redirect_prefix", f"https://a/{'x' * 250}", "Value should have a maximum character requirement of 255"),
        ("redirect_pool_id", "2", "Value should be UUID format"),
        ("position", 0, "Value should be greater or equal to 1"),
        ("position", 2_147_483_648, "Value should be lower or equal to 2147483647"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_name(attribute: str, value: Any, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        read_change({attribute: value})

    assert str(refusal.value) == f"Invalid input for field/attribute {attribute}. Value: '{value}'. {reason}"


@pytest.mark.parametrize(
    "url", ["http://a", "HTTPS://a.b:80/x?y#z", "http://[::1]:8080/x", "http://u:p@h/", "http://\u00fc.example/\u00e4"]
)
def test_urls_of_http_are_accepted(url: str) -> None:
    assert read_change({"redirect_url": url}) == {"redirect_url": url}


def test_null_on_a_change_clears_or_leaves_or_is_passed_on() -> None:
    named = ("name", "description", "redirect_url", "redirect_prefix", "redirect_pool_id", "redirect_http_code")
    found = read_change(dict.fromkeys((*named, "action", "position", "tags", "admin_state_up")))

    assert found == {
        **dict.fromkeys(("redirect_url", "redirect_prefix", "redirect_pool_id", "redirect_http_code", "action")),
        "name": "",
        "description": "",
        "tags": (),
        "admin_state_up": False,
    }


def test_the_listener_is_never_changed() -> None:
    with pytest.raises(Invalid, match="Unknown attribute"):
        read_change({"listener_id": str(POOL_ID)})


# Positions


def order(policies: tuple[L7Policy, ...]) -> list[int]:
    """Numbers of the policies, whose positions are 1, 2, 3 ..."""
    assert [policy.position for policy in policies] == list(range(1, len(policies) + 1))
    return [policy.id.int for policy in policies]


THREE = tuple(a_policy(number, position=number) for number in (1, 2, 3))


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (1, [9, 1, 2, 3]),
        (2, [1, 9, 2, 3]),
        (3, [1, 2, 9, 3]),
        (4, [1, 2, 3, 9]),
        (5, [1, 2, 3, 9]),
        (2**31 - 1, [1, 2, 3, 9]),
    ],
)
def test_a_new_policy_shifts_those_from_its_position_on(position: int, expected: list[int]) -> None:
    assert order(inserted(THREE, a_policy(9, position=position))) == expected


def test_without_a_position_a_policy_is_the_last() -> None:
    assert order(inserted((), a_policy(1))) == [1]
    assert order(inserted(THREE, a_policy(9))) == [1, 2, 3, 9]


@pytest.mark.parametrize(
    ("number", "position", "expected"),
    [
        (1, 1, [1, 2, 3]),
        (1, 2, [2, 1, 3]),
        (1, 3, [2, 3, 1]),
        (1, 4, [2, 3, 1]),
        (2, 1, [2, 1, 3]),
        (2, 2, [1, 2, 3]),
        (3, 1, [3, 1, 2]),
        (3, 2, [1, 3, 2]),
        (3, 99, [1, 2, 3]),
    ],
)
def test_a_policy_moves_to_its_new_position(number: int, position: int, expected: list[int]) -> None:
    assert order(relocated(THREE, a_policy(number, position=position))) == expected


def test_a_moved_policy_keeps_its_new_settings_and_the_others_theirs() -> None:
    _, second, _ = relocated(THREE, a_policy(1, position=2, name="new"))

    assert second == a_policy(1, position=2, name="new")


def test_a_gap_is_closed() -> None:
    first, _, third = THREE

    closed = renumbered((first, third))

    assert order(closed) == [1, 3]
    assert closed[0] is first
