"""Agent API 1.0: which request does what, and what it answers. docs/amphora-api.md describes it."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import UUID

from amphora.agent import details
from amphora.agent.agent import Agent
from amphora.agent.errors import InvalidRequest, NotFound, Refused
from amphora.agent.files import replace_content
from amphora.agent.load_balancer import LoadBalancer
from amphora.agent.settings import InvalidSettings, parse_settings

BODY_LIMIT = 1024 * 1024  # bytes
OK = {"message": "OK"}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    body: bytes = b""
    names: Mapping[str, str] = field(default_factory=dict)  # the variable parts of the path

    def text(self) -> str:
        """The body as UTF-8. Raises InvalidRequest."""
        try:
            return self.body.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"not UTF-8: {error}") from error

    def document(self) -> Any:
        """The body as JSON. Raises InvalidRequest."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"not JSON: {error}") from error

    def object(self) -> dict[str, Any]:
        document = self.document()
        if not isinstance(document, dict):
            raise InvalidRequest("a JSON object is wanted")
        return document


@dataclass(frozen=True)
class Response:
    status: int
    body: object = field(default_factory=lambda: OK)  # a str is sent as it is, anything else as JSON
    etag: str | None = None


class Api:
    """Answers requests; knows nothing of sockets and TLS."""

    def __init__(
        self, agent: Agent, settings_changed: Callable[[], None], identity_replaced: Callable[[bytes], None]
    ) -> None:
        """`identity_replaced` gets the new PEM and raises ValueError when it is none."""
        self._agent = agent
        self._settings_changed = settings_changed
        self._identity_replaced = identity_replaced

    def answer(self, request: Request) -> Response:
        """Never raises what a client may cause; anything else is a fault of ours."""
        try:
            handler, names = _route(request)
            return handler(self, replace(request, names=names))
        except Refused as refused:
            return Response(refused.status, refused.body)

    # What is asked

    def discovery(self, request: Request) -> Response:
        return Response(200, {"api_version": details.API_VERSION})

    def info(self, request: Request) -> Response:
        return Response(200, self._info())

    def details(self, request: Request) -> Response:
        running = [load_balancer for load_balancer in self._agent.load_balancers() if load_balancer.is_running]
        own = {"haproxy_count": len(running), "listeners": [listener["uuid"] for listener in self._listeners()]}
        return Response(200, {**self._info(), **details.machine(self._agent.base_path), **own})

    def listeners(self, request: Request) -> Response:
        return Response(200, self._listeners())

    def interface(self, request: Request) -> Response:
        return Response(200, {"message": "OK", "interface": self._agent.plugs.interface_of(request.names["ip"])})

    def configuration(self, request: Request) -> Response:
        text = self._load_balancer(request).text()
        return Response(200, text, _etag(text.encode()))

    # Load balancers

    def upload(self, request: Request) -> Response:
        self._load_balancer(request).upload(request.text())
        return Response(202, etag=_etag(request.body))

    def check(self, request: Request) -> Response:
        self._load_balancer(request).check(request.text())
        return Response(200)

    def start(self, request: Request) -> Response:
        self._load_balancer(request).start()
        return Response(202, _done("start", request))

    def reload(self, request: Request) -> Response:
        self._load_balancer(request).reload()
        return Response(202, _done("reload", request))

    def stop(self, request: Request) -> Response:
        self._load_balancer(request).stop()
        return Response(202, _done("stop", request))

    def unknown_action(self, request: Request) -> Response:
        raise InvalidRequest(f"Unknown action: {request.names['action']}")

    def delete(self, request: Request) -> Response:
        self._load_balancer(request).delete()
        for certificate in self._certificates(request).glob("*.pem"):
            certificate.unlink(missing_ok=True)
        if self._certificates(request).is_dir():
            self._certificates(request).rmdir()
        return Response(200)

    # Certificates of listeners

    def put_certificate(self, request: Request) -> Response:
        file = self._certificate(request)
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_content(file, request.body)
        self._load_balancer(request).files_changed()
        return Response(200, etag=_etag(request.body))

    def get_certificate(self, request: Request) -> Response:
        try:
            checksum = _etag(self._certificate(request).read_bytes())
        except FileNotFoundError:
            raise NotFound("Certificate Not Found") from None
        return Response(200, {"md5sum": checksum}, checksum)

    def delete_certificate(self, request: Request) -> Response:
        self._certificate(request).unlink(missing_ok=True)
        self._load_balancer(request).files_changed()
        return Response(200)

    # The amphora itself

    def plug_vip(self, request: Request) -> Response:
        vip = request.names["vip"]
        self._agent.plugs.plug_vip(vip, request.object())
        return Response(202, {"message": "OK", "details": f"VIP {vip} plugged on interface lo"})

    def plug_network(self, request: Request) -> Response:
        self._agent.plugs.plug_network(request.object())
        return Response(202, {"message": "OK", "details": "Plugged on interface lo"})

    def replace_identity(self, request: Request) -> Response:
        try:
            self._identity_replaced(request.body)
        except ValueError as error:
            raise InvalidRequest(f"not a certificate and its key: {error}") from error
        return Response(202)

    def replace_settings(self, request: Request) -> Response:
        """Heartbeats follow the new ones at once, everything else does after a restart."""
        former = self._agent.settings
        try:
            settings = parse_settings(former.file, request.text())
        except InvalidSettings as error:
            raise InvalidRequest(str(error)) from error
        if settings.amphora_id != former.amphora_id:
            raise InvalidRequest(f"amphora_id: this is amphora {former.amphora_id}")
        replace_content(former.file, request.body)
        self._agent.settings = replace(former, heartbeat=settings.heartbeat)
        self._settings_changed()
        return Response(202)

    def not_implemented(self, request: Request) -> Response:
        """What needs privileges on a machine of its own: keepalived, LVS, firewall rules."""
        raise _http_error(501)

    def _info(self) -> dict[str, Any]:
        return details.info(self._agent.settings.haproxy_command, str(self._agent.boot_id))

    def _listeners(self) -> list[dict[str, str]]:
        return [listener for each in self._agent.load_balancers() for listener in _frontends(each.text())]

    def _load_balancer(self, request: Request) -> LoadBalancer:
        return self._agent.load_balancer(UUID(request.names["load_balancer"]))

    def _certificates(self, request: Request) -> Path:
        return self._agent.settings.certificates_path / request.names["load_balancer"]

    def _certificate(self, request: Request) -> Path:
        name = request.names["file"]
        if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}\.pem", name):
            raise InvalidRequest("Filename has wrong format")
        return self._certificates(request) / name


ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
LOAD_BALANCER = rf"/1\.0/loadbalancer/(?P<load_balancer>{ID})"
Handler = Callable[[Api, Request], Response]
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", r"/", Api.discovery),
    ("GET", r"/1\.0/info", Api.info),
    ("GET", r"/1\.0/details", Api.details),
    ("GET", r"/1\.0/listeners", Api.listeners),
    ("GET", r"/1\.0/interface/(?P<ip>[^/]+)", Api.interface),
    ("PUT", r"/1\.0/interface/(?P<ip>[^/]+)/rules", Api.not_implemented),
    ("PUT", rf"/1\.0/loadbalancer/(?P<amphora>{ID})/(?P<load_balancer>{ID})/haproxy", Api.upload),
    ("GET", rf"{LOAD_BALANCER}/haproxy", Api.configuration),
    ("PUT", rf"/1\.0/tacitus/(?P<load_balancer>{ID})/check", Api.check),
    ("PUT", rf"{LOAD_BALANCER}/start", Api.start),
    ("PUT", rf"{LOAD_BALANCER}/reload", Api.reload),
    ("PUT", rf"{LOAD_BALANCER}/stop", Api.stop),
    ("PUT", rf"{LOAD_BALANCER}/(?P<action>[a-z]+)", Api.unknown_action),
    ("DELETE", rf"/1\.0/listeners/(?P<load_balancer>{ID})", Api.delete),
    ("PUT", rf"{LOAD_BALANCER}/certificates/(?P<file>[^/]+)", Api.put_certificate),
    ("GET", rf"{LOAD_BALANCER}/certificates/(?P<file>[^/]+)", Api.get_certificate),
    ("DELETE", rf"{LOAD_BALANCER}/certificates/(?P<file>[^/]+)", Api.delete_certificate),
    ("POST", r"/1\.0/plug/vip/(?P<vip>[^/]+)", Api.plug_vip),
    ("POST", r"/1\.0/plug/network", Api.plug_network),
    ("PUT", r"/1\.0/certificate", Api.replace_identity),
    ("PUT", r"/1\.0/config", Api.replace_settings),
    ("PUT", r"/1\.0/vrrp/(?:upload|start|stop|reload)", Api.not_implemented),
    ("PUT", rf"/1\.0/listeners/{ID}/{ID}/udp_listener", Api.not_implemented),
    ("GET", rf"/1\.0/listeners/{ID}/udp_listener", Api.not_implemented),
)
_TABLE = tuple((method, re.compile(pattern), handler) for method, pattern, handler in ROUTES)


