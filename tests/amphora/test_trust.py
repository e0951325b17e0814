"""Trust: certificates say what they are for, keys stay private and survive a restart."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from amphora.trust import Authority, Trust, heartbeat_key, heartbeat_keys

NOW = datetime(2026, 3, 1, tzinfo=UTC)
AMPHORA_ID = UUID("00000000-0000-4000-8000-00000000000a")


def an_authority() -> Authority:
    return Authority.create("Test CA", NOW)


def test_server_certificate_follows_the_profile_of_the_reference() -> None:
    authority = an_authority()

    pem = authority.issue_server_certificate(AMPHORA_ID, NOW, NOW + timedelta(days=30))
    certificate = x509.load_pem_x509_certificate(pem)
    extensions = certificate.extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)

    assert [name.value for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [str(AMPHORA_ID)]
    alternatives = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternatives.get_values_for_type(x509.DNSName) == [str(AMPHORA_ID)]
    assert (constraints.critical, constraints.value.ca) == (True, False)
    assert (extended.critical, set(extended.value)) == (
        True,
        {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH},
    )
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.key_encipherment
    assert usage.value.data_encipherment
    assert usage.value.key_agreement
    assert not usage.value.key_cert_sign
    identifier = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == issuer.digest
    assert certificate.not_valid_after_utc == NOW + timedelta(days=30)
    certificate.verify_directly_issued_by(authority.certificate)
    assert load_pem_private_key(pem, None).public_key() == certificate.public_key()


def test_certificate_is_good_for_a_clock_that_is_two_days_behind() -> None:
    certificate = x509.load_pem_x509_certificate(an_authority().issue_controller_certificate(NOW, NOW + timedelta(1)))

    assert certificate.not_valid_before_utc <= NOW - timedelta(days=2)


def test_controller_certificate_is_good_for_clients_only() -> None:
    certificate = x509.load_pem_x509_certificate(an_authority().issue_controller_certificate(NOW, NOW + timedelta(1)))

    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_trust_is_the_same_after_a_restart(tmp_path: Path) -> None:
    first = Trust.create_or_load(tmp_path / "trust", NOW)
    controller = first.controller_certificate_file.read_bytes()

    second = Trust.create_or_load(tmp_path / "trust", NOW + timedelta(days=1))

    assert second.servers.certificate == first.servers.certificate
    assert second.clients.certificate == first.clients.certificate
    assert second.controller_certificate_file.read_bytes() == controller


def test_lost_key_of_an_authority_is_an_error_and_not_replaced(tmp_path: Path) -> None:
    first = Trust.create_or_load(tmp_path, NOW)
    (tmp_path / "server_ca.key").unlink()

    with pytest.raises(FileNotFoundError):
        Trust.create_or_load(tmp_path, NOW)

    assert first.server_ca_file.read_bytes() == first.servers.certificate_pem()


def test_nobody_else_may_read_the_keys(tmp_path: Path) -> None:
    Trust.create_or_load(tmp_path / "trust", NOW)

    assert (tmp_path / "trust").stat().st_mode & 0o777 == 0o700
    files = list((tmp_path / "trust").iterdir())
    assert len(files) == 5
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_the_two_authorities_do_not_vouch_for_each_other(tmp_path: Path) -> None:
    trust = Trust.create_or_load(tmp_path, NOW)
    controller = x509.load_pem_x509_certificate(trust.controller_certificate_file.read_bytes())

    controller.verify_directly_issued_by(trust.clients.certificate)
    with pytest.raises(ValueError, match="subject does not match"):
        controller.verify_directly_issued_by(trust.servers.certificate)


def test_each_amphora_has_a_heartbeat_key_of_its_own() -> None:
    other = UUID(int=AMPHORA_ID.int + 1)

    assert heartbeat_key("master", AMPHORA_ID) == heartbeat_key("master", AMPHORA_ID)
    assert heartbeat_key("master", AMPHORA_ID) != heartbeat_key("master", other)
    assert heartbeat_key("master", AMPHORA_ID) != heartbeat_key("another master", AMPHORA_ID)
    assert len(heartbeat_key("master", AMPHORA_ID)) == 64


def test_keys_of_two_masters_are_good_during_rotation() -> None:
    assert heartbeat_keys(["new", "former"], AMPHORA_ID) == [
        heartbeat_key("new", AMPHORA_ID),
        heartbeat_key("former", AMPHORA_ID),
    ]
