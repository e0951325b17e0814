"""What operators see of amphorae, and what they may do with them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from falcon.testing import Result, TestClient

from commands.ports import Origin
from domain.amphora import Amphora
from infra.settings import Profile
from tests.api.conftest import PROJECT, Api, application_of

pytestmark = pytest.mark.postgres

EXPIRES = datetime(2027, 2, 3, 4, 5, 6, tzinfo=UTC)
ADMIN = {"X-Identity-Status": "Confirmed", "X-Project-Id": "operators", "X-User-Id": "olga", "X-Roles": "admin"}
MEMBER = {"X-Identity-Status": "Confirmed", "X-Project-Id": PROJECT, "X-User-Id": "mona", "X-Roles": "member,reader"}
FIELDS = {
    *("id", "loadbalancer_id", "compute_id", "lb_network_ip", "vrrp_ip", "ha_ip", "vrrp_port_id", "ha_port_id"),
    *("cert_expiration", "cert_busy", "role", "status", "vrrp_interface", "vrrp_id", "vrrp_priority", "cached_zone"),
    *("image_id", "compute_flavor", "created_at", "updated_at"),
}


def call(api: Api, method: str, path: str = "", query: str = "", **headers: str) -> Result:
    headers = headers or api.headers
    return api.client.simulate_request(method, f"/v2.0/octavia/amphorae{path}", query_string=query, headers=headers)


def show(api: Api, id: object) -> dict[str, Any]:
    result = call(api, "GET", f"/{id}")
    assert result.status_code == 200, result.text
    shown: dict[str, Any] = result.json["amphora"]
    return shown


def listed(api: Api, query: str = "") -> list[dict[str, Any]]:
    result = call(api, "GET", query=query)
    assert result.status_code == 200, result.text
    found: list[dict[str, Any]] = result.json["amphorae"]
    return found


def refused(api: Api, status: int, method: str, path: str = "", query: str = "", **headers: str) -> str:
    result = call(api, method, path, query, **headers)
    assert result.status_code == status, result.text
    text: str = result.json["faultstring"]
    return text


def with_settings(api: Api, **said: object) -> Api:
    """The same database behind another deployment."""
    settings = replace(api.settings, **said)
    return Api(TestClient(application_of(api.store, api.pool, settings)), api.store, api.pool, settings)


# What happens to amphorae


def amphora_of(api: Api, load_balancer: dict[str, Any]) -> Amphora:
    (id,) = api.store.load_balancer(UUID(load_balancer["id"])).amphora_ids
    return api.store.amphora(id)


def save(api: Api, amphora: Amphora) -> Amphora:
    api.store.save(amphora, origin=Origin())
    return api.store.amphora(amphora.id)


def serve(api: Api, load_balancer: dict[str, Any]) -> Amphora:
    """Its amphora is in service."""
    amphora = amphora_of(api, load_balancer)
    amphora.booted(str(amphora.id), EXPIRES)
    amphora.became_reachable("127.17.0.9", "2.6.12")
    amphora.vip_plugged("127.20.0.250")
    amphora.entered_service()
    api.confirm(load_balancer)
    return save(api, amphora)


def fail(api: Api, load_balancer: dict[str, Any]) -> Amphora:
    amphora = amphora_of(api, load_balancer)
    amphora.failed("when requested", "no host")
    return save(api, amphora)


# Showing


def test_amphora_in_service_is_shown_with_all_that_is_known(api: Api) -> None:
    load_balancer = api.load_balancer()
    amphora = serve(api, load_balancer)

    shown = show(api, amphora.id)

    assert set(shown) == FIELDS
    assert {name: value for name, value in shown.items() if value is not None and not name.endswith("_at")} == {
        "id": str(amphora.id),
        "loadbalancer_id": load_balancer["id"],
        "compute_id": str(amphora.id),
        "lb_network_ip": "127.17.0.9",
        "vrrp_ip": "127.20.0.250",
        "ha_ip": load_balancer["vip_address"],
        "ha_port_id": load_balancer["vip_port_id"],
        "cert_expiration": "2027-02-03T04:05:06",
        "cert_busy": False,
        "role": "STANDALONE",
        "status": "ALLOCATED",
    }
    assert shown["updated_at"] > shown["created_at"] >= load_balancer["created_at"]


def test_amphora_that_was_just_ordered_is_shown_with_nulls(api: Api) -> None:
    load_balancer = api.load_balancer()

    (shown,) = listed(api)

    known = {name: value for name, value in shown.items() if value is not None}
    assert set(known) == {"id", "loadbalancer_id", "status", "cert_busy", "created_at"}
    assert shown["status"] == "BOOTING"
    assert shown["created_at"] == load_balancer["created_at"]


def test_status_tells_how_far_an_amphora_has_come(api: Api) -> None:
    amphora = amphora_of(api, api.load_balancer())
    steps = (
        lambda it: it.booted("compute"),
        lambda it: it.became_reachable("127.17.0.9", "2.6.12"),
        lambda it: it.vip_plugged(),
        lambda it: it.entered_service(),
        lambda it: it.left_service("silent"),
    )
    shown = []

    for step in steps:
        step(amphora)
        amphora = save(api, amphora)
        shown.append((show(api, amphora.id)["status"], show(api, amphora.id)["role"]))

    assert shown == [
        *[("BOOTING", None), ("BOOTING", None), ("ALLOCATED", "STANDALONE"), ("ALLOCATED", "STANDALONE")],
        ("PENDING_DELETE", "STANDALONE"),
    ]


def test_amphorae_go_with_their_load_balancer(api: Api) -> None:
    load_balancer = api.load_balancer()
    amphora = serve(api, load_balancer)

    api.delete(f"/loadbalancers/{load_balancer['id']}")
    being_deleted = show(api, amphora.id)["status"]
    api.finish_deletion(load_balancer)

    assert being_deleted == "PENDING_DELETE"
    assert listed(api) == []
    assert refused(api, 404, "GET", f"/{amphora.id}") == f"Amphora {amphora.id} not found."


def test_amphora_that_is_gone_is_hidden(api: Api) -> None:
    amphora = fail(api, api.load_balancer())
    amphora.removed()
    save(api, amphora)

    assert listed(api) == []
    assert refused(api, 404, "GET", f"/{amphora.id}") == f"Amphora {amphora.id} not found."


@pytest.mark.parametrize("id", ["loom", str(UUID(int=1))])
@pytest.mark.parametrize(
    ("method", "path"), [("GET", ""), ("DELETE", ""), ("PUT", "/config"), ("PUT", "/failover")], ids=lambda said: said
)
def test_unknown_amphora_is_not_found(api: Api, method: str, path: str, id: str) -> None:
    assert refused(api, 404, method, f"/{id}{path}") == f"Amphora {id} not found."


def test_load_balancer_of_a_provider_without_amphorae_has_none(api: Api) -> None:
    with_settings(api, profile=Profile.NOOP).load_balancer(provider="noop_driver")

    assert listed(api) == []


# Lists


def test_list_can_be_filtered_by_every_attribute(api: Api) -> None:
    load_balancer = api.load_balancer()
    shown = show(api, serve(api, load_balancer).id)
    api.load_balancer(project_id="dyeing")
    said = {name: value for name, value in shown.items() if value is not None}
    said |= {"load_balancer_id": load_balancer["id"], "project_id": PROJECT}

    found = {name: [each["id"] for each in listed(api, f"{name}={value}")] for name, value in said.items()}

    assert found.pop("cert_busy") == [each["id"] for each in listed(api)]
    assert found == {name: [shown["id"]] for name in said if name != "cert_busy"}


@pytest.mark.parametrize("name", sorted(FIELDS - {"id"}))
def test_filter_that_nothing_meets_finds_nothing(api: Api, name: str) -> None:
    api.load_balancer()

    assert listed(api, f"{name}=true" if name == "cert_busy" else f"{name}=loom") == []


def test_tag_filters_are_accepted_and_mean_nothing(api: Api) -> None:
    api.load_balancer()

    assert len(listed(api, "tags=blue&not-tags-any=red")) == 1


@pytest.mark.parametrize("name", ["provisioning_status", "name", "tenant_id"])
def test_unknown_filter_is_refused(api: Api, name: str) -> None:
    text = refused(api, 400, "GET", query=f"{name}=x")

    assert text == "One or more arguments are either duplicate or invalid"


def test_list_comes_in_order_and_in_pages(api: Api) -> None:
    made = [str(amphora_of(api, api.load_balancer()).id) for _ in range(3)]

    first = call(api, "GET", query="limit=2").json
    rest = listed(api, f"limit=2&marker={first['amphorae'][-1]['id']}")

    assert [each["id"] for each in (*first["amphorae"], *rest)] == made
    assert [link["rel"] for link in first["amphorae_links"]] == ["next"]
    assert first["amphorae_links"][0]["href"].endswith(f"/v2.0/octavia/amphorae?limit=2&marker={made[1]}")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_list_can_be_sorted_by_every_attribute(api: Api, name: str) -> None:
    made = {str(amphora_of(api, api.load_balancer()).id) for _ in range(3)}

    (first,) = listed(api, f"sort={name}:desc&limit=1")
    rest = listed(api, f"sort={name}:desc&marker={first['id']}")

    assert {first["id"], *(each["id"] for each in rest)} == made


def test_fields_choose_what_is_shown(api: Api) -> None:
    amphora = amphora_of(api, api.load_balancer())

    assert listed(api, "fields=id&fields=status") == [{"id": str(amphora.id), "status": "BOOTING"}]
    assert call(api, "GET", f"/{amphora.id}", "fields=status").json == {"amphora": {"status": "BOOTING"}}


# Policy


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", ""), ("GET", "/{id}"), ("GET", "/{id}/stats")),
        *(("PUT", "/{id}/config"), ("PUT", "/{id}/failover"), ("DELETE", "/{id}")),
    ],
)
def test_amphorae_are_for_operators_alone(api: Api, method: str, path: str) -> None:
    amphora = serve(api, api.load_balancer())

    text = refused(api, 403, method, path.format(id=amphora.id), **MEMBER)

    assert text == "Policy does not allow this request to be performed."
    assert call(api, "GET", **ADMIN).json["amphorae"][0]["id"] == str(amphora.id)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "", 404), ("GET", "/stats", 403), ("DELETE", "", 403), ("PUT", "/config", 404), ("PUT", "/failover", 404)],
)
def test_policy_and_lookup_come_in_the_order_of_the_contract(api: Api, method: str, path: str, status: int) -> None:
    refused(api, status, method, f"/{uuid4()}{path}", **MEMBER)


# Statistics


def count(api: Api, load_balancer: dict[str, Any], listener: dict[str, Any], amphora: Amphora, number: int) -> None:
    """Every counter of one listener on one amphora has this value."""
    with api.pool.connection() as connection:
        connection.execute(
            "INSERT INTO statistics (listener_id, amphora_id, load_balancer_id, bytes_in, bytes_out,"
            " active_connections, total_connections, request_errors) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
            (listener["id"], amphora.id, load_balancer["id"], *[number] * 5),
        )


COUNTERS = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")


def test_statistics_of_an_amphora_are_told_for_each_listener(api: Api) -> None:
    load_balancer = api.load_balancer()
    listeners = [api.listener(load_balancer, protocol_port=port) for port in (80, 81)]
    amphora = serve(api, load_balancer)
    for number, listener in enumerate(listeners, 1):
        count(api, load_balancer, listener, amphora, number)

    told = call(api, "GET", f"/{amphora.id}/stats").json["amphora_stats"]

    ids = {"id": str(amphora.id), "loadbalancer_id": load_balancer["id"]}
    expected = [
        {**dict.fromkeys(COUNTERS, number), **ids, "listener_id": listener["id"]}
        for number, listener in enumerate(listeners, 1)
    ]
    assert sorted(told, key=lambda each: each["bytes_in"]) == expected


@pytest.mark.parametrize("id", ["loom", str(UUID(int=1)), "{id}"])
def test_statistics_that_are_not_there_are_not_found(api: Api, id: str) -> None:
    id = id.format(id=serve(api, api.load_balancer()).id)

    assert refused(api, 404, "GET", f"/{id}/stats") == f"Amphora stats for {id} not found."


def test_statistics_know_no_query_arguments(api: Api) -> None:
    assert refused(api, 400, "GET", f"/{uuid4()}/stats", "fields=id") == 'Unknown argument: "fields"'


# Settings of the agent


def events_of(api: Api, id: UUID) -> list[str]:
    with api.pool.connection() as connection:
        sql = "SELECT topic FROM tacitus_events WHERE originator_id = %s ORDER BY originator_version"
        return [topic for (topic,) in connection.execute(sql, (id,)).fetchall()]


def test_settings_of_an_agent_are_sent_later(api: Api) -> None:
    amphora = serve(api, api.load_balancer())

    result = call(api, "PUT", f"/{amphora.id}/config")

    assert (result.status_code, result.text) == (202, "")
    assert events_of(api, amphora.id)[-1] == "AmphoraAgentConfigurationRequested"


def test_dry_run_tells_and_records_nothing(api: Api) -> None:
    amphora = serve(api, api.load_balancer())

    result = call(api, "PUT", f"/{amphora.id}/failover", "dry_run=true")

    told = [event["type"] for event in result.json["dry_run"]["events"]]
    assert told == ["AmphoraReplaced", "AmphoraLeftService", "AmphoraRequested"]
    assert events_of(api, amphora.id)[-1] == "AmphoraEnteredService"


# Deletion


def test_failed_amphora_is_deleted(api: Api) -> None:
    amphora = fail(api, api.load_balancer())
    before = show(api, amphora.id)["status"]

    result = call(api, "DELETE", f"/{amphora.id}")

    assert (result.status_code, result.text) == (204, "")
    assert (before, show(api, amphora.id)["status"]) == ("ERROR", "PENDING_DELETE")


def test_amphora_that_did_not_fail_cannot_be_deleted(api: Api) -> None:
    amphora = serve(api, api.load_balancer())

    text = refused(api, 409, "DELETE", f"/{amphora.id}")

    assert text == f"amphora {amphora.id} is immutable and cannot be updated."


def test_amphora_that_is_being_deleted_cannot_be_deleted_again(api: Api) -> None:
    amphora = fail(api, api.load_balancer())
    call(api, "DELETE", f"/{amphora.id}")

    text = refused(api, 409, "DELETE", f"/{amphora.id}")

    assert text == f"amphora {amphora.id} is immutable and cannot be updated."
