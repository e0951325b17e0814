"""The rows of load balancers and of what is below them: what each event writes into them."""

from collections.abc import Iterable, Sequence
from typing import Any

from domain import load_balancer_events as events
from domain.health_monitor import HealthMonitor
from domain.l7_policy import L7Policy
from domain.l7_rule import L7Rule
from domain.listener import Listener
from domain.load_balancer_events import document_of
from domain.member import Member
from domain.pool import Pool
from domain.progress import Blame, Kind, Reached, Ref
from projections.rows import THIS_COMMIT, Change, Delete, Insert, InsertOnce, Release, Update, Upsert, Use, rows_of

TREE_TABLES = tuple(kind for kind in Kind if kind != Kind.LOAD_BALANCER)

# The load balancer's own row


@rows_of.register
def load_balancer_created(event: events.Created) -> Sequence[Change]:
    revision = event.originator_version
    row = {
        "id": event.originator_id,
        "project_id": event.project_id,
        "document": document_of(event),
        "flavor_id": event.flavor_id,
        "availability_zone": event.availability_zone,
        "created": revision,
        "own": revision,
        "edited": revision,
        "created_by": THIS_COMMIT,
    }
    return [Upsert(Kind.LOAD_BALANCER, row), *_claim(event), Use(event.originator_id, Kind.LOAD_BALANCER, 1)]


def _claim(event: events.Created) -> list[Change]:
    """An address has one owner on its network: the key of the table sees to it."""
    vip = event.vip
    if not vip.is_exclusive:
        return []
    owned = {"network_id": vip.network_id, "load_balancer_id": event.originator_id}
    return [Insert("addresses", {**owned, "address": address}) for address in vip.addresses]


@rows_of.register
def load_balancer_changed(event: events.Changed) -> Sequence[Change]:
    return [
        Update(
            Kind.LOAD_BALANCER,
            {
                "id": event.originator_id,
                "document": event.settings,
                "own": event.originator_version,
                "edited": event.originator_version,
                "touched": event.originator_version,
                "updated_by": THIS_COMMIT,
            },
        )
    ]


@rows_of.register
def deletion_requested(event: events.DeletionRequested) -> Sequence[Change]:
    set_by_hand = Delete("reported_statuses", (event.originator_id,), "load_balancer_id")
    return [_load_balancer(event, deletion="PENDING_DELETE", reason="", updated_by=THIS_COMMIT), set_by_hand]


@rows_of.register
def deletion_overdue(event: events.DeletionOverdue) -> Sequence[Change]:
    reason = f"{event.step}: {event.reason}"
    return [_load_balancer(event, deletion="ERROR", settled=event.settled, reason=reason, updated_by=THIS_COMMIT)]


@rows_of.register
def deletion_repeated(event: events.DeletionRepeated) -> Sequence[Change]:
    return [_load_balancer(event, deletion="PENDING_DELETE", reason="", updated_by=THIS_COMMIT)]


@rows_of.register
def load_balancer_deleted(event: events.Deleted) -> Sequence[Change]:
    id = (event.originator_id,)
    release = Release(event.originator_id)
    below = [
        *TREE_TABLES,
        "amphorae",
        "addresses",
        "confirmations",
        "operating_statuses",
        "reported_statuses",
        "statistics",
    ]
    return [release, Delete(Kind.LOAD_BALANCER, id), *(Delete(table, id, "load_balancer_id") for table in below)]


@rows_of.register
def statuses_set(event: events.StatusesSet) -> Sequence[Change]:
    """Which table an object is in does not matter to who sets its status."""
    set_by_hand = [
        Upsert(
            "reported_statuses",
            {"object_id": id, "load_balancer_id": event.originator_id, "status": status, "since": event.since},
        )
        for id, status in event.statuses.items()
    ]
    left = [(Kind.LISTENER, each) for each in event.listeners] + [(Kind.L7_POLICY, each) for each in event.l7_policies]
    changed = [Update(kind, {"id": each.id, "document": each}) for kind, each in left]
    return [*set_by_hand, *changed, *_gone(event, event.gone)]


@rows_of.register
def statuses_released(event: events.StatusesReleased) -> Sequence[Change]:
    return [Delete("reported_statuses", (event.originator_id,), "load_balancer_id")]


@rows_of.register
def configuration_applied(event: events.ConfigurationApplied) -> Sequence[Change]:
    said = event.confirmation
    healed = [Update(ref.kind, {"id": ref.id, "failed": 0, "reason": ""}) for ref in said.healed]
    return [*_reached(event, said.reached, reason=""), *healed, *_failures(said.refailed)]


