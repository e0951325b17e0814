"""What holds for every URL: discovery, versions, media types, error shapes, ids, sizes."""

import json

import pytest
from falcon.testing import TestClient

from domain import errors
from infra.http import STATUS_OF
from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

NOT_FOUND = {"code": 404, "title": "Not Found", "description": ""}


def test_versions_are_listed_without_a_project(api: Api) -> None:
    result = api.client.simulate_get("/", headers={"Host": "lb.example.org:9876"})

    versions = result.json["versions"]
    assert [version["id"] for version in versions] == [f"v2.{number}" for number in range(31)]
    assert {version["status"] for version in versions[:-1]} == {"SUPPORTED"}
    assert versions[-1] == {
        "id": "v2.30",
        "status": "CURRENT",
        "updated": "2025-02-26T00:00:00Z",
        "links": [{"href": "http://lb.example.org:9876/v2", "rel": "self"}],
    }
    assert api.client.simulate_head("/").status_code == 200


@pytest.mark.parametrize("path", ["/v2", "/v2/", "/v2.0", "/v2.0/", "/v2/lbaas", "/v2.0/lbaas/", "/v2/octavia"])
def test_root_of_a_version_is_a_word(api: Api, path: str) -> None:
    result = api.client.simulate_get(path)

    assert (result.status_code, result.json) == (200, "v2")
    assert api.client.simulate_post(path).status_code == 405


@pytest.mark.parametrize("version", ["/v2", "/v2.0"])
@pytest.mark.parametrize("prefix", ["/lbaas", ""])
@pytest.mark.parametrize("suffix", ["", "/", ".json"])
def test_every_spelling_of_a_url_leads_to_the_same(api: Api, version: str, prefix: str, suffix: str) -> None:
    created = api.load_balancer()

    listed = api.client.simulate_get(f"{version}{prefix}/loadbalancers{suffix}")
    shown = api.client.simulate_get(f"{version}{prefix}/loadbalancers/{created['id']}{suffix}")

    assert listed.json["loadbalancers"] == [shown.json["loadbalancer"]]
    assert shown.json["loadbalancer"]["id"] == created["id"]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1", "/v3/lbaas/loadbalancers", "/v2.0/lbaas/looms", "/v2/amphorae", "/v2/lbaas/amphorae", "//v2"),
        *("/v2/octavia/loadbalancers", "/healthcheck", "/v2/lbaas/loadbalancers/x/y/z", "/v2/lbaas/loadbalancers/x/y"),
    ],
)
def test_unknown_url_is_not_found(api: Api, path: str) -> None:
    result = api.client.simulate_get(path)

    assert (result.status_code, result.json) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("PATCH", "/v2/lbaas/loadbalancers/x"), ("HEAD", "/v2/lbaas/loadbalancers"), ("PUT", "/v2/lbaas/listeners")),
        *(("DELETE", "/v2/lbaas/pools"), ("POST", "/v2/lbaas/listeners/x")),
        ("POST", "/v2/lbaas/loadbalancers/x/stats"),
    ],
)
def test_method_that_a_url_does_not_have_is_refused(api: Api, method: str, path: str) -> None:
    result = api.client.simulate_request(method, path)

    assert result.status_code == 405
    if method != "HEAD":
        assert result.json == {"code": 405, "title": "Method Not Allowed", "description": ""}


def test_options_are_answered_without_content(api: Api) -> None:
    result = api.client.simulate_options("/v2/lbaas/loadbalancers")

    assert (result.status_code, result.text) == (200, "")


@pytest.mark.parametrize("accept", ["", "*/*", "application/json", "text/html, application/json;q=.1", "application/*"])
def test_json_is_sent_to_whoever_takes_it(api: Api, accept: str) -> None:
    result = api.call("GET", "/loadbalancers", headers={"Accept": accept})

    assert (result.status_code, result.headers["content-type"]) == (200, "application/json")


def test_only_json_is_sent(api: Api) -> None:
    result = api.call("GET", "/loadbalancers", headers={"Accept": "text/html"})

    assert result.status_code == 406
    assert result.json == {
        "code": 406,
        "title": "Not Acceptable",
        "description": "Only content type application/json is accepted.",
    }


def test_every_answer_names_its_request(api: Api) -> None:
    answers = [api.call("GET", "/loadbalancers"), api.call("GET", "/looms"), api.call("GET", "/loadbalancers/x")]

    ids = {answer.headers["x-openstack-request-id"] for answer in answers}
    assert len(ids) == 3
    assert all(id.startswith("req-") and len(id) == 40 for id in ids)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", 'Missing argument: "load_balancer"'),
        (b"{", "Request is not in valid JSON format"),
        (b"\xff", "Request is not in valid JSON format"),
        (b'{"loadbalancer": {"name": "\\ud800"}}', "Request is not in valid JSON format"),
        (b"[" * 90_000, "Request is not in valid JSON format"),
        (b"3", "Invalid input for field/attribute load_balancer. Value: '3'. Value should be an object"),
        (b"{}", "Invalid input for field/attribute loadbalancer. Value: 'None'. Mandatory field missing."),
        (
            b'{"loadbalancer": null}',
            "Invalid input for field/attribute loadbalancer. Value: 'None'. Mandatory field missing.",
        ),
        (
            b'{"loadbalancer": []}',
            "Invalid input for field/attribute loadbalancer. Value: '[]'. Value should be an object",
        ),
        (b'{"loadbalancer": {}, "loom": 1}', "Unknown attribute for argument load_balancer: loom"),
        (
            b'{"loadbalancer": {"loom": 1, "yarn": 2}}',
            "Unknown attributes for argument load_balancer.loadbalancer: loom, yarn",
        ),
    ],
)
def test_body_that_cannot_be_read_is_refused(api: Api, body: bytes, text: str) -> None:
    headers = {"Content-Type": "application/json"}

    assert api.refused(400, "POST", "/loadbalancers", body, headers=headers) == text
    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_body_of_another_media_type_is_refused(api: Api) -> None:
    text = api.refused(415, "POST", "/loadbalancers", b"<lb/>", headers={"Content-Type": "application/xml"})

    assert text == "Unknown mimetype: application/xml"


