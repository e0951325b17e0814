"""What HAProxy is told about a pool: a backend for each listener that sends it traffic."""

import re
from dataclasses import dataclass

from amphora.haproxy_tls import TlsFiles, server_alpn, server_words
from amphora.haproxy_words import address_of, matching, unfit
from domain.fields import DNS_NAME
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.listener import Listener, ListenerProtocol
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol, SessionPersistenceType
from domain.progress import Kind, Ref
from domain.tree import Tree

MODES = {
    ListenerProtocol.TCP: "tcp",
    ListenerProtocol.HTTPS: "tcp",
    ListenerProtocol.HTTP: "http",
    ListenerProtocol.TERMINATED_HTTPS: "http",
    ListenerProtocol.PROMETHEUS: "http",
}
"""What HAProxy understands of the traffic of a listener; nothing of UDP and SCTP."""


@dataclass(frozen=True)
class Server:
    member: Member
    address: str
    check_address: str | None


@dataclass(frozen=True)
class Check:
    """An enabled health monitor; the fields are fit for the file."""

    monitor: HealthMonitor
    url_path: str
    expected_codes: str
    host: str | None


@dataclass(frozen=True)
class Backend:
    """A pool as one listener uses it.

    proxy         how servers are told the client's address, empty for not at all
    tls           options of servers
    alpn          what may be spoken within TLS, by preference; empty for no agreement
    forwards_for  whether clients' addresses are appended to X-Forwarded-For
    headers       those set in requests: name, log-format of the value
    """

    name: str
    mode: str
    balance: tuple[str, ...]
    pool: Pool
    persistence: str | None
    cookie_name: str
    check: Check | None
    servers: tuple[Server, ...]
    proxy: str
    tls: tuple[str, ...]
    alpn: str
    forwards_for: bool
    headers: tuple[tuple[str, str], ...]

    @property
    def pings(self) -> bool:
        return self.check is not None and self.check.monitor.type == HealthMonitorType.PING

    @property
    def check_words(self) -> tuple[str, ...]:
        """What servers are told about TLS in checks, where it is not as in requests."""
        if self.check is None:
            return ()
        type = self.check.monitor.type
        if type == HealthMonitorType.TLS_HELLO and self.tls:
            return ("no-check-ssl",)  # the hello comes first, not within TLS
        if not type.speaks_http:
            return ()
        alpn = ("check-alpn", self.alpn) if self.alpn else ()
        if type == HealthMonitorType.HTTP:
            return alpn
        return ("check-ssl", *alpn) if self.tls else ("check-ssl", "verify", "none")


def backend(listener: Listener, pool: Pool, tree: Tree, files: TlsFiles) -> Backend:
    """Raises Unrenderable."""
    monitor = tree.health_monitor_of(pool.id)
    mode = _mode(pool, listener)
    persistence = _persistence(pool, mode)
    asked = _headers_asked_for(listener) if mode == "http" else frozenset()
    return Backend(
        name=f"{pool.id}:{listener.id}",
        mode=mode,
        balance=_BALANCE.get(pool.lb_algorithm, ("roundrobin",)),
        pool=pool,
        persistence=persistence,
        cookie_name=_cookie_name(pool) if persistence == SessionPersistenceType.APP_COOKIE else "",
        check=_check(monitor) if monitor is not None and monitor.admin_state_up else None,
        servers=tuple(_server(member) for member in tree.members_of(pool.id)),
        proxy=_proxy(pool, listener),
        tls=server_words(pool, files),
        alpn=server_alpn(pool) if mode == "http" else "",
        forwards_for="X-Forwarded-For" in asked,
        headers=tuple((name, value) for name, value in _header_values(listener).items() if name in asked),
    )


def _mode(pool: Pool, listener: Listener) -> str:
    if pool.protocol in (PoolProtocol.PROXY, PoolProtocol.PROXYV2):
        return MODES[listener.protocol]
    return "http" if pool.protocol == PoolProtocol.HTTP else "tcp"


