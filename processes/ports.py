"""What processes need from the outside, fulfilled by infra/."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, Protocol, TypeVar
from uuid import UUID

from commands.ports import Attempt
from domain.fields import Position
from domain.vip import Vip
from processes.actions import Action


@dataclass(frozen=True, kw_only=True)
class BootOrder:
    """An amphora to boot.

    files  path -> text: relative to the amphora's own directory, such as "amphora-agent.conf" and "certs/server.pem"
    """

    amphora_id: UUID
    load_balancer_id: UUID
    files: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ComputeState:
    """What the compute service says of one amphora.

    management_address  where its agent answers, None until known
    fault               the service's words when the status is ERROR
    """

    status: Literal["BOOTING", "ACTIVE", "ERROR", "GONE"]
    management_address: str | None = None
    fault: str = ""


class ComputeFault(Exception):
    """The compute service could not do it now; worth another try."""


class ComputeDriver(Protocol):
    """Boots and removes amphorae. Names are deterministic, so everything here may be repeated."""

    def boot(self, order: BootOrder) -> str:
        """Start an amphora and return its compute id; one that is there already is not started twice.

        Raises ComputeFault.
        """
        ...

    def look(self, compute_id: str) -> ComputeState:
        """Raises ComputeFault when the service does not answer."""
        ...

    def remove(self, amphora_id: UUID) -> None:
        """Take down whatever there is of an amphora; nothing left is fine. Raises ComputeFault."""
        ...

    def inventory(self) -> Sequence[UUID]:
        """The amphorae that exist, wanted or not, for the sweep of orphans."""
        ...


class NetworkFault(Exception):
    """The network service could not do it now; worth another try."""


@dataclass(frozen=True, kw_only=True)
class AmphoraPort:
    """The port by which a VIP reaches an amphora.

    mac_address  by which the amphora finds its interface
    address      the port's own, None where there is none beside the VIP
    """

    subnet_cidr: str
    mac_address: str
    gateway: str | None = None
    address: str | None = None


class VipPlugging(Protocol):
    """The part of the network driver that acts for a load balancer that exists."""

    def plug_vip(self, load_balancer_id: UUID, amphora_id: UUID, vip: Vip) -> AmphoraPort:
        """Make the VIP reach this amphora. Raises NetworkFault."""
        ...

    def release_vip(self, load_balancer_id: UUID, vip: Vip) -> None:
        """Give the VIP's port back, if it is ours. Raises NetworkFault."""
        ...


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """An event with its place in the log.

    event   Unreadable where its stored form cannot be understood
    stream  the load balancer that it belongs to, else its own aggregate: order is promised within this
    """

    position: Position
    stream: UUID
    event: object


class Unreadable(Exception):
    """Stands in an event's place: its stored form is none that any release writes."""


class ReleaseTooOld(Exception):
    """The log holds what a newer release wrote: half-reading it would be worse than stopping."""


class EventStream(Protocol):
    """The events of the log in order. The log itself is one; a message broker can be another."""

    def partitions(self) -> Sequence[int]:
        """Parts to be read by this consumer now, each in its own order. The log itself has just 0."""
        ...

    def read_after(self, partition: int, position: Position, limit: int) -> Sequence[Recorded]:
        """At most `limit` events of a partition behind a position, in order and without gaps; none when there is
        nothing new.

        Raises ReleaseTooOld when the first of them is of a newer format; those before it are read.
        """
        ...

    def read_at(self, positions: Sequence[Position]) -> Sequence[Recorded]:
        """The events at these places, in order. Raises ReleaseTooOld likewise."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when there may be something new, and after `seconds` at the latest."""
        ...


T = TypeVar("T")
"""What a consumer makes of an event: actions, or changes of rows."""


@dataclass(frozen=True, kw_only=True)
class Step(Generic[T]):
    """What a consumer makes of the events behind its position.

    reached    its new position
    reactions  what follows from the events
    put_aside  events that wait until their stream can go on
    taken_up   events of one stream, put aside before, that wait no more
    """

    reached: Position
    reactions: Sequence[T] = ()
    put_aside: Sequence[Recorded] = ()
    taken_up: Sequence[Recorded] = ()


class Ledger(Protocol[T]):
    """Keeps how far a consumer is, together with what it decided."""

    def advance(self, consumer: str, partition: int, decide: Callable[[Position], Step[T]]) -> bool:
        """Give `decide` the consumer's position and store the step that it takes, in one transaction.

        Two of the same consumer take turns in a partition. Returns whether anything changed.
        """
        ...

    def parked(self, consumer: str) -> AbstractSet[UUID]:
        """The streams of which a consumer has put something aside."""
        ...

    def put_aside(self, consumer: str, stream: UUID, limit: int) -> Sequence[Position]:
        """The first events of a stream that were put aside."""
        ...


@dataclass(frozen=True, kw_only=True)
class Claim:
    """An action that a worker holds for now.

    now       the database's clock at the claim
    since     when the action was asked for first
    overdue   whether the action's deadline has passed
    failures  failed tries so far
    request_id  of the user's request that the action goes back to, empty when there is none
    """

    action: Action
    attempt: Attempt
    now: datetime
    since: datetime
    overdue: bool
    failures: int
    request_id: str = ""


class ActionQueue(Protocol):
    """Durable actions: claimed by short transactions, one at a time in each lane."""

    def claim(
        self, owner: str, limit: int, *, doubtful: int | None = None, held: Sequence[Claim] = ()
    ) -> Sequence[Claim]:
        """At most `limit` actions, of which at most `doubtful` failed before: None for as many as there are.

        None of those that the worker holds, whatever became of their leases: nobody takes from himself.
        """
        ...

    def renew(self, claims: Sequence[Claim]) -> None:
        """Prolong the leases of what is being worked on."""
        ...

    def complete(self, claim: Claim, then: Sequence[Action] = ()) -> None:
        """End an action without an event, and start others in its place, in one transaction."""
        ...

    def look_again(self, claim: Claim, seconds: float) -> None:
        """Give it back: it is waiting for something, and holds no lane meanwhile."""
        ...

    def failed(self, claim: Claim, error: str, pause_seconds: float) -> None:
        """Give it back after a failed try."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when there may be something to claim, and after `seconds` at the latest."""
        ...

    def wake(self) -> None:
        """End a wait: something changed within this process."""
        ...
