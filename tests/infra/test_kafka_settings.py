"""How brokers are reached, as the settings say; needs no broker."""

from pathlib import Path
from ssl import CERT_REQUIRED, VERIFY_CRL_CHECK_LEAF
from typing import Any

import pytest

from infra.options import InvalidSettings, read
from infra.settings import Settings
from tests.amphora.certificates import TestAuthority

NECESSARY = "[DEFAULT]\nstate_directory = /var/lib/tacitus\n[database]\nconnection = postgresql://db/tacitus\n"


def settings_from(directory: Path, text: str) -> Settings:
    file = directory / "tacitus.conf"
    file.write_text(f"{NECESSARY}[kafka]\n{text}")
    return read([file])


def options_of(settings: Settings, client: str) -> Any:
    import kafka

    from infra.kafka_connection import connection_options

    return connection_options(settings, getattr(kafka, client))


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority("ours", tmp_path)


@pytest.mark.parametrize("client", ["KafkaProducer", "KafkaConsumer", "KafkaAdminClient"])
def test_every_client_gets_what_protects_it(client: str, authority: TestAuthority, tmp_path: Path) -> None:
    settings = settings_from(
        tmp_path,
        "bootstrap_servers = one:9093, two:9093\nsecurity_protocol = SASL_SSL\nsasl_mechanism = SCRAM-SHA-512\n"
        f"sasl_plain_username = tacitus\nsasl_plain_password = annals\nssl_cafile = {authority.file}\n",
    )

    options = options_of(settings, client)

    assert options["bootstrap_servers"] == ["one:9093", "two:9093"]
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("tacitus", "annals")
    tls = options["ssl_context"]
    assert [each["subject"][-1] for each in tls.get_ca_certs()] == [(("commonName", "ours"),)]
    assert (tls.verify_mode, tls.check_hostname) == (CERT_REQUIRED, True)


def test_brokers_without_tls_get_none(tmp_path: Path) -> None:
    settings = settings_from(tmp_path, "bootstrap_servers = one:9092\nssl_cafile = /nowhere\n")

    assert options_of(settings, "KafkaProducer")["ssl_context"] is None


def test_ciphers_host_names_and_a_certificate_of_our_own_are_as_they_are_set(
    authority: TestAuthority, tmp_path: Path
) -> None:
    own = authority.issue("tacitus")
    settings = settings_from(
        tmp_path,
        "security_protocol = SSL\nssl_ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\nssl_check_hostname = false\n"
        f"ssl_certfile = {own}\nssl_keyfile = {own}\nssl_crlfile = {authority.revoked([])}\n",
    )

    tls = options_of(settings, "KafkaAdminClient")["ssl_context"]

    chosen = [each["name"] for each in tls.get_ciphers() if each["protocol"] == "TLSv1.2"]
    assert chosen == ["ECDHE-ECDSA-AES256-GCM-SHA384"]
    assert not tls.check_hostname
    assert tls.verify_flags & VERIFY_CRL_CHECK_LEAF


@pytest.mark.parametrize("option", ["ssl_cafile", "ssl_crlfile", "ssl_certfile", "ssl_ciphers"])
def test_what_cannot_be_used_for_tls_is_named(option: str, tmp_path: Path) -> None:
    from kafka.errors import KafkaConfigurationError

    settings = settings_from(tmp_path, f"security_protocol = SSL\n{option} = /no/such/file\n")

    with pytest.raises(KafkaConfigurationError, match=rf"\[kafka\] {option}.*: /no/such/file cannot be used: "):
        options_of(settings, "KafkaConsumer")


def test_nobody_is_asked_for_the_password_of_a_key(authority: TestAuthority, tmp_path: Path) -> None:
    from kafka.errors import KafkaConfigurationError

    own = authority.issue("tacitus", password=b"annals")
    text = f"security_protocol = SSL\nssl_certfile = {own}\n"

    with pytest.raises(KafkaConfigurationError, match="ssl_password"):
        options_of(settings_from(tmp_path, text), "KafkaConsumer")
    assert options_of(settings_from(tmp_path, f"{text}ssl_password = annals\n"), "KafkaConsumer")["ssl_context"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sasl_mechanism = PLAIN\n", "of no use without a security_protocol that has SASL"),
        ("security_protocol = SASL_SSL\n", "nothing is none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, GSSAPI"),
        ("security_protocol = SASL_SSL\nsasl_mechanism = MAGIC\n", "MAGIC is none of PLAIN"),
        ("security_protocol = SASL_PLAINTEXT\nsasl_mechanism = PLAIN\n", "PLAIN needs both"),
        ("security_protocol = TELEPATHY\n", "security_protocol"),
        ("partitions = 0\n", "partitions"),
    ],
    ids=["no SASL", "no mechanism", "unknown mechanism", "no password", "unknown protocol", "no partition"],
)
def test_what_cannot_be_right_is_said_at_the_start(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=words):
        settings_from(tmp_path, text)


def test_events_have_one_partition_where_there_is_no_broker(tmp_path: Path) -> None:
    assert settings_from(tmp_path, "partitions = 16\n").event_partitions == 1
    assert settings_from(tmp_path, "partitions = 16\nbootstrap_servers = one:9092\n").event_partitions == 16
