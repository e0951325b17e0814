"""A health monitor: how the members of a pool are checked."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from domain.errors import Invalid, NotAnOption
from domain.fields import (
    DNS_NAME,
    FIXED,
    NULL_REFUSED,
    URL_PATH,
    AdminStateUp,
    Between,
    Length,
    Matching,
    Name,
    OnNull,
    Seconds,
    Tags,
)
from domain.pool import Pool, PoolProtocol


class HealthMonitorType(StrEnum):
    """What a check does."""

    HTTP = "HTTP"
    HTTPS = "HTTPS"
    PING = "PING"
    TCP = "TCP"
    TLS_HELLO = "TLS-HELLO"
    UDP_CONNECT = "UDP-CONNECT"
    SCTP = "SCTP"

    @property
    def speaks_http(self) -> bool:
        return self in (HealthMonitorType.HTTP, HealthMonitorType.HTTPS)


class HttpMethod(StrEnum):
    """The method of an HTTP check."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    TRACE = "TRACE"
    OPTIONS = "OPTIONS"
    CONNECT = "CONNECT"
    PATCH = "PATCH"


class HttpVersion(StrEnum):
    """The HTTP version of a check; a number in JSON."""

    HTTP_1_0 = "1.0"
    HTTP_1_1 = "1.1"


Retries = Annotated[int, Between(1, 10)]
ExpectedCodes = Annotated[str, Length(64), Matching(r"^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$")]


@dataclass(frozen=True, kw_only=True)
class HealthMonitor:
    """The settings of a health monitor, as the API user gave them.

    delay             seconds between checks
    timeout           seconds until a check counts as failed
    max_retries       successes until a member is up again
    max_retries_down  failures until a member is down
    expected_codes    "200", "200,202" or "200-204"

    Names, limits, defaults: Octavia API reference v2, "Create Health Monitor".
    """

    id: UUID
    pool_id: Annotated[UUID, FIXED]
    name: Name = ""
    type: Annotated[HealthMonitorType, FIXED]
    delay: Annotated[Seconds, NULL_REFUSED]
    timeout: Annotated[Seconds, NULL_REFUSED]
    max_retries: Annotated[Retries, NULL_REFUSED]
    max_retries_down: Annotated[Retries, OnNull(post=3, put=3)] = 3
    http_method: Annotated[HttpMethod | None, OnNull(post=None, put=HttpMethod.GET)] = None
    url_path: Annotated[str | None, URL_PATH, OnNull(post=None, put="/")] = None
    expected_codes: Annotated[ExpectedCodes | None, OnNull(post=None, put="200")] = None
    http_version: HttpVersion | None = None
    domain_name: Annotated[str, Length(255, 1), Matching(DNS_NAME)] | None = None
    admin_state_up: AdminStateUp = True
    tags: Tags = ()

    def with_http_defaults(self) -> "HealthMonitor":
        """A check by HTTP asks for something, also when nothing was said."""
        if not self.type.speaks_http:
            return self
        return replace(
            self,
            http_method=self.http_method or HttpMethod.GET,
            url_path=self.url_path or "/",
            expected_codes=self.expected_codes or "200",
        )

    def require_fits(self, pool: Pool) -> None:
        """Raises Invalid when this check cannot be made on the members of a pool, or contradicts itself."""
        self.require_type_for(pool.protocol)
        if not self.type.speaks_http:
            for name in ("http_method", "url_path", "expected_codes"):
                if getattr(self, name) is not None:
                    raise NotAnOption(name, f"health monitors of type {self.type}")
        if self.domain_name is not None:
            if self.http_version is None:
                raise Invalid("Validation failure: 'http_version' must be specified when 'domain_name' is provided.")
            if self.http_version == HttpVersion.HTTP_1_0:
                raise NotAnOption("http_version 1.0", "health monitors HTTP 1.1 domain name health check")

    def require_type_for(self, protocol: PoolProtocol) -> None:
        """Raises Invalid when members that speak this protocol cannot be checked so."""
        if protocol.is_connectionless and self.type not in _FOR_UDP_AND_SCTP:
            raise Invalid(
                f"Validation failure: The associated pool protocol is {protocol}, so only a"
                " UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported."
            )
        if not protocol.is_connectionless and self.type in (HealthMonitorType.UDP_CONNECT, HealthMonitorType.SCTP):
            raise Invalid(f"Validation failure: The {self.type} type is only supported for pools of type UDP/SCTP.")


_FOR_UDP_AND_SCTP = frozenset(
    {HealthMonitorType.HTTP, HealthMonitorType.TCP, HealthMonitorType.UDP_CONNECT, HealthMonitorType.SCTP}
)
