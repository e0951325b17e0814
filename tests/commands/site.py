"""A load balancer with one of everything, and a store, a network and a provider that can be made to misbehave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from eventsourcing.domain import Aggregate

from commands.deciding import Deciding
from commands.ports import Attempt, Choice, Origin, Resolved, Subnet, VipPlace, VipRequest
from commands.providers import Providers, UnsupportedOption
from commands.turns import Turns
from domain.amphora import Amphora
from domain.deployment import Deployment
from domain.errors import Invalid
from domain.fields import OperatingStatus
from domain.health import LoadBalancerHealth
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.pool import Pool
from domain.vip import Vip
from infra.memory import MemoryStore
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    a_vip,
    an_l7_policy,
    an_l7_rule,
    confirm,
)

A = TypeVar("A", bound=Aggregate)


@dataclass
class WatchedDriver:
    """A provider's driver that remembers what it was asked, and refuses everything if it is told to."""

    keeps_amphorae: bool = True
    refuses: bool = False
    asked: list[tuple[str, Sequence[object]]] = field(default_factory=list)

    def ask(self, method: str, values: Sequence[object]) -> None:
        self.asked.append((method, values))
        if self.refuses:
            raise UnsupportedOption("not on a Friday")

    def flavor_capabilities(self) -> Mapping[str, str]:
        return {}

    def zone_capabilities(self) -> Mapping[str, str]:
        return {}

    def require_flavor_data(self, data: object) -> None:
        self._require_kept(data)

    def require_zone_data(self, data: object) -> None:
        self._require_kept(data)

    def _require_kept(self, data: object) -> None:
        if data == {"loom": True}:
            raise UnsupportedOption("no loom here")


