"""Who may do what, as a real Keystone knows them."""

import time
import urllib.error
from typing import Any

import pytest

from infra.local_network import VIP_SUBNET
from tests.keystone.conftest import OTHER, OWN, SET_UP_SECONDS, Service
from tests.keystone.server import Keystone, with_short_tokens

pytestmark = [pytest.mark.keystone, pytest.mark.postgres, pytest.mark.timeout(SET_UP_SECONDS)]

UNAUTHORIZED = {
    "error": {
        "code": 401,
        "title": "Unauthorized",
        "message": "The request you have made requires authentication.",
    }
}


@pytest.fixture
def load_balancer(service: Service) -> dict[str, Any]:
    """One of the project OWN, made by its owner."""
    token = service.cloud.token("owner", OWN)
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "name": "annals"}}
    created = service.call(token, "POST", "/loadbalancers", body)
    assert created.status_code == 201, created.text
    made: dict[str, Any] = created.json["loadbalancer"]
    return made


def test_owner_creates_in_their_own_project(service: Service, load_balancer: dict[str, Any]) -> None:
    assert load_balancer["project_id"] == service.cloud.own


@pytest.mark.parametrize(
    ("user", "scope", "shown", "changed", "failed_over", "catalogue"),
    [
        *(("owner", OWN, 200, 200, 403, 403), ("reader", OWN, 200, 403, 403, 403), ("weaver", OWN, 403, 403, 403, 403)),
        *(("helper", OWN, 403, 403, 403, 403), ("stranger", OTHER, 403, 403, 403, 403)),
        *(("chief", OWN, 200, 200, 202, 200), ("admin", "admin", 200, 200, 202, 200)),
        *(("operator", "system", 200, 200, 202, 200), ("auditor", "system", 403, 403, 403, 403)),
        *(("onlooker", OWN, 403, 403, 403, 403), ("overseer", OWN, 403, 403, 403, 403)),
        ("owner", None, 403, 403, 403, 403),
    ],
    ids=lambda value: str(value),
)
def test_role_project_and_scope_decide(
    service: Service,
    load_balancer: dict[str, Any],
    user: str,
    scope: str | None,
    shown: int,
    changed: int,
    failed_over: int,
    catalogue: int,
) -> None:
    path = f"/loadbalancers/{load_balancer['id']}"
    service.api.confirm(load_balancer)

    assert service.status(user, scope, "GET", path) == shown
    assert service.status(user, scope, "PUT", path, {"loadbalancer": {"name": "histories"}}) == changed
    assert service.status(user, scope, "GET", "/flavorprofiles") == catalogue
    service.api.confirm(load_balancer)
    assert service.status(user, scope, "PUT", f"{path}/failover") == failed_over


@pytest.mark.parametrize(("user", "shown", "shown_of_all"), [("onlooker", 200, 403), ("overseer", 200, 200)])
def test_observers_of_older_clouds_look_and_touch_nothing(
    service_with_older_roles: Service, load_balancer: dict[str, Any], user: str, shown: int, shown_of_all: int
) -> None:
    path, of_another = f"/loadbalancers/{load_balancer['id']}", f"/loadbalancers?project_id={OTHER}"

    assert service_with_older_roles.status(user, OWN, "GET", path) == shown
    assert service_with_older_roles.status(user, OWN, "GET", of_another) == shown_of_all
    assert service_with_older_roles.status(user, OWN, "PUT", path, {"loadbalancer": {"name": "histories"}}) == 403
    assert service_with_older_roles.status(user, OWN, "DELETE", path) == 403


def test_list_holds_what_is_the_callers_own(service: Service, load_balancer: dict[str, Any]) -> None:
    def seen(user: str, scope: str) -> list[str]:
        listed = service.call(service.cloud.token(user, scope), "GET", "/loadbalancers")
        return [each["id"] for each in listed.json["loadbalancers"]]

    assert seen("reader", OWN) == [load_balancer["id"]]
    assert seen("stranger", OTHER) == []
    assert seen("admin", "admin") == [load_balancer["id"]]
    assert seen("operator", "system") == [load_balancer["id"]]
    assert service.status("auditor", "system", "GET", "/loadbalancers") == 403


