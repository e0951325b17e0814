"""What must be so once the killing has ended, whatever was killed."""

import subprocess
import sys
from collections.abc import Sequence

from projections.known import PROJECTIONS
from tests.chaos.clients import Client, Expected
from tests.system.api import LOST, Refused, until
from tests.system.service import Service

SETTLE_SECONDS = 120.0


def require_all_well(service: Service, clients: Sequence[Client]) -> str:
    """Raises AssertionError. Returns what was seen in a few words."""
    expected = [each for client in clients for each in client.load_balancers]
    until(lambda: _is_settled(service), SETTLE_SECONDS, "nothing to be pending", pause=0.2)
    for each in expected:
        _require_as_promised(service, each)
    _require_created_once(service, expected)
    require_verified(service)
    gone = sum(each.is_deleted for each in expected)
    return (
        f"{len(expected)} load balancers created, {gone} deleted, {sum(client.answers for client in clients)} changes"
    )


def _is_settled(service: Service) -> bool:
    try:
        pending = service.query("SELECT count(*) FROM shown_load_balancers WHERE provisioning_status LIKE 'PENDING%%'")
        waiting = service.query("SELECT count(*) FROM actions")
        service.api.get("/loadbalancers?limit=1")
    except (*LOST, Refused, Exception):  # the database or the API is about to come back
        return False
    return pending == [(0,)] and waiting == [(0,)]


def _require_as_promised(service: Service, promised: Expected) -> None:
    listed = service.api.get(f"/loadbalancers?id={promised.id}")
    if promised.is_deleted:
        assert listed == [], f"{promised.id} was deleted, and is {listed[0]['provisioning_status']}"
        return
    (shown,) = listed
    assert shown["provisioning_status"] == "ACTIVE", shown
    assert shown["name"] == promised.name
    assert {pool["id"] for pool in shown["pools"]} == set(promised.pools)
    for pool, members in promised.pools.items():
        found = service.api.get(f"/pools/{pool}/members")
        assert {(each["address"], each["protocol_port"]): each["weight"] for each in found} == members
        assert {each["provisioning_status"] for each in found} <= {"ACTIVE"}


def _require_created_once(service: Service, expected: Sequence[Expected]) -> None:
    """However often a creation was sent, it is in the log once; and nothing is there that nobody was promised."""
    created = service.query("SELECT originator_id::text FROM tacitus_events WHERE topic = 'LoadBalancerCreated'")
    ids = [id for (id,) in created]
    promised = {each.id for each in expected}
    assert len(ids) == len(set(ids))
    assert promised == set(ids), f"{len(set(ids) - promised)} more than were promised, {len(promised - set(ids))} less"


def require_verified(service: Service) -> None:
    """By the operators' own tools: the log keeps its rules, and rows are what it says."""
    settings = ["--config-file", str(service.directory / "tacitus.conf")]
    replays = [["replay", name, "--verify"] for name in PROJECTIONS]
    for verb in (["verify", "--rows", "all"], *replays):
        done = subprocess.run(
            [sys.executable, "-m", "infra.cli", *verb, *settings], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"tacitus {' '.join(verb)}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
