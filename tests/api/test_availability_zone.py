"""Availability zones and their profiles, as operators make them and users see them."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from infra.catalogue import PostgresCatalogue
from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

NIL = "00000000-0000-0000-0000-000000000000"
READER = {"X-Identity-Status": "Confirmed", "X-Roles": "reader", "X-Project-Id": "weaving"}


def profile_of(api: Api, **attributes: object) -> dict[str, Any]:
    settings = {"name": "p", "provider_name": "amphora", "availability_zone_data": '{"compute_zone": "n1"}'}
    return api.create("/availabilityzoneprofiles", "availability_zone_profile", **{**settings, **attributes})


def zone_of(api: Api, **attributes: object) -> dict[str, Any]:
    if "availability_zone_profile_id" not in attributes:
        attributes["availability_zone_profile_id"] = profile_of(api)["id"]
    return api.create("/availabilityzones", "availability_zone", **{"name": "north", **attributes})


# Zones


def test_zone_is_shown_by_its_name_and_has_no_id(api: Api) -> None:
    profile = profile_of(api)

    made = zone_of(api, availability_zone_profile_id=profile["id"])

    assert made == {
        "name": "north",
        "description": "",
        "enabled": True,
        "availability_zone_profile_id": profile["id"],
    }
    assert api.get("/availabilityzones/north") == {"availability_zone": made}
    assert api.get("/availabilityzones") == {"availability_zones": [made], "availability_zones_links": []}


def test_zone_is_changed_in_what_was_said(api: Api) -> None:
    made = zone_of(api)

    changed = api.change("/availabilityzones/north", "availability_zone", enabled=False, description="x")

    assert changed == {**made, "enabled": False, "description": "x"}
    assert api.get("/availabilityzones/north") == {"availability_zone": changed}


def test_zone_is_gone_once_it_was_deleted_and_its_name_free(api: Api) -> None:
    zone_of(api)

    api.delete("/availabilityzones/north")

    for method, body in (("GET", None), ("DELETE", None), ("PUT", {"availability_zone": {}})):
        assert api.refused(404, method, "/availabilityzones/north", body) == "Availability Zone north not found."
    assert zone_of(api)["name"] == "north"


def test_name_of_a_zone_is_taken_once(api: Api) -> None:
    made = zone_of(api)

    text = api.refused(409, "POST", "/availabilityzones", {"availability_zone": made})

    assert text == "A availability zone of north already exists."


@pytest.mark.parametrize("name", ["name", "id", "availability_zone_profile_id"])
def test_what_is_fixed_in_a_zone_is_no_attribute_of_a_change(api: Api, name: str) -> None:
    zone_of(api)

    text = api.refused(400, "PUT", "/availabilityzones/north", {"availability_zone": {name: NIL}})

    assert text == f"Unknown attribute for argument availability_zone_.availability_zone: {name}"


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"enabled": None}, "None is not a valid option for enabled"),
        ({"availability_zone_profile_id": NIL}, "Validation failure: Invalid availability_zone_profile_id."),
    ],
)
def test_zone_with_a_mistake_is_refused(api: Api, said: dict[str, object], text: str) -> None:
    body = {"name": "north", "availability_zone_profile_id": profile_of(api)["id"], **said}

    assert api.refused(400, "POST", "/availabilityzones", {"availability_zone": body}) == text


def test_zone_in_use_stays(api: Api) -> None:
    zone_of(api)
    load_balancer = api.load_balancer(availability_zone="north")

    text = api.refused(409, "DELETE", "/availabilityzones/north")

    assert text == "Availability Zone north is in use and cannot be modified."
    api.delete(f"/loadbalancers/{load_balancer['id']}")
    api.finish_deletion(load_balancer)
    api.delete("/availabilityzones/north")


def test_either_the_deletion_of_a_zone_or_its_use_wins(api: Api) -> None:
    create = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id), "availability_zone": "north"}}

    for _ in range(5):
        zone_of(api)
        with ThreadPoolExecutor(2) as threads:
            used = threads.submit(api.call, "POST", "/loadbalancers", create)
            deleted = threads.submit(api.call, "DELETE", "/availabilityzones/north")
        statuses = used.result().status_code, deleted.result().status_code

        assert statuses in {(201, 409), (400, 204)}
        if statuses[0] == 201:
            api.delete(f"/loadbalancers/{used.result().json['loadbalancer']['id']}")
            api.finish_deletion(used.result().json["loadbalancer"])
            api.delete("/availabilityzones/north")


def test_zones_are_paged_by_their_names(api: Api) -> None:
    profile = profile_of(api)["id"]
    for name in ("south", "north", "west", "east"):
        zone_of(api, name=name, availability_zone_profile_id=profile)

    first = api.get("/availabilityzones", "limit=2&fields=name")
    second = api.get("/availabilityzones", "limit=2&fields=name&marker=north")

    assert first["availability_zones"] == [{"name": "east"}, {"name": "north"}]
    assert [link["href"].rpartition("marker=")[2] for link in first["availability_zones_links"]] == ["north"]
    assert second["availability_zones"] == [{"name": "south"}, {"name": "west"}]
    text = api.refused(400, "GET", "/availabilityzones", query_string="marker=loom")
    assert text == "Supplied pagination marker 'loom' is not valid."


# Profiles


def test_zone_profile_is_shown_as_it_was_made(api: Api) -> None:
    made = profile_of(api)

    assert made.keys() == {"id", "name", "provider_name", "availability_zone_data"}
    assert api.get(f"/availabilityzoneprofiles/{made['id']}") == {"availability_zone_profile": made}
    assert api.get("/availabilityzoneprofiles") == {
        "availability_zone_profiles": [made],
        "availability_zone_profile_links": [],
    }


def test_zone_profile_with_a_mistake_is_refused_in_the_reference_s_words(api: Api) -> None:
    made = profile_of(api)
    root, path = "availability_zone_profile", "/availabilityzoneprofiles"
    body = {"name": "p", "provider_name": "amphora", "availability_zone_data": "{"}

    assert api.refused(400, "POST", path, {root: body}) == "{ is not a valid option for availability_zone_data"
    change = {root: {"availability_zone_data": "{"}}
    assert api.refused(400, "PUT", f"{path}/{made['id']}", change) == "{ is not a valid option for flavor_data"
    change = {root: {"availability_zone_data": '{"valid_vip_networks": "x"}'}}
    assert api.refused(501, "PUT", f"{path}/{made['id']}", change) == (
        "Provider 'amphora' does not support a requested option: valid_vip_networks 'x' is not of type 'array'"
    )


def test_zone_profile_in_use_may_only_be_renamed(api: Api) -> None:
    zone = zone_of(api)
    path = f"/availabilityzoneprofiles/{zone['availability_zone_profile_id']}"
    text = f"Availability Zone Profile {zone['availability_zone_profile_id']} is in use and cannot be modified."
    root = "availability_zone_profile"

    assert api.change(path, root, name="other")["name"] == "other"
    assert api.refused(409, "PUT", path, {root: {"availability_zone_data": "{}"}}) == text
    assert api.refused(409, "DELETE", path) == text
    api.delete("/availabilityzones/north")
    assert api.change(path, root, availability_zone_data="{}")["availability_zone_data"] == "{}"
    api.delete(path)


@pytest.mark.parametrize("id", [NIL, "loom"])
def test_zone_profile_that_is_none_is_not_found(api: Api, id: str) -> None:
    body = {"availability_zone_profile": {"name": "x"}}

    for method, content in (("GET", None), ("DELETE", None), ("PUT", body)):
        text = api.refused(404, method, f"/availabilityzoneprofiles/{id}", content)
        assert text == f"Availability Zone Profile {id} not found."


def test_users_see_zones_and_only_operators_touch_them(api: Api) -> None:
    zone = zone_of(api)
    forbidden = "Policy does not allow this request to be performed."

    assert api.call("GET", "/availabilityzones", headers=READER).json["availability_zones"] == [zone]
    assert api.call("GET", "/availabilityzones/north", headers=READER).json["availability_zone"] == zone
    for method, path, body in (
        ("POST", "/availabilityzones", {"availability_zone": zone}),
        ("PUT", "/availabilityzones/loom", {"availability_zone": {}}),
        ("DELETE", "/availabilityzones/loom", None),
        ("GET", "/availabilityzoneprofiles", None),
        ("GET", "/availabilityzoneprofiles/loom", None),
        ("DELETE", "/availabilityzoneprofiles/loom", None),
    ):
        assert api.refused(403, method, path, body, headers=READER) == forbidden


def test_choice_is_the_zone_with_what_its_profile_says(api: Api) -> None:
    zone_of(api)
    catalogue = PostgresCatalogue(api.pool)

    choice = catalogue.availability_zone("north")

    assert choice is not None
    assert (choice.enabled, choice.provider, choice.data) == (True, "amphora", {"compute_zone": "n1"})
    assert catalogue.availability_zone("south") is None


def test_data_that_is_no_object_says_nothing(api: Api) -> None:
    zone_of(api)
    with psycopg.connect(api.settings.database_url) as connection:
        connection.execute("ALTER TABLE availability_zone_profiles DISABLE TRIGGER USER")
        said = '{"availability_zone_data": "[]"}'
        connection.execute("UPDATE availability_zone_profiles SET document = document || %s::jsonb", (said,))

    choice = PostgresCatalogue(api.pool).availability_zone("north")

    assert choice is not None
    assert choice.data == {}
