"""Clients that do not give up: each change has a key, and is sent until it is answered for good."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from uuid import uuid4

from tests.system.api import LOST, PROJECT, ROOT, Api, Document, until

PATIENCE_SECONDS = 90.0
UNAVAILABLE = (502, 503, 504)


@dataclass
class Expected:
    """What a client was promised of one load balancer.

    pools  id -> member's address and port -> weight
    """

    id: str
    key: str
    name: str
    pools: dict[str, dict[tuple[str, int], int]] = field(default_factory=dict)
    is_deleted: bool = False


class Client:
    """Creates, changes and deletes load balancers of its own, one request after the other.

    answers   how many requests were answered for good
    repeated  how many had to be sent again
    """

    def __init__(self, api: Api, seed: int, settings: Mapping[str, object]) -> None:
        self._api = api
        self._random = random.Random(seed)
        self._settings = dict(settings)
        self.load_balancers: list[Expected] = []
        self.answers = 0
        self.repeated = 0

    def run(self, stop: Event) -> None:
        steps = [
            (2, self._create),
            (3, self._add_pool),
            (8, self._change_members),
            (2, self._rename),
            (1, self._delete),
        ]
        while not stop.is_set():
            (step,) = self._random.choices([step for _, step in steps], [weight for weight, _ in steps])
            step()

    def _create(self) -> None:
        name, key = f"chaos-{uuid4()}", str(uuid4())
        body = {"name": name, "project_id": PROJECT, **self._settings}
        created = self._send("POST", "/loadbalancers", {"loadbalancer": body}, key=key)
        self.load_balancers.append(Expected(created["loadbalancer"]["id"], key, name))

    def _add_pool(self) -> None:
        for mine in self._one():
            body = {"loadbalancer_id": mine.id, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
            created = self._send("POST", "/pools", {"pool": body})
            mine.pools[created["pool"]["id"]] = {}

    def _change_members(self) -> None:
        for mine in self._one():
            if mine.pools:
                pool = self._random.choice(list(mine.pools))
                count = self._random.randrange(5)
                members = {("192.0.2.1", 8_000 + n): self._random.randrange(1, 10) for n in range(count)}
                said = [
                    {"address": address, "protocol_port": port, "weight": weight}
                    for (address, port), weight in members.items()
                ]
                self._send("PUT", f"/pools/{pool}/members", {"members": said})
                mine.pools[pool] = members

    def _rename(self) -> None:
        for mine in self._one():
            name = f"chaos-{uuid4()}"
            self._send("PUT", f"/loadbalancers/{mine.id}", {"loadbalancer": {"name": name}})
            mine.name = name

    def _delete(self) -> None:
        for mine in self._one():
            self._send("DELETE", f"/loadbalancers/{mine.id}?cascade=true", None)
            mine.is_deleted = True

    def _one(self) -> Iterator[Expected]:
        """One of those that are there, if any."""
        there = [each for each in self.load_balancers if not each.is_deleted]
        if there:
            yield self._random.choice(there)

    def _send(self, method: str, path: str, document: Document | None, *, key: str | None = None) -> Any:
        """Send it until the answer is final; anything but a 2xx is a fault, since nobody else touches what is ours."""
        headers = {"Idempotency-Key": key or str(uuid4())}
        body = None if document is None else json.dumps(document).encode()

        def answered() -> tuple[int, bytes] | None:
            try:
                status, text = self._api.ask(method, ROOT + path, body, headers)
            except LOST:
                status, text = 503, b""
            if status in UNAVAILABLE or (status == 409 and b"Idempotency" in text):
                self.repeated += 1
                return None
            return status, text

        status, text = until(answered, PATIENCE_SECONDS, f"an answer to {method} {path}", pause=0.1)
        assert status < 300, f"{method} {path} {document}: {status} {text.decode(errors='replace')[:300]}"
        self.answers += 1
        return json.loads(text) if text else None
