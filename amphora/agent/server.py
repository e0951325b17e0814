"""HTTPS for the agent's API: a thread per connection, TLS both ways, and only for controllers."""

import json
import re
import socket
import ssl
import sys
import threading
import traceback
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

from amphora.agent.api import BODY_LIMIT, Api, Request, Response
from amphora.agent.files import replace_durably, write_durably
from amphora.agent.settings import AgentSettings

CONNECTIONS_LIMIT = 32  # at once; a controller keeps one or two
HANDSHAKE_SECONDS = 5.0
DISCARD_LIMIT = 16 * BODY_LIMIT
IDLE_SECONDS = 60.0  # a kept-alive connection without a request
SERVER_AUTH = bytes.fromhex("06082b06010505070301")  # the extended key usage `serverAuth`, in DER
AMPHORA_NAME = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AgentServer(ThreadingMixIn, TCPServer):
    """Serves one Api. The handshake happens in the connection's own thread, so a slow client holds up nobody."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, settings: AgentSettings) -> None:
        self.address_family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
        self.settings = settings
        self.api: Api  # set before serve_forever(): the Api in turn has to be able to replace our identity
        self._slots = threading.BoundedSemaphore(CONNECTIONS_LIMIT)
        self._tls = tls_context(settings, settings.server_certificate)
        super().__init__((settings.bind_host, settings.bind_port), AgentRequestHandler)

    def replace_identity(self, pem: bytes) -> None:
        """New connections see this certificate. Raises ValueError when it is none, and keeps the old one then."""
        beside = self.settings.server_certificate.with_name("server.pem.new")
        write_durably(beside, pem)
        try:
            tls = tls_context(self.settings, beside)
        except (ssl.SSLError, OSError) as error:
            beside.unlink()
            raise ValueError(str(error)) from error
        replace_durably(beside, self.settings.server_certificate)
        self._tls = tls

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(HANDSHAKE_SECONDS)
            secured = self._tls.wrap_socket(request, server_side=True)
        except OSError:  # no, a foreign or an expired certificate; or no TLS at all
            self.shutdown_request(request)
        else:
            super().process_request_thread(secured, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        if not isinstance(sys.exception(), OSError):
            traceback.print_exc()


class AgentRequestHandler(BaseHTTPRequestHandler):
    """One connection: as many requests as the controller likes to send over it."""

    protocol_version = "HTTP/1.1"
    server_version = "tacitus-amphora-agent"
    sys_version = ""
    timeout = IDLE_SECONDS
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body leave in one piece
    server: AgentServer

    def answer_request(self) -> None:
        complaint = complaint_about(self.connection, self.server.settings.controller_name)
        length = self._length()
        if complaint:
            self._refuse(403, complaint)
        elif length is None:
            self._refuse(411, "Content-Length is wanted")
        elif length > BODY_LIMIT:
            self._discard(length)
            self._refuse(413, f"a body has {BODY_LIMIT} bytes at most")
        else:
            response = self._answer(Request(self.command, self.path.partition("?")[0], self.rfile.read(length)))
            self._tell(response)
            self._send(response)

    # The library's names:
    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = answer_request  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library finds wrong before we see it: a request line that is none, say."""
        self._refuse(int(code), message or self.responses[int(code)][0])

    def log_message(self, format: str, *args: Any) -> None:
        """Reads are not logged: the controller's log has them."""

    def _tell(self, response: Response) -> None:
        """A line for each change that names the user's request behind it, as the logs of the control plane do."""
        if self.command in ("PUT", "POST", "DELETE"):
            request_id = self.headers.get("X-OpenStack-Request-ID", "-")
            print(f"{self.command} {self.path} {response.status} {request_id}", file=sys.stderr, flush=True)

    def _answer(self, request: Request) -> Response:
        try:
            return self.server.api.answer(request)
        except Exception as error:
            traceback.print_exc()
            return Response(500, {"error": f"{type(error).__name__}: {error}", "http_code": 500})

    def _length(self) -> int | None:
        """None when the body's length is not told."""
        length = self.headers.get("Content-Length", "0")
        return int(length) if length.isdigit() and "Transfer-Encoding" not in self.headers else None

    def _discard(self, length: int) -> None:
        """Who is still sending does not read our answer, so a body that is somewhat too long is read to its end."""
        remaining = min(length, DISCARD_LIMIT)
        while remaining > 0 and (chunk := self.rfile.read(min(remaining, 1 << 16))):
            remaining -= len(chunk)

    def _refuse(self, status: int, words: str) -> None:
        """The body may not have been read to its end, so the connection cannot go on."""
        self.close_connection = True
        self._send(Response(status, {"error": words, "http_code": status}))

    def _send(self, response: Response) -> None:
        is_text = isinstance(response.body, str)
        body = response.body.encode() if isinstance(response.body, str) else json.dumps(response.body).encode()
        self.send_response(response.status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if is_text else "application/json")
        self.send_header("Content-Length", str(len(body)))
        if response.etag:
            self.send_header("ETag", response.etag)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def tls_context(settings: AgentSettings, certificate: Path) -> ssl.SSLContext:
    """Ours to show is `certificate`; the other side's must come from the client CA and be meant for clients.

    No session tickets: a resumed session would not show its certificate again. Raises ssl.SSLError, OSError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = settings.tls_minimum
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(settings.client_ca)
    context.load_cert_chain(certificate)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    return context


def complaint_about(connection: Any, controller_name: str | None) -> str | None:
    """Why this certificate, though the client CA signed it, is not a controller's: where one CA signs everything,
    an amphora could speak to another one otherwise.
    """
    certificate = connection.getpeercert()
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    alternatives = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if any(AMPHORA_NAME.fullmatch(name.lower()) for name in names + alternatives):
        return "this is the certificate of an amphora"
    if controller_name is not None and names != [controller_name]:
        return f"this is not the certificate of {controller_name}"
    if controller_name is not None and SERVER_AUTH in connection.getpeercert(binary_form=True):
        return "this is the certificate of a server"
    return None
