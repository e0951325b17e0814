"""What the contract has and this release does not carry out yet: refused by name, never silently accepted.

An attribute that leaves this list becomes a field of its value in domain/ (which is all that it takes).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from commands.body import NotYet
from domain.errors import NotCarriedOut
from domain.fields import Between, Length, Name
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.listener import Listener, ListenerProtocol
from domain.pool import LbAlgorithm, Pool, PoolProtocol

_Names = tuple[Name, ...]
_Ciphers = Annotated[str, Length(2_048)]


class _ClientAuthentication(StrEnum):
    NONE = "NONE"
    OPTIONAL = "OPTIONAL"
    MANDATORY = "MANDATORY"


LOAD_BALANCER: Mapping[str, NotYet] = {
    "vip_qos_policy_id": NotYet(UUID),
    "vip_sg_ids": NotYet(tuple[UUID, ...]),
    "additional_vips": NotYet(list, fixed=True),
    "flavor_id": NotYet(UUID, fixed=True),
    "availability_zone": NotYet(Name, fixed=True),
    "listeners": NotYet(list, fixed=True),
    "pools": NotYet(list, fixed=True),
}

LISTENER: Mapping[str, NotYet] = {
    "default_pool": NotYet(dict, fixed=True),
    "l7policies": NotYet(list, fixed=True),
    "allowed_cidrs": NotYet(_Names),
    "default_tls_container_ref": NotYet(Name),
    "sni_container_refs": NotYet(_Names),
    "client_ca_tls_container_ref": NotYet(Name),
    "client_crl_container_ref": NotYet(Name),
    "client_authentication": NotYet(_ClientAuthentication, default=_ClientAuthentication.NONE),
    "tls_ciphers": NotYet(_Ciphers),
    "tls_versions": NotYet(_Names),
    "alpn_protocols": NotYet(_Names),
    "hsts_max_age": NotYet(Annotated[int, Between(0)]),
    "hsts_include_subdomains": NotYet(bool),
    "hsts_preload": NotYet(bool),
}

POOL: Mapping[str, NotYet] = {
    "members": NotYet(list, fixed=True),
    "healthmonitor": NotYet(dict, fixed=True),
    "tls_enabled": NotYet(bool),
    "tls_container_ref": NotYet(Name),
    "ca_tls_container_ref": NotYet(Name),
    "crl_container_ref": NotYet(Name),
    "tls_ciphers": NotYet(_Ciphers),
    "tls_versions": NotYet(_Names),
    "alpn_protocols": NotYet(_Names),
}

MEMBER: Mapping[str, NotYet] = {"request_sriov": NotYet(bool, fixed=True)}

_LISTENER_PROTOCOLS = frozenset({ListenerProtocol.TCP, ListenerProtocol.HTTP, ListenerProtocol.HTTPS})
_POOL_PROTOCOLS = frozenset(PoolProtocol) - {PoolProtocol.UDP, PoolProtocol.SCTP}
_MONITOR_TYPES = frozenset({HealthMonitorType.HTTP, HealthMonitorType.TCP, HealthMonitorType.PING})


def require_listener_carried_out(listener: Listener) -> None:
    """Raises NotCarriedOut; called once the listener is known to be right, since a mistake is to be told first."""
    if listener.protocol not in _LISTENER_PROTOCOLS:
        raise NotCarriedOut(f"The listener protocol {listener.protocol}")


def require_pool_carried_out(pool: Pool) -> None:
    if pool.protocol not in _POOL_PROTOCOLS:
        raise NotCarriedOut(f"The pool protocol {pool.protocol}")
    if pool.lb_algorithm == LbAlgorithm.SOURCE_IP_PORT:
        raise NotCarriedOut(f"The algorithm {pool.lb_algorithm}")


def require_health_monitor_carried_out(monitor: HealthMonitor) -> None:
    if monitor.type not in _MONITOR_TYPES:
        raise NotCarriedOut(f"The health monitor type {monitor.type}")
