"""A whole service in memory: command handlers, processes, actions, and an outside that remembers what is left in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from amphora.driver import NoopAmphoraDriver
from amphora.haproxy import RenderOptions, render
from commands.amphora import AmphoraHandler
from commands.amphora_outcome import AmphoraOutcomes
from commands.deciding import Deciding
from commands.graph import Graph
from commands.load_balancer import CreateLoadBalancer, DeleteLoadBalancer, FailOver, LoadBalancerHandler
from commands.outcome import Outcomes
from commands.ports import Origin, Resolved, StoreUnavailable, VipPlace, VipRequest
from commands.repair import Repair, RepairHandler
from commands.turns import Turns
from domain.fields import ProvisioningStatus
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.tree import Tree
from domain.vip import Vip
from infra.boot_files import NoBootFiles
from infra.memory import LEASE, Clock, MemoryActionQueue, MemoryLedger, MemoryStore, MemoryStream
from infra.noop_compute import NoopComputeDriver
from infra.noop_network import NoopNetwork
from infra.provider_drivers import providers_of
from infra.settings import Profile
from processes.actions import RetryRefused, Term
from processes.agent_configuration import AgentConfigurationActions, AgentConfigurationProcess
from processes.amphora_build import AmphoraBuildActions, AmphoraBuildProcess
from processes.configuration import ConfigurationActions, ConfigurationProcess
from processes.parking import Parking
from processes.ports import AmphoraPort, ComputeState, NetworkFault
from processes.reconciliation import Comparison
from processes.repair import RepairActions, RepairProcess
from processes.runner import Runner, side_by_side
from processes.worker import Worker
from tests.given import NothingToChoose
from tests.processes.faults import Points, Watched, WorkerDied

_LOOK_AGAIN_SECONDS = 2.0  # as with a cloud
TERMS = {Term.PUSH: 6.0, Term.BUILD: 20.0, Term.DELETE: 10.0}
LONGEST_PENDING = timedelta(seconds=TERMS[Term.BUILD] + TERMS[Term.PUSH] + 8)
"""The deadlines, and the longest pause between two tries of an action."""

_CONFIGURATION = ("load_configuration", "remove_configuration", "check_configuration")

PENDING = {
    ProvisioningStatus.PENDING_CREATE,
    ProvisioningStatus.PENDING_UPDATE,
    ProvisioningStatus.PENDING_DELETE,
}


class SimulatedNetwork(NoopNetwork):
    """Remembers the ports of VIPs and which amphorae they reach."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: dict[UUID, set[UUID]] = {}

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        self.ports.setdefault(request.load_balancer_id, set())
        return super().allocate(request, place, attempt)

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        if load_balancer_id not in self.ports:
            raise NetworkFault("no such port")
        self.ports[load_balancer_id].add(amphora_id)
        return super().plug_vip(load_balancer_id, amphora_id, vip)

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        self.ports.pop(load_balancer_id, None)


@dataclass
class SimulatedCompute(NoopComputeDriver):
    """What runs on a machine ends with it.

    broken   amphorae that never come up
    is_full  whether none comes up
    boots    amphorae in the order in which they were booted first
    """

    driver: NoopAmphoraDriver = field(default_factory=NoopAmphoraDriver)
    broken: set[UUID] = field(default_factory=set)
    is_full: bool = False
    boots: list[UUID] = field(default_factory=list)

    def boot(self, order: Any) -> str:
        if order.amphora_id not in self.booted:
            self.boots.append(order.amphora_id)
        return super().boot(order)

    def look(self, compute_id: str) -> ComputeState:
        if UUID(compute_id) not in self.booted:
            return ComputeState(status="GONE")
        if self.is_full or UUID(compute_id) in self.broken:
            return ComputeState(status="ERROR", fault="No valid host was found")
        return super().look(compute_id)

    def remove(self, amphora_id: UUID) -> None:
        super().remove(amphora_id)
        self.driver.unreachable.add(amphora_id)
        self.driver.vips.pop(amphora_id, None)
        for amphora, load_balancer in list(self.driver.configurations):
            if amphora == amphora_id:
                del self.driver.configurations[amphora, load_balancer]


