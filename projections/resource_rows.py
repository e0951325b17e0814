"""The rows of load balancers, of what is below them and of amphorae: what each event writes into them."""

from collections.abc import Iterable, Sequence
from typing import Any

from domain.amphora import Amphora, Stage
from domain.health_monitor import HealthMonitor
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.member import Member
from domain.pool import Pool
from domain.progress import Blame, Kind, Reached, Ref
from projections.rows import THIS_COMMIT, Change, Delete, Insert, InsertOnce, Update, Upsert, rows_of

TREE_TABLES = (Kind.LISTENER, Kind.POOL, Kind.MEMBER, Kind.HEALTH_MONITOR)

# The load balancer's own row


@rows_of.register
def load_balancer_created(event: LoadBalancer.Created) -> Sequence[Change]:
    revision = event.originator_version
    row = {
        "id": event.originator_id,
        "project_id": event.project_id,
        "document": _load_balancer_document(event),
        "created": revision,
        "own": revision,
        "created_by": THIS_COMMIT,
    }
    return [Upsert(Kind.LOAD_BALANCER, row), *_claim(event)]


def _load_balancer_document(event: LoadBalancer.Created) -> dict[str, Any]:
    vip = event.vip
    return {
        **vars(event.settings),
        "provider": event.provider,
        "vip_address": vip.address,
        "vip_port_id": vip.port_id,
        "vip_subnet_id": vip.subnet_id,
        "vip_network_id": vip.network_id,
    }


def _claim(event: LoadBalancer.Created) -> list[Change]:
    """An address has one owner on its network: the key of the table sees to it."""
    vip = event.vip
    if not vip.is_exclusive:
        return []
    return [
        Insert(
            "addresses",
            {"network_id": vip.network_id, "address": vip.address, "load_balancer_id": event.originator_id},
        )
    ]


@rows_of.register
def load_balancer_changed(event: LoadBalancer.Changed) -> Sequence[Change]:
    return [
        Update(
            Kind.LOAD_BALANCER,
            {
                "id": event.originator_id,
                "document": event.settings,
                "own": event.originator_version,
                "touched": event.originator_version,
                "updated_by": THIS_COMMIT,
            },
        )
    ]


@rows_of.register
def deletion_requested(event: LoadBalancer.DeletionRequested) -> Sequence[Change]:
    return [_load_balancer(event, deletion="PENDING_DELETE", reason="", updated_by=THIS_COMMIT)]


@rows_of.register
def deletion_overdue(event: LoadBalancer.DeletionOverdue) -> Sequence[Change]:
    reason = f"{event.step}: {event.reason}"
    return [_load_balancer(event, deletion="ERROR", settled=event.settled, reason=reason, updated_by=THIS_COMMIT)]


@rows_of.register
def load_balancer_deleted(event: LoadBalancer.Deleted) -> Sequence[Change]:
    id = (event.originator_id,)
    below = [*TREE_TABLES, "amphorae", "addresses", "confirmations", "operating_statuses", "statistics"]
    return [Delete(Kind.LOAD_BALANCER, id), *(Delete(table, id, "load_balancer_id") for table in below)]


@rows_of.register
def configuration_applied(event: LoadBalancer.ConfigurationApplied) -> Sequence[Change]:
    said = event.confirmation
    healed = [Update(ref.kind, {"id": ref.id, "failed": 0, "reason": ""}) for ref in said.healed]
    return [*_reached(event, said.reached, reason=""), *healed, *_failures(said.refailed)]


@rows_of.register
def configuration_refused(event: LoadBalancer.ConfigurationRefused) -> Sequence[Change]:
    return _failures(event.blamed)


def _failures(blamed: Iterable[Blame]) -> list[Change]:
    return [
        Update(blame.ref.kind, {"id": blame.ref.id, "failed": blame.mark, "reason": blame.words}) for blame in blamed
    ]


@rows_of.register
def deadline_passed(event: LoadBalancer.DeadlinePassed) -> Sequence[Change]:
    return [_load_balancer(event, settled=event.settled, reason=f"{event.step}: {event.reason}")]


@rows_of.register
def load_balancer_amphora_failed(event: LoadBalancer.AmphoraFailed) -> Sequence[Change]:
    return [_load_balancer(event, settled=event.settled, reason=f"{event.step}: {event.reason}")]


@rows_of.register
def amphora_replaced(event: LoadBalancer.AmphoraReplaced) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_reached(event, event.reached)]


def _load_balancer(event: LoadBalancer.Event, **values: Any) -> Update:
    return Update(Kind.LOAD_BALANCER, {"id": event.originator_id, **values})


def _touch_load_balancer(event: LoadBalancer.Event) -> Update:
    return _load_balancer(event, touched=event.originator_version, updated_by=THIS_COMMIT)


def _reached(event: LoadBalancer.Event, reached: Reached, **values: Any) -> list[Change]:
    """One row for a confirmation, however large the tree; and what is gone goes."""
    confirmed = {"load_balancer_id": event.originator_id, "applied": reached.applied, "command_id": THIS_COMMIT}
    return [
        _load_balancer(event, applied=reached.applied, settled=reached.settled, **values),
        InsertOnce("confirmations", confirmed),
        *_gone(reached.gone),
    ]


def _gone(refs: Sequence[Ref]) -> list[Change]:
    by_kind = [(kind, tuple(ref.id for ref in refs if ref.kind == kind)) for kind in TREE_TABLES]
    rows: list[Change] = [Delete(kind, ids) for kind, ids in by_kind if ids]
    measured: list[Change] = [Delete("operating_statuses", tuple(ref.id for ref in refs), "object_id")] if refs else []
    return rows + measured


# The tree's rows


