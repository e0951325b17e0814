"""A listener: the port of a VIP that clients connect to."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from domain.errors import NotAnOption
from domain.fields import FIXED, AdminStateUp, Between, Milliseconds, Name, OnNull, Port, Tags


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
    def transport(self) -> str:
        """TCP, UDP and SCTP have a port space each."""
        return self.value if self in (ListenerProtocol.UDP, ListenerProtocol.SCTP) else "TCP"


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


@dataclass(frozen=True, kw_only=True)
class Listener:
    """The settings of a listener, as the API user gave them.

    connection_limit        concurrent connections, -1 for no limit
    insert_headers          header name -> "true" to insert it into requests for members
    timeout_client_data     milliseconds of client silence before HAProxy hangs up
    timeout_member_connect  milliseconds to wait for a member to accept
    timeout_member_data     milliseconds of member silence before HAProxy hangs up
    timeout_tcp_inspect     milliseconds to wait for content to inspect, 0 for none

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
    timeout_client_data: Milliseconds = 50_000
    timeout_member_connect: Milliseconds = 5_000
    timeout_member_data: Milliseconds = 50_000
    timeout_tcp_inspect: Milliseconds = 0
    tags: Tags = ()

    def clashes_with(self, other: "Listener") -> bool:
        """Whether both want the same port of the same transport."""
        return self.protocol.transport == other.protocol.transport and self.protocol_port == other.protocol_port

    def require_consistent(self) -> None:
        """Raises Invalid when headers are to be inserted that this protocol has no place for."""
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

    def detached(self) -> "Listener":
        """The same listener without a default pool."""
        return replace(self, default_pool_id=None)
