"""What commands need from the outside, fulfilled by infra/."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from eventsourcing.domain import Aggregate

from commands.entity_tag import IfMatch
from domain.amphora import Amphora
from domain.load_balancer import LoadBalancer
from domain.member import VnicType
from domain.progress import Kind
from domain.vip import AdditionalVip, Vip


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Who asked for a command, and through which request: kept with what it changed.

    command_id  names the command in the log: one that is there already was carried out
    actor       random id of a person, None for the service itself
    cause       position of the event that this command follows from
    enforce_quota  whether the quota of the project limits what is created
    if_match    what the caller takes the object for, None when that does not matter
    dry_run     only say what would happen
    is_repeated  whether the log may hold this command already: its answer was lost
    """

    command_id: UUID = field(default_factory=uuid4)
    actor: UUID | None = None
    project_id: str = ""
    request_id: str = ""
    cause: int | None = None
    enforce_quota: bool = False
    if_match: IfMatch | None = None
    dry_run: bool = False
    is_repeated: bool = False


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


A = TypeVar("A", bound=Aggregate)


class Aggregates(Protocol):
    """Loads and saves aggregates; rows and commit record go into the same transaction."""

    def load(self, kind: type[A], id: UUID) -> A:
        """Raises NotFound when there is none of this kind, or when it says `deleted`; StoreUnavailable."""
        ...

    def load_balancer(self, id: UUID) -> LoadBalancer:
        """Raises NotFound when there is none or when its deletion is complete."""
        ...

    def amphora(self, id: UUID) -> Amphora:
        """Raises NotFound."""
        ...

    def save(self, *aggregates: Aggregate, origin: Origin, completing: Attempt | None = None) -> datetime | None:
        """Append what the aggregates decided, all or nothing; returns when, None when they decided nothing.

        completing  the action that this is the outcome of: its row goes in the same transaction

        Raises ConcurrentChange when another writer was faster, AddressTaken when a VIP has an owner already,
        QuotaExceeded for an origin that quotas concern and ProjectBusy when they could not be counted, OutdatedAttempt
        when the action is no longer this attempt's, NotFound when it is about the health of a load balancer that is
        gone, StoreUnavailable.
        """
        ...

    def load_balancer_as_of(self, id: UUID, command_id: UUID) -> tuple[LoadBalancer, datetime] | None:
        """The load balancer as this command left it, and when that was; None when the log does not hold the command."""
        ...

    def was_carried_out(self, command_id: UUID) -> bool:
        """Whether the log holds this command: the answer to a commit may be lost."""
        ...


@dataclass(frozen=True)
class Place:
    """Where an object belongs."""

    load_balancer_id: UUID
    project_id: str


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A flavor or an availability zone, with what its profile says.

    provider  the only provider that it is for
    data      by the provider's own names
    """

    enabled: bool
    provider: str
    data: Mapping[str, object]


class Catalogue(Protocol):
    """What users may choose from."""

    def flavor(self, id: UUID) -> Choice | None: ...

    def availability_zone(self, name: str) -> Choice | None: ...


class ProviderGate(Protocol):
    """Asks a load balancer's provider before a change is accepted."""

    @property
    def default(self) -> str: ...

    def require_enabled(self, name: str) -> None:
        """Raises Invalid, or ProviderNotFound for one that is enabled and cannot be loaded."""
        ...

    def keeps_amphorae(self, name: str) -> bool:
        """Whether there are amphorae behind its load balancers; otherwise the provider itself confirms."""
        ...

    def require_flavor_data(self, name: str, data: object) -> None:
        """Raises ProviderUnsupported, ProviderFailed."""
        ...

    def require_zone_data(self, name: str, data: object) -> None:
        """Raises ProviderUnsupported, ProviderFailed."""
        ...

    def ask(self, provider: str, method: str, *values: object) -> None:
        """method: as octavia-lib's driver interface names it.

        Raises ProviderUnsupported, ProviderFailed, AddressTaken.
        """
        ...


class Places(Protocol):
    """Finds the load balancer that an object belongs to."""

    def place_of(self, kind: Kind, id: UUID) -> Place:
        """Raises NotFound when there is no such object; a load balancer belongs to itself."""
        ...


@dataclass(frozen=True, kw_only=True)
class VipRequest:
    """What the user said about the VIP; at least one of the three ids is given.

    provider        who is said to be in trouble when the network is
    vnic_type       from the flavor
    valid_networks  those that the availability zone has, None where the deployment's count
    """

    load_balancer_id: UUID
    project_id: str
    provider: str = ""
    port_id: UUID | None = None
    subnet_id: UUID | None = None
    network_id: UUID | None = None
    address: str | None = None
    qos_policy_id: UUID | None = None
    security_group_ids: tuple[UUID, ...] = ()
    additional: tuple[AdditionalVip, ...] = ()
    vnic_type: VnicType = VnicType.NORMAL
    valid_networks: tuple[str, ...] | None = None

    @property
    def names_addresses(self) -> bool:
        """Whether another address than the one that was asked for would be no answer."""
        others = (each.ip_address for each in self.additional)
        return self.address is not None or self.port_id is not None or any(each is not None for each in others)


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """The VIP, and what a port that was given hands on to the load balancer."""

    vip: Vip
    qos_policy_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """What rules need to know about a subnet."""

    id: UUID
    network_id: UUID
    name: str
    cidr: str
    gateway: str | None = None


@dataclass(frozen=True, kw_only=True)
class FixedIp:
    """One address of a port."""

    subnet_id: UUID
    address: str


@dataclass(frozen=True, kw_only=True)
class Port:
    """device_id: what uses the port, empty while nothing does."""

    id: UUID
    network_id: UUID
    fixed_ips: tuple[FixedIp, ...]
    device_id: str = ""
    qos_policy_id: UUID | None = None


@dataclass(frozen=True, kw_only=True)
class VipPlace:
    """Where a VIP is to be, before anything is allocated.

    address        None where the network chooses
    port           the one that was given, None where one has to be made
    qos_policy_id  the port's own, when the request says nothing of it
    """

    network_id: UUID
    subnet_id: UUID
    address: str | None = None
    port: Port | None = None
    qos_policy_id: UUID | None = None


class VipAllocation(Protocol):
    """The part of the network driver that is asked before a load balancer is created or changed."""

    def locate(self, request: VipRequest) -> VipPlace:
        """Where the VIP is to be; neither the provider nor flavor and zone have a say in it yet.

        Raises Invalid with the contract's words ("Subnet {id} not found." ...).
        """
        ...

    def allocate(self, request: VipRequest, place: VipPlace, attempt: int) -> Resolved:
        """The VIP there. Repeating a request with the same `attempt` gives the same answer.

        attempt  0 at first, one more each time the address turned out to be taken

        Raises Invalid with the contract's words for a place that is not allowed, AddressTaken for a given address,
        ProviderFailed for whatever else the network says.
        """
        ...

    def require_qos_policy(self, id: UUID | None) -> None:
        """Raises Invalid where networks have no QoS, or not this policy."""
        ...

    def require_security_groups(self, ids: Sequence[UUID]) -> None:
        """Raises Invalid for one that the caller does not see."""
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

    def security_groups(self) -> Sequence[dict[str, object]]: ...

    def made_up(self, kind: str, wanted: str) -> dict[str, object] | None:
        """What there is under an id or a name that none of these lists has; None where only those exist.

        kind  the key of one such object in Neutron's format: "subnet", "security_group" ...
        """
        ...
