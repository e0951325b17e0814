"""The agent's settings, read from amphora-agent.conf with the Octavia agent's sections and keys and a few of ours."""

import shutil
import ssl
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

SOCKET_ADDRESS_LIMIT = 107  # bytes in the path of a unix socket
# HAProxy's name for its socket while it binds it
LONGEST_NAME_BELOW_BASE_PATH = len("/00000000-0000-0000-0000-000000000000.sock.1234567.tmp")
TLS_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


class InvalidSettings(Exception):
    """The file cannot be used; the message says which key and why."""


@dataclass(frozen=True)
class HeartbeatSettings:
    """What the heartbeat sender follows while the agent runs.

    controllers       (host, port) of each; a heartbeat goes to one of them, in turn
    interval_seconds  may be a fraction
    key               of this amphora; empty: no heartbeats
    """

    controllers: tuple[tuple[str, int], ...]
    interval_seconds: float
    key: str


@dataclass(frozen=True)
class AgentSettings:
    """Everything the agent is told. Paths that are not given lie below `base_path` or beside the file itself."""

    file: Path
    amphora_id: UUID
    base_path: Path
    certificates_path: Path
    haproxy_command: str
    bind_host: str
    bind_port: int
    server_certificate: Path
    client_ca: Path
    tls_minimum: ssl.TLSVersion
    controller_name: str | None  # common name that a controller's certificate must carry; None: any but an amphora's
    heartbeat: HeartbeatSettings


def read_settings(file: Path) -> AgentSettings:
    """Raises InvalidSettings, also when the file is missing."""
    try:
        return parse_settings(file, file.read_text())
    except OSError as error:
        raise InvalidSettings(f"{file}: {error.strerror}") from error


def parse_settings(file: Path, text: str) -> AgentSettings:
    """The settings that `text` would give as the content of `file`. Raises InvalidSettings."""
    parser = ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
        return _settings(file, parser)
    except (ConfigParserError, ValueError, KeyError) as error:
        raise InvalidSettings(f"{file}: {error}") from error


def _settings(file: Path, parser: ConfigParser) -> AgentSettings:
    haproxy = _section(parser, "haproxy_amphora")
    agent = _section(parser, "amphora_agent")
    base_path = Path(haproxy.get("base_path", "/var/lib/octavia"))
    if len(str(base_path).encode()) + LONGEST_NAME_BELOW_BASE_PATH > SOCKET_ADDRESS_LIMIT:
        limit = SOCKET_ADDRESS_LIMIT - LONGEST_NAME_BELOW_BASE_PATH
        raise ValueError(f"base_path is longer than {limit} bytes: unix sockets below it could not be bound")
    return AgentSettings(
        file=file,
        amphora_id=UUID(agent["amphora_id"]),
        base_path=base_path,
        certificates_path=Path(haproxy.get("base_cert_dir", str(base_path / "certs"))),
        haproxy_command=_command(haproxy.get("haproxy_cmd", "haproxy")),
        bind_host=haproxy.get("bind_host", "::"),
        bind_port=int(haproxy.get("bind_port", "9443")),
        server_certificate=Path(agent.get("agent_server_cert", "/etc/octavia/certs/server.pem")),
        client_ca=Path(agent.get("agent_server_ca", "/etc/octavia/certs/client_ca.pem")),
        tls_minimum=TLS_VERSIONS[agent.get("agent_tls_protocol", "TLSv1.2")],
        controller_name=agent.get("controller_name"),
        heartbeat=_heartbeat(_section(parser, "health_manager")),
    )


def _heartbeat(section: dict[str, str]) -> HeartbeatSettings:
    entries = section.get("controller_ip_port_list", "").split(",")
    controllers = tuple(_address(entry) for entry in entries if entry.strip())
    interval = float(section.get("heartbeat_interval", "10"))
    if not 0.05 <= interval <= 3600:
        raise ValueError("heartbeat_interval is a number of seconds between 0.05 and 3600")
    return HeartbeatSettings(controllers, interval, section.get("heartbeat_key", ""))


def _section(parser: ConfigParser, name: str) -> dict[str, str]:
    return dict(parser[name]) if parser.has_section(name) else dict(parser.defaults())


def _address(entry: str) -> tuple[str, int]:
    """`10.0.0.1:5555` or `[fd00::1]:5555`."""
    host, _, port = entry.strip().rpartition(":")
    return host.strip("[]"), int(port)


def _command(name: str) -> str:
    """The full path: HAProxy runs with an empty environment, so nothing else would find it."""
    found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise ValueError(f"haproxy_cmd: there is no program {name}")
    return found
