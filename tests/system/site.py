"""A load balancer that serves real members, made through the API."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.system.api import Api, Document, until
from tests.system.backends import Backend
from tests.system.traffic import serves

PORT = 8080


@dataclass(frozen=True)
class Site:
    """One load balancer with a listener and a pool.

    members  ids in the order of the backends
    """

    api: Api
    id: str
    vip: str
    listener_id: str
    pool_id: str
    members: tuple[str, ...]
    port: int = PORT

    @property
    def members_path(self) -> str:
        return f"/pools/{self.pool_id}/members"

    def add_member(self, **settings: object) -> str:
        added: Document = self.api.post(self.members_path, "member", **settings)
        return str(added["id"])

    def change_member(self, id: str, **settings: object) -> None:
        self.api.put(f"{self.members_path}/{id}", "member", settings)

    def remove_member(self, id: str) -> None:
        self.api.delete(f"{self.members_path}/{id}")

    def monitor(self, **settings: object) -> str:
        """Fast checks unless told otherwise."""
        fast = {"type": "HTTP", "url_path": "/health", "delay": 1, "timeout": 1, "max_retries": 1}
        made = self.api.post(
            "/healthmonitors", "healthmonitor", pool_id=self.pool_id, **{**fast, "max_retries_down": 2, **settings}
        )
        self.wait()
        return str(made["id"])

    def operating_status_of(self, member_id: str) -> str:
        """From the status tree."""
        tree = self.api.status_tree(self.id)
        return str(
            next(
                member["operating_status"]
                for listener in tree["listeners"]
                for pool in listener["pools"]
                for member in pool["members"]
                if member["id"] == member_id
            )
        )

    def wait(self, seconds: float = 20) -> None:
        self.api.wait_until_active(self.id, seconds)

    def wait_until_it_serves(self, seconds: float = 10) -> None:
        until(lambda: serves(self.vip, self.port), seconds, f"{self.vip}:{self.port} to serve")


def a_site(api: Api, backends: Sequence[Backend], port: int = PORT) -> Site:
    """Nothing is waited for between the steps: each change is accepted while the one before it is under way."""
    load_balancer = api.create_load_balancer()
    id = str(load_balancer["id"])
    listener = api.post("/listeners", "listener", loadbalancer_id=id, protocol="HTTP", protocol_port=port)
    pool = api.post("/pools", "pool", listener_id=listener["id"], protocol="HTTP", lb_algorithm="ROUND_ROBIN")
    path = f"/pools/{pool['id']}/members"
    members = tuple(str(api.post(path, "member", **backend.member)["id"]) for backend in backends)
    api.wait_until_active(id)
    site = Site(api, id, str(load_balancer["vip_address"]), str(listener["id"]), str(pool["id"]), members, port)
    if backends:
        site.wait_until_it_serves()
    return site
