"""Keystone's gate in front of the application: whose tale of an identity is believed, and what is open to all."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import pytest
from falcon import Request
from falcon.testing import create_environ

from domain.errors import Forbidden
from infra.gates import KeystoneGate
from infra.identity import Credentials, Nobody, credentials_of, everyone

FORGED = {
    "X-Identity-Status": "Confirmed",
    "X-Service-Identity-Status": "Confirmed",
    "X-Project-Id": "weaving",
    "X-Project-Domain-Id": "default",
    "X-User-Id": "livia",
    "X-User": "livia",
    "X-Roles": "admin",
    "X-Role": "admin",
    "X-Tenant-Id": "weaving",
    "X-Tenant": "weaving",
    "X-Domain-Id": "default",
    "X-Service-Roles": "service",
    "X-Service-Catalog": "[]",
    "X-Is-Admin-Project": "True",
    "OpenStack-System-Scope": "all",
}
SENT = {"X-Auth-Token": "abc", "X-Service-Token": "def", "X-Openstack-Request-Id": "req-1", "Accept": "text/plain"}


class Seen:
    """A WSGI application that keeps what it was asked, and answers 204."""

    def __init__(self, *headers: tuple[str, str]) -> None:
        self.environs: list[dict[str, Any]] = []
        self._headers = list(headers)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.environs.append(environ)
        start_response("204 No Content", self._headers)
        return []


def headers_of_answer(gate: KeystoneGate, path: str, script: str = "", **more: Any) -> dict[str, str]:
    answers: list[list[tuple[str, str]]] = []
    environ = create_environ(path or "/", root_path=script, **more)
    if not path:
        environ["PATH_INFO"] = ""
    gate(environ, lambda status, headers, *_: answers.append(headers))
    return dict(answers[0])


@pytest.mark.parametrize("path", ["/", "/healthcheck", "/v2/lbaas/loadbalancers"])
def test_identities_that_clients_tell_of_are_removed(path: str) -> None:
    application, asked = Seen(), Seen()

    headers_of_answer(KeystoneGate(application, asked), path, headers={**FORGED, **SENT})

    (environ,) = application.environs + asked.environs
    left = {name for name in environ if name.startswith("HTTP_")} - {"HTTP_HOST", "HTTP_USER_AGENT"}
    assert left == {f"HTTP_{name.upper().replace('-', '_')}" for name in SENT}


@pytest.mark.parametrize(
    ("script", "path"),
    [
        *(("", "/"), ("", "/healthcheck"), ("/load-balancer", "/"), ("/load-balancer", "/healthcheck")),
        *(("", ""), ("/load-balancer", ""), ("", "/v2/openapi.json"), ("/load-balancer", "/v2.0/openapi.json")),
    ],
)
def test_a_few_paths_are_open_to_all(script: str, path: str) -> None:
    application, asked = Seen(), Seen()

    headers_of_answer(KeystoneGate(application, asked), path, script)

    assert (len(application.environs), len(asked.environs)) == (1, 0)


@pytest.mark.parametrize(
    ("script", "path"),
    [
        *(("", "/v2"), ("", "/v2/lbaas/loadbalancers"), ("", "/healthcheck/"), ("", "//"), ("", "/healthcheck/../v2")),
        *(("/lb", "/"), ("/lb", ""), ("/load-balancer", "/v2"), ("", "/v2/x/openapi.json")),
    ],
)
def test_everything_else_needs_a_token(script: str, path: str) -> None:
    application, asked = Seen(), Seen()

    headers_of_answer(KeystoneGate(application, asked), path, script)

    assert (len(application.environs), len(asked.environs)) == (0, 1)


def test_refusal_of_keystone_has_a_request_id_and_no_answer_has_two() -> None:
    refused = headers_of_answer(KeystoneGate(Seen(), Seen()), "/v2")
    given = headers_of_answer(KeystoneGate(Seen(), Seen(("X-Openstack-Request-Id", "req-2"))), "/v2")

    assert UUID(refused["x-openstack-request-id"].removeprefix("req-"))
    assert given == {"X-Openstack-Request-Id": "req-2"}


def test_credentials_are_read_from_the_headers_of_keystonemiddleware() -> None:
    headers = {**FORGED, "X-Roles": "member, reader,,", "X-User-Domain-Id": "default"}

    assert credentials_of(Request(create_environ(headers=headers))) == Credentials(
        project_id="weaving",
        user_id="livia",
        roles=("member", "reader"),
        domain_id="default",
        user_domain_id="default",
        project_domain_id="default",
        system_scope="all",
        service_roles=("service",),
    )


def test_what_a_token_does_not_say_is_empty() -> None:
    """keystonemiddleware sets such headers to None."""
    environ = create_environ() | {"HTTP_X_PROJECT_ID": None, "HTTP_X_ROLES": None, "HTTP_X_DOMAIN_ID": None}

    assert credentials_of(Request(environ)) == Credentials()


def test_where_nobody_is_asked_only_the_project_of_a_request_counts() -> None:
    caller = everyone(Request(create_environ(headers=FORGED)))

    assert (caller.project_id, caller.user_id, caller.enforces_quota) == ("weaving", "", False)
    assert caller.may("flavor:post", "spinning")


def test_nobody_may_do_nothing() -> None:
    assert not Nobody().may("loadbalancer:get_one", "")
    with pytest.raises(Forbidden):
        Nobody().require("loadbalancer:get_one", "")