def _route(request: Request) -> tuple[Handler, dict[str, str]]:
    is_known = False
    for method, path, handler in _TABLE:
        if match := path.fullmatch(request.path):
            if method == request.method:
                return handler, match.groupdict()
            is_known = True
    raise _http_error(405 if is_known else 404)


def _http_error(status: int) -> Refused:
    """The form of every error that the API does not describe closer."""
    return Refused(status, error=HTTPStatus(status).phrase, http_code=status)


def _done(action: str, request: Request) -> dict[str, str]:
    load_balancer_id = request.names["load_balancer"]
    return {"message": "OK", "details": f"HAProxy of load balancer {load_balancer_id}: {action} done"}


def _etag(content: bytes) -> str:
    """A checksum that the API fixes; nothing rests on its strength."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _frontends(configuration: str) -> list[dict[str, str]]:
    """The frontends of a configuration as the API lists them."""
    listed: list[dict[str, str]] = []
    for line in configuration.splitlines():
        words = line.replace("'", "").split()
        if words[:1] == ["frontend"] and len(words) > 1:
            listed.append({"status": "ACTIVE", "uuid": words[1], "type": "HTTP"})
        elif listed and words[:1] == ["mode"]:
            listed[-1]["type"] = words[1].upper()
        elif listed and words[:1] == ["bind"] and "crt-list" in words:
            listed[-1]["type"] = "TERMINATED_HTTPS"
    return listed
