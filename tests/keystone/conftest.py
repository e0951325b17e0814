"""People in a real Keystone, and the API behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from falcon.testing import Result, TestClient

from infra.gates import behind_gates
from infra.options import read
from infra.settings import Profile
from infra.wiring import certificates_of
from tests.api.conftest import Api, application_of
from tests.api.conftest import api as api  # a fixture
from tests.keystone.server import PASSWORD, Keystone, a_barbican, a_keystone

SET_UP_SECONDS = 480
"""On a new machine the first test waits until Keystone and Barbican are installed."""

OWN, OTHER = "weaving", "spinning"
ROLES = {
    **{"owner": "member", "reader": "reader", "weaver": "creator", "helper": "service", "chief": "admin"},
    **{"onlooker": "load-balancer_observer", "overseer": "load-balancer_global_observer"},
}
"""User -> role in the project OWN."""

SETTINGS = """
[api_settings]
auth_strategy = keystone
[keystone_authtoken]
www_authenticate_uri = {url}
auth_url = {url}
auth_type = password
username = octavia
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
service_token_roles_required = true
[certificates]
endpoint = {secrets}
"""
OLDER_ROLES = """
[oslo_policy]
enforce_new_defaults = false
"""
NO_SECRETS = "http://127.0.0.1:1"


@dataclass(frozen=True)
class Cloud:
    keystone: Keystone
    directory: Path
    own: str
    other: str
    """Ids of two projects."""
    tokens: dict[tuple[str, str | None], str] = field(default_factory=dict)

    def token(self, user: str, scope: str | None) -> str:
        """One for all tests."""
        if (user, scope) not in self.tokens:
            self.tokens[user, scope] = self.keystone.token(user, scope)
        return self.tokens[user, scope]


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    with TemporaryDirectory(prefix="tacitus-keystone-") as name, a_keystone(Path(name)) as keystone:
        own, other, service = (keystone.project(project) for project in (OWN, OTHER, "service"))
        keystone.give(keystone.user("octavia"), "service", service)
        for user, role in ROLES.items():
            keystone.give(keystone.user(user), role, own)
        keystone.give(keystone.user("stranger"), "member", other)
        for user, role in (("auditor", "reader"), ("operator", "admin")):
            keystone.give(keystone.user(user), role, None)
        yield Cloud(keystone, Path(name), own, other)


@pytest.fixture(scope="session")
def barbican(cloud: Cloud) -> Iterator[str]:
    """Its URL."""
    cloud.keystone.give(cloud.keystone.user("barbican"), "service", cloud.keystone.project_id("service"))
    with a_barbican(cloud.keystone, "barbican", cloud.directory) as url:
        yield url


@dataclass(frozen=True)
class Service:
    """The API behind keystonemiddleware, as a client with a token sees it."""

    api: Api
    cloud: Cloud
    client: TestClient

    def call(self, token: str, method: str, path: str, body: object = None, **headers: str) -> Result:
        sent: dict[str, Any] = {} if body is None else {"json": body}
        headers = {"X-Auth-Token": token} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.simulate_request(method, f"/v2/lbaas{path}", headers=headers, **sent)

    def status(self, user: str, scope: str | None, method: str, path: str, body: object = None) -> int:
        return self.call(self.cloud.token(user, scope), method, path, body).status_code


@pytest.fixture
def service(api: Api, cloud: Cloud, tmp_path: Path) -> Service:
    return _service(api, cloud, tmp_path, NO_SECRETS)


@pytest.fixture
def service_with_older_roles(api: Api, cloud: Cloud, tmp_path: Path) -> Service:
    return _service(api, cloud, tmp_path, NO_SECRETS, OLDER_ROLES)


@pytest.fixture
def service_with_secrets(api: Api, cloud: Cloud, barbican: str, tmp_path: Path) -> Service:
    return _service(api, cloud, tmp_path, barbican)


def _service(api: Api, cloud: Cloud, tmp_path: Path, secrets: str, more: str = "") -> Service:
    file = tmp_path / "tacitus.conf"
    file.write_text(SETTINGS.format(url=cloud.keystone.url, password=PASSWORD, secrets=secrets) + more)
    fixed = {"database_url": api.settings.database_url, "state_directory": tmp_path, "profile": Profile.LOCAL}
    settings = read([file], fixed=fixed)
    application = application_of(api.store, api.pool, settings, certificates=certificates_of(settings))
    return Service(api, cloud, TestClient(behind_gates(application, settings)))
