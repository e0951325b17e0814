"""What has to hold of load balancers: owners of addresses, revisions, confirmations, and an outcome in time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import singledispatchmethod
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from domain import load_balancer_events as events
from domain.progress import Reached
from domain.vip import Vip
from infra.verify_log import Deadlines, Entry, Finding, Tell

Place = tuple[UUID, str]
"""A network and an address on it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """When a revision was asked for, and where the log says so."""

    at: datetime
    position: int


@dataclass(slots=True)
class LoadBalancerSoFar:
    """What the events say of a load balancer that is there: nothing of its tree.

    has_amphorae  whether it had any at first; else its provider confirms, under the id of the load balancer
    confirmed     amphora in service -> the revision that it runs
    asked         revisions without an outcome
    restarted_at  since when it waits for an amphora, none being in service; None while one is
    """

    id: UUID
    places: tuple[Place, ...]
    has_amphorae: bool
    amphora_ids: set[UUID]
    restarted_at: datetime | None
    revision: int = 1
    applied: int = 0
    settled: int = 0
    confirmed: dict[UUID, int] = field(default_factory=dict)
    asked: dict[int, Asked] = field(default_factory=dict)
    deletion: Asked | None = None
    is_deletion_overdue: bool = False

    def __str__(self) -> str:
        return f"load balancer {self.id}"


