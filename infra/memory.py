"""The store, the log and the actions without a database, for tests of decisions: the same promises, a clock to move.

The contracts that both pass stand in tests/infra.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, RLock
from typing import Any
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate
from eventsourcing.persistence import ApplicationRecorder, InfrastructureFactory, IntegrityError, Mapper, StoredEvent
from eventsourcing.popo import POPOApplicationRecorder, POPOFactory
from eventsourcing.utils import Environment

from commands.ports import A, Attempt, Origin, OutdatedAttempt, Place
from domain.amphora import Amphora
from domain.errors import ConcurrentChange, NotFound
from domain.fields import Position
from domain.load_balancer import RESOURCES, LoadBalancer
from domain.progress import Kind
from domain.quota import QuotaDefaults
from infra.event_store import Append, gone, loaded, measured_in
from infra.memory_rows import Tables, changed_tables
from infra.streams import Stored, decoded, stream_of
from infra.transcoding import EventMapper
from processes.actions import Action, Term
from processes.ports import Claim, Recorded, Step
from projections.rows import rows_of

LEASE = timedelta(seconds=4)
TERMS: Mapping[Term, float] = {Term.PUSH: 60.0, Term.BUILD: 600.0, Term.DELETE: 300.0}


@dataclass
class Clock:
    """Stands still until it is moved."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


# Actions


@dataclass
class ActionRow:
    """One durable action. `owner` is whoever holds it, until `lease_until`."""

    id: int
    action: Action
    since: datetime
    due_at: datetime
    deadline: datetime
    attempt: int = 0
    failures: int = 0
    last_error: str = ""
    owner: str | None = None
    lease_until: datetime | None = None

    @property
    def order(self) -> tuple[int, datetime, int]:
        return self.action.priority, self.due_at, self.id

    def is_free(self, now: datetime) -> bool:
        return self.due_at <= now and (self.lease_until is None or self.lease_until < now)

    def give_back(self, due_at: datetime) -> None:
        self.owner, self.lease_until, self.due_at = None, None, due_at


@dataclass
class Memory:
    """What a database would hold.

    commits  command id -> when it was recorded
    positions  consumer and partition -> how far it is there
    parked   consumer, stream and position of what was put aside
    versions  command id -> aggregate -> the version that it left
    """

    clock: Clock = field(default_factory=Clock)
    terms: Mapping[Term, float] = field(default_factory=lambda: TERMS)
    tables: Tables = field(default_factory=dict)
    commits: dict[UUID, datetime] = field(default_factory=dict)
    versions: dict[UUID, dict[UUID | str, int]] = field(default_factory=dict)
    actions: dict[int, ActionRow] = field(default_factory=dict)
    positions: dict[tuple[str, int], Position] = field(default_factory=dict)
    parked: set[tuple[str, UUID, Position]] = field(default_factory=set)
    lock: RLock = field(default_factory=RLock)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))

    def ask_for(self, actions: Iterable[Action]) -> None:
        """More wanted for the same object joins what waits; what runs is due again once it ends."""
        now = self.clock.now
        for action in actions:
            due_at = now + timedelta(seconds=action.after_seconds)
            row = self._row_of(action)
            if row is None:
                deadline = due_at + timedelta(seconds=self.terms[action.term])
                id = next(self._numbers)
                self.actions[id] = ActionRow(id, action, since=now, due_at=due_at, deadline=deadline)
                continue
            row.action = replace(row.action, wanted=max(row.action.wanted, action.wanted))
            if row.owner is None:
                row.due_at = min(row.due_at, due_at)

    def _row_of(self, action: Action) -> ActionRow | None:
        same = (row for row in self.actions.values() if row.action.kind == action.kind)
        return next((row for row in same if row.action.object_id == action.object_id), None)

    def held_by(self, attempt: Attempt) -> ActionRow:
        """Raises OutdatedAttempt."""
        row = self.actions.get(attempt.action_id)
        if row is None or row.attempt != attempt.number or row.owner is None:
            raise OutdatedAttempt(f"attempt {attempt.number} of action {attempt.action_id} is outdated")
        return row

    def complete(self, attempt: Attempt) -> None:
        """Raises OutdatedAttempt."""
        row = self.held_by(attempt)
        if row.action.wanted <= attempt.done:
            del self.actions[row.id]
        else:
            row.give_back(self.clock.now)
            row.failures, row.last_error = 0, ""


# The log


