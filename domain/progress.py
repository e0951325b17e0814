"""How far the amphorae are with a load balancer's revisions, and the status of each object that follows from it.

Nothing here is a lock: a status is worked out from marks, so nothing can be left PENDING by a crash.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from domain.fields import NOTHING_YET, ProvisioningStatus, Revision


class Kind(StrEnum):
    """The kinds of object in a load balancer's tree; the value names the table of their rows."""

    LOAD_BALANCER = "load_balancers"
    LISTENER = "listeners"
    POOL = "pools"
    MEMBER = "members"
    HEALTH_MONITOR = "health_monitors"
    L7_POLICY = "l7_policies"
    L7_RULE = "l7_rules"


@dataclass(frozen=True, slots=True)
class Reported:
    """A status that was set by hand: it is shown until the object, or one it is shown with, is changed again.

    since  the load balancer's revision at that time
    """

    status: ProvisioningStatus
    since: Revision


LEFT_OUT = "An amphora runs without it."


@dataclass(frozen=True, slots=True)
class Ref:
    """Names one object of the tree."""

    kind: Kind
    id: UUID


@dataclass(frozen=True, slots=True)
class Marks:
    """The revisions that concern one object.

    own      its own last change, or the last time it was tried again; only this one can become ERROR
    edited   the last change of its settings
    touched  the last change of another object with which this one is shown PENDING
    deleted  its deletion, 0 while it is wanted
    failed   the own mark that an amphora refused, 0 for none
    """

    kind: Kind
    created: Revision
    own: Revision
    edited: Revision
    touched: Revision = NOTHING_YET
    deleted: Revision = NOTHING_YET
    failed: Revision = NOTHING_YET


def provisioning_status(marks: Marks, applied: Revision, settled: Revision) -> ProvisioningStatus | None:
    """The status of an object; None once it is gone. The SQL function of the same name says the same."""
    if marks.deleted:
        return _status_of_deletion(marks.deleted, applied, settled)
    if marks.failed == marks.own:
        return ProvisioningStatus.ERROR
    if marks.own > settled:
        return ProvisioningStatus.PENDING_CREATE if marks.created > applied else ProvisioningStatus.PENDING_UPDATE
    if marks.own > applied:
        return ProvisioningStatus.ERROR
    return ProvisioningStatus.PENDING_UPDATE if marks.touched > settled else ProvisioningStatus.ACTIVE


def _status_of_deletion(deleted: Revision, applied: Revision, settled: Revision) -> ProvisioningStatus | None:
    if deleted <= applied:
        return None
    return ProvisioningStatus.ERROR if deleted <= settled else ProvisioningStatus.PENDING_DELETE


