"""Clients that cost as little as possible: raw requests over a connection each, from processes of their own."""

import json
import multiprocessing
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

CONNECTIONS = 8


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent."""

    port: int
    raw: bytes

    @classmethod
    def of(
        cls,
        port: int,
        method: str,
        path: str,
        document: object = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> "Request":
        body = b"" if document is None else json.dumps(document).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return cls(port, head.encode() + body)

    def send(self) -> bytes:
        """The whole answer. Raises RuntimeError for anything but a 2xx."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(self.raw)
            parts = []
            while part := connection.recv(65_536):
                parts.append(part)
        answer = b"".join(parts)
        if not answer.startswith(b"HTTP/1.1 2"):
            raise RuntimeError(answer[:300])
        return answer


@dataclass(frozen=True)
class Volley:
    """rate: requests a second; latencies in seconds."""

    rate: float
    latencies: Sequence[float]


def volley(request: Request, count: int, connections: int = CONNECTIONS) -> Volley:
    """`count` requests as fast as they are answered, `connections` at a time, from two processes."""
    with multiprocessing.get_context("fork").Pool(2) as processes:
        parts = processes.starmap(_in_threads, [(request, count // 2, connections // 2)] * 2)
    began, ended = min(part[0] for part in parts), max(part[1] for part in parts)
    latencies = [one for part in parts for one in part[2]]
    return Volley(len(latencies) / (ended - began), latencies)


def _in_threads(request: Request, count: int, threads: int) -> tuple[float, float, list[float]]:
    """When it began and ended by the machine's clock, and the latencies."""

    def timed(_: int) -> float:
        started_at = time.perf_counter()
        request.send()
        return time.perf_counter() - started_at

    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        latencies = list(pool.map(timed, range(count)))
        return began, time.monotonic(), latencies


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)