@rows_of.register
def listener_added(event: LoadBalancer.ListenerAdded) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_added(event, Kind.LISTENER, [event.listener])]


@rows_of.register
def listener_changed(event: LoadBalancer.ListenerChanged) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_changed(event, Kind.LISTENER, [event.listener])]


@rows_of.register
def listener_removed(event: LoadBalancer.ListenerRemoved) -> Sequence[Change]:
    return [_touch_load_balancer(event), *_removed(event, [Ref(Kind.LISTENER, event.listener_id)])]


@rows_of.register
def pool_added(event: LoadBalancer.PoolAdded) -> Sequence[Change]:
    defaults = [_new_document(Kind.LISTENER, listener) for listener in event.listeners]
    return [*_touched(event), *_added(event, Kind.POOL, [event.pool]), *defaults]


@rows_of.register
def pool_changed(event: LoadBalancer.PoolChanged) -> Sequence[Change]:
    revision = event.originator_version
    retried = [Update(ref.kind, {"id": ref.id, "own": revision, "updated_by": THIS_COMMIT}) for ref in event.retried]
    return [*_touched(event), *_changed(event, Kind.POOL, [event.pool]), *retried]


@rows_of.register
def pool_removed(event: LoadBalancer.PoolRemoved) -> Sequence[Change]:
    defaults = [_new_document(Kind.LISTENER, listener) for listener in event.listeners]
    return [*_touched(event), *_removed(event, event.removed), *defaults]


@rows_of.register
def members_changed(event: LoadBalancer.MembersChanged) -> Sequence[Change]:
    batch = event.batch
    return [
        *_touched(event),
        *_added(event, Kind.MEMBER, batch.added),
        *_changed(event, Kind.MEMBER, batch.changed),
        *_removed(event, [Ref(Kind.MEMBER, id) for id in batch.removed]),
    ]


@rows_of.register
def health_monitor_added(event: LoadBalancer.HealthMonitorAdded) -> Sequence[Change]:
    return [*_touched(event), *_added(event, Kind.HEALTH_MONITOR, [event.health_monitor])]


@rows_of.register
def health_monitor_changed(event: LoadBalancer.HealthMonitorChanged) -> Sequence[Change]:
    return [*_touched(event), *_changed(event, Kind.HEALTH_MONITOR, [event.health_monitor])]


@rows_of.register
def health_monitor_removed(event: LoadBalancer.HealthMonitorRemoved) -> Sequence[Change]:
    return [*_touched(event), *_removed(event, [Ref(Kind.HEALTH_MONITOR, event.health_monitor_id)])]


Setting = Listener | Pool | Member | HealthMonitor


def _added(event: LoadBalancer.Event, kind: Kind, settings: Iterable[Setting]) -> list[Change]:
    revision = event.originator_version
    return [
        Upsert(
            kind,
            {
                "id": setting.id,
                "load_balancer_id": event.originator_id,
                "document": setting,
                "created": revision,
                "own": revision,
                "created_by": THIS_COMMIT,
                **({"pool_id": setting.pool_id} if isinstance(setting, Member | HealthMonitor) else {}),
            },
        )
        for setting in settings
    ]


def _changed(event: LoadBalancer.Event, kind: Kind, settings: Iterable[Setting]) -> list[Change]:
    revision = event.originator_version
    return [
        Update(
            kind,
            {
                "id": setting.id,
                "document": setting,
                "own": revision,
                "reason": "",
                "updated_by": THIS_COMMIT,
            },
        )
        for setting in settings
    ]


def _removed(event: LoadBalancer.Event, refs: Iterable[Ref]) -> list[Change]:
    revision = event.originator_version
    return [Update(ref.kind, {"id": ref.id, "deleted": revision, "updated_by": THIS_COMMIT}) for ref in refs]


def _touched(event: LoadBalancer.TreeChanged) -> list[Change]:
    revision = event.originator_version
    others = [Update(ref.kind, {"id": ref.id, "touched": revision, "updated_by": THIS_COMMIT}) for ref in event.touched]
    return [_touch_load_balancer(event), *others]


def _new_document(kind: Kind, setting: Setting) -> Change:
    return Update(kind, {"id": setting.id, "document": setting})


# Amphorae


@rows_of.register
def amphora_requested(event: Amphora.Created) -> Sequence[Change]:
    row = {
        "id": event.originator_id,
        "load_balancer_id": event.load_balancer_id,
        "stage": Stage.REQUESTED,
        "replaces": event.replaces,
        "created_by": THIS_COMMIT,
    }
    return [Upsert("amphorae", row)]


@rows_of.register
def amphora_booted(event: Amphora.Booted) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.BOOTING, compute_id=event.compute_id)]


@rows_of.register
def amphora_became_reachable(event: Amphora.BecameReachable) -> Sequence[Change]:
    return [
        _amphora(
            event,
            stage=Stage.REACHABLE,
            management_address=event.management_address,
            haproxy_version=event.haproxy_version,
        )
    ]


@rows_of.register
def amphora_vip_plugged(event: Amphora.VipPlugged) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.PLUGGED)]


@rows_of.register
def amphora_entered_service(event: Amphora.EnteredService) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.IN_SERVICE)]


@rows_of.register
def amphora_left_service(event: Amphora.LeftService) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.OUT_OF_SERVICE, reason=event.reason)]


@rows_of.register
def amphora_failed(event: Amphora.Failed) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.FAILED, reason=f"{event.step}: {event.reason}")]


@rows_of.register
def amphora_removed(event: Amphora.Removed) -> Sequence[Change]:
    return [Delete("amphorae", (event.originator_id,))]


def _amphora(event: Amphora.Event, **values: Any) -> Update:
    return Update("amphorae", {"id": event.originator_id, **values, "updated_by": THIS_COMMIT})
