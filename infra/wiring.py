"""Puts the parts together: the only place that knows them all."""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg_pool import ConnectionPool

from amphora.driver import AmphoraDriver, NoopAmphoraDriver
from amphora.haproxy import RenderOptions, render
from amphora.rest_driver import RestAmphoraDriver, RestSettings
from amphora.trust import heartbeat_keys
from commands.amphora_outcome import AmphoraOutcomes
from commands.certificates import Certificates, NoSecrets, StoredCertificates, UnreadCertificates
from commands.outcome import Outcomes
from commands.tracing import request_id
from commands.turns import Turns
from commands.vip import VipRules
from domain.deployment import Deployment
from domain.load_balancer import LoadBalancer
from domain.tree import Tree
from infra.action_queue import CHANNEL as ACTIONS_CHANNEL
from infra.action_queue import PostgresActionQueue
from infra.barbican import Barbican
from infra.boot_files import AmphoraBootFiles, NoBootFiles
from infra.catalogue import PostgresCatalogue
from infra.consumer import RunningConsumer, action_ledger, open_stream
from infra.controlled import ControlledApi, Holding, Told, control_routes
from infra.event_store import EventStore
from infra.garbage import few_collections
from infra.gates import behind_gates
from infra.idempotency import keep_forgetting
from infra.identity import Allows, nothing
from infra.leadership import HEALTH_LOCK, HOUSEKEEPING_LOCK, Leadership, Term
from infra.local_compute import LocalCompute
from infra.local_network import LocalNetwork
from infra.noop_compute import NoopComputeDriver
from infra.noop_network import NoopNetwork
from infra.patience import SESSION, Pool
from infra.prepared_network import prepared_network
from infra.provider_drivers import providers_of
from infra.readings import DatabaseReadings
from infra.reconcile import ExpectedRows, Repairs
from infra.settings import Profile, Settings
from infra.state_directory import StateDirectory
from infra.trust_store import TrustStore
from infra.wakeup import Wakeup
from processes.agent_configuration import AgentConfigurationActions, AgentConfigurationProcess
from processes.amphora_build import AmphoraBuildActions, AmphoraBuildProcess
from processes.configuration import ConfigurationActions, ConfigurationProcess, Renderer
from processes.parking import Parking
from processes.ports import ComputeDriver
from processes.reconciliation import Comparison, Reconciler
from processes.repair import RepairActions, RepairProcess
from processes.runner import Process, Runner, side_by_side
from processes.worker import Perform, Worker

if TYPE_CHECKING:
    from infra.policy import Policy  # takes a while to import
    from infra.telemetry import Telemetry

CONSUMER = "processes"
HEALTH_DUTY, HOUSEKEEPING_DUTY = "health manager", "housekeeping"
_ASK_AGAIN_SECONDS = 1.0
_FORGET_SECONDS = 600.0
_WORKER_CONNECTIONS = 8  # its threads wait for amphorae and clouds most of the time
# Statements are prepared while a queue is empty and a table small: a plan that reads the whole table would stay.
_SESSION = f"{SESSION} -c enable_seqscan=off"
Network = LocalNetwork | NoopNetwork


def api_application(settings: Settings, policy: "Policy | None" = None) -> Any:
    """The WSGI application; built in each worker of the API server, after the fork.

    policy  None where nobody is asked
    """
    if policy is not None:
        policy.watch(Event())
    allows = policy.allows if policy is not None else nothing
    pool, keys = connection_pool(settings, 2), connection_pool(settings, 2)
    store = EventStore(settings.database_url, connections=2)

    def built(told: Told) -> Any:
        return _served(told.overrides(settings), told, allows, store, pool, keys)

    return (
        ControlledApi(pool, settings.state_directory / "control", built)
        if settings.profile == Profile.NOOP
        else built(Told())
    )


def _served(
    settings: Settings, told: Told, allows: Allows, store: EventStore, pool: ConnectionPool, keys: ConnectionPool
) -> Any:
    from infra.api import api_application as application
    from infra.quota_api import quota_defaults

    limited = store.limited_by(quota_defaults(settings))
    network = _network(settings, pool, told)
    served = application(
        aggregates=limited,
        places=limited,
        vips=network,
        network_reads=network,
        providers=providers_of(
            settings.profile,
            enabled=settings.enabled_provider_drivers,
            default=settings.default_provider_driver,
            fault=told.fault,
        ),
        catalogue=PostgresCatalogue(pool),
        deployment=settings.deployment,
        pool=pool,
        settings=settings,
        allows=allows,
        keys=keys,
        certificates=certificates_of(settings),
        control=control_routes(limited, limited, Turns(limited), pool) if settings.profile == Profile.NOOP else {},
    )
    return behind_gates(served, settings)


