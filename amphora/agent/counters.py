"""Counters of listeners that outlive HAProxy's workers: growth since the last look, and totals."""

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from uuid import UUID

from amphora.wire import Counters


class CounterBook:
    """Adds up what workers count. Each worker counts from zero, and an old one goes on while it drains.

    Kept in `stats_counters.json`, so neither a restart of the agent nor one of HAProxy loses or doubles traffic.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last: dict[tuple[int, UUID], Counters] = {}  # (worker's pid, listener) -> what it said last
        self.totals: dict[UUID, Counters] = {}
        self._growth: dict[UUID, Counters] = {}
        self._read()

    def enter(self, worker_pid: int, counters: Mapping[UUID, Counters]) -> None:
        """What a worker says now."""
        for listener_id, now in counters.items():
            growth = now.since(self._last.get((worker_pid, listener_id), Counters()))
            self._last[worker_pid, listener_id] = now
            self.totals[listener_id] = self.totals.get(listener_id, Counters()).plus(growth)
            self._growth[listener_id] = self._growth.get(listener_id, Counters()).plus(growth)

    def take_growth(self) -> dict[UUID, Counters]:
        """Growth since this was asked last."""
        growth, self._growth = self._growth, {}
        return growth

    def forget(self, workers: Iterable[int], listeners: Iterable[UUID]) -> None:
        """Keep only these: others have ended or were deleted."""
        pids, ids = set(workers), set(listeners)
        self._last = {key: counters for key, counters in self._last.items() if key[0] in pids and key[1] in ids}
        self.totals = {id: counters for id, counters in self.totals.items() if id in ids}

    def save(self) -> None:
        """Without waiting for the disk: a power cut may cost seconds of traffic, a full disk nothing."""
        document = {
            "last": [[pid, str(id), counters._asdict()] for (pid, id), counters in self._last.items()],
            "totals": {str(id): counters._asdict() for id, counters in self.totals.items()},
        }
        beside = self._file.with_suffix(".new")
        with contextlib.suppress(OSError):
            beside.write_text(json.dumps(document))
            beside.chmod(0o640)
            beside.replace(self._file)

    def _read(self) -> None:
        try:
            document = json.loads(self._file.read_text())
            self._last = {(int(pid), UUID(id)): Counters(**counters) for pid, id, counters in document["last"]}
            self.totals = {UUID(id): Counters(**counters) for id, counters in document["totals"].items()}
        except (OSError, ValueError, KeyError, TypeError):  # none yet, or spoilt: counting starts again
            self._last, self.totals = {}, {}