_BALANCE = {
    LbAlgorithm.LEAST_CONNECTIONS: ("leastconn",),
    LbAlgorithm.SOURCE_IP: ("source",),
    LbAlgorithm.SOURCE_IP_PORT: ("hash", "src,concat(:,txn.src_port)"),  # HAProxy 2.6; the backend sets the variable
}


def _proxy(pool: Pool, listener: Listener) -> str:
    if pool.protocol == PoolProtocol.PROXY:
        return "send-proxy"
    if pool.protocol != PoolProtocol.PROXYV2:
        return ""
    return "send-proxy-v2-ssl-cn" if listener.terminates_tls else "send-proxy-v2"


def _headers_asked_for(listener: Listener) -> frozenset[str]:
    return frozenset(name for name, value in listener.insert_headers.items() if value.lower() == "true")


def _header_values(listener: Listener) -> dict[str, str]:
    scheme = "https" if listener.terminates_tls else "http"
    return {**_OF_CLIENT, "X-Forwarded-Proto": scheme, **(_OF_TLS if listener.terminates_tls else {})}


_OF_CLIENT = {
    "X-Forwarded-Port": "%[dst_port]",
    "X-Forwarded-IP": "%[src]",
    "X-Client-IP": "%[src]",
    "X-Real-IP": "%[src]",
}
_OF_TLS = {  # names are asked for in quotes, as Octavia does; HAProxy 2.6 leaves them out in headers
    "X-SSL-Client-Verify": "%[ssl_c_verify]",
    "X-SSL-Client-Has-Cert": "%[ssl_c_used]",
    "X-SSL-Client-DN": "%{+Q}[ssl_c_s_dn]",
    "X-SSL-Client-CN": "%{+Q}[ssl_c_s_dn(CN)]",
    "X-SSL-Issuer": "%{+Q}[ssl_c_i_dn]",
    "X-SSL-Client-SHA1": "%[ssl_c_sha1,hex]",
    "X-SSL-Client-Not-Before": "%[ssl_c_notbefore]",
    "X-SSL-Client-Not-After": "%[ssl_c_notafter]",
}


def _persistence(pool: Pool, mode: str) -> str | None:
    """There are no cookies where HAProxy does not read requests."""
    if pool.session_persistence is None:
        return None
    type = pool.session_persistence.type
    return type if mode == "http" or type == SessionPersistenceType.SOURCE_IP else None


def _cookie_name(pool: Pool) -> str:
    name = pool.session_persistence.cookie_name if pool.session_persistence is not None else None
    if not re.fullmatch(r"""[^\x00-\x20"(),/:-@\[-\]{}\x7f]+""", name or ""):
        raise unfit(Ref(Kind.POOL, pool.id), "cookie_name", name or "")
    return name or ""


def _server(member: Member) -> Server:
    ref = Ref(Kind.MEMBER, member.id)
    monitor = member.monitor_address
    return Server(
        member,
        address=address_of(ref, "address", member.address),
        check_address=None if monitor is None else _bracketed(address_of(ref, "monitor_address", monitor)),
    )


def _check(monitor: HealthMonitor) -> Check:
    ref = Ref(Kind.HEALTH_MONITOR, monitor.id)
    host = monitor.domain_name if monitor.http_version == "1.1" else None
    codes = re.sub(r"\s", "", monitor.expected_codes or "200")
    return Check(
        monitor,
        url_path=matching(ref, "url_path", r"/[\x21-\x7e]*", monitor.url_path or "/"),
        expected_codes=matching(ref, "expected_codes", r"[0-9]{3}(,[0-9]{3})*|[0-9]{3}-[0-9]{3}", codes),
        host=None if host is None else matching(ref, "domain_name", DNS_NAME, host),
    )


def _bracketed(address: str) -> str:
    """Where no port follows, HAProxy would take the end of an IPv6 address for one."""
    return f"[{address}]" if ":" in address else address
