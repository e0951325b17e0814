"""The configuration that an amphora gets: what each setting becomes, and whole files that HAProxy itself accepts."""

import shutil
import subprocess
from dataclasses import replace
from itertools import count
from pathlib import Path
from uuid import UUID

import pytest

from amphora.haproxy import RenderOptions, Unrenderable, quoted, render, without_revision
from domain.health_monitor import HealthMonitor, HealthMonitorType, HttpMethod, HttpVersion
from domain.listener import Listener, ListenerProtocol
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol, SessionPersistence, SessionPersistenceType
from domain.progress import Kind, Ref
from domain.tree import Tree

GOLDEN = Path(__file__).parent.parent / "golden"
LOG_ID = UUID("3d2f0a52-98c3-4d0f-a1a4-6f0b3c0a7d11")
LOAD_BALANCER_ID = UUID("b7f0c0de-0000-4000-8000-000000000000")
LOCAL = RenderOptions(base_path=".", default_maxconn=2_000, user=None, threads=1, ping_command="./ping-wrapper.sh")
STOCK = RenderOptions(flow_log="/run/rsyslog/octavia/log")


def rendered(tree: Tree, options: RenderOptions = LOCAL, **said: object) -> str:
    """The file, which the test expects there to be."""
    known = {"project_id": "demo", "enabled": True, "vip_address": "127.20.0.5", "revision": 42, **said}
    text = render(load_balancer_id=LOAD_BALANCER_ID, tree=tree, log_id=LOG_ID, options=options, **known)  # type: ignore[arg-type]
    assert text is not None
    return text


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines()]


def a_tree(
    listener: Listener | None = None,
    pool: Pool | None = None,
    member: Member | None = None,
    monitor: HealthMonitor | None = None,
) -> Tree:
    """One listener with a pool and a member, and the monitor that is given."""
    pool = pool or a_pool()
    tree = Tree().with_listeners([listener or a_listener()]).with_pool(pool).with_members([member or a_member()])
    return tree if monitor is None else tree.with_health_monitor(monitor)


def a_listener(**settings: object) -> Listener:
    known = {"id": an_id(1), "protocol": ListenerProtocol.HTTP, "protocol_port": 8080, "default_pool_id": an_id(2)}
    return Listener(**{**known, **settings})  # type: ignore[arg-type]


def a_pool(**settings: object) -> Pool:
    known = {"id": an_id(2), "protocol": PoolProtocol.HTTP, "lb_algorithm": LbAlgorithm.ROUND_ROBIN}
    return Pool(**{**known, **settings})  # type: ignore[arg-type]


def a_member(**settings: object) -> Member:
    known = {"id": an_id(3), "pool_id": an_id(2), "address": "127.0.0.10", "protocol_port": 9001}
    return Member(**{**known, **settings})  # type: ignore[arg-type]


def a_monitor(**settings: object) -> HealthMonitor:
    known = {
        "id": an_id(4),
        "pool_id": an_id(2),
        "type": HealthMonitorType.HTTP,
        "delay": 1,
        "timeout": 2,
        "max_retries": 3,
    }
    return HealthMonitor(**{**known, **settings})  # type: ignore[arg-type]


def an_id(number: int) -> UUID:
    return UUID(int=0xB7F0C0DE_0000_4000_8000_000000000000 + number)


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
    shared = next(iter(tree.pools))
    return tree.with_listeners(
        [
            a_listener(id=next(ids), protocol_port=8090, default_pool_id=shared, connection_limit=300),
            a_listener(id=next(ids), protocol_port=8091, default_pool_id=None, timeout_client_data=0),
            a_listener(id=next(ids), protocol_port=8092, admin_state_up=False),
            a_listener(id=next(ids), protocol_port=8093, protocol=ListenerProtocol.UDP),
        ]
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


def haproxys_objection(file: Path) -> str:
    """What `haproxy -c` says against a file, empty when it accepts it."""
    command = [haproxy_program(), "-c", "-f", str(file)]
    check = subprocess.run(command, env={}, capture_output=True, text=True, cwd=file.parent)
    return "" if check.returncode == 0 else check.stderr


def haproxy_program() -> str:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program, "HAProxy is not installed"
    return program


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
        ({"listener": a_listener(protocol=ListenerProtocol.TERMINATED_HTTPS)}, "protocol"),
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
    ],
)
def test_a_word_is_quoted_unless_it_is_plain(word: str, argument: str) -> None:
    assert quoted(word) == argument


@pytest.mark.parametrize("word", ["a\nb", "a\rb", "a\0b", "\x7f", "\t"])
def test_no_quotes_hold_control_characters(word: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        quoted(word)


if __name__ == "__main__":  # python -m tests.amphora.test_haproxy: writes the golden files anew, to be read in the diff
    for name, made in GOLDEN_FILES.items():
        (GOLDEN / name).write_text(made())
