"""The projections that can be made again from the log: which tables each fills, and what events write into them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import projections.amphora_rows
import projections.catalogue_rows
import projections.control_rows
import projections.health
import projections.quota_rows
import projections.resource_rows  # noqa: F401 - registers what events write into rows
from domain.progress import Kind
from projections.changes import changes_of
from projections.rows import Change, rows_of


@dataclass(frozen=True)
class Projection:
    """Tables that follow from the log, and from nothing else.

    changes_of  what one event changes in them: the same pure function that wrote the rows that serve. What it says of
                tables that are not listed here is ignored
    found_by    columns by which changes delete rows, besides the key of a table
    consumer    under this name the table `positions` keeps how far the rows are, when the projector writes them in its
                own time; empty when they are written with each append
    """

    name: str
    tables: tuple[str, ...]
    changes_of: Callable[[object], Sequence[Change]]
    found_by: tuple[str, ...] = ("load_balancer_id",)
    consumer: str = ""


_RESOURCE_ROWS = Projection(
    "resource-rows",
    (
        *map(str, Kind),
        "amphorae",
        "addresses",
        "confirmations",
        "operating_statuses",
        "reported_statuses",
        "quotas",
        "quota_uses",
        "flavor_profiles",
        "flavors",
        "availability_zone_profiles",
        "availability_zones",
        "control",
        "reported_amphorae",
    ),
    rows_of,
)

_CHANGES = Projection(
    "changes",
    ("changed_load_balancers", "changes"),
    changes_of,
    found_by=(),
    consumer="changes",
)

PROJECTIONS: Mapping[str, Projection] = MappingProxyType({each.name: each for each in (_RESOURCE_ROWS, _CHANGES)})

NOT_FROM_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "statistics": "counters are measured by amphorae and added up as they arrive; no event holds them",
        "idempotency": "answers that were given to requests, kept for a day",
        "actions": "work that is to be done; positions say from where in the log it follows",
        "actors": "the only place that knows persons, who may be forgotten",
        "commits": "written with the events, and as lasting as they are: a rebuild reads them",
    }
)
"""Tables that are no projections: a rebuild leaves them as they are, and why."""
