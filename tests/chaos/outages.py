"""What the service stands on is away, full or slow for a while: users are told so, nothing is lost, nothing is done."""

import os
import re
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from infra.options import read
from infra.process_table import daemons_in, send, wait_until_gone
from tests.chaos.asking import Asking, asking
from tests.chaos.outcome import require_verified
from tests.kafka.relaying import end_of_log, messages_until
from tests.system.api import Refused, until
from tests.system.backends import Backend, backends
from tests.system.scenarios.replicas import leader_of
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.small_disk import fill
from tests.system.traffic import under_traffic

RECOVERY_SECONDS = 5.0
DUTIES = ("health manager", "housekeeping")
FAILOVERS = ("AmphoraReplaced", "AmphoraFailed", "AmphoraLeftService", "AutomaticFailoverSuspended")


def database_away(service: Service, *, seconds: float, hangs: bool) -> str:
    """PostgreSQL says nothing to anybody (`hangs`), or is not there at all, under all roles with traffic.

    Needs the local profile. Longer than the time-out of heartbeats, or it proves little.
    """
    away = _hanging if hangs else _gone
    with _a_scene(service) as scene:
        with scene.undisturbed_traffic():
            with away(service):
                began = time.monotonic()
                time.sleep(seconds)
            recovered = scene.require_recovered(time.monotonic())
        told = scene.asked.require_answered(began)
        assert scene.asked.count(503, began) > 0, "nobody noticed the outage"
        said = scene.end()
    return f"PostgreSQL {'hung' if hangs else 'gone'} for {seconds:.0f} s: {told}; {recovered}; {said}"


def disk_full(service: Service, disk: Path, *, seconds: float) -> str:
    """PostgreSQL's disk is full: changes are refused, what is there is still shown, and all heals once there is room.

    disk  small, and nothing but PostgreSQL is on it
    """
    with _a_scene(service) as scene:
        service.query("SELECT pg_switch_wal()")
        with service.database() as connection:
            # Segments of its log stand ready after this: without the next one it would end itself.
            connection.execute("CHECKPOINT")
        with scene.undisturbed_traffic():
            ballast = fill(disk)
            began = time.monotonic()
            try:
                until(lambda: scene.asked.count(503, began) > 0, 90, "a change to be refused")
                refused = time.monotonic()
                time.sleep(seconds)
                reads = {answer.status for answer in scene.asked.since(refused) if answer.method == "GET"}
            finally:
                ballast.unlink()
            recovered = scene.require_recovered(time.monotonic())
        assert reads == {200}, f"reads were answered {reads}"
        told = scene.asked.require_answered(began)
        said = scene.end()
    return f"PostgreSQL's disk full for {seconds:.0f} s: {told}, and reads went on; {recovered}; {said}"


def slow_commits(service: Service, *, seconds: float, delay: float = 2.0) -> str:
    """Every commit takes `delay` longer: all is slow, and nobody takes anything from anybody."""
    with _a_scene(service) as scene:
        terms = _terms(service)
        with scene.undisturbed_traffic():
            with _slow(service, delay):
                began = time.monotonic()
                until(scene.goes_live, 60, "a change to go live all the same", pause=0.5)
                live = time.monotonic() - began
                time.sleep(max(0.0, seconds - live))
            recovered = scene.require_recovered(time.monotonic())
        told = scene.asked.require_answered(began)
        assert scene.asked.count(201, began) > 0, "nothing was accepted"
        assert _terms(service) == terms, "a leader was replaced"
        assert not (taken := _taken_over(service)), f"work was taken from somebody who was at it: {taken}"
        said = scene.end()
    return (
        f"{delay:g} s added to every commit for {seconds:.0f} s: {told}, a change live {live:.1f} s after it was asked "
        f"for; {recovered}; {said}"
    )


