"""Puts the parts together: the only place that knows them all."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
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
from infra.controlled import ControlledApi, Holding, Told, control_routes
from infra.event_store import CHANNEL as EVENTS_CHANNEL
from infra.event_store import EventStore
from infra.gates import behind_gates
from infra.idempotency import keep_forgetting
from infra.identity import Allows, nothing
from infra.local_compute import LocalCompute
from infra.local_network import LocalNetwork
from infra.log_stream import LogStream, PostgresLedger
from infra.noop_compute import NoopComputeDriver
from infra.noop_network import NoopNetwork
from infra.prepared_network import prepared_network
from infra.provider_drivers import providers_of
from infra.settings import Profile, Settings
from infra.state_directory import StateDirectory
from infra.trust_store import TrustStore
from infra.wakeup import Wakeup
from processes.agent_configuration import AgentConfigurationActions, AgentConfigurationProcess
from processes.amphora_build import AmphoraBuildActions, AmphoraBuildProcess
from processes.configuration import ConfigurationActions, ConfigurationProcess, Renderer
from processes.housekeeping import OrphanSweep
from processes.ports import ComputeDriver
from processes.runner import Process, ProcessRunner
from processes.worker import Perform, Worker

if TYPE_CHECKING:
    from infra.policy import Policy  # takes a while to import

CONSUMER = "processes"
_SWEEP_SECONDS = 10.0
_FORGET_SECONDS = 600.0
# Statements are prepared while a queue is empty and a table small: a plan that reads the whole table would stay.
_SESSION = "-c lock_timeout=5s -c statement_timeout=20s -c idle_in_transaction_session_timeout=5s -c enable_seqscan=off"
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
        certificates=_certificates(settings),
        control=control_routes(limited, limited, Turns(limited), pool) if settings.profile == Profile.NOOP else {},
    )
    return behind_gates(served, settings)


def _certificates(settings: Settings) -> Certificates:
    if settings.profile == Profile.NOOP:
        return UnreadCertificates()
    endpoint = settings.barbican_endpoint
    return StoredCertificates(NoSecrets() if endpoint is None else Barbican(endpoint))


def deployment_of(settings: Settings) -> Deployment:
    """What an operator's settings presume and allow."""
    return settings.deployment


def run_worker(settings: Settings, stop: Event) -> None:
    """Processes and their actions, until `stop` is set."""
    pool = connection_pool(settings, settings.worker_threads + 2)
    store = EventStore(settings.database_url, connections=settings.worker_threads)
    events, actions = Wakeup(settings.database_url, EVENTS_CHANNEL), Wakeup(settings.database_url, ACTIONS_CHANNEL)
    stream = LogStream(pool, store.mapper, events)
    processes: list[Process] = [AmphoraBuildProcess(), ConfigurationProcess(), AgentConfigurationProcess()]
    runner = ProcessRunner(CONSUMER, processes, stream, PostgresLedger(pool, settings))
    queue = PostgresActionQueue(pool, settings, actions)
    outside = _outside(settings, pool)
    performers = _performers(settings, store, pool, outside)
    if settings.profile == Profile.NOOP:
        holding = Holding(pool)
        performers = {kind: holding.held(perform) for kind, perform in performers.items()}
    worker = Worker(queue, performers, threads=settings.worker_threads)
    sweep = OrphanSweep(store, outside.compute)
    beside = [
        Thread(target=runner.run, args=(stop,), name="processes", daemon=True),
        Thread(target=sweep.run, args=(stop, _SWEEP_SECONDS), name="sweep", daemon=True),
        Thread(target=keep_forgetting, args=(pool, stop, _FORGET_SECONDS), name="old keys", daemon=True),
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
            additional_addresses=load_balancer.vip.addresses[1:],
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
