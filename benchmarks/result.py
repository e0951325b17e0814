"""What a measurement says, and the table of all of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Result:
    """One line of the table.

    baseline  what it is compared with, measured in the same run; empty when the target is absolute
    holds     None for a figure without a target
    """

    what: str
    target: str
    measured: str
    baseline: str = ""
    holds: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "holds", False: "**missed**", None: "-"}[self.holds]


@dataclass(frozen=True)
class Extent:
    """How much is measured: everything, or just enough to see that the measurement works."""

    rounds: int
    requests: int
    sustained_seconds: float
    creations: int
    appends: int
    events: int


FULL = Extent(rounds=5, requests=1_000, sustained_seconds=60, creations=100, appends=2_000, events=1_000_000)
QUICK = Extent(rounds=2, requests=200, sustained_seconds=5, creations=10, appends=300, events=100_000)


def table(results: Sequence[Result]) -> str:
    """As Markdown."""
    lines = ["| what | target | measured | baseline in the same run | verdict |", "|---|---|---|---|---|"]
    lines += [f"| {r.what} | {r.target} | {r.measured} | {r.baseline} | {r.verdict} |" for r in results]
    return "\n".join(lines)
