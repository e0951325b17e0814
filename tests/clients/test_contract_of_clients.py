"""What clients that are not tried here rely on (gophercloud, Terraform, Heat, Horizon), as plain HTTP."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import requests
from keystoneauth1.discover import Discover
from keystoneauth1.session import Session

from tests.clients.tree import Tree, a_flavor, a_zone
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROOTS = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "rule")


def paths(tree: Tree) -> dict[str, str]:
    """Root of the document -> path of the object."""
    return {
        "loadbalancer": f"/loadbalancers/{tree.web}",
        "listener": f"/listeners/{tree.front}",
        "pool": f"/pools/{tree.weavers}",
        "member": f"/pools/{tree.weavers}/members/{tree.loom}",
        "healthmonitor": f"/healthmonitors/{tree.check}",
        "l7policy": f"/l7policies/{tree.door}",
        "rule": f"/l7policies/{tree.door}/rules/{tree.rule}",
    }


@pytest.mark.parametrize("root", ROOTS)
def test_times_have_no_zone_and_what_is_active_was_updated(noop: Noop, tree: Tree, root: str) -> None:
    path = paths(tree)[root]

    shown = noop.api.get(path)
    (listed,) = [each for each in noop.api.get(path.rpartition("/")[0]) if each["id"] == shown["id"]]

    assert shown["provisioning_status"] == "ACTIVE"
    for document in (shown, listed):
        times = [datetime.fromisoformat(document[name]) for name in ("created_at", "updated_at")]
        assert [time.tzinfo for time in times] == [None, None]
        assert times[0] <= times[1]
        assert all("+" not in document[name] and "Z" not in document[name] for name in ("created_at", "updated_at"))


def test_times_of_amphorae_have_no_zone(noop: Noop) -> None:
    noop.active_load_balancer(provider="amphora")

    amphorae = json.loads(noop.api.ask("GET", "/v2.0/octavia/amphorae")[1])["amphorae"]

    assert amphorae
    said = [each[name] for each in amphorae for name in ("created_at", "updated_at", "cert_expiration") if each[name]]
    assert said
    assert {datetime.fromisoformat(time).tzinfo for time in said} == {None}


@pytest.mark.parametrize("root", ROOTS)
def test_an_object_is_changed_with_200_and_deleted_with_204(noop: Noop, tree: Tree, root: str) -> None:
    path = paths(tree)[root]

    changed = noop.request("PUT", path, {root: {"tags": ["x"]}})
    deleted = noop.request("DELETE", path + ("?cascade=true" if root == "loadbalancer" else ""))

    assert (changed[0], changed[1][root]["tags"]) == (200, ["x"])
    assert deleted == (204, None)
    noop.api.wait_until_gone(path)


def test_members_are_replaced_at_once_with_202_and_no_body(noop: Noop, tree: Tree) -> None:
    path = f"/pools/{tree.weavers}/members"
    members = [{"address": f"192.0.2.{number}", "protocol_port": 80} for number in (1, 2)]

    replaced = noop.request("PUT", path, {"members": members})
    noop.api.wait_until_active(tree.web)
    addresses = {each["address"] for each in noop.api.get(path)}
    added = noop.request("PUT", f"{path}?additive_only=true", {"members": [{**members[0], "address": "192.0.2.3"}]})

    assert (replaced, added) == ((202, None), (202, None))
    assert addresses == {"192.0.2.1", "192.0.2.2"}
    noop.api.wait_until_active(tree.web)
    assert len(noop.api.get(path)) == 3


def test_quotas_and_orders_are_accepted_with_202(noop: Noop, tree: Tree) -> None:
    behind_amphorae = noop.active_load_balancer(provider="amphora")["id"]
    _, text = noop.api.ask("GET", f"/v2/octavia/amphorae?loadbalancer_id={behind_amphorae}")
    amphora = f"/v2/octavia/amphorae/{json.loads(text)['amphorae'][0]['id']}"

    assert noop.request("PUT", "/quotas/p", {"quota": {"pool": 1}})[0] == 202
    assert noop.request("DELETE", "/quotas/p") == (202, None)
    assert noop.request("PUT", f"/loadbalancers/{tree.web}/failover") == (202, None)
    assert noop.api.ask("PUT", f"{amphora}/config") == (202, b"")
    assert noop.api.ask("PUT", f"{amphora}/failover") == (202, b"")


def test_flavors_and_zones_are_changed_with_200_and_deleted_with_204(noop: Noop) -> None:
    found = {"flavor": f"/flavors/{a_flavor(noop)}", "availability_zone": f"/availabilityzones/{a_zone(noop)}"}

    for root, path in found.items():
        assert noop.request("PUT", path, {root: {"description": "x"}})[0] == 200
        assert noop.request("DELETE", path) == (204, None)
        assert noop.request("GET", path)[0] == 404


def test_versions_are_discovered_as_keystoneauth_and_gophercloud_do(noop: Noop) -> None:
    """Without a token, at the root, with and without a slash at its end."""
    endpoint = f"http://127.0.0.1:{noop.service.port}"

    for root in (endpoint, f"{endpoint}/"):
        with requests.Session() as connections:
            data = Discover(Session(session=connections), root).version_data()
        assert data[-1]["version"] == (2, 30)
        assert {each["url"] for each in data} == {f"{endpoint}/v2"}
        assert [each["raw_status"] for each in data] == ["SUPPORTED"] * 30 + ["CURRENT"]
    versions = json.loads(noop.api.ask("GET", "/")[1])["versions"]
    assert max(int(each["id"].removeprefix("v2.")) for each in versions) == 30


def test_a_mutation_is_seen_pending_by_the_next_request_and_then_active(noop: Noop, tree: Tree) -> None:
    noop.control("hold", {"hold": True})

    for root, path in paths(tree).items():
        noop.request("PUT", path, {root: {"tags": ["x"]}})
        assert noop.status_of(path)[0] == "PENDING_UPDATE"
        assert noop.status_of(f"/loadbalancers/{tree.web}")[0] == "PENDING_UPDATE"
        noop.control("release", {"loadbalancer_id": tree.web})
        assert noop.status_of(path)[0] == "ACTIVE"


def test_whoever_sees_the_load_balancer_active_sees_all_below_it_active_and_may_go_on(noop: Noop, tree: Tree) -> None:
    noop.control("config", {"group": "api_settings", "options": {"strict_immutability": True}})

    for port in range(8000, 8005):
        said = {"loadbalancer_id": tree.web, "protocol": "TCP", "protocol_port": port}
        status, content = noop.request("POST", "/listeners", {"listener": said})
        assert status == 201, content
        noop.api.wait_until_active(tree.web)
        assert noop.status_of(f"/listeners/{content['listener']['id']}")[0] == "ACTIVE"


@pytest.mark.parametrize("root", ROOTS[1:])
def test_what_may_not_be_changed_now_is_a_409_which_clients_retry(noop: Noop, tree: Tree, root: str) -> None:
    noop.control("config", {"group": "api_settings", "options": {"strict_immutability": True}})
    noop.control("hold", {"hold": True})
    noop.request("PUT", f"/loadbalancers/{tree.web}", {"loadbalancer": {"name": "busy"}})

    status, content = noop.request("PUT", paths(tree)[root], {root: {"tags": ["x"]}})

    assert (status, content["faultstring"]) == (409, f"Load Balancer {tree.web} is immutable and cannot be updated.")


def test_a_deletion_is_pending_and_then_404(noop: Noop, tree: Tree) -> None:
    noop.control("hold", {"hold": True})
    path = f"/loadbalancers/{tree.web}"

    assert noop.request("DELETE", f"{path}?cascade=true") == (204, None)

    assert noop.status_of(path)[0] == "PENDING_DELETE"
    again = noop.request("DELETE", f"{path}?cascade=true")
    assert (again[0], again[1]["faultstring"]) == (
        409,
        f"Invalid state PENDING_DELETE of loadbalancer resource {tree.web}",
    )
    noop.control("release", {"loadbalancer_id": tree.web})
    status, content = noop.request("GET", path)
    assert (status, content["faultstring"]) == (404, f"Load Balancer {tree.web} not found.")


def test_links_carry_limit_marker_and_sort_and_lead_through_every_page(noop: Noop) -> None:
    names = [f"web-{number}" for number in range(5)]
    for name in names:
        noop.load_balancer(name=name)
    found: list[str] = []
    url = "/v2.0/lbaas/loadbalancers?limit=2&sort=name:asc"

    while url:
        page = json.loads(noop.api.ask("GET", url)[1])
        found += [each["name"] for each in page["loadbalancers"]]
        links = {each["rel"]: each["href"] for each in page["loadbalancers_links"]}
        assert links.get("next", "") != url
        url = links.get("next", "")
        if url:
            query = parse_qs(urlsplit(url).query)
            assert query == {"limit": ["2"], "marker": [page["loadbalancers"][-1]["id"]], "sort": ["name:asc"]}

    assert found == names
    unlimited = json.loads(noop.api.ask("GET", "/v2.0/lbaas/loadbalancers?limit=0")[1])
    assert unlimited["loadbalancers_links"] == []


@pytest.mark.parametrize(
    ("path", "many"),
    [
        ("/lbaas/loadbalancers", "loadbalancers"),
        ("/lbaas/listeners", "listeners"),
        ("/lbaas/pools", "pools"),
        ("/lbaas/pools/{weavers}/members", "members"),
        ("/lbaas/healthmonitors", "healthmonitors"),
        ("/lbaas/l7policies", "l7policies"),
        ("/lbaas/l7policies/{door}/rules", "rules"),
        ("/lbaas/flavors", "flavors"),
        ("/octavia/amphorae", "amphorae"),
    ],
)
def test_a_look_up_by_an_id_that_there_is_not_is_an_empty_list(noop: Noop, tree: Tree, path: str, many: str) -> None:
    where = path.format(weavers=tree.weavers, door=tree.door)

    status, text = noop.api.ask("GET", f"/v2.0{where}?id={uuid4()}")

    assert (status, json.loads(text)) == (200, {many: [], f"{many}_links": []})


def test_an_empty_accept_header_of_older_clients_is_fine(noop: Noop) -> None:
    status, content = noop.request("GET", "/loadbalancers", Accept="")

    assert (status, content["loadbalancers"]) == (200, [])


def test_numbers_maps_and_lists_of_ids_have_their_types(noop: Noop, tree: Tree) -> None:
    documents: dict[str, Any] = {root: noop.api.get(path) for root, path in paths(tree).items()}

    listener, pool, monitor = (documents[root] for root in ("listener", "pool", "healthmonitor"))
    numbers = [listener["protocol_port"], listener["connection_limit"], monitor["delay"], documents["member"]["weight"]]
    assert [type(number) for number in numbers] == [int] * 4
    assert (listener["insert_headers"], listener["l7policies"]) == ({}, [{"id": tree.door}])
    assert (pool["healthmonitor_id"], pool["members"]) == (tree.check, [{"id": tree.loom}])
    assert documents["loadbalancer"]["pools"] == [{"id": tree.weavers}]
    assert all(document["tenant_id"] == document["project_id"] for document in documents.values())
