"""The worker, end to end: what users ask for comes true through Kafka as it does on the log alone."""

from collections.abc import Iterator
from threading import Event, Thread

import pytest
from psycopg_pool import ConnectionPool

from commands.ports import Origin
from domain.amphora import Amphora
from infra.event_store import EventStore
from infra.settings import Settings
from infra.wakeup import Wakeup
from infra.wiring import run_worker
from tests.given import a_load_balancer
from tests.kafka.relaying import LONG, relay

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # kafka-python's, of broken connections
]


@pytest.fixture
def workers(settings: Settings) -> Iterator[None]:
    """Two of them."""
    stop = Event()
    threads = [Thread(target=run_worker, args=(settings, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join(timeout=LONG)


@pytest.mark.usefixtures("workers")
def test_load_balancers_become_active(settings: Settings, store: EventStore, pool: ConnectionPool) -> None:
    news = Wakeup(settings.database_url, "tacitus_events")

    with relay(settings):
        for _ in range(10):
            load_balancer = a_load_balancer()
            (amphora_id,) = load_balancer.amphora_ids
            amphora = Amphora.request(amphora_id, load_balancer_id=load_balancer.id)
            store.save(load_balancer, amphora, origin=Origin())
        while active(pool) < 10:
            news.wait(LONG)
    news.close()

    with pool.connection() as connection:
        positions = connection.execute("SELECT partition, partitions FROM positions ORDER BY partition").fetchall()
    assert positions == [(0, 3), (1, 3), (2, 3)]


def active(pool: ConnectionPool) -> int:
    with pool.connection() as connection:
        sql = "SELECT count(*) FROM shown_load_balancers WHERE provisioning_status = 'ACTIVE'"
        (count,) = connection.execute(sql).fetchone() or (0,)
    return int(count)
