"""Operators replace amphorae under traffic, and send agents their settings."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.api import Api, Document, until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.traffic import Traffic, under_traffic

LONGEST_SECONDS = 15
AMPHORAE = "/v2/octavia/amphorae"


def load_balancer_failed_over(service: Service) -> str:
    return _failed_over(service, lambda site, amphora: f"/v2/lbaas/loadbalancers/{site.id}/failover")


def amphora_failed_over(service: Service) -> str:
    return _failed_over(service, lambda site, amphora: f"{AMPHORAE}/{amphora}/failover")


def _failed_over(service: Service, path_of: Callable[[Site, str], str]) -> str:
    """Nothing is lost before, nor once the load balancer is ACTIVE again; of the old amphora nothing is left."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        old = service.amphora_of(site.id)
        with under_traffic(site.vip, site.port, rate=40, kept_connections=0) as traffic:
            _until_more_was_answered(traffic)
            assert traffic.losses == []
            asked_at = time.monotonic()
            _put(service.api, path_of(site, old))
            site.wait(LONGEST_SECONDS)
            took, lost = time.monotonic() - asked_at, len(traffic.losses)
            _until_more_was_answered(traffic)
            assert len(traffic.losses) == lost, traffic.losses[lost:]
        assert took < LONGEST_SECONDS
        _check_that_it_is_gone(service, site, old)
        service.api.delete_load_balancer(site.id)
    return f"failed over within {took:.1f} s; {lost} of {traffic.total} requests were lost"


def _until_more_was_answered(traffic: Traffic) -> None:
    wanted = traffic.answers.total() + 40
    until(lambda: traffic.answers.total() >= wanted, 10, "40 more answers")


def _put(api: Api, path: str) -> None:
    status, text = api.ask("PUT", path)
    assert (status, text) == (202, b""), text


def _check_that_it_is_gone(service: Service, site: Site, old: str) -> None:
    new = service.amphora_of(site.id)
    assert new != old
    assert service.processes_of_amphora(old) == []
    assert service.amphora_directories() == {new}
    assert [each["id"] for each in _amphorae(service.api)] == [new]
    assert _amphorae(service.api)[0]["status"] == "ALLOCATED"


def _amphorae(api: Api) -> list[Document]:
    _, text = api.ask("GET", AMPHORAE)
    found: list[Document] = json.loads(text)["amphorae"]
    return found


def agent_configured(service: Service) -> str:
    """The agent keeps its file up to date and goes on telling how its members are."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        amphora = service.amphora_of(site.id)
        file = Path(service.amphorae, amphora, "amphora-agent.conf")
        file.write_text("[health_manager]\nheartbeat_key = forgotten\n")
        _put(service.api, f"{AMPHORAE}/{amphora}/config")
        until(lambda: service.events(amphora)["AmphoraAgentConfigured"], 10, "the agent to be configured")
        assert f"amphora_id = {amphora}" in file.read_text()
        site.monitor()
        until(lambda: site.operating_status_of(site.members[0]) == "ONLINE", 10, "a heartbeat with its member")
        assert service.amphora_of(site.id) == amphora
        service.api.delete_load_balancer(site.id)
    return "an agent took its settings and goes on"
