"""The formats that controller and amphora agent both speak: heartbeats, the first line of a file, HAProxy's statistics.

Standard library only, since it runs on the amphora too. Errors: WireError > Tampered, Oversized, Malformed.
"""

import csv
import hmac
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

HEARTBEAT_VERSION = 3
MOST_MEMBERS_TOGETHER = 250  # of one pool, when a heartbeat needs several datagrams
DATAGRAM_LIMIT = 65_000  # bytes; an IPv4 datagram carries 65,507
HEX_MAC_LENGTH = 64
RAW_MAC_LENGTH = 32  # sent by amphorae older than Octavia Train


class WireError(Exception):
    """Something that arrived is not what it claims to be."""


class Tampered(WireError):
    """No known key explains the message authentication code."""


class Oversized(WireError):
    """More bytes than this format allows."""


class Malformed(WireError):
    """Authentic, yet not in the format."""


class Counters(NamedTuple):
    """What passed through one listener; bytes, connections and requests, from a moment that the context names."""

    rx: int = 0  # bytes from clients
    tx: int = 0  # bytes to clients
    totconns: int = 0
    ereq: int = 0  # requests that failed before they reached a member

    def since(self, earlier: "Counters") -> "Counters":
        """The growth since `earlier`; a counter that shrank was restarted, so its value is the growth."""
        return Counters(*(now - then if now >= then else now for now, then in zip(self, earlier, strict=True)))

    def plus(self, growth: "Counters") -> "Counters":
        return Counters(*(mine + theirs for mine, theirs in zip(self, growth, strict=True)))


class ListenerReport(NamedTuple):
    """One listener as its amphora sees it.

    status    OPEN, or FULL when its connection limit is reached
    conns     connections open right now
    counters  in a heartbeat: growth since the last one (absolute before version 3); in Statistics: since the start
    """

    status: str
    conns: int = 0
    counters: Counters = Counters()