class Recorder(POPOApplicationRecorder):
    """Appends events, rows and commit record at once, or nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, append: Append | None = None, **kwargs: Any
    ) -> Sequence[int] | None:
        """Raises what commands.ports.Aggregates.save names."""
        if append is None:
            raise TypeError("events are appended with their origin")
        memory, command_id = self.memory, append.origin.command_id
        with memory.lock:
            if append.completing is not None:
                memory.held_by(append.completing)
            if {(id,) for id in append.measured} - memory.tables.get(Kind.LOAD_BALANCER, {}).keys():
                raise gone(append.measured)
            tables = changed_tables(memory.tables, append.changes, command_id, append.limits)
            if command_id in memory.commits:
                raise ConcurrentChange
            try:
                positions = self._insert_events(stored_events) or ()
            except IntegrityError as error:
                raise ConcurrentChange from error
            memory.tables = tables
            memory.commits[command_id] = append.recorded_at = memory.clock.now
            memory.versions[command_id] = {each.originator_id: each.originator_version for each in stored_events}
            if append.completing is not None:
                memory.complete(append.completing)
        self._notify_listeners()
        return positions


class _Factory(POPOFactory):
    def application_recorder(self) -> ApplicationRecorder:
        return Recorder()


class _Tacitus(Application[UUID]):
    name = "tacitus"

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        return _Factory(env)

    def construct_mapper(self) -> Mapper[UUID]:
        return EventMapper()


class MemoryStore:
    """Fulfils commands.ports.Aggregates and Places, and processes.configuration.OldTrees."""

    def __init__(self, clock: Clock | None = None, *, quota_defaults: QuotaDefaults | None = None) -> None:
        self._quota_defaults = quota_defaults or QuotaDefaults()
        self._application = _Tacitus({"AGGREGATE_CACHE_MAXSIZE": "1000", "AGGREGATE_CACHE_FASTFORWARD": "y"})
        recorder = self._application.recorder
        assert isinstance(recorder, Recorder)
        self.recorder = recorder
        self.memory = recorder.memory
        self.memory.clock = clock or self.memory.clock
        self.mapper = self._application.mapper

    def load(self, kind: type[A], id: UUID) -> A:
        return loaded(self._application.repository, kind, id)

    def load_balancer(self, id: UUID) -> LoadBalancer:
        return self.load(LoadBalancer, id)

    def load_balancer_at(self, id: UUID, revision: int) -> LoadBalancer:
        load_balancer: LoadBalancer = self._application.repository.get(id, version=revision)
        return load_balancer

    def amphora(self, id: UUID) -> Amphora:
        return self.load(Amphora, id)

    def save(self, *aggregates: Aggregate, origin: Origin, completing: Attempt | None = None) -> datetime | None:
        events = [event for aggregate in aggregates for event in aggregate.collect_events()]
        changes = [change for event in events for change in rows_of(event)]
        limits = self._quota_defaults if origin.enforce_quota else None
        append = Append(
            origin=origin, changes=changes, completing=completing, limits=limits, measured=measured_in(events)
        )
        if events:
            self._application.events.put(events, append=append)
        elif completing is not None:
            with self.memory.lock:
                self.memory.complete(completing)
        return append.recorded_at

    def was_carried_out(self, command_id: UUID) -> bool:
        return command_id in self.memory.commits

    def load_balancer_as_of(self, id: UUID, command_id: UUID) -> tuple[LoadBalancer, datetime] | None:
        version = self.memory.versions.get(command_id, {}).get(id)
        return None if version is None else (self.load_balancer_at(id, version), self.memory.commits[command_id])

    def place_of(self, kind: Kind, id: UUID) -> Place:
        row = self.memory.tables.get(kind, {}).get((id,))
        if row is None:
            raise NotFound(RESOURCES[kind], id)
        load_balancer_id: UUID = row.get("load_balancer_id", id)
        project_id: str = self.memory.tables[Kind.LOAD_BALANCER][(load_balancer_id,)]["project_id"]
        return Place(load_balancer_id, project_id)


class MemoryStream:
    """processes.ports.EventStream over the log in memory."""

    def __init__(self, store: MemoryStore) -> None:
        self._recorder = store.recorder
        self._mapper = store.mapper
        self._news = Event()
        self._recorder.listen(self._news)

    def partitions(self) -> Sequence[int]:
        return (0,)

    def read_after(self, partition: int, position: Position, limit: int) -> Sequence[Recorded]:
        found = self._recorder.select_notifications(position, limit, inclusive_of_start=False)
        return decoded((Stored(Position(each.id), self._stream_of(each), each) for each in found), self._mapper)

    def read_at(self, positions: Sequence[Position]) -> Sequence[Recorded]:
        return [item for at in positions for item in self.read_after(0, Position(at - 1), 1)]

    def _stream_of(self, event: StoredEvent) -> UUID:
        assert isinstance(event.originator_id, UUID)
        (first,) = self._recorder.select_events(event.originator_id, limit=1)
        return stream_of(event.originator_id, first.state)

    def wait(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()


class MemoryLedger:
    """processes.ports.Ledger: position and actions at once."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    def advance(self, consumer: str, partition: int, decide: Callable[[Position], Step[Action]]) -> bool:
        memory, place = self._memory, (consumer, partition)
        with memory.lock:
            position = memory.positions.get(place, Position(0))
            step = decide(position)
            memory.ask_for(step.reactions)
            memory.positions[place] = step.reached
            memory.parked |= {(consumer, item.stream, item.position) for item in step.put_aside}
            memory.parked -= {(consumer, item.stream, item.position) for item in step.taken_up}
            return step.reached != position or bool(step.taken_up)

    def parked(self, consumer: str) -> AbstractSet[UUID]:
        return {stream for who, stream, _ in self._memory.parked if who == consumer}

    def put_aside(self, consumer: str, stream: UUID, limit: int) -> Sequence[Position]:
        return sorted(at for who, which, at in self._memory.parked if (who, which) == (consumer, stream))[:limit]


