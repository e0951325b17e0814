"""`python -m benchmarks [name ...] [--quick]`: measures, prints the table and keeps it in docs/performance.md."""

import argparse
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import seed
from benchmarks.api_alone import requests_of_the_api
from benchmarks.append import appends
from benchmarks.heartbeats import heartbeats
from benchmarks.kafka import through_kafka
from benchmarks.local_amphora import real_amphorae
from benchmarks.rebuild import rebuilds
from benchmarks.result import FULL, QUICK, Extent, Result, table
from benchmarks.whole_api import whole_api
from benchmarks.whole_way import create_to_active

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/performance.md"
BENCHMARKS: Mapping[str, Callable[[Extent], list[Result]]] = {
    "requests": requests_of_the_api,
    "whole-way": create_to_active,
    "local": real_amphorae,
    "append": appends,
    "api": whole_api,
    "rebuild": rebuilds,
    "heartbeats": heartbeats,
    "kafka": through_kafka,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 when a target was missed."""
    said = sys.argv[1:] if arguments is None else arguments
    if said[:1] == ["seed"]:
        return seed.main(said[1:])
    options = _options(said)
    extent = QUICK if options.quick else FULL
    results = [result for name in options.names or BENCHMARKS for result in _measured(name, extent)]
    print(table(results))
    if not options.names and not options.quick:
        _keep(results)
        print(f"\nkept in {PAGE.relative_to(ROOT)}")
    return 0 if all(result.holds is not False for result in results) else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(BENCHMARKS)}; all when none is given")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not for figures")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    return options


def _measured(name: str, extent: Extent) -> list[Result]:
    print(f"measuring: {name}", file=sys.stderr, flush=True)
    return BENCHMARKS[name](extent)


def _keep(results: Sequence[Result]) -> None:
    """In the place of the results before."""
    text = re.sub(r"\n## Results\n.*?(?=\n## |\Z)", "", PAGE.read_text(), flags=re.S).rstrip()
    PAGE.write_text(f"{text}\n\n## Results\n\n{_circumstances()}\n\n{table(results)}\n")


def _circumstances() -> str:
    described = ["git", "describe", "--always", "--dirty=+"]
    commit = subprocess.run(described, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'none yet'}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, Linux {platform.release()}; load average at the end {load}."
    )


if __name__ == "__main__":
    sys.exit(main())