def test_service_reads_the_members_of_any_project(service: Service, load_balancer: dict[str, Any]) -> None:
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": load_balancer["id"]}
    owner = service.cloud.token("owner", OWN)
    made = service.call(owner, "POST", "/pools", {"pool": pool}).json["pool"]

    assert service.status("octavia", "service", "GET", f"/pools/{made['id']}/members") == 200
    assert service.status("octavia", "service", "GET", f"/pools/{made['id']}") == 403


def test_other_project_does_not_learn_more_than_that_something_is_there(service: Service) -> None:
    assert service.status("stranger", OTHER, "GET", "/loadbalancers/nowhere") == 404


@pytest.mark.parametrize("token", ["", "garbage", "gAAAAABgarbage"], ids=["none", "garbage", "like a token"])
def test_request_without_a_good_token_is_refused(service: Service, token: str) -> None:
    refused = service.call(token, "GET", "/loadbalancers")

    assert (refused.status_code, refused.json) == (401, UNAUTHORIZED)
    assert refused.headers["www-authenticate"] == f'Keystone uri="{service.cloud.keystone.url}"'
    assert refused.headers["x-openstack-request-id"].startswith("req-")


def test_token_that_was_taken_back_is_refused(service: Service) -> None:
    keystone = service.cloud.keystone
    token = keystone.token("owner", OWN)

    keystone.call("DELETE", "/auth/tokens", subject=token)

    assert service.call(token, "GET", "/loadbalancers").status_code == 401


def test_token_for_a_project_that_was_deleted_is_refused(service: Service) -> None:
    keystone = service.cloud.keystone
    (owner,) = keystone.call("GET", "/users?name=owner")[0]["users"]
    project_id = keystone.project("unravelled")
    keystone.give(owner["id"], "member", project_id)
    token = keystone.token("owner", "unravelled")

    keystone.call("DELETE", f"/projects/{project_id}")

    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}}
    assert service.call(token, "POST", "/loadbalancers", body).status_code == 401
    listed = service.call(service.cloud.token("admin", "admin"), "GET", "/loadbalancers")
    assert listed.json["loadbalancers"] == []


def test_token_that_expired_is_refused(service: Service) -> None:
    with with_short_tokens(service.cloud.directory) as short:
        token = short.token("owner", OWN)
    _wait_until_expired(service.cloud.keystone, token)

    assert service.call(token, "GET", "/loadbalancers").status_code == 401


def test_identity_that_a_client_tells_of_is_not_believed(service: Service, load_balancer: dict[str, Any]) -> None:
    forged = {"X_Roles": "admin", "X_Project_Id": service.cloud.own, "X_Identity_Status": "Confirmed"}
    path = f"/loadbalancers/{load_balancer['id']}"

    assert service.call("", "GET", path, None, **forged).status_code == 401
    stranger = service.cloud.token("stranger", OTHER)
    assert service.call(stranger, "GET", path, None, **forged).status_code == 403


def test_log_knows_who_it_was(service: Service, load_balancer: dict[str, Any]) -> None:
    with service.api.pool.connection() as connection:
        sql = "SELECT p.user_id FROM commits c JOIN actors p ON p.id = c.actor ORDER BY c.position"
        people = [user_id for (user_id,) in connection.execute(sql).fetchall()]

    (owner,) = service.cloud.keystone.call("GET", "/users?name=owner")[0]["users"]
    assert people == [owner["id"]]


def _wait_until_expired(keystone: Keystone, token: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            keystone.call("GET", "/auth/tokens", subject=token)
        except urllib.error.HTTPError:
            return
        time.sleep(0.2)
    raise AssertionError("the token does not expire")
