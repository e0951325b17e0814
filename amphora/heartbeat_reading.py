"""What a controller makes of a datagram: authenticated, then inflated, then read. `amphora.wire` is the other end.

Heartbeats say the same again and again: ids and whole pools that were read before are not read once more.
"""

import hmac
import re
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from uuid import UUID

import msgspec

from amphora.wire import (
    HEX_MAC_LENGTH,
    RAW_MAC_LENGTH,
    Additions,
    Counters,
    Edge,
    Heartbeat,
    ListenerReport,
    Malformed,
    Oversized,
    PoolReport,
    Tampered,
)

INFLATED_LIMIT = 1024 * 1024  # bytes of JSON that a datagram may inflate to
_REMEMBERED_BYTES = 8 * 1024  # of a pools' text: a larger one is read each time, so that memory stays small
_POOLS_AT_THE_TOP = 2  # the first version that has them there; in earlier ones they are inside listeners


class _Stats(msgspec.Struct):
    conns: int = 0
    rx: int = 0
    tx: int = 0
    totconns: int = 0
    ereq: int = 0

    def counters(self) -> Counters:
        return Counters(self.rx, self.tx, self.totconns, self.ereq)


class _Pool(msgspec.Struct):
    status: str
    members: dict[str, str]


class _Listener(msgspec.Struct):
    status: str
    stats: _Stats = msgspec.field(default_factory=_Stats)
    pools: dict[str, _Pool] = {}


class _Additions(msgspec.Struct):
    boot_id: str
    sent_at: float
    log_id: str | None = None
    revision: int | None = None
    counters: dict[str, _Stats] = {}
    edges: list[Edge] = []
    partial: bool = False


class _Document(msgspec.Struct):
    id: str
    listeners: dict[str, _Listener]
    seq: int | None = None
    ver: int = 0
    pools: msgspec.Raw = msgspec.Raw(b"{}")
    tacitus: _Additions | None = None


_document = msgspec.json.Decoder(_Document)
_pools = msgspec.json.Decoder(dict[str, _Pool])
_CLAIM = re.compile(rb'\x78\xda\x00.{4}\{"id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"', re.DOTALL)


def decode_heartbeat(datagram: bytes, keys: Sequence[str]) -> Heartbeat:
    """Authenticate with any of `keys`, then inflate, then read.

    Raises Tampered, Oversized or Malformed. Nothing is inflated before the code is verified.
    """
    payload = _authentic_payload(datagram, keys)
    try:
        return _heartbeat_from(_document.decode(_inflate(payload)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Malformed(f"not a heartbeat: {error}") from error


def claimed_amphora_id(datagram: bytes) -> UUID | None:
    """Whose key to try: the id that a datagram of our agent carries uncompressed. **Not authenticated**.

    None for other agents, whose keys are found by their address.
    """
    match = _CLAIM.match(datagram)
    return _known_uuid(match[1].decode()) if match else None


def _authentic_payload(datagram: bytes, keys: Sequence[str]) -> bytes:
    for key in keys:
        secret = key.encode()
        payload, code = datagram[:-HEX_MAC_LENGTH], datagram[-HEX_MAC_LENGTH:]
        if hmac.compare_digest(hmac.digest(secret, payload, "sha256").hex().encode(), code):
            return payload
        payload, code = datagram[:-RAW_MAC_LENGTH], datagram[-RAW_MAC_LENGTH:]
        if hmac.compare_digest(hmac.digest(secret, payload, "sha256"), code):
            return payload
    raise Tampered("no known key signed this datagram")


def _inflate(payload: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        document = inflater.decompress(payload, INFLATED_LIMIT)
    except zlib.error as error:
        raise Malformed(f"not zlib: {error}") from error
    if inflater.unconsumed_tail:
        raise Oversized(f"inflates to more than {INFLATED_LIMIT} bytes")
    if not inflater.eof:
        raise Malformed("not zlib: the stream is cut off")
    return document


# The same objects for the same words, so that whoever compares them is done at once.


@lru_cache(maxsize=2**18)
def _known_uuid(text: str) -> UUID:
    """Making a UUID is half of what reading a heartbeat would take. Raises ValueError."""
    return UUID(text)


@lru_cache(maxsize=2**14)
def _known_pools(text: bytes) -> tuple[PoolReport, ...]:
    return _pools_from(_pools.decode(text))


def _heartbeat_from(document: _Document) -> Heartbeat:
    additions = document.tacitus
    return Heartbeat(
        amphora_id=_known_uuid(document.id),
        sequence=document.seq,
        listeners={
            _known_uuid(id): ListenerReport(said.status, said.stats.conns, said.stats.counters())
            for id, said in document.listeners.items()
        },
        pools=_pools_of(document),
        additions=_additions_from(additions) if additions else None,
        version=document.ver,
    )


def _pools_of(document: _Document) -> tuple[PoolReport, ...]:
    text = bytes(document.pools)
    if document.ver < _POOLS_AT_THE_TOP:
        inside = {name: pool for said in document.listeners.values() for name, pool in said.pools.items()}
        return _pools_from(_pools.decode(text) | inside)
    return _known_pools(text) if len(text) <= _REMEMBERED_BYTES else _pools_from(_pools.decode(text))


def _pools_from(pools: Mapping[str, _Pool]) -> tuple[PoolReport, ...]:
    return tuple(_pool_from(name, said) for name, said in pools.items())


def _pool_from(name: str, said: _Pool) -> PoolReport:
    pool_id, _, listener_id = name.partition(":")
    members = {_known_uuid(id): status for id, status in said.members.items()}
    return PoolReport(_known_uuid(pool_id), _known_uuid(listener_id) if listener_id else None, said.status, members)


def _additions_from(said: _Additions) -> Additions:
    return Additions(
        boot_id=_known_uuid(said.boot_id),
        sent_at=said.sent_at,
        log_id=_known_uuid(said.log_id) if said.log_id else None,
        revision=said.revision,
        counters={_known_uuid(id): stats.counters() for id, stats in said.counters.items()},
        edges=tuple(said.edges),
        partial=said.partial,
    )
