"""Amphorae that exist as events and as heartbeats alone: many of them cost nothing."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from uuid import UUID, uuid4

from amphora.trust import heartbeat_keys
from amphora.wire import Additions, Counters, Heartbeat, ListenerReport, PoolReport, encode_heartbeat
from commands.ports import Origin
from domain.amphora import Amphora
from domain.listener import Listener, ListenerProtocol
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch, LoadBalancerSettings
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol
from infra.event_store import EventStore
from infra.settings import Settings
from infra.trust_store import TrustStore
from tests.given import a_vip

_GROWTH = Counters(rx=1_000, tx=20_000, totconns=30)  # of each listener, from heartbeat to heartbeat


@dataclass
class Fleet:
    """Amphorae in service under traffic, one of each load balancer, and what they say."""

    heartbeats: Sequence[Heartbeat]
    load_balancer_ids: Sequence[UUID]
    masters: Sequence[str]
    sequence: Iterator[int] = field(default_factory=lambda: count(1))

    def said(self, member_status: str = "UP") -> list[bytes]:
        """A new datagram of each: sequence numbers only grow."""
        number = next(self.sequence)
        return [self._signed(_seeing(each, number, member_status)) for each in self.heartbeats]

    def _signed(self, heartbeat: Heartbeat) -> bytes:
        return encode_heartbeat(heartbeat, heartbeat_keys(self.masters, heartbeat.amphora_id)[0])


def _seeing(heartbeat: Heartbeat, number: int, member_status: str) -> Heartbeat:
    pools = tuple(
        replace(pool, status=member_status, members=dict.fromkeys(pool.members, member_status))
        for pool in heartbeat.pools
    )
    additions = heartbeat.additions
    assert additions is not None
    passed = Counters(*(number * each for each in _GROWTH))
    return heartbeat._replace(
        sequence=number,
        listeners=dict.fromkeys(heartbeat.listeners, ListenerReport("OPEN", 3, _GROWTH)),
        pools=pools,
        additions=additions._replace(counters=dict.fromkeys(additions.counters, passed), sent_at=time.time()),
    )


def a_fleet(settings: Settings, amphorae: int, members: int) -> Fleet:
    """Recorded like everything, without their ever having been built."""
    store = EventStore(settings.database_url, connections=1)
    said = [_in_service(store, number, members) for number in range(amphorae)]
    store.close()
    masters = TrustStore.open(settings.trust_directory).heartbeat_masters
    return Fleet([heartbeat for heartbeat, _ in said], [id for _, id in said], masters)


def _in_service(store: EventStore, number: int, members: int) -> tuple[Heartbeat, UUID]:
    """A load balancer with a listener, a pool and members, and what its amphora says of them."""
    amphora_id = uuid4()
    load_balancer = LoadBalancer.create(
        uuid4(),
        project_id="p",
        provider="amphora",
        vip=replace(a_vip(), address=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"),
        settings=LoadBalancerSettings(),
        amphora_ids=(amphora_id,),
    )
    pool = Pool(id=uuid4(), protocol=PoolProtocol.HTTP, lb_algorithm=LbAlgorithm.ROUND_ROBIN)
    listener = Listener(id=uuid4(), protocol=ListenerProtocol.HTTP, protocol_port=80, default_pool_id=pool.id)
    added = [Member(id=uuid4(), pool_id=pool.id, address=f"192.0.2.{n}", protocol_port=80) for n in range(members)]
    load_balancer.add_pool(pool)
    load_balancer.add_listener(listener)
    load_balancer.replace_members(pool.id, Batch(added=tuple(added)))
    amphora = Amphora.request(amphora_id, load_balancer_id=load_balancer.id)
    amphora.booted("local")
    amphora.became_reachable("127.0.0.1", "2.6")
    amphora.vip_plugged()
    amphora.entered_service()
    load_balancer.configuration_is_applied(amphora_id, load_balancer.revision, "")
    store.save(load_balancer, amphora, origin=Origin(project_id="p"))
    heartbeat = Heartbeat(
        amphora_id,
        0,
        {listener.id: ListenerReport("OPEN")},
        (PoolReport(pool.id, listener.id, "UP", {member.id: "UP" for member in added}),),
        Additions(uuid4(), time.time(), uuid4(), load_balancer.revision, {listener.id: Counters()}),
    )
    return heartbeat, load_balancer.id
