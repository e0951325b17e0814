"""Real members: small HTTP servers on loopback addresses that say who they are and count what they are asked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import Any


class Backend(ThreadingMixIn, TCPServer):
    """Answers every GET with its own address. Requests of health monitors (path /health) are not counted."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: str, port: int = 0) -> None:
        super().__init__((address, port), _Handler)
        self.address, self.port = address, int(self.server_address[1])
        self.served = 0
        self.open: set[Any] = set()
        self.lock = threading.Lock()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self.lock:
            self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self.lock:
            self.open.discard(request)
        super().shutdown_request(request)

    def kill(self) -> None:
        """From now on connections are refused, and those that are open end."""
        self.shutdown()
        self.server_close()
        with self.lock:
            remaining = list(self.open)
        for request in remaining:
            with suppress(OSError):
                request.shutdown(2)

    def again(self) -> "Backend":
        """A new one in the same place."""
        return Backend(self.address, self.port)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""

    @property
    def member(self) -> dict[str, object]:
        """As a member of a pool."""
        return {"address": self.address, "protocol_port": self.port}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    wbufsize = -1
    server: Backend

    def do_GET(self) -> None:
        if self.path != "/health":
            with self.server.lock:
                self.server.served += 1
        text = f"{self.server.address}:{self.server.port}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def backends(*addresses: str) -> Iterator[list[Backend]]:
    started = [Backend(address) for address in addresses]
    try:
        yield started
    finally:
        for backend in started:
            backend.kill()
