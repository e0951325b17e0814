"""Whatever is sent to the API, the answer is the contract's error and nothing is stored."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.system.api import PROJECT, ROOT
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]

TEN_MEGABYTES = 10 * 1024 * 1024


@pytest.fixture
def untouched(shared_service: Service) -> Iterator[Service]:
    """After the test the log is what it was."""
    before = shared_service.query("SELECT count(*) FROM tacitus_events")
    yield shared_service
    assert shared_service.query("SELECT count(*) FROM tacitus_events") == before


def load_balancer_with(service: Service, **said: object) -> bytes:
    vip = {"project_id": PROJECT, "vip_subnet_id": service.api.vip_subnet_id()}
    return json.dumps({"loadbalancer": {**vip, **said}}).encode()


def fault(status: int, text: bytes) -> str:
    """The words of an error in one of the contract's two shapes."""
    document = json.loads(text)
    words = document.get("faultstring") or document.get("description") or document.get("title")
    assert words, document
    assert "Traceback" not in words
    return str(words)


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"loadbalancer": ', b"\xff\xfe", b"[]", b"null", b"7", b'{"loadbalancer": []}', b"{}"]
)
def test_malformed_json_is_refused(untouched: Service, body: bytes) -> None:
    status, text = untouched.api.ask("POST", f"{ROOT}/loadbalancers", body)

    assert status == 400, text
    fault(status, text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 7},
        {"name": "n" * 256},
        {"admin_state_up": "perhaps"},
        {"vip_address": "not an address"},
        {"vip_subnet_id": 7},
        {"tags": "one"},
        {"no_such_attribute": 1},
        {"vip_subnet_id": str(uuid4())},
        {"project_id": {}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_wrong_types_and_unknown_attributes_are_refused(untouched: Service, wrong: dict[str, object]) -> None:
    status, text = untouched.api.ask("POST", f"{ROOT}/loadbalancers", load_balancer_with(untouched, **wrong))

    assert status == 400, text
    fault(status, text)


def test_ten_megabytes_are_refused(untouched: Service) -> None:
    body = load_balancer_with(untouched, description="x" * TEN_MEGABYTES)

    status, text = untouched.api.ask("POST", f"{ROOT}/loadbalancers", body)

    assert status in (400, 413), text[:200]
    assert len(text) < 10_000


NOBODY = "00000000-0000-4000-8000-0000000000aa"  # the same in each test process


@pytest.mark.parametrize("path", ["/loadbalancers/not-a-uuid", f"/listeners/{NOBODY}", f"/pools/{NOBODY}/members"])
def test_what_is_not_there_is_not_found(untouched: Service, path: str) -> None:
    status, text = untouched.api.ask("GET", ROOT + path)

    assert status == 404, text
    fault(status, text)


def test_the_id_of_another_kind_of_thing_is_refused(service: Service) -> None:
    api = service.api
    made = api.create_load_balancer()
    api.wait_until_active(made["id"])
    before = service.query("SELECT count(*) FROM tacitus_events")

    listener = {"loadbalancer_id": str(uuid4()), "protocol": "HTTP", "protocol_port": 80}
    pool = {"listener_id": made["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    orders = (("/listeners", {"listener": listener}), ("/pools", {"pool": pool}))
    answers = [api.ask("POST", ROOT + path, json.dumps(body).encode()) for path, body in orders]

    assert [status for status, _ in answers] == [404, 404], answers
    assert service.query("SELECT count(*) FROM tacitus_events") == before
