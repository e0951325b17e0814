"""What tests of this folder do with relays, topics and consumers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread
from typing import Any
from uuid import UUID

import psycopg
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Event, LoadBalancerSettings
from infra.consumer import action_ledger, open_stream
from infra.event_store import EventStore
from infra.kafka_connection import connection_options
from infra.kafka_messages import Layout, Message, headers_of, message_of, partition_of
from infra.options import written
from infra.relay import run_relay
from infra.settings import Settings
from infra.streams import Stored
from processes.actions import Action
from processes.parking import Parking
from processes.runner import Runner, side_by_side
from tests.given import a_load_balancer

LONG = 30.0


# The log


def append(store: EventStore, load_balancer: LoadBalancer) -> LoadBalancer:
    store.save(load_balancer, origin=Origin())
    return load_balancer


def renamed(store: EventStore, load_balancer: LoadBalancer, *names: str) -> None:
    """One append for each name."""
    for name in names:
        load_balancer.change(LoadBalancerSettings(name=name))
        append(store, load_balancer)


def some_load_balancers(store: EventStore, count: int) -> list[LoadBalancer]:
    return [append(store, a_load_balancer()) for _ in range(count)]


def log_id(settings: Settings) -> UUID:
    with psycopg.connect(settings.database_url) as connection:
        row = connection.execute("SELECT id FROM log_identity").fetchone()
    assert row
    return row[0]  # type: ignore[no-any-return]


def end_of_log(settings: Settings) -> int:
    with psycopg.connect(settings.database_url) as connection:
        (end,) = connection.execute("SELECT coalesce(max(notification_id), 0) FROM tacitus_events").fetchone() or (0,)
    return int(end)


def published(settings: Settings) -> int:
    with psycopg.connect(settings.database_url) as connection:
        (position,) = connection.execute("SELECT coalesce(max(position), 0) FROM published").fetchone() or (0,)
    return int(position)


# Relays


@contextmanager
def relay(settings: Settings) -> Iterator[None]:
    """One in a thread."""
    stop = threading.Event()
    thread = Thread(target=run_relay, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=LONG)


@contextmanager
def relay_process(settings: Settings, directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One that can be killed."""
    file = directory / "tacitus.conf"
    file.write_text(written(settings))
    with (directory / "relay.log").open("ab") as log:
        order = [sys.executable, "-m", "infra.cli", "relay", "--config-file", str(file), "--parent", str(os.getpid())]
        process = subprocess.Popen(order, stdout=log, stderr=log)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait()


def messages_until(settings: Settings, position: int) -> list[list[Message]]:
    """What the topic holds, by partition, once all events up to this position have come."""
    layout = Layout.of(log_id(settings), settings.kafka_partitions)
    found: dict[int, list[Message]] = {number: [] for number in range(settings.kafka_partitions)}
    missing = _positions(settings, position)
    deadline = time.monotonic() + LONG
    with topic_reader(settings) as consumer:
        while missing:
            assert time.monotonic() < deadline, f"never published: {sorted(missing)[:20]}"
            for place, records in consumer.poll(timeout_ms=1_000).items():
                messages = [message_of(record, layout) for record in records]
                found[place.partition] += messages
                missing -= {message.position for message in messages}
    return list(found.values())


def _positions(settings: Settings, end: int) -> set[int]:
    """Of the events in the log: one that was not stored after all leaves its number unused."""
    with psycopg.connect(settings.database_url) as connection:
        sql = "SELECT notification_id FROM tacitus_events WHERE notification_id <= %s"
        return {position for (position,) in connection.execute(sql, (end,))}


@contextmanager
def topic_reader(settings: Settings) -> Iterator[KafkaConsumer]:
    """From the beginning, without a group; the topic need not be there yet."""
    consumer = KafkaConsumer(**connection_options(settings, KafkaConsumer), allow_auto_create_topics=False)
    try:
        places = [TopicPartition(settings.kafka_topic, number) for number in range(settings.kafka_partitions)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        yield consumer
    finally:
        consumer.close(autocommit=False)


def send(
    settings: Settings, stored: Sequence[Stored], *, previous: Callable[[int], int], log: UUID | None = None
) -> None:
    """Messages in an order of the test's own. previous: by position."""
    layout = Layout.of(log or log_id(settings), settings.kafka_partitions)
    producer = KafkaProducer(bootstrap_servers=list(settings.kafka_bootstrap_servers))
    with psycopg.connect(settings.database_url) as connection:
        (now,) = connection.execute("SELECT now()").fetchone() or (None,)
    for each in stored:
        producer.send(
            settings.kafka_topic,
            key=str(each.stream).encode(),
            value=each.event.state,
            headers=headers_of(each, now, Position(previous(each.position)), layout),  # type: ignore[arg-type]
            partition=partition_of(each.stream, layout.partitions),
        )
    producer.flush()
    producer.close()


# Consumers


class Watchful:
    """A process that reacts by remembering; it cannot stand events for which `cannot` says so."""

    name = "watchful"

    def __init__(self, cannot: Callable[[Any], bool] = lambda event: False) -> None:
        self.cannot = cannot
        self.seen: list[Any] = []
        self._news = Condition()

    def react(self, event: object) -> Sequence[Action]:
        if self.cannot(event):
            raise ValueError("cannot stand this")
        with self._news:
            self.seen.append(event)
            self._news.notify_all()
        return []

    def wait_for(self, count: int) -> None:
        """Until so many events of load balancers came; fails after a long time."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.of_load_balancers()) >= count, LONG), self.of_load_balancers()

    def of_load_balancers(self) -> list[tuple[UUID, int]]:
        """Load balancer and version of each event of one, as they came."""
        return [(event.originator_id, event.originator_version) for event in self.seen if isinstance(event, Event)]


class Consumer:
    """A consumer in a thread: all it decides is stored with its position."""

    def __init__(self, settings: Settings, pool: ConnectionPool, store: EventStore, process: Watchful) -> None:
        self._stop = threading.Event()
        self.stream = open_stream(settings, "watchful", pool, store.mapper)
        ledger, parking = action_ledger(settings, pool), Parking("watchful", store)
        runner = Runner("watchful", side_by_side([process]), self.stream, ledger, parking)
        self._thread = Thread(target=self._run, args=(runner,))
        self.fault: Exception | None = None

    def _run(self, runner: Runner[Action]) -> None:
        try:
            runner.run(self._stop)
        except Exception as error:
            self.fault = error

    def wait_for_the_end(self) -> None:
        """Of its own accord."""
        self._thread.join(timeout=LONG)

    def __enter__(self) -> "Consumer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=LONG)
        self.stream.close()