@rows_of.register
def configuration_refused(event: events.ConfigurationRefused) -> Sequence[Change]:
    return _failures(event.blamed)


def _failures(blamed: Iterable[Blame]) -> list[Change]:
    return [
        Update(blame.ref.kind, {"id": blame.ref.id, "failed": blame.mark, "reason": blame.words}) for blame in blamed
    ]


@rows_of.register
def deadline_passed(event: events.DeadlinePassed) -> Sequence[Change]:
    return [_load_balancer(event, settled=event.settled, reason=f"{event.step}: {event.reason}")]


@rows_of.register
def load_balancer_amphora_failed(event: events.AmphoraFailed) -> Sequence[Change]:
    return [_load_balancer(event, settled=event.settled, reason=f"{event.step}: {event.reason}")]


@rows_of.register
def failover_requested(event: events.FailoverRequested) -> Sequence[Change]:
    itself = Ref(Kind.LOAD_BALANCER, event.originator_id)
    return [_touch_load_balancer(event), *_retried(event, [itself])]


@rows_of.register
def repair_requested(event: events.RepairRequested) -> Sequence[Change]:
    return [_touch_load_balancer(event)]


@rows_of.register
def amphora_replaced(event: events.AmphoraReplaced) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_retried(event, event.retried), *_reached(event, event.reached)]


def _load_balancer(event: events.Event, **values: Any) -> Update:
    return Update(Kind.LOAD_BALANCER, {"id": event.originator_id, **values})


def _touch_load_balancer(event: events.Event) -> Update:
    return _load_balancer(event, touched=event.originator_version, updated_by=THIS_COMMIT)


def _reached(event: events.Event, reached: Reached, **values: Any) -> list[Change]:
    """One row for a confirmation, however large the tree; and what is gone goes."""
    confirmed = {"load_balancer_id": event.originator_id, "applied": reached.applied, "command_id": THIS_COMMIT}
    return [
        _load_balancer(event, applied=reached.applied, settled=reached.settled, **values),
        InsertOnce("confirmations", confirmed),
        *_gone(event, reached.gone),
    ]


def _gone(event: events.Event, refs: Sequence[Ref]) -> list[Change]:
    by_kind = [(kind, tuple(ref.id for ref in refs if ref.kind == kind)) for kind in TREE_TABLES]
    rows: list[Change] = [Delete(kind, ids) for kind, ids in by_kind if ids]
    measured: list[Change] = [Delete("operating_statuses", tuple(ref.id for ref in refs), "object_id")] if refs else []
    uses = [Use(event.originator_id, kind, -len(ids)) for kind, ids in by_kind if ids]
    return [*rows, *measured, *uses]


# The tree's rows


@rows_of.register
def listener_added(event: events.ListenerAdded) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_added(event, Kind.LISTENER, [event.listener])]


@rows_of.register
def listener_changed(event: events.ListenerChanged) -> Sequence[Change]:
    changed = _changed(event, Kind.LISTENER, [event.listener])
    return [_touch_load_balancer(event), *changed, *_retried(event, event.retried)]


@rows_of.register
def listener_removed(event: events.ListenerRemoved) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_removed(event, event.removed)]


@rows_of.register
def pool_added(event: events.PoolAdded) -> Sequence[Change]:
    return [*_touched(event), *_added(event, Kind.POOL, [event.pool]), *_edited(event, Kind.LISTENER, event.listeners)]


@rows_of.register
def pool_changed(event: events.PoolChanged) -> Sequence[Change]:
    return [*_touched(event), *_changed(event, Kind.POOL, [event.pool]), *_retried(event, event.retried)]


@rows_of.register
def pool_removed(event: events.PoolRemoved) -> Sequence[Change]:
    return [*_touched(event), *_removed(event, event.removed), *_edited(event, Kind.LISTENER, event.listeners)]


@rows_of.register
def members_changed(event: events.MembersChanged) -> Sequence[Change]:
    batch = event.batch
    return [
        *_touched(event),
        *_added(event, Kind.MEMBER, batch.added),
        *_changed(event, Kind.MEMBER, batch.changed),
        *_removed(event, [Ref(Kind.MEMBER, id) for id in batch.removed]),
        *([Use(event.originator_id, Kind.MEMBER, 0, leaving=len(batch.removed))] if batch.added else []),
    ]


@rows_of.register
def health_monitor_added(event: events.HealthMonitorAdded) -> Sequence[Change]:
    return [*_touched(event), *_added(event, Kind.HEALTH_MONITOR, [event.health_monitor])]


