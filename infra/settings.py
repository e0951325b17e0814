"""The settings of one service: read once at start, passed in, never global.

Each is defined here once; `infra/options.py` makes an option of oslo.config from it, with this default and this text.
Sections, names, and defaults are Octavia's where Octavia has the option.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from domain.deployment import Deployment, Timeouts
from domain.tls import DEFAULT_ALPN, DEFAULT_CIPHERS, DEFAULT_VERSIONS, Alpn, TlsDefaults, TlsRules

UNLIMITED = 2**31 - 1
"""As the largest page: there is no limit."""

_LONGEST = 2_073_600_000  # milliseconds: 24 days
_QUOTA = {"minimum": -1, "maximum": 2_000_000_000}


class Profile(StrEnum):
    """What stands behind the drivers."""

    LOCAL = "local"
    """Amphorae are process groups on loopback addresses of this machine."""

    NOOP = "noop"
    """Drivers that complete at once and touch nothing, for developers of clients."""


class AuthStrategy(StrEnum):
    """How the API finds out who sends a request."""

    KEYSTONE = "keystone"
    """Tokens, checked by keystonemiddleware."""

    NOAUTH = "noauth"
    """Everybody is an administrator."""

    TESTING = "testing"
    """A request may name an identity, and is believed; one that does not is as with NOAUTH."""


class SecurityProtocol(StrEnum):
    """How Kafka's brokers are spoken to."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class Topology(StrEnum):
    """How many amphorae a load balancer has."""

    SINGLE = "SINGLE"
    ACTIVE_STANDBY = "ACTIVE_STANDBY"


class CertManager(StrEnum):
    """Where certificates and their keys are."""

    BARBICAN = "barbican_cert_manager"


@dataclass(frozen=True)
class Place:
    """Where a setting stands in a configuration file, and what may stand there."""

    section: str
    option: str
    text: str
    minimum: int | None = None
    maximum: int | None = None
    is_secret: bool = False