@dataclass(frozen=True)
class PoolReport:
    """One pool as one listener sees it.

    listener_id  None for pools behind LVS
    status       UP or DOWN
    members      member id -> UP, "UP 1/2", DOWN, "DOWN 1/2", DRAIN, MAINT, "no check", RESTARTING
    """

    pool_id: UUID
    listener_id: UUID | None
    status: str
    members: Mapping[UUID, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name on the wire, which is HAProxy's name of the backend."""
        return str(self.pool_id) if self.listener_id is None else f"{self.pool_id}:{self.listener_id}"


@dataclass(frozen=True)
class Edge:
    """HAProxy decided that a member is up or down.

    status  UP or DOWN
    reason  HAProxy's words, such as "Layer4 connection problem"
    at      seconds since 1970 by the amphora's clock, when the agent heard of it
    """

    pool_id: UUID
    listener_id: UUID
    member_id: UUID
    status: str
    reason: str
    at: float


class Additions(NamedTuple):
    """What our own agent adds to a heartbeat, under the key `tacitus`.

    boot_id   new with each start of the agent; `sequence` grows within one
    log_id    of the file that runs; None when none runs or it carries no stamp
    revision  of the file that runs
    sent_at   seconds since 1970 by the amphora's clock, which may be wrong: for people, never to judge freshness
    counters  listener id -> counted since the amphora was built, so a lost datagram loses no traffic
    edges     new ones, and once more those of the heartbeat before
    partial   pools missing here are in the next datagram: nothing may be concluded from their absence
    """

    boot_id: UUID
    sent_at: float
    log_id: UUID | None = None
    revision: int | None = None
    counters: Mapping[UUID, Counters] = MappingProxyType({})
    edges: tuple[Edge, ...] = ()
    partial: bool = False


class Heartbeat(NamedTuple):
    """One sign of life. `sequence` is None for the oldest amphorae, `additions` for all but ours."""

    amphora_id: UUID
    sequence: int | None
    listeners: Mapping[UUID, ListenerReport] = MappingProxyType({})
    pools: tuple[PoolReport, ...] = ()
    additions: Additions | None = None
    version: int = HEARTBEAT_VERSION

    @property
    def counters_are_growth(self) -> bool:
        """Counters of listeners tell the growth since the last heartbeat; before version 3 they are absolute."""
        return self.version >= HEARTBEAT_VERSION


# Heartbeats: zlib(JSON) followed by the HMAC of exactly these compressed bytes. `amphora.heartbeat_reading` reads them.


def encode_heartbeat(heartbeat: Heartbeat, key: str) -> bytes:
    """One datagram. Raises Oversized when it does not fit into one: see `datagrams`."""
    document = json.dumps(_heartbeat_document(heartbeat), separators=(",", ":")).encode()
    payload = _deflate(document, plain=len(_plain_opening(heartbeat.amphora_id)))
    if len(payload) + HEX_MAC_LENGTH > DATAGRAM_LIMIT:
        raise Oversized(f"a heartbeat of {len(payload)} bytes does not fit into a datagram")
    return payload + _mac(payload, key).hex().encode()


def datagrams(heartbeat: Heartbeat, key: str) -> list[bytes]:
    """The heartbeat in as many datagrams as it needs, with consecutive sequence numbers from its own.

    Each names every listener (a missing one would count against the amphora) but a share of the pools, and of the
    members of a large one; the growth of the counters is in the first alone, so that it is counted once.
    """
    for count in (1, 2, 4, 8, 16, 32, 64):
        try:
            return [encode_heartbeat(part, key) for part in _parts(heartbeat, count)]
        except Oversized:
            continue
    raise Oversized("more than 64 datagrams can carry")


def _plain_opening(amphora_id: UUID) -> str:
    return f'{{"id":"{amphora_id}"'


def _deflate(document: bytes, plain: int) -> bytes:
    """An ordinary zlib stream whose first block stores `plain` bytes uncompressed, so that the id can be peeked at."""
    opening = b"\x00" + plain.to_bytes(2, "little") + (plain ^ 0xFFFF).to_bytes(2, "little") + document[:plain]
    rest = zlib.compressobj(9, wbits=-15)
    body = rest.compress(document[plain:]) + rest.flush()
    return b"\x78\xda" + opening + body + zlib.adler32(document).to_bytes(4, "big")


def _mac(payload: bytes, key: str) -> bytes:
    return hmac.digest(key.encode(), payload, "sha256")


def _parts(heartbeat: Heartbeat, count: int) -> list[Heartbeat]:
    if count == 1:
        return [heartbeat]
    silent = {id: report._replace(counters=Counters()) for id, report in heartbeat.listeners.items()}
    additions = heartbeat.additions and heartbeat.additions._replace(partial=True)
    return [
        heartbeat._replace(
            sequence=(heartbeat.sequence or 0) + index,
            listeners=silent if index else heartbeat.listeners,
            pools=_share(heartbeat.pools, index, count),
            additions=additions,
        )
        for index in range(count)
    ]


def _share(pools: tuple[PoolReport, ...], index: int, count: int) -> tuple[PoolReport, ...]:
    """Small pools whole, in turn; of a large one each part tells some members."""
    small = [pool for pool in pools if len(pool.members) <= MOST_MEMBERS_TOGETHER]
    large = [pool for pool in pools if len(pool.members) > MOST_MEMBERS_TOGETHER]
    shared = [replace(pool, members=dict(islice(pool.members.items(), index, None, count))) for pool in large]
    return (*small[index::count], *shared)


def _heartbeat_document(heartbeat: Heartbeat) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": str(heartbeat.amphora_id),
        "seq": heartbeat.sequence,
        "ver": heartbeat.version,
        "listeners": {
            str(id): {"status": report.status, "stats": {"conns": report.conns, **report.counters._asdict()}}
            for id, report in heartbeat.listeners.items()
        },
        "pools": {
            pool.name: {"status": pool.status, "members": {str(id): status for id, status in pool.members.items()}}
            for pool in heartbeat.pools
        },
    }
    if heartbeat.additions:
        document["tacitus"] = _additions_document(heartbeat.additions)
    return document


def _additions_document(additions: Additions) -> dict[str, Any]:
    return {
        "boot_id": str(additions.boot_id),
        "log_id": additions.log_id and str(additions.log_id),
        "revision": additions.revision,
        "sent_at": additions.sent_at,
        "counters": {str(id): counters._asdict() for id, counters in additions.counters.items()},
        "edges": [
            {key: str(value) if isinstance(value, UUID) else value for key, value in vars(edge).items()}
            for edge in additions.edges
        ],
        "partial": additions.partial,
    }


# The first line of a configuration file.


