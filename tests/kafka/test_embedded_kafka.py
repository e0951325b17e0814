"""The embedded broker: whoever starts it, kills it or stops it, clients find the same records at the same address."""

import pytest
from kafka import KafkaAdminClient

from infra.embedded_kafka import EmbeddedKafka, KafkaFailed

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # kafka-python's, of broken connections
]


def topics(broker: EmbeddedKafka) -> set[str]:
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    try:
        return set(admin.list_topics())
    finally:
        admin.close()


def test_a_killed_broker_comes_back_with_everything_at_the_same_address(broker: EmbeddedKafka) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.address)
    admin.create_topics({"kept": {"num_partitions": 1}}, wait_for_metadata=True)
    admin.close()
    address, pid = broker.address, broker.pid

    broker.kill()
    assert broker.pid is None
    broker.start()

    assert broker.address == address
    assert broker.pid not in (None, pid)
    assert "kept" in topics(broker)


def test_who_starts_it_again_ends_the_one_that_was_left_running(broker: EmbeddedKafka) -> None:
    left_running = broker.pid

    another = EmbeddedKafka(broker.directory, broker.settings)
    another.start()

    assert another.pid not in (None, left_running)
    assert another.address == broker.address
    another.stop()
    assert broker.pid is None


def test_what_cannot_start_says_why(tmp_path_factory: pytest.TempPathFactory) -> None:
    broker = EmbeddedKafka(tmp_path_factory.mktemp("kafka"), settings={"broker.session.timeout.ms": "soon"})

    with pytest.raises(KafkaFailed, match=r"broker\.session\.timeout\.ms"):
        broker.start()