def certificates_of(settings: Settings) -> Certificates:
    if settings.profile == Profile.NOOP:
        return UnreadCertificates()
    endpoint = settings.barbican_endpoint
    return StoredCertificates(NoSecrets() if endpoint is None else Barbican(endpoint))


def deployment_of(settings: Settings) -> Deployment:
    """What an operator's settings presume and allow."""
    return settings.deployment


def run_worker(settings: Settings, stop: Event, shown: "Telemetry | None" = None) -> None:
    """Processes and their actions, until `stop` is set."""
    pool = connection_pool(settings, _WORKER_CONNECTIONS + 2)
    _show(shown, pool)
    store = EventStore(settings.database_url, connections=_WORKER_CONNECTIONS)
    actions = Wakeup(settings.database_url, ACTIONS_CHANNEL)
    stream = open_stream(settings, CONSUMER, pool, store.mapper)
    processes: list[Process] = [
        AmphoraBuildProcess(),
        ConfigurationProcess(),
        AgentConfigurationProcess(),
        RepairProcess(),
    ]
    ledger, parking = action_ledger(settings, pool), Parking(CONSUMER, store)
    runner = Runner(CONSUMER, side_by_side(processes), stream, ledger, parking)
    leases = connection_pool(settings, 1)
    queue = PostgresActionQueue(pool, settings, actions, leases)
    outside = _outside(settings, pool)
    performers = _performers(settings, store, pool, outside)
    if settings.profile == Profile.NOOP:
        holding = Holding(pool)
        performers = {kind: holding.held(perform) for kind, perform in performers.items()}
    worker = Worker(queue, performers, threads=settings.worker_threads)
    beside = RunningConsumer(runner, stop)
    try:
        worker.run(stop)
        beside.finish()
    finally:
        stream.close()
        actions.close()
        leases.close()
        pool.close()
        store.close()


def run_housekeeping(settings: Settings, stop: Event, shown: "Telemetry | None" = None) -> None:
    """What is swept up, until `stop` is set. One process of all does it; the others wait for its end."""
    pool = connection_pool(settings, 2)
    store = EventStore(settings.database_url, connections=2)
    leadership = Leadership(settings.database_url, HOUSEKEEPING_LOCK, name=HOUSEKEEPING_DUTY)
    _show(shown, pool, leadership)

    def lead(term: Term) -> None:
        reconciler = _reconciler(settings, store.of_leader(HOUSEKEEPING_DUTY, term.number), pool)
        duties = [
            Thread(target=reconciler.run, args=(term.stop, settings.reconcile_interval), name="sweep", daemon=True),
            Thread(target=keep_forgetting, args=(pool, term.stop, _FORGET_SECONDS), name="old keys", daemon=True),
        ]
        for duty in duties:
            duty.start()
        for duty in duties:
            duty.join()

    leadership.run(stop, lead)
    pool.close()
    store.close()


def _reconciler(settings: Settings, store: EventStore, pool: ConnectionPool) -> Reconciler:
    outside = _outside(settings, pool)
    return Reconciler(
        _comparison(store, outside),
        ExpectedRows(pool, store),
        outside.compute,
        Outcomes(store, Turns(store)),
        Repairs(settings, store),
        remove_orphans=settings.remove_orphans,
        has_files=settings.profile != Profile.NOOP,
    )


def comparison(settings: Settings, store: EventStore, pool: ConnectionPool) -> tuple[Comparison, ComputeDriver]:
    """For operators: what finds differences, and what takes down what they want taken down."""
    outside = _outside(settings, pool)
    return _comparison(store, outside), outside.compute


def _comparison(store: EventStore, outside: "_Outside") -> Comparison:
    return Comparison(store, outside.compute, outside.driver, partial(time.sleep, _ASK_AGAIN_SECONDS))


def _show(shown: "Telemetry | None", pool: ConnectionPool, leadership: Leadership | None = None) -> None:
    """What monitoring sees of every service."""
    if shown is None:
        return
    database = DatabaseReadings(pool)
    shown.readings.show("log", database.log)
    shown.readings.show("actions", database.actions)
    if leadership is not None:
        shown.readings.show("duty", leadership.readings)
    shown.not_ready = database.not_ready


