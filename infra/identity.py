"""Who sends a request: every strategy of the contract puts a `Caller` at `req.context.caller`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple
from uuid import UUID

from falcon import Request, Response

from domain.caller import Caller
from domain.errors import Forbidden
from infra.actors import Actors
from infra.settings import AuthStrategy

UNNAMED_PROJECT = "default"
CONFIRMED = "Confirmed"

FindCaller = Callable[[Request], Caller]


class Credentials(NamedTuple):
    """What Keystone says about whoever sends a request; empty for what it does not say."""

    project_id: str = ""
    user_id: str = ""
    roles: tuple[str, ...] = ()
    domain_id: str = ""
    user_domain_id: str = ""
    project_domain_id: str = ""
    system_scope: str = ""
    service_roles: tuple[str, ...] = ()


Allows = Callable[[str, Credentials, str], bool]
"""The policy: whether a rule lets somebody do it to something of a project."""


@dataclass(frozen=True)
class Everyone:
    """Whoever sends a request where nobody is asked: an administrator without a name."""

    project_id: str
    token: str
    user_id: str = ""
    enforces_quota: bool = False
    actor: UUID | None = None

    def may(self, rule: str, project_id: str) -> bool:
        return True

    def require(self, rule: str, project_id: str) -> None:
        return None


@dataclass(frozen=True)
class Nobody:
    """A request that no identity was confirmed for. It may do nothing; what is open to all does not ask."""

    project_id: str = ""
    token: str = ""
    user_id: str = ""
    enforces_quota: bool = True
    actor: UUID | None = None

    def may(self, rule: str, project_id: str) -> bool:
        return False

    def require(self, rule: str, project_id: str) -> None:
        raise Forbidden


@dataclass(frozen=True)
class Identified:
    """Somebody with credentials, on whom the policy decides."""

    credentials: Credentials
    token: str
    _allows: Allows = field(repr=False)
    _actors: Actors = field(repr=False)
    enforces_quota: bool = True

    @property
    def project_id(self) -> str:
        return self.credentials.project_id

    @property
    def user_id(self) -> str:
        return self.credentials.user_id

    @cached_property
    def actor(self) -> UUID | None:
        """The random id that the log knows them by; asks the database at most once a minute."""
        return self._actors.id_of(self.user_id) if self.user_id else None

    def may(self, rule: str, project_id: str) -> bool:
        return self._allows(rule, self.credentials, project_id)

    def require(self, rule: str, project_id: str) -> None:
        if not self.may(rule, project_id):
            raise Forbidden


class Identity:
    """Falcon's middleware that finds out who sends a request."""

    def __init__(self, find: FindCaller) -> None:
        self._find = find

    def process_request(self, req: Request, resp: Response) -> None:
        req.context.caller = self._find(req)


def everyone(req: Request) -> Everyone:
    """Strategy *noauth*. `X-Project-Id` names the project; every other header of an identity means nothing.

    The `none` plugin of OpenStack's clients cannot name a project: it sends a token that nobody checks, nothing else.
    """
    header = req.env.get
    token = header("HTTP_X_AUTH_TOKEN", "")
    return Everyone(header("HTTP_X_PROJECT_ID") or (UNNAMED_PROJECT if token else ""), token)


class Confirmed:
    """Strategy *keystone*: the headers that keystonemiddleware set, which let nothing else of them through."""

    def __init__(self, allows: Allows, actors: Actors) -> None:
        self._allows = allows
        self._actors = actors

    def __call__(self, req: Request) -> Caller:
        if not is_confirmed(req):
            return Nobody()
        return Identified(credentials_of(req), req.env.get("HTTP_X_AUTH_TOKEN", ""), self._allows, self._actors)


class ConfirmedOrEveryone(Confirmed):
    """Strategy *testing*: a request may name an identity, and is believed."""

    def __call__(self, req: Request) -> Caller:
        return super().__call__(req) if is_confirmed(req) else everyone(req)


def is_confirmed(req: Request) -> bool:
    return bool(req.env.get("HTTP_X_IDENTITY_STATUS") == CONFIRMED)


def credentials_of(req: Request) -> Credentials:
    """From the headers that keystonemiddleware describes; what a token does not say is there as None."""
    said = req.env.get
    return Credentials(
        project_id=said("HTTP_X_PROJECT_ID") or "",
        user_id=said("HTTP_X_USER_ID") or "",
        roles=_names(said("HTTP_X_ROLES") or ""),
        domain_id=said("HTTP_X_DOMAIN_ID") or "",
        user_domain_id=said("HTTP_X_USER_DOMAIN_ID") or "",
        project_domain_id=said("HTTP_X_PROJECT_DOMAIN_ID") or "",
        system_scope=said("HTTP_OPENSTACK_SYSTEM_SCOPE") or "",
        service_roles=_names(said("HTTP_X_SERVICE_ROLES") or ""),
    )


def _names(commas: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in commas.split(",") if name.strip())


def nothing(rule: str, who: Credentials, project_id: str) -> bool:
    """Where nobody is asked, no policy is needed; elsewhere this is what none allows."""
    return False


def identity_of(strategy: AuthStrategy, allows: Allows, actors: Actors) -> Identity:
    """The middleware of a strategy."""
    match strategy:
        case AuthStrategy.NOAUTH:
            return Identity(everyone)
        case AuthStrategy.TESTING:
            return Identity(ConfirmedOrEveryone(allows, actors))
        case AuthStrategy.KEYSTONE:
            return Identity(Confirmed(allows, actors))
