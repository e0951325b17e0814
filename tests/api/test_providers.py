"""Providers and what may be said to them."""

import pytest

from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

READER = {"X-Identity-Status": "Confirmed", "X-Roles": "reader", "X-Project-Id": "weaving"}
AMPHORA = {"name": "amphora", "description": "The Octavia Amphora driver."}
OCTAVIA = {"name": "octavia", "description": "Deprecated alias of the Octavia Amphora driver."}
FLAVOR_KEYS = ["loadbalancer_topology", "compute_flavor", "amp_image_tag", "sriov_vip", "allow_member_sriov"]
ZONE_KEYS = ["compute_zone", "volume_zone", "management_network", "valid_vip_networks"]


def test_providers_are_listed_in_their_order(api: Api) -> None:
    assert api.get("/providers") == {"providers": [AMPHORA, OCTAVIA]}


@pytest.mark.parametrize("query", ["name=octavia", "limit=1", "loom=1", "sort=name:up", "marker=x"])
def test_list_of_providers_knows_no_argument_but_fields(api: Api, query: str) -> None:
    assert api.get("/providers", query) == {"providers": [AMPHORA, OCTAVIA]}


def test_fields_of_providers_are_selected(api: Api) -> None:
    assert api.get("/providers", "fields=name&loom=1") == {"providers": [{"name": "amphora"}, {"name": "octavia"}]}


def test_a_single_provider_is_not_to_be_had(api: Api) -> None:
    for method in ("GET", "PUT", "DELETE"):
        result = api.call(method, "/providers/amphora")
        assert (result.status_code, result.json) == (
            405,
            {"code": 405, "title": "Method Not Allowed", "description": ""},
        )


@pytest.mark.parametrize(("kind", "keys"), [("flavor", FLAVOR_KEYS), ("availability_zone", ZONE_KEYS)])
def test_capabilities_say_what_profiles_may_hold(api: Api, kind: str, keys: list[str]) -> None:
    path, many = f"/providers/amphora/{kind}_capabilities", f"{kind}_capabilities"

    found = api.get(path)[many]

    assert [each["name"] for each in found] == keys
    assert all(each["description"] for each in found)
    assert api.get(path, f"name={keys[1]}")[many] == [found[1]]
    assert api.get(path, f"description={found[2]['description']}&loom=1")[many] == [found[2]]
    assert api.get(path, f"name={keys[0]}&name={keys[1]}")[many] == []
    assert api.get(path, "fields=name")[many] == [{"name": key} for key in keys]


def test_capabilities_of_a_provider_that_is_none_are_refused(api: Api) -> None:
    for kind in ("flavor", "availability_zone"):
        text = api.refused(400, "GET", f"/providers/loom/{kind}_capabilities")
        assert text == "Provider 'loom' is not enabled."


def test_users_see_providers_and_only_operators_their_capabilities(api: Api) -> None:
    assert api.call("GET", "/providers", headers=READER).status_code == 200
    assert api.call("GET", "/providers", headers={**READER, "X-Roles": ""}).status_code == 403
    for kind in ("flavor", "availability_zone"):
        assert api.call("GET", f"/providers/loom/{kind}_capabilities", headers=READER).status_code == 403
