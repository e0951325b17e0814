"""One id leads from the answer of the API through every log to the amphora."""

import json

import pytest

from tests.system.api import ROOT, until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import a_site

pytestmark = pytest.mark.amphora


def test_a_request_is_found_in_the_logs_of_the_worker_and_of_the_amphora(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        site.wait()
        request_id = "req-00000000-1111-2222-3333-444444444444"
        body = json.dumps({"listener": {"connection_limit": 77}}).encode()

        status, _ = service.api.ask(
            "PUT", f"{ROOT}/listeners/{site.listener_id}", body, {"X-Openstack-Request-Id": request_id}
        )
        site.wait()

        assert status == 200
        amphora = service.amphorae / service.amphora_of(site.id)
        said = "\n".join(log.read_text() for log in amphora.rglob("*.log"))
        ((mine,),) = service.query("SELECT request_id FROM commits ORDER BY position DESC LIMIT 1")
        assert mine in said, said
        told = [f"PUT {ROOT}/listeners/{site.listener_id}: 200 OK"]  # written down once the answer is on its way
        until(lambda: _messages_of(service, "api", mine) == told, 10, "the API to have written down the request")
        assert any("PushConfiguration" in message for message in _messages_of(service, "worker", mine))


def _messages_of(service: Service, name: str, request_id: str) -> list[str]:
    lines = (service.directory / f"log/{name}.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [line["message"] for line in found if line.get("request_id") == request_id]
