"""The relay: the whole log, in order, whoever dies meanwhile."""

import logging
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Event
from uuid import uuid4

import psycopg
import pytest
from kafka import KafkaAdminClient
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.health import LoadBalancerHealth
from infra.embedded_kafka import EmbeddedKafka
from infra.event_store import CHANNEL, EventStore
from infra.kafka_messages import Message, partition_of
from infra.leadership import Term
from infra.log_guard import LogWentBack
from infra.relay import Relay, run_relay
from infra.settings import Settings
from infra.wakeup import Wakeup
from tests.given import a_load_balancer
from tests.kafka.relaying import (
    append,
    end_of_log,
    messages_until,
    published,
    relay,
    relay_process,
    renamed,
    some_load_balancers,
    topic_reader,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # kafka-python's, of broken connections
]


def in_order_without_gaps(partition: Sequence[Message]) -> list[int]:
    """Positions of a partition; what came again is left out, as consumers do."""
    seen = [0]
    for message in partition:
        if message.position > seen[-1]:
            assert message.previous == seen[-1]
            seen.append(message.position)
    return seen[1:]


def everything(partitions: Sequence[Sequence[Message]]) -> list[int]:
    return sorted(position for partition in partitions for position in in_order_without_gaps(partition))


def test_the_whole_log_is_published_in_order(settings: Settings, store: EventStore) -> None:
    for load_balancer in some_load_balancers(store, 5):
        renamed(store, load_balancer, "a", "b")

    with relay(settings):
        partitions = messages_until(settings, end_of_log(settings))

    assert everything(partitions) == list(range(1, 16))
    assert published(settings) == 15


def test_what_belongs_to_a_load_balancer_travels_with_it(settings: Settings, store: EventStore) -> None:
    load_balancer = append(store, a_load_balancer())
    health = LoadBalancerHealth.begin(load_balancer.id)
    health.measured({load_balancer.id: OperatingStatus.ONLINE})
    amphora = Amphora.request(uuid4(), load_balancer_id=load_balancer.id)
    store.save(health, amphora, origin=Origin())

    with relay(settings):
        partitions = messages_until(settings, end_of_log(settings))

    messages = [message for partition in partitions for message in partition]
    assert {message.stored.event.originator_id for message in messages} == {load_balancer.id, health.id, amphora.id}
    assert {message.stored.stream for message in messages} == {load_balancer.id}
    assert len(partitions[partition_of(load_balancer.id, settings.kafka_partitions)]) == len(messages)


def test_messages_are_cloud_events(settings: Settings, store: EventStore) -> None:
    load_balancer = append(store, a_load_balancer())

    with relay(settings), topic_reader(settings) as consumer:
        while not (found := consumer.poll(timeout_ms=1_000)):
            pass
    ((record,),) = found.values()

    said = {name: value.decode() for name, value in record.headers}
    assert (said["ce_specversion"], said["content-type"]) == ("1.0", "application/json")
    assert (said["ce_id"], said["ce_previous"], said["ce_sequence"]) == ("1", "0", "1")
    assert said["ce_type"] == "LoadBalancerCreated"
    assert said["ce_subject"] == said["ce_partitionkey"] == record.key.decode() == str(load_balancer.id)
    assert said["ce_source"].startswith("urn:uuid:")


def test_a_relay_that_was_killed_goes_on_where_the_brokers_had_confirmed(
    settings: Settings, store: EventStore, tmp_path: Path
) -> None:
    some_load_balancers(store, 30)

    with relay_process(settings, tmp_path) as first:
        messages_until(settings, 30)
        renamed(store, append(store, a_load_balancer()), *map(str, range(20)))
        first.send_signal(signal.SIGKILL)
        first.wait()
    some_load_balancers(store, 5)
    with relay_process(settings, tmp_path):
        partitions = messages_until(settings, end_of_log(settings))

    assert everything(partitions) == list(range(1, 57))


def test_when_the_leader_is_killed_another_relay_takes_over_within_five_seconds(
    settings: Settings, store: EventStore, tmp_path: Path
) -> None:
    some_load_balancers(store, 1)

    with relay_process(settings, tmp_path) as leader:
        messages_until(settings, 1)
        with relay(settings):
            some_load_balancers(store, 1)
            messages_until(settings, 2)
            leader.send_signal(signal.SIGKILL)
            killed_at = time.monotonic()
            some_load_balancers(store, 1)
            partitions = messages_until(settings, 3)
            took = time.monotonic() - killed_at

    assert took < 5
    assert everything(partitions) == [1, 2, 3]
    assert sum(map(len, partitions)) == 3, "the one that waited published nothing"


def test_a_leader_that_does_not_know_of_its_successor_writes_nothing_down(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    some_load_balancers(store, 1)
    with relay(settings):
        messages_until(settings, 1)
    some_load_balancers(store, 1)
    news = Wakeup(settings.database_url, CHANNEL)
    outdated = Term(number=0)

    Relay(settings, pool, news, Event()).lead(outdated)

    assert outdated.still_leads(), "it still took itself for the leader"
    assert published(settings) == 1
    news.close()


def test_the_broker_was_away_and_nothing_is_missing(
    broker: EmbeddedKafka, settings: Settings, store: EventStore
) -> None:
    with relay(settings):
        some_load_balancers(store, 3)
        messages_until(settings, 3)

        broker.kill()
        some_load_balancers(store, 10)
        broker.start()
        partitions = messages_until(settings, 13)

    assert everything(partitions) == list(range(1, 14))


def test_an_unfit_topic_gets_nothing(
    settings: Settings, pool: ConnectionPool, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    some_load_balancers(store, 1)
    admin = KafkaAdminClient(bootstrap_servers=list(settings.kafka_bootstrap_servers))
    configs = {"cleanup.policy": "compact", "max.message.bytes": "8388608"}
    admin.create_topics({settings.kafka_topic: {"num_partitions": settings.kafka_partitions, "configs": configs}})
    admin.close()

    led = lead_once(settings, pool)

    assert led == 0
    assert "cleanup.policy=compact" in caplog.text


def test_a_topic_with_another_number_of_partitions_gets_nothing(
    settings: Settings, pool: ConnectionPool, store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    some_load_balancers(store, 1)
    with relay(settings):
        messages_until(settings, 1)
    some_load_balancers(store, 1)

    led = lead_once(replace(settings, kafka_partitions=5), pool)

    assert led == 1
    assert "has 3 partitions; [kafka] partitions says 5" in caplog.text


def test_a_log_that_went_back_in_time_stops_the_relay(settings: Settings, store: EventStore) -> None:
    some_load_balancers(store, 3)
    with relay(settings):
        messages_until(settings, 3)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("DELETE FROM tacitus_events WHERE notification_id > 1")
        connection.execute("UPDATE published SET position = least(position, 1)")

    with pytest.raises(LogWentBack, match="events up to 3 were published, and it ends at 1"):
        run_relay(settings, Event())


def lead_once(settings: Settings, pool: ConnectionPool) -> int:
    """Lead for as long as the relay wants to; how far it came."""
    logging.getLogger("infra.relay").setLevel(logging.INFO)
    news = Wakeup(settings.database_url, CHANNEL)
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "INSERT INTO terms VALUES ('relay', 1000) ON CONFLICT (duty) DO UPDATE SET number = excluded.number"
        )
    Relay(settings, pool, news, Event()).lead(Term(number=1000))
    news.close()
    return published(settings)
