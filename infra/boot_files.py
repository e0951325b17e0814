"""The files that an amphora is booted with: its settings, its identity, and whom it may obey."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from amphora.trust import heartbeat_key
from infra.settings import Settings
from infra.trust_store import TrustStore

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
    """processes.amphora_build.BootFiles."""

    def __init__(self, settings: Settings, store: TrustStore) -> None:
        self._settings = settings
        self._store = store

    def files_of(self, amphora_id: UUID) -> dict[str, str]:
        """A new certificate each time; the key of its heartbeats is derived and never stored."""
        now = datetime.now(UTC)
        trust = self._store.trust
        server = trust.servers.issue_server_certificate(amphora_id, now, now + _CERTIFICATE_VALIDITY)
        return {
            "amphora-agent.conf": _CONFIGURATION.format(
                controllers=f"{self._settings.api_host}:{self._settings.heartbeat_port}",
                interval=self._settings.heartbeat_interval,
                key=heartbeat_key(self._store.heartbeat_masters[0], amphora_id),
                amphora_id=amphora_id,
            ),
            "certs/server.pem": server.decode(),
            "certs/client_ca.pem": trust.client_ca_file.read_text(),
        }


class NoBootFiles:
    """For profiles in which nothing boots."""

    def files_of(self, amphora_id: UUID) -> dict[str, str]:
        return {}
