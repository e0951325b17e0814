"""The rows of amphorae: what each event writes into them."""

from collections.abc import Sequence
from typing import Any

from domain.amphora import Amphora, Stage
from projections.rows import THIS_COMMIT, Change, Delete, Update, Upsert, rows_of

_TABLE = "amphorae"


@rows_of.register
def amphora_requested(event: Amphora.Created) -> Sequence[Change]:
    row = {
        "id": event.originator_id,
        "load_balancer_id": event.load_balancer_id,
        "stage": Stage.REQUESTED,
        "replaces": event.replaces,
        "created_by": THIS_COMMIT,
    }
    return [Upsert(_TABLE, row)]


@rows_of.register
def amphora_booted(event: Amphora.Booted) -> Sequence[Change]:
    expires_at = event.certificate_expires_at
    return [_amphora(event, stage=Stage.BOOTING, compute_id=event.compute_id, certificate_expires_at=expires_at)]


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
    return [_amphora(event, stage=Stage.PLUGGED, vrrp_ip=event.vrrp_ip)]


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
def amphora_removal_requested(event: Amphora.RemovalRequested) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.BEING_REMOVED)]


@rows_of.register
def amphora_removal_overdue(event: Amphora.RemovalOverdue) -> Sequence[Change]:
    return [_amphora(event, stage=Stage.FAILED, reason=f"remove amphora: {event.reason}")]


@rows_of.register
def agent_configured(event: Amphora.AgentConfigured) -> Sequence[Change]:
    return [_amphora(event)]


@rows_of.register
def agent_not_configured(event: Amphora.AgentNotConfigured) -> Sequence[Change]:
    return [_amphora(event, reason=f"configure the agent: {event.reason}")]


@rows_of.register
def amphora_removed(event: Amphora.Removed) -> Sequence[Change]:
    return [Delete(_TABLE, (event.originator_id,))]


def _amphora(event: Amphora.Event, **values: Any) -> Update:
    return Update(_TABLE, {"id": event.originator_id, **values, "updated_by": THIS_COMMIT})
