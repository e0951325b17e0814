"""Lists, trees and large bodies, as a member of a project asks for them, with policy and quota in place."""

import json
from collections.abc import Sequence
from time import perf_counter
from typing import Any
from uuid import uuid4

import psycopg

from benchmarks.load import Request, median, quantile
from benchmarks.processes import cpu_seconds
from benchmarks.result import Extent, Result
from benchmarks.stage import MEMBER, Stage, stage, started_in
from infra.settings import AuthStrategy

ROOT = "/v2/lbaas"
LISTS = (1_000, 10_000, 100_000)


def whole_api(extent: Extent) -> list[Result]:
    with stage(AuthStrategy.TESTING) as here:
        client = _Client(here)
        return [
            *_single_call(client, extent),
            *_batch(client, extent),
            *_status_tree(client, extent),
            *_lists(client, extent),
            _start(here, extent),
        ]


class _Client:
    """A member of one project."""

    def __init__(self, here: Stage) -> None:
        self.here = here

    def request(self, method: str, path: str, document: object = None) -> Request:
        return Request.of(self.here.api.port, method, ROOT + path, document, MEMBER)

    def post(self, path: str, root: str, **settings: object) -> dict[str, Any]:
        answer = self.request("POST", path, {root: settings}).send()
        made: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])[root]
        return made

    def cpu(self, requests: Sequence[Request]) -> float:
        """Milliseconds of API and PostgreSQL for each, one after the other."""
        processes = [*self.here.api.processes, *self.here.postgres_processes]
        before = cpu_seconds(processes)
        for request in requests:
            request.send()
        return (cpu_seconds(processes) - before) / len(requests) * 1e3

    def median_cpu(self, request: Request, extent: Extent) -> float:
        """Of several rounds; the first ones, which fill caches, do not count."""
        count = max(extent.requests // 10, 20)
        self.cpu([request] * count)
        return median([self.cpu([request] * count) for _ in range(extent.rounds)])


def _graph(listeners: int, pools: int, members: int) -> dict[str, Any]:
    """members: of each pool"""
    return {
        "vip_subnet_id": str(uuid4()),
        "listeners": [
            {"name": f"l{n}", "protocol": "HTTP", "protocol_port": 80 + n, "default_pool": {"name": f"p{n}"}}
            for n in range(listeners)
        ],
        "pools": [
            {
                "name": f"p{n}",
                "protocol": "HTTP",
                "lb_algorithm": "ROUND_ROBIN",
                "members": [{"address": f"10.0.{n}.{m + 1}", "protocol_port": 80} for m in range(members)],
            }
            for n in range(pools)
        ],
    }


def _single_call(client: _Client, extent: Extent) -> list[Result]:
    document = {"loadbalancer": _graph(5, 5, 10)}
    cost = client.median_cpu(client.request("POST", "/loadbalancers", document), extent)
    return [
        Result(
            what="single-call create of 5 listeners, 5 pools, 50 members: CPU of API + PostgreSQL",
            target="at most 20 ms",
            measured=f"{cost:.1f} ms",
            baseline="Octavia 19, API alone: 329 ms",
            holds=cost <= 20,
        )
    ]


def _batch(client: _Client, extent: Extent) -> list[Result]:
    load_balancer = client.post("/loadbalancers", "loadbalancer", vip_subnet_id=str(uuid4()))
    pool = client.post(
        "/pools", "pool", loadbalancer_id=load_balancer["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN"
    )
    taken = []
    for weight in range(max(extent.requests // 20, 10)):
        members = [{"address": f"10.1.0.{n + 1}", "protocol_port": 80, "weight": weight % 250} for n in range(100)]
        request = client.request("PUT", f"/pools/{pool['id']}/members", {"members": members})
        began = perf_counter()
        request.send()
        taken.append((perf_counter() - began) * 1e3)
    typical = median(taken)
    return [
        Result(
            what="batch `PUT` of 100 members accepted",
            target="p50 within 30 ms",
            measured=f"p50 {typical:.1f} ms, p99 {quantile(taken, 0.99):.1f} ms ({len(taken)} in a row)",
            holds=typical <= 30,
        )
    ]


def _status_tree(client: _Client, extent: Extent) -> list[Result]:
    made = client.post("/loadbalancers", "loadbalancer", **_graph(10, 10, 10))
    cost = client.median_cpu(client.request("GET", f"/loadbalancers/{made['id']}/status"), extent)
    return [
        Result(
            what="status tree of 10 listeners, 10 pools, 100 members: CPU of API + PostgreSQL",
            target="at most 5 ms",
            measured=f"{cost:.2f} ms",
            baseline="Octavia 19, API alone: 62 ms",
            holds=cost <= 5,
        )
    ]


# Lists

_MULTIPLY = """
CREATE TEMP TABLE copies AS
SELECT gen_random_uuid() AS id, gen_random_uuid() AS listener, gen_random_uuid() AS pool, n
FROM generate_series(1, %(count)s) AS n;
INSERT INTO load_balancers SELECT (jsonb_populate_record(b, jsonb_build_object('id', c.id, 'created_at',
    b.created_at + c.n * interval '1 ms'))).* FROM load_balancers b, copies c WHERE b.id = %(id)s;
INSERT INTO listeners SELECT (jsonb_populate_record(l, jsonb_build_object('id', c.listener,
    'load_balancer_id', c.id))).* FROM listeners l, copies c WHERE l.load_balancer_id = %(id)s;
INSERT INTO pools SELECT (jsonb_populate_record(p, jsonb_build_object('id', c.pool, 'load_balancer_id', c.id))).*
FROM pools p, copies c WHERE p.load_balancer_id = %(id)s;
INSERT INTO members SELECT (jsonb_populate_record(m, jsonb_build_object('id', gen_random_uuid(), 'pool_id', c.pool,
    'load_balancer_id', c.id))).* FROM members m, copies c WHERE m.load_balancer_id = %(id)s;
DROP TABLE copies;
"""


def _lists(client: _Client, extent: Extent) -> list[Result]:
    """Of load balancers with a listener, a pool and three members each; all but one are copied by SQL."""
    sample = client.post("/loadbalancers", "loadbalancer", **_graph(1, 1, 3))["id"]
    costs, there = {}, 0
    for size in LISTS[:2] if extent.rounds < 5 else LISTS:
        _multiply(client.here, sample, size - there)
        there = size
        costs[size] = client.median_cpu(client.request("GET", "/loadbalancers?limit=100"), extent)
    told = ", ".join(f"{size:,}: {cost:.2f} ms" for size, cost in costs.items())
    flat = max(costs.values()) / min(costs.values())
    return [
        Result(
            what="list of 100 out of 10,000 load balancers: CPU of API + PostgreSQL",
            target="at most 5 ms",
            measured=f"{costs[10_000]:.2f} ms",
            baseline="Octavia 19, API alone: 68 ms",
            holds=costs[10_000] <= 5,
        ),
        Result(
            what="the same from 1,000 to 100,000",
            target="flat: largest at most twice the smallest",
            measured=f"{told}: {flat:.2f} times",
            holds=flat <= 2,
        ),
    ]


def _multiply(here: Stage, sample: str, count: int) -> None:
    with psycopg.connect(here.settings.database_url) as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(_MULTIPLY, {"id": sample, "count": count})
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE load_balancers, listeners, pools, members")


# Start


def _start(here: Stage, extent: Extent) -> Result:
    taken = [started_in(here) for _ in range(extent.rounds)]
    typical = median(taken)
    return Result(
        what="start of the API to its first answer",
        target="at most 2 s",
        measured=f"p50 {typical:.2f} s",
        baseline="Octavia 19: 10-11 s",
        holds=typical <= 2,
    )
