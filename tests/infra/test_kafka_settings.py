"""How brokers are reached, as the settings say; needs no broker."""

from pathlib import Path
from typing import Any

import pytest

from infra.options import InvalidSettings, read
from infra.settings import Settings

NECESSARY = "[DEFAULT]\nstate_directory = /var/lib/tacitus\n[database]\nconnection = postgresql://db/tacitus\n"


def settings_from(directory: Path, text: str) -> Settings:
    file = directory / "tacitus.conf"
    file.write_text(f"{NECESSARY}[kafka]\n{text}")
    return read([file])


def options_of(settings: Settings, client: str) -> Any:
    import kafka

    from infra.kafka_connection import connection_options

    return connection_options(settings, getattr(kafka, client))


@pytest.mark.parametrize("client", ["KafkaProducer", "KafkaConsumer", "KafkaAdminClient"])
def test_every_client_gets_what_protects_it(client: str, tmp_path: Path) -> None:
    settings = settings_from(
        tmp_path,
        "bootstrap_servers = one:9093, two:9093\nsecurity_protocol = SASL_SSL\nsasl_mechanism = SCRAM-SHA-512\n"
        "sasl_plain_username = tacitus\nsasl_plain_password = annals\nssl_cafile = /etc/ca.pem\n",
    )

    options = options_of(settings, client)

    assert options["bootstrap_servers"] == ["one:9093", "two:9093"]
    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("tacitus", "annals")
    assert (options["ssl_cafile"], options["ssl_check_hostname"]) == ("/etc/ca.pem", True)


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
