"""Receives the heartbeats of amphorae and lets through what is authentic and new."""

import logging
import select
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from threading import Event
from uuid import UUID

from amphora.heartbeat_reading import claimed_amphora_id, decode_heartbeat
from amphora.wire import Heartbeat, Malformed, Oversized, Tampered, WireError

LARGEST_DATAGRAM = 65_536
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes asked of the kernel: some thousand heartbeats may wait
BOOTS_REMEMBERED = 8  # of one amphora
AMPHORAE_REMEMBERED = 100_000
_LOOK_FOR_STOP_SECONDS = 0.2
# What comes meanwhile is read in one go: to wake up costs more than to read. So short that 15,000 in a second have room
# in the buffer that Linux gives a process without being told otherwise.
_GATHER_SECONDS = 0.01

logger = logging.getLogger(__name__)

KeysOf = Callable[[UUID], Sequence[str]]
"""The keys that may sign the heartbeats of an amphora."""


class Replayed(WireError):
    """A sequence number that was received before, or one from before it."""


class SequenceFilter:
    """Lets each heartbeat through once: within one boot of an agent sequence numbers only grow."""

    def __init__(self) -> None:
        self._latest: OrderedDict[UUID, OrderedDict[UUID | None, int]] = OrderedDict()

    def require_new(self, heartbeat: Heartbeat) -> None:
        """Raises Replayed. Agents older than ours have no boot id, so for them a restart is a sequence of zero."""
        if heartbeat.sequence is None:
            return
        boot_id = heartbeat.additions.boot_id if heartbeat.additions else None
        boots = self._latest.get(heartbeat.amphora_id)
        if boots is None:
            boots = self._latest[heartbeat.amphora_id] = OrderedDict()
        latest = boots.get(boot_id, -1)
        restarted = boot_id is None and heartbeat.sequence == 0
        if heartbeat.sequence <= latest and not restarted:
            raise Replayed(f"sequence {heartbeat.sequence} after {latest}")
        boots[boot_id] = heartbeat.sequence
        boots.move_to_end(boot_id)
        self._latest.move_to_end(heartbeat.amphora_id)
        if len(boots) > BOOTS_REMEMBERED:
            boots.popitem(last=False)
        if len(self._latest) > AMPHORAE_REMEMBERED:
            self._latest.popitem(last=False)


class HeartbeatReceiver:
    """Reads datagrams and passes on those that are authentic and new.

    fleet_keys  for agents that do not tell their id before they are authenticated, as stock images do
    dropped     reason -> how many datagrams
    caught_up   seconds of the monotonic clock when nothing was left to be read
    """

    def __init__(
        self,
        ear: socket.socket,
        keys_of: KeysOf,
        receive: Callable[[Heartbeat, float], None],
        fleet_keys: Sequence[str] = (),
    ) -> None:
        """`receive` gets each heartbeat and when it arrived, in seconds of the monotonic clock.

        ear  from `listening`; it stays the caller's, who closes it
        """
        self._socket = ear
        self._keys_of = lru_cache(maxsize=10_000)(lambda amphora_id: tuple(keys_of(amphora_id)))
        self._fleet_keys = tuple(fleet_keys)
        self._receive = receive
        self._sequences = SequenceFilter()
        self.accepted = 0
        self.dropped: Counter[str] = Counter()
        self.caught_up = time.monotonic()

    @property
    def address(self) -> tuple[str, int]:
        host, port, *_ = self._socket.getsockname()
        return host, port

    def run(self, stop: Event) -> None:
        """Until `stop` is set."""
        while not stop.is_set():
            ready, _, _ = select.select([self._socket], [], [], _LOOK_FOR_STOP_SECONDS)
            if not ready:
                self.caught_up = time.monotonic()
            elif self._read_one():
                self._read_waiting(stop)
                time.sleep(_GATHER_SECONDS)

    def _read_waiting(self, stop: Event) -> None:
        while not stop.is_set():
            if not self._read_one():
                self.caught_up = time.monotonic()
                return

    def _read_one(self) -> bool:
        """False when nothing is waiting."""
        try:
            datagram, source = self._socket.recvfrom(LARGEST_DATAGRAM)
        except BlockingIOError:
            return False
        try:
            heartbeat = self._verified(datagram)
        except WireError as error:
            self._drop(error, source[0])
        else:
            self.accepted += 1
            self._receive(heartbeat, time.monotonic())
        return True

    def _verified(self, datagram: bytes) -> Heartbeat:
        """Raises WireError."""
        claimed = claimed_amphora_id(datagram)
        heartbeat = decode_heartbeat(datagram, self._fleet_keys if claimed is None else self._keys_of(claimed))
        if claimed not in (None, heartbeat.amphora_id):
            raise Tampered(f"signed for {claimed}, yet about {heartbeat.amphora_id}")
        self._sequences.require_new(heartbeat)
        return heartbeat

    def _drop(self, error: WireError, source: str) -> None:
        """A flood must not become a flood of log lines: each reason is told at powers of two."""
        reason = type(error).__name__.lower()
        self.dropped[reason] += 1
        count = self.dropped[reason]
        if count & (count - 1) == 0:
            logger.warning("dropped a datagram from %s: %s (%d %s so far)", source, error, count, reason)


DROP_REASONS = tuple(kind.__name__.lower() for kind in (Tampered, Oversized, Malformed, Replayed))


def listening(address: tuple[str, int]) -> socket.socket:
    """A socket for heartbeats, with much room for those that wait. Raises OSError when the port cannot be bound."""
    family, _, _, _, resolved = socket.getaddrinfo(*address, type=socket.SOCK_DGRAM)[0]
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        bound.bind(resolved)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def inherited(descriptor: int) -> socket.socket:
    """A socket that the parent process bound. What came while nobody listened is old, and forgotten."""
    ear = socket.socket(fileno=descriptor)
    ear.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            ear.recv(1)
    return ear