@dataclass(frozen=True)
class Stamp:
    """Which state of which log a file was rendered from: its first line, `# tacitus <log id> <revision>`."""

    log_id: UUID
    revision: int

    def __str__(self) -> str:
        return f"# tacitus {self.log_id} {self.revision}"

    def outdates(self, other: "Stamp | None") -> bool:
        """Revisions of different logs cannot be compared."""
        return other is not None and self.log_id == other.log_id and self.revision > other.revision


def stamp_of(configuration: str) -> Stamp | None:
    """The stamp in the first line; None for a file of another controller."""
    match = _STAMP.match(configuration)
    return Stamp(UUID(match[1]), int(match[2])) if match else None


_STAMP = re.compile(r"# tacitus ([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}) ([0-9]{1,18})(?:\n|$)")


# HAProxy's own tongue: `show stat` and its log.


@dataclass(frozen=True)
class Statistics:
    """What HAProxy counts: its frontends (listeners) and backends (pools); counters since that HAProxy started."""

    listeners: Mapping[UUID, ListenerReport] = field(default_factory=dict)
    pools: tuple[PoolReport, ...] = ()


def parse_statistics(text: str) -> Statistics:
    """Read the CSV answer to `show stat`; proxies that are not named by ids (prometheus, say) are left out."""
    listeners: dict[UUID, ListenerReport] = {}
    statuses: dict[str, str] = {}
    members: dict[str, dict[UUID, str]] = {}
    rows = csv.reader(text.lstrip("# ").splitlines())
    columns = {column: index for index, column in enumerate(next(rows, []))}
    for row in filter(None, rows):
        name, kind = row[columns["pxname"]], row[columns["svname"]]
        if kind == "FRONTEND" and _is_id(name):
            listeners[UUID(name)] = _listener_row(row, columns)
        elif kind == "BACKEND":
            statuses[name] = row[columns["status"]]
        elif _is_id(kind):
            members.setdefault(name, {})[UUID(kind)] = _member_status(row, columns)
    names = {name: _BACKEND.fullmatch(name) for name in statuses}
    pools = [
        PoolReport(UUID(match[1]), UUID(match[2]), statuses[name].split(" ")[0], members.get(name, {}))
        for name, match in names.items()
        if match
    ]
    return Statistics(listeners, tuple(pools))


def parse_edge(line: str, at: float) -> Edge | None:
    """Read a line of HAProxy's log; None unless it says that a member came up or went down.

    What clients send appears in lines of severity info only, so no request can pretend to be an edge. A line in format
    raw does not tell its severity: there the `log` directive has to leave info out.
    """
    match = _EDGE.match(line)
    if match is None or int(match["priority"] or 0) % 8 >= _SEVERITY_INFO:
        return None
    pool_id, listener_id, member_id = (UUID(match[name]) for name in ("pool", "listener", "member"))
    return Edge(pool_id, listener_id, member_id, match["status"], match["reason"] or "", at)


_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BACKEND = re.compile(f"({_ID}):({_ID})")
_SEVERITY_INFO = 6
_EDGE = re.compile(
    r"(?:<(?P<priority>\d{1,3})>[^\[]*\[\d+\]: )?(?:Backup )?Server "
    rf"(?P<pool>{_ID}):(?P<listener>{_ID})/(?P<member>{_ID}) "
    r"is (?P<status>UP|DOWN)(?:, reason: (?P<reason>[^,\n]*))?"
)
_is_id = re.compile(_ID).fullmatch


def _listener_row(row: Sequence[str], columns: Mapping[str, int]) -> ListenerReport:
    numbers = {name: int(row[columns[name]] or 0) for name in ("scur", "slim", "bin", "bout", "stot", "ereq")}
    status = "OPEN" if numbers["scur"] < numbers["slim"] else "FULL"
    counters = Counters(numbers["bin"], numbers["bout"], numbers["stot"], numbers["ereq"])
    return ListenerReport(status, numbers["scur"], counters)


def _member_status(row: Sequence[str], columns: Mapping[str, int]) -> str:
    status = row[columns["status"]]
    if status.startswith("UP") and row[columns["weight"]] == "0":  # older HAProxy shows a drained server as UP
        return "DRAIN"
    return status.split(" (")[0]  # "MAINT (via pool/member)" is MAINT
