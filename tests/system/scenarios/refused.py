"""Many changes at once of which HAProxy refuses one: the others go live, and correcting it heals it."""

from concurrent.futures import ThreadPoolExecutor

from tests.system.api import Document, until
from tests.system.backends import backends
from tests.system.scenarios.crowd import weights_of
from tests.system.service import Service
from tests.system.site import Site, a_site

TOO_LONG = 3_000_000
"""Seconds between checks: the contract allows it, HAProxy's timers end at 2,147,483,647 ms."""


def one_refused(service: Service, *, changes: int) -> str:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        _change_at_once(site, changes)
        monitor = until(lambda: _monitor_if(site, "ERROR"), 20, "the health monitor to be ERROR")
        site.wait()

        words = _words(service, monitor["id"])
        assert "timer overflow" in words or "inter" in words, words
        members_now = service.api.get(site.members_path)
        assert len(members_now) == changes
        assert {each["provisioning_status"] for each in members_now} == {"ACTIVE"}
        assert len(weights_of(service.configuration_of(site.id))) == changes

        site.change_member(site.members[0], weight=77)  # something else goes live meanwhile
        site.wait()
        assert "weight 77" in service.configuration_of(site.id)
        assert _monitor_if(site, "ERROR")

        service.api.put(f"/healthmonitors/{monitor['id']}", "healthmonitor", {"delay": 5})
        until(lambda: _monitor_if(site, "ACTIVE"), 20, "the corrected health monitor to be ACTIVE")
        assert "inter 5s" in service.configuration_of(site.id) or "inter 5000" in service.configuration_of(site.id)
        site.wait_until_it_serves()
        refusals = service.events(site.id)["ConfigurationRefused"]
        service.api.delete_load_balancer(site.id)
    said = f"{refusals} refusals recorded: {words[:160]!r}"
    return f"{changes - 1} of {changes} went live, 1 was ERROR ({said}), and healed"


def _change_at_once(site: Site, changes: int) -> None:
    """`changes` - 1 new members and a health monitor that no HAProxy takes."""
    adds = [{"address": f"127.0.2.{n}", "protocol_port": 9_000, "backup": True} for n in range(1, changes)]
    with ThreadPoolExecutor(changes) as pool:
        added = [pool.submit(site.add_member, **settings) for settings in adds]
        monitor = pool.submit(
            site.api.post,
            "/healthmonitors",
            "healthmonitor",
            pool_id=site.pool_id,
            type="TCP",
            delay=TOO_LONG,
            timeout=1,
            max_retries=1,
        )
        for each in added:
            each.result()
        monitor.result()


def _monitor_if(site: Site, status: str) -> Document | None:
    (monitor,) = site.api.get(f"/healthmonitors?pool_id={site.pool_id}")
    load_balancer = site.api.load_balancer(site.id)
    assert load_balancer["provisioning_status"] != "ERROR", load_balancer
    return monitor if monitor["provisioning_status"] == status else None


def _words(service: Service, monitor_id: str) -> str:
    ((words,),) = service.query("SELECT reason FROM health_monitors WHERE id = %s", monitor_id)
    return str(words)
