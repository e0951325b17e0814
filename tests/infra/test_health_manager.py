"""The health manager on a real database, fed with real datagrams."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg_pool import ConnectionPool

from amphora.driver import NoopAmphoraDriver
from amphora.trust import heartbeat_keys
from amphora.wire import Additions, Counters, Heartbeat, ListenerReport, PoolReport, encode_heartbeat
from commands.outcome import Outcomes
from commands.ports import Origin
from commands.turns import Turns
from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.health import LoadBalancerHealth
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch
from infra.event_store import CHANNEL, EventStore
from infra.health_manager import HealthManager
from infra.health_records import RecordedHealth
from infra.heartbeats import DROP_REASONS, HeartbeatReceiver, inherited, listening
from infra.settings import Settings
from infra.statistics import StatisticsBuffer
from tests.given import a_health_monitor, a_listener, a_load_balancer, a_member, a_pool, confirm

MASTER_KEYS = ("of this month", "of the last month")
BOOT_ID, AMPHORA_ID, LISTENER_ID = uuid4(), uuid4(), uuid4()
PATIENCE_SECONDS = 20


def keys_of(amphora_id: UUID) -> list[str]:
    return heartbeat_keys(MASTER_KEYS, amphora_id)


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database, connections=4)
    yield store
    store.close()


@pytest.fixture
def pool(database: str) -> Iterator[ConnectionPool]:
    with ConnectionPool(database, min_size=1, max_size=4, kwargs={"autocommit": True}) as pool:
        yield pool


@dataclass
class Service:
    """A load balancer that serves: a listener, a pool with two members, a monitor, one amphora."""

    store: EventStore
    listener: Listener = field(init=False)
    sequence: int = 0
    id: UUID = field(default_factory=uuid4)
    amphora_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.pool = a_pool()
        self.listener = a_listener(default_pool_id=self.pool.id)
        self.members = [a_member(self.pool, address=f"127.0.0.{n}") for n in (1, 2)]
        load_balancer = a_load_balancer(self.id, amphora_ids=(self.amphora_id,))
        load_balancer.add_pool(self.pool)
        load_balancer.add_listener(self.listener)
        load_balancer.replace_members(self.pool.id, Batch(added=tuple(self.members)))
        load_balancer.add_health_monitor(a_health_monitor(self.pool))
        confirm(load_balancer)
        self.store.save(load_balancer, an_amphora_in_service(self.amphora_id, self.id), origin=Origin())

    def heartbeat(self, pool: str = "UP", *members: str, conns: int = 0) -> Heartbeat:
        """One that says this of the pool and of its members."""
        self.sequence += 1
        words = dict(zip((member.id for member in self.members), members or ("UP", "UP"), strict=True))
        return Heartbeat(
            self.amphora_id,
            self.sequence,
            {self.listener.id: ListenerReport("OPEN", conns)},
            (PoolReport(self.pool.id, self.listener.id, pool, words),),
            Additions(boot_id=BOOT_ID, sent_at=time.time()),
        )

    def names(self) -> dict[UUID, str]:
        one, other = self.members
        return {
            self.id: "load balancer",
            self.listener.id: "listener",
            self.pool.id: "pool",
            one.id: "one",
            other.id: "other",
        }


def an_amphora_in_service(id: UUID, load_balancer_id: UUID) -> Amphora:
    amphora = Amphora.request(id, load_balancer_id=load_balancer_id)
    amphora.booted("compute")
    amphora.became_reachable("127.17.0.1", "2.6")
    amphora.vip_plugged()
    amphora.entered_service()
    return amphora


@dataclass
class Running:
    """A health manager in a thread of its own."""

    manager: HealthManager
    driver: NoopAmphoraDriver

    def hears(self, heartbeat: Heartbeat) -> None:
        datagram = encode_heartbeat(heartbeat, keys_of(heartbeat.amphora_id)[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram, self.manager.address)


@pytest.fixture
def running(database: str, store: EventStore, pool: ConnectionPool, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    """Starts a health manager; stopped at the end."""
    stop, threads, ears = Event(), [], ExitStack()

    def start() -> Running:
        driver = NoopAmphoraDriver()
        manager = HealthManager(
            settings=Settings(
                database_url=database,
                state_directory=tmp_path,
                heartbeat_interval=0.2,
                heartbeat_timeout=1.0,
            ),
            store=store,
            pool=pool,
            driver=driver,
            outcomes=Outcomes(store, Turns(store)),
            keys_of=keys_of,
            ear=ears.enter_context(listening(("127.0.0.1", 0))),
        )
        threads.append(Thread(target=manager.run, args=(stop,)))
        threads[-1].start()
        return Running(manager, driver)

    yield start
    stop.set()
    for thread in threads:
        thread.join()
    ears.close()


@contextmanager
def speaking(running: Running, *services: Service) -> Iterator[None]:
    """Their amphorae send heartbeats meanwhile."""
    stop = Event()

    def speak() -> None:
        while not stop.wait(0.1):
            for service in services:
                running.hears(service.heartbeat())

    thread = Thread(target=speak)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Log:
    """Waits for what the database shows."""

    def __init__(self, database: str) -> None:
        self._connection = psycopg.connect(database, autocommit=True)
        self._connection.execute(f"LISTEN {CHANNEL}")

    def close(self) -> None:
        self._connection.close()

    def statuses(self, service: Service) -> dict[str, str]:
        sql = "SELECT object_id, status FROM operating_statuses WHERE load_balancer_id = %s"
        names = service.names()
        return {names[id]: status for id, status in self._connection.execute(sql, (service.id,))}

    def stages(self, service: Service) -> dict[UUID, str]:
        sql = "SELECT id, stage FROM amphorae WHERE load_balancer_id = %s"
        return dict(self._connection.execute(sql, (service.id,)).fetchall())

    def topics(self) -> list[str]:
        return [
            topic for (topic,) in self._connection.execute("SELECT topic FROM tacitus_events ORDER BY notification_id")
        ]

    def until(self, holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> float:
        """Look after each append; returns after how many seconds it held."""
        started = time.monotonic()
        while not holds():
            left = started + seconds - time.monotonic()
            assert left > 0, "it did not happen in time"
            for _ in self._connection.notifies(timeout=min(left, 1.0), stop_after=1):
                pass
        return time.monotonic() - started


@pytest.fixture
def log(database: str) -> Iterator[Log]:
    log = Log(database)
    yield log
    log.close()


ALL_ONLINE = dict.fromkeys(("load balancer", "listener", "pool", "one", "other"), "ONLINE")


# Statuses


@pytest.mark.postgres
def test_heartbeats_become_operating_statuses(running: Callable[[], Running], store: EventStore, log: Log) -> None:
    service = Service(store)
    manager = running()

    with speaking(manager, service):
        log.until(lambda: log.statuses(service) == ALL_ONLINE)


@pytest.mark.postgres
def test_an_edge_is_in_the_rows_within_half_a_second(
    running: Callable[[], Running], store: EventStore, log: Log
) -> None:
    service = Service(store)
    manager = running()
    with speaking(manager, service):
        log.until(lambda: log.statuses(service) == ALL_ONLINE)
    quiet_for_a_pace(log)

    manager.hears(service.heartbeat("UP", "DOWN", "UP"))

    assert log.until(lambda: log.statuses(service)["one"] == "ERROR") < 0.5
    assert log.statuses(service) == {**ALL_ONLINE, "one": "ERROR", "pool": "DEGRADED", "load balancer": "DEGRADED"}


def quiet_for_a_pace(log: Log) -> None:
    """The pace is of wall-clock time: an event a second at most."""
    Event().wait(1.1)


@pytest.mark.postgres
def test_a_member_that_flaps_makes_one_event_a_second(
    running: Callable[[], Running], store: EventStore, log: Log
) -> None:
    service = Service(store)
    manager = running()
    with speaking(manager, service):
        log.until(lambda: log.statuses(service) == ALL_ONLINE)
    before, started = log.topics().count("HealthChanged"), time.monotonic()

    for turn in range(60):
        manager.hears(service.heartbeat("UP", "DOWN" if turn % 2 else "UP", "UP"))
        Event().wait(0.05)

    took = time.monotonic() - started
    assert 1 <= log.topics().count("HealthChanged") - before <= took + 1


@pytest.mark.postgres
def test_a_new_listener_is_not_taken_for_a_missing_one(
    running: Callable[[], Running], store: EventStore, log: Log
) -> None:
    service = Service(store)
    manager = running()
    with speaking(manager, service):
        log.until(lambda: log.statuses(service) == ALL_ONLINE)
        load_balancer = store.load_balancer(service.id)
        load_balancer.remove_listener(service.listener.id)
        confirm(load_balancer)
        store.save(load_balancer, origin=Origin())
        service.listener = replace(a_listener(), id=uuid4())
        load_balancer = store.load_balancer(service.id)
        load_balancer.add_listener(service.listener)
        confirm(load_balancer)
        store.save(load_balancer, origin=Origin())
        log.until(lambda: log.statuses(service).get("listener") == "ONLINE")

    assert "ERROR" not in {status for change in health_changes(store, service.id) for status in change.values()}


def health_changes(store: EventStore, load_balancer_id: UUID) -> list[dict[UUID, str]]:
    stored = store.recorder.select_events(LoadBalancerHealth.create_id(load_balancer_id))
    events = [store.mapper.to_domain_event(event) for event in stored]
    return [dict(event.changes) for event in events if isinstance(event, LoadBalancerHealth.HealthChanged)]


@pytest.mark.postgres
def test_the_health_manager_outlives_its_connections(
    running: Callable[[], Running], store: EventStore, log: Log, database: str
) -> None:
    service = Service(store)
    manager = running()
    with speaking(manager, service):
        log.until(lambda: log.statuses(service) == ALL_ONLINE)
    quiet_for_a_pace(log)

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND query NOT LIKE '%operating_statuses WHERE%'"
        )
    manager.hears(service.heartbeat("UP", "UP", "DOWN"))

    log.until(lambda: log.statuses(service)["other"] == "ERROR")


@pytest.mark.postgres
def test_health_of_a_load_balancer_that_is_gone_is_left_out_and_the_others_are_recorded(
    store: EventStore, log: Log
) -> None:
    before, gone, after = Service(store), Service(store), Service(store)
    records = RecordedHealth(store)
    records.record({gone.id: {gone.id: OperatingStatus.ONLINE}})
    load_balancer = store.load_balancer(gone.id)
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_complete()
    store.save(load_balancer, origin=Origin())

    records.record({each.id: {each.id: OperatingStatus.ERROR} for each in (before, gone, after)})

    assert [log.statuses(each) for each in (before, gone, after)] == [
        {"load balancer": "ERROR"},
        {},
        {"load balancer": "ERROR"},
    ]
    assert health_changes(store, gone.id) == [{gone.id: "ONLINE"}]


# Silence


@pytest.mark.postgres
def test_a_silent_amphora_that_does_not_answer_is_replaced(
    running: Callable[[], Running], store: EventStore, log: Log
) -> None:
    silent, speaker = Service(store), Service(store)
    manager = running()
    manager.driver.unreachable.add(silent.amphora_id)

    with speaking(manager, speaker):
        log.until(lambda: len(log.stages(silent)) == 2)

    stages = log.stages(silent)
    assert stages.pop(silent.amphora_id) == "out of service"
    assert list(stages.values()) == ["requested"]
    assert log.stages(speaker) == {speaker.amphora_id: "in service"}
    assert manager.driver.calls.count(("info", silent.amphora_id)) == 2


@pytest.mark.postgres
def test_a_silent_amphora_that_answers_stays(running: Callable[[], Running], store: EventStore, log: Log) -> None:
    silent, speaker = Service(store), Service(store)
    manager = running()

    with speaking(manager, speaker):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while manager.driver.calls.count(("info", silent.amphora_id)) < 3 and time.monotonic() < deadline:
            Event().wait(0.05)

    assert manager.driver.calls.count(("info", silent.amphora_id)) >= 3
    assert log.stages(silent) == {silent.amphora_id: "in service"}


@pytest.mark.postgres
def test_failover_is_suspended_when_all_fall_silent_and_resumed_when_they_are_back(
    running: Callable[[], Running], store: EventStore, log: Log
) -> None:
    services = [Service(store) for _ in range(6)]
    manager = running()
    manager.driver.unreachable.update(service.amphora_id for service in services)

    log.until(lambda: "AutomaticFailoverSuspended" in log.topics())
    with speaking(manager, *services):
        log.until(lambda: "AutomaticFailoverResumed" in log.topics())

    assert all(log.stages(service) == {service.amphora_id: "in service"} for service in services)


@pytest.mark.postgres
def test_a_suspension_outlives_the_health_manager(store: EventStore) -> None:
    RecordedHealth(store).suspend_failover(silent=5, in_service=10)

    assert RecordedHealth(store).is_failover_suspended()


# Datagrams


@pytest.fixture
def received() -> list[Heartbeat]:
    return []


@pytest.fixture
def receiver(received: list[Heartbeat]) -> Iterator[HeartbeatReceiver]:
    stop = Event()
    with listening(("127.0.0.1", 0)) as ear:
        receiver = HeartbeatReceiver(ear, keys_of, lambda heartbeat, at: received.append(heartbeat))
        thread = Thread(target=receiver.run, args=(stop,))
        thread.start()
        yield receiver
        stop.set()
        thread.join()


def a_heartbeat(sequence: int, boot_id: UUID = BOOT_ID) -> Heartbeat:
    return Heartbeat(AMPHORA_ID, sequence, additions=Additions(boot_id=boot_id, sent_at=0.0))


def signed(heartbeat: Heartbeat, master_key: str = MASTER_KEYS[0]) -> bytes:
    return encode_heartbeat(heartbeat, heartbeat_keys([master_key], heartbeat.amphora_id)[0])


def test_socket_that_the_parent_process_keeps_has_nothing_old() -> None:
    with listening(("127.0.0.1", 0)) as kept, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for each in (b"old", b"old too", b""):
            sender.sendto(each, kept.getsockname())

        with inherited(os.dup(kept.fileno())) as ear:
            sender.sendto(b"new", kept.getsockname())

            assert ear.recv(100) == b"new"


def send(receiver: HeartbeatReceiver, *datagrams: bytes) -> None:
    """Returns when all were read."""
    expected = receiver.accepted + receiver.dropped.total() + len(datagrams)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, receiver.address)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while receiver.accepted + receiver.dropped.total() < expected and time.monotonic() < deadline:
        Event().wait(0.01)
    assert receiver.accepted + receiver.dropped.total() == expected


def test_both_master_keys_are_good_while_they_rotate(receiver: HeartbeatReceiver, received: list[Heartbeat]) -> None:
    send(receiver, *(signed(a_heartbeat(n), key) for n, key in enumerate(MASTER_KEYS)))

    assert [heartbeat.sequence for heartbeat in received] == [0, 1]


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (signed(a_heartbeat(1), "a foreign key"), "tampered"),
        (signed(a_heartbeat(1))[:-1] + b"x", "tampered"),
        (encode_heartbeat(a_heartbeat(1), keys_of(uuid4())[0]), "tampered"),
        (b"", "tampered"),
        (b"\x00" * 2_000, "tampered"),
    ],
    ids=["foreign key", "spoilt", "another amphora's key", "empty", "noise"],
)
def test_what_is_not_authentic_is_dropped_and_counted(
    receiver: HeartbeatReceiver, received: list[Heartbeat], datagram: bytes, reason: str
) -> None:
    send(receiver, datagram)

    assert received == []
    assert dict(receiver.dropped) == {reason: 1}
    assert reason in DROP_REASONS


def test_a_datagram_counts_once(receiver: HeartbeatReceiver, received: list[Heartbeat]) -> None:
    first, second = signed(a_heartbeat(1)), signed(a_heartbeat(2))

    send(receiver, first, second, second, first)

    assert [heartbeat.sequence for heartbeat in received] == [1, 2]
    assert receiver.dropped["replayed"] == 2


def test_a_new_boot_counts_from_zero_and_the_old_one_cannot_be_played_back(
    receiver: HeartbeatReceiver, received: list[Heartbeat]
) -> None:
    old, new = signed(a_heartbeat(7)), signed(a_heartbeat(0, uuid4()))

    send(receiver, old, new, old)

    assert [heartbeat.sequence for heartbeat in received] == [7, 0]
    assert receiver.dropped["replayed"] == 1


def test_a_datagram_after_a_flood_of_noise_is_heard(receiver: HeartbeatReceiver, received: list[Heartbeat]) -> None:
    send(receiver, *[b"noise" * 20] * 500, signed(a_heartbeat(1)))

    assert [heartbeat.sequence for heartbeat in received] == [1]
    assert receiver.dropped["tampered"] == 500


# Statistics


def told(rx: int, boot_id: UUID | None = BOOT_ID, conns: int = 0, *, version: int = 3) -> Heartbeat:
    """A heartbeat that counted so many bytes; without a boot id from an agent that tells growth only."""
    counters = Counters(rx=rx, tx=2 * rx, totconns=rx, ereq=0)
    if boot_id is None:
        return Heartbeat(AMPHORA_ID, 1, {LISTENER_ID: ListenerReport("OPEN", conns, counters)}, version=version)
    additions = Additions(boot_id=boot_id, sent_at=0.0, counters={LISTENER_ID: counters})
    return Heartbeat(AMPHORA_ID, 1, {LISTENER_ID: ListenerReport("OPEN", conns)}, (), additions)


@dataclass
class Counted:
    """Statistics of one load balancer, written by as many controllers as a test wants."""

    pool: ConnectionPool
    load_balancer: LoadBalancer

    def hears(self, buffer: StatisticsBuffer, *heartbeats: Heartbeat) -> int:
        for heartbeat in heartbeats:
            buffer.add(heartbeat, self.load_balancer.id)
        return buffer.flush(self.pool)

    def total(self) -> tuple[int, ...]:
        """Bytes in, bytes out, connections, and those that are active now."""
        with self.pool.connection() as connection:
            sql = "SELECT bytes_in, bytes_out, total_connections, active_connections FROM statistics"
            rows = connection.execute(sql).fetchall()
        assert len(rows) <= 1
        return tuple(rows[0]) if rows else ()


@pytest.fixture
def counted(store: EventStore, pool: ConnectionPool) -> Counted:
    load_balancer = a_load_balancer()
    store.save(load_balancer, origin=Origin())
    return Counted(pool, load_balancer)


@pytest.mark.postgres
def test_a_lost_or_repeated_datagram_changes_no_total(counted: Counted) -> None:
    buffer = StatisticsBuffer()

    counted.hears(buffer, told(100))
    counted.hears(buffer, told(300), told(300))  # one of 200 was lost

    assert counted.total() == (300, 600, 300, 0)


@pytest.mark.postgres
def test_many_heartbeats_are_one_write_and_none_when_nothing_changed(counted: Counted) -> None:
    buffer = StatisticsBuffer()

    assert counted.hears(buffer, *(told(n) for n in range(50))) == 1
    assert counted.hears(buffer, told(49)) == 0
    assert counted.hears(buffer) == 0


@pytest.mark.postgres
def test_two_controllers_that_share_the_heartbeats_count_once(counted: Counted) -> None:
    first, second = StatisticsBuffer(), StatisticsBuffer()

    counted.hears(first, told(100))
    counted.hears(second, told(250))
    counted.hears(first, told(200))  # older than what the other one wrote

    assert counted.total()[0] == 250


@pytest.mark.postgres
def test_an_agent_that_restarts_goes_on_counting(counted: Counted) -> None:
    buffer = StatisticsBuffer()

    counted.hears(buffer, told(100))
    counted.hears(buffer, told(130, uuid4()))

    assert counted.total()[0] == 130


@pytest.mark.postgres
def test_an_amphora_that_lost_its_counters_starts_anew(counted: Counted) -> None:
    buffer, boot_id = StatisticsBuffer(), uuid4()

    counted.hears(buffer, told(100))
    counted.hears(buffer, told(10, boot_id))
    counted.hears(buffer, told(15, boot_id))

    assert counted.total()[0] == 115


@pytest.mark.postgres
def test_growth_told_by_other_agents_is_added(counted: Counted) -> None:
    buffer = StatisticsBuffer()

    counted.hears(buffer, told(5, None), told(6, None, conns=3))
    counted.hears(buffer, told(7, None, conns=4))

    assert counted.total() == (18, 36, 18, 4)


@pytest.mark.postgres
def test_absolute_counters_of_old_agents_are_added_from_the_second_on(counted: Counted) -> None:
    buffer = StatisticsBuffer()

    counted.hears(buffer, told(1_000, None, version=2), told(1_010, None, version=2))
    counted.hears(buffer, told(4, None, version=2))  # HAProxy was started again

    assert counted.total()[0] == 14


@pytest.mark.postgres
def test_statistics_that_could_not_be_written_are_written_later(counted: Counted, database: str) -> None:
    buffer = StatisticsBuffer()
    closed = ConnectionPool(database, open=False)
    buffer.add(told(5, None), counted.load_balancer.id)

    with pytest.raises(psycopg.Error):
        buffer.flush(closed)
    counted.hears(buffer, told(6, None))

    assert counted.total()[0] == 11


@pytest.mark.postgres
def test_a_load_balancer_that_is_gone_gets_no_statistics(counted: Counted) -> None:
    buffer = StatisticsBuffer()
    buffer.add(told(100), uuid4())

    buffer.flush(counted.pool)

    assert counted.total() == ()
