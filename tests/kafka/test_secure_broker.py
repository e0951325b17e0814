"""Brokers that want TLS and a password: what relays and consumers do with the settings, and when they are wrong."""

import gc
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from threading import Event

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ScramMechanism, UserScramCredentialDeletion, UserScramCredentialUpsertion
from psycopg_pool import ConnectionPool

from infra.embedded_kafka import HOST, EmbeddedKafka
from infra.event_store import EventStore
from infra.kafka_connection import connection_options
from infra.options import read, written
from infra.settings import SecurityProtocol, Settings
from infra.wiring import connection_pool
from tests.amphora.certificates import TestAuthority
from tests.given import a_load_balancer
from tests.kafka.conftest import PARTITIONS
from tests.kafka.relaying import (
    LONG,
    Consumer,
    Watchful,
    append,
    end_of_log,
    messages_until,
    published,
    relay,
    renamed,
    some_load_balancers,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning"),  # kafka-python's, of broken connections
]

ADMIN, ADMIN_PASSWORD = "livia", "dynasty"
USER, PASSWORD = "tacitus", "annals"
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_numbers = count(1)


@dataclass
class SecureBroker:
    """A broker with TLS and passwords. `ours` signed its certificate, and nobody trusts `foreign`."""

    directory: Path

    def __post_init__(self) -> None:
        self.ours, self.foreign = TestAuthority("ours", self.directory), TestAuthority("foreign", self.directory)
        self.certificate, self._authority = self.directory / "broker.pem", self.directory / "authority.pem"
        users = "".join(f' user_{name}="{word}"' for name, word in ((ADMIN, ADMIN_PASSWORD), (USER, PASSWORD)))
        self.kafka = EmbeddedKafka(
            self.directory / "kafka",
            settings={
                "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,BROKER:SASL_SSL",
                "ssl.keystore.type": "PEM",
                "ssl.keystore.location": str(self.certificate),
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self._authority),
                "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
                "sasl.mechanism.inter.broker.protocol": "PLAIN",
                "listener.name.broker.plain.sasl.jaas.config": (
                    f'{_PLAIN} required username="{ADMIN}" password="{ADMIN_PASSWORD}"{users};'
                ),
                "listener.name.broker.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
            },
        )

    def start(self, authority: TestAuthority) -> None:
        """With a certificate by this authority; the broker itself trusts whoever signed it."""
        shutil.copy(authority.issue(HOST), self.certificate)
        shutil.copy(authority.file, self._authority)
        self.kafka.start()

    def give_scram(self, password: str) -> None:
        mechanism = ScramMechanism.SCRAM_SHA_512
        self._alter(UserScramCredentialUpsertion(USER, mechanism, password=password.encode(), iterations=4_096))

    def take_scram(self) -> None:
        self._alter(UserScramCredentialDeletion(USER, ScramMechanism.SCRAM_SHA_512))

    def _alter(self, change: object) -> None:
        settings = replace(self.settings, kafka_sasl_plain_username=ADMIN, kafka_sasl_plain_password=ADMIN_PASSWORD)
        admin = KafkaAdminClient(**connection_options(settings, KafkaAdminClient))
        assert admin.alter_user_scram_credentials([change]) == {USER: None}
        admin.close()

    @property
    def settings(self) -> Settings:
        """What operators have to say, with PLAIN."""
        return Settings(
            database_url="",
            state_directory=self.directory,
            kafka_bootstrap_servers=(self.kafka.address,),
            kafka_partitions=PARTITIONS,
            kafka_session_timeout=1.5,
            kafka_security_protocol=SecurityProtocol.SASL_SSL,
            kafka_sasl_mechanism="PLAIN",
            kafka_sasl_plain_username=USER,
            kafka_sasl_plain_password=PASSWORD,
            kafka_ssl_cafile=str(self.ours.file),
        )


@pytest.fixture(scope="module")
def one_secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    broker = SecureBroker(tmp_path_factory.mktemp("secure"))
    try:
        broker.start(broker.ours)
        broker.give_scram(PASSWORD)
        yield broker
    finally:
        broker.kafka.stop()


@pytest.fixture
def broker(one_secure_broker: SecureBroker, caplog: pytest.LogCaptureFixture) -> Iterator[SecureBroker]:
    """Sockets of broken connections, which kafka-python leaves to the collector, hang on its log records."""
    yield one_secure_broker
    caplog.get_records("call").clear()
    gc.collect()


@pytest.fixture
def settings(broker: SecureBroker, database: str, tmp_path: Path) -> Settings:
    """As a service reads them from its file."""
    name = f"secure-{next(_numbers)}"
    file = tmp_path / "tacitus.conf"
    said = replace(broker.settings, database_url=database, kafka_topic=f"{name}.events", kafka_group=name)
    file.write_text(written(said))
    return read([file])


@pytest.fixture
def pool(settings: Settings) -> Iterator[ConnectionPool]:
    with connection_pool(settings, 8) as pool:
        yield pool


@dataclass
class Reading:
    """Consumers of one log, which read it only where Kafka has a gap, and what services write into theirs."""

    settings: Settings
    pool: ConnectionPool
    store: EventStore
    caplog: pytest.LogCaptureFixture

    def consumer(self, settings: Settings, process: Watchful) -> Consumer:
        consumer = Consumer(settings, self.pool, self.store, process)
        consumer.stream._laggards.look = lambda: None  # type: ignore[union-attr, method-assign]
        return consumer

    def says(self, words: str, *loggers: str) -> bool:
        """Whether each of them has warned with these words."""
        lines = [line for line in self.caplog.text.splitlines() if words in line]  # as they were when they were said
        return all(any(f" {logger}:" in line for line in lines) for logger in loggers) and bool(lines)


