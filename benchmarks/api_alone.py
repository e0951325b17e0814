"""Requests against the API alone: what they cost beside the bare baselines, and how that grows with the tree."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from threading import Event, Thread
from time import monotonic
from uuid import uuid4

import psycopg

from benchmarks.load import Request, Volley, median, volley
from benchmarks.processes import cpu_seconds, resident_mebibytes
from benchmarks.result import Extent, Result
from benchmarks.stage import MEMBER, Server, Stage, stage
from infra.event_store import ORDER_LOCK
from infra.settings import AuthStrategy

ROOT = "/v2/lbaas"
LARGE, SMALL = 1_000, 10


@dataclass(frozen=True)
class _Cost:
    """CPU in microseconds for each request."""

    of_server: float
    of_postgres: float
    rate: float

    @property
    def total(self) -> float:
        return self.of_server + self.of_postgres

    def __str__(self) -> str:
        return f"{self.of_server:.0f} + {self.of_postgres:.0f} us"


def requests_of_the_api(extent: Extent) -> list[Result]:
    with stage(AuthStrategy.TESTING) as here:
        return [*_posts_and_gets(here, extent), *_large_trees(here, extent), _memory(here)]


def _posts_and_gets(here: Stage, extent: Extent) -> list[Result]:
    """In turns, so that whatever else the machine does concerns all of them."""
    document = {"project_id": "p", "vip_subnet_id": str(uuid4()), "name": "bench", "description": "x" * 100}
    write = Request.of(here.bare.port, "POST", "/rows", document)
    post = Request.of(here.api.port, "POST", f"{ROOT}/loadbalancers", {"loadbalancer": document}, MEMBER)
    read = Request.of(here.bare.port, "GET", f"/rows/{_object_of(write)['id']}")
    get = Request.of(
        here.api.port, "GET", f"{ROOT}/loadbalancers/{_object_of(post)['loadbalancer']['id']}", None, MEMBER
    )
    kinds = ((here.bare, write), (here.api, post), (here.bare, read), (here.api, get))
    for server, request in kinds:
        _cost(here, server, request, 100)  # until caches are warm
    rounds = [
        [_cost(here, server, request, extent.requests) for server, request in kinds] for _ in range(extent.rounds)
    ]
    w, p, r, g = (sorted(costs, key=lambda cost: cost.total)[len(costs) // 2] for costs in zip(*rounds, strict=True))
    cpu = median([one[1].total / one[0].total for one in rounds])
    rate = median([one[3].rate / one[2].rate for one in rounds])
    return [
        Result(
            what="`POST` load balancer: CPU of API + PostgreSQL",
            target="at most 3.5 x W",
            measured=f"{p}, {p.rate:.0f}/s: {cpu:.2f} x W",
            baseline=f"W: {w}, {w.rate:.0f}/s",
            holds=cpu <= 3.5,
        ),
        Result(
            what="`GET` one load balancer",
            target="at least 0.5 x R's rate",
            measured=f"{g.rate:.0f}/s ({g}): {rate:.2f} x R",
            baseline=f"R: {r.rate:.0f}/s ({r})",
            holds=rate >= 0.5,
        ),
    ]


def _object_of(request: Request) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, str]] = json.loads(request.send().partition(b"\r\n\r\n")[2])
    return document


def _cost(here: Stage, server: Server, request: Request, count: int) -> _Cost:
    fired: list[Volley] = []
    of_server, of_postgres = _cpu(here, server, lambda: fired.append(volley(request, count)))
    return _Cost(of_server / count * 1e6, of_postgres / count * 1e6, fired[0].rate)


def _cpu(here: Stage, server: Server, work: Callable[[], None]) -> tuple[float, float]:
    """Seconds of a server's processes and of PostgreSQL's."""
    before = cpu_seconds(server.processes), cpu_seconds(here.postgres_processes)
    work()
    return cpu_seconds(server.processes) - before[0], cpu_seconds(here.postgres_processes) - before[1]


# Large trees


def _large_trees(here: Stage, extent: Extent) -> list[Result]:
    """Batches first: the larger of the two pools is made by one."""
    changes = extent.requests // 5
    pools = {size: _pool(here) for size in (SMALL, LARGE)}
    _batch(here, pools[SMALL], SMALL)
    batches = [partial(_batch, here, pools[LARGE], LARGE, weight) for weight in range(1, 4)]
    held = max(_lock_held(here, batch) for batch in batches)
    cost = {size: _change_cost(here, pool_id, changes) for size, pool_id in pools.items()}
    more = (cost[LARGE] - cost[SMALL]) * 1e3
    return [
        Result(
            what="one member changed among 1,000 rather than 10: more CPU of API + PostgreSQL",
            target="at most 3 ms",
            measured=f"{more:.2f} ms ({cost[LARGE] * 1e3:.2f} against {cost[SMALL] * 1e3:.2f} ms)",
            holds=more <= 3,
        ),
        Result(
            what="batch of 1,000 members: append lock held",
            target="at most 20 ms",
            measured=f"{held * 1e3:.1f} ms (worst of 3)",
            holds=held <= 0.020,
        ),
    ]


def _pool(here: Stage) -> str:
    vip = {"project_id": "p", "vip_subnet_id": str(uuid4())}
    made = _object_of(Request.of(here.api.port, "POST", f"{ROOT}/loadbalancers", {"loadbalancer": vip}))
    settings = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "loadbalancer_id": made["loadbalancer"]["id"]}
    return _object_of(Request.of(here.api.port, "POST", f"{ROOT}/pools", {"pool": settings}))["pool"]["id"]


def _batch(here: Stage, pool_id: str, size: int, weight: int = 1) -> None:
    members = [
        {"address": f"10.0.{n // 250}.{n % 250 + 1}", "protocol_port": 80, "weight": weight} for n in range(size)
    ]
    Request.of(here.api.port, "PUT", f"{ROOT}/pools/{pool_id}/members", {"members": members}).send()


def _change_cost(here: Stage, pool_id: str, changes: int) -> float:
    """CPU seconds for one change."""
    path = f"{ROOT}/pools/{pool_id}/members"
    listed = json.loads(Request.of(here.api.port, "GET", f"{path}?limit=1").send().partition(b"\r\n\r\n")[2])
    place = f"{path}/{listed['members'][0]['id']}"

    def change() -> None:
        for weight in range(changes):
            Request.of(here.api.port, "PUT", place, {"member": {"weight": weight % 200 + 1}}).send()

    for weight in (201, 202, 203, 204):  # each worker reads the tree once
        Request.of(here.api.port, "PUT", place, {"member": {"weight": weight}}).send()
    return sum(_cpu(here, here.api, change)) / changes


def _lock_held(here: Stage, work: Callable[[], None]) -> float:
    """The longest that somebody else waited for the lock meanwhile."""
    stop, waits = Event(), [0.0]

    def probe() -> None:
        with psycopg.connect(here.settings.database_url, autocommit=True) as connection:
            while not stop.is_set():
                asked_at = monotonic()
                connection.execute("SELECT pg_advisory_lock(%s)", (ORDER_LOCK,), prepare=True)
                waits.append(monotonic() - asked_at)
                connection.execute("SELECT pg_advisory_unlock(%s)", (ORDER_LOCK,), prepare=True)

    prober = Thread(target=probe)
    prober.start()
    work()
    stop.set()
    prober.join()
    return max(waits)


def _memory(here: Stage) -> Result:
    largest = max(resident_mebibytes(pid) for pid in here.api.workers)
    bare = max(resident_mebibytes(pid) for pid in here.bare.workers)
    return Result(
        what="API worker, resident",
        target="at most 90 MiB",
        measured=f"{largest:.0f} MiB",
        baseline=f"bare worker {bare:.0f} MiB",
        holds=largest <= 90,
    )
