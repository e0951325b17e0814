"""What the openstack client finds where there is no Neutron."""

from collections.abc import Iterator
from threading import Thread
from typing import Any
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, make_server

import falcon
import openstack
import pytest
from falcon.testing import TestClient

from infra.discovery import Versions
from infra.neutron_reads import network_routes
from infra.noop_network import NoopNetwork
from infra.prepared_network import prepared_network

NETWORK, FOUR, SIX, UNKNOWN = UUID(int=0xA1), UUID(int=0xB1), UUID(int=0xB2), UUID(int=0xF1)
SUBNETS = [
    {"id": str(FOUR), "network_id": str(NETWORK), "cidr": "192.0.2.0/24"},
    {"id": str(SIX), "network_id": str(NETWORK), "cidr": "2001:db8::/64"},
]


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests speak through their assertions."""


def serving(**document: Any) -> "falcon.App[Any, Any]":
    prepared = prepared_network(document)
    application = falcon.App()
    application.add_route("/", Versions())
    for path, resource in network_routes(NoopNetwork(lambda: prepared)).items():
        application.add_route(f"/v2{path}", resource)
    return application


def found(path: str, **document: Any) -> list[str]:
    answer = TestClient(serving(**document)).simulate_get(f"/v2{path}")
    assert answer.status_code == 200
    (objects,) = answer.json.values()
    return [each["id"] for each in objects]


def test_a_list_has_what_is_prepared_and_no_more() -> None:
    assert found("/subnets", subnets=SUBNETS) == [str(FOUR), str(SIX)]
    assert found("/subnets") == []


@pytest.mark.parametrize(
    ("query", "ids"),
    [("ip_version=6", [SIX]), (f"id={FOUR}", [FOUR]), (f"id={FOUR}&id={SIX}", [FOUR, SIX]), ("ip_version=7", [])],
)
def test_a_list_is_filtered_by_what_its_objects_have(query: str, ids: list[UUID]) -> None:
    assert found(f"/subnets?{query}", subnets=SUBNETS) == [str(id) for id in ids]


def test_an_unknown_id_or_name_is_found_where_things_are_made_up() -> None:
    assert found(f"/subnets?id={UNKNOWN}", subnets=SUBNETS) == [str(UNKNOWN)]
    assert len(found("/subnets?name=blue", subnets=SUBNETS)) == 1
    assert found("/subnets?name=blue", not_found=["subnet"]) == []


def test_a_name_is_no_path() -> None:
    """The client takes what it finds under a name for an id."""
    answer = TestClient(serving()).simulate_get("/v2/security-groups/blue")

    assert answer.status_code == 404
    assert answer.json["NeutronError"]["type"] == "SecurityGroupNotFound"


the_clients_own_warnings = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture
def network() -> Iterator[Any]:
    """The network client of openstacksdk."""
    with make_server("127.0.0.1", 0, serving(subnets=SUBNETS), handler_class=Silent) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.server_port}"
        with openstack.connection.Connection(auth_type="none", auth={"endpoint": endpoint}) as connection:
            yield connection.network
        server.shutdown()
        thread.join()


@the_clients_own_warnings
@pytest.mark.parametrize("kind", ["network", "subnet", "port", "qos_policy", "security_group"])
def test_openstacksdk_finds_names_and_ids_of_every_kind(network: Any, kind: str) -> None:
    find = getattr(network, f"find_{kind}")

    blue = find("blue", ignore_missing=False)

    assert blue.name == "blue"
    assert find(blue.id, ignore_missing=False).id == blue.id
    assert find(str(UNKNOWN), ignore_missing=False).id == str(UNKNOWN)


@the_clients_own_warnings
def test_openstacksdk_lists_prepared_subnets(network: Any) -> None:
    assert [subnet.id for subnet in network.subnets()] == [str(FOUR), str(SIX)]
