"""Who sends a request, and what they may do: the same stories told to strategies *testing* and *noauth*."""

from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from falcon.testing import Result, TestClient

from infra.settings import AuthStrategy
from tests.api.conftest import PROJECT, Api, application_of

pytestmark = pytest.mark.postgres

OTHER = "spinning"
DENIED = "Policy does not allow this request to be performed."


@dataclass(frozen=True)
class Person:
    """Somebody with a role in a project, as keystonemiddleware tells of them."""

    api: Api
    role: str
    project_id: str = PROJECT
    user_id: str = "livia"

    def call(self, method: str, path: str, body: object = None, query: str = "") -> Result:
        names = {"X-Roles": self.role, "X-Project-Id": self.project_id, "X-User-Id": self.user_id}
        headers = {name: value for name, value in names.items() if value} | {"X-Identity-Status": "Confirmed"}
        return self.api.call(
            method, path, body, headers=headers | {"X-Project-Id": self.project_id}, query_string=query
        )

    def status(self, method: str, path: str, body: object = None, query: str = "") -> int:
        return self.call(method, path, body, query).status_code


@pytest.fixture
def nobody_asked(api: Api) -> Api:
    """The same API with strategy *noauth*."""
    settings = replace(api.settings, auth_strategy=AuthStrategy.NOAUTH)
    return replace(api, client=TestClient(application_of(api.store, api.pool, settings)), headers={})


@pytest.mark.parametrize(
    ("role", "project_id", "shown", "listed", "changed"),
    [
        *(("", PROJECT, 403, 403, 403), ("service", PROJECT, 403, 403, 403), ("creator", PROJECT, 403, 403, 403)),
        *(("reader", PROJECT, 200, 200, 403), ("reader", OTHER, 403, 200, 403)),
        *(("member", PROJECT, 200, 200, 200), ("member", OTHER, 403, 200, 403)),
        *(("admin", PROJECT, 200, 200, 200), ("admin", OTHER, 200, 200, 200), ("admin", "", 200, 200, 200)),
        *(("reader", "", 403, 403, 403), ("member", "", 403, 403, 403)),
    ],
)
def test_role_and_project_decide(api: Api, role: str, project_id: str, shown: int, listed: int, changed: int) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    person = Person(api, role, project_id)

    assert person.status("GET", path) == shown
    assert person.status("GET", f"{path}/status") == shown
    assert person.status("GET", f"{path}/stats") == shown
    assert person.status("GET", "/loadbalancers") == listed
    assert person.status("PUT", path, {"loadbalancer": {"name": "annals"}}) == changed
    assert person.status("DELETE", path) == (204 if changed == 200 else 403)


def test_list_holds_what_is_the_callers_own(api: Api) -> None:
    own, other = api.load_balancer(), api.load_balancer(project_id=OTHER)

    def seen(person: Person, query: str = "") -> set[str]:
        return {each["id"] for each in person.call("GET", "/loadbalancers", query=query).json["loadbalancers"]}

    assert seen(Person(api, "reader")) == {own["id"]}
    assert seen(Person(api, "reader", OTHER)) == {other["id"]}
    assert seen(Person(api, "admin")) == {own["id"], other["id"]}
    assert seen(Person(api, "admin"), f"project_id={OTHER}") == {other["id"]}
    assert Person(api, "reader").status("GET", "/loadbalancers", query=f"project_id={OTHER}") == 403


def test_unknown_object_is_not_found_before_anybody_is_refused(api: Api) -> None:
    nobody = Person(api, "")

    for method in ("GET", "PUT", "DELETE"):
        assert nobody.status(method, "/loadbalancers/nowhere", {"loadbalancer": {}}) == 404


def test_refusal_is_said_in_the_contracts_words(api: Api) -> None:
    refused = Person(api, "").call("GET", f"/loadbalancers/{api.load_balancer()['id']}")

    assert refused.json == {"faultcode": "Client", "faultstring": DENIED, "debuginfo": None}


