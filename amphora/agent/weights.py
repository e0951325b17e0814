"""Changes of nothing but weights: found between two files, and made in the running HAProxy without a reload."""

import re
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from amphora.agent.binds import SECTIONS
from amphora.agent.runtime_socket import NoAnswer, Worker, ask, worker_in
from amphora.wire import stamp_of

HEAVIEST = 256
SERVERS_PER_LINE = 60  # HAProxy takes 16 kB in one line; one server needs up to 200 bytes
USER_WEIGHT, INITIAL_WEIGHT = 7, 8  # columns of `show servers state`

_SERVER = re.compile(r"(\s+server ([\w.:-]+) [\w.:@\[\]/-]+ weight )(\d{1,3})((?: .*)?)")
_DESCRIPTION = re.compile(r"\s+description \S+")


def changed_weights(former: str, wanted: str) -> Mapping[str, int] | None:
    """`backend/server` -> weight, of those that differ; None when anything but weights and the revision differs."""
    before, after = former.split("\n"), wanted.split("\n")
    if len(before) != len(after) or not _is_same_log(former, wanted):
        return None
    weights: dict[str, int] = {}
    section = ["", ""]
    for old, new in zip(before[1:], after[1:], strict=True):  # the first lines are their stamps
        if old == new:
            section = _section(new) or section
        elif section[0] == "backend" and (change := _reweighed(old, new)):
            weights[f"{section[1]}/{change[0]}"] = change[1]
        elif section[0] != "global" or not (_DESCRIPTION.fullmatch(old) and _DESCRIPTION.fullmatch(new)):
            return None
    return weights


def set_weights(path: Path, worker: Worker, weights: Mapping[str, int], deadline: float) -> bool:
    """Whether this very worker took them all; otherwise it may have taken some. `deadline` is monotonic.

    HAProxy has words for what it does not take: static algorithms know no other weights than those of the file.
    """
    for commands in _lines(weights):
        try:
            answer = ask(path, f"{commands};show info", max(deadline - time.monotonic(), 0.05))
        except NoAnswer:
            return False
        words, _, info = answer.partition("Name: ")
        if words.strip() or worker_in(info) != worker:
            return False
    return True


def with_initial_weights(state: str) -> str:
    """The answer to `show servers state` as if no weight had been set at runtime.

    A next worker whose file has the weight that this one began with would else take the runtime's for it.
    """
    return "\n".join(_with_initial_weight(line) for line in state.split("\n"))


def _is_same_log(former: str, wanted: str) -> bool:
    """The first lines may differ when they are stamps of one log."""
    old, new = stamp_of(former), stamp_of(wanted)
    if old is None or new is None:
        return former.partition("\n")[0] == wanted.partition("\n")[0]
    return old.log_id == new.log_id


def _section(line: str) -> list[str] | None:
    """Its kind and name, when the line begins one."""
    words = line.split(maxsplit=2)
    return [*words, ""][:2] if words and words[0] in SECTIONS else None


def _reweighed(old: str, new: str) -> tuple[str, int] | None:
    """Server and new weight, when the two lines differ in nothing else."""
    before, after = _SERVER.fullmatch(old), _SERVER.fullmatch(new)
    if not before or not after or before.group(1, 4) != after.group(1, 4) or " weight " in after[4]:
        return None
    return (after[2], int(after[3])) if int(after[3]) <= HEAVIEST else None


def _lines(weights: Mapping[str, int]) -> Iterator[str]:
    commands = (f"set server {server} weight {weight}" for server, weight in weights.items())
    while line := ";".join(islice(commands, SERVERS_PER_LINE)):
        yield line


def _with_initial_weight(line: str) -> str:
    columns = line.split(" ")
    if len(columns) <= INITIAL_WEIGHT or line.startswith("#"):
        return line
    columns[USER_WEIGHT] = columns[INITIAL_WEIGHT]
    return " ".join(columns)
