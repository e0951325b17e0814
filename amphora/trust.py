"""Who trusts whom between controllers and amphorae: two authorities, their certificates, the heartbeat keys.

One authority signs the amphorae's server certificates, the other one the controllers' client certificates, so no
amphora can pass for a controller. Nothing here is written to the log of events.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self
from uuid import UUID, uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONTROLLER_NAME = "tacitus-controller"
AUTHORITY_VALIDITY = timedelta(days=3650)
CLOCKS_MAY_DIFFER_BY = timedelta(days=7)  # a certificate is valid that long before it is issued
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey  # what operators' own authorities may have


@dataclass(frozen=True)
class Authority:
    """A certificate authority: what it signs with, and the certificate that others verify with."""

    certificate: x509.Certificate
    key: PrivateKey

    @classmethod
    def create(cls, name: str, now: datetime) -> Self:
        """A new one with a P-256 key, valid for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _named(name)
        builder = _builder(subject, subject, key, now, now + AUTHORITY_VALIDITY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, directory: Path, name: str) -> Self:
        """From `<name>.pem` and `<name>.key`. Raises OSError when missing, ValueError when they are no such thing."""
        certificate = x509.load_pem_x509_certificate((directory / f"{name}.pem").read_bytes())
        key = serialization.load_pem_private_key((directory / f"{name}.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError(f"{name}.key is neither an EC nor an RSA key")
        return cls(certificate, key)

    def save(self, directory: Path, name: str) -> None:
        """Both files with mode 0600. The key first: a certificate without its key would be of no use."""
        write_private(directory / f"{name}.key", _key_pem(self.key))
        write_private(directory / f"{name}.pem", self.certificate_pem())

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue_server_certificate(self, amphora_id: UUID, now: datetime, not_after: datetime) -> bytes:
        """An amphora's certificate followed by its key, PEM. It names the amphora by its id, not by an address.

        The profile is that of the reference, so that either side may be Octavia's, but for the key: P-256.
        """
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        usage = _key_usage(digital_signature=True, key_encipherment=True, data_encipherment=True, key_agreement=True)
        return self._issue(str(amphora_id), usage, usages, now, not_after)

    def issue_controller_certificate(self, now: datetime, not_after: datetime) -> bytes:
        """A controller's certificate followed by its key, PEM; good for clients only."""
        usage = _key_usage(digital_signature=True, key_agreement=True)
        return self._issue(CONTROLLER_NAME, usage, [ExtendedKeyUsageOID.CLIENT_AUTH], now, not_after)

    def _issue(
        self,
        name: str,
        usage: x509.KeyUsage,
        extended_usages: Sequence[x509.ObjectIdentifier],
        now: datetime,
        not_after: datetime,
    ) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_named(name), self.certificate.subject, key, now, not_after)
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(usage, critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(extended_usages), critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        builder = builder.add_extension(self._key_identifier(), critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        return certificate.public_bytes(serialization.Encoding.PEM) + _key_pem(key)

    def _key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """The issuer's stored one, which need not be what would be derived from its key."""
        try:
            stored = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:
            return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(stored)


@dataclass(frozen=True)
class Trust:
    """Everything that a controller keeps in one directory: the two authorities and its own certificate's file."""

    servers: Authority
    clients: Authority
    directory: Path

    @classmethod
    def create_or_load(cls, directory: Path, now: datetime) -> Self:
        """What is missing is created; what is there stays, since amphorae that run trust it."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        trust = cls(_authority(directory, "server_ca", now), _authority(directory, "client_ca", now), directory)
        if not trust.controller_certificate_file.exists():
            not_after = now + AUTHORITY_VALIDITY - timedelta(days=1)
            write_private(trust.controller_certificate_file, trust.clients.issue_controller_certificate(now, not_after))
        return trust

    @property
    def controller_certificate_file(self) -> Path:
        return self.directory / "controller.pem"

    @property
    def server_ca_file(self) -> Path:
        """With which a controller verifies amphorae."""
        return self.directory / "server_ca.pem"

    @property
    def client_ca_file(self) -> Path:
        """With which an amphora verifies controllers: goes to each as client_ca.pem."""
        return self.directory / "client_ca.pem"


def heartbeat_key(master_key: str, amphora_id: UUID) -> str:
    """The key of one amphora's heartbeats: 64 hexadecimal digits, derived, so it need not be stored."""
    derivation = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"tacitus heartbeat " + amphora_id.bytes)
    return derivation.derive(master_key.encode()).hex()


def heartbeat_keys(master_keys: Sequence[str], amphora_id: UUID) -> list[str]:
    """The keys that may sign an amphora's heartbeat: of the newest master first, then of those it replaces."""
    return [heartbeat_key(master_key, amphora_id) for master_key in master_keys]


def write_private(file: Path, content: bytes) -> None:
    """Mode 0600 from its first byte on, and whole or not there."""
    beside = file.with_name(file.name + ".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)


def _authority(directory: Path, name: str, now: datetime) -> Authority:
    if (directory / f"{name}.pem").exists():  # without its key that is an error, and no reason for another authority
        return Authority.load(directory, name)
    authority = Authority.create(f"Tacitus {name.replace('_', ' ')}", now)
    authority.save(directory, name)
    return authority


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(uuid4().int)
        .not_valid_before(now - CLOCKS_MAY_DIFFER_BY)
        .not_valid_after(not_after)
    )


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    data_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=data_encipherment,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: PrivateKey) -> bytes:
    """PKCS#1 for RSA, its counterpart for EC; unencrypted, so only ever in files of mode 0600."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
