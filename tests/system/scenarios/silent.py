"""Amphorae that accept connections and never answer: a change to another load balancer does not wait for them."""

import signal
import time
from statistics import median

from infra.process_table import daemons_in, send
from tests.system.api import Document, until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import Site, a_site

SAMPLES = 30


def silent_amphorae(service: Service, *, amphorae: int) -> str:
    """Needs a service of its own, whose amphorae are stopped. Returns the median of a change before and meanwhile."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        silent = [service.api.create_load_balancer()["id"] for _ in range(amphorae)]
        for id in silent:
            service.api.wait_until_active(id, 120)
        quiet = _seconds_until_live(site)
        stopped = [pid for id in silent for pid in daemons_in(service.amphorae / service.amphora_of(id))]
        send(stopped, signal.SIGSTOP)
        try:
            for id in silent:
                service.api.post("/listeners", "listener", loadbalancer_id=id, protocol="TCP", protocol_port=9_000)
            until(lambda: _held(service) >= min(amphorae, 20), 20, "workers to wait for those that are silent")
            meanwhile = _seconds_until_live(site)
        finally:
            send(stopped, signal.SIGCONT)
    ratio = median(meanwhile) / median(quiet)
    return (
        f"{amphorae} silent amphorae: a change of another load balancer took {median(meanwhile) * 1_000:.0f} ms p50, "
        f"{max(meanwhile) * 1_000:.0f} ms at most, quiet {median(quiet) * 1_000:.0f} ms: {ratio:.2f} times as long"
    )


def _seconds_until_live(site: Site) -> list[float]:
    taken = []
    for n in range(SAMPLES):
        began = time.monotonic()
        site.api.put(f"/pools/{site.pool_id}", "pool", {"lb_algorithm": ["ROUND_ROBIN", "SOURCE_IP"][n % 2]})
        until(lambda: _pool(site)["provisioning_status"] == "ACTIVE", 30, "the pool to be ACTIVE", pause=0.005)
        taken.append(time.monotonic() - began)
    return taken


def _pool(site: Site) -> Document:
    found: Document = site.api.get(f"/pools/{site.pool_id}")
    return found


def _held(service: Service) -> int:
    ((held,),) = service.query("SELECT count(*) FROM actions WHERE owner IS NOT NULL")
    return int(held)
