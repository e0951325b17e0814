"""Real amphorae on this machine: how long they take to build, to change, and what they weigh."""

import os
import re
import socket
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from benchmarks.load import median, quantile
from benchmarks.processes import proportional_mebibytes
from benchmarks.result import Extent, Result
from tests.system.api import until
from tests.system.conftest import a_service
from tests.system.scenarios.crowd import concurrent_changes
from tests.system.service import Service
from tests.system.site import Site, a_site

_TIMES = """
SELECT topic, convert_from(state, 'UTF8')::jsonb ->> 'timestamp' FROM tacitus_events
WHERE originator_id = (SELECT id FROM amphorae WHERE load_balancer_id = %s)
"""


def real_amphorae(extent: Extent) -> list[Result]:
    with a_service() as service:
        subnet = service.api.vip_subnet_id()
        builds = [_build(service, subnet) for _ in range(max(extent.creations // 5, 3))]
        site = a_site(service.api, [])
        member = site.add_member(address="127.0.2.1", protocol_port=9_000)
        site.wait()
        lives = [_change(service, site, member, weight) for weight in range(2, max(extent.creations // 2, 10))]
        weight = _weight(service, site)
        service.api.delete_load_balancer(site.id)
        crowd = concurrent_changes(service, clients=50, changes=500)
        service.assert_nothing_is_left()
        service.stop()
    return [
        *_told_builds(builds),
        _told_changes(lives),
        weight,
        Result(what="500 changes to one load balancer at once", target="", measured=crowd),
    ]


def _build(service: Service, subnet: str) -> tuple[float, float]:
    """Seconds from POST to ACTIVE, and how many of them the agent took to come up."""
    api = service.api
    started_at = time.perf_counter()
    id = api.create_load_balancer(vip_subnet_id=subnet)["id"]
    until(lambda: api.load_balancer(id)["provisioning_status"] == "ACTIVE", 20, "it to be ACTIVE", pause=0.005)
    took = time.perf_counter() - started_at
    times = {topic: datetime.fromisoformat(at) for topic, at in service.query(_TIMES, id)}
    waited = (times["AmphoraBecameReachable"] - times["AmphoraBooted"]).total_seconds()
    api.delete_load_balancer(id)
    return took, waited


def _told_builds(builds: list[tuple[float, float]]) -> list[Result]:
    took = median([whole for whole, _ in builds])
    own = median([whole - waited for whole, waited in builds])
    return [
        Result(
            what="create to ACTIVE with a local amphora",
            target="p50 1.5 s",
            measured=f"p50 {took:.2f} s ({len(builds)} in a row)",
            holds=took <= 1.5,
        ),
        Result(
            what="our own share of it (all but the wait for the agent)",
            target="p50 150 ms",
            measured=f"p50 {own * 1e3:.0f} ms",
            holds=own <= 0.150,
        ),
    ]


def _change(service: Service, site: Site, member_id: str, weight: int) -> float:
    """Seconds from the request until HAProxy itself tells the new weight."""
    place = service.amphorae / service.amphora_of(site.id)
    server = f"{site.pool_id}:{site.listener_id}/{member_id}"
    started_at = time.perf_counter()
    site.change_member(member_id, weight=weight)
    until(lambda: _told_weight(place, site.id, server) == weight, 10, "HAProxy to have the weight", pause=0.002)
    took = time.perf_counter() - started_at
    site.wait()
    return took


def _told_weight(place: Path, load_balancer_id: str, server: str) -> int | None:
    """None while HAProxy is between two processes. By way of /proc, as the path is too long for a socket's name."""
    directory = os.open(place, os.O_RDONLY)
    try:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
            connection.connect(f"/proc/self/fd/{directory}/octavia/{load_balancer_id}.sock")
            connection.sendall(f"get weight {server}\n".encode())
            found = re.match(rb"(\d+) ", connection.recv(4_096))
            return int(found[1]) if found else None
    finally:
        os.close(directory)
    return None


def _told_changes(lives: list[float]) -> Result:
    p50, p99 = (quantile(lives, share) * 1e3 for share in (0.5, 0.99))
    return Result(
        what="a member change live in HAProxy",
        target="p50 300 ms",
        measured=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(lives)} in a row)",
        holds=p50 <= 300,
    )


def _weight(service: Service, site: Site) -> Result:
    processes = service.processes_of_amphora(service.amphora_of(site.id))
    mebibytes = proportional_mebibytes(processes)
    return Result(
        what="one amphora: agent, sender and HAProxy, proportional",
        target="at most 70 MiB",
        measured=f"{mebibytes:.0f} MiB in {len(processes)} processes",
        holds=mebibytes <= 70,
    )