@pytest.fixture
def reading(settings: Settings, pool: ConnectionPool, store: EventStore, caplog: pytest.LogCaptureFixture) -> Reading:
    """Libraries tell of connections what they do in services (infra/logs.py)."""
    caplog.set_level(logging.WARNING)
    return Reading(settings, pool, store, caplog)


def until(holds: Callable[[], bool], what: object, seconds: float = LONG) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what
        Event().wait(0.05)


# What is right


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
def test_everything_is_published_and_seen_over_tls_with_a_password(mechanism: str, reading: Reading) -> None:
    settings = replace(reading.settings, kafka_sasl_mechanism=mechanism)
    load_balancers = some_load_balancers(reading.store, 5)
    process = Watchful()

    with relay(settings), reading.consumer(settings, process):
        for load_balancer in load_balancers:
            renamed(reading.store, load_balancer, "a", "b")
        process.wait_for(15)
        messages_until(settings, 15)

    assert sorted(process.of_load_balancers()) == sorted((each.id, v) for each in load_balancers for v in (1, 2, 3))
    assert published(settings) == 15


# What is wrong: the library's lines say why, ours that nothing goes in or out

WRONG: dict[str, tuple[Callable[[SecureBroker, Settings], Settings], str]] = {
    "password": (
        lambda broker, settings: replace(settings, kafka_sasl_plain_password="germania"),
        "Authentication failed: Invalid username or password",
    ),
    "password of SCRAM": (
        lambda broker, settings: replace(
            settings, kafka_sasl_mechanism="SCRAM-SHA-512", kafka_sasl_plain_password="germania"
        ),
        "Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512",
    ),
    "mechanism": (
        lambda broker, settings: replace(settings, kafka_sasl_mechanism="SCRAM-SHA-256"),
        "UnsupportedSaslMechanismError",
    ),
    "authority": (
        lambda broker, settings: replace(settings, kafka_ssl_cafile=str(broker.foreign.file)),
        "certificate verify failed",
    ),
    "name of the host": (
        lambda broker, settings: replace(
            settings, kafka_bootstrap_servers=(settings.kafka_bootstrap_servers[0].replace(HOST, "localhost"),)
        ),
        "Hostname mismatch, certificate is not valid for 'localhost'",
    ),
    "revoked": (
        lambda broker, settings: replace(settings, kafka_ssl_crlfile=str(broker.ours.revoked([broker.certificate]))),
        "certificate revoked",
    ),
    "file": (
        lambda broker, settings: replace(settings, kafka_ssl_cafile="/no/such/file"),
        "[kafka] ssl_cafile: /no/such/file cannot be used: ",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_missing_once_it_is_right(
    what: str, broker: SecureBroker, reading: Reading
) -> None:
    spoilt, words = WRONG[what]
    wrong, right = spoilt(broker, reading.settings), reading.settings
    load_balancer = append(reading.store, a_load_balancer())
    process, later = Watchful(), Watchful()

    with relay(wrong), reading.consumer(wrong, process) as consumer:
        renamed(reading.store, load_balancer, "a")
        until(lambda: reading.says(words), reading.caplog.text)
        until(lambda: reading.says("Kafka does not", "infra.relay", "infra.kafka_stream"), reading.caplog.text)
    assert process.seen == []
    assert published(right) == 0
    assert consumer.fault is None
    with relay(right), reading.consumer(right, later):
        renamed(reading.store, load_balancer, "b")
        later.wait_for(3)
        messages_until(right, end_of_log(right))

    assert later.of_load_balancers() == [(load_balancer.id, version) for version in (1, 2, 3)]


# What becomes wrong, and right again, while services run


def test_services_go_on_when_the_broker_has_its_own_certificate_again(broker: SecureBroker, reading: Reading) -> None:
    load_balancer = append(reading.store, a_load_balancer())
    process = Watchful()

    with relay(reading.settings), reading.consumer(reading.settings, process) as consumer:
        process.wait_for(1)
        broker.start(broker.foreign)
        renamed(reading.store, load_balancer, "a")
        until(lambda: reading.says("certificate verify failed"), reading.caplog.text)
        broker.start(broker.ours)
        renamed(reading.store, load_balancer, "b")
        process.wait_for(3)

    assert consumer.fault is None
    assert process.of_load_balancers() == [(load_balancer.id, version) for version in (1, 2, 3)]


def test_services_go_on_when_the_broker_knows_their_password_again(broker: SecureBroker, reading: Reading) -> None:
    settings = replace(reading.settings, kafka_sasl_mechanism="SCRAM-SHA-512")
    load_balancer = append(reading.store, a_load_balancer())
    process = Watchful()

    with relay(settings), reading.consumer(settings, process) as consumer:
        process.wait_for(1)
        broker.take_scram()
        broker.start(broker.ours)  # connections that stand are not asked again
        renamed(reading.store, load_balancer, "a")
        until(lambda: reading.says("due to invalid credentials", "infra.kafka_stream"), reading.caplog.text)
        broker.give_scram(PASSWORD)
        renamed(reading.store, load_balancer, "b")
        until(lambda: len(process.of_load_balancers()) >= 3, reading.caplog.text, 2 * LONG)

    assert consumer.fault is None
    assert process.of_load_balancers() == [(load_balancer.id, version) for version in (1, 2, 3)]
