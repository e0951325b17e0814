"""The configuration that an amphora gets: what each setting becomes, and whole files that HAProxy itself accepts."""

from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from amphora.haproxy import Unrenderable, quoted, render, without_revision
from domain.health_monitor import HealthMonitor, HealthMonitorType, HttpMethod, HttpVersion
from domain.l7_policy import L7Action, RedirectCode
from domain.l7_rule import L7CompareType, L7RuleType
from domain.listener import INSERTED_HEADERS, INSERTED_TLS_HEADERS, Listener, ListenerProtocol
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol, SessionPersistence, SessionPersistenceType
from domain.progress import Kind, Ref
from domain.tree import Tree
from tests.amphora.rendering import (
    GOLDEN,
    LOAD_BALANCER_ID,
    LOCAL,
    LOG_ID,
    STOCK,
    TLS_FILES,
    a_listener,
    a_member,
    a_monitor,
    a_policy,
    a_pool,
    a_rule,
    a_tls_listener,
    a_tree,
    an_id,
    haproxys_objection,
    lines,
    rendered,
    tls_settings,
)


def a_rich_tree() -> Tree:
    """Something of everything that this release renders."""
    ids = map(an_id, count(1))
    tree = Tree()
    for listener_protocol, port, pool, monitor, members in _RICH:
        pool = replace(pool, id=next(ids))
        listener = a_listener(id=next(ids), protocol=listener_protocol, protocol_port=port, default_pool_id=pool.id)
        tree = tree.with_listeners([_with_details(listener)]).with_pool(pool)
        tree = tree.with_members(replace(member, id=next(ids), pool_id=pool.id) for member in members)
        if monitor is not None:
            tree = tree.with_health_monitor(replace(monitor, id=next(ids), pool_id=pool.id))
    shared, other, *_ = tree.pools
    cidrs = ("10.1.2.3/8", "192.0.2.0/24", "2001:0DB8::/32")
    choosy = a_listener(id=next(ids), protocol_port=8090, default_pool_id=shared, connection_limit=300)
    tree = tree.with_listeners(
        [
            replace(choosy, allowed_cidrs=cidrs, insert_headers=dict.fromkeys(INSERTED_HEADERS, "true")),
            a_listener(id=next(ids), protocol_port=8091, default_pool_id=None, timeout_client_data=0),
            a_listener(id=next(ids), protocol_port=8092, admin_state_up=False),
            a_listener(id=next(ids), protocol_port=8093, protocol=ListenerProtocol.UDP),
            a_listener(id=next(ids), protocol_port=8094, protocol=ListenerProtocol.PROMETHEUS, default_pool_id=None),
        ]
    )
    return with_policies(tree, choosy.id, other)


def with_policies(tree: Tree, listener_id: UUID, pool_id: UUID) -> Tree:
    """The tree with an L7 policy of each kind, and rules of all kinds on each of them."""
    known: dict[str, Any] = {"listener_id": listener_id, "redirect_http_code": RedirectCode.SEE_OTHER}
    targets: dict[str, Any] = {
        "redirect_pool_id": pool_id,
        "redirect_url": "https://a.example/b?c=%20d#'e'",
        "redirect_prefix": "http://[2001:db8::1]:8080/\u00e9",
    }
    for number, action in enumerate(reversed(L7Action), start=1):
        policy = a_policy(**known, **targets, id=an_id(0x100 * number), position=number, action=action)
        tree = tree.with_l7_policies([policy])
        for place, rule in enumerate(_RULES, start=1):
            tree = tree.with_l7_rule(a_rule(id=an_id(0x100 * number + place), l7policy_id=policy.id, **rule))
    return tree


_COMPARED = L7CompareType
_RULES: tuple[dict[str, Any], ...] = (
    {"type": L7RuleType.HOST_NAME, "compare_type": _COMPARED.EQUAL_TO, "value": "www.Example.org"},
    {"type": L7RuleType.PATH, "compare_type": _COMPARED.REGEX, "value": "^/(a b|it's) .*%[src]$"},
    {"type": L7RuleType.FILE_TYPE, "compare_type": _COMPARED.EQUAL_TO, "value": "jpg"},
    {"type": L7RuleType.HEADER, "compare_type": _COMPARED.CONTAINS, "key": "X-It's", "value": '"a b"'},
    {"type": L7RuleType.HEADER, "compare_type": _COMPARED.EQUAL_TO, "key": "X-Empty", "value": '""'},
    {"type": L7RuleType.COOKIE, "compare_type": _COMPARED.ENDS_WITH, "key": "id", "value": "-i", "invert": True},
    {"type": L7RuleType.SSL_CONN_HAS_CERT, "compare_type": _COMPARED.EQUAL_TO, "value": "True"},
    {"type": L7RuleType.SSL_VERIFY_RESULT, "compare_type": _COMPARED.EQUAL_TO, "value": "10"},
    {"type": L7RuleType.SSL_DN_FIELD, "compare_type": _COMPARED.STARTS_WITH, "key": "O", "value": "Z\u00fcrich & Co"},
    {"admin_state_up": False},
)


