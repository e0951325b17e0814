"""An L7 policy: what a listener does with requests that match all of its rules, and its place among the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

from domain.errors import Invalid
from domain.fields import FIXED, NULL_KEEPS, AdminStateUp, Between, Name, OnNull, Url


class L7Action(StrEnum):
    """What is done with a request."""

    REJECT = "REJECT"
    REDIRECT_TO_URL = "REDIRECT_TO_URL"
    REDIRECT_TO_POOL = "REDIRECT_TO_POOL"
    REDIRECT_PREFIX = "REDIRECT_PREFIX"


class RedirectCode(IntEnum):
    """The HTTP status that a client is redirected with."""

    MOVED_PERMANENTLY = 301
    FOUND = 302
    SEE_OTHER = 303
    TEMPORARY_REDIRECT = 307
    PERMANENT_REDIRECT = 308


LAST = 2_147_483_647
"""The position beyond all others."""


@dataclass(frozen=True, kw_only=True)
class L7Policy:
    """The settings of an L7 policy, as the API user gave them.

    redirect_pool_id    where requests go, for REDIRECT_TO_POOL
    redirect_url        where clients are sent, for REDIRECT_TO_URL
    redirect_prefix     what comes before the path of where clients are sent, for REDIRECT_PREFIX
    redirect_http_code  status of a redirection
    position            1 for the listener's first policy; any number beyond the last stands for the end

    A change may leave an action without the target that it needs; such a policy does nothing.
    Names, limits, defaults: Octavia API reference v2, "Create an L7 Policy".
    """

    id: UUID
    listener_id: Annotated[UUID, FIXED]
    name: Name = ""
    description: Name = ""
    admin_state_up: AdminStateUp = True
    action: Annotated[L7Action, OnNull(post=None, put=None)]
    redirect_pool_id: UUID | None = None
    redirect_url: Url | None = None
    redirect_prefix: Url | None = None
    redirect_http_code: RedirectCode | None = None
    position: Annotated[int, Between(1, LAST), NULL_KEEPS] = LAST
    tags: tuple[Name, ...] = ()

    @staticmethod
    def normalised(said: Mapping[str, Any]) -> dict[str, Any]:
        """What was said of a new policy, with an action and targets that go together: some targets decide the action.

        Raises Invalid when the action lacks its target, or two targets exclude each other.
        """
        found = dict(said)
        if "action" in found:
            _require_target(found)
            found.update(dict.fromkeys(_NOT_WITH[found["action"]]))
        if found.get("redirect_pool_id") and (found.get("redirect_url") or found.get("redirect_prefix")):
            raise InvalidArguments(
                "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time"
            )
        return _decided_by_target(found)

    def changed_by(self, changes: Mapping[str, Any]) -> "L7Policy":
        """The policy with new values for what is named, and for what follows from it. Raises Invalid."""
        follows = self.normalised(changes)
        if follows.get("action") == L7Action.REJECT:
            follows = {"redirect_prefix": None, "redirect_http_code": None, **follows}
        return replace(self, **follows)


class InvalidArguments(Invalid):
    def __init__(self, words: str) -> None:
        super().__init__(f"Invalid L7 Policy arguments: {words}")


_NEEDED = {
    L7Action.REDIRECT_TO_URL: ("redirect_url", "redirect_url"),
    L7Action.REDIRECT_TO_POOL: ("redirect_pool_id", "redirect_pool_id or redirect_pool"),
    L7Action.REDIRECT_PREFIX: ("redirect_prefix", "redirect_prefix"),
}
"""Action -> the field that it cannot do without, and what error texts call it."""

_NOT_WITH: Mapping[L7Action, tuple[str, ...]] = {
    L7Action.REJECT: ("redirect_url", "redirect_pool_id"),
    L7Action.REDIRECT_TO_URL: ("redirect_pool_id",),
    L7Action.REDIRECT_TO_POOL: ("redirect_url",),
    L7Action.REDIRECT_PREFIX: (),
}
"""Action -> the fields that are dropped in its favour; all others overrule it."""


def _require_target(said: Mapping[str, Any]) -> None:
    action = said["action"]
    if action is None:
        raise Invalid("Invalid L7 Policy action specified: None")
    if action in _NEEDED:
        name, words = _NEEDED[action]
        if not said.get(name):
            raise InvalidArguments(f"{words} must not be None")


def _decided_by_target(said: dict[str, Any]) -> dict[str, Any]:
    """The first target that there is decides, whatever action was asked for."""
    if said.get("redirect_pool_id"):
        nothing = dict.fromkeys(("redirect_url", "redirect_prefix", "redirect_http_code"))
        return {**said, **nothing, "action": L7Action.REDIRECT_TO_POOL}
    code = said.get("redirect_http_code") or RedirectCode.FOUND
    redirection = {**said, "redirect_pool_id": None, "redirect_http_code": code}
    if said.get("redirect_url"):
        return {**redirection, "redirect_prefix": None, "action": L7Action.REDIRECT_TO_URL}
    if said.get("redirect_prefix"):
        return {**redirection, "redirect_url": None, "action": L7Action.REDIRECT_PREFIX}
    return said


# Positions: those of a listener's policies are 1, 2, 3 ... without gaps


def inserted(policies: Sequence[L7Policy], policy: L7Policy) -> tuple[L7Policy, ...]:
    """All policies of a listener, in order, once this one is put in at its position, or last."""
    place = policy.position - 1
    return renumbered((*policies[:place], policy, *policies[place:]))


def relocated(policies: Sequence[L7Policy], policy: L7Policy) -> tuple[L7Policy, ...]:
    """All policies of a listener, in order, once this one of them, as it is now, is at its position, or last."""
    return inserted([other for other in policies if other.id != policy.id], policy)


def renumbered(policies: Sequence[L7Policy]) -> tuple[L7Policy, ...]:
    """The policies with the positions at which they stand here."""
    return tuple(
        policy if policy.position == position else replace(policy, position=position)
        for position, policy in enumerate(policies, start=1)
    )
