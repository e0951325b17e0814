"""Setting the limits of a project, and going back to the deployment's defaults."""

from collections.abc import Mapping
from dataclasses import dataclass

import falcon
from falcon import Request, Response

from commands.answer import View, answer, empty
from commands.body import Parser, invalid_input
from commands.ports import Aggregates, Origin
from commands.request import caller_of, object_of, origin_of, require_no_arguments
from commands.turns import Turns
from domain.entity_tag import tag_of_settings
from domain.errors import Invalid, NotFound
from domain.progress import Kind
from domain.quota import NAMES, Limit, Quota

_ARGUMENT, _ROOT = "quotas", "quota"
_LONGEST_PROJECT_ID = 36


@dataclass(frozen=True)
class ChangeQuota:
    """limits: None for the default; what is not named stays."""

    project_id: str
    limits: Mapping[Kind, int | None]
    origin: Origin


@dataclass(frozen=True)
class ResetQuota:
    project_id: str
    origin: Origin


class QuotaHandler:
    """Raises what Aggregates.save names."""

    def __init__(self, aggregates: Aggregates, turns: Turns) -> None:
        self._aggregates = aggregates
        self._turns = turns

    def change(self, command: ChangeQuota) -> Mapping[Kind, int]:
        """The limits that are set then."""

        def decided() -> Quota:
            quota = self._quota(command.project_id)
            _require_match(command, quota.limits)
            if command.limits:
                quota.change(command.limits)
                self._aggregates.save(quota, origin=command.origin)
            return quota

        id = Quota.create_id(command.project_id)
        quota = self._turns.take(id, command.origin.command_id, decided)
        return (quota or self._quota(command.project_id)).limits

    def reset(self, command: ResetQuota) -> None:
        id = Quota.create_id(command.project_id)

        def decided() -> None:
            quota = self._quota(command.project_id)
            _require_match(command, quota.limits)
            if quota.limits:
                quota.reset()
                self._aggregates.save(quota, origin=command.origin)

        self._turns.take(id, command.origin.command_id, decided)

    def _quota(self, project_id: str) -> Quota:
        try:
            return self._aggregates.load(Quota, Quota.create_id(project_id))
        except NotFound:
            return Quota.of(project_id)


def _require_match(command: ChangeQuota | ResetQuota, limits: Mapping[Kind, int]) -> None:
    """Raises PreconditionFailed when something else was set meanwhile."""
    if command.origin.if_match is not None:
        command.origin.if_match.require(_tag_of(limits), command.project_id)


def _tag_of(limits: Mapping[Kind, int]) -> str:
    return tag_of_settings({kind.value: limit for kind, limit in limits.items()})


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """A body: both spellings of the contract."""

    loadbalancer: Limit | None = None
    load_balancer: Limit | None = None
    listener: Limit | None = None
    member: Limit | None = None
    pool: Limit | None = None
    healthmonitor: Limit | None = None
    health_monitor: Limit | None = None
    l7policy: Limit | None = None
    l7rule: Limit | None = None


PARSER = Parser(_Limits, without=())


def _limits(said: Mapping[str, int | None]) -> dict[Kind, int | None]:
    """What was said of each kind; of two spellings the first counts."""
    named = {kind: [name for name in names if name in said] for kind, names in NAMES.items()}
    return {kind: said[names[0]] for kind, names in named.items() if names}


class QuotasResource:
    """What has to name a project and does not."""

    def on_put(self, req: Request, resp: Response) -> None:
        raise Invalid('Missing argument: "project_id"')

    on_delete = on_put


class QuotaResource:
    def __init__(self, handler: QuotaHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, project_id: str) -> None:
        require_no_arguments(req)
        limits = _limits(PARSER.changes(object_of(req, _ARGUMENT, _ROOT)))
        caller_of(req).require("quota:put", project_id)
        _require_storable(project_id)
        changed = self._handler.change(ChangeQuota(project_id, limits, origin_of(req)))
        resp.status = falcon.HTTP_202
        resp.set_header("ETag", _tag_of(changed))
        answer(resp, {_ROOT: self._view.show({"project_id": project_id, "document": changed})})

    def on_delete(self, req: Request, resp: Response, project_id: str) -> None:
        """A project in which nothing was set has nothing to be reset; only one that nobody knows is not found."""
        require_no_arguments(req)
        caller_of(req).require("quota:delete", project_id)
        self._view.row(project_id)
        self._handler.reset(ResetQuota(project_id, origin_of(req)))
        empty(resp, falcon.HTTP_202)


def _require_storable(project_id: str) -> None:
    if len(project_id) > _LONGEST_PROJECT_ID:
        reason = f"Value should have a maximum character requirement of {_LONGEST_PROJECT_ID}"
        raise invalid_input("project_id", project_id, reason)
    if "\0" in project_id:
        raise invalid_input("project_id", project_id, "Value should be text")