@dataclass
class Site:
    """The load balancer is ACTIVE. It is its own commands.ports.Aggregates, VipAllocation and Catalogue.

    before_save, after_save  done once, at the next save
    chosen                   flavor id or name of a zone -> what it is
    qos_policies, security_groups, subnets  those that there are
    missing_subnets          those in which no VIP can be
    """

    deployment: Deployment = field(default_factory=Deployment)
    store: MemoryStore = field(default_factory=MemoryStore)
    driver: WatchedDriver = field(default_factory=WatchedDriver)
    remote: WatchedDriver = field(default_factory=lambda: WatchedDriver(keeps_amphorae=False))
    listener: Listener = field(default_factory=a_listener)
    pool: Pool = field(default_factory=a_pool)
    network_id: UUID = field(default_factory=uuid4)
    before_save: Callable[[], None] | None = None
    after_save: Callable[[], None] | None = None
    chosen: dict[UUID | str, Choice] = field(default_factory=dict)
    qos_policies: set[UUID] = field(default_factory=set)
    security_groups: set[UUID] = field(default_factory=set)
    subnets: dict[UUID, Subnet] = field(default_factory=dict)
    missing_subnets: set[UUID] = field(default_factory=set)
    vips_asked_for: list[VipRequest] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.member = a_member(self.pool)
        self.monitor = a_health_monitor(self.pool)
        self.policy = an_l7_policy(self.listener)
        self.rule = an_l7_rule(self.policy)
        self.amphora_id, self.failed_id = uuid4(), uuid4()
        load_balancer = a_load_balancer(vip=self.vip("127.20.0.1"), amphora_ids=(self.amphora_id,))
        self.id = load_balancer.id
        load_balancer.add_listener(self.listener)
        load_balancer.add_pool(self.pool)
        load_balancer.add_member(self.member)
        load_balancer.add_health_monitor(self.monitor)
        load_balancer.add_l7_policy(self.policy)
        load_balancer.add_l7_rule(self.rule)
        confirm(load_balancer)
        self.store.save(load_balancer, self._serving(), self._failed(), origin=Origin())

    def _serving(self) -> Amphora:
        amphora = Amphora.request(self.amphora_id, load_balancer_id=self.id)
        amphora.booted("compute")
        amphora.became_reachable("127.17.0.5", "2.6")
        amphora.vip_plugged()
        amphora.entered_service()
        return amphora

    def _failed(self) -> Amphora:
        amphora = Amphora.request(self.failed_id, load_balancer_id=self.id)
        amphora.failed("when booting", "no host")
        return amphora

    def vip(self, address: str) -> Vip:
        return a_vip(address=address, network_id=self.network_id)

    @property
    def deciding(self) -> Deciding:
        enabled = {"amphora": "on amphorae", "remote": "elsewhere", "lost": "enabled, but not there"}
        providers = Providers(enabled, "amphora", {"amphora": self.driver, "remote": self.remote})
        return Deciding(self, Turns(self), providers, self.deployment)

    # commands.ports.Aggregates

    def load(self, kind: type[A], id: UUID) -> A:
        return self.store.load(kind, id)

    def load_balancer(self, id: UUID) -> LoadBalancer:
        return self.store.load_balancer(id)

    def amphora(self, id: UUID) -> Amphora:
        return self.store.amphora(id)

    def save(self, *aggregates: Aggregate, origin: Origin, completing: Attempt | None = None) -> datetime | None:
        disturb, self.before_save = self.before_save, None
        if disturb:
            disturb()
        recorded_at = self.store.save(*aggregates, origin=origin, completing=completing)
        disturb, self.after_save = self.after_save, None
        if disturb:
            disturb()
        return recorded_at

    def load_balancer_as_of(self, id: UUID, command_id: UUID) -> tuple[LoadBalancer, datetime] | None:
        return self.store.load_balancer_as_of(id, command_id)

    def was_carried_out(self, command_id: UUID) -> bool:
        return self.store.was_carried_out(command_id)

    # commands.ports.VipAllocation

    def locate(self, request: VipRequest) -> VipPlace:
        if request.subnet_id in self.missing_subnets:
            raise Invalid(f"Subnet {request.subnet_id} not found.")
        return VipPlace(network_id=self.network_id, subnet_id=request.subnet_id or uuid4(), address=request.address)

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        self.vips_asked_for.append(request)
        return Resolved(vip=self.vip(request.address or f"127.20.0.{attempt + 1}"))

    def require_qos_policy(self, id: UUID | None) -> None:
        if id is not None and id not in self.qos_policies:
            raise Invalid(f"qos_policy {id} not found.")

    def require_security_groups(self, ids: Sequence[UUID]) -> None:
        for id in ids:
            if id not in self.security_groups:
                raise Invalid(f"Security Group {id} not found.")

    def find_subnet(self, id: UUID) -> Subnet | None:
        return self.subnets.get(id)

    # commands.ports.Catalogue

    def flavor(self, id: UUID) -> Choice | None:
        return self.chosen.get(id)

    def availability_zone(self, name: str) -> Choice | None:
        return self.chosen.get(name)

    # What others do

    def change(self, decide: Callable[[LoadBalancer], object]) -> None:
        """Another writer, who knows nothing of us."""
        load_balancer = self.now
        decide(load_balancer)
        self.store.save(load_balancer, origin=Origin())

    def rename(self) -> None:
        self.change(lambda it: it.change(replace(it.settings, description="outrun")))

    def fail(self) -> None:
        """The load balancer itself is ERROR: a change of its own was not confirmed in time."""
        minute = timedelta(seconds=60)
        self.rename()
        self.change(lambda it: it.deadline_is_reached(it.modified_on + minute, minute, "push", "no answer"))

    def refuse(self, change: Callable[[LoadBalancer], object], id: UUID) -> None:
        """A change is refused because of one object; everything else runs."""
        self.change(change)
        self.change(lambda it: it.configuration_is_refused(self.amphora_id, it.revision, {id: "no"}))
        self.change(confirm)

    # What tests look at

    @property
    def now(self) -> LoadBalancer:
        return self.store.load_balancer(self.id)

    @property
    def commits(self) -> int:
        return len(self.store.memory.commits)

    @property
    def events(self) -> int:
        return len(self.store.recorder.select_notifications(None, 10_000))

    def measured(self, statuses: Mapping[UUID, OperatingStatus]) -> None:
        health = LoadBalancerHealth.begin(self.id)
        health.measured(statuses)
        self.store.save(health, origin=Origin())


Commands = Callable[[Site], Any]
