"""The policy's part in reading: whose objects a caller may see."""

from falcon import Request

from domain.caller import Caller
from domain.errors import Forbidden
from projections.listing import NotAFilter, Params


def caller_of(request: Request) -> Caller:
    """Who sent it: put there before any resource is asked."""
    caller: Caller = request.context.caller
    return caller


def listed_project(caller: Caller, type: str, params: Params) -> str | None:
    """The project whose objects are listed, None for those of all projects.

    type  the policy's name of what is listed

    Raises Forbidden for a project that is not the caller's, and when there is none to fall back to.
    """
    said = params.get("project_id")
    if isinstance(said, list):
        raise NotAFilter
    if caller.may(f"{type}:get_all-global", said or ""):
        return said
    project_id = caller.project_id if said is None else said
    if not project_id:
        raise Forbidden
    caller.require(f"{type}:get_all", project_id)
    return project_id