class MemoryActionQueue:
    """processes.ports.ActionQueue."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._news = Event()

    def claim(
        self, owner: str, limit: int, *, doubtful: int | None = None, held: Sequence[Claim] = ()
    ) -> Sequence[Claim]:
        """In each lane what goes next, unless one of it is running; an expired lease frees its own row only."""
        memory, kept = self._memory, {claim.attempt.action_id for claim in held}
        with memory.lock:
            now = memory.clock.now
            first: dict[str, ActionRow] = {}
            for row in sorted(memory.actions.values(), key=lambda row: row.order):
                if row.is_free(now) and row.id not in kept and not self._is_taken(row):
                    first.setdefault(row.action.lane, row)
            in_order = sorted(first.values(), key=lambda row: row.order)
            failed_before = [row for row in in_order if row.failures][:doubtful]
            claimed = [row for row in in_order if not row.failures or row in failed_before][:limit]
            for row in claimed:
                row.owner, row.lease_until, row.attempt = owner, now + LEASE, row.attempt + 1
            return [_claim(row, now) for row in claimed]

    def _is_taken(self, row: ActionRow) -> bool:
        others = (other for other in self._memory.actions.values() if other is not row and other.owner is not None)
        return any(other.action.lane == row.action.lane for other in others)

    def renew(self, claims: Sequence[Claim]) -> None:
        with self._memory.lock:
            for claim in claims:
                row = self._held(claim)
                if row is not None:
                    row.lease_until = self._memory.clock.now + LEASE

    def complete(self, claim: Claim, then: Sequence[Action] = ()) -> None:
        with self._memory.lock:
            if self._held(claim) is not None:
                self._memory.complete(claim.attempt)
                self._memory.ask_for(then)

    def look_again(self, claim: Claim, seconds: float) -> None:
        with self._memory.lock:
            row = self._held(claim)
            if row is not None:
                row.give_back(self._memory.clock.now + timedelta(seconds=seconds))

    def failed(self, claim: Claim, error: str, pause_seconds: float) -> None:
        with self._memory.lock:
            row = self._held(claim)
            if row is not None:
                row.give_back(self._memory.clock.now + timedelta(seconds=pause_seconds))
                row.failures, row.last_error = row.failures + 1, error

    def _held(self, claim: Claim) -> ActionRow | None:
        try:
            return self._memory.held_by(claim.attempt)
        except OutdatedAttempt:
            return None

    def wait(self, seconds: float) -> None:
        self._news.wait(seconds)
        self._news.clear()

    def wake(self) -> None:
        self._news.set()


def _claim(row: ActionRow, now: datetime) -> Claim:
    return Claim(
        action=row.action,
        attempt=Attempt(row.id, row.attempt, row.action.wanted),
        now=now,
        since=row.since,
        overdue=row.deadline < now,
        failures=row.failures,
    )
