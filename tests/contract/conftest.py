"""One running service of the noop profile for all tests of the contract, asked as any client asks it.

Statuses settle at once there, so a tree of a test is ready for the next request; a test that needs it otherwise says
so through the control API. Everything is forgotten after each test.
"""

import json as jsons
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from uuid import uuid4

import pytest

from tests.system.api import until
from tests.system.conftest import a_service
from tests.system.service import Service

Document = dict[str, Any]

PROJECT = "annals"
IMMUTABLE = "Load Balancer {} is immutable and cannot be updated."


@dataclass(frozen=True)
class Answer:
    """What came back; `headers` by their names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return jsons.loads(self.text)

    @property
    def object(self) -> Any:
        """What stands below the one key (a list's links beside it do not count)."""
        return next(iter(self.json.values()))

    @property
    def fault(self) -> tuple[int, str]:
        """Status and text of an error raised within a method (shape A); AssertionError for any other answer."""
        content = self.json
        code = "Client" if self.status < 500 else "Server"
        assert content == {"faultcode": code, "faultstring": content.get("faultstring"), "debuginfo": None}, self
        assert self.headers["content-type"].startswith("application/json")
        return self.status, content["faultstring"]

    @property
    def routing_fault(self) -> tuple[int, str]:
        """Status and description of an error of routing (shape B); AssertionError for any other answer."""
        content = self.json
        assert set(content) == {"code", "title", "description"}, self
        assert content["code"] == self.status
        assert self.headers["content-type"].startswith("application/json")
        return self.status, content["description"]


@dataclass(frozen=True)
class ContractApi:
    """Paths that do not begin with `/v2` or `/__control__` are those below `/v2/lbaas`; see `raw` for all others."""

    service: Service

    def __call__(
        self,
        method: str,
        path: str,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        project: str | None = None,
        roles: str | None = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request. With `roles` (separated by commas, maybe empty) somebody of `project` sends it and the policy
        decides; without it everybody is an administrator. `body` is sent as it is, in the place of `json`."""
        content = jsons.dumps(json).encode() if body is None and json is not None else body
        sent = {"Content-Type": "application/json"} if content else {}
        if project is not None:
            sent["X-Project-Id"] = project
        if roles is not None:
            sent |= {"X-Identity-Status": "Confirmed", "X-Roles": roles, "X-User-Id": "somebody"}
        full = path if path.startswith(("/v2", "/__control__")) else f"/v2/lbaas{path}"
        return self.raw(method, full, content, {**sent, **(headers or {})})

    def raw(
        self, method: str, path: str, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Exactly this."""
        with closing(HTTPConnection("127.0.0.1", self.service.port, timeout=30)) as connection:
            connection.request(method, path, content, dict(headers or {}))
            found = connection.getresponse()
            text = found.read().decode()
        return Answer(found.status, {name.lower(): value for name, value in found.getheaders()}, text)

    def control(self, path: str, body: object) -> None:
        found = self("POST", f"/__control__/{path}", body)
        assert found.status == 204, found

    def set(self, **options: object) -> None:
        """Settings by the contract's names, until the end of the test."""
        self.control("config", {"options": options})

    # What a test is given. Each waits until the tree is ACTIVE, so that the next change finds it settled.

    def create(self, path: str, root: str, **attributes: object) -> Document:
        """The object in a 201."""
        found = self("POST", path, {root: attributes})
        assert found.status == 201, found
        created: Document = found.json[root]
        return created

    def load_balancer(self, **attributes: object) -> Document:
        settings = {"vip_subnet_id": str(uuid4()), "project_id": PROJECT, **attributes}
        created = self.create("/loadbalancers", "loadbalancer", **settings)
        return self.settled(created["id"])

    def listener(self, load_balancer: Document, **attributes: object) -> Document:
        settings = {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80, **attributes}
        return self._below(load_balancer, "/listeners", "listener", settings)

    def pool(self, load_balancer: Document, **attributes: object) -> Document:
        settings = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **attributes}
        if "listener_id" not in settings:
            settings["loadbalancer_id"] = load_balancer["id"]
        return self._below(load_balancer, "/pools", "pool", settings)

    def member(self, load_balancer: Document, pool: Document, **attributes: object) -> Document:
        settings = {"address": "10.0.0.7", "protocol_port": 80, **attributes}
        return self._below(load_balancer, f"/pools/{pool['id']}/members", "member", settings)

    def health_monitor(self, load_balancer: Document, pool: Document, **attributes: object) -> Document:
        settings = {"pool_id": pool["id"], "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2, **attributes}
        return self._below(load_balancer, "/healthmonitors", "healthmonitor", settings)

    def l7_policy(self, load_balancer: Document, listener: Document, **attributes: object) -> Document:
        settings = {"listener_id": listener["id"], "action": "REJECT", **attributes}
        return self._below(load_balancer, "/l7policies", "l7policy", settings)

    def l7_rule(self, load_balancer: Document, policy: Document, **attributes: object) -> Document:
        settings = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/", **attributes}
        return self._below(load_balancer, f"/l7policies/{policy['id']}/rules", "rule", settings)

    def _below(self, load_balancer: Document, path: str, root: str, settings: Document) -> Document:
        created = self.create(path, root, **settings)
        self.settled(load_balancer["id"])
        found: Document = self("GET", f"{path}/{created['id']}").object
        return found

    def settled(self, load_balancer_id: str) -> Document:
        """A load balancer once it is no longer PENDING."""

        def found() -> Document | None:
            document: Document = self("GET", f"/loadbalancers/{load_balancer_id}").object
            return None if document["provisioning_status"].startswith("PENDING") else document

        settled: Document = until(found, 10, f"load balancer {load_balancer_id} to settle", pause=0.005)
        return settled

    def gone(self, path: str) -> None:
        until(lambda: self("GET", path).status == 404, 10, f"{path} to be gone", pause=0.005)

    def hold(self) -> None:
        """Whatever is changed from now on stays PENDING."""
        self.control("hold", {"hold": True})

    def show(self, path: str) -> Document:
        found = self("GET", path)
        assert found.status == 200, found
        document: Document = found.object
        return document


@pytest.fixture(scope="session")
def contract_service() -> Iterator[Service]:
    with a_service("noop") as service:
        yield service
        service.stop()


@pytest.fixture
def api(contract_service: Service) -> Iterator[ContractApi]:
    api = ContractApi(contract_service)
    yield api
    api.control("reset", {})
