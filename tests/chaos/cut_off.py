"""The network between a leader and the database is cut: another one leads soon, and the old one does nothing more."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from psycopg.conninfo import make_conninfo

from infra.leadership import TAKE_OVER_SECONDS
from infra.local_compute import LocalCompute
from infra.options import read
from infra.process_table import daemons_in, send
from processes.ports import BootOrder
from tests.chaos.outages import failovers, healths
from tests.cut import Cuttable, cuttable
from tests.system.api import until
from tests.system.backends import backends
from tests.system.scenarios.replicas import leader_of
from tests.system.service import Service
from tests.system.site import a_site

_NAME = "cut off"
_WATCH_WRITERS = """
CREATE TABLE IF NOT EXISTS writers (position bigint, application text);
CREATE OR REPLACE FUNCTION note_writer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO writers VALUES (new.notification_id, current_setting('application_name'));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note_writer AFTER INSERT ON tacitus_events FOR EACH ROW EXECUTE FUNCTION note_writer();
"""


@dataclass(frozen=True)
class Outsider:
    """A process of a role that reaches the database by a way that can be cut."""

    service: Service
    verb: str
    duty: str
    process: "subprocess.Popen[bytes]"
    way: Cuttable
    log: Path

    def lead(self) -> None:
        """The others stand still until the session of the one that led is over."""
        others = [pid for pid in daemons_in(self.log.parent) if pid != self.process.pid and self._has_duty(pid)]
        send(others, signal.SIGSTOP)
        try:
            until(self.leads, 15, f"the outsider to be the {self.duty}")
        finally:
            send(others, signal.SIGCONT)

    def _has_duty(self, pid: int) -> bool:
        return f"\0{self.verb}\0".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()

    def leads(self) -> bool:
        return leader_of(self.service, self.duty) == self.process.pid

    def cut(self) -> float:
        """Returns after how many seconds another one led."""
        assert self.leads()
        self.way.cut()
        began = time.monotonic()
        until(
            lambda: leader_of(self.service, self.duty) not in (None, self.process.pid),
            TAKE_OVER_SECONDS,
            f"another {self.duty}",
        )
        return time.monotonic() - began

    def mend(self) -> None:
        """Returns once it competes for the duty again, and what it sent meanwhile has arrived."""
        said = len(self.words())
        self.way.mend()
        until(self._asks, 15, "the one that was cut off to be back")
        assert self.process.poll() is None, self.words()[said:]

    def _asks(self) -> bool:
        """A session that competes; the one that led was ended by the database."""
        ((found,),) = self.service.query(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s",
            f"tacitus {self.duty} {self.process.pid}",
        )
        return bool(found)

    def words(self) -> list[str]:
        """What it logged."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [str(line["message"]) for line in lines]

    def events(self) -> int:
        """How many it has recorded."""
        ((found,),) = self.service.query("SELECT count(*) FROM writers WHERE application = %s", _NAME)
        return int(found)


def health_manager_cut_off(service: Service) -> str:
    """A backend dies right after the cut: the other health manager tells of it, once. Needs the local profile."""
    with backends("127.0.1.1") as members, _outsider(service, "health-manager", "health manager") as outsider:
        outsider.lead()
        site = a_site(service.api, members)
        site.monitor()
        until(lambda: healths(site) == ["ONLINE"], 15, "the member to be ONLINE")
        assert outsider.events() > 0, "somebody else recorded that"
        before, replaced = outsider.events(), failovers(service)
        taken = outsider.cut()
        members[0].kill()
        began = time.monotonic()
        until(lambda: healths(site) == ["ERROR"], 20, "the member to be ERROR")
        told = time.monotonic() - began
        outsider.mend()
        assert outsider.events() == before, "the one that was cut off recorded something"
        assert failovers(service) == replaced
        service.api.delete_load_balancer(site.id)
    return (
        f"another health manager led {taken:.1f} s after the cut, a dead backend was ERROR {told:.1f} s after its end"
    )


def housekeeper_cut_off(service: Service) -> str:
    """An amphora that nothing wants appears right after the cut: the other one takes it down."""
    with _outsider(service, "housekeeping", "housekeeping", "[house_keeping]\nreconcile_interval = 0.2\n") as outsider:
        outsider.lead()
        first = _orphan(service)
        until(lambda: not _is_there(service, first), 15, "the outsider to take down what nothing wants")
        assert any(str(first) in line for line in outsider.words()), "somebody else took it down"
        taken = outsider.cut()
        second = _orphan(service)
        until(lambda: not _is_there(service, second), 30, "the other one to take down what nothing wants")
        before = outsider.events()
        outsider.mend()
        assert not any(str(second) in line for line in outsider.words()), "the one that was cut off went on"
        assert outsider.events() == before, "the one that was cut off recorded something"
    return f"another housekeeping led {taken:.1f} s after the cut and swept on; the old one did nothing more"


def _compute(service: Service) -> LocalCompute:
    return LocalCompute(service.directory / "amphorae", command=("sleep", "1000"))


def _orphan(service: Service) -> UUID:
    id = uuid4()
    _compute(service).boot(BootOrder(amphora_id=id, load_balancer_id=uuid4(), files={}))
    return id


def _is_there(service: Service, amphora_id: UUID) -> bool:
    return amphora_id in _compute(service).inventory()


@contextmanager
def _outsider(service: Service, verb: str, duty: str, settings: str = "") -> Iterator[Outsider]:
    """Beside those of the service; it is told by the name that its connections have."""
    kept = service.directory / "tacitus.conf"
    with service.database() as connection:
        connection.execute(_WATCH_WRITERS)
    with cuttable(read([kept]).database_url) as way:
        own = service.directory / f"{verb}-outside.conf"
        url = make_conninfo(way.url, application_name=_NAME)
        own.write_text(f"{settings}[database]\nconnection = {url}\n[health_manager]\nbind_port = {_free_udp_port()}\n")
        log = service.directory / "log" / f"{verb}-outside.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "infra.cli", verb, "--parent", str(os.getpid())]
            command += ["--config-file", str(kept), "--config-file", str(own)]
            process = subprocess.Popen(command, cwd=log.parent, stdout=output, stderr=output, start_new_session=True)
        try:
            yield Outsider(service, verb, duty, process, way, log)
        finally:
            way.mend()
            process.terminate()
            process.wait(30)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
