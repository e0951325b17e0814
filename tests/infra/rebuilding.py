"""What tests of rebuilds start from, and compare."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any
from uuid import UUID, uuid4

import psycopg
from eventsourcing.domain import Aggregate

from commands.ports import Origin
from domain import load_balancer_events as events
from domain.amphora import Amphora
from domain.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneProfile,
    AvailabilityZoneProfileSettings,
    AvailabilityZoneSettings,
)
from domain.control import Control, Fault
from domain.fields import OperatingStatus, ProvisioningStatus
from domain.flavor import Flavor, FlavorProfile, FlavorProfileSettings, FlavorSettings
from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.progress import Kind
from domain.quota import Quota
from infra.event_store import Append, EventStore
from projections.rows import rows_of
from tests.domain.history import History
from tests.given import a_load_balancer, a_vip

Commits = list[Sequence[Any]]
"""Events that are recorded together, in order."""

_ADDED = (events.ListenerAdded, events.PoolAdded, events.L7PolicyAdded, events.L7RuleAdded)
PROJECTS = ("annals", "histories", "ünï\tcode\\")


class Past:
    """A past of everything that has rows, in random order; what hangs together keeps its order."""

    def __init__(self, store: EventStore, random: Random) -> None:
        self._store = store
        self._random = random
        self._used: list[tuple[UUID, str]] = []

    def record(self, load_balancers: int = 4) -> None:
        for commit in self._catalogue():
            self._append(commit)
        streams = [self._a_life(is_deleted=number % 3 == 2) for number in range(load_balancers)]
        streams += [self._quotas(), self._control(), self._names()]
        while streams := [stream for stream in streams if stream]:
            self._append(self._random.choice(streams).pop(0))

    def _append(self, commit: Sequence[Any]) -> None:
        changes = [change for event in commit for change in rows_of(event)]
        stored = [self._store.mapper.to_stored_event(event) for event in commit]
        append = Append(origin=Origin(command_id=uuid4()), changes=changes, completing=None)
        self._store.recorder.insert_events(stored, append=append)

    def _in_commits(self, aggregate: Aggregate) -> Commits:
        """A graph comes in one, everything else as a command of its own."""
        past = list(aggregate.collect_events())
        many = 1 + next((n for n, event in enumerate(past[1:]) if not isinstance(event, _ADDED)), len(past) - 1)
        whole = [past[:many]] if self._random.random() < 0.5 else [[event] for event in past[:many]]
        return [*whole, *([event] for event in past[many:])]

    def _catalogue(self) -> Iterator[Sequence[Any]]:
        for number in range(2):
            profile = FlavorProfile.create(
                uuid4(), FlavorProfileSettings(name="p", provider_name="amphora", flavor_data="{}")
            )
            flavor = Flavor.create(uuid4(), FlavorSettings(name=f"flavor {number}", flavor_profile_id=profile.id))
            flavor.change(FlavorSettings(name=f"used {number}", flavor_profile_id=profile.id))
            settings = AvailabilityZoneProfileSettings(
                name="p", provider_name="amphora", availability_zone_data='{"a": "\\"b\\""}'
            )
            zone_profile = AvailabilityZoneProfile.create(uuid4(), settings)
            zone = AvailabilityZone.create(
                uuid4(), AvailabilityZoneSettings(name=f"zone {number}", availability_zone_profile_id=zone_profile.id)
            )
            self._used.append((flavor.id, f"zone {number}"))
            yield from (each.collect_events() for each in (profile, flavor, zone_profile, zone))

    def _names(self) -> Commits:
        """Two flavors that take turns with one name, and one that goes."""
        profile = FlavorProfile.create(
            uuid4(), FlavorProfileSettings(name="q", provider_name="amphora", flavor_data="{}")
        )
        one, other = (
            Flavor.create(uuid4(), FlavorSettings(name=name, flavor_profile_id=profile.id)) for name in ("gold", "tin")
        )
        commits = [each.collect_events() for each in (profile, one, other)]
        for flavor, name in [(one, "brass"), (other, "gold"), (one, "tin")]:
            flavor.change(FlavorSettings(name=name, flavor_profile_id=profile.id))
            commits.append(flavor.collect_events())
        if self._random.random() < 0.5:
            one.delete()
            commits.append(one.collect_events())
        return commits

    def _quotas(self) -> Commits:
        quota = Quota.of(self._random.choice(PROJECTS))
        quota.change({Kind.LISTENER: 100, Kind.POOL: 50})
        quota.change({Kind.LISTENER: None})
        quota.reset()
        quota.change({Kind.MEMBER: 7})
        return self._in_commits(quota)

    def _control(self) -> Commits:
        control = Control.set_up()
        control.set_hold(True)
        control.set_fault(Fault(error="DriverError"))
        control.report_amphora(uuid4(), {"status": "ALLOCATED"})
        control.prepare_network({"subnets": [{"cidr": "10.0.0.0/8"}]})
        control.reset()
        control.override({"api_strict_immutability": True})
        return self._in_commits(control)

    def _a_life(self, *, is_deleted: bool) -> Commits:
        """Of a load balancer with its amphorae, and of what is measured."""
        random = self._random
        flavor_id, zone = random.choice(self._used)
        load_balancer = a_load_balancer(
            amphora_ids=tuple(uuid4() for _ in range(random.randint(0, 2))),
            project_id=random.choice(PROJECTS),
            vip=a_vip(address=random.choice(["127.20.0.7", "2001:DB8:0::7"])),
            flavor_id=random.choice([None, flavor_id]),
            availability_zone=random.choice([None, zone]),
        )
        history = History(random, load_balancer=load_balancer)
        history.run(steps=40)
        _set_by_hand(history)
        history.run_unchecked(steps=8)
        amphorae = [commit for id in load_balancer.amphora_ids for commit in self._amphora(load_balancer, id)]
        beside = [*amphorae, *self._health(load_balancer)]
        if is_deleted:
            _delete(load_balancer)
        commits = self._in_commits(load_balancer)
        for commit in beside:
            commits.insert(random.randrange(1, len(commits) + 1), commit)
        return self._some_together(_in_order(commits))

    def _some_together(self, commits: Commits) -> Commits:
        """A command may change several aggregates, each once."""
        together: Commits = []
        for commit in commits:
            last = together[-1] if together else ()
            apart = {event.originator_id for event in last} & {event.originator_id for event in commit}
            if len(last) == 1 and not apart and self._random.random() < 0.5:
                together[-1] = [*last, *commit]
            else:
                together.append(commit)
        return together

    def _amphora(self, load_balancer: LoadBalancer, id: UUID) -> Commits:
        amphora = Amphora.request(id, load_balancer_id=load_balancer.id)
        amphora.booted("machine")
        amphora.became_reachable("127.20.0.9", "2.8")
        amphora.vip_plugged("127.20.0.10")
        amphora.entered_service()
        if self._random.random() < 0.5:
            amphora.left_service('silent\n"for" long \\ enough')
            amphora.removed()
        return self._in_commits(amphora)

    def _health(self, load_balancer: LoadBalancer) -> Commits:
        health = LoadBalancerHealth.begin(load_balancer.id)
        for _ in range(4):
            objects = [load_balancer.id, *load_balancer.tree.members, *load_balancer.tree.pools]
            health.measured({id: self._random.choice(list(OperatingStatus)) for id in objects})
        return self._in_commits(health)


def _in_order(commits: Commits) -> Commits:
    """Each stream's versions grow: events of one stream that were put in at random places are sorted among these."""
    streams: dict[UUID, list[Any]] = {}
    for event in sorted((e for commit in commits for e in commit), key=lambda event: event.originator_version):
        streams.setdefault(event.originator_id, []).append(event)
    return [[streams[event.originator_id].pop(0) for event in commit] for commit in commits]


