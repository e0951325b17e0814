"""The topic of the events: made with the settings that it needs, and checked when it is there already."""

from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import TopicAlreadyExistsError

from infra.kafka_connection import MOST_MESSAGE_BYTES, connection_options
from infra.kafka_messages import Foreign, Layout, message_of
from infra.settings import Settings

NEEDED: Mapping[str, str] = {"cleanup.policy": "delete", "max.message.bytes": str(MOST_MESSAGE_BYTES)}


class UnfitTopic(Exception):
    """Somebody has to change the topic, or the settings, before anything can be published."""


def ready_topic(settings: Settings) -> None:
    """Make the topic if it is missing. Raises UnfitTopic, kafka.errors.KafkaError."""
    with closing(KafkaAdminClient(**connection_options(settings, KafkaAdminClient))) as admin:
        wanted = {
            "num_partitions": settings.kafka_partitions,
            "replication_factor": settings.kafka_replication_factor,
            "configs": dict(NEEDED),
        }
        with suppress(TopicAlreadyExistsError):
            admin.create_topics({settings.kafka_topic: wanted}, wait_for_metadata=True)
            return
        for fault in _faults(admin, settings):
            raise UnfitTopic(f"the topic {settings.kafka_topic} {fault}")


def _faults(admin: KafkaAdminClient, settings: Settings) -> list[str]:
    topic = settings.kafka_topic
    (found,) = admin.describe_topics([topic])
    resource = ConfigResource(ConfigResourceType.TOPIC, topic, list(NEEDED))
    said = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    faults = []
    if (partitions := len(found["partitions"])) != settings.kafka_partitions:
        faults.append(f"has {partitions} partitions; [kafka] partitions says {settings.kafka_partitions}")
    if (policy := said["cleanup.policy"]["value"]) != NEEDED["cleanup.policy"]:
        faults.append(f"has cleanup.policy={policy}: it would lose events; {NEEDED['cleanup.policy']} is needed")
    if int(said["max.message.bytes"]["value"]) < MOST_MESSAGE_BYTES:
        faults.append(
            f"takes messages up to {said['max.message.bytes']['value']} bytes; {MOST_MESSAGE_BYTES} are needed"
        )
    return faults


def last_position(settings: Settings, layout: Layout) -> int:
    """The highest position among the last messages of the partitions, as far as they are of this log; 0 for none.

    Raises kafka.errors.KafkaError.
    """
    options = connection_options(settings, KafkaConsumer)
    consumer = KafkaConsumer(**options, enable_auto_commit=False, allow_auto_create_topics=False)
    with closing(consumer):
        places = [TopicPartition(settings.kafka_topic, number) for number in range(settings.kafka_partitions)]
        begins, ends = consumer.beginning_offsets(places), consumer.end_offsets(places)
        filled = [place for place in places if ends[place] > begins[place]]
        consumer.assign(filled)
        for place in filled:
            consumer.seek(place, ends[place] - 1)
        return max((_position(record, layout) for record in _one_of_each(consumer, filled)), default=0)


def _one_of_each(consumer: KafkaConsumer, places: list[TopicPartition]) -> list[Any]:
    found: dict[TopicPartition, Any] = {}
    for _ in range(20):
        if len(found) == len(places):
            break
        for place, records in consumer.poll(timeout_ms=500).items():
            found[place] = records[-1]
    return list(found.values())


def _position(record: Any, layout: Layout) -> int:
    try:
        return message_of(record, layout).position
    except Foreign:
        return 0
