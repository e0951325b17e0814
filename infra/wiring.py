"""Puts the parts together: the only place that knows them all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from threading import Event, Thread
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from amphora.driver import AmphoraDriver, NoopAmphoraDriver
from amphora.haproxy import RenderOptions, render
from amphora.rest_driver import RestAmphoraDriver, RestSettings
from amphora.trust import heartbeat_keys
from commands.outcome import Outcomes
from commands.turns import Turns
from domain.load_balancer import LoadBalancer
from domain.tree import Tree
from infra.action_queue import CHANNEL as ACTIONS_CHANNEL
from infra.action_queue import PostgresActionQueue
from infra.boot_files import AmphoraBootFiles, NoBootFiles
from infra.event_store import CHANNEL as EVENTS_CHANNEL
from infra.event_store import EventStore
from infra.local_compute import LocalCompute
from infra.local_network import LocalNetwork
from infra.log_stream import LogStream, PostgresLedger
from infra.noop_compute import NoopComputeDriver
from infra.noop_network import NoopNetwork
from infra.settings import Profile, Settings
from infra.state_directory import StateDirectory
from infra.trust_store import TrustStore
from infra.wakeup import Wakeup
from processes.amphora_build import AmphoraBuildActions, AmphoraBuildProcess, BootFiles
from processes.configuration import ConfigurationActions, ConfigurationProcess, Renderer
from processes.housekeeping import OrphanSweep
from processes.ports import ComputeDriver
from processes.runner import ProcessRunner
from processes.worker import Perform, Worker

CONSUMER = "processes"
_SWEEP_SECONDS = 10.0
# Statements are prepared while a queue is empty and a table small: a plan that reads the whole table would stay.
_SESSION = "-c lock_timeout=5s -c statement_timeout=20s -c idle_in_transaction_session_timeout=5s -c enable_seqscan=off"
Network = LocalNetwork | NoopNetwork


def api_application(settings: Settings) -> Any:
    """The WSGI application; built in each worker of the API server, after the fork."""
    from infra.api import api_application as application

    pool = connection_pool(settings, 2)
    store = EventStore(settings.database_url, connections=2)
    network = _network(settings, pool)
    return application(
        aggregates=store, places=store, vips=network, network_reads=network, pool=pool, settings=settings
    )


def run_worker(settings: Settings, stop: Event) -> None:
    """Processes and their actions, until `stop` is set."""
    pool = connection_pool(settings, settings.worker_threads + 2)
    store = EventStore(settings.database_url, connections=settings.worker_threads)
    events, actions = Wakeup(settings.database_url, EVENTS_CHANNEL), Wakeup(settings.database_url, ACTIONS_CHANNEL)
    stream = LogStream(pool, store.mapper, events)
    runner = ProcessRunner(
        CONSUMER, [AmphoraBuildProcess(), ConfigurationProcess()], stream, PostgresLedger(pool, settings)
    )
    queue = PostgresActionQueue(pool, settings, actions)
    outside = _outside(settings, pool)
    worker = Worker(queue, _performers(settings, store, pool, outside), threads=settings.worker_threads)
    sweep = OrphanSweep(store, outside.compute)
    beside = [
        Thread(target=runner.run, args=(stop,), name="processes", daemon=True),
        Thread(target=sweep.run, args=(stop, _SWEEP_SECONDS), name="sweep", daemon=True),
    ]
    for thread in beside:
        thread.start()
    try:
        worker.run(stop)
    finally:
        for thread in beside:
            thread.join(timeout=5)
        events.close()
        actions.close()
        pool.close()
        store.close()


def run_health_manager(settings: Settings, stop: Event) -> None:
    """Heartbeats in, changes of health out, until `stop` is set. In the noop profile nothing sends any."""
    from infra.health_manager import run_health_manager as run

    if settings.profile == Profile.NOOP:
        stop.wait()
        return
    pool = connection_pool(settings, 4)
    store = EventStore(settings.database_url, connections=4)
    trust = TrustStore.open(settings.trust_directory)
    run(
        settings=settings,
        store=store,
        pool=pool,
        driver=amphora_driver(trust),
        outcomes=Outcomes(store, Turns(store)),
        keys_of=lambda amphora_id: heartbeat_keys(trust.heartbeat_masters, amphora_id),
        stop=stop,
    )
    pool.close()
    store.close()


def _performers(settings: Settings, store: EventStore, pool: ConnectionPool, outside: "_Outside") -> dict[str, Perform]:
    """Which method carries out which kind of action."""
    outcomes = Outcomes(store, Turns(store))
    build = AmphoraBuildActions(
        store,
        outcomes,
        outside.compute,
        outside.network,
        outside.driver,
        outside.boot_files,
        look_again_seconds=0.05 if settings.profile == Profile.LOCAL else 2.0,
    )
    configuration = ConfigurationActions(
        store,
        store,
        outcomes,
        outside.driver,
        _renderer(pool, outside.rendering),
        push_deadline=timedelta(seconds=settings.push_deadline),
    )
    performers: dict[str, Callable[[Any, Any], Any]] = {
        "BuildAmphora": build.build,
        "OrderReplacement": build.order_replacement,
        "RemoveAmphora": build.remove,
        "ReleaseVip": build.release_vip,
        "ApplyConfiguration": configuration.apply,
        "PushConfiguration": configuration.push,
        "RetryRefused": configuration.retry_refused,
    }
    return performers


@dataclass(frozen=True, kw_only=True)
class _Outside:
    """The drivers of one profile."""

    compute: ComputeDriver
    network: Network
    driver: AmphoraDriver
    boot_files: BootFiles
    rendering: RenderOptions


def _outside(settings: Settings, pool: ConnectionPool) -> _Outside:
    network = _network(settings, pool)
    if settings.profile == Profile.NOOP:
        return _Outside(
            compute=NoopComputeDriver(),
            network=network,
            driver=NoopAmphoraDriver(),
            boot_files=NoBootFiles(),
            rendering=RenderOptions(),
        )
    trust = TrustStore.open(settings.trust_directory)
    return _Outside(
        compute=LocalCompute(StateDirectory(settings.state_directory).amphorae),
        network=network,
        driver=amphora_driver(trust),
        boot_files=AmphoraBootFiles(settings, trust),
        rendering=local_rendering(settings),
    )


def _network(settings: Settings, pool: ConnectionPool) -> Network:
    return NoopNetwork() if settings.profile == Profile.NOOP else LocalNetwork(pool)


def amphora_driver(store: TrustStore) -> RestAmphoraDriver:
    """Talks to real agents."""
    trust = store.trust
    return RestAmphoraDriver(RestSettings(trust.controller_certificate_file, trust.server_ca_file))


def local_rendering(settings: Settings) -> RenderOptions:
    """HAProxy as a child of an agent without privileges, started in the amphora's own directory: small, one thread."""
    return RenderOptions(
        base_path="octavia",
        default_maxconn=settings.amphora_maxconn,
        user=None,
        ping_command="octavia/ping-wrapper.sh",
        threads=1,
    )


def _renderer(pool: ConnectionPool, options: RenderOptions) -> Renderer:
    with pool.connection() as connection:
        row = connection.execute("SELECT id FROM log_identity").fetchone()
    assert row is not None, "migrations make the row"
    log_id: UUID = row[0]

    def renderer(load_balancer: LoadBalancer, tree: Tree) -> str | None:
        return render(
            load_balancer_id=load_balancer.id,
            project_id=load_balancer.project_id,
            enabled=load_balancer.settings.admin_state_up,
            vip_address=load_balancer.vip.address,
            tree=tree,
            revision=load_balancer.revision,
            log_id=log_id,
            options=options,
        )

    return renderer


def connection_pool(settings: Settings, size: int) -> ConnectionPool:
    """Connections in autocommit, with limits so that nothing waits for ever."""
    return ConnectionPool(
        settings.database_url,
        min_size=1,
        max_size=size,
        timeout=5,
        open=True,
        kwargs={
            "autocommit": True,
            "options": _SESSION,
        },
    )
