"""Filters, order, pages and fields: the same for every list."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from falcon.testing import TestClient

from infra.http import application
from infra.identity import Identity, everyone
from infra.local_network import MEMBER_SUBNET
from projections.listing import ListRules
from projections.load_balancer import LOAD_BALANCERS
from projections.view import Collection, Item, View
from tests.api.conftest import PROJECT, Api, CountedCursor

pytestmark = pytest.mark.postgres


def names(api: Api, query: str, path: str = "/loadbalancers") -> list[str]:
    listed = api.get(path, query)[path.rpartition("/")[2]]
    return [each["name"] for each in listed]


@pytest.fixture
def abc(api: Api) -> Api:
    """Three load balancers, in the order in which they were made: c (blue, red), a (blue), b (none)."""
    api.load_balancer(name="c", description="x", tags=["blue", "red"])
    api.load_balancer(name="a", description="x", tags=["blue"], admin_state_up=False)
    api.load_balancer(name="b", description="y", project_id="dyeing")
    return api


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "cab"),
        ("name=a", "a"),
        ("name=A", ""),
        ("name=", ""),
        ("description=x", "ca"),
        ("description=x&name=a", "a"),
        ("project_id=dyeing", "b"),
        ("admin_state_up=false", "a"),
        ("admin_state_up=TRUE", "cb"),
        ("admin_state_up=loom", "a"),
        ("provider=amphora", "cab"),
        ("provisioning_status=PENDING_CREATE&operating_status=OFFLINE", "cab"),
        ("provisioning_status=ACTIVE", ""),
        ("vip_vnic_type=normal", "cab"),
        ("vip_vnic_type=direct", ""),
        ("flavor_id=", ""),
        ("id=loom", ""),
        ("vip_port_id=loom", ""),
        ("created_at=loom", ""),
        ("name=%00", ""),
    ],
)
def test_filters_compare_with_what_is_shown(abc: Api, query: str, found: str) -> None:
    assert names(abc, query) == list(found)


def test_filters_find_what_a_client_was_told(abc: Api) -> None:
    shown = abc.get("/loadbalancers", "name=a")["loadbalancers"][0]

    for name in ("id", "vip_address", "vip_port_id", "created_at"):
        assert names(abc, f"{name}={shown[name]}") == ["a"]
    assert names(abc, f"vip_subnet_id={shown['vip_subnet_id']}") == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("tags=blue", "ca"),
        ("tags=blue,red", "c"),
        ("tags=blue&tags=red", "c"),
        ("tags-any=red,green", "c"),
        ("not-tags=blue,red", "ab"),
        ("not-tags-any=blue,red", "b"),
        ("tags=blue&not-tags=red", "a"),
    ],
)
def test_tags_are_filtered_in_four_ways(abc: Api, query: str, found: str) -> None:
    assert names(abc, query) == list(found)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *(("/loadbalancers", query) for query in ("loom=1", "tenant_id=x", "loadbalancer_id=x", "name=a&name=b")),
        *(("/loadbalancers", query) for query in ("listeners=x", "additional_vips=x")),
        *(("/pools", query) for query in ("listener_id=x", "health_monitor_id=x", "members=x")),
        ("/pools", "session_persistence=x"),
        *(("/healthmonitors", query) for query in ("loadbalancer_id=x", "pools=x")),
        ("/listeners", "sni_container_refs=x"),
    ],
)
def test_filter_that_is_none_is_refused(api: Api, path: str, query: str) -> None:
    text = api.refused(400, "GET", path, query_string=query)

    assert text == "One or more arguments are either duplicate or invalid"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=name", "abc"),
        ("sort=name:desc", "cba"),
        ("sort=name:DESC", "cba"),
        ("sort=description:desc,name", "bac"),
        ("sort=created_at:desc", "bac"),
        ("sort=admin_state_up,name", "abc"),
        ("sort_key=description,name&sort_dir=desc", "bac"),
        ("sort_key=name&sort_dir=desc", "cba"),
        ("sort_key=name", "abc"),
    ],
)
def test_lists_are_sorted(abc: Api, query: str, found: str) -> None:
    assert names(abc, query) == list(found)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sort=loom", "Supplied sort key 'loom' is not valid."),
        ("sort=tags", "Supplied sort key 'tags' is not valid."),
        ("marker=loom", "Supplied pagination marker 'loom' is not valid."),
        (
            "marker=9f2b8a72-4d0d-4f0e-8e6a-0d3c1c7a5b1e",
            "Supplied pagination marker '9f2b8a72-4d0d-4f0e-8e6a-0d3c1c7a5b1e' is not valid.",
        ),
    ],
)
def test_page_that_cannot_be_made_is_refused(api: Api, query: str, text: str) -> None:
    assert api.refused(400, "GET", "/loadbalancers", query_string=query) == text


@pytest.mark.parametrize("path", ["/loadbalancers", "/loadbalancers/00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("sort=name:up", "Supplied sort direction 'up' is not valid."),
        ("sort=name:asc:desc", "Supplied sort key '['name', 'asc', 'desc']' is not valid."),
        ("limit=many", "Supplied pagination limit 'many' is not valid."),
    ],
)
def test_page_that_cannot_be_read_is_refused_like_an_unknown_url(api: Api, path: str, query: str, text: str) -> None:
    result = api.call("GET", path, query_string=query)

    assert (result.status_code, result.json) == (400, {"code": 400, "title": "Bad Request", "description": text})


@pytest.mark.parametrize("sort", ["", "&sort=name", "&sort=description:desc,name", "&sort=admin_state_up", "&sort=id"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_follow_each_other_without_gap_or_repetition(abc: Api, sort: str, limit: int) -> None:
    complete = names(abc, sort.removeprefix("&"))

    found: list[str] = []
    query = f"limit={limit}{sort}"
    while query:
        page = abc.get("/loadbalancers", query)
        found += [each["name"] for each in page["loadbalancers"]]
        links = {link["rel"]: link["href"] for link in page["loadbalancers_links"]}
        query = urlsplit(links.get("next", "")).query

    assert found == complete


def test_pages_go_on_where_a_sorted_value_is_null(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    for port, monitor_port in ((1, None), (2, 5), (3, None), (4, 4)):
        api.member(pool, name=str(port), protocol_port=port, monitor_port=monitor_port)
    path = f"/pools/{pool['id']}/members"

    for direction in ("asc", "desc"):
        complete = names(api, f"sort=monitor_port:{direction},name", path)
        for place, name in enumerate(complete):
            marker = api.get(path, f"name={name}")["members"][0]["id"]
            after = names(api, f"sort=monitor_port:{direction},name&marker={marker}", path)
            before = names(api, f"sort=monitor_port:{direction},name&marker={marker}&page_reverse=True", path)
            assert (before, after) == (complete[:place], complete[place + 1 :])


def test_links_lead_to_the_neighbouring_pages(abc: Api) -> None:
    _, second, _ = abc.get("/loadbalancers", "sort=name")["loadbalancers"]
    first = abc.get("/loadbalancers", "name=a")["loadbalancers"][0]

    page = abc.get("/loadbalancers", f"limit=1&sort=name:asc&marker={first['id']}&fields=name")

    url = "http://falconframework.org/v2.0/lbaas/loadbalancers?limit=1&sort=name:asc"
    assert page == {
        "loadbalancers": [{"name": "b"}],
        "loadbalancers_links": [
            {"rel": "previous", "href": f"{url}&marker={second['id']}&page_reverse=True"},
            {"rel": "next", "href": f"{url}&marker={second['id']}"},
        ],
    }


def test_full_last_page_leads_to_an_empty_one_without_links(abc: Api) -> None:
    page = abc.get("/loadbalancers", "limit=3")
    (link,) = page["loadbalancers_links"]

    beyond = abc.get("/loadbalancers", urlsplit(link["href"]).query)

    assert link["rel"] == "next"
    assert beyond == {"loadbalancers": [], "loadbalancers_links": []}


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=infinite", "limit=5000", ""])
def test_list_without_a_limit_has_no_next_page(abc: Api, query: str) -> None:
    page = abc.get("/loadbalancers", query)

    assert (len(page["loadbalancers"]), page["loadbalancers_links"]) == (3, [])


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("fields=id&fields=name", {"id", "name"}),
        ("fields=id,name", set()),
        ("fields=loom", set()),
        ("fields=tenant_id", set()),
        ("fields=tenant_id&fields=project_id", {"tenant_id", "project_id"}),
    ],
)
def test_fields_are_selected_one_by_one(api: Api, query: str, keys: set[str]) -> None:
    created = api.load_balancer()

    (listed,) = api.get("/loadbalancers", query)["loadbalancers"]
    shown = api.get(f"/loadbalancers/{created['id']}", f"{query}&loom=ignored")["loadbalancer"]

    assert listed.keys() == shown.keys() == keys


def test_members_are_listed_below_their_pool_only(api: Api) -> None:
    load_balancer = api.load_balancer()
    pools = [api.pool_of(load_balancer) for _ in range(2)]
    members = [api.member(pool) for pool in pools]

    for pool, member in zip(pools, members, strict=True):
        listed = api.get(f"/pools/{pool['id']}/members")["members"]
        assert [each["id"] for each in listed] == [member["id"]]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/listeners", "loadbalancer_id={load_balancer}&protocol=HTTP&protocol_port=80&default_pool_id={pool}"),
        ("/listeners", "load_balancer_id={load_balancer}&connection_limit=-1&timeout_tcp_inspect=0&hsts_preload=no"),
        ("/listeners", "client_authentication=NONE&sort=protocol_port:desc"),
        ("/pools", "loadbalancer_id={load_balancer}&lb_algorithm=ROUND_ROBIN&healthmonitor_id={monitor}"),
        ("/pools", "tls_enabled=false&protocol=HTTP&sort=healthmonitor_id"),
        ("/pools/{pool}/members", "pool_id={pool}&address=127.0.0.10&weight=1&backup=false&vnic_type=normal"),
        ("/pools/{pool}/members", "subnet_id={subnet}&sort=weight"),
        ("/healthmonitors", "pool_id={pool}&type=HTTP&delay=5&timeout=3&max_retries=2&max_retries_down=3"),
        ("/healthmonitors", "url_path=/&expected_codes=200&http_version=1.1&domain_name=loom.example.org"),
    ],
)
def test_every_kind_has_filters_of_its_own(api: Api, path: str, query: str) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool_of(load_balancer)
    api.listener(load_balancer, default_pool_id=pool["id"])
    api.member(pool, subnet_id=str(MEMBER_SUBNET.id))
    monitor = api.health_monitor(pool, http_version=1.1, domain_name="loom.example.org")
    ids = {"load_balancer": load_balancer["id"], "pool": pool["id"], "monitor": monitor["id"]}
    ids["subnet"] = str(MEMBER_SUBNET.id)

    listed = api.get(path.format(**ids), query.format(**ids))[path.rpartition("/")[2]]

    assert len(listed) == 1


def test_number_of_statements_of_a_list_does_not_depend_on_its_length(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())

    def statements(path: str) -> int:
        before = CountedCursor.executed
        api.get(path)
        return CountedCursor.executed - before

    for members in (1, 20):
        for port in range(1, members):
            api.member(pool, protocol_port=port)

        assert statements("/pools") == 1
        assert statements(f"/pools/{pool['id']}") == 1
        assert statements(f"/pools/{pool['id']}/members") == 2
        assert statements(f"/loadbalancers/{pool['loadbalancers'][0]['id']}/status") == 1


# Whose objects


def who(roles: str, project_id: str = PROJECT) -> dict[str, str]:
    return {"X-Identity-Status": "Confirmed", "X-Roles": roles, "X-Project-Id": project_id}


FORBIDDEN = "Policy does not allow this request to be performed."


@pytest.mark.parametrize(
    ("roles", "project", "query", "found"),
    [
        ("admin", "weaving", "", "cab"),
        ("admin", "", "", "cab"),
        ("admin", "weaving", "project_id=dyeing", "b"),
        ("admin", "weaving", "project_id=", ""),
        ("reader", "weaving", "", "ca"),
        ("member", "weaving", "", "ca"),
        ("reader", "weaving", "project_id=weaving", "ca"),
        ("reader", "dyeing", "sort=name&limit=1", "b"),
        ("reader", "weaving", "project_id=weaving&name=a", "a"),
    ],
)
def test_list_is_cut_to_what_the_caller_may_see(abc: Api, roles: str, project: str, query: str, found: str) -> None:
    listed = abc.call("GET", "/loadbalancers", query_string=query, headers=who(roles, project)).json["loadbalancers"]

    assert [each["name"] for each in listed] == list(found)


@pytest.mark.parametrize(
    ("roles", "project", "query"),
    [
        ("", "weaving", ""),
        ("service", "weaving", ""),
        ("load-balancer_member", "weaving", ""),
        ("reader", "", ""),
        ("reader", "weaving", "project_id=dyeing"),
        ("reader", "weaving", "project_id="),
    ],
)
@pytest.mark.parametrize("path", ["/loadbalancers", "/listeners", "/pools", "/healthmonitors", "/l7policies"])
def test_list_of_what_is_not_theirs_is_refused(api: Api, path: str, roles: str, project: str, query: str) -> None:
    assert api.refused(403, "GET", path, query_string=query, headers=who(roles, project)) == FORBIDDEN


def test_object_is_looked_up_before_policy_is_asked(api: Api) -> None:
    load_balancer = api.load_balancer()
    listener, pool = api.listener(load_balancer), api.pool_of(load_balancer)
    member, monitor = api.member(pool), api.health_monitor(pool)
    paths = {
        f"/loadbalancers/{load_balancer['id']}": "/loadbalancers/loom",
        f"/loadbalancers/{load_balancer['id']}/status": "/loadbalancers/loom/status",
        f"/loadbalancers/{load_balancer['id']}/stats": "/loadbalancers/loom/stats",
        f"/listeners/{listener['id']}": "/listeners/loom",
        f"/listeners/{listener['id']}/stats": "/listeners/loom/stats",
        f"/pools/{pool['id']}": "/pools/loom",
        f"/pools/{pool['id']}/members/{member['id']}": f"/pools/{pool['id']}/members/loom",
        f"/healthmonitors/{monitor['id']}": "/healthmonitors/loom",
    }

    for path, unknown in paths.items():
        assert api.call("GET", path, headers=who("reader")).status_code == 200, path
        assert api.refused(403, "GET", path, headers=who("reader", "dyeing")) == FORBIDDEN
        assert "not found" in api.refused(404, "GET", unknown, headers=who("", "dyeing"))


def test_members_belong_to_whoever_has_their_pool(api: Api) -> None:
    pool = api.pool_of(api.load_balancer())
    api.member(pool)
    path = f"/pools/{pool['id']}/members"

    for caller in (who("reader"), who("admin", "dyeing"), who("service", "telemetry")):
        assert len(api.call("GET", path, headers=caller).json["members"]) == 1
    assert api.refused(403, "GET", path, headers=who("member", "dyeing")) == FORBIDDEN
    unknown = api.call("GET", "/pools/loom/members", headers=who(""))
    assert (unknown.status_code, unknown.json["description"]) == (404, "Pool loom not found.")


# What a deployment does not let lists be asked for


def listing(api: Api, **rules: Any) -> TestClient:
    view = View(LOAD_BALANCERS, api.pool)
    routes = {"/lists": Collection(view, ListRules(**rules)), "/lists/{id}": Item(view, ListRules(**rules))}
    return TestClient(application([Identity(everyone)], {}, [("", routes)]))


def listed(client: TestClient, query: str) -> list[str]:
    result = client.simulate_get("/v2/lists", query_string=query)
    assert result.status_code == 200, result.text
    return [each.get("name") for each in result.json["loadbalancers"]]


def test_filters_are_passed_over_where_they_are_not_allowed(abc: Api) -> None:
    assert listed(listing(abc, filtering=False), "name=a&loom=1") == ["c", "a", "b"]


def test_project_is_no_filter_and_goes_on_where_those_are_not_allowed(abc: Api) -> None:
    assert listed(listing(abc, filtering=False), "project_id=dyeing") == ["b"]


def test_order_is_passed_over_where_it_is_not_allowed(abc: Api) -> None:
    assert listed(listing(abc, sorting=False), "sort=name:up") == ["c", "a", "b"]


def test_pages_are_passed_over_where_they_are_not_allowed(abc: Api) -> None:
    client = listing(abc, pagination=False)

    assert listed(client, "limit=1&marker=loom&sort=name") == ["a", "b", "c"]
    assert client.simulate_get("/v2/lists").json["loadbalancers_links"] is None


def test_fields_are_passed_over_where_they_are_not_allowed(abc: Api) -> None:
    client = listing(abc, field_selection=False)

    (first, *_) = client.simulate_get("/v2/lists", query_string="fields=name").json["loadbalancers"]
    shown = client.simulate_get(f"/v2/lists/{first['id']}", query_string="fields=name").json["loadbalancer"]

    assert first == shown
    assert "id" in shown


def test_page_is_as_long_as_the_operator_allows(abc: Api) -> None:
    assert listed(listing(abc, largest_page=2), "limit=3") == ["c", "a"]
    assert listed(listing(abc, largest_page=2), "") == ["c", "a"]
    assert listed(listing(abc, largest_page=None), "") == ["c", "a", "b"]
    assert listed(listing(abc, largest_page=None), "limit=2") == ["c", "a"]


def test_links_begin_with_what_the_operator_says(abc: Api) -> None:
    client = listing(abc, base_uri="https://lb.example.org/", largest_page=2)

    (link,) = client.simulate_get("/v2/lists").json["loadbalancers_links"]

    assert link["href"].startswith("https://lb.example.org/v2/lists?limit=2&marker=")