def test_body_that_is_malformed_is_refused_whoever_sends_it(api: Api) -> None:
    refused = Person(api, "").call("POST", "/loadbalancers", {"loadbalancer": {"loom": 1}})

    assert refused.status_code == 400


def test_new_object_belongs_to_the_project_of_its_creator(api: Api) -> None:
    subnet = api.load_balancer()["vip_subnet_id"]
    member = Person(api, "member", OTHER)

    created = member.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": subnet}})
    foreign = {"loadbalancer": {"vip_subnet_id": subnet, "project_id": PROJECT}}

    assert created.json["loadbalancer"]["project_id"] == OTHER
    assert member.status("POST", "/loadbalancers", foreign) == 403
    assert (
        Person(api, "admin", OTHER).call("POST", "/loadbalancers", foreign).json["loadbalancer"]["project_id"]
        == PROJECT
    )


def test_request_without_a_confirmed_identity_is_that_of_an_administrator(api: Api) -> None:
    api.load_balancer(project_id=OTHER)

    listed = api.call("GET", "/loadbalancers", headers={"X-Roles": "reader", "X-Identity-Status": "Invalid"})

    assert len(listed.json["loadbalancers"]) == 1


def test_nobody_is_asked_where_no_authentication_is_wanted(nobody_asked: Api) -> None:
    created = nobody_asked.load_balancer(project_id=OTHER)
    reader = Person(nobody_asked, "reader")

    assert reader.call("GET", "/loadbalancers").json["loadbalancers"] != []
    assert reader.status("DELETE", f"/loadbalancers/{created['id']}") == 204


@pytest.mark.parametrize(
    ("headers", "project_id"),
    [({"X-Project-Id": OTHER, "X-Auth-Token": "any"}, OTHER), ({"X-Auth-Token": "any"}, "default")],
    ids=["named", "token alone"],
)
def test_project_of_a_request_that_nobody_asks(nobody_asked: Api, headers: dict[str, str], project_id: str) -> None:
    created = replace(nobody_asked, headers=headers).load_balancer()

    assert created["project_id"] == project_id


def test_log_knows_people_by_a_random_id_alone(api: Api) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    for user_id in ("livia", "livia", "julia"):
        Person(api, "member", user_id=user_id).call("PUT", path, {"loadbalancer": {"name": user_id}})

    with api.pool.connection() as connection:
        people = dict(connection.execute("SELECT user_id, id FROM actors").fetchall())
        commits = connection.execute("SELECT actor FROM commits ORDER BY position").fetchall()

    assert [actor for (actor,) in commits] == [None, people["livia"], people["livia"], people["julia"]]
    assert all(isinstance(actor, UUID) for actor in people.values())


def test_who_was_forgotten_is_somebody_new(api: Api, database: str) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    person = Person(api, "member")
    person.call("PUT", path, {"loadbalancer": {"name": "a"}})
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM actors")

    restarted = replace(api, client=TestClient(application_of(api.store, api.pool, api.settings)))
    replace(person, api=restarted).call("PUT", path, {"loadbalancer": {"name": "b"}})

    with api.pool.connection() as connection:
        first, second = connection.execute(
            "SELECT actor FROM commits WHERE actor IS NOT NULL ORDER BY position"
        ).fetchall()
        assert connection.execute("SELECT id FROM actors").fetchall() == [second]
    assert first != second


def test_policy_file_of_the_operator_decides(api: Api, tmp_path: Path) -> None:
    path = f"/loadbalancers/{api.load_balancer()['id']}"
    (tmp_path / "tacitus.conf").touch()
    (tmp_path / "policy.yaml").write_text('"os_load-balancer_api:loadbalancer:get_one": "role:auditor"')
    settings = replace(api.settings, config_files=(tmp_path / "tacitus.conf",))
    audited = replace(api, client=TestClient(application_of(api.store, api.pool, settings)))

    assert Person(audited, "auditor", OTHER).status("GET", path) == 200
    assert Person(audited, "admin").status("GET", path) == 403
