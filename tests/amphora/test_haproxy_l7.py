"""L7 policies in the file: which of them are left out, what they need beside them, and what is refused by name."""

import re
from typing import Any

import pytest

from amphora.haproxy import Unrenderable
from domain.l7_policy import L7Action, L7Policy
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool, PoolProtocol
from domain.progress import Kind, Ref
from domain.tree import Tree
from tests.amphora.rendering import a_listener, a_member, a_policy, a_pool, a_rule, a_tree, an_id, lines, rendered

OTHER_POOL = an_id(20)
TO_OTHER = a_policy(action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=OTHER_POOL)
EQUAL, REGEX = L7CompareType.EQUAL_TO, L7CompareType.REGEX


def with_l7(*added: L7Policy | L7Rule, tree: Tree | None = None) -> Tree:
    """A listener with a default pool, and these policies and rules."""
    tree = tree or a_tree()
    for each in added:
        tree = tree.with_l7_policies([each]) if isinstance(each, L7Policy) else tree.with_l7_rule(each)
    return tree


def with_other_pool(pool: Pool | None = None, listener: Listener | None = None) -> Tree:
    member = a_member(id=an_id(21), pool_id=OTHER_POOL, address="127.0.0.20")
    return a_tree(listener).with_pool(pool or a_pool(id=OTHER_POOL)).with_members([member])


PLAIN = rendered(a_tree())
"""The file without any policy."""


def test_the_pool_of_a_policy_gets_a_backend_and_the_default_one_keeps_its_own() -> None:
    text = rendered(with_l7(TO_OTHER, a_rule(), tree=with_other_pool()))

    assert re.findall("^backend (.*)$", text, re.MULTILINE) == [f"{an_id(2)}:{an_id(1)}", f"{OTHER_POOL}:{an_id(1)}"]
    assert f"use_backend {OTHER_POOL}:{an_id(1)} if {an_id(6)}" in lines(text)
    assert f"default_backend {an_id(2)}:{an_id(1)}" in lines(text)


def test_a_pool_is_rendered_once_for_a_listener_that_reaches_it_in_several_ways() -> None:
    again = a_policy(id=an_id(30), position=2, action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=OTHER_POOL)
    to_default = a_policy(id=an_id(31), position=3, action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=an_id(2))
    rules = [a_rule(id=an_id(40 + n), l7policy_id=id) for n, id in enumerate((an_id(5), an_id(30), an_id(31)))]

    text = rendered(with_l7(TO_OTHER, again, to_default, *rules, tree=with_other_pool()))

    assert text.count("\nbackend ") == 2
    assert text.count("use_backend ") == 3


def test_a_pool_is_rendered_for_each_listener_that_sends_requests_to_it() -> None:
    tree = with_other_pool().with_listeners([a_listener(id=an_id(9), protocol_port=81, default_pool_id=OTHER_POOL)])

    text = rendered(with_l7(TO_OTHER, a_rule(), tree=tree))

    assert f"\nbackend {OTHER_POOL}:{an_id(1)}\n" in text
    assert f"\nbackend {OTHER_POOL}:{an_id(9)}\n" in text


@pytest.mark.parametrize(
    "tree",
    [
        with_l7(a_policy()),
        with_l7(a_policy(), a_rule(admin_state_up=False)),
        with_l7(a_policy(admin_state_up=False), a_rule()),
        with_l7(TO_OTHER, a_rule()),
        with_l7(a_policy(action=L7Action.REDIRECT_TO_POOL), a_rule()),
        with_l7(a_policy(action=L7Action.REDIRECT_TO_URL, redirect_prefix="http://a"), a_rule()),
        with_l7(a_policy(action=L7Action.REDIRECT_PREFIX, redirect_url="http://a"), a_rule()),
        with_l7(TO_OTHER, a_rule(value="("), tree=a_tree().with_members([])),
    ],
    ids=[
        "no rules",
        "no enabled rules",
        "disabled",
        "its pool is left out",
        "no pool",
        "no URL",
        "no prefix",
        "its pool is left out, and its rule is none",
    ],
)
def test_a_policy_that_can_do_nothing_is_left_out(tree: Tree) -> None:
    assert rendered(tree) == PLAIN


@pytest.mark.parametrize(
    "settings", [{"admin_state_up": False}, {"protocol": PoolProtocol.UDP}], ids=["disabled", "not for HAProxy"]
)
def test_a_policy_with_a_pool_that_serves_nobody_is_left_out(settings: dict[str, Any]) -> None:
    text = rendered(with_l7(TO_OTHER, a_rule(), tree=with_other_pool(a_pool(id=OTHER_POOL, **settings))))

    assert str(OTHER_POOL) not in text