def run_health_manager(
    settings: Settings, stop: Event, shown: "Telemetry | None" = None, descriptor: int | None = None
) -> None:
    """Heartbeats in, changes of health out, until `stop` is set. In the noop profile nothing sends any.

    One of all health managers decides; the others hand on to it what they hear, and take over when it is gone.
    Raises OSError when the port for heartbeats cannot be bound.

    descriptor  a socket for heartbeats that the parent process bound, None to bind one
    """
    from infra.heartbeat_forwarding import Forwarding, LeaderAddress, reached_at
    from infra.heartbeats import inherited, listening

    pool = connection_pool(settings, 4)
    address = settings.heartbeat_host, settings.heartbeat_port
    with listening(address) if descriptor is None else inherited(descriptor) as ear:
        leadership = Leadership(settings.database_url, HEALTH_LOCK, name=HEALTH_DUTY, address=reached_at(ear))
        forwarding = Forwarding(ear, LeaderAddress(pool, HEALTH_DUTY), lambda: leadership.leads)
        _show(shown, pool, leadership)
        if settings.profile == Profile.NOOP:
            stop.wait()
            return
        Thread(target=forwarding.run, args=(stop,), name="forwarding", daemon=True).start()
        leadership.run(stop, partial(_watch_over_health, settings, pool, ear, shown))
    pool.close()


def _watch_over_health(
    settings: Settings, pool: ConnectionPool, ear: socket.socket, shown: "Telemetry | None", term: Term
) -> None:
    from infra.health_manager import HealthManager

    store = EventStore(settings.database_url, connections=4).of_leader(HEALTH_DUTY, term.number)
    trust = TrustStore.open(settings.trust_directory)
    manager = HealthManager(
        settings=settings,
        store=store,
        pool=pool,
        driver=amphora_driver(trust),
        outcomes=Outcomes(store, Turns(store)),
        keys_of=lambda amphora_id: heartbeat_keys(trust.heartbeat_masters, amphora_id),
        ear=ear,
    )
    if shown is not None:
        shown.readings.show("health", manager.readings)
    try:
        with few_collections(100_000):
            manager.run(term.stop)
    finally:
        store.close()


def _performers(settings: Settings, store: EventStore, pool: ConnectionPool, outside: "_Outside") -> dict[str, Perform]:
    """Which method carries out which kind of action."""
    turns = Turns(store)
    outcomes, amphora_outcomes = Outcomes(store, turns), AmphoraOutcomes(store, turns)
    look_again_seconds = 0.05 if settings.profile == Profile.LOCAL else 2.0
    build = AmphoraBuildActions(
        store,
        outcomes,
        amphora_outcomes,
        outside.compute,
        outside.network,
        outside.driver,
        outside.boot_files,
        look_again_seconds=look_again_seconds,
    )
    agents = AgentConfigurationActions(
        store, amphora_outcomes, outside.driver, outside.boot_files, look_again_seconds=look_again_seconds
    )
    repairs = RepairActions(
        store,
        outcomes,
        outside.driver,
        partial(time.sleep, _ASK_AGAIN_SECONDS),
        look_again_seconds=look_again_seconds,
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
        "RemoveFailedAmphora": build.remove_failed,
        "ReleaseVip": build.release_vip,
        "RepairAmphora": repairs.repair,
        "ApplyConfiguration": configuration.apply,
        "PushConfiguration": configuration.push,
        "RetryRefused": configuration.retry_refused,
        "ConfigureAgent": agents.configure,
    }
    return performers


@dataclass(frozen=True, kw_only=True)
class _Outside:
    """The drivers of one profile."""

    compute: ComputeDriver
    network: Network
    driver: AmphoraDriver
    boot_files: AmphoraBootFiles | NoBootFiles
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


def _network(settings: Settings, pool: ConnectionPool, told: Told | None = None) -> Network:
    rules = vip_rules(settings)
    if settings.profile != Profile.NOOP:
        return LocalNetwork(pool, rules)
    prepared = prepared_network(dict(told.network) if told is not None else {})
    return NoopNetwork(lambda: prepared, lambda: rules)


def vip_rules(settings: Settings) -> VipRules:
    """What an operator allows of VIPs."""
    return VipRules(
        allow_vip_port_id=settings.allow_vip_port_id,
        allow_vip_network_id=settings.allow_vip_network_id,
        allow_vip_subnet_id=settings.allow_vip_subnet_id,
        valid_vip_networks=settings.valid_vip_networks or (),
        denylist_vip_networks=settings.denylist_vip_networks,
        topology=settings.loadbalancer_topology.value,
    )


def amphora_driver(store: TrustStore) -> RestAmphoraDriver:
    """Talks to real agents."""
    trust = store.trust
    files = trust.controller_certificate_file, trust.server_ca_file
    return RestAmphoraDriver(RestSettings(*files, request_id=request_id))


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
            additional_addresses=load_balancer.vip.addresses[1:],
            tree=tree,
            revision=load_balancer.revision,
            log_id=log_id,
            options=options,
        )

    return renderer


def connection_pool(settings: Settings, size: int) -> ConnectionPool:
    """Connections in autocommit, with limits so that nothing waits for ever."""
    return Pool(settings.database_url, size, options=_SESSION)
