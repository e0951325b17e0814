"""The files that an amphora is booted with: its settings, its identity, and whom it may obey."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from amphora.trust import heartbeat_key
from infra.settings import Settings
from infra.trust_store import TrustStore
from processes.amphora_build import AmphoraFiles

_CERTIFICATE_VALIDITY = timedelta(days=30)
_CONFIGURATION = """\
[haproxy_amphora]
bind_port = 9443
[health_manager]
controller_ip_port_list = {controllers}
heartbeat_interval = {interval}
heartbeat_key = {key}
[amphora_agent]
amphora_id = {amphora_id}
agent_server_cert = /etc/octavia/certs/server.pem
agent_server_ca = /etc/octavia/certs/client_ca.pem
[controller_worker]
loadbalancer_topology = SINGLE
"""


class AmphoraBootFiles:
    """Fulfils processes.amphora_build.BootFiles and processes.agent_configuration.AgentConfigurations."""

    def __init__(self, settings: Settings, store: TrustStore) -> None:
        self._settings = settings
        self._store = store

    def files_of(self, amphora_id: UUID) -> AmphoraFiles:
        """A new certificate each time."""
        now = datetime.now(UTC).replace(microsecond=0)  # a certificate knows no shorter time
        expires_at = now + _CERTIFICATE_VALIDITY
        trust = self._store.trust
        server = trust.servers.issue_server_certificate(amphora_id, now, expires_at)
        files = {
            "amphora-agent.conf": self.agent_configuration_of(amphora_id),
            "certs/server.pem": server.decode(),
            "certs/client_ca.pem": trust.client_ca_file.read_text(),
        }
        return AmphoraFiles(by_path=files, certificate_expires_at=expires_at)

    def agent_configuration_of(self, amphora_id: UUID) -> str:
        """The key of its heartbeats is derived and never stored."""
        return _CONFIGURATION.format(
            controllers=", ".join(self._settings.controllers),
            interval=self._settings.heartbeat_interval,
            key=heartbeat_key(self._store.heartbeat_masters[0], amphora_id),
            amphora_id=amphora_id,
        )


class NoBootFiles:
    """For profiles in which nothing boots."""

    def files_of(self, amphora_id: UUID) -> AmphoraFiles:
        return AmphoraFiles(by_path={})

    def agent_configuration_of(self, amphora_id: UUID) -> str:
        return ""
