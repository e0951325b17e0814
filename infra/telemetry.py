"""What monitoring sees of a process: `/metrics` for Prometheus, `/healthz` and `/readyz` for whoever starts it."""

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from infra.readings import Endpoint, Read, Reading, Reasons

logger = logging.getLogger(__name__)


class Readings(Collector):
    """Numbers that somebody knows already, read when they are asked for."""

    def __init__(self) -> None:
        self._reads: dict[str, Read] = {}

    def show(self, topic: str, read: Read) -> None:
        """From now on, in place of what was shown of this topic."""
        self._reads[topic] = read

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for reading in self._all():
            names = sorted(reading.labels)
            if reading.name not in families:
                kind = CounterMetricFamily if reading.counts_up else GaugeMetricFamily
                families[reading.name] = kind(reading.name, reading.help, labels=names)
            families[reading.name].add_metric([reading.labels[name] for name in names], reading.value)  # type: ignore[attr-defined]
        return families.values()

    def _all(self) -> Iterable[Reading]:
        """What cannot be read now is missing in the answer, which says enough."""
        for read in list(self._reads.values()):
            try:
                yield from read()
            except Exception as error:
                logger.warning("some numbers cannot be told: %s", error)


class Telemetry:
    """Answers monitoring in a thread of its own while it is entered.

    registry   counters and histograms of the process go here
    readings   numbers that are read at each look
    not_ready  asked for /readyz; until somebody sets it, the process is starting
    """

    def __init__(self, endpoint: Endpoint, *, not_ready: Reasons = lambda: ["starting"]) -> None:
        self.registry = CollectorRegistry()
        self.readings = Readings()
        self.registry.register(self.readings)
        self.not_ready = not_ready
        self._server = ThreadingHTTPServer((endpoint.host, endpoint.port), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=(0.1,), name="telemetry", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> tuple[int, str, bytes]:
        match path.partition("?")[0]:
            case "/metrics":
                return 200, CONTENT_TYPE_LATEST, generate_latest(self.registry)
            case "/healthz":
                return 200, "text/plain", b"alive\n"
            case "/readyz":
                reasons = self.not_ready()
                return (503 if reasons else 200), "text/plain", ("\n".join(reasons or ["ready"]) + "\n").encode()
        return 404, "text/plain", b"/metrics, /healthz and /readyz are here\n"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self._answer

        class Handler(BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self) -> None:
                status, kind, body = answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Nobody wants a line for every look."""

        return Handler


def telemetry(endpoint: Endpoint | None) -> AbstractContextManager["Telemetry | None"]:
    """Nothing where nobody asked for it."""
    return nullcontext() if endpoint is None else Telemetry(endpoint)
