"""Who sends a request, and what they may do."""

from typing import Protocol
from uuid import UUID


class Caller(Protocol):
    """One request's sender. Rules are named as in the policy file, without the prefix of the service.

    project_id      empty when the request names none
    user_id         likewise
    token           what the request was authenticated with, empty without; never stored
    actor           the random id that the log knows the user by, None for nobody in particular
    enforces_quota  whether the quota of a project limits what this caller creates in it
    """

    @property
    def project_id(self) -> str: ...

    @property
    def user_id(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def actor(self) -> UUID | None: ...

    @property
    def enforces_quota(self) -> bool: ...

    def may(self, rule: str, project_id: str) -> bool:
        """Whether the caller may do this to something of that project."""
        ...

    def require(self, rule: str, project_id: str) -> None:
        """Raises Forbidden when `may` says no."""
        ...
