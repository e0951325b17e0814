"""HAProxy's metrics under the names that monitoring of Octavia knows: `octavia_listener_...` and the like.

HAProxy sends who asks a PROMETHEUS listener to `exporter.sock`; we ask it at its own socket for what it knows.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socket import AF_UNIX, socket
from socketserver import ThreadingMixIn, UnixStreamServer

from amphora.agent import details

ANSWER_SECONDS = 10.0
SOURCE_LIMIT = 64 * 1024 * 1024  # bytes
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LINE = re.compile(r"(?P<comment># (?:HELP|TYPE) )?haproxy_(?P<source>[a-z]+)_(?P<name>[a-z_]+)(?P<rest>.*)")
_PROXY = re.compile('proxy="([^"]*)"')


def _set_of(names: str) -> frozenset[str]:
    return frozenset(names.split())


_OF_PROCESS = _set_of(
    "max_connections current_connections connections_total requests_total max_ssl_connections current_ssl_connections"
    " ssl_connections_total current_connection_rate limit_connection_rate max_connection_rate current_session_rate"
    " limit_session_rate max_session_rate current_ssl_rate limit_ssl_rate max_ssl_rate current_frontend_ssl_key_rate"
    " max_frontend_ssl_key_rate frontend_ssl_reuse current_backend_ssl_key_rate max_backend_ssl_key_rate"
    " ssl_cache_lookups_total ssl_cache_misses_total http_comp_bytes_in_total http_comp_bytes_out_total limit_http_comp"
    " listeners dropped_logs_total"
)
_OF_MEMORY = _set_of("pool_allocated_bytes pool_used_bytes pool_failures_total")
_TRAFFIC = _set_of(
    "status current_sessions max_sessions limit_sessions sessions_total bytes_in_total bytes_out_total"
    " responses_denied_total failed_header_rewriting_total http_responses_total"
)
_HTTP = _set_of(
    "requests_denied_total http_requests_total http_cache_lookups_total http_cache_hits_total http_comp_bytes_in_total"
    " http_comp_bytes_out_total http_comp_bytes_bypassed_total http_comp_responses_total"
)
_OF_FRONTEND = (_TRAFFIC | _HTTP) | _set_of(
    "limit_session_rate max_session_rate connections_rate_max connections_total request_errors_total"
    " denied_connections_total denied_sessions_total http_requests_rate_max intercepted_requests_total"
)
_BEHIND = _TRAFFIC | _set_of(
    "max_session_rate last_session_seconds current_queue max_queue connection_attempts_total connection_reuses_total"
    " queue_time_average_seconds connect_time_average_seconds response_time_average_seconds total_time_average_seconds"
    " max_queue_time_seconds max_connect_time_seconds max_response_time_seconds max_total_time_seconds"
    " connection_errors_total response_errors_total retry_warnings_total redispatch_warnings_total client_aborts_total"
    " server_aborts_total check_up_down_total check_last_change_seconds downtime_seconds_total loadbalanced_total"
)
_OF_BACKEND = (_BEHIND | _HTTP) | _set_of("active_servers backup_servers")
_OF_SERVER = _BEHIND | _set_of(
    "queue_limit weight check_failures_total current_throttle idle_connections_current idle_connections_limit"
)

_RENAMED = {
    **{("process", name): f"octavia_loadbalancer_{name}" for name in _OF_PROCESS},
    **{("process", name): f"octavia_memory_{name}" for name in _OF_MEMORY},
    **{("frontend", name): f"octavia_listener_{name}" for name in _OF_FRONTEND},
    **{("backend", name): f"octavia_pool_{name}" for name in _OF_BACKEND},
    **{("server", name): f"octavia_member_{name}" for name in _OF_SERVER},
    ("backend", "server_aborts_total"): "octavia_pool_member_aborts_total",
    ("backend", "active_servers"): "octavia_pool_active_members",
    ("backend", "backup_servers"): "octavia_pool_backup_members",
}
"""HAProxy's kind of thing and its name for a figure -> ours. What is not here is not shown."""

