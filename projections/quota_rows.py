"""The rows of quotas: the limits that were set. What is in use is counted where resources are (resource_rows.py)."""

from collections.abc import Mapping, Sequence

from domain.progress import Kind
from domain.quota import Quota
from projections.rows import Change, InsertOnce, Upsert, rows_of


@rows_of.register
def quota_created(event: Quota.Created) -> Sequence[Change]:
    """Changed with the same command, mostly: the row is written once by each statement."""
    return [InsertOnce("quotas", {"project_id": event.project_id, "limits": {}})]


@rows_of.register
def quota_changed(event: Quota.Changed) -> Sequence[Change]:
    return [_limits(event.project_id, event.limits)]


@rows_of.register
def quota_reset(event: Quota.Reset) -> Sequence[Change]:
    return [_limits(event.project_id, {})]


def _limits(project_id: str, limits: Mapping[Kind, int]) -> Change:
    return Upsert("quotas", {"project_id": project_id, "limits": limits})
