"""Which load balancer of which project changed when, and by which event: written by the projector, not by appends."""

from collections.abc import Sequence
from functools import singledispatch

from domain import load_balancer_events as events
from projections.rows import Change, InsertOnce, Update, Upsert

_LOAD_BALANCERS = "changed_load_balancers"


@singledispatch
def changes_of(event: object) -> Sequence[Change]:
    """What one event changes in these tables. Saying a load balancer's events again, in their order, changes nothing.

    The change itself comes first: so two events of one load balancer never update its row by one statement.
    """
    return ()


@changes_of.register
def load_balancer_event(event: events.Event) -> Sequence[Change]:
    return [_change(event)]


@changes_of.register
def configuration_applied(event: events.ConfigurationApplied) -> Sequence[Change]:
    """It follows every change, for each amphora: nobody who asks what was changed wants to read it."""
    return ()


@changes_of.register
def load_balancer_created(event: events.Created) -> Sequence[Change]:
    row = {"id": event.originator_id, "project_id": event.project_id, "name": event.settings.name}
    return [_change(event), Upsert(_LOAD_BALANCERS, row)]


@changes_of.register
def load_balancer_changed(event: events.Changed) -> Sequence[Change]:
    return [_change(event), Update(_LOAD_BALANCERS, {"id": event.originator_id, "name": event.settings.name})]


@changes_of.register
def load_balancer_deleted(event: events.Deleted) -> Sequence[Change]:
    return [_change(event), Update(_LOAD_BALANCERS, {"id": event.originator_id, "deleted_at": event.timestamp})]


def _change(event: events.Event) -> Change:
    row = {
        "originator_id": event.originator_id,
        "originator_version": event.originator_version,
        "load_balancer_id": event.originator_id,
        "at": event.timestamp,
        "event": event.TOPIC,
    }
    return InsertOnce("changes", row)
