"""Serves Keystone on a listening socket that was inherited; runs in Keystone's own environment.

usage: OS_KEYSTONE_CONFIG_DIR=D serve.py DESCRIPTOR
"""

import socket
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keystone has a log of its own."""


def main() -> None:
    inherited = socket.socket(fileno=int(sys.argv[1]))
    sys.argv = ["keystone"]  # Keystone reads these
    from keystone.wsgi.api import application

    server = Server(inherited.getsockname(), Silent, bind_and_activate=False)
    server.socket = inherited
    server.server_name, server.server_port = inherited.getsockname()
    server.setup_environ()
    server.set_app(application)
    server.serve_forever()


if __name__ == "__main__":
    main()
