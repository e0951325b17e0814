"""Every handler of a command: done, refused, repeated because its answer was lost, and outrun by another writer."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import pytest

import commands
from commands.accepted import Accepted
from commands.health_monitor import AddHealthMonitor, ChangeHealthMonitor, HealthMonitorHandler, RemoveHealthMonitor
from commands.listener import AddListener, ChangeListener, ListenerHandler, RemoveListener
from commands.load_balancer import ChangeLoadBalancer, CreateLoadBalancer, DeleteLoadBalancer, LoadBalancerHandler
from commands.member import AddMember, ChangeMember, MemberHandler, RemoveMember, ReplaceMembers
from commands.pool import AddPool, ChangePool, PoolHandler, RemovePool
from commands.ports import Attempt, Origin, Subnet, VipRequest
from commands.turns import Turns
from domain.amphora import Amphora
from domain.errors import (
    AddressTaken,
    ConcurrentChange,
    DuplicateHealthMonitor,
    DuplicateListener,
    DuplicateMember,
    HasChildren,
    Immutable,
    Invalid,
    NotAnOption,
    NotFound,
    ProtocolMismatch,
    Refused,
)
from domain.load_balancer import LoadBalancer, LoadBalancerSettings, Vip
from domain.pool import PoolProtocol
from infra.memory import MemoryStore
from tests.given import a_health_monitor, a_listener, a_load_balancer, a_member, a_pool, a_vip


@dataclass
class Site:
    """A load balancer with one of everything, and a store that can be made to misbehave once."""

    store: MemoryStore = field(default_factory=MemoryStore)
    listener: Any = field(default_factory=a_listener)
    pool: Any = field(default_factory=a_pool)
    network_id: UUID = field(default_factory=uuid4)
    before_save: Callable[[], None] | None = None
    after_save: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.member = a_member(self.pool)
        self.monitor = a_health_monitor(self.pool)
        load_balancer = a_load_balancer(vip=self.vip("127.20.0.1"))
        self.id = load_balancer.id
        load_balancer.add_listener(self.listener)
        load_balancer.add_pool(self.pool)
        load_balancer.add_member(self.member)
        load_balancer.add_health_monitor(self.monitor)
        self.store.save(load_balancer, origin=Origin())

    def vip(self, address: str) -> Vip:
        return a_vip(address=address, network_id=self.network_id)

    # commands.ports.Aggregates

    def load_balancer(self, id: UUID) -> LoadBalancer:
        return self.store.load_balancer(id)

    def amphora(self, id: UUID) -> Amphora:
        return self.store.amphora(id)

    def save(
        self, *aggregates: LoadBalancer | Amphora, origin: Origin, completing: Attempt | None = None
    ) -> datetime | None:
        disturb, self.before_save = self.before_save, None
        if disturb:
            disturb()
        recorded_at = self.store.save(*aggregates, origin=origin, completing=completing)
        disturb, self.after_save = self.after_save, None
        if disturb:
            disturb()
        return recorded_at

    def was_carried_out(self, command_id: UUID) -> bool:
        return self.store.was_carried_out(command_id)

    # commands.ports.VipAllocation

    def resolve(self, request: VipRequest, attempt: int) -> Vip:
        return self.vip(request.address or f"127.20.0.{attempt + 1}")

    def find_subnet(self, id: UUID) -> Subnet | None:
        return None

    # What tests look at

    @property
    def now(self) -> LoadBalancer:
        return self.store.load_balancer(self.id)

    def rename(self) -> None:
        """Another writer, who knows nothing of us."""
        load_balancer = self.store.load_balancer(self.id)
        load_balancer.change(replace(load_balancer.settings, description="outrun"))
        self.store.save(load_balancer, origin=Origin())


Commands = Callable[[Site], Any]


@dataclass(frozen=True)
class Case:
    """A command that is carried out, what it leaves, and one that is refused."""

    handler: type
    method: str
    command: Commands
    effect: Callable[[Site], object]
    refused: Commands
    error: type[Refused]

    def carry_out(self, site: Site, command: Any) -> Accepted:
        more = {
            LoadBalancerHandler: {"vips": site},
            MemberHandler: {"vips": site, "reserved": ("169.254.169.254",)},
            HealthMonitorHandler: {"ping_allowed": False},
        }
        handler = self.handler(site, Turns(site), **more.get(self.handler, {}))
        accepted: Accepted = getattr(handler, self.method)(command)
        return accepted


NEW, NOWHERE = uuid4(), uuid4()
BAD = PoolProtocol.TCP


def create(site: Site, **said: Any) -> CreateLoadBalancer:
    vip = VipRequest(load_balancer_id=NEW, project_id="p", subnet_id=uuid4(), **said)
    return CreateLoadBalancer(NEW, vip, "amphora", LoadBalancerSettings(name="new"), Origin())


def entry(last: int, **said: Any) -> dict[str, Any]:
    return {"address": f"127.0.0.{last}", "protocol_port": 8080, **said}


CASES = [
    Case(
        *(LoadBalancerHandler, "create", create, lambda site: site.store.load_balancer(NEW).settings.name == "new"),
        *(lambda site: create(site, address="127.20.0.1"), AddressTaken),
    ),
    Case(
        *(LoadBalancerHandler, "change", lambda site: ChangeLoadBalancer(site.id, {"name": "new"}, Origin())),
        lambda site: site.now.settings.name == "new",
        *(lambda site: ChangeLoadBalancer(NOWHERE, {}, Origin()), NotFound),
    ),
    Case(
        *(LoadBalancerHandler, "delete", lambda site: DeleteLoadBalancer(site.id, True, Origin())),
        lambda site: site.now.being_deleted,
        *(lambda site: DeleteLoadBalancer(site.id, False, Origin()), HasChildren),
    ),
    Case(
        *(ListenerHandler, "add", lambda site: AddListener(site.id, a_listener(id=NEW, protocol_port=81), Origin())),
        lambda site: NEW in site.now.tree.listeners,
        *(lambda site: AddListener(site.id, a_listener(), Origin()), DuplicateListener),
    ),
    Case(
        *(ListenerHandler, "change", lambda site: ChangeListener(site.id, site.listener.id, {"name": "new"}, Origin())),
        lambda site: site.now.tree.listeners[site.listener.id].name == "new",
        lambda site: ChangeListener(site.id, site.listener.id, {"insert_headers": {"X-Loom": "true"}}, Origin()),
        NotAnOption,
    ),
    Case(
        *(ListenerHandler, "remove", lambda site: RemoveListener(site.id, site.listener.id, Origin())),
        lambda site: not site.now.tree.listeners,
        *(lambda site: RemoveListener(site.id, NOWHERE, Origin()), NotFound),
    ),
    Case(
        *(PoolHandler, "add", lambda site: AddPool(site.id, a_pool(id=NEW), site.listener.id, Origin())),
        lambda site: site.now.tree.listeners[site.listener.id].default_pool_id == NEW,
        *(lambda site: AddPool(site.id, a_pool(protocol=BAD), site.listener.id, Origin()), ProtocolMismatch),
    ),
    Case(
        *(PoolHandler, "change", lambda site: ChangePool(site.id, site.pool.id, {"name": "new"}, Origin())),
        lambda site: site.now.tree.pools[site.pool.id].name == "new",
        *(lambda site: ChangePool(site.id, site.pool.id, {"session_persistence": {}}, Origin()), Invalid),
    ),
    Case(
        *(PoolHandler, "remove", lambda site: RemovePool(site.id, site.pool.id, Origin())),
        lambda site: not site.now.tree.pools,
        *(lambda site: RemovePool(site.id, NOWHERE, Origin()), NotFound),
    ),
    Case(
        *(MemberHandler, "add", lambda site: AddMember(site.id, a_member(site.pool, id=NEW, **entry(1)), Origin())),
        lambda site: NEW in site.now.tree.members,
        *(lambda site: AddMember(site.id, a_member(site.pool), Origin()), DuplicateMember),
    ),
    Case(
        *(MemberHandler, "change"),
        lambda site: ChangeMember(site.id, site.pool.id, site.member.id, {"weight": 7}, Origin()),
        lambda site: site.now.tree.members[site.member.id].weight == 7,
        *(lambda site: ChangeMember(site.id, site.pool.id, NOWHERE, {}, Origin()), NotFound),
    ),
    Case(
        *(MemberHandler, "remove"),
        lambda site: RemoveMember(site.id, site.pool.id, site.member.id, Origin()),
        lambda site: not site.now.tree.members,
        *(lambda site: RemoveMember(site.id, NOWHERE, site.member.id, Origin()), NotFound),
    ),
    Case(
        *(MemberHandler, "replace_all"),
        lambda site: ReplaceMembers(site.id, site.pool.id, [entry(1), entry(9, weight=7)], False, Origin()),
        lambda site: (
            sorted((each.address, each.weight) for each in site.now.tree.members.values())
            == [("127.0.0.1", 1), ("127.0.0.9", 7)]
        ),
        lambda site: ReplaceMembers(site.id, site.pool.id, [entry(9), entry(9)], False, Origin()),
        Invalid,
    ),
    Case(
        *(HealthMonitorHandler, "add"),
        lambda site: AddHealthMonitor(site.id, a_health_monitor(another_pool(site)), Origin()),
        lambda site: len(site.now.tree.health_monitors) == 2,
        *(lambda site: AddHealthMonitor(site.id, a_health_monitor(site.pool), Origin()), DuplicateHealthMonitor),
    ),
    Case(
        *(HealthMonitorHandler, "change"),
        lambda site: ChangeHealthMonitor(site.id, site.monitor.id, {"delay": 9}, Origin()),
        lambda site: site.now.tree.health_monitors[site.monitor.id].delay == 9,
        *(lambda site: ChangeHealthMonitor(site.id, site.monitor.id, {"url_path": "/"}, Origin()), NotAnOption),
    ),
    Case(
        *(HealthMonitorHandler, "remove", lambda site: RemoveHealthMonitor(site.id, site.monitor.id, Origin())),
        lambda site: not site.now.tree.health_monitors,
        *(lambda site: RemoveHealthMonitor(site.id, NOWHERE, Origin()), NotFound),
    ),
]


def another_pool(site: Site) -> Any:
    pool = a_pool()
    load_balancer = site.now
    load_balancer.add_pool(pool)
    site.store.save(load_balancer, origin=Origin())
    return pool


@pytest.fixture(params=CASES, ids=[f"{case.handler.__name__}.{case.method}" for case in CASES])
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_command_is_carried_out_once(case: Case) -> None:
    site = Site()
    command = case.command(site)
    commits = len(site.store.memory.commits)

    accepted = case.carry_out(site, command)

    assert case.effect(site)
    assert site.was_carried_out(command.origin.command_id)
    assert len(site.store.memory.commits) == commits + 1
    assert accepted.load_balancer.version == site.store.load_balancer(command.load_balancer_id).version
    assert accepted.at == site.store.memory.commits[command.origin.command_id]


def test_refused_command_leaves_nothing(case: Case) -> None:
    site = Site()
    command = case.refused(site)
    commits, version = len(site.store.memory.commits), site.now.version

    with pytest.raises(case.error):
        case.carry_out(site, command)

    assert (len(site.store.memory.commits), site.now.version) == (commits, version)


def test_command_whose_answer_was_lost_is_not_carried_out_again(case: Case) -> None:
    site = Site()
    command = case.command(site)
    commits = len(site.store.memory.commits)

    def lose_the_answer() -> None:
        raise ConcurrentChange

    site.after_save = lose_the_answer
    accepted = case.carry_out(site, command)

    assert case.effect(site)
    assert len(site.store.memory.commits) == commits + 1
    assert accepted.load_balancer.id == command.load_balancer_id


def test_command_that_was_outrun_is_decided_again(case: Case) -> None:
    site = Site()
    command = case.command(site)

    site.before_save = site.rename
    case.carry_out(site, command)

    assert case.effect(site)
    assert site.now.settings.description == "outrun"


def test_command_that_was_outrun_by_a_deletion_is_refused() -> None:
    site = Site()

    def delete() -> None:
        load_balancer = site.now
        load_balancer.delete(cascade=True)
        site.store.save(load_balancer, origin=Origin())

    site.before_save = delete
    with pytest.raises(Immutable):
        ListenerHandler(site, Turns(site)).change(ChangeListener(site.id, site.listener.id, {}, Origin()))


def test_address_that_was_taken_meanwhile_is_chosen_again() -> None:
    site = Site()

    accepted = LoadBalancerHandler(site, Turns(site), site).create(create(site))

    assert accepted.load_balancer.vip.address == "127.20.0.2"


def test_every_handler_has_its_case() -> None:
    tested = {(case.handler, case.method) for case in CASES}

    assert tested == set(handlers())


def handlers() -> Iterator[tuple[type, str]]:
    """Every method by which a handler of a command can be called."""
    for module in pkgutil.iter_modules(commands.__path__, "commands."):
        found = vars(import_module(module.name)).items()
        for name, kind in found:
            if name.endswith("Handler") and inspect.isclass(kind) and kind.__module__ == module.name:
                for method in vars(kind):
                    if not method.startswith("_") and name != "Handler":
                        yield kind, method
