"""What is wrong, in plain words, each with the command that helps: `tacitus doctor`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import chain
from typing import Any
from uuid import UUID

import psycopg

from domain.amphora import Stage
from domain.fields import ProvisioningStatus
from domain.health import FAILOVER_GUARD_ID
from domain.load_balancer_events import Created
from domain.progress import Kind
from infra.log_upgrade import status as upgrade_status
from infra.parked_streams import Parked, all_parked
from processes.ports import ComputeFault
from processes.reconciliation import Comparison, Serving

LAG_SECONDS = 10.0
UNCLAIMED_SECONDS = 30.0

_OVERDUE = """
SELECT payload ->> 'load_balancer_id', kind, object_id, since, failures, last_error,
       coalesce(lease_until > now(), false)
FROM actions WHERE deadline < now() AND kind <> 'RetryRefused'
  AND (%(id)s::uuid IS NULL OR payload ->> 'load_balancer_id' = %(id)s::text)
ORDER BY since
"""
_FORGOTTEN = """
SELECT s.id, s.provisioning_status, coalesce(s.updated_at, s.created_at),
       EXISTS (SELECT FROM parked_events p WHERE p.stream = s.id)
FROM shown_load_balancers s
WHERE s.provisioning_status LIKE 'PENDING%%' AND (%(id)s::uuid IS NULL OR s.id = %(id)s)
  AND coalesce(s.updated_at, s.created_at) < (now() - make_interval(secs => %(seconds)s)) AT TIME ZONE 'UTC'
  AND NOT EXISTS (
      SELECT FROM actions a WHERE a.payload ->> 'load_balancer_id' = s.id::text AND a.kind <> 'RetryRefused')
ORDER BY s.id
"""
_WITH_ERRORS = " UNION ALL ".join(
    f"SELECT {column} AS load_balancer_id, '{kind}' AS kind, id, reason FROM shown_{kind}"
    f" WHERE provisioning_status = '{ProvisioningStatus.ERROR}'"
    for kind in Kind
    for column in ["id" if kind == Kind.LOAD_BALANCER else "load_balancer_id"]
)
_ERRORS = f"""
SELECT e.load_balancer_id, e.kind, e.id, coalesce(nullif(e.reason, ''), b.reason)
FROM ({_WITH_ERRORS}) e JOIN load_balancers b ON b.id = e.load_balancer_id
WHERE %(id)s::uuid IS NULL OR e.load_balancer_id = %(id)s ORDER BY 1, 2, 3
"""
_SERVING = """
SELECT id, load_balancer_id FROM amphorae
WHERE stage = %(stage)s AND (%(id)s::uuid IS NULL OR load_balancer_id = %(id)s) ORDER BY id
"""
_UNCLAIMED = """
SELECT count(*), min(due_at) FROM actions
WHERE due_at < now() - make_interval(secs => %s) AND (owner IS NULL OR lease_until < now())
"""
# A partition in which nothing happens stays where it is: the furthest tells how far a consumer is at least.
_BEHIND = """
SELECT p.consumer, e.last - p.position, extract(epoch FROM now() - c.recorded_at)
FROM (SELECT consumer, max(position) AS position FROM positions GROUP BY consumer) p,
     (SELECT coalesce(max(notification_id), 0) AS last FROM tacitus_events) e,
     LATERAL (SELECT recorded_at FROM commits WHERE position > p.position ORDER BY position LIMIT 1) c
