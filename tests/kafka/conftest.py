"""A real broker for all tests of this folder, and for each test a topic, a group and a database of its own."""

import gc
import shutil
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from psycopg_pool import ConnectionPool

from infra.embedded_kafka import EmbeddedKafka
from infra.event_store import EventStore
from infra.settings import Profile, Settings
from infra.wiring import connection_pool

PARTITIONS = 3
_numbers = count(1)


@pytest.fixture(scope="session")
def one_broker() -> Iterator[EmbeddedKafka]:
    directory = Path(tempfile.mkdtemp(prefix="tacitus-kafka-"))
    broker = EmbeddedKafka(directory, settings={"log.retention.check.interval.ms": "200"})
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        shutil.rmtree(directory)


@pytest.fixture
def broker(one_broker: EmbeddedKafka) -> Iterator[EmbeddedKafka]:
    """It runs, whatever the test before did to it."""
    if one_broker.pid is None:
        one_broker.start()
    yield one_broker
    gc.collect()  # kafka-python leaves sockets of broken connections to the collector


@pytest.fixture
def settings(broker: EmbeddedKafka, database: str, tmp_path: Path) -> Settings:
    name = f"test-{next(_numbers)}"
    return Settings(
        profile=Profile.NOOP,
        database_url=database,
        state_directory=tmp_path / "state",
        kafka_bootstrap_servers=(broker.address,),
        kafka_topic=f"{name}.events",
        kafka_group=name,
        kafka_partitions=PARTITIONS,
        kafka_session_timeout=1.5,
    )


@pytest.fixture
def pool(settings: Settings) -> Iterator[ConnectionPool]:
    with connection_pool(settings, 8) as pool:
        yield pool


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database, connections=8)
    yield store
    store.close()
