"""Renders what an amphora must run as one haproxy.cfg.

Every value reaches the file through `quoted`: the template engine calls it for each expression, so none can be
forgotten. What HAProxy could still misread is refused here although the API refused it before: an old event may hold
what today's rules would not let in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from amphora.haproxy_frontend import frontends
from amphora.haproxy_tls import NO_FILES, TlsFiles
from amphora.haproxy_words import Unrenderable, address_of, literal, one_line, quoted, sample
from domain.progress import Kind, Ref
from domain.tree import Tree

__all__ = ["MOST_CONNECTIONS", "RenderOptions", "TlsFiles", "Unrenderable", "quoted", "render", "without_revision"]

MOST_CONNECTIONS = 1_000_000
"""Of one load balancer, however many its listeners allow."""


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
    additional_addresses: Sequence[str] = (),
    tree: Tree,
    revision: int,
    log_id: UUID,
    options: RenderOptions,
    tls_files: TlsFiles = NO_FILES,
) -> str | None:
    """A complete haproxy.cfg, or None when there is nothing to run.

    additional_addresses  where clients may connect besides the VIP
    revision              stands in the first line, and in HAProxy's description, by which the agent sees that a new
                          worker runs
    tls_files             where the amphora has what the tree only names

    Raises Unrenderable.
    """
    shown = tuple(frontends(tree, tls_files, options.default_maxconn)) if enabled else ()
    if not shown:
        return None
    ref = Ref(Kind.LOAD_BALANCER, load_balancer_id)
    return _TEMPLATE.render(
        log_id=log_id,
        revision=revision,
        options=options,
        paths=_Paths(options.base_path, load_balancer_id),
        maxconn=min(MOST_CONNECTIONS, sum(frontend.maxconn for frontend in shown)),
        frontends=shown,
        shows_metrics=any(frontend.shows_metrics for frontend in shown),
        load_balancer_id=load_balancer_id,
        pings=any(backend.pings for frontend in shown for backend in frontend.backends),
        addresses=[address_of(ref, "vip_address", each) for each in (vip_address, *additional_addresses)],
        flow_prefix=literal(f"{one_line(ref, 'project_id', project_id)} {load_balancer_id}"),
    )


def without_revision(haproxy_cfg: str) -> str:
    """What HAProxy does by this file, whichever revision it was rendered for: equal where no push is needed."""
    return re.sub(r"\A# tacitus [^\n]*\n|^    description [^\n]*\n", "", haproxy_cfg, flags=re.MULTILINE)


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
    def metrics_socket(self) -> str:
        """Where HAProxy tells its figures to the agent."""
        return self._socket("unix@", f"{self.load_balancer_id}.prom")

    @property
    def exporter_socket(self) -> str:
        """Where the agent tells them under the names that users know."""
        return self._socket("unix@", "exporter.sock")

    @property
    def servers_state(self) -> str:
        return self._below_base(f"{self.load_balancer_id}/servers-state")

    def _socket(self, kind: str, name: str) -> str:
        path = self._below_base(name)
        return path if path.startswith("/") else kind + path

    def _below_base(self, path: str) -> str:
        return str(PurePosixPath(self.base) / path)


def _as_argument(value: object) -> object:
    """Called for each expression of the template."""
    return quoted(str(value)) if isinstance(value, str | UUID) else value


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
