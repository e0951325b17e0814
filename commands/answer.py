"""What a change is answered with: the object as the aggregate that was just saved has it, nothing read back."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import falcon
import msgspec
from falcon import Response

from commands.accepted import Accepted
from domain.entity_tag import tag_of
from domain.errors import Immutable, NotFound
from domain.fields import OperatingStatus
from domain.load_balancer import RESOURCES, LoadBalancer
from domain.progress import Kind

Row = Mapping[str, Any]
"""What a resource's view in projections/ selects, by column."""


class View(Protocol):
    """The read side of one resource: finds what is to be changed, and words what was."""

    def row(self, id: str, *, below: str | None = None) -> Row:
        """below: the id of the object that the URL names above it. Raises NotFound, UnknownParent."""
        ...

    def show(self, row: Row) -> dict[str, object]:
        """The object as the contract shows it."""
        ...


def row_of_new(accepted: Accepted, id: UUID, settings: object, **more: object) -> Row:
    """The row of an object that was just accepted; `more` are the columns that its kind has besides."""
    load_balancer = accepted.load_balancer
    return {
        "id": id,
        "load_balancer_id": load_balancer.id,
        "project_id": load_balancer.project_id,
        "document": msgspec.to_builtins(settings),
        "provisioning_status": load_balancer.status_of(id),
        "operating_status": OperatingStatus.OFFLINE,
        "created_at": _shown(accepted.at),
        "updated_at": None,
        **more,
    }


def row_of_changed(before: Row, accepted: Accepted, id: UUID, settings: object) -> Row:
    """The row of an object as it was before a change, with what the change did to it."""
    return {
        **before,
        "document": {**before["document"], **msgspec.to_builtins(settings)},
        "provisioning_status": accepted.load_balancer.status_of(id),
        "updated_at": _shown(accepted.at),
    }


def _shown(moment: datetime) -> datetime:
    """The contract's times are UTC and do not say so."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def wanted(load_balancer: LoadBalancer, kind: Kind, id: UUID) -> Any:
    """The present settings of an object in the tree. Raises NotFound, or Immutable while it is being deleted."""
    objects: Mapping[UUID, object] = getattr(load_balancer.tree, kind.value)
    if id in objects:
        return objects[id]
    load_balancer.require_changeable()
    if load_balancer.status_of(id) is None:
        raise NotFound(RESOURCES[kind], id)
    raise Immutable("Load Balancer", load_balancer.id)


def created(response: Response, accepted: Accepted, root: str, shown: dict[str, object]) -> None:
    """The answer to a creation; `ETag` names the revision of the settings."""
    if accepted.is_dry_run:
        return _told(response, accepted, root, shown)
    response.status = falcon.HTTP_201
    _tagged(response, accepted, root, shown)


def changed(response: Response, accepted: Accepted, root: str, shown: dict[str, object]) -> None:
    """The answer to a change of one object."""
    if accepted.is_dry_run:
        return _told(response, accepted, root, shown)
    _tagged(response, accepted, root, shown)


def removed(response: Response, accepted: Accepted | None, status: str = falcon.HTTP_204) -> None:
    """The answer to a deletion, or to anything else that shows no object."""
    if accepted is not None and accepted.is_dry_run:
        return _told(response, accepted)
    empty(response, status)


def _tagged(response: Response, accepted: Accepted, root: str, shown: dict[str, object]) -> None:
    id = shown["id"]
    assert isinstance(id, UUID)
    edited = accepted.load_balancer.edited(id)
    if edited is not None:
        response.set_header("ETag", tag_of(edited))
    answer(response, {root: shown})


def _told(
    response: Response, accepted: Accepted, root: str | None = None, shown: dict[str, object] | None = None
) -> None:
    """The answer to a dry run: the object as it would be, and the events that would be recorded."""
    told = {"verdict": "accepted", "events": accepted.would_record}
    answer(response, {**({} if root is None else {root: shown}), "dry_run": told})


def answer(response: Response, content: object) -> None:
    response.content_type = falcon.MEDIA_JSON
    response.data = msgspec.json.encode(content)


def empty(response: Response, status: str = falcon.HTTP_204) -> None:
    """Without a body there is no content type either."""
    response.status = status
    response.content_type = None
