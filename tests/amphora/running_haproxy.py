"""A real HAProxy that runs what is rendered, members that say who they are, and a client that asks them."""

import csv
import json
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from amphora.agent.metrics import Exporter
from domain.tree import Tree
from tests.amphora.rendering import haproxy_program, rendered
from tests.amphora.running_agent import wait_until

VIP = "127.20.0.5"


class TellingMember(ThreadingHTTPServer):
    """Answers each request with its own name and what it was sent, as JSON."""

    daemon_threads = True

    def __init__(self, name: str, host: str, tls: ssl.SSLContext | None = None) -> None:
        super().__init__((host, 0), _Telling)
        self.name = name
        self.place: tuple[str, int] = (host, self.server_address[1])
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Telling(BaseHTTPRequestHandler):
    server: TellingMember

    def do_GET(self) -> None:
        told = {"member": self.server.name, "path": self.path, "headers": dict(self.headers.items())}
        content = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def running(directory: Path, tree: Tree, **said: Any) -> Iterator[None]:
    """HAProxy with this tree, from when it accepts connections until the end of the context."""
    (directory / "haproxy.cfg").write_text(rendered(tree, vip_address=VIP, **said))
    with (directory / "haproxy.log").open("wb") as log:
        command = [haproxy_program(), "-db", "-f", "haproxy.cfg"]
        process = subprocess.Popen(command, cwd=directory, env={}, stdout=log, stderr=log)
    try:
        for listener in tree.listeners.values():
            wait_until(lambda port=listener.protocol_port: _accepts(process, directory, port), 10)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def exporting(directory: Path) -> Iterator[None]:
    """The part of the agent that tells metrics, until the end of the context."""
    with Exporter(directory) as exporter:
        threading.Thread(target=exporter.serve_forever, args=(0.02,), daemon=True).start()
        yield
        exporter.shutdown()


def _accepts(process: "subprocess.Popen[bytes]", directory: Path, port: int) -> bool:
    assert process.poll() is None, (directory / "haproxy.log").read_text()
    with suppress(OSError), socket.create_connection((VIP, port), 1):
        return True
    return False


@dataclass(frozen=True)
class Answer:
    """told: what a member said of the request, nothing when HAProxy answered itself."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, Any]:
        return dict(json.loads(self.body)) if self.status == 200 else {}

    @property
    def member(self) -> str | None:
        return self.told.get("member")


@dataclass(frozen=True, kw_only=True)
class Client:
    """Asks a listener, each time on a new connection.

    tls   how, None for plain HTTP
    sni   the host that is named when TLS begins, None for none
    """

    port: int
    tls: ssl.SSLContext | None = None
    sni: str | None = None
    source: tuple[str, int] = ("", 0)
    headers: Mapping[str, str] = field(default_factory=dict)

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        connection = self._connection()
        try:
            sent = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
            connection.request(method, path, headers=sent)
            return _answer(connection.getresponse())
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        connection = HTTPConnection(VIP, self.port)
        connection.sock = self.tcp_socket() if self.tls is None else self.tls_socket()
        return connection

    def tcp_socket(self) -> socket.socket:
        """Forgotten by the kernel once closed, so that a port can be used again at once."""
        plain = socket.socket()
        plain.settimeout(10)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            plain.bind(self.source)
            plain.connect((VIP, self.port))
        except BaseException:
            plain.close()
            raise
        return plain

    def tls_socket(self) -> ssl.SSLSocket:
        assert self.tls is not None
        plain = self.tcp_socket()
        try:
            return self.tls.wrap_socket(plain, server_hostname=self.sni)
        except BaseException:
            plain.close()
            raise


def _answer(response: HTTPResponse) -> Answer:
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


def trusting(authority: Path | None = None, certificate: Path | None = None) -> ssl.SSLContext:
    """A client that trusts one authority, or whoever there is, and shows a certificate if it has one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if authority is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
    if certificate is not None:
        context.load_cert_chain(certificate)
    return context


def checks_of(directory: Path) -> dict[str, str]:
    """Member id -> the code of its last check: "L4OK", "L7STS" ... ; "" before the first one."""
    wait_until(lambda: any(directory.glob("*.sock")), 5)  # it gets its name last of all
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(next(directory.glob("*.sock"))))
        connection.sendall(b"show stat\n")
        with connection.makefile() as answer:
            rows = list(csv.DictReader(line.removeprefix("# ") for line in answer if line.strip()))
    return {row["svname"]: row["check_status"].removeprefix("* ") for row in rows}
