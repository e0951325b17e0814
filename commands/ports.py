"""What commands need from the outside, fulfilled by infra/."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID, uuid4

from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer, Vip
from domain.progress import Kind


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who asked for a command, and through which request: kept with what it changed.

    command_id  names the command in the log: one that is there already was carried out
    actor       random id of a person, None for the service itself
    cause       position of the event that this command follows from
    enforce_quota  whether the quota of the project limits what is created
    """

    command_id: UUID = field(default_factory=uuid4)
    actor: UUID | None = None
    project_id: str = ""
    request_id: str = ""
    cause: int | None = None
    enforce_quota: bool = False


@dataclass(frozen=True)
class Attempt:
    """One try at a durable action. Its outcome is recorded only while it is the latest try.

    done  the revision up to which the work is done: more that was wanted meanwhile keeps the action
    """

    action_id: int
    number: int
    done: int = 0

    def up_to(self, revision: int) -> "Attempt":
        """The work of this attempt covers all that was wanted up to this revision."""
        return replace(self, done=max(self.done, revision))


class OutdatedAttempt(Exception):
    """The action was taken over by another try; nothing was stored."""


class StoreUnavailable(Exception):
    """The database did not answer in time; the same command may be sent again."""


class Aggregates(Protocol):
    """Loads and saves aggregates; rows and commit record go into the same transaction."""

    def load_balancer(self, id: UUID) -> LoadBalancer:
        """Raises NotFound when there is none or when its deletion is complete."""
        ...

    def amphora(self, id: UUID) -> Amphora:
        """Raises NotFound."""
        ...

    def save(
        self, *aggregates: LoadBalancer | Amphora, origin: Origin, completing: Attempt | None = None
    ) -> datetime | None:
        """Append what the aggregates decided, all or nothing; returns when, None when they decided nothing.

        completing  the action that this is the outcome of: its row goes in the same transaction

        Raises ConcurrentChange when another writer was faster, AddressTaken when a VIP has an owner already,
        OutdatedAttempt when the action is no longer this attempt's, StoreUnavailable.
        """
        ...

    def was_carried_out(self, command_id: UUID) -> bool:
        """Whether the log holds this command: the answer to a commit may be lost."""
        ...


@dataclass(frozen=True)
class Place:
    """Where an object belongs."""

    load_balancer_id: UUID
    project_id: str


class Places(Protocol):
    """Finds the load balancer that an object belongs to."""

    def place_of(self, kind: Kind, id: UUID) -> Place:
        """Raises NotFound when there is no such object; a load balancer belongs to itself."""
        ...


@dataclass(frozen=True, kw_only=True)
class VipRequest:
    """What the user said about the VIP; at least one of the three ids is given."""

    load_balancer_id: UUID
    project_id: str
    port_id: UUID | None = None
    subnet_id: UUID | None = None
    network_id: UUID | None = None
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """What rules need to know about a subnet."""

    id: UUID
    network_id: UUID
    name: str
    cidr: str
    gateway: str | None = None


class VipAllocation(Protocol):
    """The part of the network driver that is asked before a load balancer is created."""

    def resolve(self, request: VipRequest, attempt: int) -> Vip:
        """The VIP for a load balancer. Repeating a request with the same `attempt` gives the same answer.

        attempt  0 at first, one more each time the address turned out to be taken

        Raises Invalid with the contract's words ("Subnet {id} not found." ...), AddressTaken for a given address.
        """
        ...

    def find_subnet(self, id: UUID) -> Subnet | None:
        """None when there is none, or none that the caller may see."""
        ...


class NetworkReads(Protocol):
    """What the API port shows in Neutron's place, in the local and noop profiles only."""

    def networks(self) -> Sequence[dict[str, object]]: ...

    def subnets(self) -> Sequence[dict[str, object]]: ...

    def ports(self) -> Sequence[dict[str, object]]: ...

    def qos_policies(self) -> Sequence[dict[str, object]]: ...