class LoadBalancers:
    """Follows all load balancers that are there; those that are gone are forgotten."""

    def __init__(self, deadlines: Deadlines, tell: Tell) -> None:
        self.live: dict[UUID, LoadBalancerSoFar] = {}
        self.owners: dict[Place, UUID] = {}
        self._deadlines = deadlines
        self._tell = tell

    def see(self, entry: Entry) -> None:
        event = entry.event
        if isinstance(event, events.Created):
            self._created(event, entry)
        elif isinstance(event, events.Event):
            it = self.live.get(entry.stream)
            if it is None:
                words = f"is told of by {entry.topic}, yet it was never created or is deleted"
                self._tell(entry.finding(f"load balancer {entry.stream}", words))
            else:
                self._happened(event, it, entry)

    def at_end(self, now: datetime) -> None:
        """Nothing waits for longer than it may."""
        for it in self.live.values():
            late = [(revision, asked) for revision, asked in it.asked.items() if self._is_late(it, asked, now)]
            if late:
                revision, asked = min(late)
                words = f"waits for revision {revision} since {asked.at}, past its deadline"
                self._tell(Finding(asked.position, str(it), words))
            deletion = it.deletion
            if deletion is not None and not it.is_deletion_overdue and self._is_deletion_late(deletion, now):
                words = f"is being deleted since {deletion.at}, past its deadline"
                self._tell(Finding(deletion.position, str(it), words))

    # Creation and its addresses

    def _created(self, event: events.Created, entry: Entry) -> None:
        it = LoadBalancerSoFar(
            id=entry.stream,
            places=_places(event.vip),
            has_amphorae=bool(event.amphora_ids),
            amphora_ids=set(event.amphora_ids),
            restarted_at=entry.at if event.amphora_ids else None,
        )
        if it.id in self.live:
            self._tell(entry.finding(str(it), "is created a second time"))
        for place in it.places:
            owner = self.owners.setdefault(place, it.id)
            if owner != it.id:
                words = f"is given {place[1]} on network {place[0]}, which load balancer {owner} owns"
                self._tell(entry.finding(str(it), words))
        self.live[it.id] = it
        it.asked[it.revision] = Asked(entry.at, entry.position)

    # What happens then

    @singledispatchmethod
    def _happened(self, event: Any, it: LoadBalancerSoFar, entry: Entry) -> None:
        """Nothing of what is followed here."""

    @_happened.register
    def _revised(self, event: events.Revised, it: LoadBalancerSoFar, entry: Entry) -> None:
        if it.deletion is not None:
            self._tell(entry.finding(str(it), f"is changed by {entry.topic}, yet its deletion was asked for"))
        if entry.version <= it.revision:
            words = f"is changed with revision {entry.version}, yet it is at revision {it.revision}"
            self._tell(entry.finding(str(it), words))
        it.revision = entry.version
        it.asked[it.revision] = Asked(entry.at, entry.position)

    @_happened.register
    def _applied(self, event: events.ConfigurationApplied, it: LoadBalancerSoFar, entry: Entry) -> None:
        said = event.confirmation
        amphora = f"amphora {said.amphora_id}"
        if said.amphora_id not in it.amphora_ids and (it.has_amphorae or said.amphora_id != it.id):
            self._tell(entry.finding(amphora, f"confirms for {it}, whose amphora it is not"))
        if said.revision > it.revision:
            words = f"confirms revision {said.revision} of {it}, which is at revision {it.revision}"
            self._tell(entry.finding(amphora, words))
        before = it.confirmed.get(said.amphora_id, 0)
        if said.revision < before:
            words = f"confirms revision {said.revision} of {it} after revision {before}"
            self._tell(entry.finding(amphora, words))
        it.confirmed[said.amphora_id] = said.revision
        self._reached(said.reached, it, entry)
        it.restarted_at = None

    @_happened.register
    def _replaced(self, event: events.AmphoraReplaced, it: LoadBalancerSoFar, entry: Entry) -> None:
        if event.amphora_id not in it.amphora_ids:
            self._tell(entry.finding(f"amphora {event.amphora_id}", f"is replaced in {it}, whose amphora it is not"))
        it.amphora_ids.discard(event.amphora_id)
        it.amphora_ids.add(event.replacement_id)
        it.confirmed.pop(event.amphora_id, None)
        self._reached(event.reached, it, entry)
        self._revised(event, it, entry)
        if not it.confirmed:
            it.restarted_at = entry.at

    @_happened.register
    def _refused(self, event: events.ConfigurationRefused, it: LoadBalancerSoFar, entry: Entry) -> None:
        highest = max([event.revision, *(blame.mark for blame in event.blamed)])
        if highest > it.revision:
            words = f"refuses revision {highest} of {it}, which is at revision {it.revision}"
            self._tell(entry.finding(f"amphora {event.amphora_id}", words))

    @_happened.register(events.DeadlinePassed)
    @_happened.register(events.AmphoraFailed)
    def _settled(self, event: Any, it: LoadBalancerSoFar, entry: Entry) -> None:
        self._settle(event.settled, it, entry)

    @_happened.register
    def _amphora_gone(self, event: events.AmphoraGone, it: LoadBalancerSoFar, entry: Entry) -> None:
        it.amphora_ids.discard(event.amphora_id)

    # Outcomes

    def _reached(self, reached: Reached, it: LoadBalancerSoFar, entry: Entry) -> None:
        if reached.applied < it.applied:
            words = f"falls back from applied revision {it.applied} to {reached.applied}"
            self._tell(entry.finding(str(it), words))
        if reached.applied > max(it.applied, min(it.confirmed.values(), default=0)):
            words = f"counts revision {reached.applied} as applied, which not all amphorae in service confirmed"
            self._tell(entry.finding(str(it), words))
        if reached.settled < reached.applied:
            words = f"has revision {reached.applied} applied, yet settled only up to {reached.settled}"
            self._tell(entry.finding(str(it), words))
        it.applied = reached.applied
        self._settle(reached.settled, it, entry)

    def _settle(self, settled: int, it: LoadBalancerSoFar, entry: Entry) -> None:
        if settled > it.revision:
            words = f"is settled up to revision {settled}, yet it is at revision {it.revision}"
            self._tell(entry.finding(str(it), words))
        if settled < it.settled and isinstance(entry.event, events.ConfigurationApplied | events.AmphoraReplaced):
            words = f"is settled up to revision {settled} after revision {it.settled}"
            self._tell(entry.finding(str(it), words))
        ended = {revision: asked for revision, asked in it.asked.items() if revision <= settled}
        late = [(revision, asked) for revision, asked in ended.items() if self._is_late(it, asked, entry.at)]
        if late:
            revision, asked = min(late)
            words = f"has the outcome of revision {revision}, asked for at {asked.at}, only at {entry.at}"
            self._tell(entry.finding(str(it), words))
        for revision in ended:
            del it.asked[revision]
        it.settled = max(settled, it.settled)

    def _is_late(self, it: LoadBalancerSoFar, asked: Asked, now: datetime) -> bool:
        """Without an amphora in service one is built first."""
        deadlines = self._deadlines
        if it.restarted_at is not None and not deadlines.passed(it.restarted_at, deadlines.build + deadlines.push, now):
            return False
        return deadlines.passed(asked.at, deadlines.push, now)

    # Deletion

    @_happened.register(events.DeletionRequested)
    @_happened.register(events.DeletionRepeated)
    def _deletion_requested(self, event: Any, it: LoadBalancerSoFar, entry: Entry) -> None:
        """What waits is called off."""
        it.asked.clear()
        it.deletion, it.is_deletion_overdue = Asked(entry.at, entry.position), False

    @_happened.register
    def _deletion_overdue(self, event: events.DeletionOverdue, it: LoadBalancerSoFar, entry: Entry) -> None:
        self._require_deleted_in_time(it, entry)
        it.settled = max(event.settled, it.settled)
        it.is_deletion_overdue = True

    @_happened.register
    def _deleted(self, event: events.Deleted, it: LoadBalancerSoFar, entry: Entry) -> None:
        if not it.is_deletion_overdue:
            self._require_deleted_in_time(it, entry)
        for place in it.places:
            if self.owners.get(place) == it.id:
                del self.owners[place]
        del self.live[it.id]

    def _require_deleted_in_time(self, it: LoadBalancerSoFar, entry: Entry) -> None:
        if it.deletion is not None and self._is_deletion_late(it.deletion, entry.at):
            words = f"has the outcome of its deletion, asked for at {it.deletion.at}, only at {entry.at}"
            self._tell(entry.finding(str(it), words))

    def _is_deletion_late(self, asked: Asked, now: datetime) -> bool:
        """Two steps, one after the other: its amphorae, then its VIP."""
        return self._deadlines.passed(asked.at, 2 * self._deadlines.delete, now)


def _places(vip: Vip) -> tuple[Place, ...]:
    """In the noop network anybody may have any address."""
    if not vip.is_exclusive:
        return ()
    return tuple((vip.network_id, str(ip_address(address))) for address in vip.addresses)


def by_load_balancer(ids: Iterable[UUID], amphorae: Mapping[UUID, UUID]) -> dict[UUID, list[UUID]]:
    """Load balancer -> its amphorae. amphorae: amphora -> its load balancer."""
    found: dict[UUID, list[UUID]] = {id: [] for id in ids}
    for amphora_id, load_balancer_id in amphorae.items():
        if load_balancer_id in found:
            found[load_balancer_id].append(amphora_id)
    return found
