"""`python -m tests.prove [name ...] [--seed S]`: the scenarios of tests/system at the sizes that were promised.

Appends a line for each to docs/proofs.md: when, at which commit, with which seed, and what it saw.
"""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from infra.embedded_postgres import EmbeddedPostgres
from infra.migration import upgrade
from tests.api.lost_answers import Trials
from tests.system.conftest import a_service, a_state_directory
from tests.system.scenarios.crowd import concurrent_changes, restless_client
from tests.system.scenarios.failover import killed_amphora, killed_backend, killed_haproxy
from tests.system.scenarios.kill import kill_control_plane
from tests.system.scenarios.refused import one_refused
from tests.system.scenarios.restart import restart
from tests.system.scenarios.traffic import even_shares, nothing_lost
from tests.system.service import Service

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "docs/proofs.md"

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
            database = server.start()
            upgrade(database)
            wrong = Trials(database).run(trials, random.Random(seed))
        finally:
            server.stop()
    assert not wrong, wrong[:5]
    return f"{trials} requests whose answer was lost by kill -9, repeated with their key: one object and one port each"


PROOFS: Mapping[str, Proof] = {
    "restart": _on_a_service(_restart),
    "traffic": _on_a_service(_traffic),
    "failover": _on_a_service(_failover),
    "kill": _on_a_service(_kill),
    "concurrent": _on_a_service(_concurrent),
    "restless": _on_a_service(_restless),
    "refused": _on_a_service(_refused),
    "lost": _lost,
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
    print(f"{name}: {said} ({time.monotonic() - started_at:.0f} s)", flush=True)
    _record(name, seed, said)
    return said.startswith("ok")


def _record(name: str, seed: int, said: str) -> None:
    one_line = " ".join(said.split()).replace("|", "\\|")[:500]
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
