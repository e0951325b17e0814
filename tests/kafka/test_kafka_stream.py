"""What consumers get through Kafka: each event in effect once and in its order, whatever happens on the way."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import StoredEvent
from kafka import KafkaAdminClient, TopicPartition
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra.consumer import open_stream
from infra.embedded_kafka import EmbeddedKafka
from infra.event_store import CHANNEL, EventStore
from infra.kafka_stream import KafkaStream
from infra.kafka_topic import ready_topic
from infra.log_stream import LogStream
from infra.parked_streams import ParkedStreams
from infra.settings import Settings
from infra.streams import Stored
from infra.wakeup import Wakeup
from processes.ports import ReleaseTooOld
from tests.given import a_load_balancer
from tests.infra import event_stream_contract as contract
from tests.kafka.relaying import (
    Consumer,
    Watchful,
    append,
    end_of_log,
    log_id,
    messages_until,
    relay,
    renamed,
    send,
    some_load_balancers,
)

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # kafka-python's, of broken connections
]


@pytest.fixture
def stream(settings: Settings, pool: ConnectionPool, store: EventStore) -> Iterator[KafkaStream | LogStream]:
    with relay(settings):
        stream = open_stream(settings, "contract", pool, store.mapper)
        yield stream
        stream.close()


@pytest.fixture
def append_one(store: EventStore) -> Callable[[LoadBalancer], None]:
    return lambda load_balancer: (append(store, load_balancer), None)[1]


def test_positions_grow_and_pages_join_without_gaps(stream: KafkaStream, append_one: contract.Append) -> None:
    contract.positions_grow_and_pages_join_without_gaps(stream, append_one)


def test_events_of_one_load_balancer_keep_their_order(stream: KafkaStream, append_one: contract.Append) -> None:
    contract.events_of_one_load_balancer_keep_their_order(stream, append_one)


def test_what_was_put_aside_is_found_again(stream: KafkaStream, append_one: contract.Append) -> None:
    contract.what_was_put_aside_is_found_again(stream, append_one)


# What goes wrong on the way


def stored(settings: Settings, pool: ConnectionPool, load_balancer: LoadBalancer) -> list[Stored]:
    """The events of a load balancer as the log has them."""
    columns = "notification_id, originator_version, topic, state"
    sql = f"SELECT {columns} FROM tacitus_events WHERE originator_id = %s ORDER BY notification_id"
    with pool.connection() as connection:
        rows = connection.execute(sql, (load_balancer.id,)).fetchall()
    return [
        Stored(at, load_balancer.id, StoredEvent(load_balancer.id, version, topic, bytes(state)))
        for at, version, topic, state in rows
    ]


def versions(load_balancer: LoadBalancer, count: int) -> list[tuple[UUID, int]]:
    return [(load_balancer.id, version) for version in range(1, count + 1)]


@pytest.mark.parametrize(
    "order",
    [[0, 1, 1, 2, 0, 1, 2, 3, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5]],
    ids=["doubled", "shuffled", "backwards", "all but one lost"],
)
def test_each_event_counts_once_and_in_order_however_messages_come(
    order: Sequence[int], settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    renamed(store, load_balancer, *"abcde")
    events = stored(settings, pool, load_balancer)
    ready_topic(settings)
    process = Watchful()

    with Consumer(settings, pool, store, process):
        send(settings, [events[number] for number in order], previous=lambda position: position - 1)
        process.wait_for(6)

    assert process.of_load_balancers() == versions(load_balancer, 6)


def test_messages_of_another_log_are_ignored(settings: Settings, pool: ConnectionPool, store: EventStore) -> None:
    load_balancer = append(store, a_load_balancer())
    (event,) = stored(settings, pool, load_balancer)
    other = replace(event, stream=load_balancer.id, event=replace(event.event, topic="LoadBalancerUnheardOf"))
    ready_topic(settings)
    process = Watchful()

    with Consumer(settings, pool, store, process) as consumer:
        send(settings, [other], previous=lambda position: 0, log=uuid4())
        send(settings, [event], previous=lambda position: 0, log=log_id(settings))
        process.wait_for(1)

    assert consumer.fault is None
    assert process.of_load_balancers() == versions(load_balancer, 1)


def test_what_kafka_has_dropped_is_read_from_the_log(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    renamed(store, load_balancer, *"abc")
    process = Watchful()

    with relay(settings):
        messages_until(settings, 4)
        drop_all(settings)
        with Consumer(settings, pool, store, process):
            process.wait_for(4)
            renamed(store, load_balancer, "d")
            process.wait_for(5)

    assert process.of_load_balancers() == versions(load_balancer, 5)


def drop_all(settings: Settings) -> None:
    admin = KafkaAdminClient(bootstrap_servers=list(settings.kafka_bootstrap_servers))
    places = [TopicPartition(settings.kafka_topic, number) for number in range(settings.kafka_partitions)]
    admin.delete_records(dict.fromkeys(places, -1))
    admin.close()


def test_a_topic_that_was_deleted_loses_nothing(settings: Settings, pool: ConnectionPool, store: EventStore) -> None:
    load_balancer = append(store, a_load_balancer())
    process = Watchful()
    with relay(settings):
        messages_until(settings, 1)
    admin = KafkaAdminClient(bootstrap_servers=list(settings.kafka_bootstrap_servers))
    admin.delete_topics([settings.kafka_topic])
    admin.close()

    renamed(store, load_balancer, *"ab")
    with relay(settings), Consumer(settings, pool, store, process):
        process.wait_for(3)

    assert process.of_load_balancers() == versions(load_balancer, 3)


def test_an_event_too_large_for_a_message_is_read_from_the_log(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    load_balancer.change(LoadBalancerSettings(description="x" * 9 * 1024 * 1024))
    renamed(store, append(store, load_balancer), "a")
    process = Watchful()

    with relay(settings), Consumer(settings, pool, store, process):
        process.wait_for(3)

    assert process.of_load_balancers() == versions(load_balancer, 3)


def test_consumers_go_on_when_the_broker_comes_back(
    broker: EmbeddedKafka, settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    process = Watchful()

    with relay(settings), Consumer(settings, pool, store, process):
        process.wait_for(1)
        broker.kill()
        renamed(store, load_balancer, *"abc")
        broker.start()
        process.wait_for(4)

    assert process.of_load_balancers() == versions(load_balancer, 4)


# Many consumers


def test_consumers_of_a_group_share_the_work_and_repeat_nothing_when_one_comes_and_one_goes(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancers = some_load_balancers(store, 9)
    first, second = Watchful(), Watchful()

    with relay(settings):
        with Consumer(settings, pool, store, first):
            first.wait_for(9)
            with Consumer(settings, pool, store, second):
                while not second.of_load_balancers():
                    for load_balancer in load_balancers:
                        renamed(store, load_balancer, "shared")
        with Consumer(settings, pool, store, second):
            for load_balancer in load_balancers:
                renamed(store, load_balancer, "alone")
            second.wait_for(end_of_log(settings) - len(first.of_load_balancers()))

    seen = sorted(first.of_load_balancers() + second.of_load_balancers())
    assert seen == sorted(event for each in load_balancers for event in versions(each, each.version))


def test_partitions_of_a_consumer_that_does_nothing_any_more_are_taken_over_within_five_seconds(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    """Its connection lives, so that the group gives its partitions to nobody."""
    process = Watchful()
    with relay(settings):
        stuck = open_stream(settings, "watchful", pool, store.mapper)
        append(store, a_load_balancer())
        contract.first_of(stuck, 1)

        with Consumer(settings, pool, store, process):
            process.wait_for(1)
            began = time.monotonic()
            some_load_balancers(store, 6)
            process.wait_for(7)
            took = time.monotonic() - began
        stuck.close()

    assert took < 5


# Changes of where events come from


def test_from_the_log_to_kafka_and_back_nothing_is_missed(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    on_the_log, through_kafka, back_again = Watchful(), Watchful(), Watchful()
    the_log = replace(settings, kafka_bootstrap_servers=())

    with Consumer(the_log, pool, store, on_the_log):
        on_the_log.wait_for(1)
    renamed(store, load_balancer, "a")
    with relay(settings), Consumer(settings, pool, store, through_kafka):
        through_kafka.wait_for(1)
        renamed(store, load_balancer, "b")
        through_kafka.wait_for(2)
    renamed(store, load_balancer, "c")
    with Consumer(the_log, pool, store, back_again):
        back_again.wait_for(1)
        while back_again.of_load_balancers()[-1][1] < 4:
            back_again.wait_for(len(back_again.of_load_balancers()) + 1)

    assert through_kafka.of_load_balancers() == versions(load_balancer, 3)[1:]
    assert back_again.of_load_balancers() == sorted(set(back_again.of_load_balancers())), "in order"


def test_with_more_partitions_streams_move_and_nothing_is_missed(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancers = some_load_balancers(store, 8)
    before, after = Watchful(), Watchful()
    with relay(settings), Consumer(settings, pool, store, before):
        before.wait_for(8)
        messages_until(settings, 8)
    for load_balancer in load_balancers:
        renamed(store, load_balancer, "a")

    admin = KafkaAdminClient(bootstrap_servers=list(settings.kafka_bootstrap_servers))
    admin.create_partitions({settings.kafka_topic: 7})
    admin.close()
    more = replace(settings, kafka_partitions=7)
    with relay(more), Consumer(more, pool, store, after):
        for load_balancer in load_balancers:
            renamed(store, load_balancer, "b")
        while {(each.id, 3) for each in load_balancers} - set(after.of_load_balancers()):
            after.wait_for(len(after.of_load_balancers()) + 1)

    for load_balancer in load_balancers:
        seen = [version for id, version in after.of_load_balancers() if id == load_balancer.id]
        assert seen in ([1, 2, 3], [2, 3]), "what is behind the slowest partition comes again"


def test_events_of_an_amphora_come_in_the_order_of_its_load_balancer(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    process = Watchful()
    with relay(settings), Consumer(settings, pool, store, process):
        load_balancer = append(store, a_load_balancer())
        for number in range(5):
            store.save(Amphora.request(uuid4(), load_balancer_id=load_balancer.id), origin=Origin())
            renamed(store, load_balancer, str(number))
        process.wait_for(6)

    topics = [type(event).TOPIC for event in process.seen]
    assert topics == ["LoadBalancerCreated", *(["AmphoraRequested", "LoadBalancerChanged"] * 5)]


# Poison


def test_a_parked_stream_leaves_the_others_alone_and_goes_on_after_a_retry(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    ill, *well = some_load_balancers(store, 4)
    news = Wakeup(settings.database_url, CHANNEL)
    process = Watchful(lambda event: isinstance(event, LoadBalancer.Changed) and event.originator_id == ill.id)

    with relay(settings), Consumer(settings, pool, store, process):
        for load_balancer in (ill, *well):
            renamed(store, load_balancer, "a", "b")
        process.wait_for(10)
        while not list(ParkedStreams(pool, store).all()):
            news.wait(1)
        before = process.of_load_balancers()
        process.cannot = lambda event: False
        ParkedStreams(pool, store).retry("watchful", ill.id, "mended")
        process.wait_for(12)

    news.close()
    assert sorted(before) == sorted([(ill.id, 1), *(each for one in well for each in versions(one, 3))])
    assert process.of_load_balancers()[10:] == [(ill.id, 2), (ill.id, 3)]
    assert list(ParkedStreams(pool, store).all()) == []


def test_an_event_of_a_kind_to_come_stops_the_consumer(
    settings: Settings, pool: ConnectionPool, store: EventStore
) -> None:
    load_balancer = append(store, a_load_balancer())
    (event,) = stored(settings, pool, load_balancer)
    ready_topic(settings)
    process = Watchful()

    with Consumer(settings, pool, store, process) as consumer:
        teleported = replace(event, event=replace(event.event, topic="LoadBalancerTeleported"))
        send(settings, [teleported], previous=lambda position: 0)
        consumer.wait_for_the_end()

    assert isinstance(consumer.fault, ReleaseTooOld)
    assert process.seen == []
