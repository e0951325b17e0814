"""How our clients of Kafka reach the brokers, by the settings."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ssl import PROTOCOL_TLS_CLIENT, VERIFY_CRL_CHECK_LEAF, SSLContext, TLSVersion
from typing import Any

from kafka.errors import KafkaConfigurationError
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport

from infra.settings import Settings

MOST_MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest message; events that are larger are read from the log."""

BATCH_BYTES = 128 * 1024
"""What a producer sends to a partition at once at most, when there is much."""

_SASL = (
    *("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password"),
    *("sasl_kerberos_service_name", "sasl_kerberos_domain_name"),
)


def connection_options(settings: Settings, client: type) -> Mapping[str, Any]:
    """For one of kafka-python's clients, as far as it has them. Files are read anew for each client.

    When no broker answers it says so after two seconds; for one that was lost it looks each second.

    Raises KafkaConfigurationError, a KafkaError, when what [kafka] says about TLS cannot be used.
    """
    options = {
        **{name: getattr(settings, f"kafka_{name}") for name in _SASL},
        "ssl_context": _tls(settings),
        "bootstrap_servers": list(settings.kafka_bootstrap_servers),
        "client_id": "tacitus",
        "bootstrap_timeout_ms": 2_000,
        "reconnect_backoff_max_ms": 1_000,
        "metrics_enabled": False,
    }
    known: Mapping[str, Any] = client.DEFAULT_CONFIG  # type: ignore[attr-defined]
    return {name: value for name, value in options.items() if name in known}


def _tls(settings: Settings) -> SSLContext | None:
    """None for brokers without TLS.

    kafka-python, told the same, overlooks the ciphers, fails on a list of revoked certificates, does not say which file
    is missing, and has the terminal asked for the password of a key.
    """
    if not settings.kafka_security_protocol.endswith("SSL"):
        return None
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.minimum_version = TLSVersion.TLSv1_2
    context.check_hostname = settings.kafka_ssl_check_hostname
    with _named("ssl_cafile", settings.kafka_ssl_cafile) as authorities:
        if authorities:
            context.load_verify_locations(authorities)
        else:
            context.load_default_certs()
    with _named("ssl_crlfile", settings.kafka_ssl_crlfile) as revoked:
        if revoked:
            context.load_verify_locations(revoked)
            context.verify_flags |= VERIFY_CRL_CHECK_LEAF
    with _named("ssl_certfile, ssl_keyfile, ssl_password", settings.kafka_ssl_certfile) as certificate:
        if certificate:
            context.load_cert_chain(certificate, settings.kafka_ssl_keyfile, settings.kafka_ssl_password or "")
    with _named("ssl_ciphers", settings.kafka_ssl_ciphers) as ciphers:
        if ciphers:
            context.set_ciphers(ciphers)
    return context


def _keep_last_words(transport: Any) -> None:
    """What a broker says before it hangs up is dropped by kafka-python when both arrive together.

    That is how brokers refuse a password: all that would be known is "socket disconnected". The end is found again by
    the next read.
    """
    receive: Callable[[Any], tuple[bytes, Exception | None]] = transport._sock_recv

    def received(self: Any) -> tuple[bytes, Exception | None]:
        words, fault = receive(self)
        return words, None if words else fault

    transport._sock_recv = received


_keep_last_words(KafkaTCPTransport)
_keep_last_words(KafkaSSLTransport)


@contextmanager
def _named(option: str, value: str | None) -> Iterator[str | None]:
    """OpenSSL does not name the file that it cannot read."""
    try:
        yield value
    except (OSError, ValueError) as error:
        raise KafkaConfigurationError(f"[kafka] {option}: {value} cannot be used: {error}") from error
