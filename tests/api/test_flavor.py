"""Flavors and their profiles, as operators make them and users see them."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from infra.catalogue import PostgresCatalogue
from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

NIL = "00000000-0000-0000-0000-000000000000"
READER = {"X-Identity-Status": "Confirmed", "X-Roles": "reader", "X-Project-Id": "weaving"}


def profile_of(api: Api, **attributes: object) -> dict[str, Any]:
    settings = {"name": "p", "provider_name": "amphora", "flavor_data": '{"loadbalancer_topology": "SINGLE"}'}
    return api.create("/flavorprofiles", "flavorprofile", **{**settings, **attributes})


def flavor_of(api: Api, **attributes: object) -> dict[str, Any]:
    if "flavor_profile_id" not in attributes:
        attributes["flavor_profile_id"] = profile_of(api)["id"]
    return api.create("/flavors", "flavor", **{"name": "large", **attributes})


# Flavors


def test_flavor_is_shown_as_it_was_made(api: Api) -> None:
    profile = profile_of(api)

    made = flavor_of(api, flavor_profile_id=profile["id"].upper(), description=None)

    assert made == {
        "id": made["id"],
        "name": "large",
        "description": "",
        "enabled": True,
        "flavor_profile_id": profile["id"],
    }
    assert api.get(f"/flavors/{made['id']}") == {"flavor": made}
    assert api.get("/flavors") == {"flavors": [made], "flavors_links": []}


def test_flavor_is_changed_in_what_was_said(api: Api) -> None:
    made = flavor_of(api, description="x")

    changed = api.change(f"/flavors/{made['id']}", "flavor", enabled=False, description=None)

    assert changed == {**made, "enabled": False, "description": ""}
    assert api.get(f"/flavors/{made['id']}") == {"flavor": changed}
    assert api.change(f"/flavors/{made['id']}", "flavor") == changed


def test_flavor_is_gone_once_it_was_deleted_and_its_name_free(api: Api) -> None:
    made = flavor_of(api)

    api.delete(f"/flavors/{made['id']}")

    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"flavor": {}})):
        assert api.refused(404, method, f"/flavors/{made['id']}", body) == f"Flavor {made['id']} not found."
    assert flavor_of(api)["name"] == made["name"]


@pytest.mark.parametrize("id", [NIL, "loom", "2b0f7a3e-6d5b-4c33-9f43-0a2c3f6f0d11"])
def test_flavor_that_is_none_is_not_found(api: Api, id: str) -> None:
    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"flavor": {"name": "x"}})):
        assert api.refused(404, method, f"/flavors/{id}", body) == f"Flavor {id} not found."


def test_name_of_a_flavor_is_taken_once(api: Api) -> None:
    profile = profile_of(api)["id"]
    flavor_of(api, flavor_profile_id=profile)
    small = flavor_of(api, flavor_profile_id=profile, name="small")

    body = {"flavor": {"name": "large", "flavor_profile_id": profile}}
    assert api.refused(409, "POST", "/flavors", body) == "A flavor of large already exists."
    body = {"flavor": {"name": "large"}}
    assert api.refused(409, "PUT", f"/flavors/{small['id']}", body) == "A flavor of large already exists."


def test_one_of_many_gets_the_name_that_all_want(api: Api) -> None:
    body = {"flavor": {"name": "large", "flavor_profile_id": profile_of(api)["id"]}}

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda _: api.call("POST", "/flavors", body).status_code, range(6)))

    assert sorted(statuses) == [201] + [409] * 5


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"enabled": None}, "None is not a valid option for enabled"),
        ({"name": None}, "None is not a valid option for name"),
        ({"flavor_profile_id": None}, "None is not a valid option for flavor_profile_id"),
        ({"flavor_profile_id": str(uuid4())}, "Validation failure: Invalid flavor_profile_id."),
        ({"id": NIL}, "Unknown attribute for argument flavor_.flavor: id"),
        (
            {"flavor_profile_id": "loom"},
            "Invalid input for field/attribute flavor_profile_id. Value: 'loom'. Value should be UUID format",
        ),
    ],
)
def test_flavor_with_a_mistake_is_refused(api: Api, said: dict[str, object], text: str) -> None:
    body = {"flavor": {"name": "large", "flavor_profile_id": profile_of(api)["id"], **said}}

    assert api.refused(400, "POST", "/flavors", body) == text
    assert api.get("/flavors")["flavors"] == []


@pytest.mark.parametrize("name", ["id", "flavor_profile_id", "project_id"])
def test_what_is_fixed_in_a_flavor_is_no_attribute_of_a_change(api: Api, name: str) -> None:
    made = flavor_of(api)

    text = api.refused(400, "PUT", f"/flavors/{made['id']}", {"flavor": {name: made["id"]}})

    assert text == f"Unknown attribute for argument flavor_.flavor: {name}"


def test_null_is_no_truth_for_a_flavor(api: Api) -> None:
    made = flavor_of(api)

    text = api.refused(400, "PUT", f"/flavors/{made['id']}", {"flavor": {"enabled": None}})

    assert text == "None is not a valid option for enabled"


def test_flavor_in_use_stays(api: Api) -> None:
    flavor = flavor_of(api)
    load_balancer = api.load_balancer(flavor_id=flavor["id"])

    text = api.refused(409, "DELETE", f"/flavors/{flavor['id']}")

    assert text == f"Flavor {flavor['id']} is in use and cannot be modified."
    assert api.change(f"/flavors/{flavor['id']}", "flavor", name="larger")["name"] == "larger"
    api.delete(f"/loadbalancers/{load_balancer['id']}")
    api.finish_deletion(load_balancer)
    api.delete(f"/flavors/{flavor['id']}")


def test_deletion_of_a_flavor_waits_for_whoever_is_about_to_use_it(api: Api) -> None:
    flavor = flavor_of(api)
    load_balancer_id = api.load_balancer()["id"]

    with psycopg.connect(api.settings.database_url) as user, ThreadPoolExecutor(1) as threads:
        user.execute("UPDATE load_balancers SET flavor_id = %s WHERE id = %s", (flavor["id"], load_balancer_id))
        deletion = threads.submit(api.refused, 409, "DELETE", f"/flavors/{flavor['id']}")
        wait_until_blocked(api)
        user.commit()

        assert deletion.result() == f"Flavor {flavor['id']} is in use and cannot be modified."


def test_load_balancer_waits_for_the_deletion_of_the_flavor_that_it_wants(api: Api) -> None:
    flavor = flavor_of(api)
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "flavor_id": flavor["id"]}}

    with psycopg.connect(api.settings.database_url) as operator, ThreadPoolExecutor(1) as threads:
        operator.execute("DELETE FROM flavors WHERE id = %s", (flavor["id"],))
        creation = threads.submit(api.refused, 400, "POST", "/loadbalancers", body)
        wait_until_blocked(api)
        operator.commit()

        assert creation.result() == "Validation failure: Invalid flavor_id."
    assert api.get("/loadbalancers")["loadbalancers"] == []


def wait_until_blocked(api: Api) -> None:
    """Some session waits for a row that another one holds."""
    sql = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(api.settings.database_url, autocommit=True) as connection:
        while connection.execute(sql).fetchone() is None:
            pass


# Profiles


def test_flavor_profile_is_shown_as_it_was_made(api: Api) -> None:
    data = '{ "compute_flavor":"x" }'

    made = profile_of(api, flavor_data=data)

    assert made == {"id": made["id"], "name": "p", "provider_name": "amphora", "flavor_data": data}
    assert api.get(f"/flavorprofiles/{made['id']}") == {"flavorprofile": made}
    assert api.get("/flavorprofiles") == {"flavorprofiles": [made], "flavorprofile_links": []}
    assert profile_of(api)["name"] == made["name"], "names of profiles need not be unique"


def test_flavor_profile_is_changed_in_what_was_said(api: Api) -> None:
    made = profile_of(api)

    changed = api.change(f"/flavorprofiles/{made['id']}", "flavorprofile", flavor_data="{}", provider_name="octavia")

    assert changed == {**made, "flavor_data": "{}", "provider_name": "octavia"}
    assert api.get(f"/flavorprofiles/{made['id']}") == {"flavorprofile": changed}


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        ({"flavor_data": "{"}, 400, "{ is not a valid option for flavor_data"),
        ({"flavor_data": ""}, 400, " is not a valid option for flavor_data"),
        ({"provider_name": "loom"}, 400, "Provider 'loom' is not enabled."),
        ({"provider_name": "loom", "flavor_data": "{"}, 400, "{ is not a valid option for flavor_data"),
        (
            {"flavor_data": '{"x": 1}'},
            501,
            "Provider 'amphora' does not support a requested option: Additional properties are not allowed ('x' was"
            " unexpected)",
        ),
        ({"name": None}, 400, "None is not a valid option for name"),
        ({"provider_name": None}, 400, "None is not a valid option for provider_name"),
        ({"flavor_data": None}, 400, "None is not a valid option for flavor_data"),
        (
            {"flavor_data": '"' + "x" * 4095 + '"'},
            400,
            "Invalid input for field/attribute flavor_data. Value: '\""
            + "x" * 4095
            + "\"'. Value should have a maximum character requirement of 4096",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_flavor_profile_with_a_mistake_is_refused(api: Api, said: dict[str, object], status: int, text: str) -> None:
    made = profile_of(api)
    body = {"name": "p", "provider_name": "amphora", "flavor_data": "{}", **said}

    assert api.refused(status, "POST", "/flavorprofiles", {"flavorprofile": body}) == text
    assert api.refused(status, "PUT", f"/flavorprofiles/{made['id']}", {"flavorprofile": said}) == text
    assert api.get("/flavorprofiles")["flavorprofiles"] == [made]


def test_flavor_profile_in_use_may_only_be_renamed(api: Api) -> None:
    flavor = flavor_of(api)
    path = f"/flavorprofiles/{flavor['flavor_profile_id']}"
    text = f"Flavor profile {flavor['flavor_profile_id']} is in use and cannot be modified."

    assert api.change(path, "flavorprofile", name="other")["name"] == "other"
    assert api.refused(409, "PUT", path, {"flavorprofile": {"flavor_data": "{"}}) == text
    assert api.refused(409, "PUT", path, {"flavorprofile": {"provider_name": "loom"}}) == text
    assert api.refused(409, "DELETE", path) == text
    api.delete(f"/flavors/{flavor['id']}")
    api.delete(path)
    assert api.refused(404, "GET", path) == f"Flavor Profile {flavor['flavor_profile_id']} not found."


def test_change_of_a_profile_waits_for_whoever_is_about_to_use_it(api: Api) -> None:
    profile = profile_of(api)
    body = {"flavorprofile": {"flavor_data": "{}"}}
    flavor = json.dumps({"name": "large", "flavor_profile_id": profile["id"]})

    with psycopg.connect(api.settings.database_url) as user, ThreadPoolExecutor(1) as threads:
        user.execute("INSERT INTO flavors (id, document) VALUES (%s, %s::jsonb)", (uuid4(), flavor))
        change = threads.submit(api.refused, 409, "PUT", f"/flavorprofiles/{profile['id']}", body)
        wait_until_blocked(api)
        user.commit()

        assert change.result() == f"Flavor profile {profile['id']} is in use and cannot be modified."
    assert api.get(f"/flavorprofiles/{profile['id']}") == {"flavorprofile": profile}


@pytest.mark.parametrize(
    ("id", "method", "said", "status", "text"),
    [
        (NIL, "GET", None, 404, f"Flavor Profile {NIL} not found."),
        (NIL, "PUT", {"flavor_data": "{"}, 404, f"Flavor profile {NIL} not found."),
        (NIL, "PUT", {"name": "x"}, 404, f"Flavor profile {NIL} not found."),
        (NIL, "DELETE", None, 404, f"Flavor profile {NIL} not found."),
        ("loom", "GET", None, 404, "Flavor Profile loom not found."),
        ("loom", "PUT", {"name": "x"}, 404, "Flavor Profile loom not found."),
        ("loom", "PUT", {"flavor_data": "{"}, 400, "{ is not a valid option for flavor_data"),
        ("loom", "PUT", {"flavor_data": "{}"}, 404, "Flavor Profile loom not found."),
        ("loom", "DELETE", None, 404, "Flavor profile loom not found."),
    ],
)
def test_flavor_profile_that_is_none_is_not_found(
    api: Api, id: str, method: str, said: dict[str, object] | None, status: int, text: str
) -> None:
    body = None if said is None else {"flavorprofile": said}

    assert api.refused(status, method, f"/flavorprofiles/{id}", body) == text


# Who may


def test_users_see_flavors_and_only_operators_touch_them(api: Api) -> None:
    flavor = flavor_of(api)
    forbidden = "Policy does not allow this request to be performed."
    calls = [
        ("POST", "/flavors", {"flavor": {"name": "x", "flavor_profile_id": NIL}}),
        ("PUT", "/flavors/loom", {"flavor": {}}),
        ("DELETE", "/flavors/loom", None),
        ("GET", "/flavorprofiles", None),
        ("GET", "/flavorprofiles/loom", None),
        ("POST", "/flavorprofiles", {"flavorprofile": {"name": "x", "provider_name": "x", "flavor_data": "{"}}),
        ("PUT", "/flavorprofiles/loom", {"flavorprofile": {"flavor_data": "{"}}),
        ("DELETE", "/flavorprofiles/loom", None),
    ]

    for method, path, body in calls:
        assert api.refused(403, method, path, body, headers=READER) == forbidden
    assert api.call("GET", "/flavors", headers=READER).json["flavors"] == [flavor]
    assert api.call("GET", f"/flavors/{flavor['id']}", headers=READER).json["flavor"] == flavor
    assert api.refused(403, "GET", "/flavors", headers={**READER, "X-Roles": "service"}) == forbidden


# What a load balancer is made with


def test_choice_is_the_flavor_with_what_its_profile_says(api: Api) -> None:
    flavor = flavor_of(api, enabled=False)
    catalogue = PostgresCatalogue(api.pool)

    choice = catalogue.flavor(UUID(flavor["id"]))

    assert choice is not None
    assert (choice.enabled, choice.provider, choice.data) == (False, "amphora", {"loadbalancer_topology": "SINGLE"})
    assert catalogue.flavor(uuid4()) is None