def _with_details(listener: Listener) -> Listener:
    if listener.protocol == ListenerProtocol.HTTP:
        headers = {"X-Forwarded-For": "true", "X-Forwarded-Port": "true", "X-Forwarded-Proto": "true"}
        return replace(listener, insert_headers=headers, connection_limit=500, timeout_client_data=30_000)
    return replace(listener, timeout_tcp_inspect=100, timeout_member_connect=1_000, timeout_member_data=0)


_PERSISTENT = SessionPersistence
_BY = SessionPersistenceType
_RICH = (
    (
        ListenerProtocol.HTTP,
        8080,
        a_pool(session_persistence=_PERSISTENT(type=_BY.APP_COOKIE, cookie_name="JSESSION'id")),
        a_monitor(
            http_method=HttpMethod.HEAD,
            url_path="/health?of=it&by=%5B#'top'",
            expected_codes="200, 202",
            http_version=HttpVersion.HTTP_1_1,
            domain_name="www.example.org",
        ),
        (
            a_member(),
            a_member(address="127.0.0.11", weight=0, monitor_address="127.0.0.12", monitor_port=81),
            a_member(address="2001:0DB8::0001", weight=None, monitor_address="2001:db8::2", backup=True),
            a_member(address="127.0.0.13", admin_state_up=False),
        ),
    ),
    (
        ListenerProtocol.HTTP,
        8081,
        a_pool(protocol=PoolProtocol.PROXY, session_persistence=_PERSISTENT(type=_BY.HTTP_COOKIE)),
        a_monitor(type=HealthMonitorType.HTTPS, expected_codes="200-204", http_version=HttpVersion.HTTP_1_0),
        (a_member(),),
    ),
    (
        ListenerProtocol.TCP,
        8082,
        a_pool(
            protocol=PoolProtocol.PROXYV2,
            lb_algorithm=LbAlgorithm.SOURCE_IP,
            session_persistence=_PERSISTENT(type=_BY.SOURCE_IP, persistence_timeout=60),
        ),
        a_monitor(type=HealthMonitorType.TCP, max_retries_down=2),
        (a_member(),),
    ),
    (
        ListenerProtocol.HTTPS,
        8083,
        a_pool(protocol=PoolProtocol.HTTPS, lb_algorithm=LbAlgorithm.LEAST_CONNECTIONS),
        a_monitor(type=HealthMonitorType.TLS_HELLO),
        (a_member(),),
    ),
    (
        ListenerProtocol.TCP,
        8084,
        a_pool(protocol=PoolProtocol.TCP),
        a_monitor(type=HealthMonitorType.PING),
        (a_member(),),
    ),
    (
        ListenerProtocol.TCP,
        8085,
        a_pool(protocol=PoolProtocol.HTTP, lb_algorithm=LbAlgorithm.SOURCE_IP_PORT),
        a_monitor(admin_state_up=False),
        (a_member(),),
    ),
    (ListenerProtocol.HTTP, 8086, a_pool(admin_state_up=False), None, (a_member(),)),
)

GOLDEN_FILES = {
    "haproxy.cfg": lambda: rendered(a_rich_tree()),
    "haproxy_stock_amphora.cfg": lambda: rendered(a_rich_tree(), STOCK, vip_address="2001:db8::5"),
}


# Whole files


@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_a_rich_tree_becomes_the_golden_file(name: str) -> None:
    assert GOLDEN_FILES[name]() == (GOLDEN / name).read_text()


@pytest.mark.amphora
@pytest.mark.parametrize("name", GOLDEN_FILES)
def test_haproxy_accepts_the_golden_file(name: str) -> None:
    assert haproxys_objection(GOLDEN / name) == ""


