"""Providers, flavors, availability zones and their profiles as the contract words them."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from tests.contract.conftest import PROJECT, ContractApi

pytestmark = pytest.mark.postgres

UNKNOWN, NIL = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11", str(UUID(int=0))
DENIED = (403, "Policy does not allow this request to be performed.")

Said = dict[str, Any]


# Providers


def test_providers_come_in_the_order_of_the_configuration(api: ContractApi) -> None:
    names = ["amphora", "noop_driver", "noop_driver-alt", "octavia"]

    found = api("GET", "/providers?limit=loom&name=octavia&bogus=1").json

    assert list(found) == ["providers"]
    assert [provider["name"] for provider in found["providers"]] == names
    assert all(set(provider) == {"name", "description"} for provider in found["providers"])
    assert api.show("/providers?fields=name") == [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/providers/amphora"), ("POST", "/providers"), ("DELETE", "/providers/x")]
)
def test_providers_are_listed_alone(api: ContractApi, method: str, path: str) -> None:
    assert api(method, path, {}).routing_fault == (405, "")


@pytest.mark.parametrize("kind", ["flavor_capabilities", "availability_zone_capabilities"])
def test_capabilities_of_a_provider(api: ContractApi, kind: str) -> None:
    path = f"/providers/noop_driver/{kind}"

    found = api("GET", path).json
    first = found[kind][0]

    assert list(found) == [kind]
    assert set(first) == {"name", "description"}
    assert api.show(f"{path}?name={first['name']}&loom=1&fields=name") == [{"name": first["name"]}]
    assert api.show(f"{path}?description=nothing") == []
    assert api("GET", f"/providers/loom/{kind}").fault == (400, "Provider 'loom' is not enabled.")
    api.control("fault", {"error": "NotImplementedError", "user_fault_string": "too bad"})
    text = "Provider 'noop_driver' does not support a requested action: too bad"
    assert api("GET", path).fault == (501, text)


def test_amphorae_know_these_keys(api: ContractApi) -> None:
    def names(kind: str) -> set[str]:
        return {each["name"] for each in api("GET", f"/providers/amphora/{kind}").object}

    flavor = {"loadbalancer_topology", "compute_flavor", "amp_image_tag", "sriov_vip", "allow_member_sriov"}
    assert names("flavor_capabilities") == flavor
    assert names("availability_zone_capabilities") == {
        *("compute_zone", "volume_zone", "management_network", "valid_vip_networks"),
    }


# Profiles


@dataclass(frozen=True)
class Kind:
    """What tells flavors from zones in URLs, bodies and texts."""

    path: str
    root: str
    links: str
    argument: str
    data: str
    data_if_changed: str
    title: str
    title_if_deleted: str

    def asked(self, **said: object) -> Said:
        return {self.root: {"name": "p", "provider_name": "noop_driver", self.data: '{"a":  1}', **said}}

    def create(self, api: ContractApi, **said: object) -> Said:
        return api.create(f"/{self.path}", self.root, **self.asked(**said)[self.root])


PROFILES = (
    Kind(
        path="flavorprofiles",
        root="flavorprofile",
        links="flavorprofile_links",
        argument="flavor_profile_",
        data="flavor_data",
        data_if_changed="flavor_data",
        title="Flavor Profile",
        title_if_deleted="Flavor profile",
    ),
    Kind(
        path="availabilityzoneprofiles",
        root="availability_zone_profile",
        links="availability_zone_profile_links",
        argument="availability_zone_profile_",
        data="availability_zone_data",
        data_if_changed="flavor_data",
        title="Availability Zone Profile",
        title_if_deleted="Availability Zone Profile",
    ),
)
of_profiles = pytest.mark.parametrize("kind", PROFILES, ids=lambda kind: kind.path)


def use(api: ContractApi, kind: Kind, profile: Said) -> None:
    """Something that needs the profile."""
    if kind.root == "flavorprofile":
        api.create("/flavors", "flavor", name="f", flavor_profile_id=profile["id"])
    else:
        api.create("/availabilityzones", "availability_zone", name="z", availability_zone_profile_id=profile["id"])


@of_profiles
def test_profile_is_shown_as_it_was_written(api: ContractApi, kind: Kind) -> None:
    profile = kind.create(api)

    assert profile == {"id": profile["id"], "name": "p", "provider_name": "noop_driver", kind.data: '{"a":  1}'}
    assert api.show(f"/{kind.path}/{profile['id']}") == profile
    assert kind.create(api)["name"] == "p"  # names are not unique
    found = api("GET", f"/{kind.path}?limit=1&fields=name").json
    assert set(found) == {f"{kind.root}s", kind.links}
    assert [link["rel"] for link in found[kind.links]] == ["next"]


@of_profiles
def test_new_profile_is_refused(api: ContractApi, kind: Kind) -> None:
    def fault(**said: object) -> tuple[int, str]:
        return api("POST", f"/{kind.path}", kind.asked(**said)).fault

    long = f'"{"x" * 4096}"'
    frame = "Invalid input for field/attribute {}. Value: '{}'. {}"
    assert fault(**{kind.data: "{"}) == (400, f"{{ is not a valid option for {kind.data}")
    assert fault(**{kind.data: {}}) == (400, frame.format(kind.data, "{}", "Value should be string"))
    assert fault(**{kind.data: long}) == (
        400,
        frame.format(kind.data, long, "Value should have a maximum character requirement of 4096"),
    )
    assert fault(provider_name="loom") == (400, "Provider 'loom' is not enabled.")
    assert fault(id=UNKNOWN) == (400, f"Unknown attribute for argument {kind.argument}.{kind.root}: id")
    for name in ("name", "provider_name", kind.data):
        body = kind.asked()
        del body[kind.root][name]
        missing = frame.format(name, None, "Mandatory field missing.")
        assert api("POST", f"/{kind.path}", body).fault == (400, missing)


@of_profiles
def test_provider_has_to_accept_the_data(api: ContractApi, kind: Kind) -> None:
    api.control("fault", {"error": "UnsupportedOptionError", "user_fault_string": "no such key"})

    text = "Provider 'noop_driver' does not support a requested option: no such key"
    assert api("POST", f"/{kind.path}", kind.asked()).fault == (501, text)


@of_profiles
def test_checks_of_a_changed_profile_come_in_the_contracts_order(api: ContractApi, kind: Kind) -> None:
    profile = kind.create(api)
    use(api, kind, profile)

    def fault(id: str, **said: object) -> tuple[int, str]:
        return api("PUT", f"/{kind.path}/{id}", {kind.root: said}).fault

    for name in ("name", "provider_name", kind.data):
        assert fault(profile["id"], **{kind.data: "{", name: None}) == (400, f"None is not a valid option for {name}")
    in_use = (409, f"{kind.title_if_deleted} {profile['id']} is in use and cannot be modified.")
    assert fault(profile["id"], **{kind.data: "{"}) == fault(profile["id"], provider_name="amphora") == in_use
    assert fault(NIL, **{kind.data: "{"}) == (404, f"{kind.title_if_deleted} {NIL} not found.")
    assert fault(UNKNOWN, **{kind.data: "{"}) == (400, f"{{ is not a valid option for {kind.data_if_changed}")
    assert fault(UNKNOWN, **{kind.data: "{}"}) == (404, f"{kind.title} {UNKNOWN} not found.")
    assert api("DELETE", f"/{kind.path}/{profile['id']}").fault == in_use


@of_profiles
def test_profile_is_changed_while_nobody_needs_it(api: ContractApi, kind: Kind) -> None:
    profile = kind.create(api)
    path = f"/{kind.path}/{profile['id']}"

    changed = api("PUT", path, {kind.root: {"name": "q", kind.data: "{}"}})
    use(api, kind, profile)
    renamed = api("PUT", path, {kind.root: {"name": "r"}})

    assert (changed.status, changed.object) == (200, {**profile, "name": "q", kind.data: "{}"})
    assert (renamed.status, renamed.object["name"]) == (200, "r")


@of_profiles
def test_profile_is_deleted(api: ContractApi, kind: Kind) -> None:
    path = f"/{kind.path}/{kind.create(api)['id']}"

    deleted = api("DELETE", path)

    assert (deleted.status, deleted.text) == (204, "")
    assert api("GET", path).status == 404
    for id in (UNKNOWN, NIL):
        assert api("GET", f"/{kind.path}/{id}").fault == (404, f"{kind.title} {id} not found.")
        assert api("DELETE", f"/{kind.path}/{id}").fault == (404, f"{kind.title_if_deleted} {id} not found.")


# Flavors


def a_flavor(api: ContractApi, **said: object) -> Said:
    profile = PROFILES[0].create(api)
    return api.create("/flavors", "flavor", **{"name": "f", "flavor_profile_id": profile["id"], **said})


def test_flavor_has_five_attributes(api: ContractApi) -> None:
    flavor = a_flavor(api, description=None)

    ids = {"id": flavor["id"], "flavor_profile_id": flavor["flavor_profile_id"]}
    assert flavor == {**ids, "name": "f", "description": "", "enabled": True}
    assert api("GET", "/flavors").json == {"flavors": [flavor], "flavors_links": []}
    assert api.show("/flavors?enabled=false") == []


def test_names_of_flavors_are_unique(api: ContractApi) -> None:
    flavor = a_flavor(api)
    other = api.create("/flavors", "flavor", name="g", flavor_profile_id=flavor["flavor_profile_id"])
    taken = (409, "A flavor of f already exists.")

    assert (
        api("POST", "/flavors", {"flavor": {"name": "f", "flavor_profile_id": other["flavor_profile_id"]}}).fault
        == taken
    )
    assert api("PUT", f"/flavors/{other['id']}", {"flavor": {"name": "f"}}).fault == taken


@pytest.mark.parametrize(
    "said", [{"flavor_profile_id": UNKNOWN}, {"enabled": None}, {"name": None}, {"flavor_profile_id": None}], ids=str
)
def test_new_flavor_is_refused(api: ContractApi, said: Said) -> None:
    flavor = a_flavor(api)

    body = {"flavor": {"name": "g", "flavor_profile_id": flavor["flavor_profile_id"], **said}}

    assert api("POST", "/flavors", body).fault[0] == 400


def test_change_of_a_flavor(api: ContractApi) -> None:
    flavor = a_flavor(api, description="d")
    path = f"/flavors/{flavor['id']}"

    changed = api("PUT", path, {"flavor": {"name": "g", "description": None, "enabled": False}})

    assert (changed.status, changed.object) == (200, {**flavor, "name": "g", "description": "", "enabled": False})
    fixed = "Unknown attribute for argument flavor_.flavor: flavor_profile_id"
    assert api("PUT", path, {"flavor": {"flavor_profile_id": UNKNOWN}}).fault == (400, fixed)
    assert api("PUT", path, {"flavor": {"enabled": None}}).fault[0] == 400


def test_flavor_in_use_stays(api: ContractApi) -> None:
    flavor = a_flavor(api)
    load_balancer = api.load_balancer(flavor_id=flavor["id"])
    path = f"/flavors/{flavor['id']}"

    in_use = api("DELETE", path)
    api("DELETE", f"/loadbalancers/{load_balancer['id']}")
    api.gone(f"/loadbalancers/{load_balancer['id']}")
    deleted = api("DELETE", path)

    assert in_use.fault == (409, f"Flavor {flavor['id']} is in use and cannot be modified.")
    assert (deleted.status, deleted.text) == (204, "")


@pytest.mark.parametrize("id", [UNKNOWN, NIL, "loom"], ids=["unknown", "nil", "no id"])
def test_unknown_flavor_is_not_found(api: ContractApi, id: str) -> None:
    text = (404, f"Flavor {id} not found.")

    assert [api("GET", f"/flavors/{id}").fault, api("DELETE", f"/flavors/{id}").fault] == [text, text]
    assert api("PUT", f"/flavors/{id}", {"flavor": {}}).fault == text


# Availability zones


def a_zone(api: ContractApi, **said: object) -> Said:
    profile = PROFILES[1].create(api)
    said = {"name": "z", "availability_zone_profile_id": profile["id"], **said}
    return api.create("/availabilityzones", "availability_zone", **said)


def test_zone_is_known_by_its_name(api: ContractApi) -> None:
    zone = a_zone(api, description=None)

    profile_id = zone["availability_zone_profile_id"]
    assert zone == {"name": "z", "description": "", "enabled": True, "availability_zone_profile_id": profile_id}
    assert api("GET", "/availabilityzones").json == {"availability_zones": [zone], "availability_zones_links": []}
    assert api.show("/availabilityzones/z") == zone
    body = {"availability_zone": {"name": "z", "availability_zone_profile_id": profile_id}}
    assert api("POST", "/availabilityzones", body).fault == (409, "A availability zone of z already exists.")


def test_names_are_the_markers_of_zones(api: ContractApi) -> None:
    profile_id = a_zone(api, name="a")["availability_zone_profile_id"]
    for name in ("b/c", "d"):
        api.create("/availabilityzones", "availability_zone", name=name, availability_zone_profile_id=profile_id)

    first = api("GET", "/availabilityzones?limit=2&fields=name").json
    rest = api.show("/availabilityzones?limit=2&fields=name&marker=b/c")

    assert first["availability_zones"] == [{"name": "a"}, {"name": "b/c"}]
    assert first["availability_zones_links"][0]["href"].endswith("limit=2&marker=b%2Fc")
    assert rest == [{"name": "d"}]


def test_zone_is_refused(api: ContractApi) -> None:
    profile_id = a_zone(api)["availability_zone_profile_id"]

    def fault(**said: object) -> tuple[int, str]:
        body = {"name": "y", "availability_zone_profile_id": profile_id, **said}
        return api("POST", "/availabilityzones", {"availability_zone": body}).fault

    assert [fault(availability_zone_profile_id=UNKNOWN)[0], fault(enabled=None)[0], fault(name=None)[0]] == [400] * 3
    unknown = "Unknown attribute for argument availability_zone_.availability_zone: "
    assert fault(id=UNKNOWN) == (400, f"{unknown}id")
    for name in ("name", "availability_zone_profile_id"):
        answer = api("PUT", "/availabilityzones/z", {"availability_zone": {name: "y"}})
        assert answer.fault == (400, f"{unknown}{name}")


def test_change_of_a_zone(api: ContractApi) -> None:
    zone = a_zone(api)

    changed = api("PUT", "/availabilityzones/z", {"availability_zone": {"description": "d", "enabled": False}})

    assert (changed.status, changed.object) == (200, {**zone, "description": "d", "enabled": False})
    refused = api(
        "POST",
        "/loadbalancers",
        {"loadbalancer": {"vip_subnet_id": UNKNOWN, "project_id": PROJECT, "availability_zone": "z"}},
    )
    assert refused.fault == (400, "The selected availability_zone is not allowed in this deployment: z")


def test_zone_in_use_stays(api: ContractApi) -> None:
    a_zone(api)
    load_balancer = api.load_balancer(availability_zone="z")

    in_use = api("DELETE", "/availabilityzones/z")
    api("DELETE", f"/loadbalancers/{load_balancer['id']}")
    api.gone(f"/loadbalancers/{load_balancer['id']}")
    deleted = api("DELETE", "/availabilityzones/z")

    assert in_use.fault == (409, "Availability Zone z is in use and cannot be modified.")
    assert (deleted.status, deleted.text) == (204, "")
    assert [
        api("GET", "/availabilityzones/z").fault,
        api("DELETE", "/availabilityzones/z").fault,
        api("PUT", "/availabilityzones/z", {"availability_zone": {}}).fault,
    ] == [(404, "Availability Zone z not found.")] * 3


# What a flavor makes of a load balancer


def test_flavor_chooses_the_provider(api: ContractApi) -> None:
    flavor = a_flavor(api)
    body = {"vip_subnet_id": UNKNOWN, "project_id": PROJECT, "flavor_id": flavor["id"]}

    made = api.load_balancer(flavor_id=flavor["id"])
    refused = api("POST", "/loadbalancers", {"loadbalancer": {**body, "provider": "octavia"}})

    assert (made["provider"], made["flavor_id"]) == ("noop_driver", flavor["id"])
    text = f"Flavor '{flavor['id']}' is not compatible with provider 'octavia'"
    assert refused.fault == (400, text)


def test_flavor_may_ask_for_sriov(api: ContractApi) -> None:
    profile = PROFILES[0].create(api, flavor_data=json.dumps({"sriov_vip": True}))
    flavor = api.create("/flavors", "flavor", name="f", flavor_profile_id=profile["id"])

    assert api.load_balancer(flavor_id=flavor["id"])["vip_vnic_type"] == "direct"


def test_disabled_flavor_is_not_to_be_had(api: ContractApi) -> None:
    flavor = a_flavor(api, enabled=False)
    body = {"vip_subnet_id": UNKNOWN, "project_id": PROJECT, "flavor_id": flavor["id"]}

    text = f"The selected flavor is not allowed in this deployment: {flavor['id']}"
    assert api("POST", "/loadbalancers", {"loadbalancer": body}).fault == (400, text)


# Who may

SHARED = ("/providers", "/flavors", "/availabilityzones")
OF_OPERATORS = (
    *("/flavorprofiles", "/availabilityzoneprofiles", f"/flavorprofiles/{UNKNOWN}"),
    *("/providers/amphora/flavor_capabilities", "/providers/amphora/availability_zone_capabilities"),
)


@pytest.mark.parametrize(("roles", "sees"), [("", False), ("service", False), ("reader", True), ("member", True)])
def test_users_see_what_there_is_to_choose_from(api: ContractApi, roles: str, sees: bool) -> None:
    for path in SHARED:
        answer = api("GET", path, project=PROJECT, roles=roles)
        assert answer.status == 200 if sees else answer.fault == DENIED, path
    for path in OF_OPERATORS:
        assert api("GET", path, project=PROJECT, roles=roles).fault == DENIED, path


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_users_change_nothing_and_learn_nothing(api: ContractApi, method: str) -> None:
    """Policy comes before the look-up here."""
    roots = {"flavors": "flavor", "availabilityzones": "availability_zone"} | {
        kind.path: kind.root for kind in PROFILES
    }

    for path, root in roots.items():
        answer = api(method, f"/{path}/{UNKNOWN}", {root: {}}, project=PROJECT, roles="member")
        assert answer.fault == DENIED, path
