"""What the operator of a deployment presumes where users say nothing, and what is not to be had in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from domain.errors import Invalid, NotAnOption
from domain.fields import BY_DEPLOYMENT
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool, PoolProtocol
from domain.tls import TlsRules

MOST_UNAPPLIED_CHANGES = 1_000


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Of listeners, in milliseconds."""

    timeout_client_data: int = 50_000
    timeout_member_connect: int = 5_000
    timeout_member_data: int = 50_000
    timeout_tcp_inspect: int = 0


class NotAllowed(Invalid):
    """option: the attribute or, of listeners, `protocol`."""

    def __init__(self, option: str, value: object) -> None:
        super().__init__(f"The selected {option} is not allowed in this deployment: {value}")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What goes without saying, and what may not be asked for.

    reserved_ips, reserved_cidrs  where no member may be, nor be checked
    udp_connect_delay             the shortest delay of UDP-CONNECT health monitors, seconds
    most_unapplied_changes        of one load balancer; beyond it a change is refused with the 409 that clients retry
    strict_immutability           a load balancer with a change under way takes no other, as in Octavia
    """

    timeouts: Timeouts = field(default_factory=Timeouts)
    tls: TlsRules = field(default_factory=TlsRules)
    tls_terminated_listeners: bool = True
    prometheus_listeners: bool = True
    ping_health_monitors: bool = True
    udp_connect_delay: int = 3
    reserved_ips: tuple[str, ...] = ("169.254.169.254",)
    reserved_cidrs: tuple[str, ...] = ()
    most_unapplied_changes: int = MOST_UNAPPLIED_CHANGES
    strict_immutability: bool = False

    # Listeners

    def completed_listener(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was said of a new listener, with what goes without saying."""
        presumed = vars(self.timeouts)
        if given.get("protocol") == ListenerProtocol.TERMINATED_HTTPS:
            presumed = {**presumed, **self._tls_of_listeners}
        return {**presumed, **_said(given)}

    def completed_listener_change(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """New values, with what goes without saying in the place of those that were taken back."""
        return _filled(changes, {**vars(self.timeouts), **self._tls_of_listeners})

    @property
    def _tls_of_listeners(self) -> dict[str, Any]:
        presumed = self.tls.listeners
        return {"tls_ciphers": presumed.ciphers, "tls_versions": presumed.versions, "alpn_protocols": presumed.alpn}

    def require_listener_allowed(self, listener: Listener) -> None:
        """Raises Invalid when it contradicts itself and for its ciphers, NotAllowed for its protocol; first come first.

        What is left of TLS is said once its load balancer had its say: `require_versions_allowed`.
        """
        listener.require_known_to_protocol()
        self._require_protocol_allowed(listener)
        listener.require_certificates_fit()
        self.tls.require_ciphers(listener.tls_ciphers)

    def _require_protocol_allowed(self, listener: Listener) -> None:
        if listener.terminates_tls and not self.tls_terminated_listeners:
            is_prometheus = listener.protocol == ListenerProtocol.PROMETHEUS
            raise NotAllowed("protocol", "PROMETHEUS with TLS" if is_prometheus else listener.protocol)
        if listener.protocol == ListenerProtocol.PROMETHEUS and not self.prometheus_listeners:
            raise NotAllowed("protocol", listener.protocol)

    def require_versions_allowed(self, listener: Listener) -> None:
        """Raises Invalid."""
        if listener.terminates_tls:
            self.tls.require_versions(listener.tls_versions)

    def require_listener_change_allowed(self, changes: Mapping[str, Any]) -> None:
        self.tls.require_ciphers(changes.get("tls_ciphers"))
        self.tls.require_versions(changes.get("tls_versions"))

    # Pools

    def completed_pool(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What was said of a new pool, with what goes without saying."""
        if not given.get("tls_enabled"):
            return _said(given)
        presumed = self.tls.pools
        filled = {"tls_ciphers": presumed.ciphers, "tls_versions": presumed.versions, "alpn_protocols": presumed.alpn}
        return {**filled, **{name: value for name, value in _said(given).items() if value is not None}}

    def completed_pool_change(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        presumed = self.tls.pools
        return _filled(changes, {"tls_ciphers": presumed.ciphers, "tls_versions": presumed.versions})

    def require_pool_allowed(self, pool: Pool) -> None:
        """Raises Invalid for its TLS settings."""
        self.tls.require_ciphers(pool.tls_ciphers)
        if pool.tls_enabled:
            self.tls.require_versions(pool.tls_versions)

    def require_pool_change_allowed(self, changes: Mapping[str, Any]) -> None:
        self.tls.require_ciphers(changes.get("tls_ciphers"))
        self.tls.require_versions(changes.get("tls_versions"))

    # Members and health monitors

    def require_address_allowed(self, address: str, option: str) -> None:
        """option: "member address", or "monitor_address". Raises NotAnOption."""
        asked = ip_address(address)
        if asked in {ip_address(reserved) for reserved in self.reserved_ips}:
            raise NotAnOption(address, option)
        if any(asked in ip_network(reserved) for reserved in self.reserved_cidrs):
            raise NotAnOption(address, option)

    def require_health_monitor_allowed(self, monitor: HealthMonitor, protocol: PoolProtocol) -> None:
        """Raises NotAllowed for PING, Invalid for a type that does not fit, and for UDP-CONNECT that asks too often.

        protocol: of the pool whose members are checked
        """
        if monitor.type == HealthMonitorType.PING and not self.ping_health_monitors:
            raise NotAllowed("type", monitor.type)
        monitor.require_type_for(protocol)
        self.require_delay_allowed(monitor)

    def require_delay_allowed(self, monitor: HealthMonitor) -> None:
        """All that is said again when a health monitor is changed. Raises Invalid."""
        if monitor.type == HealthMonitorType.UDP_CONNECT and monitor.delay < self.udp_connect_delay:
            raise Invalid(
                f"Validation failure: The request delay value {monitor.delay} should be larger than"
                f" {self.udp_connect_delay} for {monitor.type} health monitor type."
            )


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not BY_DEPLOYMENT}


def _filled(changes: Mapping[str, Any], presumed: Mapping[str, Any]) -> dict[str, Any]:
    return {name: presumed[name] if value is BY_DEPLOYMENT else value for name, value in changes.items()}
