"""The rows in which the processes of the noop profile look up what they were told."""

from collections.abc import Sequence
from typing import Any

from domain.control import Control
from projections.rows import Change, Upsert, rows_of


@rows_of.register
def hold_set(event: Control.HoldSet) -> Sequence[Change]:
    return [_told("hold", {"hold": event.hold})]


@rows_of.register
def fault_set(event: Control.FaultSet) -> Sequence[Change]:
    return [_told("fault", {} if event.fault is None else vars(event.fault))]


@rows_of.register
def network_prepared(event: Control.NetworkPrepared) -> Sequence[Change]:
    return [_told("network", event.document)]


@rows_of.register
def settings_overridden(event: Control.SettingsOverridden) -> Sequence[Change]:
    return [_told("settings", event.settings)]


@rows_of.register
def amphora_reported(event: Control.AmphoraReported) -> Sequence[Change]:
    return [Upsert("reported_amphorae", {"id": event.amphora_id, "document": event.document})]


@rows_of.register
def reset(event: Control.Reset) -> Sequence[Change]:
    nothing: dict[str, Any] = {}
    return [_told("hold", {"hold": False}), *(_told(kind, nothing) for kind in ("fault", "network", "settings"))]


def _told(kind: str, document: Any) -> Change:
    return Upsert("control", {"kind": kind, "document": document})
