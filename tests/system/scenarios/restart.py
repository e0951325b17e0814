"""Stopped and started again: the same amphorae serve, and nothing was failed over."""

import time
from contextlib import ExitStack

from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import a_site
from tests.system.traffic import fetch, serves

SERVING_SECONDS = 10


def restart(service: Service, *, load_balancers: int, times: int) -> str:
    """A service that runs is given; it runs again afterwards."""
    with ExitStack() as stack:
        members = stack.enter_context(backends("127.0.1.1", "127.0.1.2"))
        sites = [a_site(service.api, members) for _ in range(load_balancers)]
        amphorae, events = service.amphora_directories(), service.events()
        slowest = 0.0
        for _ in range(times):
            service.stop()
            assert not any(serves(site.vip, site.port) for site in sites)
            started_at = time.monotonic()
            service.start()
            for site in sites:
                site.wait_until_it_serves(SERVING_SECONDS - (time.monotonic() - started_at))
            slowest = max(slowest, time.monotonic() - started_at)
            assert {fetch(sites[0].vip, sites[0].port) for _ in range(2)} == {f"{m.address}:{m.port}" for m in members}
        assert service.amphora_directories() == amphorae
        news = service.events() - events
        assert not {"AmphoraReplaced", "AmphoraRequested", "AmphoraLeftService", "AmphoraRemoved"} & set(news), news
        for site in sites:
            service.api.delete_load_balancer(site.id)
    return f"{load_balancers} load balancers, {times} restarts: every VIP served again after at most {slowest:.1f} s"
