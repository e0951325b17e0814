"""`tacitus verify`: whether a log, and what follows from it, keeps what docs/guarantees.md promises."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import IsolationLevel

from infra.settings import Settings
from infra.verify_amphorae import Amphorae
from infra.verify_load_balancers import LoadBalancers
from infra.verify_log import Deadlines, Finding, Log, Tell, Versions
from infra.verify_rows import Rows

SAMPLE = 100
GRACE_SECONDS = 60.0
ALL = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was looked at."""

    events: int
    commits: int
    load_balancers: int
    findings: int

    def __str__(self) -> str:
        read = f"{self.events} events in {self.commits} commits, {self.load_balancers} load balancers"
        return f"{read}: {self.findings or 'no'} finding{'' if self.findings == 1 else 's'}"


class Verification:
    """Reads the log once, in order. What it remembers grows with what is there, not with the log.

    since   findings at this position and before it are not told
    grace   seconds allowed on top of each deadline
    sample  load balancers of which every row is worked out anew
    """

    def __init__(
        self, settings: Settings, tell: Tell, *, since: int = 0, grace: float = GRACE_SECONDS, sample: int = SAMPLE
    ) -> None:
        self._settings = settings
        self._tell_further = tell
        self._since = since
        self._sample = sample
        self._findings = 0
        self._deadlines = Deadlines(
            push=settings.push_deadline, build=settings.build_deadline, delete=settings.delete_deadline, grace=grace
        )
        self._load_balancers = LoadBalancers(self._deadlines, self._tell)
        self._amphorae = Amphorae(self._load_balancers, self._deadlines, self._tell)

    def run(self) -> Verified:
        """Most of the log without a snapshot, which would be held for long; its end and the rows in one.

        Raises psycopg.Error, processes.ports.ReleaseTooOld.
        """
        with psycopg.connect(self._settings.database_url, autocommit=True) as connection:
            log, versions = Log(connection, self._tell), Versions(connection, self._tell)
            self._follow(log, versions)
            connection.isolation_level = IsolationLevel.REPEATABLE_READ
            with connection.transaction():
                self._follow(log, versions)
                self._end(log, versions, connection)
        return Verified(
            events=log.events,
            commits=log.commits,
            load_balancers=len(self._load_balancers.live),
            findings=self._findings,
        )

    def _follow(self, log: Log, versions: Versions) -> None:
        for entry in log.entries():
            versions.see(entry)
            self._deadlines.see(entry)
            self._load_balancers.see(entry)
            self._amphorae.see(entry)

    def _end(self, log: Log, versions: Versions, connection: psycopg.Connection[Any]) -> None:
        for entry in log.uncommitted():
            versions.see(entry)
            self._load_balancers.see(entry)
            self._amphorae.see(entry)
        log.commits_without_event()
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None, "now() has a row"
        self._load_balancers.at_end(row[0])
        self._amphorae.at_end(row[0])
        rows = Rows(connection, self._load_balancers, self._amphorae, self._tell)
        rows.check(position=log.last_position, sample=self._sample, grace=self._deadlines.grace)

    def _tell(self, finding: Finding) -> None:
        if finding.position is None or finding.position > self._since:
            self._findings += 1
            self._tell_further(finding)
