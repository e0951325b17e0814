"""A pool: the members that share a listener's traffic, and how it is spread over them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from domain.errors import Invalid, ProtocolMismatch
from domain.fields import (
    BY_DEPLOYMENT,
    FIXED,
    NULL_REFUSED,
    AdminStateUp,
    Between,
    Ciphers,
    IpAddress,
    Length,
    Matching,
    Name,
    SecretRef,
    Tags,
    TlsVersionName,
)
from domain.listener import Listener, ListenerProtocol
from domain.tls import Alpn, require_alpn


class PoolProtocol(StrEnum):
    """What a pool speaks to its members."""

    TCP = "TCP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    PROXY = "PROXY"
    PROXYV2 = "PROXYV2"
    UDP = "UDP"
    SCTP = "SCTP"

    @property
    def is_connectionless(self) -> bool:
        """Not TCP, that is: served by other means than HAProxy."""
        return self in (PoolProtocol.UDP, PoolProtocol.SCTP)


class LbAlgorithm(StrEnum):
    """How connections are spread over members."""

    ROUND_ROBIN = "ROUND_ROBIN"
    LEAST_CONNECTIONS = "LEAST_CONNECTIONS"
    SOURCE_IP = "SOURCE_IP"
    SOURCE_IP_PORT = "SOURCE_IP_PORT"


class SessionPersistenceType(StrEnum):
    """What ties a client to the member it was given first."""

    SOURCE_IP = "SOURCE_IP"
    HTTP_COOKIE = "HTTP_COOKIE"
    APP_COOKIE = "APP_COOKIE"


@dataclass(frozen=True, kw_only=True)
class SessionPersistence:
    """How a client stays with its member.

    cookie_name              the application's cookie, for APP_COOKIE only
    persistence_timeout      seconds, for UDP and SCTP pools only
    persistence_granularity  netmask of the clients that count as one, likewise
    """

    type: SessionPersistenceType
    cookie_name: Annotated[str, Length(255), Matching(r"^[^\s,;\\]+$")] | None = None
    persistence_timeout: Annotated[int, Between(-2_147_483_648, 2_147_483_647)] | None = None
    persistence_granularity: IpAddress | None = None


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The settings of a pool, as the API user gave them.

    Names, limits, defaults: Octavia API reference v2, "Create Pool".
    """

    id: UUID
    name: Name = ""
    description: Name = ""
    admin_state_up: AdminStateUp = True
    protocol: Annotated[PoolProtocol, FIXED]
    lb_algorithm: Annotated[LbAlgorithm, NULL_REFUSED]
    session_persistence: SessionPersistence | None = None
    tls_enabled: Annotated[bool, NULL_REFUSED] = False
    tls_container_ref: SecretRef | None = None
    ca_tls_container_ref: SecretRef | None = None
    crl_container_ref: SecretRef | None = None
    tls_ciphers: Annotated[Ciphers | None, BY_DEPLOYMENT] = None
    tls_versions: Annotated[tuple[TlsVersionName, ...] | None, BY_DEPLOYMENT] = None
    alpn_protocols: tuple[Alpn, ...] | None = None
    tags: Tags = ()

    @property
    def names_secrets(self) -> bool:
        refs = (self.tls_container_ref, self.ca_tls_container_ref, self.crl_container_ref)
        return any(ref is not None for ref in refs)

    def changed_by(self, changes: Mapping[str, Any]) -> "Pool":
        """The pool with new values for what is named; of session persistence only the type may be left out.

        Raises Invalid when it then contradicts itself.
        """
        given = changes.get("session_persistence")
        if given is not None:
            changes = {**changes, "session_persistence": self._persistence_changed_by(given)}
        changed = replace(self, **changes)
        if changed.crl_container_ref is not None and changed.ca_tls_container_ref is None:
            if changes.get("crl_container_ref") is None and "ca_tls_container_ref" in changes:
                raise Invalid(
                    "Validation failure: A CA reference cannot be removed when a certificate revocation list is"
                    " present."
                )
            raise Invalid("Validation failure: A CA reference is required to specify a certificate revocation list.")
        require_alpn(changes.get("alpn_protocols"))
        return changed

    def _persistence_changed_by(self, given: Mapping[str, Any]) -> SessionPersistence:
        of_datagrams = (given.get("persistence_timeout"), given.get("persistence_granularity"))
        if not self.protocol.is_connectionless and of_datagrams != (None, None):
            raise Invalid(
                "Validation failure: persistence_timeout and persistence_granularity is only for UDP protocol pools."
            )
        type = given.get("type", self.session_persistence and self.session_persistence.type)
        if type is None:
            raise Invalid("Validation failure: Invalid session_persistence provided.")
        return SessionPersistence(**{**given, "type": type})

    def require_consistent(self) -> None:
        """Raises Invalid when a new pool contradicts itself."""
        self.require_persistence_fits()
        self.require_authority_for_revocations()
        if self.tls_enabled:
            require_alpn(self.alpn_protocols)

    def require_authority_for_revocations(self) -> None:
        if self.crl_container_ref is not None and self.ca_tls_container_ref is None:
            raise Invalid("Validation failure: A CA certificate reference is required to specify a revocation list.")

    def require_persistence_fits(self) -> None:
        """Raises Invalid when clients could not be kept with their member in the way that was asked for."""
        if self.session_persistence is not None:
            _require_possible(self.session_persistence, self.protocol)
            _require_cookie_fits(self.session_persistence)


