"""`python -m tests.prove [name ...] [--seed S]`: the scenarios of tests/system at the sizes that were promised.

Appends a line for each to docs/proofs.md: when, at which commit, with which seed, and what it saw.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.stage import database
from infra.embedded_postgres import EmbeddedPostgres
from infra.migration import upgrade
from tests.api.lost_answers import Trials
from tests.chaos.cut_off import health_manager_cut_off, housekeeper_cut_off
from tests.chaos.mass_flap import mass_flap
from tests.chaos.no_gaps import no_gaps
from tests.chaos.outages import broker_away, database_away, disk_full, slow_commits
from tests.chaos.restore import restored
from tests.chaos.scenario import kill_anything
from tests.system.conftest import a_service, a_state_directory
from tests.system.scenarios.crowd import concurrent_changes, restless_client
from tests.system.scenarios.failover import killed_amphora, killed_backend, killed_haproxy
from tests.system.scenarios.kill import kill_control_plane
from tests.system.scenarios.refused import one_refused
from tests.system.scenarios.replicas import (
    duties_are_taken_over,
    health_is_watched_whoever_leads,
    work_of_the_dead_is_taken_over,
)
from tests.system.scenarios.restart import restart
from tests.system.scenarios.silent import silent_amphorae
from tests.system.scenarios.traffic import even_shares, nothing_lost
from tests.system.service import Service
from tests.system.small_disk import small_disk

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs/proofs.md"
CHAOS_SEEDS = int(os.environ.get("CHAOS_SEEDS", "100"))

Scenario = Callable[[Service, int], str]
Proof = Callable[[int], str]
"""Takes a seed, returns what it saw."""


def _restart(service: Service, seed: int) -> str:
    return restart(service, load_balancers=10, times=3)


def _traffic(service: Service, seed: int) -> str:
    return f"{even_shares(service, requests=1_000)}; {nothing_lost(service, seconds=120, seed=seed)}"


def _failover(service: Service, seed: int) -> str:
    return "; ".join(scenario(service) for scenario in (killed_backend, killed_haproxy, killed_amphora))


def _kill(service: Service, seed: int) -> str:
    return kill_control_plane(service, moments=20, load_balancers=20, members=50, seed=seed)


def _concurrent(service: Service, seed: int) -> str:
    return concurrent_changes(service, clients=50, changes=500)


def _restless(service: Service, seed: int) -> str:
    return restless_client(service, seconds=300)


def _refused(service: Service, seed: int) -> str:
    return one_refused(service, changes=20)


def _on_a_service(scenario: Scenario) -> Proof:
    """On a service of its own, of which nothing may be left."""

    def proof(seed: int) -> str:
        with a_service() as service:
            said = scenario(service, seed)
            service.assert_nothing_is_left()
            service.stop()
        return said

    return proof


def _lost(seed: int) -> str:
    """On a database of its own: the processes that die are its only ones."""
    trials = 1_000
    with a_state_directory() as directory:
        server = EmbeddedPostgres(directory / "postgresql")
        try:
            url = server.start()
            upgrade(url)
            wrong = Trials(url).run(trials, random.Random(seed))
        finally:
            server.stop()
    assert not wrong, wrong[:5]
    return f"{trials} requests whose answer was lost by kill -9, repeated with their key: one object and one port each"


def _replicas(seed: int) -> str:
    """Two of every service, on Kafka: each duty has one holder, and is taken over."""
    with a_service(replicas=2, with_kafka=True) as service:
        said = [
            duties_are_taken_over(service, duties=("health manager", "housekeeping", "relay"), times=5),
            health_is_watched_whoever_leads(service),
            work_of_the_dead_is_taken_over(service),
        ]
        service.stop()
    return "; ".join(said)


def _silent(seed: int) -> str:
    with a_service() as service:
        return silent_amphorae(service, amphorae=50)


def _flap(seed: int) -> str:
    with database() as (url, _), a_state_directory() as directory:
        return mass_flap(url, directory, load_balancers=1_000, times=10)


def _gaps(seed: int) -> str:
    with database() as (url, _):
        return no_gaps(url, writers=64, changes=50, seed=seed)


def _outages(seed: int) -> str:
    """What the service stands on is away, or of little use, for a minute each. Only root may make a small disk."""
    seconds = 60
    said = []
    with a_service(replicas=2, with_kafka=True) as service:
        said.append(broker_away(service, seconds=seconds))
        said.append(database_away(service, seconds=seconds, hangs=False))
        said.append(database_away(service, seconds=seconds, hangs=True))
        said.append(slow_commits(service, seconds=seconds))
        said.append(health_manager_cut_off(service))
        said.append(housekeeper_cut_off(service))
        service.assert_nothing_is_left()
        service.stop()
    with a_state_directory() as directory, small_disk(directory / "state/postgresql", "400m") as disk:
        service = Service(directory / "state", replicas=2)
        try:
            service.start()
            said.append(disk_full(service, disk, seconds=seconds))
            service.stop()
        finally:
            service.clean_up()
    return "; ".join(said)


def _restore(seed: int) -> str:
    with a_service(replicas=2, with_kafka=True) as service:
        said = restored(service, events=100)
        service.assert_nothing_is_left()
        service.stop()
    return said


def _chaos(seed: int) -> str:
    """A stack of its own for each seed; the first that fails ends it."""
    created = killed = 0
    for each in range(seed, seed + CHAOS_SEEDS):
        with a_service("noop", replicas=2, with_kafka=True) as service:
            told = kill_anything(service, seed=each, seconds=15, clients=4)
            service.stop()
        print(told, flush=True)
        created += told.created
        killed += told.killed
    last = seed + CHAOS_SEEDS - 1
    return f"seeds {seed} to {last}: {killed} kills, {created} load balancers created, every promise kept"


PROOFS: Mapping[str, Proof] = {
    "restart": _on_a_service(_restart),
    "traffic": _on_a_service(_traffic),
    "failover": _on_a_service(_failover),
    "kill": _on_a_service(_kill),
    "concurrent": _on_a_service(_concurrent),
    "restless": _on_a_service(_restless),
    "refused": _on_a_service(_refused),
    "lost": _lost,
    "replicas": _replicas,
    "silent": _silent,
    "gaps": _gaps,
    "flap": _flap,
    "outages": _outages,
    "restore": _restore,
    "chaos": _chaos,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when a proof failed; the others are run all the same."""
    options = _options(arguments)
    outcomes = [_prove(name, options.seed) for name in options.names or PROOFS]
    return 0 if all(outcomes) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev prove", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"one of {', '.join(PROOFS)}; all when none is given")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000), help="repeats a run")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(PROOFS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PROOFS)}")
    return options


def _prove(name: str, seed: int) -> bool:
    print(f"{name}: seed {seed}", flush=True)
    started_at = time.monotonic()
    try:
        said = f"ok: {PROOFS[name](seed)}"
    except Exception as error:  # whatever breaks, the record says so and the next proof runs
        said = f"FAILED: {type(error).__name__}: {error}"
        print(*getattr(error, "__notes__", ()), sep="\n", flush=True)
    print(f"{name}: {said} ({time.monotonic() - started_at:.0f} s)", flush=True)
    _record(name, seed, said)
    return said.startswith("ok")


def _record(name: str, seed: int, said: str) -> None:
    one_line = " ".join(said.split()).replace("|", "\\|")[:2_000]
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    with RECORD.open("a") as record:
        record.write(f"| {now} | {_commit()} | {name} | {seed} | {one_line} |\n")


def _commit() -> str:
    """With a plus when the working tree differs from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "none yet"


if __name__ == "__main__":
    sys.exit(main())