def test_body_without_a_media_type_is_taken_for_json(api: Api) -> None:
    text = api.refused(400, "POST", "/loadbalancers", b'{"loadbalancer": {}}')

    assert text.startswith("Validation failure: VIP must contain one of:")


def test_form_is_refused(api: Api) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}

    assert api.refused(400, "POST", "/loadbalancers", b"name=web", headers=headers).startswith("Unknown argument: ")


@pytest.mark.parametrize("size", [114_689, 10_000_000])
def test_body_that_is_too_large_is_refused(api: Api, size: int) -> None:
    body = json.dumps({"loadbalancer": {"description": "x" * size}}).encode()

    assert api.refused(413, "POST", "/loadbalancers", body) == "Request is too large."


def test_unknown_query_argument_of_a_change_is_refused(api: Api) -> None:
    created = api.load_balancer()
    path = f"/loadbalancers/{created['id']}"

    texts = [
        api.refused(400, "POST", "/loadbalancers", {"loadbalancer": {}}, query_string="loom=1"),
        api.refused(400, "PUT", path, {"loadbalancer": {}}, query_string="loom=1"),
        api.refused(400, "DELETE", path, query_string="loom=1"),
        api.refused(400, "GET", f"{path}/stats", query_string="loom=1"),
        api.refused(400, "GET", f"{path}/status", query_string="loom=1"),
    ]

    assert set(texts) == {'Unknown argument: "loom"'}


@pytest.mark.parametrize("id", ["web", "%20", "%00", "1", "00000000-0000-0000-0000-000000000000"])
@pytest.mark.parametrize(
    ("path", "title"),
    [
        *(("/loadbalancers", "Load Balancer"), ("/listeners", "Listener"), ("/pools", "Pool")),
        ("/healthmonitors", "Health Monitor"),
    ],
)
def test_id_of_nothing_is_not_found_whatever_it_looks_like(api: Api, path: str, title: str, id: str) -> None:
    for method in ("GET", "DELETE"):
        assert api.refused(404, method, f"{path}/{id}").startswith(title)


def test_id_is_found_in_every_spelling_of_a_uuid(api: Api) -> None:
    created = api.load_balancer()

    shown = api.get(f"/loadbalancers/{created['id'].upper().replace('-', '')}")["loadbalancer"]

    assert shown["id"] == created["id"]


def test_providers_are_listed(api: Api) -> None:
    assert [provider["name"] for provider in api.get("/providers")["providers"]] == ["amphora", "octavia"]
    assert api.get("/providers", "fields=name")["providers"] == [{"name": "amphora"}, {"name": "octavia"}]


@pytest.mark.parametrize("version", ["/v2", "/v2.0"])
def test_networks_are_shown_in_neutrons_place(api: Api, version: str) -> None:
    client: TestClient = api.client

    subnets = client.simulate_get(f"{version}/subnets").json["subnets"]
    by_name = client.simulate_get(f"{version}/subnets", params={"name": subnets[0]["name"]}).json["subnets"]
    by_id = client.simulate_get(f"{version}/subnets/{subnets[0]['id']}").json["subnet"]

    assert by_name == [subnets[0]]
    assert by_id == subnets[0]
    assert client.simulate_get(f"{version}/subnets", params={"id": "nowhere"}).json == {"subnets": []}
    assert client.simulate_get(f"{version}/networks/nowhere").status_code == 404
    assert client.simulate_get(f"{version}/qos/policies").json == {"policies": []}


def test_every_reason_for_a_refusal_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.Refused)]
    reasons = [kind for kind in kinds if kind is not errors.Refused]

    assert len(reasons) > 10
    for reason in reasons:
        assert any(kind in STATUS_OF for kind in reason.__mro__ if kind is not errors.Refused), reason


def test_database_that_is_away_is_an_answer_that_says_when_to_try_again(api: Api) -> None:
    api.pool.close()

    result = api.call("GET", "/loadbalancers")

    assert (result.status_code, result.headers["retry-after"]) == (503, "1")
    assert result.json["faultcode"] == "Server"


@pytest.mark.parametrize(
    "error", [errors.ProjectBusy(), errors.ConcurrentChange()], ids=lambda error: type(error).__name__
)
def test_what_others_are_at_may_be_asked_for_again_in_a_moment(
    api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def is_busy(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(api.store, "save", is_busy)

    result = api.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}})

    assert (result.status_code, result.headers["retry-after"]) == (503, "1")
    assert result.json["faultstring"] == str(error)
    assert api.get("/loadbalancers")["loadbalancers"] == []


def test_nothing_of_the_inside_reaches_the_client(api: Api) -> None:
    with api.pool.connection() as connection:
        connection.execute("DROP VIEW shown_load_balancers")

    result = api.call("GET", "/loadbalancers")

    assert (result.status_code, result.json["faultstring"]) == (500, "Something unknown went wrong")
