"""Many clients at one load balancer at once, and one that never lets it rest."""

import re
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.system.service import Service
from tests.system.site import Site, a_site


def concurrent_changes(service: Service, *, clients: int, changes: int) -> str:
    """`changes` in all. None is refused, none is lost, and the amphora ends with exactly the last of them."""
    site = a_site(service.api, [])
    members = [site.add_member(address=f"127.0.2.{n + 1}", protocol_port=9_000) for n in range(clients)]
    site.wait()
    before = service.events(site.id)

    with ThreadPoolExecutor(clients) as pool:
        started_at = time.monotonic()
        list(pool.map(lambda id: _change(site, id, changes // clients), members))  # raises what was refused
        accepted_after = time.monotonic() - started_at
        site.wait(30)
        active_after = time.monotonic() - started_at

    news = service.events(site.id) - before
    made = changes // clients * clients
    assert news["MembersChanged"] == made, news
    wanted = {id: changes // clients for id in members}
    assert {each["id"]: each["weight"] for each in service.api.get(site.members_path)} == wanted
    assert weights_of(service.configuration_of(site.id)) == wanted
    service.api.delete_load_balancer(site.id)
    rate = made / accepted_after
    return (
        f"{clients} clients made {made} changes in {accepted_after:.1f} s ({rate:.0f}/s), "
        f"ACTIVE after {active_after:.1f} s, {news['ConfigurationApplied']} pushes"
    )


def _change(site: Site, member_id: str, times: int) -> None:
    for weight in range(1, times + 1):
        site.change_member(member_id, weight=weight)


def weights_of(configuration: str) -> Mapping[str, int]:
    """Member id -> weight, as HAProxy was told."""
    return {id: int(weight) for id, weight in re.findall(r"^ +server (\S+) .*?weight (\d+)", configuration, re.M)}


def restless_client(service: Service, *, seconds: float) -> str:
    """A member is changed twice a second; whoever polls once a second sees ACTIVE within 10 s each time.

    The two keep step, so a change has to be through quickly, or the poller looks into it again and again.
    """
    site = a_site(service.api, [])
    member = site.add_member(address="127.0.2.1", protocol_port=9_000)
    site.wait()
    stop = threading.Event()

    def change() -> None:
        weight = 0
        while not stop.wait(0.5):
            weight += 1
            site.change_member(member, weight=weight % 200 + 1)

    changing = ThreadPoolExecutor(1)
    outcome = changing.submit(change)
    seen_at, longest, polls, until = time.monotonic(), 0.0, 0, time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1)  # the poller's own pace
        polls += 1
        if site.api.load_balancer(site.id)["provisioning_status"] == "ACTIVE":
            seen_at = time.monotonic()
        longest = max(longest, time.monotonic() - seen_at)
        assert longest <= 10, f"not ACTIVE for {longest:.1f} s"
    stop.set()
    outcome.result(10)
    changing.shutdown()
    service.api.delete_load_balancer(site.id)
    return f"{polls} polls in {seconds:.0f} s: the longest time without ACTIVE was {longest:.0f} s"
