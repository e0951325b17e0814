"""The API as a stranger's program uses it: one connection for each request, as the standard library does it."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

Document = dict[str, Any]

ROOT = "/v2/lbaas"
PROJECT = "annals"
LOST = (OSError, http.client.HTTPException)
"""What a request may raise whose answer never came."""


class Refused(Exception):
    """An answer that is not a 2xx."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status
        self.text = text


@dataclass(frozen=True)
class Api:
    """`post`, `put` and `get` return the object inside the answer's one key, or None where there is no body."""

    host: str
    port: int

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Status and body, whatever they are. Raises one of LOST when no answer came."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=30)) as connection:
            connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def get(self, path: str) -> Any:
        return self._send("GET", path)

    def post(self, path: str, root: str, **settings: object) -> Document:
        answer: Document = self._send("POST", path, {root: settings})
        return answer

    def put(self, path: str, root: str, said: object) -> Any:
        return self._send("PUT", path, {root: said})

    def delete(self, path: str) -> None:
        self._send("DELETE", path)

    def _send(self, method: str, path: str, document: Document | None = None) -> Any:
        status, text = self.ask(method, ROOT + path, None if document is None else json.dumps(document).encode())
        if status >= 300:
            raise Refused(status, text.decode(errors="replace"))
        return next(iter(json.loads(text).values())) if text else None

    # What the scenarios are made of

    def create_load_balancer(self, **settings: object) -> Document:
        """On the local profile's network, unless told otherwise."""
        if "vip_subnet_id" not in settings:
            settings["vip_subnet_id"] = self.vip_subnet_id()
        return self.post(
            "/loadbalancers", "loadbalancer", **{"project_id": PROJECT, "name": f"lb-{uuid4()}", **settings}
        )

    def vip_subnet_id(self) -> str:
        _, text = self.ask("GET", "/v2/subnets?name=vip-subnet")
        found: str = json.loads(text)["subnets"][0]["id"]
        return found

    def load_balancer(self, id: str) -> Document:
        found: Document = self.get(f"/loadbalancers/{id}")
        return found

    def status_tree(self, id: str) -> Document:
        found: Document = self.get(f"/loadbalancers/{id}/status")["loadbalancer"]
        return found

    def wait_until_active(self, id: str, seconds: float = 20) -> Document:
        """The load balancer's document once it is ACTIVE; AssertionError when it becomes ERROR or takes too long."""

        def is_active() -> Document | None:
            found = self.load_balancer(id)
            assert found["provisioning_status"] != "ERROR", found
            return found if found["provisioning_status"] == "ACTIVE" else None

        active: Document = until(is_active, seconds, f"load balancer {id} to be ACTIVE")
        return active

    def delete_load_balancer(self, id: str, seconds: float = 20) -> None:
        """With all that is below it; returns once it is gone."""
        self.delete(f"/loadbalancers/{id}?cascade=true")
        self.wait_until_gone(f"/loadbalancers/{id}", seconds)

    def wait_until_gone(self, path: str, seconds: float = 20) -> None:
        def is_gone() -> bool:
            try:
                self.get(path)
            except Refused as refused:
                if refused.status != 404:
                    raise
                return True
            return False

        until(is_gone, seconds, f"{path} to be gone")


def until(condition: Callable[[], Any], seconds: float, waiting_for: str = "", *, pause: float = 0.02) -> Any:
    """The first true value of `condition`. From outside there is nothing to be woken by, so it is asked again.

    Raises AssertionError when it did not come true in time.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {waiting_for or condition}"
        time.sleep(pause)
    return value