WHERE now() - c.recorded_at > make_interval(secs => %s) ORDER BY 1
"""
_GUARD = "SELECT topic, state FROM tacitus_events WHERE originator_id = %s ORDER BY originator_version DESC LIMIT 1"


@dataclass(frozen=True)
class Complaint:
    """words: what is wrong; help: the command, or the place to look, that helps, a line for each."""

    words: str
    help: str

    def __str__(self) -> str:
        return "\n    ".join([self.words, *self.help.splitlines()])


class Doctor:
    """Looks, and changes nothing.

    pending_seconds  how long a change may be pending without anything being done about it
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        comparison: Comparison,
        *,
        has_files: bool,
        pending_seconds: float = 10.0,
    ) -> None:
        self._connection = connection
        self._comparison = comparison
        self._has_files = has_files
        self._pending_seconds = pending_seconds

    def complaints(self, load_balancer_id: UUID | None = None) -> Iterator[Complaint]:
        """All, or those about one load balancer; what only concerns the service as a whole is in all alone.

        Raises processes.ports.ReleaseTooOld, psycopg.Error.
        """
        yield from self._overdue(load_balancer_id)
        yield from self._forgotten(load_balancer_id)
        yield from self._errors(load_balancer_id)
        yield from self._parked(load_balancer_id)
        if load_balancer_id is None:
            yield from self._unclaimed()
            yield from self._behind()
            yield from self._suspended()
            yield from self._upgrade()
        yield from self._outside(load_balancer_id)

    # What is asked for and not done

    def _overdue(self, id: UUID | None) -> Iterator[Complaint]:
        for load_balancer_id, kind, object_id, since, failures, last_error, is_running in self._select(_OVERDUE, id=id):
            of = f" of {object_id}" if str(object_id) != load_balancer_id else ""
            state = "runs now" if is_running else f"failed {failures} times"
            words = f"load balancer {load_balancer_id}: {kind}{of} is overdue, asked for at {since:%F %T}; {state}"
            yield Complaint(f"{words}: {last_error}" if last_error else words, _repair(load_balancer_id))

    def _forgotten(self, id: UUID | None) -> Iterator[Complaint]:
        """What is parked is not repaired: the event that asks for it would wait behind the others."""
        for found, status, since, is_parked in self._select(_FORGOTTEN, id=id, seconds=self._pending_seconds):
            words = f"load balancer {found} is {status} since {since:%F %T}, and nothing is being done about it"
            yield Complaint(words, "its events are parked, see there" if is_parked else _repair(found))

    def _errors(self, id: UUID | None) -> Iterator[Complaint]:
        for load_balancer_id, kind, object_id, reason in self._select(_ERRORS, id=id):
            what = _SINGULAR[Kind(kind)]
            of = f"{what} {object_id}" if what == "load balancer" else f"{what} {object_id} of {load_balancer_id}"
            help = _repair(load_balancer_id) if what == "load balancer" else _history(load_balancer_id)
            yield Complaint(f"{of} is in ERROR: {reason or 'no reason was given'}", help)

    # The service itself

    def _unclaimed(self) -> Iterator[Complaint]:
        for number, since in self._select(_UNCLAIMED, UNCLAIMED_SECONDS):
            if number:
                words = f"{number} actions are due, the first since {since:%F %T}, and no worker takes them"
                yield Complaint(words, "is a `tacitus worker` running? Its log says what keeps it")

    def _behind(self) -> Iterator[Complaint]:
        for consumer, events, seconds in self._select(_BEHIND, LAG_SECONDS):
            words = f"consumer {consumer!r} is {events} events and {seconds:.0f} s behind the log"
            yield Complaint(words, _RUNS)

    def _parked(self, id: UUID | None) -> Iterator[Complaint]:
        for each in all_parked(self._connection, id):
            since = f" since {each.since.astimezone(UTC):%F %T}" if each.since else ""
            words = f"{_stream_of(each)} is parked for {each.consumer!r}{since}: {each.topic} at position"
            reason = each.reason.partition("\n")[0] or "the reason is not recorded yet"
            words = (
                f"{words} {each.position} cannot be handled ({reason}); {each.waiting} events wait, that one included"
            )
            if each.is_asked_for:
                yield Complaint(
                    f"{words}; somebody has decided about it, and {each.consumer!r} has not come to it", _RUNS
                )
            else:
                yield Complaint(words, _decisions(each))

    def _upgrade(self) -> Iterator[Complaint]:
        found = upgrade_status(self._connection)
        if not found.is_finished:
            words = f"the log has level {found.level}: newer formats are not written, for the sake of older releases"
            yield Complaint(words, "tacitus upgrade status")

    def _suspended(self) -> Iterator[Complaint]:
        for topic, _ in self._select(_GUARD, FAILOVER_GUARD_ID):
            if topic == "AutomaticFailoverSuspended":
                words = "automatic failover is suspended, since so many amphorae fell silent at once"
                help = "look at the network between here and the amphorae; it resumes when most of them are back"
                yield Complaint(words, help)

    # What is outside

    def _outside(self, id: UUID | None) -> Iterator[Complaint]:
        serving = [Serving(*row) for row in self._select(_SERVING, id=id, stage=Stage.IN_SERVICE)]
        yield from self._amphorae(serving)
        if id is not None:
            return
        try:
            for orphan in self._comparison.orphans():
                yield Complaint(f"amphora {orphan} runs although nothing wants it", "tacitus orphans --remove")
        except ComputeFault as fault:
            yield Complaint(f"the compute service does not answer: {fault}", "see whether it is there")

    def _amphorae(self, serving: Sequence[Serving]) -> Iterator[Complaint]:
        files = self._comparison.other_files(serving) if self._has_files else ()
        for difference in chain(self._comparison.silent(serving), files):
            each = difference.serving
            words = f"amphora {each.amphora_id} of load balancer {each.load_balancer_id} {difference.words}"
            yield Complaint(words, _repair(each.load_balancer_id))

    def _select(self, sql: str, *parameters: object, **named: object) -> Iterator[Any]:
        return iter(self._connection.execute(sql.encode(), named or parameters).fetchall())


_SINGULAR = {
    Kind.LOAD_BALANCER: "load balancer",
    Kind.LISTENER: "listener",
    Kind.POOL: "pool",
    Kind.MEMBER: "member",
    Kind.HEALTH_MONITOR: "health monitor",
    Kind.L7_POLICY: "L7 policy",
    Kind.L7_RULE: "L7 rule",
}


_RUNS = "is its process running? Its log says what keeps it"


def _stream_of(parked: Parked) -> str:
    if parked.begun_with != Created.TOPIC:
        return f"the stream {parked.stream_id}, which began with {parked.begun_with or 'nothing'},"
    name = "that is gone" if parked.name is None else repr(parked.name)
    return f"load balancer {parked.stream_id} {name}"


def _decisions(parked: Parked) -> str:
    stream = f"{parked.stream_id} --consumer {parked.consumer}"
    return (
        f"tacitus parked show {stream}  # what waits\n"
        f"tacitus parked retry {stream} --why TEXT  # once the cause is mended\n"
        f"tacitus parked skip {stream} --why TEXT  # leaves that one event out for good"
    )


def _repair(load_balancer_id: object) -> str:
    return f"tacitus repair {load_balancer_id} --why TEXT"


def _history(load_balancer_id: object) -> str:
    return f"tacitus history {load_balancer_id}"