@dataclass(frozen=True, kw_only=True)
class Reached:
    """Where a load balancer stands after its set of confirmations changed: events carry it, so that rows need no rules.

    gone  objects whose deletion is complete
    """

    applied: Revision
    settled: Revision
    gone: tuple[Ref, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Blame:
    """One object that an amphora refused.

    mark  its own mark at that time: a later change of the object lifts the blame
    held  the revision whose value runs instead, 0 when the object is left out
    """

    ref: Ref
    mark: Revision
    held: Revision
    words: str


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What follows from an amphora's word that it runs a revision.

    without   objects that the amphora runs at an older revision, or not at all
    refailed  those of them that nothing had been said against yet
    healed    objects that had been refused and run now
    """

    amphora_id: UUID
    revision: Revision
    sha256: str
    without: tuple[Ref, ...]
    refailed: tuple[Blame, ...]
    healed: tuple[Ref, ...]
    reached: Reached


@dataclass(frozen=True, slots=True)
class Held:
    """What is remembered of an object that was refused.

    good   the revision of its last value that ran, 0 when none ever did
    since  the revision that was refused: word of an older one heals nothing
    """

    good: Revision
    since: Revision


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The marks of all objects of one load balancer and what its amphorae confirmed. Replaced, never changed.

    applied    what every amphora in service runs; never falls
    settled    the highest revision that ended either way; never below `applied`
    confirmed  amphora in service -> the revision it runs
    held       objects once refused that did not run since
    deleting   objects with a deletion that is not complete
    asked_at   revision not yet settled -> when it was asked for
    reported   statuses that were set by hand
    """

    revision: Revision = NOTHING_YET
    applied: Revision = NOTHING_YET
    settled: Revision = NOTHING_YET
    marks: Mapping[UUID, Marks] = field(default_factory=dict)
    confirmed: Mapping[UUID, Revision] = field(default_factory=dict)
    held: Mapping[UUID, Held] = field(default_factory=dict)
    deleting: Mapping[UUID, Revision] = field(default_factory=dict)
    asked_at: Mapping[Revision, datetime] = field(default_factory=dict)
    reported: Mapping[UUID, Reported] = field(default_factory=dict)

    def status_of(self, id: UUID) -> ProvisioningStatus | None:
        """The provisioning status of an object; None when there is no such object (any more)."""
        marks = self.marks.get(id)
        if marks is None:
            return None
        return self.reported_status_of(id) or provisioning_status(marks, self.applied, self.settled)

    def reported_status_of(self, id: UUID) -> ProvisioningStatus | None:
        """What was set by hand, as long as the object was not changed since."""
        reported, marks = self.reported.get(id), self.marks.get(id)
        if reported is None or marks is None or max(marks.own, marks.touched, marks.deleted) > reported.since:
            return None
        return reported.status

    @property
    def held_back(self) -> Mapping[UUID, Revision]:
        """Refused objects that nobody changed since -> the revision whose value runs instead, 0 when left out."""
        return {id: held.good for id, held in self.held.items() if self.marks[id].failed == self.marks[id].own}

    def is_wanted(self, id: UUID) -> bool:
        """Whether the object exists and its deletion was not asked for."""
        return id in self.marks and id not in self.deleting

    # Changes

    def changed(
        self,
        revision: Revision,
        *,
        created: Iterable[Ref] = (),
        changed: Iterable[Ref] = (),
        deleted: Iterable[Ref] = (),
        touched: Iterable[Ref] = (),
        retried: Iterable[Ref] = (),
        edited: Iterable[Ref] = (),
    ) -> "Progress":
        """Marks objects with a new revision; a deleted object is never held back by an earlier refusal.

        retried  refused objects that are tried again as they are
        edited   objects whose settings changed by the way: they follow another object's change
        """
        marks = dict(self.marks)
        for ref in created:
            marks[ref.id] = Marks(ref.kind, revision, revision, revision)
        for ref in changed:
            marks[ref.id] = replace(marks[ref.id], own=revision, edited=revision)
        for ref in retried:
            marks[ref.id] = replace(marks[ref.id], own=revision)
        for ref in edited:
            marks[ref.id] = replace(marks[ref.id], edited=revision)
        for ref in touched:
            marks[ref.id] = replace(marks[ref.id], touched=revision)
        deleting, held = self.deleting, self.held
        for ref in deleted:
            marks[ref.id] = replace(marks[ref.id], deleted=revision)
            deleting = {**deleting, ref.id: revision}
            held = {id: known for id, known in held.items() if id != ref.id}
        return replace(self, revision=revision, marks=marks, deleting=deleting, held=held)

    def asked(self, at: datetime) -> "Progress":
        """Remembers when the latest revision was asked for, as long as it is not settled."""
        return replace(self, asked_at={**self.asked_at, self.revision: at})

    # What amphorae say

    def confirmation(
        self, amphora_id: UUID, revision: Revision, sha256: str, without: Iterable[UUID] = ()
    ) -> Confirmation | None:
        """What a report of success means; None when it says nothing new (reports come late, and more than once)."""
        left_out = {id for id in without if self.is_wanted(id)}
        healed = {id for id, held in self.held.items() if id not in left_out and self._is_healed(id, held, revision)}
        known = self.confirmed.get(amphora_id, NOTHING_YET)
        if revision > self.revision or revision < max(known, self.applied) or (revision == known and not healed):
            return None
        return Confirmation(
            amphora_id=amphora_id,
            revision=revision,
            sha256=sha256,
            without=self._refs(left_out),
            refailed=tuple(self._blame(id, LEFT_OUT) for id in left_out if self._is_refailed(id, revision)),
            healed=self._refs(healed),
            reached=self._reached({**self.confirmed, amphora_id: revision}),
        )

    def _is_healed(self, id: UUID, held: Held, revision: Revision) -> bool:
        return revision >= max(held.since, self.marks[id].own)

    def _is_refailed(self, id: UUID, revision: Revision) -> bool:
        """Left out of what runs although nothing says that it was refused: it may not be shown as ACTIVE."""
        marks = self.marks[id]
        return marks.own <= revision and marks.failed != marks.own

    def confirmed_by(self, said: Confirmation) -> "Progress":
        marks = dict(self.marks)
        held = dict(self.held)
        for blame in said.refailed:
            marks[blame.ref.id] = replace(marks[blame.ref.id], failed=blame.mark)
            held[blame.ref.id] = Held(blame.held, said.revision)
        for ref in said.healed:
            marks[ref.id] = replace(marks[ref.id], failed=NOTHING_YET)
            del held[ref.id]
        now = replace(self, marks=marks, held=held, confirmed={**self.confirmed, said.amphora_id: said.revision})
        return now._moved_to(said.reached)

    def suspects(self, revision: Revision) -> tuple[Ref, ...]:
        """Objects that may be to blame for a refusal of `revision`, in the order of their change."""
        found = [
            (marks.own, id)
            for id, marks in self.marks.items()
            if self.applied < marks.own <= revision and not marks.deleted and marks.kind != Kind.LOAD_BALANCER
        ]
        return self._refs(id for _, id in sorted(found))

    def blame(
        self, revision: Revision, words: Mapping[UUID, str], below: Callable[[UUID], Iterable[UUID]]
    ) -> tuple[Blame, ...]:
        """The objects that fail by a refusal, with all that hangs below one that never ran.

        below  object id -> ids of its descendants
        """
        blamed = {id: said for id, said in words.items() if self.is_wanted(id) and self.marks[id].own <= revision}
        for id in tuple(blamed):
            if self.last_good(id) == NOTHING_YET:
                inherited = {child: f"What it belongs to was refused: {words[id]}" for child in below(id)}
                blamed = {**inherited, **blamed}
        return tuple(self._blame(id, said) for id, said in blamed.items() if id not in self.held_back)

    def _blame(self, id: UUID, words: str) -> Blame:
        return Blame(ref=Ref(self.marks[id].kind, id), mark=self.marks[id].own, held=self.last_good(id), words=words)

    def last_good(self, id: UUID) -> Revision:
        """The revision whose value of a wanted object ran last, 0 when none ever did."""
        if id in self.held:
            return self.held[id].good
        return self.applied if self.marks[id].created <= self.applied else NOTHING_YET

    def refused(self, revision: Revision, blamed: Iterable[Blame]) -> "Progress":
        marks, held = dict(self.marks), dict(self.held)
        for blame in blamed:
            marks[blame.ref.id] = replace(marks[blame.ref.id], failed=blame.mark)
            held[blame.ref.id] = Held(blame.held, revision)
        return replace(self, marks=marks, held=held)

    def departure(self, amphora_id: UUID) -> Reached:
        """Where it stands once this amphora leaves service: the lowest revision of the others may be higher."""
        return self._reached({id: revision for id, revision in self.confirmed.items() if id != amphora_id})

    def departed(self, amphora_id: UUID, reached: Reached) -> "Progress":
        confirmed = {id: revision for id, revision in self.confirmed.items() if id != amphora_id}
        return replace(self, confirmed=confirmed)._moved_to(reached)

    # What is set by hand

    def told(self, statuses: Mapping[UUID, ProvisioningStatus], since: Revision) -> "Progress":
        """Statuses that are shown as they are; of objects that are not there they mean nothing."""
        told = {id: Reported(status, since) for id, status in statuses.items() if id in self.marks}
        return replace(self, reported={**self.reported, **told})

    def without(self, refs: Iterable[Ref]) -> "Progress":
        """Forgets objects that are gone without having been asked for it."""
        gone = {ref.id for ref in refs}
        return replace(
            self,
            marks={id: marks for id, marks in self.marks.items() if id not in gone},
            held={id: held for id, held in self.held.items() if id not in gone},
            deleting={id: revision for id, revision in self.deleting.items() if id not in gone},
            reported={id: reported for id, reported in self.reported.items() if id not in gone},
        )

    def as_measured(self) -> "Progress":
        """Without what was set by hand."""
        return replace(self, reported={})

    # Deadlines

    def overdue(self, now: datetime, allowance: timedelta) -> Revision:
        """The highest unsettled revision that was asked for longer than `allowance` ago; 0 when there is none."""
        late = (revision for revision, at in self.asked_at.items() if now - at >= allowance)
        return max(late, default=NOTHING_YET)

    def settled_to(self, revision: Revision) -> "Progress":
        return self._settled_at(max(revision, self.settled))

    def _settled_at(self, settled: Revision) -> "Progress":
        asked_at = {revision: at for revision, at in self.asked_at.items() if revision > settled}
        return replace(self, settled=settled, asked_at=asked_at)

    def _reached(self, confirmed: Mapping[UUID, Revision]) -> Reached:
        """`applied` is never the minimum of nothing and never falls."""
        applied = max(self.applied, min(confirmed.values(), default=NOTHING_YET))
        gone = self._refs(id for id, deleted in self.deleting.items() if deleted <= applied)
        return Reached(applied=applied, settled=max(applied, self.settled), gone=gone)

    def _moved_to(self, reached: Reached) -> "Progress":
        gone = {ref.id for ref in reached.gone}
        return replace(
            self._settled_at(reached.settled),
            applied=reached.applied,
            marks={id: marks for id, marks in self.marks.items() if id not in gone} if gone else self.marks,
            deleting={id: revision for id, revision in self.deleting.items() if id not in gone},
        )

    def _refs(self, ids: Iterable[UUID]) -> tuple[Ref, ...]:
        return tuple(Ref(self.marks[id].kind, id) for id in ids)
