"""Renders what an amphora must run as one haproxy.cfg.

Every value reaches the file through `quoted`: the template engine calls it for each expression, so none can be
forgotten. What HAProxy could still misread is refused here although the API refused it before: an old event may hold
what today's rules would not let in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import PurePosixPath
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from domain.fields import DNS_NAME
from domain.health_monitor import HealthMonitor
from domain.listener import Listener, ListenerProtocol
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol
from domain.progress import Kind, Ref
from domain.tree import Tree

MOST_CONNECTIONS = 1_000_000
"""Of one load balancer, however many its listeners allow."""


class Unrenderable(Exception):
    """An object that no configuration can carry; `words` say which field and why."""

    def __init__(self, ref: Ref, words: str) -> None:
        super().__init__(f"{ref.kind} {ref.id}: {words}")
        self.ref = ref
        self.words = words


@dataclass(frozen=True, kw_only=True)
class RenderOptions:
    """What depends on the amphora and not on the load balancer.

    base_path        directory of sockets and state, relative to the one that HAProxy is started in where an absolute
                     path would be longer than a unix socket allows
    default_maxconn  connections of a listener without a limit of its own
    user             whom HAProxy becomes, None to stay what it was started as
    ping_command     path of what sends one ICMP echo to $HAPROXY_SERVER_ADDR; it gets a PATH and no other environment
    threads          None for one per processor
    flow_log         socket of the syslog daemon that gets a line for each request, None for no such log
    """

    base_path: str = "/var/lib/octavia"
    default_maxconn: int = 50_000
    user: str | None = "nobody"
    ping_command: str = "/var/lib/octavia/ping-wrapper.sh"
    threads: int | None = None
    flow_log: str | None = None


def render(
    *,
    load_balancer_id: UUID,
    project_id: str,
    enabled: bool,
    vip_address: str,
    tree: Tree,
    revision: int,
    log_id: UUID,
    options: RenderOptions,
) -> str | None:
    """A complete haproxy.cfg, or None when there is nothing to run.

    revision  stands in the first line, and in HAProxy's description, by which the agent sees that a new worker runs

    Raises Unrenderable.
    """
    frontends = tuple(_frontends(tree, options)) if enabled else ()
    if not frontends:
        return None
    ref = Ref(Kind.LOAD_BALANCER, load_balancer_id)
    return _TEMPLATE.render(
        log_id=log_id,
        revision=revision,
        options=options,
        paths=_Paths(options.base_path, load_balancer_id),
        maxconn=min(MOST_CONNECTIONS, sum(frontend.maxconn for frontend in frontends)),
        frontends=frontends,
        pings=any(frontend.backend is not None and frontend.backend.pings for frontend in frontends),
        vip_address=_address(ref, "vip_address", vip_address),
        flow_prefix=literal(f"{_one_line(ref, 'project_id', project_id)} {load_balancer_id}"),
    )


def without_revision(haproxy_cfg: str) -> str:
    """What HAProxy does by this file, whichever revision it was rendered for: equal where no push is needed."""
    return re.sub(r"\A# tacitus [^\n]*\n|^    description [^\n]*\n", "", haproxy_cfg, flags=re.MULTILINE)


# Quoting


def quoted(word: str) -> str:
    """The word as one argument of an HAProxy file. Within single quotes only the quote itself has a meaning.

    Raises ValueError for control characters: a line ends at a newline, quoted or not.
    """
    if _CONTROL.search(word):
        raise ValueError(f"control characters in {word!r}")
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def literal(text: str) -> str:
    """The text where HAProxy takes a log-format, in which %[env(X)] would be code."""
    return text.replace("%", "%%")


def sample(function: str, argument: str) -> str:
    """A sample expression; what stands in its parentheses is unquoted once more, so it is quoted once more."""
    return f"{function}({quoted(argument)})"


def _as_argument(value: object) -> object:
    """Called for each expression of the template."""
    return quoted(str(value)) if isinstance(value, str | UUID) else value


_PLAIN = re.compile(r"[A-Za-z0-9_./:@+=\[\]-]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


# The parts of the file, as the template reads them


@dataclass(frozen=True)
class _Paths:
    """A relative path of a socket needs its kind named: HAProxy would take it for a host name."""

    base: str
    load_balancer_id: UUID

    @property
    def stats_socket(self) -> str:
        return self._socket("unix@", f"{self.load_balancer_id}.sock")

    @property
    def log(self) -> str:
        return self._socket("uxdg@", "log.sock")

    @property
    def servers_state(self) -> str:
        return self._below_base(f"{self.load_balancer_id}/servers-state")

    def _socket(self, kind: str, name: str) -> str:
        path = self._below_base(name)
        return path if path.startswith("/") else kind + path

    def _below_base(self, path: str) -> str:
        return str(PurePosixPath(self.base) / path)


@dataclass(frozen=True)
class _Server:
    member: Member
    address: str
    check_address: str | None


@dataclass(frozen=True)
class _Check:
    """An enabled health monitor; the fields are fit for the file."""

    monitor: HealthMonitor
    url_path: str
    expected_codes: str
    host: str | None


@dataclass(frozen=True)
class _Backend:
    name: str
    mode: str
    balance: str
    pool: Pool
    cookie_name: str | None
    check: _Check | None
    servers: tuple[_Server, ...]
    inserted: frozenset[str]

    @property
    def pings(self) -> bool:
        return self.check is not None and self.check.monitor.type == "PING"


@dataclass(frozen=True)
class _Frontend:
    """Time-outs are milliseconds; zero stands for the default."""

    listener: Listener
    mode: str
    maxconn: int
    backend: _Backend | None
    client_timeout: int
    connect_timeout: int
    server_timeout: int


def _frontends(tree: Tree, options: RenderOptions) -> Iterator[_Frontend]:
    for listener in tree.listeners.values():
        if not listener.admin_state_up or listener.protocol.transport != "TCP":
            continue
        if listener.protocol not in _MODES:
            raise Unrenderable(
                Ref(Kind.LISTENER, listener.id), f"protocol {listener.protocol} is not carried out by this release"
            )
        limit = listener.connection_limit
        yield _Frontend(
            listener,
            mode=_MODES[listener.protocol],
            maxconn=options.default_maxconn if limit in (None, -1, 0) else limit,
            backend=_backend(listener, tree),
            client_timeout=listener.timeout_client_data or 50_000,
            connect_timeout=listener.timeout_member_connect or 5_000,
            server_timeout=listener.timeout_member_data or 50_000,
        )


def _backend(listener: Listener, tree: Tree) -> _Backend | None:
    pool = None if listener.default_pool_id is None else tree.pools.get(listener.default_pool_id)
    if pool is None or not pool.admin_state_up:
        return None
    monitor = tree.health_monitor_of(pool.id)
    return _Backend(
        name=f"{pool.id}:{listener.id}",
        mode=_mode_of_pool(pool, listener),
        balance=_BALANCE.get(pool.lb_algorithm, "roundrobin"),
        pool=pool,
        cookie_name=_cookie_name(pool),
        check=_check(monitor) if monitor is not None and monitor.admin_state_up else None,
        servers=tuple(_server(member) for member in tree.members_of(pool.id)),
        inserted=frozenset(name for name, value in listener.insert_headers.items() if value.lower() == "true"),
    )


def _mode_of_pool(pool: Pool, listener: Listener) -> str:
    if pool.protocol in (PoolProtocol.PROXY, PoolProtocol.PROXYV2):
        return _MODES[listener.protocol]
    return "http" if pool.protocol == PoolProtocol.HTTP else "tcp"


_MODES = {ListenerProtocol.TCP: "tcp", ListenerProtocol.HTTPS: "tcp", ListenerProtocol.HTTP: "http"}
_BALANCE = {LbAlgorithm.LEAST_CONNECTIONS: "leastconn", LbAlgorithm.SOURCE_IP: "source"}


def _server(member: Member) -> _Server:
    ref = Ref(Kind.MEMBER, member.id)
    monitor = member.monitor_address
    return _Server(
        member,
        address=_address(ref, "address", member.address),
        check_address=None if monitor is None else _bracketed(_address(ref, "monitor_address", monitor)),
    )


def _check(monitor: HealthMonitor) -> _Check:
    ref = Ref(Kind.HEALTH_MONITOR, monitor.id)
    host = monitor.domain_name if monitor.http_version == "1.1" else None
    codes = re.sub(r"\s", "", monitor.expected_codes or "200")
    return _Check(
        monitor,
        url_path=_matching(ref, "url_path", r"/[\x21-\x7e]*", monitor.url_path or "/"),
        expected_codes=_matching(ref, "expected_codes", r"[0-9]{3}(,[0-9]{3})*|[0-9]{3}-[0-9]{3}", codes),
        host=None if host is None else _matching(ref, "domain_name", DNS_NAME, host),
    )


def _bracketed(address: str) -> str:
    """Where no port follows, HAProxy would take the end of an IPv6 address for one."""
    return f"[{address}]" if ":" in address else address


# Grammars of fields, as they are enforced when a file is rendered


def _matching(ref: Ref, name: str, pattern: str, value: str) -> str:
    """ASCII only: \\d matches digits of every script, and a `$` also before a newline."""
    if not value.isascii() or not re.fullmatch(pattern, value):
        raise Unrenderable(ref, f"{name} {value!r} does not fit a configuration file")
    return value


def _cookie_name(pool: Pool) -> str | None:
    persistence = pool.session_persistence
    if persistence is None or persistence.type != "APP_COOKIE":
        return None
    name = persistence.cookie_name or ""
    if not re.fullmatch(r"""[^\x00-\x20"(),/:-@\[-\]{}\x7f]+""", name):
        raise Unrenderable(Ref(Kind.POOL, pool.id), f"cookie_name {name!r} does not fit a configuration file")
    return name


def _one_line(ref: Ref, name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise Unrenderable(ref, f"{name} {value!r} does not fit a configuration file")
    return value


def _address(ref: Ref, name: str, value: str) -> str:
    """In its canonical form, without a zone."""
    try:
        address = ip_address(value)
    except ValueError:
        raise Unrenderable(ref, f"{name} {value!r} is no IP address") from None
    if address.version == 6 and address.scope_id is not None:
        raise Unrenderable(ref, f"{name} {value!r} has a zone")
    return str(address)


_ENVIRONMENT = Environment(
    loader=PackageLoader("amphora"),
    finalize=_as_argument,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(literal=literal)
_ENVIRONMENT.globals.update(sample=sample)
_TEMPLATE = _ENVIRONMENT.get_template("haproxy.cfg.j2")
