"""What tests of rendered files begin with: values below a load balancer, and the file that is made of them."""

import re
import shutil
import subprocess
from pathlib import Path
from uuid import UUID

from amphora.haproxy import RenderOptions, TlsFiles, render
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.l7_policy import L7Action, L7Policy
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener, ListenerProtocol
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol
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


def a_policy(**settings: object) -> L7Policy:
    known = {"id": an_id(5), "listener_id": an_id(1), "action": L7Action.REJECT, "position": 1}
    return L7Policy(**{**known, **settings})  # type: ignore[arg-type]


def a_rule(**settings: object) -> L7Rule:
    known = {
        "id": an_id(6),
        "l7policy_id": an_id(5),
        "type": L7RuleType.PATH,
        "compare_type": L7CompareType.STARTS_WITH,
        "value": "/x",
    }
    return L7Rule(**{**known, **settings})  # type: ignore[arg-type]


def a_tls_listener(**settings: object) -> Listener:
    return a_listener(**{**tls_settings(ListenerProtocol.TERMINATED_HTTPS), **settings})


def tls_settings(protocol: ListenerProtocol) -> dict[str, object]:
    """Of a listener with this protocol."""
    if protocol != ListenerProtocol.TERMINATED_HTTPS:
        return {"protocol": protocol}
    return {"protocol": protocol, "default_tls_container_ref": "secret:default"}


TLS_FILES = TlsFiles(
    secrets={
        f"secret:{name}": f"certs/{name}.pem"
        for name in ("default", "sni", "client_ca", "client_crl", "amphora", "member_ca", "member_crl")
    },
    lists={
        UUID(int=0xB7F0C0DE_0000_4000_8000_000000000000 + number): f"certs/{number}.list" for number in range(1, 10)
    },
)


def an_id(number: int) -> UUID:
    return UUID(int=0xB7F0C0DE_0000_4000_8000_000000000000 + number)


# What HAProxy makes of a file


def haproxys_objection(file: Path) -> str:
    """What `haproxy -c` says against a file, empty when it accepts it."""
    command = [haproxy_program(), "-c", "-f", str(file)]
    check = subprocess.run(command, env={}, capture_output=True, text=True, cwd=file.parent)
    return "" if check.returncode == 0 else check.stderr


def haproxy_program() -> str:
    program = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    assert program, "HAProxy is not installed"
    return program


# HAProxy's reading of a line, as its configuration manual describes it ("Quoting and escaping")

_WORD_CHARACTERS = re.compile(
    r"""'(?P<single>[^']*)'
    |"(?P<double>(?:\\.|[^"\\])*)"
    |\\(?P<escaped>.)
    |(?P<plain>[^\s'"\\#]+)
    |(?P<end>[ \t]+|\#.*)
    |(?P<bad>.)""",
    re.DOTALL | re.VERBOSE,
)


def words_of(line: str) -> list[str]:
    """The arguments of a line. Raises ValueError where HAProxy would: a quote that is not closed, a variable."""
    words: list[str] = []
    inside = False
    for match in _WORD_CHARACTERS.finditer(line):
        part = str(match[match.lastgroup or 0])
        if match.lastgroup == "bad" or (match.lastgroup == "double" and "$" in part):
            raise ValueError(f"HAProxy would not take this literally: {line!r}")
        if match.lastgroup == "end":
            inside = False
            continue
        words = [*words[:-1], words[-1] + part] if inside else [*words, part]
        inside = True
    return words