def _set_by_hand(history: History) -> None:
    """Some statuses, and the end of a few objects; others are released again."""
    load_balancer, random = history.load_balancer, history.random
    told = {id: random.choice(list(ProvisioningStatus)) for id in load_balancer.progress.marks if random.random() < 0.4}
    tree = load_balancer.tree
    objects = [*tree.listeners, *tree.pools, *tree.members, *tree.health_monitors, *tree.l7_policies, *tree.l7_rules]
    load_balancer.set_statuses(told, deleted=[id for id in objects if random.random() < 0.1])
    if random.random() < 0.3:
        load_balancer.release_statuses()
    history.remember()


def _delete(load_balancer: LoadBalancer) -> None:
    load_balancer.delete(cascade=True)
    load_balancer.deletion_is_overdue("release the VIP", "no answer")
    for amphora_id in load_balancer.amphora_ids:
        load_balancer.amphora_is_gone(amphora_id)
    load_balancer.deletion_is_complete()


# What is compared


def dump(database: str, tables: Sequence[str]) -> dict[str, list[bytes]]:
    """Table -> its rows as PostgreSQL sends them, in its binary format."""
    with psycopg.connect(database) as connection:
        return {table: sorted(_binary(connection, table)) for table in tables}


def _binary(connection: "psycopg.Connection[Any]", table: str) -> Iterator[bytes]:
    """Columns apart, so that no two rows look alike; generated columns, too."""
    for row in connection.execute(f"SELECT record_send(t) FROM {table} t".encode(), binary=True):
        yield row[0]


def catalogue(database: str) -> list[tuple[Any, ...]]:
    """All that the schema says, without what PostgreSQL numbers anew; and which rebuilds are under way."""
    with psycopg.connect(database) as connection:
        return [row for sql in _CATALOGUE for row in connection.execute(sql.encode()).fetchall()]


_CATALOGUE = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1",
    """
    SELECT c.relname, c.relkind::text, c.reloptions, c.relacl::text, c.relowner::regrole::text, a.attname,
           format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated::text, a.attacl::text,
           a.attcollation::regcollation::text, pg_get_expr(d.adbin, d.adrelid)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND a.attnum > 0 ORDER BY 1, a.attnum
    """,
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    """
    SELECT conrelid::regclass::text, conname, condeferrable, condeferred, convalidated, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2
    """,
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1",
    "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "SELECT projection, run FROM rebuilds",
)
