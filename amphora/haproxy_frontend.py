"""What HAProxy is told about a listener: its frontend, and the backends that it sends traffic to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from amphora.haproxy_backend import MODES, Backend, backend
from amphora.haproxy_l7 import Policies, PolicyLine
from amphora.haproxy_tls import TlsFiles, bind_words
from amphora.haproxy_words import network_of
from domain.l7_policy import L7Action
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool
from domain.progress import Kind, Ref
from domain.tree import Tree

_NETWORKS_IN_A_LINE = 40
"""HAProxy reads 64 words of a line."""


@dataclass(frozen=True)
class Frontend:
    """Time-outs are milliseconds; zero stands for the default.

    tls       options of each bind line
    networks  who may connect, in lines that are short enough; none for everybody
    hsts      value of the header that keeps clients to TLS, empty for none
    backends  of the default pool and of those that policies send requests to
    """

    listener: Listener
    mode: str
    maxconn: int
    tls: tuple[str, ...]
    networks: tuple[tuple[str, ...], ...]
    hsts: str
    policies: tuple[PolicyLine, ...]
    default_backend: Backend | None
    backends: tuple[Backend, ...]
    client_timeout: int
    connect_timeout: int
    server_timeout: int

    @property
    def shows_metrics(self) -> bool:
        return self.listener.protocol == ListenerProtocol.PROMETHEUS


def frontends(tree: Tree, files: TlsFiles, default_maxconn: int) -> Iterator[Frontend]:
    """Of all enabled listeners that HAProxy can serve. Raises Unrenderable."""
    policies = Policies(tree)
    for listener in tree.listeners.values():
        if listener.admin_state_up and listener.protocol in MODES:
            yield _frontend(listener, tree, policies, files, default_maxconn)


def _frontend(listener: Listener, tree: Tree, policies: Policies, files: TlsFiles, default_maxconn: int) -> Frontend:
    """Without HTTP there are no requests that L7 policies could look at."""
    mode = MODES[listener.protocol]
    default = _default_pool(listener, tree)
    lines = policies.of(listener) if mode == "http" and listener.protocol != ListenerProtocol.PROMETHEUS else ()
    redirects = [line.policy for line in lines if line.policy.action == L7Action.REDIRECT_TO_POOL]
    pools = [default, *(policies.pool_of(policy) for policy in redirects)]
    backends = {pool.id: backend(listener, pool, tree, files) for pool in _once(pools)}
    limit = listener.connection_limit
    return Frontend(
        listener,
        mode=mode,
        maxconn=default_maxconn if limit in (None, -1, 0) else limit,
        tls=bind_words(listener, files),
        networks=_networks(listener),
        hsts=_hsts(listener),
        policies=lines,
        default_backend=None if default is None else backends[default.id],
        backends=tuple(backends.values()),
        client_timeout=listener.timeout_client_data or 50_000,
        connect_timeout=listener.timeout_member_connect or 5_000,
        server_timeout=listener.timeout_member_data or 50_000,
    )


def _default_pool(listener: Listener, tree: Tree) -> Pool | None:
    if listener.default_pool_id is None or listener.protocol == ListenerProtocol.PROMETHEUS:
        return None
    pool = tree.pools.get(listener.default_pool_id)
    return pool if pool is not None and pool.admin_state_up else None


def _once(pools: Sequence[Pool | None]) -> Sequence[Pool]:
    return list({pool.id: pool for pool in pools if pool is not None}.values())


def _networks(listener: Listener) -> tuple[tuple[str, ...], ...]:
    ref = Ref(Kind.LISTENER, listener.id)
    allowed = tuple(network_of(ref, "allowed_cidrs", cidr) for cidr in listener.allowed_cidrs)
    starts = range(0, len(allowed), _NETWORKS_IN_A_LINE)
    return tuple(allowed[start : start + _NETWORKS_IN_A_LINE] for start in starts)


def _hsts(listener: Listener) -> str:
    """Each part ends with a semicolon, as clients of Octavia know it."""
    if listener.hsts_max_age is None or listener.protocol != ListenerProtocol.TERMINATED_HTTPS:
        return ""
    parts = [f"max-age={listener.hsts_max_age}"]
    if listener.hsts_include_subdomains:
        parts.append("includeSubDomains")
    if listener.hsts_preload:
        parts.append("preload")
    return "".join(f"{part}; " for part in parts).rstrip()