@pytest.mark.parametrize("protocol", [ListenerProtocol.TCP, ListenerProtocol.HTTPS, ListenerProtocol.PROMETHEUS])
def test_policies_do_nothing_where_requests_are_not_read(protocol: ListenerProtocol) -> None:
    listener = a_listener(protocol=protocol, default_pool_id=None)

    text = rendered(with_l7(TO_OTHER, a_rule(), tree=with_other_pool(listener=listener)))

    assert "acl" not in text
    assert str(a_pool().id) not in text
    assert str(OTHER_POOL) not in text


def test_a_disabled_rule_is_no_condition() -> None:
    text = rendered(with_l7(a_policy(), a_rule(), a_rule(id=an_id(7), admin_state_up=False)))

    assert f"http-request deny if {an_id(6)}" in lines(text)
    assert str(an_id(7)) not in text


def test_a_redirection_without_a_code_is_a_temporary_one() -> None:
    policy = a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url="http://a")

    assert f"http-request redirect location http://a code 302 if {an_id(6)}" in lines(
        rendered(with_l7(policy, a_rule()))
    )


def test_policies_of_one_kind_keep_their_order() -> None:
    kinds = (L7Action.REDIRECT_PREFIX, L7Action.REDIRECT_TO_URL, L7Action.REDIRECT_PREFIX, L7Action.REJECT)
    policies = [
        a_policy(id=an_id(50 + n), position=n, action=kind, redirect_url=f"http://{n}", redirect_prefix=f"http://{n}")
        for n, kind in enumerate(kinds, start=1)
    ]
    rules = [a_rule(id=an_id(60 + n), l7policy_id=policy.id) for n, policy in enumerate(policies)]

    text = rendered(with_l7(*reversed(policies), *rules))

    done = re.findall(r"^    http-request (deny|redirect \w+ \S+)", text, re.MULTILINE)
    assert done == ["deny", "redirect prefix http://1", "redirect location http://2", "redirect prefix http://3"]


def test_as_many_rules_as_a_policy_may_have_fit_into_a_line() -> None:
    rules = [a_rule(id=an_id(100 + n)) for n in range(50)]
    policy = a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url="http://a")

    (line,) = [line for line in lines(rendered(with_l7(policy, *rules))) if "redirect" in line]

    assert len(line.split()) <= 63  # of the words of a line HAProxy reads 64


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        ({"action": L7Action.REDIRECT_TO_URL, "redirect_url": "http://a b"}, "redirect_url"),
        ({"action": L7Action.REDIRECT_TO_URL, "redirect_url": "http://a\n"}, "redirect_url"),
        ({"action": L7Action.REDIRECT_TO_URL, "redirect_url": "javascript:x"}, "redirect_url"),
        ({"action": L7Action.REDIRECT_PREFIX, "redirect_prefix": "/x"}, "redirect_prefix"),
    ],
)
def test_a_url_that_an_old_event_may_hold_is_refused_by_name(policy: dict[str, Any], field: str) -> None:
    with pytest.raises(Unrenderable, match=field) as refusal:
        rendered(with_l7(a_policy(**policy), a_rule()))

    assert refusal.value.ref == Ref(Kind.L7_POLICY, an_id(5))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"value": "a b"}, "Invalid characters in comparison value"),
        ({"compare_type": REGEX, "value": "("}, "Unable to parse regular expression"),
        ({"compare_type": REGEX, "value": "a\x0bb"}, "value"),
        ({"type": L7RuleType.HEADER, "key": "a b"}, "Invalid characters in key"),
        ({"type": L7RuleType.COOKIE, "key": None}, "requires a key"),
        ({"type": L7RuleType.SSL_DN_FIELD, "key": "O", "value": "a\nb"}, "value"),
        ({"type": L7RuleType.SSL_VERIFY_RESULT, "compare_type": EQUAL, "value": "1 or 2"}, "int value"),
    ],
)
def test_a_rule_that_an_old_event_may_hold_is_refused_by_name(rule: dict[str, Any], words: str) -> None:
    with pytest.raises(Unrenderable, match=words) as refusal:
        rendered(with_l7(a_policy(), a_rule(**rule)))

    assert refusal.value.ref == Ref(Kind.L7_RULE, an_id(6))
