"""The real application on a real database, called without a network in between; no worker runs, tests confirm."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import falcon
import psycopg
import pytest
from falcon.testing import Result, TestClient
from psycopg_pool import ConnectionPool

from commands.certificates import Certificates, UnreadCertificates
from commands.ports import Aggregates, Origin
from infra.api import api_application
from infra.catalogue import PostgresCatalogue
from infra.event_store import EventStore
from infra.local_network import VIP_SUBNET, LocalNetwork
from infra.noop_network import NoopNetwork
from infra.policy import policy_of
from infra.provider_drivers import providers_of
from infra.settings import AuthStrategy, Profile, Settings
from infra.wiring import deployment_of

PROJECT = "weaving"


class CountedCursor(psycopg.Cursor[Any]):
    """Counts the statements of all reads."""

    executed = 0

    def execute(self, *args: Any, **kwargs: Any) -> "CountedCursor":
        CountedCursor.executed += 1
        super().execute(*args, **kwargs)
        return self


READING = {"autocommit": True, "cursor_factory": CountedCursor}


@dataclass
class Api:
    """What a client sees of us, and the amphorae behind it as far as a test needs them."""

    client: TestClient
    store: EventStore
    pool: ConnectionPool[Any]
    settings: Settings
    headers: dict[str, str] = field(default_factory=lambda: {"X-Project-Id": PROJECT})

    def call(self, method: str, path: str, body: object = None, **more: Any) -> Result:
        """Paths are those below /v2.0/lbaas; a body is sent as JSON, bytes as they are."""
        headers = {**self.headers, **more.pop("headers", {})}
        content = {} if body is None else {"body": body} if isinstance(body, bytes) else {"json": body}
        return self.client.simulate_request(method, f"/v2.0/lbaas{path}", headers=headers, **content, **more)

    def get(self, path: str, query: str = "") -> Any:
        """The content of a 200."""
        result = self.call("GET", path, query_string=query)
        assert result.status_code == 200, result.text
        return result.json

    def create(self, path: str, root: str, /, **attributes: object) -> dict[str, Any]:
        """The object in a 201."""
        result = self.call("POST", path, {root: attributes})
        assert result.status_code == 201, result.text
        created: dict[str, Any] = result.json[root]
        return created

    def change(self, path: str, root: str, /, **attributes: object) -> dict[str, Any]:
        """The object in a 200."""
        result = self.call("PUT", path, {root: attributes})
        assert result.status_code == 200, result.text
        changed: dict[str, Any] = result.json[root]
        return changed

    def delete(self, path: str, query: str = "") -> None:
        result = self.call("DELETE", path, query_string=query)
        assert result.status_code == 204, result.text
        assert result.text == ""

    def refused(self, status: int, method: str, path: str, body: object = None, **more: Any) -> str:
        """The text of a fault with this status."""
        result = self.call(method, path, body, **more)
        assert result.status_code == status, result.text
        assert result.json["debuginfo"] is None
        assert result.json["faultcode"] == ("Client" if status < 500 else "Server")
        text: str = result.json["faultstring"]
        return text

    # What a test is given

    def load_balancer(self, **attributes: object) -> dict[str, Any]:
        return self.create("/loadbalancers", "loadbalancer", **{"vip_subnet_id": str(VIP_SUBNET.id), **attributes})

    def listener(self, load_balancer: dict[str, Any], **attributes: object) -> dict[str, Any]:
        settings = {"protocol": "HTTP", "protocol_port": 80, **attributes}
        return self.create("/listeners", "listener", loadbalancer_id=load_balancer["id"], **settings)

    def pool_of(self, load_balancer: dict[str, Any], **attributes: object) -> dict[str, Any]:
        settings = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **attributes}
        return self.create("/pools", "pool", loadbalancer_id=load_balancer["id"], **settings)

    def member(self, pool: dict[str, Any], **attributes: object) -> dict[str, Any]:
        settings = {"address": "127.0.0.10", "protocol_port": 8080, **attributes}
        return self.create(f"/pools/{pool['id']}/members", "member", **settings)

    def health_monitor(self, pool: dict[str, Any], **attributes: object) -> dict[str, Any]:
        settings = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, **attributes}
        return self.create("/healthmonitors", "healthmonitor", pool_id=pool["id"], **settings)

    # What the amphorae do

    def confirm(self, load_balancer: dict[str, Any]) -> None:
        """Its amphorae run what was asked for."""
        aggregate = self.store.load_balancer(UUID(load_balancer["id"]))
        for amphora_id in aggregate.amphora_ids:
            aggregate.configuration_is_applied(amphora_id, aggregate.revision, sha256="")
        self.store.save(aggregate, origin=Origin())

    def finish_deletion(self, load_balancer: dict[str, Any]) -> None:
        aggregate = self.store.load_balancer(UUID(load_balancer["id"]))
        for amphora_id in aggregate.amphora_ids:
            aggregate.amphora_is_gone(amphora_id)
        aggregate.deletion_is_complete()
        self.store.save(aggregate, origin=Origin())


def application_of(
    store: EventStore,
    pool: ConnectionPool[Any],
    settings: Settings,
    *,
    aggregates: Aggregates | None = None,
    certificates: Certificates | None = None,
) -> "falcon.App[Any, Any]":
    """aggregates: in the store's place; certificates: every reference is taken for good when there are none."""
    network = NoopNetwork() if settings.profile == Profile.NOOP else LocalNetwork(pool)
    return api_application(
        aggregates=aggregates or store,
        places=store,
        vips=network,
        network_reads=network,
        providers=providers_of(
            settings.profile, enabled=settings.enabled_provider_drivers, default=settings.default_provider_driver
        ),
        catalogue=PostgresCatalogue(pool),
        deployment=deployment_of(settings),
        pool=pool,
        settings=settings,
        allows=policy_of(settings).allows,
        certificates=certificates or UnreadCertificates(),
    )


@pytest.fixture
def api(database: str) -> Iterator[Api]:
    with api_on(database) as api:
        yield api


@contextmanager
def api_on(database: str, profile: Profile = Profile.LOCAL) -> Iterator[Api]:
    """The application on this database."""
    settings = Settings(
        database_url=database,
        state_directory=Path("/nonexistent"),
        auth_strategy=AuthStrategy.TESTING,
        profile=profile,
    )
    store = EventStore(database, connections=2)
    with (
        ConnectionPool(database, min_size=1, max_size=2, kwargs=READING) as pool,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Falcon's client checks answers with a lint that wants a content type for a 202 without content; the contract
        # wants none.
        patch.setattr("wsgiref.validate.validator", lambda application: application)
        yield Api(TestClient(application_of(store, pool, settings)), store, pool, settings)
    store.close()
