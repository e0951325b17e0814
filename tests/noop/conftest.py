"""A running service of the noop profile, reset for every test."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from tests.system.api import Api, until
from tests.system.conftest import a_service
from tests.system.service import Service


@dataclass(frozen=True)
class Noop:
    """What a client, and whoever tests it, can do."""

    api: Api
    service: Service

    def control(self, path: str, body: object, status: int = 204) -> str:
        found, text = self.api.ask("POST", f"/__control__/{path}", json.dumps(body).encode())
        assert found == status, (found, text)
        return text.decode()

    def request(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        """Status and content, below /v2/lbaas."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        status, text = self.api.ask(
            method, f"/v2/lbaas{path}", None if body is None else json.dumps(body).encode(), named
        )
        return status, json.loads(text) if text else None

    def load_balancer(self, **settings: object) -> dict[str, Any]:
        return self.api.create_load_balancer(vip_subnet_id=str(uuid4()), **settings)

    def active_load_balancer(self, **settings: object) -> dict[str, Any]:
        return self.api.wait_until_active(self.load_balancer(**settings)["id"], 5)

    def status_of(self, path: str) -> tuple[str, str]:
        """Provisioning and operating status."""
        found = self.api.get(path)
        return found["provisioning_status"], found["operating_status"]

    def wait_for(self, path: str, *statuses: str) -> None:
        until(lambda: self.status_of(path) == statuses, 5, f"{path} to be {statuses}, but is {self.status_of(path)}")


@pytest.fixture(scope="session")
def noop_service() -> Iterator[Service]:
    with a_service("noop") as service:
        yield service
        service.stop()


@pytest.fixture
def noop(noop_service: Service) -> Iterator[Noop]:
    noop = Noop(noop_service.api, noop_service)
    yield noop
    noop.control("reset", {})