def _require_possible(persistence: SessionPersistence, protocol: PoolProtocol) -> None:
    if not protocol.is_connectionless:
        if persistence.persistence_timeout is not None or persistence.persistence_granularity is not None:
            raise Invalid(
                "Validation failure: persistence_timeout and persistence_granularity is only for UDP and SCTP"
                " protocol pools."
            )
        return
    if persistence.cookie_name is not None:
        if persistence.type == SessionPersistenceType.SOURCE_IP:
            raise Invalid(
                "Validation failure: session_persistence SOURCE_IP type for UDP and SCTP protocols only accepts:"
                " type, persistence_timeout, persistence_granularity."
            )
        raise Invalid("Validation failure: Cookie names are not supported for UDP/SCTP pools.")
    if persistence.type != SessionPersistenceType.SOURCE_IP:
        raise Invalid(
            f"Validation failure: Session persistence of type {persistence.type} is not supported for UDP/SCTP"
            " protocol pools."
        )


_NOT_IN_A_COOKIE_NAME = re.compile(r'[\x00-\x20"(),/:-@\[-\]{}\x7f]')


def _require_cookie_fits(persistence: SessionPersistence) -> None:
    of_application = persistence.type == SessionPersistenceType.APP_COOKIE
    if persistence.cookie_name is None:
        if of_application:
            raise Invalid(
                'Validation failure: Field "cookie_name" must be specified when using the "APP_COOKIE" session'
                " persistence type."
            )
        return
    if not of_application:
        raise Invalid(
            'Validation failure: Field "cookie_name" can only be specified with session persistence of type'
            ' "APP_COOKIE".'
        )
    if _NOT_IN_A_COOKIE_NAME.search(persistence.cookie_name):
        raise Invalid('Validation failure: Supplied "cookie_name" is invalid.')


_L, _P = ListenerProtocol, PoolProtocol
_SPOKEN = {
    _L.HTTP: {_P.HTTP, _P.PROXY, _P.PROXYV2},
    _L.HTTPS: {_P.HTTPS, _P.PROXY, _P.PROXYV2, _P.TCP},
    _L.TERMINATED_HTTPS: {_P.HTTP, _P.PROXY, _P.PROXYV2},
    _L.TCP: {_P.HTTP, _P.HTTPS, _P.PROXY, _P.PROXYV2, _P.TCP},
    _L.UDP: {_P.UDP},
    _L.SCTP: {_P.SCTP},
    _L.PROMETHEUS: set[PoolProtocol](),
}


def require_protocols_fit(listener: Listener, pool: Pool) -> None:
    """Raises ProtocolMismatch when members of this pool could not serve this listener."""
    if pool.protocol not in _SPOKEN[listener.protocol]:
        raise ProtocolMismatch(pool.protocol, listener.protocol)
