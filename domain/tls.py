"""TLS as the contract knows it: versions, ciphers, what is spoken within; and what a deployment presumes and allows."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import Invalid

TLS_VERSIONS = ("SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
"""From the oldest to the newest."""

DEFAULT_VERSIONS = ("TLSv1.2", "TLSv1.3")
DEFAULT_ALPN = ("h2", "http/1.1", "http/1.0")
DEFAULT_CIPHERS = (
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256"
    ":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
    ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256"
    ":DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)


class ClientAuthentication(StrEnum):
    """Whether clients have to show a certificate."""

    NONE = "NONE"
    OPTIONAL = "OPTIONAL"
    MANDATORY = "MANDATORY"


class Alpn(StrEnum):
    """What may be spoken inside TLS."""

    H2 = "h2"
    HTTP_1_1 = "http/1.1"
    HTTP_1_0 = "http/1.0"


@dataclass(frozen=True, kw_only=True)
class TlsDefaults:
    """What TLS has where the user says nothing."""

    ciphers: str = DEFAULT_CIPHERS
    versions: tuple[str, ...] = DEFAULT_VERSIONS
    alpn: tuple[Alpn, ...] = tuple(Alpn)


@dataclass(frozen=True, kw_only=True)
class TlsRules:
    """What an operator presumes and allows.

    prohibited       names of ciphers
    minimum_version  one of TLS_VERSIONS, None for no minimum
    """

    listeners: TlsDefaults = TlsDefaults()
    pools: TlsDefaults = TlsDefaults()
    prohibited: frozenset[str] = frozenset()
    minimum_version: str | None = None

    def require_ciphers(self, ciphers: str | None) -> None:
        """Raises Invalid for what is no list of ciphers, or holds one that is prohibited."""
        if ciphers is None:
            return
        if not _CIPHERS.fullmatch(ciphers):
            raise Invalid(
                "Validation failure: Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and ."
                " are allowed."
            )
        forbidden = [cipher for cipher in ciphers.split(":") if cipher in self.prohibited]
        if forbidden:
            raise Invalid(
                "Validation failure: The following ciphers have been prohibited by an administrator: "
                + ", ".join(forbidden)
            )

    def require_versions(self, versions: tuple[str, ...] | None) -> None:
        """Raises Invalid for an empty list, unknown versions, and versions below the minimum."""
        if versions is None:
            return
        if not versions:
            raise _nothing_in("TLS version")
        unknown = [version for version in versions if version not in TLS_VERSIONS]
        if unknown:
            raise Invalid(f"Validation failure: Invalid TLS versions: {', '.join(unknown)}")
        too_old = self._too_old(versions)
        if too_old:
            raise Invalid(
                "Validation failure: Requested TLS versions are less than the minimum: "
                f"{', '.join(too_old)} < {self.minimum_version}"
            )

    def _too_old(self, versions: Iterable[str]) -> list[str]:
        if self.minimum_version is None:
            return []
        lowest = TLS_VERSIONS.index(self.minimum_version)
        return [version for version in versions if TLS_VERSIONS.index(version) < lowest]


_CIPHERS = re.compile(r"[A-Za-z0-9\-+!:@=_.]*")


def require_alpn(protocols: tuple[Alpn, ...] | None) -> None:
    """Raises Invalid for an empty list."""
    if protocols is not None and not protocols:
        raise _nothing_in("ALPN protocol")


def _nothing_in(what: str) -> Invalid:
    return Invalid(
        f"Validation failure: Empty {what} list. Either specify at least one {what} or remove this parameter to use the"
        " default."
    )