def broker_away(service: Service, *, seconds: float) -> str:
    """Kafka is not there: changes are accepted as ever, and once it is back they go on and subscribers hear of all.

    Needs a service with a broker.
    """
    with _a_scene(service) as scene:
        with scene.undisturbed_traffic():
            with _without_broker(service):
                began = time.monotonic()
                time.sleep(seconds)
                behind = relay_lag(service)
            back = time.monotonic()
            assert behind > 0, "the relay does not show that it is behind"
            refused = [answer for answer in scene.asked.since(began) if answer.status not in (200, 201)]
            assert refused == [], refused[:5]
            accepted = scene.asked.count(201, began)
            assert accepted > 0
            until(scene.goes_live, _CATCH_UP_SECONDS, "a change to go live")
            live = time.monotonic() - back
        scene.asked.stop()
        until(lambda: relay_lag(service) == 0, _CATCH_UP_SECONDS, "the relay to catch up")
        said = scene.end()
        published = _require_published(service)
    return (
        f"Kafka gone for {seconds:.0f} s: {accepted} changes accepted meanwhile, the relay {behind:.0f} events behind; "
        f"a change live {live:.1f} s after the broker was back; {published} events, all of them published; {said}"
    )


class _Scene:
    """A site with traffic, and clients that keep asking."""

    def __init__(self, service: Service, site: Site, members: list[Backend], asked: Asking) -> None:
        self.service = service
        self.site = site
        self.members = members
        self.asked = asked
        self.roles = _roles(service)
        self.failovers = failovers(service)
        self.weight = 7

    @contextmanager
    def undisturbed_traffic(self) -> Iterator[None]:
        with under_traffic(self.site.vip, self.site.port, rate=20, kept_connections=1) as traffic:
            yield
        assert traffic.losses == [], traffic.losses[:5]
        assert traffic.total > 0

    def require_recovered(self, back: float) -> str:
        """Every role goes on by itself, as the process that it was."""
        self.weight += 1
        accepted = self._seconds(back, lambda: self.asked.count(201, back) > 0, "a change to be accepted")
        live = self._seconds(back, self.goes_live, "a change to go live")
        led = self._seconds(back, lambda: all(leader_of(self.service, duty) for duty in DUTIES), "duties to be done")
        assert _roles(self.service) == self.roles, "a role was started again"
        return f"then accepted after {accepted:.1f} s, live after {live:.1f} s, duties done after {led:.1f} s"

    def goes_live(self) -> bool:
        """Asked for again until it is accepted, and then until the amphora has it."""
        path, wanted = f"{self.site.members_path}/{self.site.members[0]}", self.weight
        with suppress(Refused):
            member = self.site.api.get(path)
            if member["weight"] == wanted:
                return str(member["provisioning_status"]) == "ACTIVE"
            self.site.change_member(self.site.members[0], weight=wanted)
        return False

    def _seconds(self, since: float, condition: Callable[[], bool], waiting_for: str) -> float:
        until(condition, since + RECOVERY_SECONDS - time.monotonic(), waiting_for)
        return time.monotonic() - since

    def end(self) -> str:
        """All has come to its end, nothing was replaced, and health is still watched."""
        self.asked.stop()
        self.members[1].kill()
        until(lambda: healths(self.site) == ["ONLINE", "ERROR"], 15, "the dead member to be ERROR")
        said = self.asked.require_nothing_lost()
        self.site.wait(30)
        self.service.wait_until_quiet(30)
        assert failovers(self.service) == self.failovers, "our own trouble replaced an amphora"
        require_verified(self.service)
        self.site.api.delete_load_balancer(self.site.id)
        return said


@contextmanager
def _a_scene(service: Service) -> Iterator[_Scene]:
    with backends("127.0.1.1", "127.0.1.2") as members:
        site = a_site(service.api, members)
        site.monitor()
        until(lambda: healths(site) == ["ONLINE", "ONLINE"], 15, "both members to be ONLINE")
        with asking(service.api, site.id) as asked:
            until(lambda: {answer.status for answer in asked.since(0)} == {200, 201}, 10, "all to be well")
            yield _Scene(service, site, members, asked)


def healths(site: Site) -> list[str]:
    return [site.operating_status_of(id) for id in site.members]


def _roles(service: Service) -> set[int]:
    return set(daemons_in(service.directory / "log"))


def failovers(service: Service) -> dict[str, int]:
    events = service.events()
    return {topic: events[topic] for topic in FAILOVERS}


# How a database can be away


@contextmanager
def _hanging(service: Service) -> Iterator[None]:
    """Connections stay open or are taken, and nothing answers. The first process first: it makes the others."""
    postmaster = _postmaster(service)
    os.kill(postmaster, signal.SIGSTOP)
    others = daemons_in(service.directory / "postgresql")
    send(others, signal.SIGSTOP)
    try:
        yield
    finally:
        send([*others, postmaster], signal.SIGCONT)


