"""`./dev demo`: a load balancer under real traffic, what happens when things die, and the history of it all."""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psycopg

from infra.demo_stage import Api, Member, Screen, TooLate, fetch, serves, under_traffic, wait_for
from infra.options import read
from infra.process_table import daemons_in, program_of, send
from infra.state_directory import StateDirectory, default_state_directory
from infra.timeline import timeline

PORT = 8080
REQUESTS = 1_000
CHANGES = 16


@dataclass
class Demo:
    """The story, on a service that runs.

    state  its state directory: whoever wants to kill amphorae must know where they live
    """

    screen: Screen
    api: Api
    state: Path
    members: list[Member] = field(default_factory=list)
    id: str = ""
    vip: str = ""
    pool_id: str = ""

    def tell(self) -> None:
        """Raises TooLate when something that was promised does not happen."""
        with self._members_on_stage():
            try:
                self._create()
                self._share_out()
                self._change_under_traffic()
                self._kill_a_member()
                self._kill_haproxy()
                self._kill_the_amphora()
                self._delete()
            finally:
                self._show_history()

    @contextmanager
    def _members_on_stage(self) -> Iterator[None]:
        self.members = [Member(name, f"127.0.1.{n}") for n, name in enumerate(("Annales", "Historiae"), 1)]
        try:
            yield
        finally:
            for member in self.members:
                member.kill()

    # The acts

    def _create(self) -> None:
        self.screen.title("1. A load balancer, made with the unmodified openstack command")
        name = f"demo-{random.randbytes(2).hex()}"
        self._openstack(f"create --name {name} --vip-subnet-id vip-subnet --wait")
        (found,) = self.api.ask("GET", f"/loadbalancers?name={name}")
        self.id, self.vip = found["id"], found["vip_address"]
        self._openstack(f"listener create --name {name}-http --protocol HTTP --protocol-port {PORT} --wait {name}")
        self._openstack(
            f"pool create --name {name}-pool --listener {name}-http --protocol HTTP --lb-algorithm ROUND_ROBIN --wait"
        )
        for member in self.members:
            self._openstack(
                f"member create --name {member.name} --address {member.address} --protocol-port {member.port} "
                f"--wait {name}-pool"
            )
        self._openstack(
            f"healthmonitor create --name {name}-monitor --type HTTP --delay 1 --timeout 1 --max-retries 1 "
            f"--max-retries-down 2 --wait {name}-pool"
        )
        (pool,) = self.api.ask("GET", f"/pools?name={name}-pool")
        self.pool_id = pool["id"]
        wait_for(self.screen, "both members are ONLINE", lambda: self._statuses() == ["ONLINE", "ONLINE"], 15)
        self.screen.done(f"two members behind http://{self.vip}:{PORT}, both ONLINE")

    def _share_out(self) -> None:
        self.screen.title(f"2. {REQUESTS:,} requests through the VIP")
        answers: Counter[str] = Counter()
        for number in range(1, REQUESTS + 1):
            answers[fetch(self.vip, PORT)] += 1
            if number % 20 == 0:
                self.screen.progress(number / REQUESTS, f"{number} requests")
        self.screen.done(", ".join(f"{name}: {count}" for name, count in sorted(answers.items())))

    def _change_under_traffic(self) -> None:
        self.screen.title(
            "3. Weights change, a member comes and goes; clients with new and with kept connections watch"
        )
        path = f"/pools/{self.pool_id}/members"
        first, second = self._member_ids()
        with under_traffic(self.vip, PORT) as traffic, _guest() as guest:
            for number in range(CHANGES):
                match number % 4:
                    case 0:
                        self.api.ask("PUT", f"{path}/{first}", {"member": {"weight": random.randint(1, 20)}})
                    case 1:
                        settings = {"name": guest.name, "address": guest.address, "protocol_port": guest.port}
                        visit = self.api.ask("POST", path, {"member": settings})["id"]
                    case 2:
                        self.api.ask("PUT", f"{path}/{second}", {"member": {"weight": random.randint(1, 20)}})
                    case _:
                        self.api.ask("DELETE", f"{path}/{visit}")
                told = f"{number + 1} changes, {traffic.total} requests, {traffic.lost} lost"
                self.screen.progress((number + 1) / CHANGES, told)
                time.sleep(0.5)  # somebody at a keyboard
            self._wait_until_active()
        verdict = self.screen.failed if traffic.lost else self.screen.done
        verdict(f"{CHANGES} changes, {traffic.total:,} requests, {traffic.lost} lost")
        self.screen.say("  answered by " + ", ".join(f"{who} ({n})" for who, n in sorted(traffic.answers.items())))

    def _kill_a_member(self) -> None:
        victim = self.members[1]
        self.screen.title(f"4. The member {victim.name} is killed")
        victim.kill()
        took = wait_for(self.screen, "the status tree shows it", lambda: "ERROR" in self._statuses(), 5)
        self.screen.done(f"ERROR in the status tree after {took:.1f} s; the other one serves: {fetch(self.vip, PORT)}")
        self.members[1] = victim.again()
        took = wait_for(self.screen, "it is back", lambda: self._statuses() == ["ONLINE", "ONLINE"], 5)
        self.screen.done(f"started again, ONLINE after {took:.1f} s")

    def _kill_haproxy(self) -> None:
        self.screen.title("5. kill -9 of the amphora's HAProxy")
        victims = [pid for pid in self._processes(self._amphora()) if program_of(pid) == "haproxy"]
        send(victims, signal.SIGKILL)
        took = wait_for(self.screen, "it serves", lambda: serves(self.vip, PORT), 3)
        self.screen.done(f"its agent started it again: serving after {took:.2f} s")

    def _kill_the_amphora(self) -> None:
        self.screen.title("6. kill -9 of the whole amphora")
        amphora = self._amphora()
        send(self._processes(amphora), signal.SIGKILL)
        took = wait_for(self.screen, "another one serves", lambda: serves(self.vip, PORT), 15)
        self.screen.done(f"amphora {self._amphora()[:8]} serves in the place of {amphora[:8]} after {took:.1f} s")
        gone = self.state / "amphorae" / amphora
        wait_for(self.screen, "the dead one is cleared away", lambda: not gone.exists(), 10)
        self.screen.done("nothing is left of the dead one")
        self._wait_until_active()

    def _delete(self) -> None:
        self.screen.title("7. All of it is deleted")
        self._openstack(f"delete --cascade --wait {self.id}")
        self.screen.done(f"{len(list((self.state / 'amphorae').glob('*')))} amphorae are left, but the history remains")

    def _show_history(self) -> None:
        if not self.id:
            return
        self.screen.title("The history of this load balancer, from the log")
        url = read([StateDirectory(self.state).settings]).database_url
        with psycopg.connect(url) as connection:
            moments = timeline(connection, UUID(self.id))
        for moment in moments:
            self.screen.moment(f"{moment.at:%H:%M:%S.%f}"[:-3], moment.who, moment.stream, moment.what)

    # What the acts are made of

    def _openstack(self, words: str) -> None:
        """The command as a person types it, with what a machine without Keystone needs left out of the picture."""
        self.screen.command(f"openstack loadbalancer {words}")
        program = str(Path(sys.executable).with_name("openstack"))
        command = [program, "--os-auth-type", "none", "--os-endpoint", f"http://127.0.0.1:{self.api.port}"]
        ran = subprocess.run([*command, "loadbalancer", *words.split()], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise RuntimeError(ran.stderr.strip())

    def _wait_until_active(self) -> None:
        def is_active() -> bool:
            return bool(self.api.ask("GET", f"/loadbalancers/{self.id}")["provisioning_status"] == "ACTIVE")

        wait_for(self.screen, "it is ACTIVE", is_active, 20)

    def _member_ids(self) -> list[str]:
        """Of those on stage, in their order."""
        found = {each["name"]: each["id"] for each in self.api.ask("GET", f"/pools/{self.pool_id}/members")}
        return [found[member.name] for member in self.members]

    def _statuses(self) -> list[str]:
        """The operating statuses of the members on stage, from the status tree."""
        (listener,) = self.api.ask("GET", f"/loadbalancers/{self.id}/status")["loadbalancer"]["listeners"]
        shown = {each["id"]: each["operating_status"] for pool in listener["pools"] for each in pool["members"]}
        return [shown[id] for id in self._member_ids()]

    def _amphora(self) -> str:
        """The one that is there last."""
        url = read([StateDirectory(self.state).settings]).database_url
        with psycopg.connect(url) as connection:
            sql = "SELECT id FROM amphorae WHERE load_balancer_id = %s AND stage IN ('plugged', 'in service')"
            row = connection.execute(sql, (self.id,)).fetchone()
        if row is None:
            raise TooLate("there is no amphora in service")
        return str(row[0])

    def _processes(self, amphora: str) -> list[int]:
        return daemons_in((self.state / "amphorae" / amphora).resolve())


@contextmanager
def _guest() -> Iterator[Member]:
    """A third member, that comes and goes."""
    member = Member("Germania", "127.0.1.3")
    try:
        yield member
    finally:
        member.kill()


@contextmanager
def own_service(screen: Screen) -> Iterator[tuple[int, Path]]:
    """A service for the demonstration alone: its port and its state directory. It ends with it."""
    with tempfile.TemporaryDirectory(prefix="tacitus-demo-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o711)  # under root the database is a user of its own and must get through
        state = Path(place) / "state"
        screen.command("./dev run")
        command = [sys.executable, "-m", "infra.cli", "run", "--port", "0", "--state-dir", str(state)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            yield _port_told_by(process), state
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def _port_told_by(process: "subprocess.Popen[str]") -> int:
    assert process.stdout
    for line in process.stdout:
        if found := re.match(r"listening on http://127\.0\.0\.1:(\d+)", line):
            return int(found[1])
    raise TooLate("the service ended before it answered")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when something did not happen as promised."""
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--port", type=int, help="of a service that runs on this machine; without it one is started")
    parser.add_argument("--state-dir", type=Path, default=default_state_directory(), help="of that one (%(default)s)")
    options = parser.parse_args(arguments)
    screen = Screen()
    try:
        if options.port:
            Demo(screen, Api(options.port), options.state_dir.resolve()).tell()
        else:
            with own_service(screen) as (port, state):
                Demo(screen, Api(port), state).tell()
    except (TooLate, RuntimeError, OSError) as error:
        screen.failed(str(error))
        return 1
    except KeyboardInterrupt:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
