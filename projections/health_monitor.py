"""Shows health monitors."""

from domain.health_monitor import HealthMonitor
from projections.columns import COMMON, columns_of, id_column
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_SHOWN = defaults_of(HealthMonitor)


def show(row: Row) -> dict[str, object]:
    """The HTTP version is a number in JSON only."""
    shown = {**_SHOWN, **row["document"], **head(row), "pools": ids([row["pool_id"]])}
    del shown["pool_id"]
    version = shown["http_version"]
    return {**shown, "http_version": None if version is None else float(str(version))}


HEALTH_MONITORS = Resource(
    title="Health Monitor",
    one="healthmonitor",
    many="healthmonitors",
    view="shown_health_monitors",
    columns={**COMMON, **columns_of(HealthMonitor), "pool_id": id_column("s.pool_id")},
    show=show,
)