def _setting(place: str, default: Any, text: str, **more: Any) -> Any:
    """One setting. place: "section.option"."""
    section, _, option = place.partition(".")
    metadata = {"place": Place(section, option, text, **more)}
    if isinstance(default, Mapping):
        return field(default_factory=lambda: dict(default), metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an operator can set."""

    profile: Profile = _setting("DEFAULT.profile", Profile.LOCAL, "What stands behind the drivers.")
    state_directory: Path = _setting(
        "DEFAULT.state_directory", MISSING, "Where a service keeps its secrets, and the amphorae of the local profile."
    )
    database_url: str = _setting("database.connection", MISSING, "PostgreSQL, as psycopg takes it.", is_secret=True)
    database_owner_url: str | None = _setting(
        "database.owner_connection",
        None,
        "Likewise, as the owner of the tables: to upgrade, replay and adopt. That of the services when unset.",
        is_secret=True,
    )

    api_host: str = _setting("api_settings.bind_host", "127.0.0.1", "Where the API answers.")
    api_port: int = _setting("api_settings.bind_port", 9876, "Its port.", minimum=0, maximum=65_535)
    auth_strategy: AuthStrategy = _setting(
        "api_settings.auth_strategy", AuthStrategy.KEYSTONE, "How the API finds out who sends a request."
    )
    api_base_uri: str | None = _setting(
        "api_settings.api_base_uri", None, "What links to further pages start with, where it is not the request's host."
    )
    allow_pagination: bool = _setting("api_settings.allow_pagination", True, "Whether lists come in pages.")
    allow_sorting: bool = _setting("api_settings.allow_sorting", True, "Whether lists are sorted as asked.")
    allow_filtering: bool = _setting("api_settings.allow_filtering", True, "Whether lists are filtered as asked.")
    allow_field_selection: bool = _setting(
        "api_settings.allow_field_selection", True, "Whether objects are shown with the fields that were asked for."
    )
    pagination_max_limit: int = _setting(
        "api_settings.pagination_max_limit",
        1_000,
        'The largest page, and its size where none is asked for; "infinite" or a negative number for no limit.',
    )
    allow_tls_terminated_listeners: bool = _setting(
        "api_settings.allow_tls_terminated_listeners", True, "Whether listeners may end TLS."
    )
    allow_ping_health_monitors: bool = _setting(
        "api_settings.allow_ping_health_monitors", True, "Whether there may be health monitors of type PING."
    )
    allow_prometheus_listeners: bool = _setting(
        "api_settings.allow_prometheus_listeners", True, "Whether there may be listeners with protocol PROMETHEUS."
    )
    enabled_provider_drivers: Mapping[str, str] | None = _setting(
        "api_settings.enabled_provider_drivers", None, "name: description of each; those of the profile when unset."
    )
    default_provider_driver: str | None = _setting(
        "api_settings.default_provider_driver", None, "For load balancers that name none; the profile's when unset."
    )
    udp_connect_min_interval_health_monitor: int = _setting(
        "api_settings.udp_connect_min_interval_health_monitor",
        3,
        "The shortest delay of UDP-CONNECT health monitors in seconds; a negative number for no minimum.",
    )
    healthcheck_enabled: bool = _setting("api_settings.healthcheck_enabled", False, "Whether /healthcheck answers.")
    healthcheck_refresh_interval: int = _setting(
        "api_settings.healthcheck_refresh_interval", 5, "Seconds for which the outcome of a check is kept.", minimum=0
    )
    default_listener_ciphers: str = _setting(
        "api_settings.default_listener_ciphers", DEFAULT_CIPHERS, "Of listeners that name none."
    )
    default_pool_ciphers: str = _setting(
        "api_settings.default_pool_ciphers", DEFAULT_CIPHERS, "Of pools that name none."
    )
    tls_cipher_prohibit_list: str = _setting(
        "api_settings.tls_cipher_prohibit_list", "", "Ciphers that nobody may ask for, parted by colons."
    )
    default_listener_tls_versions: tuple[str, ...] = _setting(
        "api_settings.default_listener_tls_versions", DEFAULT_VERSIONS, "Of listeners that name none."
    )
    default_pool_tls_versions: tuple[str, ...] = _setting(
        "api_settings.default_pool_tls_versions", DEFAULT_VERSIONS, "Of pools that name none."
    )
    minimum_tls_version: str | None = _setting(
        "api_settings.minimum_tls_version", None, "SSLv3, TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3; unset for no minimum."
    )
    default_listener_alpn_protocols: tuple[str, ...] = _setting(
        "api_settings.default_listener_alpn_protocols", DEFAULT_ALPN, "Of listeners that name none."
    )
    default_pool_alpn_protocols: tuple[str, ...] = _setting(
        "api_settings.default_pool_alpn_protocols", DEFAULT_ALPN, "Of pools that name none."
    )

    feed_host: str = _setting("feed.bind_host", "127.0.0.1", "Where the feed of events answers.")
    feed_port: int = _setting("feed.bind_port", 9877, "Its port.", minimum=0, maximum=65_535)
    feed_subscribers: int = _setting("feed.subscribers", 200, "Who may read it at the same time.", minimum=1)

    api_workers: int = _setting("api.workers", 2, "Processes that serve the API.", minimum=1)
    strict_immutability: bool = _setting(
        "api.strict_immutability",
        False,
        "Whether a load balancer with a change under way takes no other (409), as in Octavia.",
    )
    max_unapplied_changes: int = _setting(
        "api.max_unapplied_changes", 1_000, "Changes of a load balancer that may wait to be applied.", minimum=1
    )
    insecure_strategy: str = _setting(
        "api.insecure_strategy", "", 'With "i-know", noauth and testing serve addresses beyond loopback too.'
    )
    max_request_body_size: int = _setting(
        "oslo_middleware.max_request_body_size", 114_688, "Bytes of the body of a request.", minimum=1
    )

    enable_proxy_headers_parsing: bool = _setting(
        "oslo_middleware.enable_proxy_headers_parsing",
        False,
        "Whether a proxy in front says in X-Forwarded-Proto, -Host and -Prefix what its clients asked for.",
    )
    cors_allowed_origin: tuple[str, ...] = _setting(
        "cors.allowed_origin", (), "Web pages that may send requests, like https://horizon.example.com; * for all."
    )
    audit_enabled: bool = _setting(
        "audit.enabled", False, "Whether keystonemiddleware tells of each request and its outcome in the format CADF."
    )
    audit_map_file: Path | None = _setting(
        "audit.audit_map_file", None, "How it names what a request is about; as comes with us when unset."
    )
    audit_ignore_req_list: tuple[str, ...] = _setting(
        "audit.ignore_req_list", (), "Methods that it leaves out, like GET."
    )

    worker_threads: int = _setting(
        "controller_worker.threads", 64, "Actions that a worker carries out at the same time.", minimum=2
    )
    loadbalancer_topology: Topology = _setting(
        "controller_worker.loadbalancer_topology", Topology.SINGLE, "Of load balancers whose flavor names none."
    )
    push_deadline: float = _setting(
        "controller_worker.push_deadline", 60.0, "Seconds until a change that no amphora confirmed is shown as ERROR."
    )
    build_deadline: float = _setting(
        "controller_worker.build_deadline", 600.0, "Seconds for an amphora to come into service."
    )
    delete_deadline: float = _setting("controller_worker.delete_deadline", 300.0, "Seconds for a deletion.")

    heartbeat_host: str = _setting("health_manager.bind_ip", "127.0.0.1", "Where a health manager hears heartbeats.")
    heartbeat_port: int = _setting("health_manager.bind_port", 5555, "Its UDP port.", minimum=0, maximum=65_535)
    controller_ip_port_list: tuple[str, ...] = _setting(
        "health_manager.controller_ip_port_list",
        (),
        "Where amphorae send their heartbeats, host:port of each health manager; unset for the one above alone.",
    )
    heartbeat_interval: float = _setting(
        "health_manager.heartbeat_interval", 10.0, "Seconds between the heartbeats of an amphora."
    )
    heartbeat_timeout: float = _setting(
        "health_manager.heartbeat_timeout", 60.0, "Seconds of silence after which an amphora is asked directly."
    )

    reconcile_interval: float = _setting(
        "house_keeping.reconcile_interval", 60.0, "Seconds between comparisons of what should exist with what is there."
    )
    remove_orphans: bool = _setting(
        "house_keeping.remove_orphans",
        False,
        "Whether amphorae that nothing wants are taken down; else `tacitus orphans` lists them.",
    )

    amphora_maxconn: int = _setting(
        "haproxy_amphora.default_connection_limit",
        50_000,
        "Connections of a listener without a limit of its own.",
        minimum=1,
        maximum=1_000_000,
    )
    timeout_client_data: int = _setting(
        "haproxy_amphora.timeout_client_data", 50_000, "Of listeners, milliseconds.", minimum=0, maximum=_LONGEST
    )
    timeout_member_connect: int = _setting(
        "haproxy_amphora.timeout_member_connect", 5_000, "Of listeners, milliseconds.", minimum=0, maximum=_LONGEST
    )
    timeout_member_data: int = _setting(
        "haproxy_amphora.timeout_member_data", 50_000, "Of listeners, milliseconds.", minimum=0, maximum=_LONGEST
    )
    timeout_tcp_inspect: int = _setting(
        "haproxy_amphora.timeout_tcp_inspect", 0, "Of listeners, milliseconds.", minimum=0, maximum=_LONGEST
    )

    allow_vip_network_id: bool = _setting(
        "networking.allow_vip_network_id", True, "Whether a VIP may be asked for by its network."
    )
    allow_vip_subnet_id: bool = _setting(
        "networking.allow_vip_subnet_id", True, "Whether a VIP may be asked for by its subnet."
    )
    allow_vip_port_id: bool = _setting("networking.allow_vip_port_id", True, "Whether a VIP may be a port of the user.")
    valid_vip_networks: tuple[str, ...] | None = _setting(
        "networking.valid_vip_networks", None, "The only networks for VIPs; all when unset."
    )
    denylist_vip_networks: tuple[str, ...] = _setting(
        "networking.denylist_vip_networks", (), "Networks that are none for VIPs."
    )
    allow_invisible_resource_usage: bool = _setting(
        "networking.allow_invisible_resource_usage", False, "Whether users may name networks that they do not see."
    )
    reserved_ips: tuple[str, ...] = _setting(
        "networking.reserved_ips", ("169.254.169.254",), "Addresses that no member and no health monitor may have."
    )
    reserved_cidrs: tuple[str, ...] = _setting(
        "networking.reserved_cidrs",
        ("127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10"),
        "Ranges likewise; the local profile opens those on loopback, where its members are.",
    )

    kafka_bootstrap_servers: tuple[str, ...] = _setting(
        "kafka.bootstrap_servers", (), "host:port of brokers; unset: events are read from the log itself."
    )
    kafka_topic: str = _setting("kafka.topic", "tacitus.events", "Where the relay publishes the log.")
    kafka_partitions: int = _setting(
        "kafka.partitions", 8, "Of the topic; an existing one must have as many.", minimum=1, maximum=1_000
    )
    kafka_replication_factor: int = _setting(
        "kafka.replication_factor", -1, "Of the topic when it is created; -1: what the brokers take.", minimum=-1
    )
    kafka_group: str = _setting("kafka.group", "tacitus", "What the names of our consumer groups start with.")
    kafka_session_timeout: float = _setting(
        "kafka.session_timeout", 6.0, "Seconds of silence after which a group gives a consumer's partitions to others."
    )
    kafka_security_protocol: SecurityProtocol = _setting(
        "kafka.security_protocol", SecurityProtocol.PLAINTEXT, "How brokers are spoken to."
    )
    kafka_sasl_mechanism: str | None = _setting(
        "kafka.sasl_mechanism", None, "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or GSSAPI, with the SASL protocols."
    )
    kafka_sasl_plain_username: str | None = _setting(
        "kafka.sasl_plain_username", None, "With PLAIN and SCRAM.", is_secret=True
    )
    kafka_sasl_plain_password: str | None = _setting(
        "kafka.sasl_plain_password", None, "With PLAIN and SCRAM.", is_secret=True
    )
    kafka_sasl_kerberos_service_name: str = _setting("kafka.sasl_kerberos_service_name", "kafka", "With GSSAPI.")
    kafka_sasl_kerberos_domain_name: str | None = _setting(
        "kafka.sasl_kerberos_domain_name", None, "With GSSAPI; that of the broker when unset."
    )
    kafka_ssl_cafile: str | None = _setting(
        "kafka.ssl_cafile", None, "Authorities of the brokers' certificates; those of the system when unset."
    )
    kafka_ssl_certfile: str | None = _setting("kafka.ssl_certfile", None, "Certificate that we show to brokers.")
    kafka_ssl_keyfile: str | None = _setting("kafka.ssl_keyfile", None, "Its key.")
    kafka_ssl_password: str | None = _setting(
        "kafka.ssl_password", None, "What its key is closed with.", is_secret=True
    )
    kafka_ssl_crlfile: str | None = _setting("kafka.ssl_crlfile", None, "Certificates of brokers that were revoked.")
    kafka_ssl_ciphers: str | None = _setting("kafka.ssl_ciphers", None, "In the format of OpenSSL.")
    kafka_ssl_check_hostname: bool = _setting(
        "kafka.ssl_check_hostname", True, "Whether a broker's certificate must name its host."
    )

    cert_manager: CertManager = _setting(
        "certificates.cert_manager", CertManager.BARBICAN, "Which secret store has certificates."
    )
    barbican_endpoint: str | None = _setting(
        "certificates.endpoint", None, "Where Barbican answers; without it no listener and no pool has certificates."
    )

    default_load_balancer_quota: int = _setting("quotas.default_load_balancer_quota", -1, "-1: no limit.", **_QUOTA)
    default_listener_quota: int = _setting("quotas.default_listener_quota", -1, "-1: no limit.", **_QUOTA)
    default_pool_quota: int = _setting("quotas.default_pool_quota", -1, "-1: no limit.", **_QUOTA)
    default_member_quota: int = _setting("quotas.default_member_quota", -1, "-1: no limit.", **_QUOTA)
    default_health_monitor_quota: int = _setting("quotas.default_health_monitor_quota", -1, "-1: no limit.", **_QUOTA)
    default_l7policy_quota: int = _setting("quotas.default_l7policy_quota", -1, "-1: no limit.", **_QUOTA)
    default_l7rule_quota: int = _setting("quotas.default_l7rule_quota", -1, "-1: no limit.", **_QUOTA)

    config_files: tuple[Path, ...] = ()
    """Where all this was read: the libraries' own settings stand there too."""

    @property
    def trust_directory(self) -> Path:
        """The service's own secrets, readable by nobody else."""
        return self.state_directory / "trust"

    @property
    def event_partitions(self) -> int:
        """Parts in which events are read side by side; the log itself has one."""
        return self.kafka_partitions if self.kafka_bootstrap_servers else 1

    @property
    def owner_url(self) -> str:
        """The database, for whoever may change its tables."""
        return self.database_owner_url or self.database_url

    @property
    def controllers(self) -> Sequence[str]:
        """host:port of each health manager, as amphorae reach them."""
        return self.controller_ip_port_list or (f"{self.heartbeat_host}:{self.heartbeat_port}",)

    @property
    def deployment(self) -> Deployment:
        """What goes without saying for users, and what they may not ask for."""
        return Deployment(
            timeouts=Timeouts(
                timeout_client_data=self.timeout_client_data,
                timeout_member_connect=self.timeout_member_connect,
                timeout_member_data=self.timeout_member_data,
                timeout_tcp_inspect=self.timeout_tcp_inspect,
            ),
            tls=self._tls,
            tls_terminated_listeners=self.allow_tls_terminated_listeners,
            prometheus_listeners=self.allow_prometheus_listeners,
            ping_health_monitors=self.allow_ping_health_monitors,
            udp_connect_delay=self.udp_connect_min_interval_health_monitor,
            reserved_ips=self.reserved_ips,
            reserved_cidrs=self._closed(self.reserved_cidrs),
            most_unapplied_changes=self.max_unapplied_changes,
            strict_immutability=self.strict_immutability,
        )

    @property
    def _tls(self) -> TlsRules:
        return TlsRules(
            listeners=TlsDefaults(
                ciphers=self.default_listener_ciphers,
                versions=self.default_listener_tls_versions,
                alpn=tuple(map(Alpn, self.default_listener_alpn_protocols)),
            ),
            pools=TlsDefaults(
                ciphers=self.default_pool_ciphers,
                versions=self.default_pool_tls_versions,
                alpn=tuple(map(Alpn, self.default_pool_alpn_protocols)),
            ),
            prohibited=frozenset(filter(None, self.tls_cipher_prohibit_list.split(":"))),
            minimum_version=self.minimum_tls_version,
        )

    def _closed(self, cidrs: Sequence[str]) -> tuple[str, ...]:
        is_open = self.profile == Profile.LOCAL
        return tuple(cidr for cidr in cidrs if not (is_open and ip_network(cidr).is_loopback))
