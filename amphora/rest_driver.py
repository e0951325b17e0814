"""The amphora driver for real amphorae: agent API 1.0 over mutual TLS."""

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from uuid import UUID

from amphora.driver import (
    AgentFault,
    AgentInfo,
    AmphoraAddress,
    AmphoraUnreachable,
    ConfigurationRefused,
    OutdatedConfiguration,
    VipPlug,
    checksum,
    require_stamp,
)

SUPPORTED_API_VERSION = "1.0"
IDLE_CONNECTIONS = 2  # kept per amphora


@dataclass(frozen=True)
class RestSettings:
    """How to reach agents and how to tell who they are.

    client_certificate  PEM file: the controller's certificate and its key
    server_ca           PEM file: who signs the amphorae's certificates; several while the CA changes
    request_id          of the user's request that the present call goes back to, empty when there is none
    """

    client_certificate: Path
    server_ca: Path
    port: int = 9443
    connect_seconds: float = 2.0
    read_seconds: float = 5.0
    request_id: Callable[[], str] = str


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any] | None  # None: not a JSON object, so it did not come from an agent that is ready
    text: str = ""

    @property
    def words(self) -> str:
        """What the agent says about it."""
        body = self.body or {}
        return str(body.get("details") or self.headline)

    @property
    def headline(self) -> str:
        """What went wrong, in a few words."""
        body = self.body or {}
        return str(body.get("message") or body.get("error") or "no words")


class RestAmphoraDriver:
    """An AmphoraDriver. Threads may share it; connections are kept; an amphora is known by its certificate's name."""

    def __init__(self, settings: RestSettings) -> None:
        self._settings = settings
        self._tls = _tls_context(settings)
        self._agents: dict[AmphoraAddress, _Agent] = {}
        self._lock = threading.Lock()

    def info(self, amphora: AmphoraAddress) -> AgentInfo:
        body = self._done(amphora, "GET", "info").body or {}
        boot_id = body.get("boot_id")
        return AgentInfo(
            str(body.get("api_version")),
            str(body.get("haproxy_version")),
            UUID(boot_id) if boot_id else None,
            str(body.get("hostname")),
        )

    def plug_vip(self, amphora: AmphoraAddress, plug: VipPlug) -> None:
        body = {
            "subnet_cidr": plug.subnet_cidr,
            "gateway": plug.gateway,
            "mac_address": plug.mac_address,
            "vrrp_ip": plug.vrrp_ip,
            "mtu": plug.mtu,
            "host_routes": [vars(route) for route in plug.host_routes],
            "additional_vips": [],
        }
        answer = self._ask(amphora, "POST", f"plug/vip/{plug.vip_address}", json.dumps(body))
        if answer.status != 409:  # plugged by an earlier try
            _require_done(amphora, answer)

    def check_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str) -> None:
        self._done(amphora, "PUT", f"tacitus/{load_balancer_id}/check", haproxy_cfg)

    def load_configuration(
        self, amphora: AmphoraAddress, load_balancer_id: UUID, haproxy_cfg: str, revision: int
    ) -> str:
        require_stamp(haproxy_cfg, revision)
        self._done(amphora, "PUT", f"loadbalancer/{amphora.amphora_id}/{load_balancer_id}/haproxy", haproxy_cfg)
        self._done(amphora, "PUT", f"loadbalancer/{load_balancer_id}/reload")
        return checksum(haproxy_cfg)

    def configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> str | None:
        answer = self._ask(amphora, "GET", f"loadbalancer/{load_balancer_id}/haproxy")
        if answer.status == 200:
            return answer.text
        if answer.status != 404 or answer.body is None:
            _require_done(amphora, answer)
        return None

    def remove_configuration(self, amphora: AmphoraAddress, load_balancer_id: UUID) -> None:
        self._done(amphora, "DELETE", f"listeners/{load_balancer_id}")

    def replace_certificate(self, amphora: AmphoraAddress, pem: str) -> None:
        self._done(amphora, "PUT", "certificate", pem)
        self._agent(amphora).close()  # connections with the old one need not live on

    def update_agent_configuration(self, amphora: AmphoraAddress, conf: str) -> None:
        self._done(amphora, "PUT", "config", conf)

    def close(self) -> None:
        """Hang up everywhere."""
        with self._lock:
            agents, self._agents = list(self._agents.values()), {}
        for agent in agents:
            agent.close()

    def _done(self, amphora: AmphoraAddress, method: str, path: str, body: str | None = None) -> Answer:
        answer = self._ask(amphora, method, path, body)
        _require_done(amphora, answer)
        return answer

    def _ask(self, amphora: AmphoraAddress, method: str, path: str, body: str | None = None) -> Answer:
        agent = self._agent(amphora)
        if agent.api_version is None:
            agent.api_version = _discovered_version(amphora, agent.ask("GET", "/", None))
        return agent.ask(method, f"/{agent.api_version}/{path}", body)

    def _agent(self, amphora: AmphoraAddress) -> "_Agent":
        with self._lock:
            if amphora not in self._agents:
                self._agents[amphora] = _Agent(amphora, lambda: self._connection(amphora))
            return self._agents[amphora]

    def _connection(self, amphora: AmphoraAddress) -> "_AgentConnection":
        return _AgentConnection(amphora, self._settings, self._tls)


