"""A small world of load balancers in use, recorded as everything is: what benchmarks multiply."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from random import Random
from typing import Any
from uuid import UUID, uuid4

from eventsourcing.domain import Aggregate

from commands.ports import Origin
from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.flavor import Flavor, FlavorProfile, FlavorProfileSettings, FlavorSettings
from domain.health import LoadBalancerHealth
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.l7_policy import L7Action, L7Policy
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener, ListenerProtocol
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol
from domain.vip import Vip
from infra.event_store import EventStore

LOAD_BALANCERS = 80
_OF_A_PROJECT = 10
_CHANGES = 16
Life = Iterator[bool]


class World:
    """Some projects with some load balancers each; an eighth of these are gone in the end."""

    def __init__(self, store: EventStore, random: Random) -> None:
        self._store = store
        self._random = random
        self._projects = [str(uuid4()) for _ in range(LOAD_BALANCERS // _OF_A_PROJECT)]
        self.load_balancer_ids = [uuid4() for _ in range(LOAD_BALANCERS)]
        self.flavor_id = uuid4()
        self.first_position = 0
        self._members = count()
        self._owners = {*self._projects, *map(str, self.load_balancer_ids)}

    def record(self) -> None:
        """In bursts: something is changed here for a while, then there."""
        profile = FlavorProfile.create(
            uuid4(), FlavorProfileSettings(name="p", provider_name="amphora", flavor_data="{}")
        )
        flavor = Flavor.create(
            self.flavor_id, FlavorSettings(name=f"flavor {self.flavor_id}", flavor_profile_id=profile.id)
        )
        self._save(profile)
        self._save(flavor)
        self.first_position = (self._store.recorder.max_notification_id() or 0) + 1
        lives = [self._life(number) for number in range(LOAD_BALANCERS)]
        while lives:
            life = self._random.choice(lives)
            for _ in range(self._random.randint(1, 12)):
                if not next(life, False):
                    lives.remove(life)
                    break

    def owns(self, row: Sequence[Any]) -> bool:
        """Rows name a load balancer of this world, or a project."""
        return not self._owners.isdisjoint(row)

    def _save(self, *aggregates: Aggregate) -> bool:
        self._store.save(*aggregates, origin=Origin(project_id=self._projects[0], request_id=f"req-{uuid4()}"))
        return True

    def _life(self, number: int) -> Life:
        """One commit at each step."""
        id, amphora_id = self.load_balancer_ids[number], uuid4()
        load_balancer = LoadBalancer.create(
            id,
            project_id=self._projects[number // _OF_A_PROJECT],
            provider="amphora",
            vip=Vip(address="10.0.0.7", port_id=uuid4(), subnet_id=uuid4(), network_id=uuid4()),
            settings=LoadBalancerSettings(name=f"load balancer {number}", tags=("bench",)),
            amphora_ids=(amphora_id,),
            flavor_id=self.flavor_id if number % 4 == 0 else None,
        )
        yield self._save(load_balancer)
        yield from self._built(Amphora.request(amphora_id, load_balancer_id=id))
        health = LoadBalancerHealth.begin(id)
        yield from self._confirmed(load_balancer, health)
        for port in (80, 443):
            yield from self._service(load_balancer, port)
            yield from self._confirmed(load_balancer, health)
        for _ in range(_CHANGES):
            self._change(load_balancer)
            yield self._save(load_balancer)
            yield from self._confirmed(load_balancer, health)
        if number % 8 == 7:
            yield from self._deleted(load_balancer)

    def _built(self, amphora: Amphora) -> Life:
        yield self._save(amphora)
        amphora.booted(f"machine {amphora.id}")
        yield self._save(amphora)
        amphora.became_reachable("192.0.2.9", "2.8.3")
        yield self._save(amphora)
        amphora.vip_plugged("10.0.0.8")
        yield self._save(amphora)
        amphora.entered_service()
        yield self._save(amphora)

    def _service(self, load_balancer: LoadBalancer, port: int) -> Life:
        listener = Listener(id=uuid4(), protocol=ListenerProtocol.HTTP, protocol_port=port, name=f"port {port}")
        load_balancer.add_listener(listener)
        yield self._save(load_balancer)
        pool = Pool(id=uuid4(), protocol=PoolProtocol.HTTP, lb_algorithm=LbAlgorithm.ROUND_ROBIN, name="web")
        load_balancer.add_pool(pool, listener.id)
        yield self._save(load_balancer)
        for _ in range(self._random.randint(3, 8)):
            load_balancer.add_member(self._member(pool.id))
            yield self._save(load_balancer)
        how = HealthMonitorType.HTTP
        load_balancer.add_health_monitor(
            HealthMonitor(id=uuid4(), pool_id=pool.id, type=how, delay=5, timeout=3, max_retries=2, url_path="/up")
        )
        yield self._save(load_balancer)

    def _member(self, pool_id: UUID) -> Member:
        number = next(self._members)
        address = f"10.1.{number // 250}.{number % 250}"
        return Member(id=uuid4(), pool_id=pool_id, address=address, protocol_port=8_080, name=f"web {number}")

    def _change(self, load_balancer: LoadBalancer) -> None:
        random, tree = self._random, load_balancer.tree
        member = random.choice(list(tree.members.values()))
        listener = random.choice(list(tree.listeners.values()))
        match random.randrange(6):
            case 0 | 1:
                load_balancer.change_member(replace(member, weight=random.randint(0, 256)))
            case 2:
                load_balancer.change_listener(replace(listener, connection_limit=random.randint(1, 9_999)))
            case 3:
                load_balancer.change(replace(load_balancer.settings, description=f"at {random.random()}"))
            case 4:
                policy = L7Policy(id=uuid4(), listener_id=listener.id, action=L7Action.REJECT)
                load_balancer.add_l7_policy(policy)
                path, begins = L7RuleType.PATH, L7CompareType.STARTS_WITH
                rule = L7Rule(id=uuid4(), l7policy_id=policy.id, type=path, compare_type=begins, value="/no")
                load_balancer.add_l7_rule(rule)
            case _:
                load_balancer.remove_member(member.pool_id, member.id)
                load_balancer.add_member(self._member(member.pool_id))

    def _confirmed(self, load_balancer: LoadBalancer, health: LoadBalancerHealth) -> Life:
        """Its amphora runs it, and says some time later how it does."""
        amphora_id, held = load_balancer.amphora_ids[0], load_balancer.progress.held_back
        load_balancer.configuration_is_applied(amphora_id, load_balancer.revision, "0" * 64, held)
        yield self._save(load_balancer)
        objects = [load_balancer.id, *load_balancer.tree.pools, *load_balancer.tree.members]
        seen = [OperatingStatus.ONLINE] * 6 + [OperatingStatus.ERROR]
        health.measured({id: self._random.choice(seen) for id in objects})
        yield self._save(health)

    def _deleted(self, load_balancer: LoadBalancer) -> Life:
        load_balancer.delete(cascade=True)
        yield self._save(load_balancer)
        for amphora_id in load_balancer.amphora_ids:
            amphora = self._store.amphora(amphora_id)
            amphora.removed()
            load_balancer.amphora_is_gone(amphora_id)
            yield self._save(load_balancer, amphora)
        load_balancer.deletion_is_complete()
        yield self._save(load_balancer)
