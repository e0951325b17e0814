"""The types that fields of resources are made of: each limit stands here once; parser, store and renderer read it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, NewType

Revision = NewType("Revision", int)
"""Version at which a load balancer last changed what its amphorae must run."""

Version = NewType("Version", int)
"""Number of events in one stream."""

Position = NewType("Position", int)
"""Place of an event in the log."""

NOTHING_YET = Revision(0)


@dataclass(frozen=True)
class Between:
    """Whole numbers from `low` to `high`, both included; no upper limit when `high` is None."""

    low: int
    high: int | None = None


@dataclass(frozen=True)
class Length:
    """Text of `low` to `high` characters."""

    high: int
    low: int = 0


@dataclass(frozen=True)
class Matching:
    """Text that matches a regular expression from its start."""

    pattern: str


@dataclass(frozen=True)
class OnNull:
    """What an explicit JSON null stands for, where that is not the field's default.

    post  the value taken when null is given on creation
    put   the value taken when null is given on a change
    """

    post: object
    put: object


@dataclass(frozen=True)
class Mark:
    """A word about a field, without a parameter."""

    name: str


FIXED = Mark("given at creation, never changed")
NULL_KEEPS = Mark("null on a change leaves the value as it is")
NULL_REFUSED = Mark("null on a change is refused")
BY_DEPLOYMENT = Mark("null, and absence on creation, stand for what the deployment presumes (domain/deployment.py)")
IP_ADDRESS = Mark("IPv4 or IPv6 text, kept as it was written")
CIDR = Mark("IPv4 or IPv6 network; bits beyond its prefix are dropped")
ALPN = Mark("an ALPN protocol id, with a refusal of its own")
URL_PATH = Mark("path of a URL, with query and fragment, without white space")
URL = Mark("URL of http or https with a host, without white space")
ONE_LINE = Mark("text without line ends")

Name = Annotated[str, Length(255)]
ProjectId = Annotated[str, Length(36)]
Tags = Annotated[tuple[Name, ...], NULL_KEEPS]
AdminStateUp = Annotated[bool, OnNull(post=False, put=False)]
Port = Annotated[int, Between(1, 65_535)]
IpAddress = Annotated[str, IP_ADDRESS]
Cidr = Annotated[str, CIDR]
Url = Annotated[str, Length(255), URL]
SecretRef = Annotated[str, Length(255)]
"""Names a certificate, or a bundle, in the secret store; what it holds is never kept."""
Ciphers = Annotated[str, Length(2_048)]
TlsVersionName = Annotated[str, Length(32)]
Milliseconds = Annotated[int, Between(0, 2_073_600_000)]
Seconds = Annotated[int, Between(0)]

DNS_NAME = r"^(?=.{1,253}\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9-_]{1,63}(?<!-)(?:\.|$))+$"


class ProvisioningStatus(StrEnum):
    """How far the amphorae are with what was asked for."""

    ACTIVE = "ACTIVE"
    PENDING_CREATE = "PENDING_CREATE"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETE = "PENDING_DELETE"
    ERROR = "ERROR"


class OperatingStatus(StrEnum):
    """How the thing itself is doing, as measured."""

    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    DRAINING = "DRAINING"
    NO_MONITOR = "NO_MONITOR"
