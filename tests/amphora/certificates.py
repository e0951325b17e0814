"""Certificates for tests of TLS: authorities, what they sign, and what they take back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime.now(UTC)
UNTIL = NOW + timedelta(days=1)


def _named(name: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests & Co")
    return x509.Name([organisation, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _host(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@dataclass(frozen=True)
class TestAuthority:
    """Signs certificates for host names; all files go below one directory."""

    __test__ = False  # for pytest: no test, whatever its name says

    name: str
    directory: Path

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @cached_property
    def file(self) -> Path:
        """Its own certificate."""
        certificate = self._signed(self.name, self._key.public_key(), is_authority=True)
        return self._written(f"{self.name}.pem", certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, password: bytes | None = None) -> Path:
        """A certificate for this host, by its name or address, followed by its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        closed = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, closed)
        pem = self._signed(name, key.public_key()).public_bytes(serialization.Encoding.PEM)
        return self._written(f"{self.name}-{name}.pem", pem + secret)

    def revoked(self, files: Sequence[Path]) -> Path:
        """The list of certificates that it took back."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(_named(self.name)).last_update(NOW)
        builder = builder.next_update(UNTIL)
        for file in files:
            serial = x509.load_pem_x509_certificate(file.read_bytes()).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
            builder = builder.add_revoked_certificate(revoked)
        signed = builder.sign(self._key, hashes.SHA256())
        return self._written(f"{self.name}-revoked.pem", signed.public_bytes(serialization.Encoding.PEM))

    def _signed(self, name: str, key: ec.EllipticCurvePublicKey, *, is_authority: bool = False) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(_named(name)).issuer_name(_named(self.name)).public_key(key)
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(NOW - timedelta(days=1))
        builder = builder.not_valid_after(UNTIL)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(name)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _written(self, name: str, content: bytes) -> Path:
        file = self.directory / name
        file.write_bytes(content)
        return file
