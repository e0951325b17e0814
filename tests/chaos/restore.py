"""The database goes back in time under running roles: all stop, somebody decides, and all agrees with the log."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

from infra.embedded_postgres import EmbeddedPostgres
from infra.options import read
from infra.process_table import daemons_in, wait_until_gone
from infra.settings import Settings
from tests.chaos.outages import relay_lag
from tests.chaos.outcome import require_verified
from tests.kafka.relaying import topic_reader
from tests.system.api import LOST, Refused, until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.traffic import under_traffic

_ALARM = "the log went back in time"
_SETTLE_SECONDS = 60.0


def restored(service: Service, *, events: int) -> str:
    """Three load balancers: one that changed after the backup, one made after it, one deleted after it.

    Needs the local profile, a broker, and nothing else in the service.
    """
    with backends("127.0.1.1", "127.0.1.2") as members:
        kept, deleted = a_site(service.api, members), a_site(service.api, members)
        service.wait_until_quiet()
        backup = _backup(service)
        before = _end(service)
        a_site(service.api, members)
        service.api.delete_load_balancer(deleted.id)
        lost = _change_for(service, kept, before + events) - before
        _wait_until_seen(service, before + lost)

        with under_traffic(kept.vip, kept.port, rate=50, kept_connections=2) as traffic:
            _restore(service, backup)
            began = time.monotonic()
            until(lambda: _silent_about_it(service) == [], _SETTLE_SECONDS, "every role to stop with the alarm")
            stopped = time.monotonic() - began
            assert _end(service) == before, "somebody wrote into the log that went back"
            _adopt(service, why="the backup is old")
            began = time.monotonic()
            until(lambda: _answers(service), _SETTLE_SECONDS, "the API to be back")
            until(lambda: _agrees(service, kept, deleted), _SETTLE_SECONDS, "amphorae to run what the log says")
            until(lambda: _is_swept(service), _SETTLE_SECONDS, "what the log does not know to be gone")
            deleted.wait_until_it_serves(_SETTLE_SECONDS)
            service.wait_until_quiet(_SETTLE_SECONDS)
            agreed = time.monotonic() - began
            kept.change_member(kept.members[0], weight=77)
            kept.wait()
        assert traffic.losses == [], traffic.losses[:5]
        assert "weight 77" in service.configuration_of(kept.id)
        published = _require_published(service, before)
        require_verified(service)
        for site in (kept, deleted):
            site.api.delete_load_balancer(site.id)
    return (
        f"{lost} events lost; all {len(_roles(service))} processes stopped with the alarm within {stopped:.1f} s; "
        f"all agrees {agreed:.1f} s after the adoption; "
        f"a subscriber has the {published} events of the log; {traffic.total} requests, none lost"
    )


# A backup, and back to it


def _backup(service: Service) -> Path:
    """A physical one, as operators make it, while all runs."""
    place = service.directory / "postgresql/backup"
    program = EmbeddedPostgres(place.parent).programs / "pg_basebackup"
    owner = place.parent.stat()
    url = read([service.directory / "tacitus.conf"]).owner_url
    subprocess.run(
        [program, "--dbname", url, "--pgdata", place, "--checkpoint=fast", "--wal-method=stream"],
        check=True,
        capture_output=True,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[],
        cwd=place.parent,
    )
    return place


def _restore(service: Service, backup: Path) -> None:
    """Whoever would start the server again stands still meanwhile."""
    data = service.directory / "postgresql/data"
    with _supervisor_stands_still(service):
        remains = daemons_in(service.directory / "postgresql")
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        assert wait_until_gone(remains, 20)
        shutil.rmtree(data)
        backup.rename(data)


@contextmanager
def _supervisor_stands_still(service: Service) -> Iterator[None]:
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)


# What is lost


def _change_for(service: Service, site: Site, end: int) -> int:
    """Change a member until the log ends at this position or later; returns where it ends."""
    weight = 1
    while _end(service) < end:
        weight = weight % 100 + 1
        site.change_member(site.members[1], weight=weight)
        site.wait()
    service.wait_until_quiet()
    return _end(service)


def _wait_until_seen(service: Service, position: int) -> None:
    """By all: what a service did not see it cannot miss."""
    seen = service.directory / "seen"
    until(
        lambda: all(f"{position}" in file.read_text() for file in seen.iterdir() if file.is_file()),
        10,
        "every role to have seen the end of the log",
    )


def _end(service: Service) -> int:
    ((end,),) = service.query("SELECT max(notification_id) FROM tacitus_events")
    return int(end)


# What must be so afterwards


def _roles(service: Service) -> list[Path]:
    return sorted((service.directory / "log").glob("*.log"))


def _silent_about_it(service: Service) -> list[str]:
    with suppress(Exception):  # the database is about to come back
        return [log.stem for log in _roles(service) if _ALARM not in log.read_text()]
    return ["?"]


def _adopt(service: Service, *, why: str) -> None:
    command = [sys.executable, "-m", "infra.cli", "log", "adopt", "--why", why]
    command += ["--config-file", str(service.directory / "tacitus.conf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr}"


def _answers(service: Service) -> bool:
    with suppress(*LOST, Refused):
        service.api.get("/loadbalancers?limit=1")
        return True
    return False


def _agrees(service: Service, *sites: Site) -> bool:
    """Each amphora runs what is in the log, under the log's new id."""
    ((log_id,),) = service.query("SELECT id FROM log_identity")
    for site in sites:
        with suppress(ValueError, OSError):  # it has no amphora at this moment, or that one has no file yet
            text = service.configuration_of(site.id)
            weights = {str(member["weight"]) for member in service.api.get(site.members_path)}
            if text.startswith(f"# tacitus {log_id} ") and all(f"weight {weight}" in text for weight in weights):
                continue
        return False
    return True


def _is_swept(service: Service) -> bool:
    known = {str(id) for (id,) in service.query("SELECT id FROM amphorae")}
    return service.amphora_directories() <= known


def _require_published(service: Service, end_of_former_life: int) -> int:
    """A subscriber that keeps the rules of docs/events.md has exactly the log. Returns how many events that is."""
    settings = read([service.directory / "tacitus.conf"])
    until(lambda: relay_lag(service) == 0, _SETTLE_SECONDS, "the relay to catch up")
    wanted = {position for (position,) in service.query("SELECT notification_id FROM tacitus_events")}
    ((log_id,),) = service.query("SELECT id FROM log_identity")
    kept = {position for source, position in _topic(settings) if source == log_id or position <= end_of_former_life}
    assert kept == wanted, f"{len(wanted - kept)} are missing, {len(kept - wanted)} too many"
    return len(kept)


def _topic(settings: Settings) -> Iterator[tuple[UUID, int]]:
    """Log and position of every message."""
    with topic_reader(settings) as consumer:
        ends = consumer.end_offsets(list(consumer.assignment()))
        while any(consumer.position(place) < end for place, end in ends.items()):
            for records in consumer.poll(timeout_ms=1_000).values():
                for record in records:
                    said = dict(record.headers)
                    yield UUID(said["ce_source"].decode().removeprefix("urn:uuid:")), int(said["ce_id"])
