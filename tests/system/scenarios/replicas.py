"""Two of every service: when the one that leads or works is killed, the other goes on within seconds."""

import os
import signal
import time

from infra.leadership import TAKE_OVER_SECONDS
from tests.system.api import until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import a_site


def duties_are_taken_over(service: Service, *, duties: tuple[str, ...], times: int) -> str:
    """Each duty has one holder; after it is killed (-9) another one has it within 5 s."""
    slowest = {duty: max(_take_over(service, duty) for _ in range(times)) for duty in duties}
    return ", ".join(f"{duty} taken over after at most {seconds:.1f} s" for duty, seconds in slowest.items())


def _take_over(service: Service, duty: str) -> float:
    leader = _leader(service, duty)
    os.kill(leader, signal.SIGKILL)
    began = time.monotonic()
    until(lambda: leader_of(service, duty) not in (None, leader), 10, f"another {duty}")
    taken = time.monotonic() - began
    assert taken < TAKE_OVER_SECONDS, f"{duty}: {taken:.1f} s"
    return taken


def _leader(service: Service, duty: str) -> int:
    found: int = until(lambda: leader_of(service, duty), 20, f"a leader of {duty}")
    return found


def leader_of(service: Service, duty: str) -> int | None:
    """The process that holds the duty's lock."""
    holders = service.query(
        "SELECT a.application_name FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid "
        "WHERE l.locktype = 'advisory' AND l.granted AND a.application_name LIKE %s",
        f"tacitus {duty} %",
    )
    assert len(holders) <= 1, holders
    return int(holders[0][0].rsplit(" ", 1)[1]) if holders else None


def health_is_watched_whoever_leads(service: Service) -> str:
    """A backend dies right after the health manager that led: the other one tells of it."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        site.monitor()
        until(lambda: site.operating_status_of(site.members[0]) == "ONLINE", 15, "the member to be ONLINE")
        os.kill(_leader(service, "health manager"), signal.SIGKILL)
        (backend,) = members
        began = time.monotonic()
        backend.kill()
        until(lambda: site.operating_status_of(site.members[0]) == "ERROR", 20, "the member to be ERROR")
        seconds = time.monotonic() - began
        assert service.events(site.id)["AmphoraReplaced"] == 0
        service.api.delete_load_balancer(site.id)
    return f"a dead backend was ERROR {seconds:.1f} s after the health manager had been killed"


def work_of_the_dead_is_taken_over(service: Service) -> str:
    """A worker is killed while it waits for an amphora that does not answer: another one goes on with it within 5 s."""
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        site.wait()
        stopped = service.processes_of_amphora(service.amphora_of(site.id))
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            site.change_member(site.members[0], weight=7)
            owner = until(lambda: _owner(service), 10, "a worker to hold the push")
            os.kill(int(owner.split("/")[1]), signal.SIGKILL)
            began = time.monotonic()
            until(lambda: _owner(service) not in (None, owner), 10, "another worker to hold it", pause=0.01)
            seconds = time.monotonic() - began
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        site.wait()
        service.api.delete_load_balancer(site.id)
    assert seconds < TAKE_OVER_SECONDS, f"{seconds:.1f} s"
    return f"the work of a killed worker was taken over after {seconds:.1f} s"


def _owner(service: Service) -> str | None:
    found = service.query("SELECT owner FROM actions WHERE kind = 'PushConfiguration' AND owner IS NOT NULL")
    return str(found[0][0]) if found else None
