"""Kafka: what the relay publishes against a bare producer with the same messages, and how soon actions start."""

import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from kafka import KafkaProducer

from benchmarks.load import median, quantile
from benchmarks.result import Extent, Result
from benchmarks.seed import seed
from benchmarks.stage import database
from commands.ports import Origin
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from infra.action_queue import CHANNEL, PostgresActionQueue
from infra.consumer import RunningConsumer, action_ledger, open_stream
from infra.embedded_kafka import EmbeddedKafka
from infra.event_store import CHANNEL as EVENTS_CHANNEL
from infra.event_store import EventStore
from infra.kafka_connection import BATCH_BYTES
from infra.kafka_messages import Headers, Layout, headers_of, partition_of
from infra.kafka_topic import ready_topic
from infra.leadership import Term
from infra.log_stream import LogStream
from infra.relay import Relay, run_relay
from infra.settings import Profile, Settings
from infra.streams import Stored
from infra.wakeup import Wakeup
from infra.wiring import connection_pool
from processes.actions import Action, ApplyConfiguration
from processes.parking import Parking
from processes.ports import Claim
from processes.runner import Runner, side_by_side
from processes.worker import DONE, Worker
from processes.worker import Result as Outcome
from tests.given import a_load_balancer

SHARE = 0.5
"""Of what a bare producer reaches."""

KAFKA_MILLISECONDS, LOG_MILLISECONDS = (50.0, 250.0), (15.0, None)
"""Half of the actions start within, and nearly all."""

_RELAYED = 1 / 20  # of the events that a rebuild reads
_LONG = 30.0


def through_kafka(extent: Extent) -> list[Result]:
    with _broker() as address, database() as (url, directory):
        settings = Settings(
            profile=Profile.NOOP,
            database_url=url,
            state_directory=directory,
            kafka_bootstrap_servers=(address,),
            kafka_session_timeout=2.0,
        )
        waited = [
            _until_action("Kafka", settings, extent, *KAFKA_MILLISECONDS),
            _until_action("the log", replace(settings, kafka_bootstrap_servers=()), extent, *LOG_MILLISECONDS),
        ]
        return [_relayed(settings, extent), *waited]


@contextmanager
def _broker() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="tacitus-bench-") as directory:
        broker = EmbeddedKafka(Path(directory) / "kafka")
        try:
            yield broker.start()
        finally:
            broker.stop()


# The relay


def _relayed(settings: Settings, extent: Extent) -> Result:
    """In turns: bare, relay, bare, relay ..."""
    seed(settings.database_url, int(extent.events * _RELAYED))
    bare, ours = [], []
    for number in range(extent.rounds):
        there = replace(settings, kafka_topic=f"bare-{number}.events")
        bare.append(_bare(there))
        ours.append(_relay(replace(settings, kafka_topic=f"ours-{number}.events")))
    share = median([relay / producer for relay, producer in zip(ours, bare, strict=True)])
    return Result(
        what="events that the relay publishes",
        target=f"at least {SHARE} x a bare producer",
        measured=f"{median(ours):,.0f}/s: {share:.2f} x bare",
        baseline=f"bare kafka-python producer: {median(bare):,.0f}/s",
        holds=share >= SHARE,
    )


def _bare(settings: Settings) -> float:
    """Messages a second; they are made before, and the producer knows the topic."""
    messages = _messages(settings)
    ready_topic(settings)
    producer = KafkaProducer(
        bootstrap_servers=list(settings.kafka_bootstrap_servers),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        batch_size=BATCH_BYTES,
    )
    producer.partitions_for(settings.kafka_topic)
    began = time.monotonic()
    for key, value, headers, partition in messages:
        producer.send(settings.kafka_topic, key=key, value=value, headers=headers, partition=partition)
    producer.flush()
    took = time.monotonic() - began
    producer.close()
    return len(messages) / took


def _messages(settings: Settings) -> Sequence[tuple[bytes, bytes, Headers, int]]:
    layout = Layout.of(UUID(int=0), settings.kafka_partitions)
    return [
        (
            str(each.stream).encode(),
            each.event.state,
            headers_of(each, datetime.now(UTC), Position(0), layout),
            partition_of(each.stream, layout.partitions),
        )
        for each in _stored(settings)
    ]


def _stored(settings: Settings) -> Sequence[Stored]:
    store = EventStore(settings.database_url)
    with connection_pool(settings, 2) as pool:
        stored = LogStream(pool, store.mapper).stored_after(Position(0), 10_000_000)
    store.close()
    return stored


