"""The unmodified `openstack` command against the API, as a user types it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import pytest

from tests.api.conftest import Api, application_of
from tests.api.prompt_amphorae import PromptAmphorae

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(600)]

OPENSTACK = Path(sys.executable).with_name("openstack")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests speak through their assertions."""


@dataclass
class Client:
    """Runs `openstack loadbalancer ...` and reads what it prints."""

    endpoint: str

    def __call__(self, *words: str) -> str:
        result = self.run(*words)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [str(OPENSTACK), "--os-auth-type", "none", "--os-endpoint", self.endpoint, "loadbalancer", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))


@pytest.fixture
def openstack(api: Api) -> Iterator[Client]:
    application = application_of(api.store, api.pool, api.settings, PromptAmphorae(api.store))
    with make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Silent) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield Client(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


def test_everything_is_created_shown_listed_set_and_deleted(openstack: Client) -> None:
    load_balancer = openstack.json("create", "--name", "web", "--vip-subnet-id", "vip-subnet", "--wait")
    assert load_balancer["provisioning_status"] == "ACTIVE"

    listener = openstack.json(
        *("listener", "create", "--name", "front", "--protocol", "HTTP", "--protocol-port", "80", "web"),
        *("--insert-headers", "X-Forwarded-For=true", "--wait"),
    )
    assert (listener["provisioning_status"], listener["loadbalancers"]) == ("ACTIVE", [{"id": load_balancer["id"]}])

    pool = openstack.json(
        *("pool", "create", "--name", "weavers", "--listener", "front", "--protocol", "HTTP"),
        *("--lb-algorithm", "ROUND_ROBIN", "--session-persistence", "type=APP_COOKIE,cookie_name=thread", "--wait"),
    )
    assert (pool["provisioning_status"], pool["listeners"]) == ("ACTIVE", [{"id": listener["id"]}])

    for name, address in (("loom-1", "127.0.0.11"), ("loom-2", "127.0.0.12")):
        member = openstack.json(
            *("member", "create", "--name", name, "--address", address, "--protocol-port", "8080"),
            *("--subnet-id", "member-subnet", "weavers", "--wait"),
        )
        assert (member["provisioning_status"], member["operating_status"]) == ("ACTIVE", "NO_MONITOR")

    monitor = openstack.json(
        *("healthmonitor", "create", "--name", "check", "--type", "HTTP", "--delay", "5", "--timeout", "3"),
        *("--max-retries", "2", "--http-version", "1.1", "--domain-name", "loom.example.org", "weavers", "--wait"),
    )
    assert (monitor["provisioning_status"], monitor["operating_status"]) == ("ACTIVE", "ONLINE")

    shows_and_lists(openstack)
    sets(openstack)
    deletes(openstack)


def shows_and_lists(openstack: Client) -> None:
    assert openstack.json("show", "web")["name"] == "web"
    assert openstack.json("listener", "show", "front")["insert_headers"] == {"X-Forwarded-For": "true"}
    assert "loom.example.org" in openstack("healthmonitor", "show", "check")
    assert openstack.json("member", "show", "weavers", "loom-1")["address"] == "127.0.0.11"
    assert [each["name"] for each in openstack.json("list", "--name", "web")] == ["web"]
    assert [each["name"] for each in openstack.json("listener", "list", "--loadbalancer", "web")] == ["front"]
    assert [each["name"] for each in openstack.json("pool", "list", "--loadbalancer", "web")] == ["weavers"]
    assert {each["name"] for each in openstack.json("member", "list", "weavers")} == {"loom-1", "loom-2"}
    assert [each["name"] for each in openstack.json("healthmonitor", "list")] == ["check"]
    assert [each["name"] for each in openstack.json("provider", "list")] == ["amphora", "octavia"]
    assert openstack.json("stats", "show", "web")["bytes_in"] == 0
    assert openstack.json("listener", "stats", "show", "front")["total_connections"] == 0
    tree = json.loads(openstack("status", "show", "web"))
    (front,) = tree["loadbalancer"]["listeners"]
    (weavers,) = front["pools"]
    assert {member["name"] for member in weavers["members"]} == {"loom-1", "loom-2"}


def sets(openstack: Client) -> None:
    openstack("set", "web", "--description", "cloth", "--tag", "blue", "--wait")
    assert openstack.json("show", "web")["description"] == "cloth"
    openstack("listener", "set", "front", "--connection-limit", "100", "--wait")
    openstack("listener", "unset", "front", "--connection-limit", "--insert-headers", "--wait")
    assert openstack.json("listener", "show", "front")["connection_limit"] == -1
    openstack("pool", "set", "weavers", "--lb-algorithm", "LEAST_CONNECTIONS", "--wait")
    openstack("pool", "unset", "weavers", "--session-persistence", "--wait")
    assert openstack.json("pool", "show", "weavers")["session_persistence"] is None
    openstack("member", "set", "weavers", "loom-1", "--weight", "7", "--wait")
    openstack("member", "unset", "weavers", "loom-2", "--weight", "--wait")
    assert openstack.json("member", "show", "weavers", "loom-1")["weight"] == 7
    openstack("healthmonitor", "set", "check", "--delay", "9", "--wait")
    openstack("healthmonitor", "unset", "check", "--domain-name", "--http-version", "--wait")
    assert openstack.json("healthmonitor", "show", "check")["delay"] == 9
    refused = openstack.run("pool", "set", "weavers", "--session-persistence", "type=APP_COOKIE")
    assert 'Field "cookie_name" must be specified' in refused.stderr


def deletes(openstack: Client) -> None:
    assert "has children" in openstack.run("delete", "web").stderr
    openstack("healthmonitor", "delete", "check", "--wait")
    openstack("member", "delete", "weavers", "loom-1", "--wait")
    openstack("pool", "delete", "weavers", "--wait")
    openstack("listener", "delete", "front", "--wait")
    openstack("delete", "web", "--cascade", "--wait")
    assert openstack.json("list") == []
    assert openstack.json("listener", "list") == []
