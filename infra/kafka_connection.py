"""How our clients of Kafka reach the brokers, by the settings."""

from collections.abc import Mapping
from typing import Any

from infra.settings import Settings

MOST_MESSAGE_BYTES = 8 * 1024 * 1024
"""The largest message; events that are larger are read from the log."""

BATCH_BYTES = 128 * 1024
"""What a producer sends to a partition at once at most, when there is much."""

_SECURITY = (
    *("security_protocol", "sasl_mechanism", "sasl_plain_username", "sasl_plain_password"),
    *("sasl_kerberos_service_name", "sasl_kerberos_domain_name"),
    *("ssl_cafile", "ssl_certfile", "ssl_keyfile", "ssl_password", "ssl_crlfile", "ssl_ciphers", "ssl_check_hostname"),
)


def connection_options(settings: Settings, client: type) -> Mapping[str, Any]:
    """For one of kafka-python's clients, as far as it has them: the one for administration has no say in ciphers.

    When no broker answers it says so after two seconds; for one that was lost it looks each second.
    """
    security = {name: getattr(settings, f"kafka_{name}") for name in _SECURITY}
    options = {
        **security,
        "bootstrap_servers": list(settings.kafka_bootstrap_servers),
        "client_id": "tacitus",
        "bootstrap_timeout_ms": 2_000,
        "reconnect_backoff_max_ms": 1_000,
        "metrics_enabled": False,
    }
    known: Mapping[str, Any] = client.DEFAULT_CONFIG  # type: ignore[attr-defined]
    return {name: value for name, value in options.items() if name in known}