_LABELS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "process": (),
    "frontend": (("proxy=", "listener="),),
    "backend": (("proxy=", "pool="),),
    "server": (("proxy=", "pool="), ("server=", "member=")),
}
"""HAProxy's words and ours."""

_IN_HELP = (("frontend", "listener"), ("backend", "pool"), ("server", "member"))


def translated(lines: Iterable[str]) -> Iterator[str]:
    """Lines of HAProxy's exposition as ours; those of proxies that are no listener or pool of a user are left out."""
    for line in lines:
        found = _LINE.fullmatch(line)
        name = _RENAMED.get((found["source"], found["name"])) if found else None
        if not found or not name:
            continue
        if found["comment"]:
            words = _IN_HELP if found["comment"] == "# HELP " else ()
            yield found["comment"] + name + _replaced(found["rest"], words)
        elif not (proxy := _PROXY.search(found["rest"])) or _ID.match(proxy[1]):
            yield name + _replaced(found["rest"], _LABELS[found["source"]])


def of_machine(load: float, processors: int, memory: Mapping[str, int]) -> Iterator[str]:
    """Percentages of the whole amphora. load: of the last minute; memory: in any unit."""
    total = memory["total"] or 1
    used = total - sum(memory[name] for name in ("free", "buffers", "cached"))
    for name, text, value in (
        ("cpu", "Load of the last minute, in percent of all processors.", load / processors * 100),
        ("memory", "Memory in use, in percent.", used / total * 100),
    ):
        yield f"# HELP octavia_loadbalancer_{name} {text}"
        yield f"# TYPE octavia_loadbalancer_{name} gauge"
        yield f"octavia_loadbalancer_{name} {value:.1f}"


def _replaced(text: str, words: Iterable[tuple[str, str]]) -> str:
    for word, by in words:
        text = text.replace(word, by)
    return text


# Asking and answering


class SourceFailed(Exception):
    """HAProxy did not tell its figures."""


class _UnixConnection(HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def figures_of(path: Path) -> str:
    """What HAProxy tells there, as it tells it. Raises SourceFailed."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        content = answer.read(SOURCE_LIMIT)
    except (OSError, HTTPException) as error:
        raise SourceFailed(f"HAProxy does not tell its metrics: {error}") from error
    finally:
        connection.close()
    if len(content) == SOURCE_LIMIT:
        raise SourceFailed("HAProxy tells more metrics than can be passed on")
    if answer.status != 200:
        raise SourceFailed(f"HAProxy does not tell its metrics: it answered {answer.status}")
    return content.decode(errors="replace")


class Exporter(ThreadingMixIn, UnixStreamServer):
    """Answers HAProxy with the metrics of the load balancer whose id it asks for."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, base_path: Path) -> None:
        path = base_path / "exporter.sock"
        path.unlink(missing_ok=True)
        self.base_path = base_path
        former = os.umask(0o077)
        super().__init__(str(path), _Handler)
        os.umask(former)

    def answer(self, load_balancer_id: str) -> str:
        """Raises SourceFailed."""
        if not _ID.fullmatch(load_balancer_id):
            raise SourceFailed("this is no load balancer")
        lines = translated(figures_of(self.base_path / f"{load_balancer_id}.prom").splitlines())
        machine = of_machine(os.getloadavg()[0], os.cpu_count() or 1, details.memory())
        return "".join(f"{line}\n" for line in (*machine, *lines))


class _Handler(BaseHTTPRequestHandler):
    """One question; the connection ends with its answer."""

    server: Exporter
    timeout = ANSWER_SECONDS

    def do_GET(self) -> None:
        try:
            status, content = 200, self.server.answer(self.path.strip("/")).encode()
        except SourceFailed as failed:
            status, content = 502, f"{failed}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Whoever scrapes does so all the time."""
