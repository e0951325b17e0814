"""Serves Keystone or Barbican on a listening socket that was inherited; runs in an environment that has them.

usage: OS_KEYSTONE_CONFIG_DIR=D serve.py keystone DESCRIPTOR
       HOME=D serve.py barbican DESCRIPTOR
"""

import socket
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Services have logs of their own."""


def keystone() -> Any:
    from keystone.wsgi.api import application

    return application


def barbican() -> Any:
    from paste.deploy import loadapp

    return loadapp(f"config:{Path.home()}/.barbican/barbican-api-paste.ini", name="main")


def main() -> None:
    service, descriptor = sys.argv[1:]
    inherited = socket.socket(fileno=int(descriptor))
    sys.argv = [service]  # services read these
    application = {"keystone": keystone, "barbican": barbican}[service]()
    server = Server(inherited.getsockname(), Silent, bind_and_activate=False)
    server.socket = inherited
    server.server_name, server.server_port = inherited.getsockname()
    server.setup_environ()
    server.set_app(application)
    server.serve_forever()


if __name__ == "__main__":
    main()
