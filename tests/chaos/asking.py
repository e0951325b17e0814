"""Clients that keep asking while something is away, and remember each answer and how long it took."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from uuid import uuid4

from tests.system.api import LOST, ROOT, Api, until

LONGEST_ANSWER_SECONDS = 15.0
_PAUSE_SECONDS = 0.25


@dataclass(frozen=True)
class Answer:
    """at: when it had come, by the monotonic clock; status 0 when it was lost"""

    method: str
    at: float
    seconds: float
    status: int
    retry_after: str | None
    body: bytes

    @property
    def fault(self) -> str:
        """As clients of the contract read it. Raises ValueError, KeyError for anything else."""
        return str(json.loads(self.body)["faultstring"])


@dataclass
class Asking:
    """Reads a load balancer, and adds pools to it under names and keys of their own.

    accepted  names of pools whose 201 came
    open      names of those whose outcome their client does not know
    """

    api: Api
    load_balancer_id: str
    answers: list[Answer] = field(default_factory=list)
    accepted: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)
    stopping: Event = field(default_factory=Event)
    threads: list[Thread] = field(default_factory=list)

    def start(self) -> None:
        def keep_on(ask: Callable[[], Answer]) -> None:
            while not self.stopping.wait(_PAUSE_SECONDS):
                ask()

        self.threads = [Thread(target=keep_on, args=(ask,), daemon=True) for ask in (self.read, self.add_pool)]
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Returns when what they asked for last is answered."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(60)

    def read(self) -> Answer:
        return self._ask("GET", f"/loadbalancers/{self.load_balancer_id}")

    def add_pool(self, name: str | None = None) -> Answer:
        """A name that was asked for before goes with the key that it had."""
        name = name or f"pool-{uuid4()}"
        said = {"loadbalancer_id": self.load_balancer_id, "name": name, "protocol": "HTTP"}
        body = json.dumps({"pool": {**said, "lb_algorithm": "ROUND_ROBIN"}}).encode()
        answer = self._ask("POST", "/pools", body, {"Idempotency-Key": name})
        with self.lock:
            (self.accepted if answer.status == 201 else self.open).add(name)
            self.open -= self.accepted
        return answer

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        began = time.monotonic()
        with closing(http.client.HTTPConnection(self.api.host, self.api.port, timeout=60)) as connection:
            try:
                connection.request(method, ROOT + path, body, {"Content-Type": "application/json", **(headers or {})})
                came = connection.getresponse()
                found = came.status, came.getheader("Retry-After"), came.read()
            except LOST:
                found = 0, None, b""
        now = time.monotonic()
        answer = Answer(method, now, now - began, *found)
        with self.lock:
            self.answers.append(answer)
        return answer

    def since(self, moment: float) -> Sequence[Answer]:
        with self.lock:
            return [answer for answer in self.answers if answer.at >= moment]

    def count(self, status: int, since: float) -> int:
        return sum(answer.status == status for answer in self.since(since))

    def require_answered(self, since: float) -> str:
        """Everything in time, with what was asked for or with a 503 that tells when to come back."""
        answers = self.since(since)
        refused = [answer for answer in answers if answer.status == 503]
        strange = [answer for answer in answers if answer.status not in (200, 201, 503)]
        assert not strange, strange[:5]
        for answer in refused:
            assert int(answer.retry_after or 0) > 0, answer
            assert answer.fault, answer
        slowest = max(answer.seconds for answer in answers)
        assert slowest <= LONGEST_ANSWER_SECONDS, max(answers, key=lambda answer: answer.seconds)
        return f"{len(answers)} requests answered after at most {slowest:.1f} s, {len(refused)} of them with 503"

    def require_nothing_lost(self) -> str:
        """What was accepted is there; what was not is asked for again; and nothing is there twice."""
        repeated = set(self.open)
        for name in repeated:
            until(lambda name=name: self.add_pool(name).status == 201, 20, f"{name} to be accepted", pause=0.5)
        there = [pool["name"] for pool in self.api.get(f"/pools?loadbalancer_id={self.load_balancer_id}&fields=name")]
        ours = [name for name in there if name.startswith("pool-")]
        assert len(ours) == len(set(ours)), "a pool was added twice"
        assert set(ours) == self.accepted, (len(ours), len(self.accepted))
        return f"{len(ours)} pools accepted and there, {len(repeated)} after they were asked for again"


@contextmanager
def asking(api: Api, load_balancer_id: str) -> Iterator[Asking]:
    """One that reads and one that adds, each about four times a second, until they are stopped."""
    clients = Asking(api, load_balancer_id)
    clients.start()
    try:
        yield clients
    finally:
        clients.stop()
