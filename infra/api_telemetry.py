"""What monitoring sees of the API: its workers count in shared files, the process above them tells the sum."""

import os
import shutil
import time
from contextlib import suppress
from tempfile import mkdtemp
from typing import Any

from falcon import Request, Response

from infra.readings import Reasons

_SHARED = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client looks for it when it is imported


class RequestMetrics:
    """Middleware: counts requests and takes their time. Built in each worker, after the fork."""

    def __init__(self) -> None:
        from prometheus_client import Histogram

        self._seconds = Histogram(
            "tacitus_http_request_seconds",
            "Time from the first byte of a request that was read to the last of its answer that was made.",
            ["method", "status"],
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )

    def process_request(self, req: Request, resp: Response) -> None:
        req.context.began_at = time.perf_counter()

    def process_response(self, req: Request, resp: Response, resource: object, req_succeeded: bool) -> None:
        seconds = time.perf_counter() - req.context.began_at
        with suppress(OSError):  # a request that cannot be counted is answered all the same
            self._seconds.labels(req.method, str(resp.status)[:3]).observe(seconds)


def request_metrics() -> list[Any]:
    """The middleware, where somebody asked for monitoring."""
    return [RequestMetrics()] if _SHARED in os.environ else []


class ApiTelemetry:
    """Lives in the process above the workers. Make it before they are forked."""

    def __init__(self, host: str, port: int, not_ready: Reasons) -> None:
        self._directory = mkdtemp(prefix="tacitus-api-")  # a TemporaryDirectory would end with the first worker
        os.environ[_SHARED] = self._directory
        self._address = host, port
        self._not_ready = not_ready

    def start(self) -> None:
        from prometheus_client.multiprocess import MultiProcessCollector

        from infra.readings import Endpoint
        from infra.telemetry import Telemetry

        telemetry = Telemetry(Endpoint(*self._address))
        MultiProcessCollector(telemetry.registry, path=self._directory)  # type: ignore[no-untyped-call]
        telemetry.not_ready = self._not_ready
        telemetry.__enter__()

    def forget(self, pid: int) -> None:
        """A worker ended: what it counted stays, what it showed of itself does not."""
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, path=self._directory)  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """When all workers have ended."""
        shutil.rmtree(self._directory, ignore_errors=True)