@contextmanager
def _gone(service: Service) -> Iterator[None]:
    """Connections are refused. Whoever would start it again stands still meanwhile, and does so afterwards."""
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    try:
        remains = daemons_in(service.directory / "postgresql")
        os.kill(_postmaster(service), signal.SIGINT)
        assert wait_until_gone(remains, 20)
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)
    until(lambda: _answers(service), 30, "PostgreSQL to be back")


def _postmaster(service: Service) -> int:
    return int((service.directory / "postgresql/data/postmaster.pid").read_text().split()[0])


def _answers(service: Service) -> bool:
    with suppress(psycopg.Error):
        return service.query("SELECT 1") == [(1,)]
    return False


# How a database can be slow

_SLOW_COMMIT = """
CREATE TABLE IF NOT EXISTS slowness (seconds float);
GRANT SELECT ON slowness TO PUBLIC;
CREATE OR REPLACE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('tacitus.slowed', true) IS DISTINCT FROM pg_current_xact_id()::text THEN
        PERFORM set_config('tacitus.slowed', pg_current_xact_id()::text, true);
        PERFORM pg_sleep(seconds) FROM slowness;
    END IF;
    RETURN NULL;
END $$;
"""
_WATCH_LEASES = """
DROP TABLE IF EXISTS takeovers;
CREATE TABLE takeovers (kind text, old text, new text);
CREATE OR REPLACE FUNCTION note_takeover() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO takeovers VALUES (new.kind, old.owner, new.owner);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note_takeover AFTER UPDATE ON actions FOR EACH ROW
WHEN (old.owner IS NOT NULL AND new.attempt > old.attempt) EXECUTE FUNCTION note_takeover();
"""
_SLOW_TABLE = """
CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT OR UPDATE OR DELETE ON {} DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION slow_commit()
"""


@contextmanager
def _slow(service: Service, delay: float) -> Iterator[None]:
    """Once in each transaction that wrote something, when it commits."""
    tables = [name for (name,) in service.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    with service.database() as connection:
        connection.execute(_SLOW_COMMIT)
        connection.execute(_WATCH_LEASES)
        for table in tables:
            connection.execute(SQL(_SLOW_TABLE).format(Identifier(table)))
        connection.execute("INSERT INTO slowness VALUES (%s)", (delay,))
        try:
            yield
        finally:
            connection.execute("DELETE FROM slowness")
            for table in tables:
                connection.execute(SQL("DROP TRIGGER slow_commit ON {}").format(Identifier(table)))


def _terms(service: Service) -> list[tuple[str, int]]:
    return [(str(duty), int(number)) for duty, number in service.query("SELECT duty, number FROM terms ORDER BY duty")]


def _taken_over(service: Service) -> list[tuple[str, str, str]]:
    """Actions that somebody claimed while the lease of somebody else, or of an own attempt, had only run out."""
    return [(str(kind), str(old), str(new)) for kind, old, new in service.query("SELECT kind, old, new FROM takeovers")]


# How a broker can be away

_CATCH_UP_SECONDS = 30.0


@contextmanager
def _without_broker(service: Service) -> Iterator[None]:
    assert service.process
    service.process.send_signal(signal.SIGSTOP)
    try:
        brokers = daemons_in(service.directory / "kafka")
        send(brokers, signal.SIGKILL)
        assert brokers
        assert wait_until_gone(brokers, 20)
        yield
    finally:
        service.process.send_signal(signal.SIGCONT)
    (broker,) = read([service.directory / "tacitus.conf"]).kafka_bootstrap_servers
    until(lambda: _takes_connections(broker), 60, "the broker to be back", pause=0.1)


def _takes_connections(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def relay_lag(service: Service) -> float:
    """The most that any of the relays says."""
    urls = [found[1] for line in service.said if (found := re.match(r"relay\S*: (http://\S+)", line))]
    texts = [urllib.request.urlopen(url, timeout=10).read().decode() for url in urls]
    return max(float(lag) for text in texts for lag in re.findall(r"^tacitus_relay_lag (\S+)", text, re.M))


def _require_published(service: Service) -> int:
    """A subscriber that comes now finds every event, or waits for ever. Returns how many there are."""
    settings = read([service.directory / "tacitus.conf"])
    found = messages_until(settings, end_of_log(settings))
    return len({message.position for messages in found for message in messages})
