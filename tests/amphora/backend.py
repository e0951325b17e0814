"""A member for tests: a small HTTP server that keeps connections alive and can be stopped and started again."""

from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn


class Backend(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host: str, port: int = 0) -> None:
        super().__init__((host, port), BackendHandler)
        self.place: tuple[str, int] = (host, self.server_address[1])

    def stop(self) -> None:
        """From now on connections are refused; twice is fine."""
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class BackendHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20
    wbufsize = -1

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
