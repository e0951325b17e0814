"""A listener: the port of a VIP that clients connect to."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Annotated, Any
from uuid import UUID

from domain.errors import ChildrenNotAllowed, Invalid, NotAnOption
from domain.fields import (
    BY_DEPLOYMENT,
    FIXED,
    AdminStateUp,
    Between,
    Cidr,
    Ciphers,
    Milliseconds,
    Name,
    OnNull,
    Port,
    SecretRef,
    Tags,
    TlsVersionName,
)
from domain.tls import Alpn, ClientAuthentication, require_alpn


class ListenerProtocol(StrEnum):
    """What a listener speaks to its clients."""

    TCP = "TCP"
    HTTP = "HTTP"
    HTTPS = "HTTPS"
    TERMINATED_HTTPS = "TERMINATED_HTTPS"
    UDP = "UDP"
    SCTP = "SCTP"
    PROMETHEUS = "PROMETHEUS"

    @property
    def is_connectionless(self) -> bool:
        """Not TCP, that is."""
        return self in (ListenerProtocol.UDP, ListenerProtocol.SCTP)

    @property
    def transport(self) -> str:
        """TCP, UDP and SCTP have a port space each."""
        return self.value if self.is_connectionless else "TCP"


INSERTED_HEADERS = frozenset(
    {"X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"}
)
INSERTED_TLS_HEADERS = frozenset(
    {
        "X-SSL-Client-Verify",
        "X-SSL-Client-Has-Cert",
        "X-SSL-Client-DN",
        "X-SSL-Client-CN",
        "X-SSL-Issuer",
        "X-SSL-Client-SHA1",
        "X-SSL-Client-Not-Before",
        "X-SSL-Client-Not-After",
    }
)

ConnectionLimit = Annotated[int | None, Between(-1), OnNull(post=None, put=-1)]
HeaderValues = Mapping[str, Name]
Timeout = Annotated[Milliseconds, BY_DEPLOYMENT]
HstsFlag = Annotated[bool | None, OnNull(post=None, put=False)]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """The settings of a listener, as the API user gave them.

    connection_limit        concurrent connections, -1 for no limit
    insert_headers          header name -> "true" to insert it into requests for members
    timeout_client_data     milliseconds of client silence before HAProxy hangs up
    timeout_member_connect  milliseconds to wait for a member to accept
    timeout_member_data     milliseconds of member silence before HAProxy hangs up
    timeout_tcp_inspect     milliseconds to wait for content to inspect, 0 for none
    allowed_cidrs           networks that may connect, none for everybody
    ..._ref                 names in the secret store
    tls_versions, alpn_protocols  in the user's order, None where nothing was ever said
    hsts_max_age            seconds, None for no HSTS

    Names, limits, defaults: Octavia API reference v2, "Create Listener".
    """

    id: UUID
    name: Name = ""
    description: Name = ""
    admin_state_up: AdminStateUp = True
    protocol: Annotated[ListenerProtocol, FIXED]
    protocol_port: Annotated[Port, FIXED]
    connection_limit: ConnectionLimit = -1
    default_pool_id: UUID | None = None
    insert_headers: HeaderValues = field(default_factory=dict)
    timeout_client_data: Timeout = 50_000
    timeout_member_connect: Timeout = 5_000
    timeout_member_data: Timeout = 50_000
    timeout_tcp_inspect: Timeout = 0
    allowed_cidrs: tuple[Cidr, ...] = ()
    default_tls_container_ref: SecretRef | None = None
    sni_container_refs: tuple[SecretRef, ...] = ()
    client_ca_tls_container_ref: SecretRef | None = None
    client_authentication: ClientAuthentication = ClientAuthentication.NONE
    client_crl_container_ref: SecretRef | None = None
    tls_ciphers: Annotated[Ciphers | None, BY_DEPLOYMENT] = None
    tls_versions: Annotated[tuple[TlsVersionName, ...] | None, BY_DEPLOYMENT] = None
    alpn_protocols: Annotated[tuple[Alpn, ...] | None, BY_DEPLOYMENT] = None
    hsts_max_age: Annotated[int, Between(0)] | None = None
    hsts_include_subdomains: HstsFlag = False
    hsts_preload: HstsFlag = False
    tags: Tags = ()

    def clashes_with(self, other: "Listener") -> bool:
        """Whether both want the same port of the same transport."""
        return self.protocol.transport == other.protocol.transport and self.protocol_port == other.protocol_port

    @property
    def certificates(self) -> tuple[str, ...]:
        """References of the certificates that it shows."""
        own = () if self.default_tls_container_ref is None else (self.default_tls_container_ref,)
        return (*own, *self.sni_container_refs)

    @property
    def terminates_tls(self) -> bool:
        """A PROMETHEUS listener does when it was given a certificate."""
        is_prometheus = self.protocol == ListenerProtocol.PROMETHEUS
        return self.protocol == ListenerProtocol.TERMINATED_HTTPS or (is_prometheus and bool(self.certificates))

    def require_consistent(self) -> None:
        """Raises Invalid when a new listener is told what its protocol has no place for, or half of what it needs.

        The steps stand alone because the contract has what others say of a new listener between them.
        """
        self.require_known_to_protocol()
        self.require_certificates_fit()
        self.require_tls_fits()

    def require_known_to_protocol(self) -> None:
        """Raises Invalid for headers and secrets that its protocol has no place for."""
        self._require_headers_fit()
        if self.protocol.is_connectionless and self._names_secrets:
            raise Invalid(f"Validation failure: {self.protocol} protocol listener does not support TLS.")

    def require_certificates_fit(self) -> None:
        """Raises Invalid when one of its certificates, authorities and revocations lacks another, or has no use."""
        self._require_own_certificates_fit()
        self._require_authority()
        self._require_authority_for_revocations()

    def require_tls_fits(self) -> None:
        """Raises Invalid for what is to be spoken inside TLS, and for HSTS."""
        if self.terminates_tls:
            require_alpn(self.alpn_protocols)
        if self.hsts_max_age is None and (self.hsts_include_subdomains or self.hsts_preload):
            raise Invalid(
                "Validation failure: HSTS configuration options hsts_include_subdomains and hsts_preload only make"
                " sense if hsts_max_age is set as well."
            )
        self._require_place_for_hsts()

    def changed_by(self, changes: Mapping[str, Any]) -> "Listener":
        """The listener with new values for what is named. Raises Invalid when it then contradicts itself.

        Whether TLS fits is said later: `require_tls_change_fits`.
        """
        changed = replace(self, **changes)
        changed._require_change_fits(changes)
        return changed

    def _require_change_fits(self, changes: Mapping[str, Any]) -> None:
        if self.protocol.is_connectionless and (self._names_secrets or self.insert_headers):
            raise Invalid(
                f"Validation failure: {self.protocol} protocol listener does not support TLS or header insertion."
            )
        if changes.get("default_tls_container_ref") or changes.get("sni_container_refs"):
            self._require_place_for_certificates()
        if "client_authentication" in changes or "client_ca_tls_container_ref" in changes:
            self._require_authority()
        self._require_headers_fit()
        self._require_authority_for_revocations()

    def require_tls_change_fits(self, changes: Mapping[str, Any]) -> None:
        """As `require_tls_fits`, of a listener that was changed; what was enabled before does not count without age."""
        require_alpn(changes.get("alpn_protocols"))
        if self.hsts_max_age is None and (changes.get("hsts_include_subdomains") or changes.get("hsts_preload")):
            raise Invalid(
                "Validation failure: Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set"
                " as well."
            )
        self._require_place_for_hsts()

    @property
    def _names_secrets(self) -> bool:
        others = (self.client_ca_tls_container_ref, self.client_crl_container_ref)
        return bool(self.certificates) or any(ref is not None for ref in others)

    def _require_headers_fit(self) -> None:
        if not self.insert_headers:
            return
        if self.protocol not in (ListenerProtocol.HTTP, ListenerProtocol.TERMINATED_HTTPS):
            raise NotAnOption("insert-headers", f"a {self.protocol} protocol listener.")
        unknown = sorted(self.insert_headers.keys() - INSERTED_HEADERS - INSERTED_TLS_HEADERS)
        if unknown:
            raise NotAnOption(unknown, "insert_headers")
        of_tls = sorted(self.insert_headers.keys() & INSERTED_TLS_HEADERS)
        if of_tls and self.protocol != ListenerProtocol.TERMINATED_HTTPS:
            raise NotAnOption(of_tls, f"{self.protocol} protocol listener.")

    def _require_own_certificates_fit(self) -> None:
        if self.certificates:
            self._require_place_for_certificates()
        missing = "Validation failure: An SNI or default certificate container reference must be provided"
        if self.client_ca_tls_container_ref is not None and not self.certificates:
            raise Invalid(f"{missing} with a client CA container reference.")
        if self.terminates_tls and not self.certificates:
            raise Invalid(f"{missing} for {self.protocol} protocol listeners.")

    def _require_place_for_certificates(self) -> None:
        if self.protocol not in (ListenerProtocol.TERMINATED_HTTPS, ListenerProtocol.PROMETHEUS):
            raise Invalid(
                "Validation failure: Certificate container references are not allowed on"
                f" {self.protocol} protocol listeners."
            )

    def _require_authority(self) -> None:
        if self.client_authentication != ClientAuthentication.NONE and self.client_ca_tls_container_ref is None:
            raise Invalid(
                f"Validation failure: Client authentication setting {self.client_authentication} requires a client CA"
                " container reference."
            )

    def _require_authority_for_revocations(self) -> None:
        if self.client_crl_container_ref is not None and self.client_ca_tls_container_ref is None:
            raise Invalid(
                "Validation failure: A client authentication CA reference is required to specify a client"
                " authentication revocation list."
            )

    def _require_place_for_hsts(self) -> None:
        if self.hsts_max_age is not None and self.protocol != ListenerProtocol.TERMINATED_HTTPS:
            raise Invalid(
                "Validation failure: The HSTS feature can only be used for listeners using the TERMINATED_HTTPS"
                " protocol."
            )

    def require_children_allowed(self) -> None:
        """Raises ChildrenNotAllowed: what shows metrics has no pool and no policies."""
        if self.protocol == ListenerProtocol.PROMETHEUS:
            raise ChildrenNotAllowed(self.protocol)

    def require_clients_can_reach(self, addresses: Collection[str]) -> None:
        """Raises Invalid when a network may connect that none of these VIP addresses is reached from."""
        versions = {ip_address(address).version for address in addresses}
        for cidr in self.allowed_cidrs:
            if ip_network(cidr).version not in versions:
                raise Invalid(
                    f"Validation failure: CIDR {cidr} IP version incompatible with all VIPs {list(addresses)} IP"
                    " version."
                )

    def detached(self) -> "Listener":
        """The same listener without a default pool."""
        return replace(self, default_pool_id=None)
