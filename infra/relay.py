"""The relay: reads the log in order and publishes it to Kafka. One process of all does it at a time.

What is published twice, by a relay that died before it could write down how far it was or by one that does not know yet
that another leads, does no harm: it says the same, and consumers ignore what is not newer.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Any

import psycopg
from eventsourcing.persistence import StoredEvent
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError
from psycopg_pool import ConnectionPool

from domain.fields import Position
from infra.event_store import CHANNEL
from infra.kafka_connection import BATCH_BYTES, MOST_MESSAGE_BYTES, connection_options
from infra.kafka_messages import Layout, headers_of, partition_of, size_of
from infra.kafka_topic import UnfitTopic, last_position, ready_topic
from infra.leadership import RELAY_LOCK, Leadership, Term
from infra.log_guard import LogWentBack
from infra.options import InvalidSettings
from infra.readings import Reading
from infra.settings import Settings
from infra.streams import Stored, Streams
from infra.wakeup import Wakeup

if TYPE_CHECKING:
    from infra.telemetry import Telemetry

DUTY = "relay"
_BATCH = 2_000
_SLOW_LOOK_SECONDS = 1.0
_LOOK_AT_TERM_SECONDS = 0.5
# An event was recorded when its append was: the first commit record that is not before it.
_READ = """
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state, c.recorded_at
FROM tacitus_events e CROSS JOIN LATERAL (
    SELECT recorded_at FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1) c
