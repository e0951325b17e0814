"""Every call from a worker to the outside is a point, counted in order; a fault strikes at one of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from amphora.driver import AgentFault, AmphoraAddress, AmphoraUnreachable
from commands.ports import StoreUnavailable
from domain.errors import ConcurrentChange
from infra.memory import Clock
from processes.ports import ComputeFault, NetworkFault

LONG = timedelta(seconds=100)
"""Past every deadline of the simulated world."""


class WorkerDied(BaseException):
    """Nothing of a dead worker runs on, not even its handling of errors."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong, from the point numbered `at` on.

    error   made anew for each time it strikes
    after   whether the call took effect before, so that only its answer is lost
    lasts   how long every call of the same name fails; None for this once
    stalls  whether the worker only stops for longer than its lease, while others go on, and then goes on itself
    """

    error: Callable[[], BaseException]
    after: bool = False
    lasts: timedelta | None = None
    stalls: bool = False


def unreachable() -> AmphoraUnreachable:
    return AmphoraUnreachable(AmphoraAddress(UUID(int=0), "nowhere"), "told so")


def disk_full() -> AgentFault:
    return AgentFault(500, "No space left on device")


_TELLS: dict[str, Callable[[], BaseException]] = {
    "compute": lambda: ComputeFault("told so"),
    "network": lambda: NetworkFault("told so"),
    "driver": unreachable,
    "store": lambda: StoreUnavailable("told so"),
    "queue": lambda: StoreUnavailable("told so"),
    "ledger": lambda: StoreUnavailable("told so"),
}


def faults_of(point: str) -> dict[str, Fault]:
    """All that can go wrong at a point: name -> fault."""
    tells = _TELLS[point.split(".")[0]]
    faults = {
        "fails once": Fault(tells),
        "its answer is lost": Fault(tells, after=True),
        "fails for long": Fault(tells, lasts=LONG),
        "the worker dies before": Fault(WorkerDied),
        "the worker dies after": Fault(WorkerDied, after=True),
        "the worker stalls before": Fault(WorkerDied, stalls=True),
        "the worker stalls after": Fault(WorkerDied, after=True, stalls=True),
    }
    if point.startswith("driver."):
        faults["the agent reports a fault once"] = Fault(disk_full)
        faults["the agent reports a fault for long"] = Fault(disk_full, lasts=LONG)
    if point == "store.save":
        faults["somebody else was faster"] = Fault(ConcurrentChange)
    return faults


@dataclass
class Points:
    """Counts the points that are passed, and lets the fault strike.

    meanwhile  what others do while a worker stalls
    """

    clock: Clock
    fault: Fault | None = None
    at: int = -1
    meanwhile: Callable[[], None] = lambda: None
    passed: list[str] = field(default_factory=list)
    struck: str = ""
    _until: datetime | None = None

    @property
    def nothing_is_stored(self) -> bool:
        """Whether the fault is, or was for long, that of the database."""
        return self._until is not None and self.struck.startswith(("store", "queue", "ledger"))

    @contextmanager
    def passing(self, name: str) -> Iterator[None]:
        strikes = self._strikes(name, len(self.passed))
        self.passed.append(name)
        if strikes and self.fault and not self.fault.after:
            self._strike(self.fault)
        yield
        if strikes and self.fault and self.fault.after:
            self._strike(self.fault)

    def _strike(self, fault: Fault) -> None:
        if not fault.stalls:
            raise fault.error()
        self.meanwhile()

    def _strikes(self, name: str, number: int) -> bool:
        if self.fault is None:
            return False
        if number == self.at:
            self.struck = name
            self._until = self.clock.now + self.fault.lasts if self.fault.lasts else None
            return True
        return name == self.struck and self._until is not None and self.clock.now < self._until


class Watched:
    """Passes calls on, each through a point named `<name>.<method>`."""

    def __init__(self, name: str, target: object, points: Points, methods: tuple[str, ...]) -> None:
        self._name = name
        self._target = target
        self._points = points
        self._methods = methods

    def __getattr__(self, method: str) -> object:
        found = getattr(self._target, method)
        if method not in self._methods:
            return found

        def call(*args: object, **kwargs: object) -> object:
            with self._points.passing(f"{self._name}.{method}"):
                return found(*args, **kwargs)

        return call
