"""One object of each kind, for a client to work with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.noop.conftest import Noop


@dataclass(frozen=True)
class Tree:
    """Ids of what is named: load balancer web, listener front, pool weavers, member loom, health monitor check, L7
    policy door; and of the one rule of that policy.
    """

    web: str
    front: str
    weavers: str
    loom: str
    check: str
    door: str
    rule: str


def a_tree(noop: Noop, **settings: object) -> Tree:
    """All of it ACTIVE."""
    post = noop.api.post
    web = noop.load_balancer(name="web", **settings)["id"]
    front = post("/listeners", "listener", name="front", loadbalancer_id=web, protocol="HTTP", protocol_port=80)["id"]
    pool = {"name": "weavers", "listener_id": front, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    weavers = post("/pools", "pool", **pool)["id"]
    loom = post(f"/pools/{weavers}/members", "member", name="loom", address="10.0.0.7", protocol_port=8080)["id"]
    monitor = {"name": "check", "pool_id": weavers, "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2}
    check = post("/healthmonitors", "healthmonitor", **monitor)["id"]
    door = post("/l7policies", "l7policy", name="door", listener_id=front, action="REJECT")["id"]
    rule = {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "X-Guild", "value": "weavers"}
    created = post(f"/l7policies/{door}/rules", "rule", **rule)["id"]
    noop.api.wait_until_active(web, 5)
    return Tree(web, front, weavers, loom, check, door, created)


def a_flavor(noop: Noop, name: str = "fast", provider: str = "noop_driver", **data: object) -> str:
    profile = {"name": f"{name}-profile", "provider_name": provider, "flavor_data": json.dumps(data)}
    made = noop.api.post("/flavorprofiles", "flavorprofile", **profile)
    found: str = noop.api.post("/flavors", "flavor", name=name, flavor_profile_id=made["id"])["id"]
    return found


def a_zone(noop: Noop, name: str = "east", provider: str = "noop_driver", **data: object) -> str:
    """Its name, which is its key."""
    profile = {"name": f"{name}-profile", "provider_name": provider, "availability_zone_data": json.dumps(data)}
    made = noop.api.post("/availabilityzoneprofiles", "availability_zone_profile", **profile)
    said = {"name": name, "availability_zone_profile_id": made["id"]}
    noop.api.post("/availabilityzones", "availability_zone", **said)
    return name


def a_secret() -> str:
    return f"http://secrets.example.org/v1/containers/{uuid4()}"


def excerpt(document: Mapping[str, Any], expected: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a document, what is expected to be in it: to compare the two."""
    return {name: document.get(name, "missing") for name in expected}