@rows_of.register
def health_monitor_changed(event: events.HealthMonitorChanged) -> Sequence[Change]:
    return [*_touched(event), *_changed(event, Kind.HEALTH_MONITOR, [event.health_monitor])]


@rows_of.register
def health_monitor_removed(event: events.HealthMonitorRemoved) -> Sequence[Change]:
    return [*_touched(event), *_removed(event, [Ref(Kind.HEALTH_MONITOR, event.health_monitor_id)])]


@rows_of.register
def l7_policy_added(event: events.L7PolicyAdded) -> Sequence[Change]:
    added = _added(event, Kind.L7_POLICY, [event.l7_policy])
    return [*_touched(event), *added, *_edited(event, Kind.L7_POLICY, event.moved)]


@rows_of.register
def l7_policy_changed(event: events.L7PolicyChanged) -> Sequence[Change]:
    changed = _changed(event, Kind.L7_POLICY, [event.l7_policy])
    moved = _edited(event, Kind.L7_POLICY, event.moved)
    return [*_touched(event), *changed, *moved, *_retried(event, event.retried)]


@rows_of.register
def l7_policy_removed(event: events.L7PolicyRemoved) -> Sequence[Change]:
    return [*_touched(event), *_removed(event, event.removed), *_edited(event, Kind.L7_POLICY, event.moved)]


@rows_of.register
def l7_rule_added(event: events.L7RuleAdded) -> Sequence[Change]:
    return [*_touched(event), *_added(event, Kind.L7_RULE, [event.l7_rule])]


@rows_of.register
def l7_rule_changed(event: events.L7RuleChanged) -> Sequence[Change]:
    return [*_touched(event), *_changed(event, Kind.L7_RULE, [event.l7_rule]), *_retried(event, event.retried)]


@rows_of.register
def l7_rule_removed(event: events.L7RuleRemoved) -> Sequence[Change]:
    removed = _removed(event, [Ref(Kind.L7_RULE, event.l7_rule_id)])
    return [*_touched(event), *removed, *_retried(event, event.retried)]


Setting = Listener | Pool | Member | HealthMonitor | L7Policy | L7Rule


def _added(event: events.Event, kind: Kind, settings: Sequence[Setting]) -> list[Change]:
    revision = event.originator_version
    rows: list[Change] = [
        Upsert(
            kind,
            {
                "id": setting.id,
                "load_balancer_id": event.originator_id,
                "document": setting,
                "created": revision,
                "own": revision,
                "edited": revision,
                "created_by": THIS_COMMIT,
                **_parent(setting),
            },
        )
        for setting in settings
    ]
    return [*rows, Use(event.originator_id, kind, len(rows))] if rows else []


def _parent(setting: Setting) -> dict[str, Any]:
    """The column that names the object right above, where that is not the load balancer."""
    match setting:
        case Member() | HealthMonitor():
            return {"pool_id": setting.pool_id}
        case L7Policy():
            return {"listener_id": setting.listener_id}
        case L7Rule():
            return {"l7policy_id": setting.l7policy_id}
        case _:
            return {}


def _changed(event: events.Event, kind: Kind, settings: Iterable[Setting]) -> list[Change]:
    revision = event.originator_version
    return [
        Update(
            kind,
            {
                "id": setting.id,
                "document": setting,
                "own": revision,
                "edited": revision,
                "reason": "",
                "updated_by": THIS_COMMIT,
            },
        )
        for setting in settings
    ]


def _removed(event: events.Event, refs: Iterable[Ref]) -> list[Change]:
    revision = event.originator_version
    return [Update(ref.kind, {"id": ref.id, "deleted": revision, "updated_by": THIS_COMMIT}) for ref in refs]


def _touched(event: events.TreeChanged) -> list[Change]:
    revision = event.originator_version
    others = [Update(ref.kind, {"id": ref.id, "touched": revision, "updated_by": THIS_COMMIT}) for ref in event.touched]
    return [_touch_load_balancer(event), *others]


def _retried(event: events.Event, refs: Iterable[Ref]) -> list[Change]:
    revision = event.originator_version
    return [Update(ref.kind, {"id": ref.id, "own": revision, "updated_by": THIS_COMMIT}) for ref in refs]


def _edited(event: events.Event, kind: Kind, settings: Iterable[Setting]) -> list[Change]:
    """Settings that follow another object's change."""
    revision = event.originator_version
    return [Update(kind, {"id": setting.id, "document": setting, "edited": revision}) for setting in settings]
