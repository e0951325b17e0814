"""What dies comes back: a member, HAProxy, a whole amphora."""

import os
import signal
import time
from collections.abc import Callable

from tests.system.api import until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.traffic import fetch


def killed_backend(service: Service) -> str:
    """Within 5 s ERROR in the status tree, and ONLINE again when it is back."""
    with backends("127.0.1.1", "127.0.1.2") as members:
        site = a_site(service.api, members)
        site.monitor(delay=1, timeout=1, max_retries_down=2)
        until(lambda: _statuses(site) == ["ONLINE", "ONLINE"], 10, "both members to be ONLINE")

        members[1].kill()
        down = _seconds(lambda: _statuses(site) == ["ONLINE", "ERROR"], 5, "the killed member to be ERROR")
        assert {fetch(site.vip, site.port) for _ in range(20)} == {f"{members[0].address}:{members[0].port}"}
        members[1] = members[1].again()
        up = _seconds(lambda: _statuses(site) == ["ONLINE", "ONLINE"], 5, "it to be ONLINE again")
        service.api.delete_load_balancer(site.id)
    return f"a killed backend was ERROR after {down:.1f} s, and back ONLINE after {up:.1f} s"


def killed_haproxy(service: Service) -> str:
    """The agent starts it again within 3 s."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        amphora = service.amphora_of(site.id)
        victims = service.processes_of_amphora(amphora, "haproxy")
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        started_at = time.monotonic()
        site.wait_until_it_serves(3)
        back = time.monotonic() - started_at
        assert service.amphora_of(site.id) == amphora
        service.api.delete_load_balancer(site.id)
    return f"HAProxy served again {back:.2f} s after kill -9"


def killed_amphora(service: Service) -> str:
    """Within 15 s a new one serves; the dead one is gone, directory included."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        amphora = service.amphora_of(site.id)
        victims = service.processes_of_amphora(amphora)
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        started_at = time.monotonic()
        site.wait_until_it_serves(15)
        back = time.monotonic() - started_at
        until(lambda: amphora not in service.amphora_directories(), 10, "the dead amphora to be gone")
        site.wait()
        assert service.amphora_of(site.id) != amphora
        assert service.events(site.id)["AmphoraReplaced"] == 1
        service.api.delete_load_balancer(site.id)
    return f"a new amphora served {back:.1f} s after kill -9 of the old one"


def _statuses(site: Site) -> list[str]:
    return [site.operating_status_of(id) for id in site.members]


def _seconds(condition: Callable[[], bool], seconds: float, waiting_for: str) -> float:
    started_at = time.monotonic()
    until(condition, seconds, waiting_for)
    return time.monotonic() - started_at