def rendered(load_balancer: LoadBalancer, tree: Tree) -> str | None:
    return render(
        load_balancer_id=load_balancer.id,
        project_id=load_balancer.project_id,
        enabled=load_balancer.settings.admin_state_up,
        vip_address=load_balancer.vip.address,
        tree=tree,
        revision=load_balancer.revision,
        log_id=UUID(int=1),
        options=RenderOptions(),
    )


def no_pause() -> None:
    """Between two questions to an agent that does not answer."""


class World:
    """One process after another does its work, and where all wait, time passes."""

    def __init__(self, clock: Clock, points: Points | None = None) -> None:
        self.clock = clock
        self.points = points or Points(clock)
        self.store = MemoryStore(clock)
        self.store.memory.terms = TERMS
        self.driver = NoopAmphoraDriver()
        self.compute = SimulatedCompute(driver=self.driver)
        self.network = SimulatedNetwork()
        self.queue = MemoryActionQueue(self.store.memory)
        self.outcomes = Outcomes(self.store, Turns(self.store))
        deciding = Deciding(self.store, Turns(self.store), providers_of(Profile.NOOP))
        self.handler = LoadBalancerHandler(deciding, self.network, NothingToChoose())
        self.amphorae = AmphoraHandler(deciding)
        self.repairs = RepairHandler(deciding)
        self.comparison = Comparison(self.store, self.compute, self.driver, no_pause)
        ledger: Any = Watched("ledger", MemoryLedger(self.store.memory), self.points, ("advance",))
        processes = [AmphoraBuildProcess(), ConfigurationProcess(), AgentConfigurationProcess(), RepairProcess()]
        parking = Parking("processes", self.store)
        self.runner = Runner("processes", side_by_side(processes), MemoryStream(self.store), ledger, parking)
        self._watched_queue: Any = Watched("queue", self.queue, self.points, ("complete", "look_again", "failed"))
        self.points.meanwhile = self._go_on_without_the_worker
        self.worker = self._new_worker()

    def _performers(self) -> Any:
        def watched(name: str, target: object, *methods: str) -> Any:
            return Watched(name, target, self.points, methods)

        store = watched("store", self.store, "save")
        turns = Turns(store, patience_seconds=0.01)
        outcomes, amphora_outcomes = Outcomes(store, turns), AmphoraOutcomes(store, turns)
        compute = watched("compute", self.compute, "boot", "look", "remove")
        network = watched("network", self.network, "plug_vip", "release_vip")
        driver = watched("driver", self.driver, "info", "plug_vip", "update_agent_configuration", *_CONFIGURATION)
        files = NoBootFiles()
        build = AmphoraBuildActions(
            store, outcomes, amphora_outcomes, compute, network, driver, files, look_again_seconds=_LOOK_AGAIN_SECONDS
        )
        agents = AgentConfigurationActions(
            store, amphora_outcomes, driver, files, look_again_seconds=_LOOK_AGAIN_SECONDS
        )
        deadline = timedelta(seconds=TERMS[Term.PUSH])
        configuration = ConfigurationActions(store, self.store, outcomes, driver, rendered, push_deadline=deadline)
        return {
            "BuildAmphora": build.build,
            "OrderReplacement": build.order_replacement,
            "RemoveAmphora": build.remove,
            "RemoveFailedAmphora": build.remove_failed,
            "ReleaseVip": build.release_vip,
            "RepairAmphora": RepairActions(
                store, outcomes, driver, no_pause, look_again_seconds=_LOOK_AGAIN_SECONDS
            ).repair,
            "ApplyConfiguration": configuration.apply,
            "PushConfiguration": configuration.push,
            "RetryRefused": configuration.retry_refused,
            "ConfigureAgent": agents.configure,
        }

    def _new_worker(self) -> Worker:
        """In a process of its own: nothing is shared with others but what is stored."""
        return Worker(self._watched_queue, self._performers(), threads=1)

    def _go_on_without_the_worker(self) -> None:
        stalled, self.worker = self.worker, self._new_worker()
        self.clock.advance(LEASE.total_seconds() + 0.001)
        self.come_to_rest()
        self.worker = stalled

    # What users do

    def create(self, provider: str = "amphora") -> UUID:
        id = uuid4()
        vip = VipRequest(load_balancer_id=id, project_id="p", network_id=uuid4())
        settings = LoadBalancerSettings()
        self.handler.create(CreateLoadBalancer(id, vip, provider, settings, Graph(), None, None, Origin()))
        return id

    def fail_over(self, id: UUID) -> None:
        self.handler.fail_over(FailOver(id, Origin()))

    def repair(self, id: UUID, why: str = "it looks wrong") -> None:
        self.repairs.repair(Repair(id, why, Origin()))

    def delete(self, id: UUID) -> None:
        self.handler.delete(DeleteLoadBalancer(id, True, Origin()))

    def save(self, load_balancer: LoadBalancer) -> None:
        self.store.save(load_balancer, origin=Origin())

    def amphora_of(self, id: UUID) -> UUID:
        (amphora_id,) = self.store.load_balancer(id).amphora_ids
        return amphora_id

    # What goes on by itself

    def step(self) -> bool:
        """One round of processes and actions; False when there was nothing to do at this time."""
        try:
            news = self.runner.run_once()
        except StoreUnavailable:
            self.clock.advance(0.5)
            return True
        except WorkerDied:
            return True
        claims = self.queue.claim("worker", 10)
        for claim in claims:
            try:
                self.worker.perform(claim)
            except StoreUnavailable:
                pass  # nobody prolongs its lease any more
            except WorkerDied:
                self.worker = self._new_worker()
                break
        return news or bool(claims)

    def come_to_rest(self) -> None:
        """Until nothing waits but what was refused, and the fault, if there is one, is over."""
        for _ in range(5_000):
            if self.step():
                self.check_deadlines()
            elif not self._let_time_pass():
                return
        raise AssertionError(f"never came to rest: {self.store.memory.actions}")

    def _let_time_pass(self) -> bool:
        rows = self.store.memory.actions.values()
        waiting = [row for row in rows if row.lease_until or not isinstance(row.action, RetryRefused)]
        if not waiting:
            return False
        times = [row.lease_until + timedelta(milliseconds=1) if row.lease_until else row.due_at for row in waiting]
        self.clock.now = min(time for time in times if time > self.clock.now)  # what is due waits for its lane
        return True

    # What must hold

    def load_balancers(self) -> Iterable[LoadBalancer]:
        ids = {key[0] for key in self.store.memory.tables.get("load_balancers", {})}
        return [self.store.load_balancer(id) for id in ids if isinstance(id, UUID)]

    def statuses(self, id: UUID) -> dict[UUID, ProvisioningStatus | None]:
        load_balancer = self.store.load_balancer(id)
        return {object_id: load_balancer.status_of(object_id) for object_id in load_balancer.progress.marks}

    def check_deadlines(self) -> None:
        """Nothing is PENDING past its deadline, except where nothing could be recorded at all."""
        if self.points.nothing_is_stored:
            return
        for load_balancer in self.load_balancers():
            self.check_reason(load_balancer)
            statuses = {load_balancer.status_of(id) for id in load_balancer.progress.marks}
            if not statuses & PENDING:
                continue
            asked_at = load_balancer.progress.asked_at.values()
            since = load_balancer.modified_on if load_balancer.being_deleted else min(asked_at)
            assert self.clock.now - since <= LONGEST_PENDING, f"PENDING since {since}, now {self.clock.now}"

    def check_reason(self, load_balancer: LoadBalancer) -> None:
        """An ERROR says why: in its own row, or in that of the load balancer when its deadline passed."""
        rows = self.store.memory.tables
        (own,) = (row for key, row in rows["load_balancers"].items() if key == (load_balancer.id,))
        for id, marks in load_balancer.progress.marks.items():
            if load_balancer.status_of(id) == ProvisioningStatus.ERROR:
                assert rows[marks.kind][(id,)].get("reason") or own.get("reason"), f"{marks.kind} is ERROR, and why?"

    def remove_orphans(self) -> None:
        for id in self.comparison.orphans():
            self.compute.remove(id)

    def check_nothing_is_left_but(self, *ids: UUID) -> None:
        """Outside there is exactly what these load balancers need; nothing waits to be done."""
        if self.points.fault and self.points.fault.stalls:
            self.remove_orphans()  # what a stalled worker boots after it was outrun
        wanted = {amphora_id for id in ids for amphora_id in self.store.load_balancer(id).amphora_ids}
        assert set(self.compute.booted) == wanted
        assert set(self.network.ports) == set(ids)
        assert {amphora_id for amphora_id, _ in self.driver.configurations} <= wanted
        assert not [row for row in self.store.memory.actions.values() if not isinstance(row.action, RetryRefused)]
