"""Looks at the running HAProxies: what they balance, in which state it is, what passed through."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from amphora.agent.counters import CounterBook
from amphora.agent.load_balancer import LoadBalancer
from amphora.agent.runtime_socket import NoAnswer, ask, worker_in
from amphora.wire import Counters, ListenerReport, PoolReport, Stamp, Statistics, parse_statistics

FRONTENDS = "show stat -1 1 -1"  # all processes' frontends alone: counters need no more
TABLE = "# pxname"  # how the answer to `show stat` begins


@dataclass(frozen=True)
class Observation:
    """The amphora at one moment; counters of listeners: growth since the last observation."""

    listeners: Mapping[UUID, ListenerReport] = field(default_factory=dict)
    pools: tuple[PoolReport, ...] = ()
    totals: Mapping[UUID, Counters] = field(default_factory=dict)
    running: Stamp | None = None


class Observer:
    """Keeps the counters over all workers. Used by the heartbeat sender and before each reload, one at a time."""

    def __init__(self, book: CounterBook) -> None:
        self._book = book
        self._lock = threading.Lock()
        self._current: dict[str, int] = {}  # load balancer -> pid of its worker
        self._draining: dict[str, set[int]] = {}  # load balancer -> pids of workers that still serve old connections

    def observe(self, load_balancers: Iterable[LoadBalancer]) -> Observation:
        """A HAProxy that does not answer is left out, as if it had no listeners."""
        with self._lock:
            answers = [answer for each in load_balancers if (answer := self._look(each, "show stat"))]
            listeners = {id: report for answer in answers for id, report in answer[1].listeners.items()}
            growth = self._book.take_growth()
            pids = {*self._current.values(), *(pid for pids in self._draining.values() for pid in pids)}
            if answers:
                self._book.forget(pids, listeners)
                self._book.save()
            return Observation(
                {id: report._replace(counters=growth.get(id, Counters())) for id, report in listeners.items()},
                tuple(pool for answer in answers for pool in answer[1].pools),
                dict(self._book.totals),
                next((answer[0] for answer in answers if answer[0]), None),
            )

    def count(self, load_balancer: LoadBalancer) -> None:
        """Enter what the worker counted into the book, as long as it can be asked."""
        with self._lock:
            self._look(load_balancer, FRONTENDS)

    def _look(self, load_balancer: LoadBalancer, question: str) -> tuple[Stamp | None, Statistics] | None:
        self._look_at_draining(load_balancer)
        running = load_balancer.running  # as of before the answer, which may show already what is confirmed later
        try:
            answer = ask(load_balancer.statistics_socket, f"show info;{question}")
        except NoAnswer:
            return None
        info, mark, table = answer.partition(TABLE)
        worker = worker_in(info)
        if worker is None or not mark:
            return None
        former = self._current.get(load_balancer.id, worker.pid)
        if former != worker.pid:
            self._draining.setdefault(load_balancer.id, set()).add(former)
            self._look_at_draining(load_balancer)
        self._current[load_balancer.id] = worker.pid
        self._draining.get(load_balancer.id, set()).discard(worker.pid)  # while workers change, either may answer
        statistics = parse_statistics(TABLE + table)
        self._book.enter(worker.pid, {id: report.counters for id, report in statistics.listeners.items()})
        return running.stamp_of(worker), statistics

    def _look_at_draining(self, load_balancer: LoadBalancer) -> None:
        for pid in sorted(self._draining.get(load_balancer.id, ())):
            counters = _counters_of_draining(load_balancer, pid)
            if counters is None:
                self._draining[load_balancer.id].discard(pid)
            else:
                self._book.enter(pid, counters)


def _counters_of_draining(load_balancer: LoadBalancer, pid: int) -> dict[UUID, Counters] | None:
    """Only the master still reaches a worker that has given up its socket; None when it has ended."""
    try:
        answer = ask(load_balancer.master_socket, f"@!{pid} {FRONTENDS}")
    except NoAnswer:
        return {}  # the master runs itself anew just now; the next look asks again
    if TABLE not in answer:
        return None
    return {id: report.counters for id, report in parse_statistics(answer).listeners.items()}