class _Agent:
    """Connections to one agent, and its API version; both are forgotten when it stops answering, as it does to boot."""

    def __init__(self, amphora: AmphoraAddress, connect: Callable[[], "_AgentConnection"]) -> None:
        self.api_version: str | None = None
        self._amphora = amphora
        self._connect = connect
        self._idle: list[_AgentConnection] = []
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, body: str | None) -> Answer:
        """Raises AmphoraUnreachable. A kept connection may have been closed meanwhile: then once more on a new one."""
        while (kept := self._take()) is not None:
            with suppress(OSError, HTTPException):
                return self._ask(kept, method, path, body)
        try:
            return self._ask(self._connect(), method, path, body)
        except (OSError, HTTPException) as error:
            self.api_version = None
            raise AmphoraUnreachable(self._amphora, str(error) or type(error).__name__) from error

    def close(self) -> None:
        while (kept := self._take()) is not None:
            kept.close()

    def _ask(self, connection: "_AgentConnection", method: str, path: str, body: str | None) -> Answer:
        try:
            request_id = connection.request_id
            headers = {"X-OpenStack-Request-ID": request_id} if request_id else {}
            connection.request(method, path, body=(body or "").encode() if method != "GET" else None, headers=headers)
            response = connection.getresponse()
            content = response.read()
            answer = Answer(response.status, _json_object(content), content.decode(errors="replace"))
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return answer

    def _take(self) -> "_AgentConnection | None":
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: "_AgentConnection") -> None:
        with self._lock:
            if connection.sock is not None and len(self._idle) < IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()


class _AgentConnection(HTTPSConnection):
    """Connects to the management address, and expects a certificate in the name of the amphora's id."""

    def __init__(self, amphora: AmphoraAddress, settings: RestSettings, tls: ssl.SSLContext) -> None:
        super().__init__(amphora.management_address, settings.port, timeout=settings.connect_seconds)
        self._amphora = amphora
        self._settings = settings
        self._tls = tls

    @property
    def request_id(self) -> str:
        return self._settings.request_id()

    def connect(self) -> None:
        """`host` may be an IPv6 address; the time-out for reading begins when the connection is there."""
        raw = socket.create_connection((self.host, self.port), self._settings.connect_seconds)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = self._tls.wrap_socket(raw, server_hostname=str(self._amphora.amphora_id))
        except BaseException:
            raw.close()
            raise
        self.sock.settimeout(self._settings.read_seconds)


def _tls_context(settings: RestSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(settings.server_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.client_certificate)
    return context


def _discovered_version(amphora: AmphoraAddress, answer: Answer) -> str:
    if answer.body is None:
        raise AmphoraUnreachable(amphora, f"no agent answers yet (HTTP {answer.status})")
    version = str(answer.body.get("api_version"))
    if answer.status != 200 or version != SUPPORTED_API_VERSION:
        raise AgentFault(answer.status, f"agent API {SUPPORTED_API_VERSION} is wanted, this one speaks {version}")
    return version


def _require_done(amphora: AmphoraAddress, answer: Answer) -> None:
    """Turn everything but success into its error."""
    if answer.body is None and answer.status >= 400:
        raise AmphoraUnreachable(amphora, f"no agent answers yet (HTTP {answer.status})")
    match answer.status:
        case 200 | 201 | 202:
            return
        case 400:
            raise ConfigurationRefused(answer.words, _refused(answer))
        case 409:
            raise OutdatedConfiguration(answer.words)
        case 401 | 403:
            raise AmphoraUnreachable(amphora, f"it does not accept our certificate: {answer.words}")
    raise AgentFault(answer.status, f"{answer.headline}: {answer.words}")


def _refused(answer: Answer) -> dict[UUID, str]:
    refused = (answer.body or {}).get("refused", {})
    return {UUID(listener_id): str(reason) for listener_id, reason in refused.items() if _is_uuid(listener_id)}


def _is_uuid(text: str) -> bool:
    with suppress(ValueError):
        UUID(text)
        return True
    return False


def _json_object(content: bytes) -> dict[str, Any] | None:
    with suppress(ValueError):
        document = json.loads(content)
        if isinstance(document, dict):
            return document
    return None
