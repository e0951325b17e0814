"""What HAProxy is told about L7 policies: an ACL for each rule, and a line for each policy."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from amphora.haproxy_words import Unrenderable, matching, one_line, sample
from domain.errors import Invalid
from domain.l7_policy import L7Action, L7Policy, RedirectCode
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener
from domain.pool import Pool
from domain.progress import Kind, Ref
from domain.tree import Tree


@dataclass(frozen=True)
class AclLine:
    """A rule: `words` are the arguments after the ACL's name, which is the rule's id."""

    rule: L7Rule
    words: tuple[str, ...]


@dataclass(frozen=True)
class PolicyLine:
    """A policy that can be carried out: all of its rules have to be met.

    target  URL, or name of a backend; empty for REJECT
    code    of a redirection
    """

    policy: L7Policy
    acls: tuple[AclLine, ...]
    target: str
    code: int

    @property
    def action(self) -> L7Action:
        return self.policy.action


class Policies:
    """The L7 policies of a tree, with their rules found at once: there may be hundreds of either."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._rules: Mapping[UUID, list[L7Rule]] = defaultdict(list)
        for rule in tree.l7_rules.values():
            if rule.admin_state_up:
                self._rules[rule.l7policy_id].append(rule)

    def of(self, listener: Listener) -> tuple[PolicyLine, ...]:
        """The enabled policies that have an enabled rule, and a target that is there.

        In the order in which HAProxy knows them: requests are rejected, then redirected, then sent to a pool, and
        within each by position. Raises Unrenderable.
        """
        lines = [
            PolicyLine(policy, self._acls_of(policy), target, int(policy.redirect_http_code or RedirectCode.FOUND))
            for policy in self._tree.policies_of(listener.id)
            if policy.admin_state_up and policy.id in self._rules
            for target in self._targets_of(policy)
        ]
        return tuple(sorted(lines, key=lambda line: _ORDER[line.action]))

    def _acls_of(self, policy: L7Policy) -> tuple[AclLine, ...]:
        return tuple(AclLine(rule, _words_of(rule)) for rule in self._rules[policy.id])

    def _targets_of(self, policy: L7Policy) -> Iterator[str]:
        """At most one: a change of a policy may leave it without, and a pool may be disabled, or left out."""
        if policy.action == L7Action.REJECT:
            yield ""
        elif policy.action == L7Action.REDIRECT_TO_POOL:
            pool = self.pool_of(policy)
            if pool is not None:
                yield f"{pool.id}:{policy.listener_id}"
        else:
            name = "redirect_url" if policy.action == L7Action.REDIRECT_TO_URL else "redirect_prefix"
            url: str | None = getattr(policy, name)
            if url is not None:
                yield _url(Ref(Kind.L7_POLICY, policy.id), name, url)

    def pool_of(self, policy: L7Policy) -> Pool | None:
        """Where requests are sent."""
        pool = self._tree.pools.get(policy.redirect_pool_id) if policy.redirect_pool_id is not None else None
        return pool if pool is not None and pool.admin_state_up and not pool.protocol.is_connectionless else None


_ORDER = {
    L7Action.REJECT: 0,
    L7Action.REDIRECT_TO_URL: 1,
    L7Action.REDIRECT_PREFIX: 1,
    L7Action.REDIRECT_TO_POOL: 2,
}


def _url(ref: Ref, name: str, url: str) -> str:
    """As a header carries it: other than ASCII in the encoding of URLs."""
    return matching(ref, name, r"(?i:https?)://[\x21-\x7e]+", quote(url, safe=_ASCII))


_ASCII = "".join(map(chr, range(0x80)))


def _words_of(rule: L7Rule) -> tuple[str, ...]:
    """What is looked at, how, and what it is compared with. After `--` nothing is taken for an option any more."""
    ref = Ref(Kind.L7_RULE, rule.id)
    try:
        rule.require_consistent()
    except Invalid as error:
        raise Unrenderable(ref, str(error)) from None
    value = one_line(ref, "value", rule.value)
    key = one_line(ref, "key", rule.key or "")
    match rule.type:
        case L7RuleType.HOST_NAME:
            return "req.hdr(host)", "-i", *_compared(rule, value)
        case L7RuleType.PATH | L7RuleType.FILE_TYPE:
            return "path", *_compared(rule, value)
        case L7RuleType.HEADER:
            return sample("req.hdr", key), *_compared(rule, value)
        case L7RuleType.COOKIE:
            return sample("req.cook", key), *_compared(rule, value)
        case L7RuleType.SSL_DN_FIELD:
            return sample("ssl_c_s_dn", key), *_compared(rule, value)
        case L7RuleType.SSL_VERIFY_RESULT:
            return "ssl_c_verify", "--", value
        case L7RuleType.SSL_CONN_HAS_CERT:
            return ("ssl_c_used",)


def _compared(rule: L7Rule, value: str) -> tuple[str, ...]:
    """A value in double quotes stands for what is between them; HAProxy has no word for nothing."""
    if rule.compare_type == L7CompareType.REGEX:
        return "-m", "reg", "--", value
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    is_ending = rule.type == L7RuleType.FILE_TYPE
    if value == "":
        is_equal = rule.compare_type == L7CompareType.EQUAL_TO and not is_ending
        return ("-m", "len", "0") if is_equal else ("-m", "found")
    return "-m", "end" if is_ending else _MATCHERS[rule.compare_type], "--", value


_MATCHERS = {
    L7CompareType.STARTS_WITH: "beg",
    L7CompareType.ENDS_WITH: "end",
    L7CompareType.CONTAINS: "sub",
    L7CompareType.EQUAL_TO: "str",
}
