"""A log with a bit of everything in PostgreSQL, and ways to spoil it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from eventsourcing.domain import Aggregate

from commands.ports import Origin
from domain.amphora import Amphora
from domain.fields import OperatingStatus
from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.progress import Confirmation, Reached
from infra.event_store import Append, EventStore
from infra.settings import Settings
from infra.verify import ALL, Verification
from projections.rows import rows_of
from tests.domain.planted import Planted
from tests.given import a_load_balancer, a_vip, an_active_load_balancer, confirm


@dataclass
class Annals:
    """serving: with one of everything; replaced: its amphora is the second; gone: deleted; remote: without amphorae."""

    database: str
    store: EventStore
    connection: psycopg.Connection[Any]
    planted: Planted = field(default_factory=Planted)
    replaced: LoadBalancer = field(default_factory=lambda: an_active_load_balancer(vip=a_vip(address="127.20.0.8")))
    gone: LoadBalancer = field(default_factory=lambda: an_active_load_balancer(vip=a_vip(address="127.20.0.9")))
    remote: LoadBalancer = field(default_factory=lambda: a_load_balancer(amphora_ids=(), vip=a_vip(is_exclusive=False)))

    def __post_init__(self) -> None:
        self.serving = self.planted.load_balancer
        self.amphora = in_service(self.serving)
        self.gone_amphora = in_service(self.gone)
        self.save(self.serving, self.amphora, _health_of(self.planted))
        self.save(self.gone, self.gone_amphora)
        self.remote.configuration_is_applied(self.remote.id, self.remote.revision, "")
        self.save(self.remote)
        self._replace()
        self._delete()

    def _replace(self) -> None:
        lost, replacement_id = in_service(self.replaced), uuid4()
        self.save(self.replaced, lost)
        self.replaced.replace_amphora(lost.id, replacement_id, "silent")
        lost.left_service("silent")
        new = Amphora.request(replacement_id, load_balancer_id=self.replaced.id, replaces=lost.id)
        self.save(self.replaced, lost, new)
        built(new)
        lost.removed()
        confirm(self.replaced)
        self.save(self.replaced, new, lost)

    def _delete(self) -> None:
        self.gone.delete(cascade=True)
        self.save(self.gone)
        self.gone.amphora_is_gone(self.gone_amphora.id)
        self.gone_amphora.removed()
        self.gone.deletion_is_complete()
        self.save(self.gone, self.gone_amphora)

    def save(self, *aggregates: Aggregate) -> None:
        self.store.save(*aggregates, origin=Origin())

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.database, state_directory=Path("/nowhere"))

    # Ways to spoil it

    def record(self, *events: Any, with_rows: bool = False) -> None:
        """Whatever the aggregates would say of it."""
        changes = [change for event in events for change in rows_of(event)] if with_rows else []
        self.store.recorder.insert_events(
            [self.store.mapper.to_stored_event(event) for event in events],
            append=Append(origin=Origin(), changes=changes, completing=None),
        )

    def sql(self, statement: str, *parameters: object) -> None:
        """Changes at least one row."""
        assert self.connection.execute(statement.encode(), parameters).rowcount > 0, statement

    def age(self, hours: float) -> None:
        """Everything so far happened so much earlier."""
        self.sql("UPDATE commits SET recorded_at = recorded_at - make_interval(secs => %s)", 3600 * hours)

    @property
    def end(self) -> int:
        row = self.connection.execute("SELECT max(notification_id) FROM tacitus_events").fetchone()
        assert row is not None
        return int(row[0])

    def next_of(self, aggregate: Aggregate, event_class: type[Any], *, ahead: int = 1, **values: Any) -> Any:
        """An event of this class, as the next one of its stream."""
        return event_class(
            originator_id=aggregate.id,
            originator_version=aggregate.version + ahead,
            timestamp=datetime.now(UTC),
            **values,
        )

    def confirmation(self, revision: int, *, amphora_id: UUID | None = None, **reached: int) -> Any:
        """Of the serving load balancer."""
        said = {"applied": self.serving.revision, "settled": self.serving.revision, **reached}
        return self.next_of(
            self.serving,
            LoadBalancer.ConfigurationApplied,
            confirmation=Confirmation(
                amphora_id=amphora_id or self.amphora.id,
                revision=revision,  # type: ignore[arg-type]
                sha256="sha",
                without=(),
                refailed=(),
                healed=(),
                reached=Reached(**said),  # type: ignore[arg-type]
            ),
        )

    def findings(self, *, since: int = 0, grace: float = 60.0) -> list[str]:
        found: list[str] = []
        Verification(
            self.settings, lambda finding: found.append(str(finding)), since=since, grace=grace, sample=ALL
        ).run()
        return found


def built(amphora: Amphora) -> Amphora:
    amphora.booted("compute")
    amphora.became_reachable("127.17.0.5", "2.6")
    amphora.vip_plugged()
    amphora.entered_service()
    return amphora


def in_service(load_balancer: LoadBalancer) -> Amphora:
    return built(Amphora.request(load_balancer.amphora_ids[0], load_balancer_id=load_balancer.id))


def _health_of(planted: Planted) -> LoadBalancerHealth:
    health = LoadBalancerHealth.begin(planted.load_balancer.id)
    health.measured({planted.load_balancer.id: OperatingStatus.ONLINE, planted.member.id: OperatingStatus.NO_MONITOR})
    return health


@contextmanager
def annals_in(database: str) -> Iterator[Annals]:
    store = EventStore(database)
    with psycopg.connect(database, autocommit=True) as connection:
        yield Annals(database, store, connection)
    store.close()
