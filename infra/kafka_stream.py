"""The events as Kafka delivers them, and from the log what it does not: whatever a broker loses, no event is missing.

Positions count, not Kafka's offsets. What is not newer than a position is ignored; each message names the position
before it, so that a gap is seen, and read from the log. What the relay has published and nobody has handled for a while
(its consumer died, Kafka dropped it) is read from the log too, by whoever notices first.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from uuid import UUID

from kafka import KafkaConsumer, OffsetAndMetadata
from kafka.errors import KafkaError
from psycopg_pool import ConnectionPool

from domain.fields import Position
from infra.kafka_connection import MOST_MESSAGE_BYTES, connection_options
from infra.kafka_messages import Foreign, Layout, Message, message_of, partition_of
from infra.log_stream import LogStream
from infra.settings import Settings
from infra.streams import decoded
from processes.ports import Recorded

_POLL_RECORDS = 2_000
_LOOK_SECONDS = 1.0
_PAUSE_SECONDS = 0.5
_NOT_YET = Position(0)
_LAGGING = """
SELECT u.partition, u.position, coalesce(p.position, 0) FROM published u
LEFT JOIN positions p ON p.consumer = %s AND p.partition = u.partition WHERE u.topic = %s AND u.partition < %s
"""

logger = logging.getLogger(__name__)


class KafkaStream:
    """processes.ports.EventStream. For one thread; the brokers need not answer."""

    def __init__(self, settings: Settings, consumer: str, pool: ConnectionPool, log: LogStream) -> None:
        self._settings = settings
        self._log = log
        self._arrivals = _Arrivals(settings, consumer, pool)
        self._laggards = _Laggards(settings, consumer, pool)
        self._searched: dict[int, tuple[Position, Position]] = {}
        self._is_searching = False

    def partitions(self) -> Sequence[int]:
        """Those from which something came, and those in which something was left."""
        return sorted(self._arrivals.partitions() | self._laggards.published.keys())

    def read_after(self, partition: int, position: Position, limit: int) -> Sequence[Recorded]:
        after = self._known_from(partition, position)
        waiting = self._arrivals.behind(partition, after)
        if waiting and waiting[0].previous <= after:
            in_a_row = _in_a_row(waiting, after, limit)
            return decoded((message.stored for message in in_a_row), self._log.mapper)
        until = waiting[0].previous if waiting else self._laggards.published.get(partition, _NOT_YET)
        return self._from_log(partition, position, after, until, limit) if until > after else []

    def read_at(self, positions: Sequence[Position]) -> Sequence[Recorded]:
        return self._log.read_at(positions)

    def wait(self, seconds: float) -> None:
        if self._is_searching:
            self._is_searching = False
            return
        self._laggards.look()
        self._arrivals.poll(min(seconds, _LOOK_SECONDS))

    def close(self) -> None:
        """Leave the group, so that others need not wait for us."""
        self._arrivals.close()
        self._log.close()

    def _from_log(
        self, partition: int, position: Position, after: Position, until: Position, limit: int
    ) -> Sequence[Recorded]:
        partitions = self._settings.event_partitions

        def belongs(stream: UUID) -> bool:
            return partition_of(stream, partitions) == partition

        found, searched = self._log.search(after, until, limit, belongs)
        if not found:
            self._searched[partition] = (position, searched)
            self._is_searching = True
        return found

    def _known_from(self, partition: int, position: Position) -> Position:
        """How far nothing is missing: between the position and here there is nothing of this partition."""
        began, searched = self._searched.get(partition, (_NOT_YET, _NOT_YET))
        return max(searched, position) if began == position else position


def _in_a_row(waiting: "deque[Message]", after: Position, limit: int) -> Iterator[Message]:
    """Messages that follow one on another; what came twice is left out."""
    taken = 0
    for message in waiting:
        if message.position <= after:
            continue
        if message.previous > after or taken == limit:
            return
        yield message
        after, taken = message.position, taken + 1


class _Laggards:
    """Looks for what was published and is not handled, though there was time enough."""

    def __init__(self, settings: Settings, consumer: str, pool: ConnectionPool) -> None:
        self.published: dict[int, Position] = {}
        self._wanted = (consumer, settings.kafka_topic, settings.event_partitions)
        self._pool = pool
        self._before: dict[int, tuple[Position, Position]] = {}
        self._looked_at = 0.0

    def look(self) -> None:
        """Once a second, and remember which partitions stand still behind what was published at the look before."""
        if time.monotonic() - self._looked_at < _LOOK_SECONDS:
            return
        with self._pool.connection() as connection:
            rows = connection.execute(_LAGGING, self._wanted, prepare=True).fetchall()
        self._looked_at = time.monotonic()
        now = {partition: (Position(published), Position(position)) for partition, published, position in rows}
        self.published = {
            partition: published
            for partition, (published, position) in self._before.items()
            if position < published and now.get(partition, (published, _NOT_YET))[1] == position
        }
        self._before = now


class _Arrivals:
    """Messages that came and are not handled yet, by partition. Offsets are kept in Kafka as hints where to go on."""

    def __init__(self, settings: Settings, consumer: str, pool: ConnectionPool) -> None:
        self._settings = settings
        self._group = f"{settings.kafka_group}.{consumer}"
        self._layout = Layout.of(_log_id(pool), settings.event_partitions)
        self._waiting: dict[int, deque[Message]] = {}
        self._handled: dict[int, int] = {}
        self._kafka: KafkaConsumer | None = None

    def partitions(self) -> set[int]:
        return {partition for partition, waiting in self._waiting.items() if waiting}

    def behind(self, partition: int, position: Position) -> "deque[Message]":
        """What waits; what is not newer is forgotten."""
        waiting = self._waiting.setdefault(partition, deque())
        while waiting and waiting[0].position <= position:
            self._handled[partition] = waiting.popleft().offset + 1
        return waiting

    def poll(self, seconds: float) -> None:
        """Returns as soon as something comes. Without a broker, it only waits."""
        try:
            self._kafka = self._kafka or self._joined()
            if self._kafka is None:
                time.sleep(_PAUSE_SECONDS)
                return
            self._keep_hints(self._kafka)
            for records in self._kafka.poll(timeout_ms=int(seconds * 1_000), max_records=_POLL_RECORDS).values():
                self._take_in(records)
        except KafkaError as error:
            logger.warning("Kafka does not deliver: %s", error)
            self.close()
            time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        if self._kafka is not None:
            with suppress(KafkaError):
                self._kafka.close(autocommit=False, timeout_ms=2_000)
        self._kafka = None

    def _joined(self) -> KafkaConsumer | None:
        """None until the relay has made the topic: there would be no partitions to wait for."""
        session = int(self._settings.kafka_session_timeout * 1_000)
        kafka = KafkaConsumer(
            **connection_options(self._settings, KafkaConsumer),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
            session_timeout_ms=session,
            heartbeat_interval_ms=session // 3,
            max_partition_fetch_bytes=MOST_MESSAGE_BYTES,
        )
        if self._settings.kafka_topic not in kafka.topics():
            kafka.close(autocommit=False, timeout_ms=2_000)
            return None
        kafka.subscribe([self._settings.kafka_topic])
        return kafka

    def _take_in(self, records: Sequence[object]) -> None:
        """What is none of ours is left out."""
        foreign: list[Foreign] = []
        for record in records:
            try:
                message = message_of(record, self._layout)
            except Foreign as error:
                foreign.append(error)
                continue
            partition = partition_of(message.stored.stream, self._layout.partitions)
            self._waiting.setdefault(partition, deque()).append(message)
        if foreign:
            logger.warning("%d messages are ignored; the first: %s", len(foreign), foreign[0])

    def _keep_hints(self, kafka: KafkaConsumer) -> None:
        topic = self._settings.kafka_topic
        handled, self._handled = self._handled, {}
        mine = {
            place: OffsetAndMetadata(handled[place.partition], "", -1)
            for place in kafka.assignment()
            if place.topic == topic and place.partition in handled
        }
        if mine:
            kafka.commit_async(mine)


def _log_id(pool: ConnectionPool) -> UUID:
    with pool.connection() as connection:
        row = connection.execute("SELECT id FROM log_identity").fetchone()
    assert row is not None, "migrations make the row"
    log_id: UUID = row[0]
    return log_id