def test_files_of_two_revisions_differ_only_in_their_stamps() -> None:
    first, second = rendered(a_rich_tree(), revision=41), rendered(a_rich_tree(), revision=42)

    assert first != second
    assert without_revision(first) == without_revision(second)
    assert len(lines(first)) - len(lines(without_revision(first))) == 2


def test_the_first_line_names_log_and_revision() -> None:
    assert lines(rendered(a_tree()))[0] == f"# tacitus {LOG_ID} 42"


# What is left out


@pytest.mark.parametrize(
    ("enabled", "tree"),
    [(False, a_tree()), (True, Tree()), (True, a_tree(a_listener(admin_state_up=False)))],
    ids=["disabled", "empty", "its listener is disabled"],
)
def test_there_is_no_file_without_a_frontend(enabled: bool, tree: Tree) -> None:
    text = render(
        load_balancer_id=LOAD_BALANCER_ID,
        project_id="demo",
        enabled=enabled,
        vip_address="127.20.0.5",
        tree=tree,
        revision=42,
        log_id=LOG_ID,
        options=LOCAL,
    )

    assert text is None


def test_a_disabled_pool_leaves_its_listener_without_a_backend() -> None:
    text = rendered(a_tree(pool=a_pool(admin_state_up=False)))

    assert "default_backend" not in text
    assert "\nbackend " not in text


def test_members_are_not_checked_while_the_monitor_is_disabled() -> None:
    text = rendered(a_tree(monitor=a_monitor(admin_state_up=False)))

    assert " check" not in text


def test_a_pool_is_rendered_once_for_each_of_its_listeners() -> None:
    tree = a_tree().with_listeners([a_listener(id=an_id(9), protocol_port=81)])

    text = rendered(tree)

    assert f"\nbackend {an_id(2)}:{an_id(1)}\n" in text
    assert f"\nbackend {an_id(2)}:{an_id(9)}\n" in text


# Settings


@pytest.mark.parametrize(("limit", "maxconn"), [(-1, 2_000), (None, 2_000), (0, 2_000), (7, 7)])
def test_a_listener_without_a_limit_gets_the_default_one(limit: int | None, maxconn: int) -> None:
    text = rendered(a_tree(a_listener(connection_limit=limit)))

    assert lines(text).count(f"maxconn {maxconn}") == 2
    assert f"fullconn {maxconn}" in lines(text)


def test_connections_of_all_listeners_are_capped() -> None:
    many = [a_listener(id=an_id(9 + n), protocol_port=9000 + n, connection_limit=600_000) for n in range(2)]

    assert "maxconn 1000000" in lines(rendered(Tree().with_listeners(many)))


def test_a_timeout_of_zero_stands_for_the_default() -> None:
    text = rendered(a_tree(a_listener(timeout_client_data=0, timeout_member_connect=0, timeout_member_data=0)))

    assert {"timeout client 50000", "timeout connect 5000", "timeout server 50000"} <= set(lines(text))


def test_headers_are_inserted_when_the_listener_asks_for_them() -> None:
    text = rendered(a_tree(a_listener(insert_headers={"X-Forwarded-For": "true", "X-Forwarded-Port": "false"})))

    assert "option forwardfor" in lines(text)
    assert "X-Forwarded-Port" not in text


@pytest.mark.parametrize("protocol", [ListenerProtocol.HTTP, ListenerProtocol.TERMINATED_HTTPS])
def test_every_header_of_the_contract_can_be_inserted(protocol: ListenerProtocol) -> None:
    of_tls = INSERTED_TLS_HEADERS if protocol == ListenerProtocol.TERMINATED_HTTPS else frozenset[str]()
    asked = a_listener(insert_headers=dict.fromkeys(INSERTED_HEADERS | of_tls, "True"), **tls_settings(protocol))

    text = rendered(a_tree(asked), tls_files=TLS_FILES)

    found = {line.split()[2] for line in lines(text) if line.startswith("http-request set-header ")}
    assert found == (INSERTED_HEADERS | of_tls) - {"X-Forwarded-For"}
    assert "option forwardfor" in lines(text)


def test_a_listener_is_bound_to_each_address() -> None:
    text = rendered(a_tree(), vip_address="192.0.2.5", additional_addresses=("2001:DB8::5", "192.0.2.6"))

    assert [line for line in lines(text) if line.startswith("bind ")] == [
        "bind 192.0.2.5:8080",
        "bind 2001:db8::5:8080",
        "bind 192.0.2.6:8080",
    ]


