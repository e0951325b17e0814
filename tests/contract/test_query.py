"""Query strings of GETs: fields, filters, order and pages."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import pytest

from tests.contract.conftest import PROJECT, ContractApi

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

NO_FILTER = (400, "One or more arguments are either duplicate or invalid")
COMMON = "id project_id provisioning_status operating_status admin_state_up created_at updated_at"
OF_LISTS = {
    "loadbalancers": f"{COMMON} name description provider flavor_id availability_zone vip_address vip_port_id"
    " vip_subnet_id vip_network_id vip_qos_policy_id vip_vnic_type topology enabled vip_sg_ids",
    "listeners": f"{COMMON} name description loadbalancer_id load_balancer_id protocol protocol_port connection_limit"
    " default_pool_id default_tls_container_ref client_ca_tls_container_ref client_crl_container_ref"
    " client_authentication timeout_client_data timeout_member_connect timeout_member_data timeout_tcp_inspect"
    " tls_ciphers tls_versions alpn_protocols insert_headers hsts_max_age hsts_include_subdomains hsts_preload",
    "pools": f"{COMMON} name description loadbalancer_id load_balancer_id protocol lb_algorithm healthmonitor_id"
    " tls_enabled tls_container_ref ca_tls_container_ref crl_container_ref tls_ciphers tls_versions alpn_protocols",
    "members": f"{COMMON} name pool_id address protocol_port weight backup subnet_id monitor_address monitor_port"
    " vnic_type",
    "healthmonitors": f"{COMMON} name pool_id type delay timeout max_retries max_retries_down http_method url_path"
    " expected_codes http_version domain_name",
    "l7policies": f"{COMMON} name description listener_id action position redirect_pool_id redirect_url"
    " redirect_prefix redirect_http_code",
    "rules": f"{COMMON} l7policy_id type compare_type key value invert",
    "quotas": "project_id loadbalancer load_balancer listener pool member healthmonitor health_monitor l7policy l7rule",
    "amphorae": "id loadbalancer_id load_balancer_id project_id compute_id lb_network_ip vrrp_ip ha_ip vrrp_port_id"
    " ha_port_id cert_expiration cert_busy role status vrrp_interface vrrp_id vrrp_priority cached_zone image_id"
    " compute_flavor created_at updated_at tags not-tags",
    "flavors": "id name description enabled flavor_profile_id",
    "flavorprofiles": "id name provider_name flavor_data",
    "availabilityzones": "name description enabled availability_zone_profile_id",
    "availabilityzoneprofiles": "id name provider_name availability_zone_data",
}
NOT_OF_LISTS = {
    "loadbalancers": "loadbalancer_id tenant_id listeners pools additional_vips colour",
    "listeners": "tenant_id l7policies loadbalancers sni_container_refs allowed_cidrs colour",
    "pools": "tenant_id listener_id health_monitor_id members listeners loadbalancers session_persistence colour",
    "members": "tenant_id loadbalancer_id description colour",
    "healthmonitors": "tenant_id loadbalancer_id pools description colour",
    "l7policies": "tenant_id loadbalancer_id rules colour",
    "rules": "tenant_id name description colour",
    "quotas": "tenant_id name colour",
    "amphorae": "tenant_id name colour",
    "flavors": "project_id tenant_id tags colour",
    "flavorprofiles": "project_id tags enabled colour",
    "availabilityzones": "id project_id tags colour",
    "availabilityzoneprofiles": "project_id tags enabled colour",
}
LINKS = {
    **{name: f"{name}_links" for name in ("loadbalancers", "listeners", "pools", "members", "healthmonitors")},
    **{name: f"{name}_links" for name in ("l7policies", "rules", "quotas", "flavors", "amphorae")},
    "flavorprofiles": "flavorprofile_links",
    "availabilityzones": "availability_zones_links",
    "availabilityzoneprofiles": "availability_zone_profile_links",
}


def a_path(api: ContractApi, name: str) -> str:
    """Of a list; what stands above it is made."""
    if name == "amphorae":
        return "/v2/octavia/amphorae"
    if name not in ("members", "rules"):
        return f"/{name}"
    load_balancer = api.load_balancer()
    if name == "members":
        return f"/pools/{api.pool(load_balancer)['id']}/members"
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    return f"/l7policies/{policy['id']}/rules"


def listed(api: ContractApi, path: str, key: str = "name") -> list[Any]:
    """One attribute of all that a list shows."""
    found = api("GET", path)
    assert found.status == 200, found
    return [each[key] for each in found.object]


# Filters


@pytest.mark.parametrize("name", OF_LISTS)
def test_each_filter_of_the_contract_is_known(api: ContractApi, name: str) -> None:
    path = a_path(api, name)

    for each in OF_LISTS[name].split():
        assert api("GET", f"{path}?{each}=7").status == 200, each


@pytest.mark.parametrize("name", NOT_OF_LISTS)
def test_any_other_filter_is_refused(api: ContractApi, name: str) -> None:
    path = a_path(api, name)

    for each in NOT_OF_LISTS[name].split():
        assert api("GET", f"{path}?{each}=7").fault == NO_FILTER, each


def test_a_filter_that_is_repeated_is_refused(api: ContractApi) -> None:
    assert api("GET", "/loadbalancers?name=a&name=b").fault == NO_FILTER


def test_filters_select_what_meets_them_all(api: ContractApi) -> None:
    api.load_balancer(name="a", description="one")
    api.load_balancer(name="a", description="two", admin_state_up=False)
    api.load_balancer(name="A", description="one", provider="amphora")

    assert listed(api, "/loadbalancers?name=a", "description") == ["one", "two"]
    assert listed(api, "/loadbalancers?name=a&description=two", "description") == ["two"]
    assert listed(api, "/loadbalancers?provider=amphora", "name") == ["A"]
    assert listed(api, "/loadbalancers?name=b") == []
    assert listed(api, f"/loadbalancers?id={uuid4()}") == []
    assert listed(api, "/loadbalancers?id=no-id") == []
    assert listed(api, "/loadbalancers?name=") == []


def test_a_filter_of_truth_is_loose(api: ContractApi) -> None:
    api.load_balancer(name="up")
    api.load_balancer(name="down", admin_state_up=False)

    for name in ("admin_state_up", "enabled"):
        for yes in ("true", "True", "1", "yes", "on", "t", "y", "YES"):
            assert listed(api, f"/loadbalancers?{name}={yes}") == ["up"], yes
        for no in ("false", "0", "no", "off", "x", ""):
            assert listed(api, f"/loadbalancers?{name}={no}") == ["down"], no


def test_an_empty_filter_selects_the_empty_text_but_nothing_that_is_null(api: ContractApi) -> None:
    api.load_balancer(name="")

    assert listed(api, "/loadbalancers?name=") == [""]
    assert listed(api, "/loadbalancers?availability_zone=") == []
    assert listed(api, "/loadbalancers?flavor_id=") == []


def test_a_filter_of_a_number_takes_numbers(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    api.listener(load_balancer, name="web", protocol_port=80)
    api.listener(load_balancer, name="alt", protocol_port=8080)

    assert listed(api, "/listeners?protocol_port=80") == ["web"]
    assert listed(api, "/listeners?protocol_port=x") == []
    assert listed(api, f"/listeners?load_balancer_id={load_balancer['id']}&protocol_port=8080") == ["alt"]
    assert listed(api, f"/listeners?loadbalancer_id={uuid4()}") == []


def test_a_filter_of_a_status_and_of_a_time_selects(api: ContractApi) -> None:
    shown = api.load_balancer(name="a")

    assert listed(api, "/loadbalancers?provisioning_status=ACTIVE") == ["a"]
    assert listed(api, "/loadbalancers?provisioning_status=ERROR") == []
    assert listed(api, f"/loadbalancers?created_at={shown['created_at']}") == ["a"]


BY_TAGS = {
    "tags=red": ["red", "both"],
    "tags=red,blue": ["both"],
    "tags=red&tags=blue": ["both"],
    "tags-any=red,blue": ["red", "blue", "both"],
    "tags-any=red&tags-any=green": ["red", "both"],
    "not-tags=red,blue": ["red", "blue", "none"],
    "not-tags=red": ["blue", "none"],
    "not-tags-any=red,blue": ["none"],
    "tags=red&not-tags-any=blue": ["red"],
    "tags=RED": [],
}


@pytest.mark.parametrize("name", ["loadbalancers", "listeners", "pools", "members", "healthmonitors", "l7policies"])
def test_tags_select(api: ContractApi, name: str) -> None:
    path = a_tagged_list(api, name)

    found = {query: [each for each in listed(api, f"{path}?{query}") if each] for query in BY_TAGS}
    assert found == BY_TAGS


def a_tagged_list(api: ContractApi, name: str) -> str:
    """Four objects of a kind, named by the colours of their tags; what else there is has no name."""
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer, protocol_port=1)
    pool = api.pool(load_balancer)
    make: dict[str, Callable[..., object]] = {
        "loadbalancers": lambda port, **said: api.load_balancer(**said),
        "listeners": lambda port, **said: api.listener(load_balancer, protocol_port=port, **said),
        "pools": lambda port, **said: api.pool(load_balancer, **said),
        "members": lambda port, **said: api.member(load_balancer, pool, protocol_port=port, **said),
        "healthmonitors": lambda port, **said: api.health_monitor(load_balancer, api.pool(load_balancer), **said),
        "l7policies": lambda port, **said: api.l7_policy(load_balancer, listener, position=port - 79, **said),
    }
    for port, colours in enumerate((["red"], ["blue"], ["red", "blue"], []), start=80):
        make[name](port, name=(colours or ["none"])[0] if len(colours) < 2 else "both", tags=colours)
    return f"/pools/{pool['id']}/members" if name == "members" else f"/{name}"


def test_tags_select_rules(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    policy = api.l7_policy(load_balancer, api.listener(load_balancer))
    api.l7_rule(load_balancer, policy, value="/red", tags=["red"])
    api.l7_rule(load_balancer, policy, value="/none")

    assert listed(api, f"/l7policies/{policy['id']}/rules?tags=red", "value") == ["/red"]
    assert listed(api, f"/l7policies/{policy['id']}/rules?not-tags-any=red", "value") == ["/none"]


# Fields


def test_fields_are_chosen_by_repetition(api: ContractApi) -> None:
    id = api.load_balancer(name="a")["id"]

    for query, shown in (
        ("fields=name", {"name": "a"}),
        ("fields=name&fields=admin_state_up", {"name": "a", "admin_state_up": True}),
        ("fields=name,id", {}),
        ("fields=name&fields=colour", {"name": "a"}),
        ("fields=tenant_id", {}),
        ("fields=tenant_id&fields=project_id", {"tenant_id": PROJECT, "project_id": PROJECT}),
        ("fields=project_id", {"project_id": PROJECT}),
    ):
        assert api("GET", f"/loadbalancers?{query}").object == [shown], query
        assert api("GET", f"/loadbalancers/{id}?{query}").object == shown, query


@pytest.mark.parametrize("name", [each for each in OF_LISTS if each not in ("quotas", "amphorae")])
def test_fields_are_chosen_everywhere(api: ContractApi, name: str) -> None:
    path = a_path(api, name)

    assert api("GET", f"{path}?fields=id").status == 200


def test_fields_mean_nothing_to_the_list_of_quotas(api: ContractApi) -> None:
    api("PUT", "/quotas/p", {"quota": {"listener": 1}})

    (shown,) = api("GET", "/quotas?fields=listener").object

    assert set(shown) > {"listener", "project_id", "pool"}


def test_a_show_passes_over_everything_else(api: ContractApi) -> None:
    load_balancer = api.load_balancer()

    found = api("GET", f"/loadbalancers/{load_balancer['id']}?colour=red&name=nobody&sort=colour&marker=x&limit=1")

    assert found.status == 200
    assert found.object["id"] == load_balancer["id"]


@pytest.mark.parametrize("query", ["limit=x", "sort=name:sideways", "sort=a:b:c", "sort_key=name&sort_dir=x"])
def test_what_cannot_be_read_of_a_page_is_refused_by_a_show_too(api: ContractApi, query: str) -> None:
    id = api.load_balancer()["id"]

    assert api("GET", f"/loadbalancers/{id}?{query}").routing_fault[0] == 400
    assert api("GET", f"/loadbalancers?{query}").routing_fault[0] == 400


def test_some_paths_take_no_argument_at_all(api: ContractApi) -> None:
    load_balancer = api.load_balancer(provider="amphora")
    listener = api.listener(load_balancer)
    (amphora, *_) = api("GET", "/v2/octavia/amphorae").object
    paths = [f"/loadbalancers/{load_balancer['id']}/{name}" for name in ("status", "statuses", "stats")]
    paths += [f"/listeners/{listener['id']}/stats", "/quotas/p", "/quotas/p/default"]
    paths += [f"/v2/octavia/amphorae/{amphora['id']}/stats"]

    for path in paths:
        for name in ("colour", "fields", "limit"):
            assert api("GET", f"{path}?{name}=red").fault == (400, f'Unknown argument: "{name}"'), path


@pytest.mark.parametrize("query", ["name=amphora", "limit=1", "sort=x:y:z", "colour=red", "marker=x"])
def test_the_list_of_providers_passes_over_everything_but_fields(api: ContractApi, query: str) -> None:
    found = api("GET", f"/providers?{query}")

    assert found.status == 200
    assert found.json == api("GET", "/providers").json
    assert set(found.json) == {"providers"}
    assert {tuple(each) for each in api("GET", "/providers?fields=name").object} == {("name",)}


def test_capabilities_are_filtered_by_name_and_description_only(api: ContractApi) -> None:
    path = "/providers/amphora/flavor_capabilities"
    everything = api("GET", path).object
    (first, *rest) = everything

    assert set(first) == {"name", "description"}
    assert rest
    assert api("GET", f"{path}?name={first['name']}").object == [first]
    assert api("GET", f"{path}?description={quote(first['description'])}").object == [first]
    assert api("GET", f"{path}?colour=red").object == everything


# Order


@pytest.fixture
def three(api: ContractApi) -> ContractApi:
    """Load balancers b, a, c, made in this order; a is down."""
    for name in "bac":
        api.load_balancer(name=name, admin_state_up=name != "a", description="same")
    return api


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "bac"),
        ("sort=name", "abc"),
        ("sort=name:asc", "abc"),
        ("sort=name:DESC", "cba"),
        ("sort=admin_state_up,name", "abc"),
        ("sort=admin_state_up:desc,name:desc", "cba"),
        ("sort=description", "bac"),
        ("sort=created_at:desc", "cab"),
        ("sort_key=name", "abc"),
        ("sort_key=name&sort_dir=desc", "cba"),
        ("sort_key=admin_state_up,name&sort_dir=desc", "bca"),
        ("sort_key=description,name&sort_dir=asc,desc", "cba"),
        ("sort=vip_address,id:asc,name", None),
    ],
)
def test_order(three: ContractApi, query: str, names: str | None) -> None:
    found = listed(three, f"/loadbalancers?{query}")

    assert sorted(found) == ["a", "b", "c"]
    assert names is None or found == list(names)


def test_an_unknown_key_or_direction_is_refused(api: ContractApi) -> None:
    assert api("GET", "/loadbalancers?sort=colour").fault == (400, "Supplied sort key 'colour' is not valid.")
    assert api("GET", "/loadbalancers?sort_key=colour").fault == (400, "Supplied sort key 'colour' is not valid.")
    direction = (400, "Supplied sort direction 'up' is not valid.")
    assert api("GET", "/loadbalancers?sort=name:up").routing_fault == direction
    assert api("GET", "/loadbalancers?sort_key=name&sort_dir=up").routing_fault == direction
    colons = (400, "Supplied sort key '['name', 'asc', 'x']' is not valid.")
    assert api("GET", "/loadbalancers?sort=name:asc:x").routing_fault == colons
    assert api("GET", "/loadbalancers?sort=name&sort=id").status == 400


@pytest.mark.parametrize("name", OF_LISTS)
def test_each_filter_but_tags_is_a_key_too(api: ContractApi, name: str) -> None:
    path = a_path(api, name)
    odd = {"tags", "not-tags"}

    for key in set(OF_LISTS[name].split()) - odd:
        assert api("GET", f"{path}?sort={key}:desc").status == 200, key


# Pages


def pages(api: ContractApi, path: str, key: str = "name") -> list[list[Any]]:
    """All pages, along the next links."""
    found = []
    link: str | None = path
    while link is not None:
        answer = api.raw("GET", link)
        assert answer.status == 200, answer
        found.append([each[key] for each in answer.object])
        (links,) = (value for name, value in answer.json.items() if name.endswith("_links"))
        parts = [urlsplit(each["href"]) for each in links if each["rel"] == "next"]
        link = f"{parts[0].path}?{parts[0].query}" if parts else None
    return found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("limit=1", ["b", "a", "c", ""]),
        ("limit=2", ["ba", "c"]),
        ("limit=3", ["bac", ""]),
        ("limit=4", ["bac"]),
        ("limit=2&sort=name", ["ab", "c"]),
        ("limit=2&sort=name:desc", ["cb", "a"]),
        ("limit=1&sort=admin_state_up,name:desc", ["a", "c", "b", ""]),
        ("limit=1&sort=vip_address,name", ["a", "b", "c", ""]),
        ("limit=2&sort_key=name&sort_dir=desc", ["cb", "a"]),
    ],
)
def test_pages_follow_each_other_along_their_links(three: ContractApi, query: str, expected: list[str]) -> None:
    found = pages(three, f"/v2/lbaas/loadbalancers?{query}")

    assert found == [list(page) for page in expected]


def test_links_say_what_is_needed_to_go_on(three: ContractApi) -> None:
    ids = dict(zip("bac", listed(three, "/loadbalancers", "id"), strict=True))
    url = f"http://127.0.0.1:{three.service.port}/v2/lbaas/loadbalancers"
    query = f"limit=1&sort=created_at:asc&description=same&fields=id&marker={ids['b']}"

    found = three("GET", f"/loadbalancers?{query}")

    previous, following = found.json["loadbalancers_links"]
    assert [each["id"] for each in found.object] == [ids["a"]]
    assert (previous["rel"], following["rel"]) == ("previous", "next")
    assert {each["href"].partition("?")[0] for each in (previous, following)} == {url}
    wanted = {"limit": ["1"], "sort": ["created_at:asc"], "marker": [ids["a"]]}
    assert parse_qs(urlsplit(following["href"]).query) == wanted
    assert parse_qs(urlsplit(previous["href"]).query) == {**wanted, "page_reverse": ["True"]}


def test_a_link_repeats_the_keys_of_an_order(three: ContractApi) -> None:
    (link,) = three("GET", "/loadbalancers?limit=1&sort_key=name").json["loadbalancers_links"]

    assert parse_qs(urlsplit(link["href"]).query)["sort_key"] == ["name"]


def test_an_empty_page_has_no_links(three: ContractApi) -> None:
    last = listed(three, "/loadbalancers", "id")[-1]

    assert three("GET", f"/loadbalancers?marker={last}").json == {"loadbalancers": [], "loadbalancers_links": []}
    assert three("GET", "/loadbalancers?name=nobody").json == {"loadbalancers": [], "loadbalancers_links": []}


def test_page_reverse_shows_what_is_before_the_marker_in_the_same_order(three: ContractApi) -> None:
    last = listed(three, "/loadbalancers", "id")[-1]

    assert listed(three, f"/loadbalancers?marker={last}&page_reverse=True") == ["b", "a"]
    assert listed(three, f"/loadbalancers?marker={last}&page_reverse=True&limit=1") == ["b"]
    assert listed(three, f"/loadbalancers?marker={last}&page_reverse=true") == []


@pytest.mark.parametrize("limit", ["0", "-1", "infinite"])
def test_a_limit_may_be_none_at_all(three: ContractApi, limit: str) -> None:
    found = three("GET", f"/loadbalancers?limit={limit}")

    assert len(found.object) == 3
    assert found.json["loadbalancers_links"] == []


def test_the_limit_has_a_limit(three: ContractApi) -> None:
    three.set(pagination_max_limit="2")

    for query in ("", "?limit=3", "?limit=2"):
        found = three("GET", f"/loadbalancers{query}")
        assert len(found.object) == 2
        assert parse_qs(urlsplit(found.json["loadbalancers_links"][0]["href"]).query)["limit"] == ["2"]
    assert len(three("GET", "/loadbalancers?limit=1").object) == 1


def test_a_limit_that_is_no_number_is_refused(api: ContractApi) -> None:
    expected = (400, "Supplied pagination limit 'x' is not valid.")
    assert api("GET", "/loadbalancers?limit=x").routing_fault == expected


@pytest.mark.parametrize("name", [name for name in LINKS if name not in ("members", "rules", "amphorae")])
@pytest.mark.parametrize("marker", [str(uuid4()), "nobody"], ids=["uuid", "name"])
def test_an_unknown_marker_is_refused(api: ContractApi, name: str, marker: str) -> None:
    expected = (400, f"Supplied pagination marker '{marker}' is not valid.")
    assert api("GET", f"/{name}?marker={marker}").fault == expected


def test_a_marker_need_not_be_visible(api: ContractApi) -> None:
    api.load_balancer(name="mine", project_id="mine")
    theirs = api.load_balancer(name="theirs", project_id="theirs")
    api.load_balancer(name="mine too", project_id="mine")

    found = api("GET", f"/loadbalancers?marker={theirs['id']}", project="mine", roles="reader")

    assert [each["name"] for each in found.object] == ["mine too"]


@pytest.mark.parametrize("name", LINKS)
def test_each_list_has_its_links(api: ContractApi, name: str) -> None:
    path = a_path(api, name)
    plain = {"availabilityzones": "availability_zones", "availabilityzoneprofiles": "availability_zone_profiles"}

    assert set(api("GET", path).json) == {plain.get(name, name), LINKS[name]}


def test_zones_are_paged_by_their_names(api: ContractApi) -> None:
    said = {"name": "p", "provider_name": "amphora", "availability_zone_data": "{}"}
    profile = api.create("/availabilityzoneprofiles", "availability_zone_profile", **said)
    for name in "bca":
        api.create("/availabilityzones", "availability_zone", name=name, availability_zone_profile_id=profile["id"])

    assert pages(api, "/v2/lbaas/availabilityzones?limit=2") == [["a", "b"], ["c"]]


def test_members_are_paged_below_their_pool(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool, other = api.pool(load_balancer), api.pool(load_balancer)
    for port in (1, 2, 3):
        api.member(load_balancer, pool, protocol_port=port)
    api.member(load_balancer, other, protocol_port=4)

    assert pages(api, f"/v2/lbaas/pools/{pool['id']}/members?limit=2", "protocol_port") == [[1, 2], [3]]


def test_policies_are_listed_by_position_only_on_request(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    for name in ("first made", "then put before it"):
        api.l7_policy(load_balancer, listener, name=name, position=1)

    assert listed(api, "/l7policies") == ["first made", "then put before it"]
    assert listed(api, "/l7policies?sort=position") == ["then put before it", "first made"]


# What a deployment may do without


@pytest.mark.parametrize(
    ("option", "query", "check"),
    [
        ("allow_filtering", "name=a&colour=red", lambda content: len(content["loadbalancers"]) == 3),
        (
            "allow_sorting",
            "sort=name:sideways",
            lambda content: [each["name"] for each in content["loadbalancers"]] == ["b", "a", "c"],
        ),
        (
            "allow_pagination",
            "limit=1",
            lambda content: len(content["loadbalancers"]) == 3 and content["loadbalancers_links"] is None,
        ),
        ("allow_field_selection", "fields=name", lambda content: "id" in content["loadbalancers"][0]),
    ],
)
def test_what_is_switched_off_is_passed_over(
    three: ContractApi, option: str, query: str, check: Callable[[Any], bool]
) -> None:
    three.set(**{option: False})

    found = three("GET", f"/loadbalancers?{query}")

    assert found.status == 200
    assert check(found.json)


def test_links_may_begin_with_a_base_of_the_operators(three: ContractApi) -> None:
    three.set(api_base_uri="https://cloud.example.com/lb/")

    (link,) = three("GET", "/loadbalancers?limit=1").json["loadbalancers_links"]

    assert link["href"].startswith("https://cloud.example.com/lb/v2/lbaas/loadbalancers?limit=1&")