def _relay(settings: Settings) -> float:
    """Events a second, from the end of its first batch to that of its last."""
    with connection_pool(settings, 3) as pool:
        news = Wakeup(settings.database_url, EVENTS_CHANNEL)
        with pool.connection() as connection:
            (end,) = connection.execute("SELECT max(notification_id) FROM tacitus_events").fetchone() or (0,)
            connection.execute(
                "INSERT INTO terms VALUES ('relay', 1) ON CONFLICT (duty) DO UPDATE SET number = terms.number + 1"
            )
            (number,) = connection.execute("SELECT number FROM terms WHERE duty = 'relay'").fetchone() or (0,)
        stop = threading.Event()
        relay, term = Relay(settings, pool, news, stop), _EndlessTerm(number)
        thread = threading.Thread(target=relay.lead, args=(term,))
        thread.start()
        first, began = _moved(relay, Position(0))
        at, now = first, began
        while at < end:
            at, now = _moved(relay, at)
        term.stop.set()
        thread.join()
        news.close()
    return (at - first) / (now - began)


class _EndlessTerm(Term):
    """Nobody else leads here."""

    def still_leads(self) -> bool:
        return not self.stop.is_set()


def _moved(relay: Relay, at: Position) -> tuple[Position, float]:
    """The next position of the relay, and when it was reached."""
    while relay.position == at:
        time.sleep(0.001)
    return relay.position, time.monotonic()


# From the commit to the action


class _Probe:
    """Asks for an action for each new load balancer, and notes when it starts."""

    name = "probe"

    def __init__(self) -> None:
        self.started: dict[UUID, float] = {}
        self.news = threading.Condition()

    def react(self, event: object) -> Sequence[Action]:
        if isinstance(event, LoadBalancer.Created):
            return [ApplyConfiguration(load_balancer_id=event.originator_id, wanted=1)]
        return []

    def perform(self, action: Any, claim: Claim) -> Outcome:
        now = time.monotonic()
        with self.news:
            self.started[action.load_balancer_id] = now
            self.news.notify_all()
        return DONE

    def when_started(self, id: UUID) -> float:
        with self.news:
            assert self.news.wait_for(lambda: id in self.started, _LONG), "the action did not start"
            return self.started[id]


@dataclass(frozen=True)
class _Waited:
    median: float
    most: float


def _until_action(name: str, settings: Settings, extent: Extent, target: float, most: float | None) -> Result:
    with _running(settings) as (probe, store):
        _one(probe, store)  # whoever comes first waits for the group
        waited = [_one(probe, store) * 1_000 for _ in range(extent.requests)]
    found = _Waited(median(waited), quantile(waited, 0.99))
    return Result(
        what=f"event committed to action started, through {name}",
        target=f"p50 at most {target:.0f} ms" + (f", p99 at most {most:.0f} ms" if most else ""),
        measured=f"p50 {found.median:.1f} ms, p99 {found.most:.1f} ms",
        holds=found.median <= target and (most is None or found.most <= most),
    )


def _one(probe: _Probe, store: EventStore) -> float:
    """Seconds."""
    load_balancer = a_load_balancer()
    store.save(load_balancer, origin=Origin())
    committed = time.monotonic()
    return probe.when_started(load_balancer.id) - committed


@contextmanager
def _running(settings: Settings) -> Iterator[tuple[_Probe, EventStore]]:
    """A worker with the probe as its only process, and the relay where there is one to be."""
    stop, probe = threading.Event(), _Probe()
    store, wakeup = EventStore(settings.database_url), Wakeup(settings.database_url, CHANNEL)
    with connection_pool(settings, 8) as pool:
        stream = open_stream(settings, "probe", pool, store.mapper)
        ledger, parking = action_ledger(settings, pool), Parking("probe", store)
        runner = Runner("probe", side_by_side([probe]), stream, ledger, parking)
        worker = Worker(
            PostgresActionQueue(pool, settings, wakeup), {ApplyConfiguration.__name__: probe.perform}, threads=4
        )
        threads = [threading.Thread(target=worker.run, args=(stop,))]
        if settings.kafka_bootstrap_servers:
            threads.append(threading.Thread(target=run_relay, args=(settings, stop)))
        for thread in threads:
            thread.start()
        processes = RunningConsumer(runner, stop)
        try:
            yield probe, store
        finally:
            stop.set()
            processes.finish()
            for thread in threads:
                thread.join()
            stream.close()
    wakeup.close()
    store.close()