def test_others_are_rejected_in_lines_that_haproxy_reads_to_the_end() -> None:
    many = tuple(f"10.{n // 250}.{n % 250}.7/24" for n in range(1000))

    found = [line.split() for line in lines(rendered(a_tree(a_listener(allowed_cidrs=many))))]

    networks = [words[3:] for words in found if words[:3] == ["acl", "allowed", "src"]]
    assert max(map(len, networks)) <= 60
    assert [network for line in networks for network in line] == [cidr.replace(".7/", ".0/") for cidr in many]
    assert ["tcp-request", "connection", "reject", "unless", "allowed"] in found


@pytest.mark.parametrize("type", [_BY.APP_COOKIE, _BY.HTTP_COOKIE])
def test_there_are_no_cookies_where_requests_are_not_read(type: SessionPersistenceType) -> None:
    pool = a_pool(protocol=PoolProtocol.TCP, session_persistence=_PERSISTENT(type=type, cookie_name="x"))

    text = rendered(a_tree(a_listener(protocol=ListenerProtocol.TCP), pool))

    assert "cookie" not in text
    assert "stick" not in text


def test_proxy_protocol_carries_the_name_of_the_clients_certificate() -> None:
    pool = a_pool(protocol=PoolProtocol.PROXYV2)

    plain, secure = rendered(a_tree(pool=pool)), rendered(a_tree(a_tls_listener(), pool), tls_files=TLS_FILES)

    assert " send-proxy-v2\n" in plain
    assert " send-proxy-v2-ssl-cn\n" in secure


def test_metrics_are_not_logged() -> None:
    metrics = a_listener(protocol=ListenerProtocol.PROMETHEUS, default_pool_id=None)

    text = rendered(Tree().with_listeners([metrics]), STOCK)

    assert "log-format" not in text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"member": a_member(address="127.0.0.1 check")}, "address"),
        ({"member": a_member(address="fe80::1%eth0")}, "address"),
        ({"member": a_member(monitor_address="localhost")}, "monitor_address"),
        ({"monitor": a_monitor(url_path="/a b")}, "url_path"),
        ({"monitor": a_monitor(expected_codes="200\n")}, None),
        ({"monitor": a_monitor(expected_codes="\u0662\u0660\u0660")}, "expected_codes"),
        ({"monitor": a_monitor(domain_name="a b", http_version=HttpVersion.HTTP_1_1)}, "domain_name"),
        ({"pool": a_pool(session_persistence=_PERSISTENT(type=_BY.APP_COOKIE, cookie_name="a)b"))}, "cookie_name"),
        ({"listener": a_listener(allowed_cidrs=("10.0.0.0/8 -f /etc/passwd",))}, "allowed_cidrs"),
        ({"listener": a_listener(allowed_cidrs=("fe80::1%eth0/64",))}, "allowed_cidrs"),
    ],
)
def test_what_an_old_event_may_hold_is_refused_by_name(change: dict[str, object], field: str | None) -> None:
    tree = a_tree(**change)  # type: ignore[arg-type]

    if field is None:  # white space between codes has no meaning
        assert rendered(tree) == rendered(a_tree(monitor=a_monitor()))
        return
    with pytest.raises(Unrenderable, match=field) as refusal:
        rendered(tree)
    (thing,) = change.values()
    assert refusal.value.ref == Ref(_KINDS[type(thing)], thing.id)  # type: ignore[attr-defined]


_KINDS = {Listener: Kind.LISTENER, Pool: Kind.POOL, Member: Kind.MEMBER, HealthMonitor: Kind.HEALTH_MONITOR}


@pytest.mark.parametrize(
    ("word", "argument"),
    [
        ("plain-1.2_a/b:c@d=[e]", "plain-1.2_a/b:c@d=[e]"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's", r"'it'\''s'"),
        ("$A", "'$A'"),
        ("a\tb", "'a\tb'"),
    ],
)
def test_a_word_is_quoted_unless_it_is_plain(word: str, argument: str) -> None:
    assert quoted(word) == argument


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b", "\x7f", "\x0b"])
def test_no_quotes_hold_control_characters(word: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        quoted(word)


if __name__ == "__main__":  # python -m tests.amphora.test_haproxy: writes the golden files anew, to be read in the diff
    for name, made in GOLDEN_FILES.items():
        (GOLDEN / name).write_text(made())
