"""From create to ACTIVE with everything running, on drivers that complete at once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks.load import Request, quantile
from benchmarks.processes import cpu_seconds, of_directory, program_arguments
from benchmarks.result import Extent, Result
from infra.run import SERVICES
from tests.system.api import PROJECT, ROOT, until
from tests.system.conftest import a_service
from tests.system.service import Service

RATE = 100
SUBNET = "7b0e2a3c-4d5f-4a6b-8c7d-9e0f1a2b3c4d"
CLIENTS = 8
BACKLOG_SECONDS = 5
AT_ONCE, ACTIVE_RATE = 10, 75
"""Times as many creations as a benchmark makes one after the other; how many a second are ACTIVE then."""

_WAITING = "SELECT count(*) FROM shown_load_balancers WHERE provisioning_status <> 'ACTIVE'"


def create_to_active(extent: Extent) -> list[Result]:
    count = AT_ONCE * extent.creations
    with a_service("noop") as service:
        create = _creation(service)
        alone = [_alone(create) for _ in range(extent.creations)]
        through_the_log = _rate_at_once(service, count)
        results = [_latency(alone), _sustained(service, create, extent.sustained_seconds)]
        service.stop()
    with a_service("noop", with_kafka=True) as service:
        _alone(_creation(service))  # whoever comes first waits for the group
        through_kafka = _rate_at_once(service, count)
        service.stop()
    return [*results, _at_once(count, through_kafka, through_the_log)]


def _creation(service: Service) -> Request:
    document = {"loadbalancer": {"project_id": PROJECT, "vip_subnet_id": SUBNET, "name": "bench"}}
    return Request.of(service.port, "POST", f"{ROOT}/loadbalancers", document)


def _alone(create: Request) -> float:
    """Seconds, as a client sees it that asks again every 5 ms."""
    started_at = time.perf_counter()
    id = json.loads(create.send().partition(b"\r\n\r\n")[2])["loadbalancer"]["id"]
    show = Request.of(create.port, "GET", f"{ROOT}/loadbalancers/{id}")
    until(lambda: b'"provisioning_status":"ACTIVE"' in show.send(), 20, "it to be ACTIVE", pause=0.005)
    return time.perf_counter() - started_at


def _latency(seconds: list[float]) -> Result:
    p50, p99 = (quantile(seconds, share) * 1e3 for share in (0.5, 0.99))
    return Result(
        what="create to ACTIVE on noop drivers, alone",
        target="p50 60 ms, p99 250 ms",
        measured=f"p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(seconds)} in a row)",
        holds=p50 <= 60 and p99 <= 250,
    )


def _sustained(service: Service, create: Request, seconds: float) -> Result:
    """At a given rate, not faster: what is asked for is that nothing piles up."""
    wanted = int(RATE * seconds)
    before = _cpu(service)
    started_at = time.monotonic()

    def create_in_time(number: int) -> None:
        time.sleep(max(0.0, started_at + number / RATE - time.monotonic()))
        create.send()

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(create_in_time, range(wanted)))
    took = time.monotonic() - started_at
    with service.database() as connection:
        backlog = _count(connection.execute(_WAITING).fetchone())
        ended_at = time.monotonic()
        while (left := _count(connection.execute(_WAITING).fetchone())) and time.monotonic() < ended_at + 120:
            time.sleep(0.1)
        drained = time.monotonic() - ended_at
    cpu = ", ".join(f"{name} {(spent - before[name]) / wanted * 1e3:.1f}" for name, spent in _cpu(service).items())
    return Result(
        what=f"create to ACTIVE on noop drivers, {RATE}/s for {seconds:.0f} s",
        target=f"at least {RATE}/s, backlog gone {BACKLOG_SECONDS} s later",
        measured=f"{wanted / took:.0f}/s accepted; backlog {backlog}, gone after {drained:.1f} s"
        + (f" ({left} left)" if left else "")
        + f"; CPU for each, ms: {cpu}",
        holds=not left and drained <= BACKLOG_SECONDS and wanted / took >= RATE * 0.99,
    )


def _rate_at_once(service: Service, count: int) -> float:
    """ACTIVE ones a second, from the first request until the last is."""
    create = _creation(service)
    began = time.monotonic()
    with service.database() as connection, ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: create.send(), range(count)))
        until(lambda: not _count(connection.execute(_WAITING).fetchone()), 120, "all to be ACTIVE", pause=0.02)
    return count / (time.monotonic() - began)


def _at_once(count: int, through_kafka: float, through_the_log: float) -> Result:
    return Result(
        what=f"{count:,} creations at once on noop drivers, through Kafka",
        target=f"at least {ACTIVE_RATE} ACTIVE a second",
        measured=f"{through_kafka:.0f}/s",
        baseline=f"through the log: {through_the_log:.0f}/s",
        holds=through_kafka >= ACTIVE_RATE,
    )


def _cpu(service: Service) -> dict[str, float]:
    """Seconds by part of the service."""
    parts = {"PostgreSQL": cpu_seconds(of_directory(service.directory / "postgresql"))}
    for pid in of_directory(service.directory / "log"):
        name = next(name for name in ("api", *SERVICES) if name in program_arguments(pid))
        parts[name] = parts.get(name, 0.0) + cpu_seconds([pid])
    return parts


def _count(row: tuple[int] | None) -> int:
    return row[0] if row else 0
