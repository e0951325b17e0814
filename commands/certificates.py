"""Certificates that listeners and pools refer to: they have to be there for whoever asks, and be what they should.

What they hold is looked at when a command is accepted, with the caller's own rights, and forgotten at once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from domain.caller import Caller
from domain.errors import Invalid


class SecretUnavailable(Exception):
    """There is no such secret, the caller may not read it, or the store does not answer in time."""


@dataclass(frozen=True)
class Bundle:
    """A certificate with its key and whatever leads up to its issuer, as PEM: how older references hold them."""

    certificate: bytes
    private_key: bytes
    intermediates: bytes = b""


class SecretStore(Protocol):
    """Reads what a reference names, as somebody who has this token. Raises SecretUnavailable."""

    def payload(self, reference: str, token: str) -> bytes | Bundle: ...


class NoSecrets:
    """Where there is no secret store there are no secrets."""

    def payload(self, reference: str, token: str) -> bytes | Bundle:
        raise SecretUnavailable("this deployment has no secret store")


class Certificates(Protocol):
    """Asked before a change is accepted that names certificates."""

    def require(self, settings: Mapping[str, Any], caller: Caller) -> None:
        """settings: of a listener or a pool, as far as they are said. Raises Invalid in the contract's words."""
        ...


class UnreadCertificates:
    """Takes every reference for good: in the noop profile there is nothing behind them."""

    def require(self, settings: Mapping[str, Any], caller: Caller) -> None: ...


_ONE = ("default_tls_container_ref", "tls_container_ref")
_AUTHORITIES = ("client_ca_tls_container_ref", "ca_tls_container_ref")
_REVOCATIONS = ("client_crl_container_ref", "crl_container_ref")


class StoredCertificates:
    """Reads them from a secret store."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def require(self, settings: Mapping[str, Any], caller: Caller) -> None:
        """All of them are tried before anything is said; authorities and revocations after the certificates."""
        own = [*_named(settings, _ONE), *settings.get("sni_container_refs", ())]
        for payload in self._all(own, caller):
            _require_certificate(payload)
        authorities = _certificates(self._all(_named(settings, _AUTHORITIES), caller))
        revocations = _revocations(self._all(_named(settings, _REVOCATIONS), caller))
        if authorities:
            _require_signed(revocations, authorities)

    def _all(self, references: Iterable[str], caller: Caller) -> list[bytes | Bundle]:
        payloads, missing = [], []
        for reference in references:
            try:
                payloads.append(self._store.payload(reference, caller.token))
            except SecretUnavailable:
                missing.append(reference)
        if missing:
            raise Invalid(f"Could not retrieve certificate: {missing}")
        return payloads


def _named(settings: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    return [settings[name] for name in names if settings.get(name) is not None]


def _require_certificate(payload: bytes | Bundle) -> None:
    """Clients tell certificates apart by names: without one it is of no use."""
    certificate = _certificate_of(payload)
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names and not _dns_names(certificate):
        raise Invalid("No CN or DNSName(s) found in certificate. The certificate is invalid.")


def _certificate_of(payload: bytes | Bundle) -> x509.Certificate:
    try:
        if isinstance(payload, Bundle):
            return x509.load_pem_x509_certificate(payload.certificate)
        key, certificate, _ = pkcs12.load_key_and_certificates(payload, None)
        if certificate is None or key is None:
            raise ValueError("it lacks the certificate or its key")
    except ValueError as error:
        raise Invalid(
            "The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity. In addition, make sure it does"
            f" not require a pass phrase. Error: {error}"
        ) from None
    return certificate


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _certificates(payloads: Iterable[bytes | Bundle]) -> list[x509.Certificate]:
    what = "The client authentication CA certificate is invalid. It must be a valid x509 PEM format certificate."
    return _read(payloads, x509.load_pem_x509_certificate, what)


def _revocations(payloads: Iterable[bytes | Bundle]) -> list[x509.CertificateRevocationList]:
    what = (
        "The client authentication certificate revocation list is invalid. It must be a valid x509 PEM format"
        " certificate revocation list."
    )
    return _read(payloads, x509.load_pem_x509_crl, what)


def _read(payloads: Iterable[bytes | Bundle], load: Callable[[bytes], Any], what: str) -> list[Any]:
    read = []
    for payload in payloads:
        try:
            read.append(load(payload.certificate if isinstance(payload, Bundle) else payload))
        except ValueError as error:
            raise Invalid(f"Validation failure: {what} Error: {error}") from None
    return read


def _require_signed(
    revocations: Iterable[x509.CertificateRevocationList], authorities: Iterable[x509.Certificate]
) -> None:
    keys: list[Any] = [authority.public_key() for authority in authorities]
    for revocation in revocations:
        if not any(revocation.is_signature_valid(key) for key in keys):
            raise Invalid(
                "Validation failure: The CRL specified is not valid for client certificate authority reference"
                " supplied."
            )