WHERE e.notification_id > %s ORDER BY e.notification_id LIMIT %s
"""
# Nobody waits for the disk: what a server that fails does not know any more is published again, which does no harm.
_LEADS = """
SELECT set_config('synchronous_commit', 'off', true) FROM terms WHERE duty = %s AND number = %s FOR SHARE
"""
_PUBLISHED = "SELECT partition, position FROM published WHERE topic = %s"
_BEGIN = "INSERT INTO published SELECT %s, partition, %s FROM generate_series(0, %s) AS partition"
_KEEP = """
UPDATE published SET position = acknowledged.position
FROM unnest(%s::int[], %s::bigint[]) AS acknowledged(partition, position)
WHERE topic = %s AND published.partition = acknowledged.partition
"""

logger = logging.getLogger(__name__)


class NotTheLeader(Exception):
    """Another relay may lead by now."""


class Relay:
    """Publishes for as long as it leads.

    position  how far it knows to have published
    fault     why nobody may lead until somebody has looked at the log
    """

    def __init__(self, settings: Settings, pool: ConnectionPool, news: Wakeup, stop: Event) -> None:
        self.position = Position(0)
        self.fault: LogWentBack | None = None
        self._settings = settings
        self._pool = pool
        self._news = news
        self._stop = stop
        self._streams = Streams()

    def lead(self, term: Term) -> None:
        """Until the term ends, or Kafka does not take what it is given."""
        try:
            ready_topic(self._settings)
            layout = self._layout()
            with self._producer() as producer:
                published = self._begin(term, layout)
                while term.still_leads():
                    if not self._publish_next(producer, published, layout, term):
                        self._news.wait(_SLOW_LOOK_SECONDS)
        except KafkaError as error:
            logger.warning("Kafka does not take events: %s", error)
        except UnfitTopic as error:
            logger.critical("%s", error)
        except LogWentBack as error:
            self.fault = error
            self._stop.set()
        except NotTheLeader:
            logger.info("the term ended before all was acknowledged")

    def readings(self) -> Iterable[Reading]:
        """For monitoring."""
        sql = "SELECT coalesce(max(position), 0), (SELECT coalesce(max(notification_id), 0) FROM tacitus_events)"
        with self._pool.connection() as connection:
            row = connection.execute(f"{sql} FROM published WHERE topic = %s", (self._settings.kafka_topic,)).fetchone()
        position, end = row or (0, 0)
        yield Reading("tacitus_relay_position", "Position of the last event that was published.", position)
        yield Reading(
            "tacitus_relay_lag", "Positions between the relay and the end of the log.", max(0, end - position)
        )

    def _layout(self) -> Layout:
        with self._pool.connection() as connection:
            row = connection.execute("SELECT id FROM log_identity").fetchone()
        assert row is not None, "migrations make the row"
        return Layout.of(row[0], self._settings.kafka_partitions)

    @contextmanager
    def _producer(self) -> Iterator[KafkaProducer]:
        """What is still on its way when it is left may arrive or not."""
        producer = KafkaProducer(
            **connection_options(self._settings, KafkaProducer),
            acks="all",
            enable_idempotence=True,
            allow_auto_create_topics=False,
            max_block_ms=5_000,
            request_timeout_ms=10_000,
            delivery_timeout_ms=30_000,
            max_request_size=MOST_MESSAGE_BYTES,
            batch_size=BATCH_BYTES,
        )
        try:
            yield producer
        finally:
            producer.close(timeout=0)

    def _begin(self, term: Term, layout: Layout) -> dict[int, Position]:
        """Where the relay before has come to, by partition. Raises NotTheLeader, LogWentBack."""
        with self._pool.connection() as connection, connection.transaction():
            _require_leader(connection, term)
            published = _published(connection, self._settings.kafka_topic, layout.partitions)
            row = connection.execute("SELECT coalesce(max(notification_id), 0) FROM tacitus_events").fetchone()
        self.position = max(published.values())
        end = row[0] if row else 0
        if (known := max(self.position, last_position(self._settings, layout))) > end:
            raise LogWentBack(f"events up to {known} were published, and it ends at {end}")
        return published

    def _publish_next(
        self, producer: KafkaProducer, published: dict[int, Position], layout: Layout, term: Term
    ) -> bool:
        """One batch, acknowledged and written down; False when there is nothing new."""
        batch = self._read()
        if not batch:
            return False
        reached = dict(published)
        sent = [sending for sending in (self._send(producer, *each, reached, layout) for each in batch) if sending]
        self._wait_until_acknowledged(producer, sent, term)
        self._keep(term, {place: at for place, at in reached.items() if published[place] != at})
        published.update(reached)
        self.position = batch[-1][0].position
        return True

    def _read(self) -> Sequence[tuple[Stored, datetime]]:
        with self._pool.connection() as connection:
            rows = connection.execute(_READ, (self.position, _BATCH), prepare=True).fetchall()
            streams = self._streams.of(connection, [row[1] for row in rows])
        return [
            (Stored(Position(row[0]), stream, StoredEvent(row[1], row[2], row[3], bytes(row[4]))), row[5])
            for row, stream in zip(rows, streams, strict=True)
        ]

    def _send(
        self,
        producer: KafkaProducer,
        stored: Stored,
        recorded_at: datetime,
        reached: dict[int, Position],
        layout: Layout,
    ) -> Any:
        """None for an event that is larger than messages may be: consumers see a gap, and read it from the log."""
        partition = partition_of(stored.stream, layout.partitions)
        headers = headers_of(stored, recorded_at, reached[partition], layout)
        reached[partition] = stored.position
        if size_of(stored.event.state, headers) > MOST_MESSAGE_BYTES:
            logger.warning("the event at %d is too large to be published", stored.position)
            return None
        return producer.send(
            self._settings.kafka_topic,
            key=str(stored.stream).encode(),
            value=stored.event.state,
            headers=headers,
            partition=partition,
            timestamp_ms=int(recorded_at.timestamp() * 1_000),
        )

    def _wait_until_acknowledged(self, producer: KafkaProducer, sent: Sequence[Any], term: Term) -> None:
        """Raises what the broker said against one of them, NotTheLeader."""
        is_flushed = False
        while not is_flushed:
            if not term.still_leads():
                raise NotTheLeader
            try:
                producer.flush(timeout=_LOOK_AT_TERM_SECONDS)
                is_flushed = True
            except KafkaTimeoutError:
                continue
        for sending in sent:
            sending.get(timeout=0)

    def _keep(self, term: Term, acknowledged: dict[int, Position]) -> None:
        """Raises NotTheLeader."""
        with self._pool.connection() as connection, connection.transaction():
            _require_leader(connection, term)
            places, positions = list(acknowledged), list(acknowledged.values())
            connection.execute(_KEEP, (places, positions, self._settings.kafka_topic), prepare=True)


def _require_leader(connection: psycopg.Connection[Any], term: Term) -> None:
    """Nobody else can begin to lead before the transaction ends. Raises NotTheLeader."""
    if connection.execute(_LEADS, (DUTY, term.number), prepare=True).rowcount == 0:
        raise NotTheLeader


def _published(connection: psycopg.Connection[Any], topic: str, partitions: int) -> dict[int, Position]:
    """With another number of partitions streams have moved: all that was published so far is before all of them."""
    rows = connection.execute(_PUBLISHED, (topic,)).fetchall()
    found = {partition: Position(position) for partition, position in rows}
    if found.keys() == set(range(partitions)):
        return found
    position = max(found.values(), default=Position(0))
    connection.execute("DELETE FROM published WHERE topic = %s", (topic,))
    connection.execute(_BEGIN, (topic, position, partitions - 1))
    return dict.fromkeys(range(partitions), position)


def run_relay(settings: Settings, stop: Event, shown: "Telemetry | None" = None) -> None:
    """The log to Kafka, until `stop` is set.

    Raises InvalidSettings where no broker is named, LogWentBack when the topic has events that the log does not have.
    """
    from infra.readings import DatabaseReadings
    from infra.wiring import connection_pool

    if not settings.kafka_bootstrap_servers:
        raise InvalidSettings("[kafka] bootstrap_servers is not set: there is nothing to relay to")
    leadership = Leadership(settings.database_url, RELAY_LOCK, name=DUTY)
    news = Wakeup(settings.database_url, CHANNEL)
    with connection_pool(settings, 3) as pool:
        relay = Relay(settings, pool, news, stop)
        if shown is not None:
            shown.readings.show("relay", relay.readings)
            shown.readings.show("duty", leadership.readings)
            shown.not_ready = DatabaseReadings(pool).not_ready
        leadership.run(stop, relay.lead)
    news.close()
    if relay.fault is not None:
        raise relay.fault
