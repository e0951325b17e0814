"""Makes one object of each kind from what is said of it, with the rest filled in, and whatever that refers to."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import count
from typing import Any
from uuid import uuid4

from falcon.testing import Result

from tests.api.conftest import Api
from tests.api.fields.field import ABSENT, Document, existing


@dataclass(frozen=True)
class Kind:
    """Where objects of a kind are, and what the contract calls them.

    argument      the name of a whole body in error texts; of a change when that is another
    key           what stands in an object's URL
    read_only     attributes beside those that are shown which neither a creation nor a change takes
    """

    path: str
    argument: str
    argument_of_change: str = ""
    key: str = "id"
    read_only: tuple[str, ...] = ("loom",)


KINDS: Mapping[str, Kind] = {
    "loadbalancer": Kind("/loadbalancers", "load_balancer"),
    "listener": Kind("/listeners", "listener_", read_only=("loom", "pools", "load_balancers")),
    "pool": Kind("/pools", "pool_", read_only=("loom", "healthmonitor_id", "health_monitor_id")),
    "member": Kind("/pools/{pool}/members", "member_", read_only=("loom", "description", "pool_id")),
    "healthmonitor": Kind("/healthmonitors", "health_monitor_", read_only=("loom", "description")),
    "l7policy": Kind("/l7policies", "l7policy_", read_only=("loom", "redirect_pool")),
    "rule": Kind("/l7policies/{policy}/rules", "rule_", "l7rule_", read_only=("name", "description", "l7policy_id")),
    "quota": Kind("/quotas", "quotas", key="project_id", read_only=("loom", "health_monitors")),
    "flavor": Kind("/flavors", "flavor_", read_only=("tags", "project_id", "created_at")),
    "flavorprofile": Kind("/flavorprofiles", "flavor_profile_", read_only=("description", "enabled")),
    "availability_zone": Kind("/availabilityzones", "availability_zone_", key="name", read_only=("id", "tags")),
    "availability_zone_profile": Kind(
        "/availabilityzoneprofiles", "availability_zone_profile_", read_only=("enabled",)
    ),
}

_OF_PROJECTS = ("loadbalancer", "listener", "pool", "healthmonitor", "l7policy")
_numbers = count(1)


def _load_balancer(tree: "Tree") -> str:
    id: str = tree.load_balancer["id"]
    return id


def _listener_with_a_policy(tree: "Tree") -> str:
    """So that a policy is the second one."""
    listener_id: str = tree.make("listener")["id"]
    tree.make("l7policy", listener_id=listener_id)
    return listener_id


def _unused_port(tree: "Tree") -> int:
    return tree.unused_port()


def _unused_name(tree: "Tree") -> str:
    return tree.unused_name()


LEAST: Mapping[str, Mapping[str, Any]] = {
    "loadbalancer": {"vip_subnet_id": str(uuid4())},
    "listener": {"loadbalancer_id": _load_balancer, "protocol": "HTTP", "protocol_port": _unused_port},
    "pool": {"loadbalancer_id": _load_balancer, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
    "member": {"address": "10.0.0.7", "protocol_port": _unused_port},
    "healthmonitor": {"pool_id": existing("pool"), "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1},
    "l7policy": {"listener_id": _listener_with_a_policy, "action": "REJECT"},
    "rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/a"},
    "flavor": {"name": _unused_name, "flavor_profile_id": existing("flavorprofile")},
    "flavorprofile": {"name": "", "provider_name": "noop_driver", "flavor_data": "{}"},
    "availability_zone": {
        "name": _unused_name,
        "availability_zone_profile_id": existing("availability_zone_profile"),
    },
    "availability_zone_profile": {"name": "", "provider_name": "noop_driver", "availability_zone_data": "{}"},
}
"""What a creation has to say at least."""


@dataclass(frozen=True)
class Tree:
    """The objects of one test, in a project of its own."""

    api: Api
    _ports: Iterator[int] = field(default_factory=lambda: count(1_000))
    _created: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, api: Api) -> "Tree":
        return cls(replace(api, headers={"X-Project-Id": f"weaving-{next(_numbers)}"}))

    # What requests are sent

    def create(self, of: str, said: Mapping[str, Any]) -> Result:
        """said: values, or what makes them; ABSENT for those to be left out"""
        result = self.api.call("POST", self.path(of), {of: self.resolved({**LEAST.get(of, {}), **said})})
        self._created[of] += result.status_code == 201
        return result

    def change(self, of: str, object: Document, said: Mapping[str, Any]) -> Result:
        return self.api.call("PUT", self.path_of(of, object), {of: self.resolved(said)})

    def show(self, of: str, object: Document) -> Document:
        found: Document = self.api.get(self.path_of(of, object))[of]
        return found

    def unaccounted(self, of: str) -> int:
        """How many there are in the project beside those that a creation was answered with."""
        query = f"project_id={self.project}" if of in _OF_PROJECTS else ""
        return len(next(iter(self.api.get(self.path(of), query).values()))) - self._created[of]

    def make(self, of: str, /, **said: object) -> Document:
        """Without fail."""
        result = self.create(of, said)
        assert result.status_code == 201, (said, result.text)
        made: Document = result.json[of]
        return made

    def unused_name(self) -> str:
        return f"loom-{next(_numbers)}-"

    def resolved(self, said: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self.value(value) for name, value in said.items() if value is not ABSENT}

    def value(self, said: Any) -> Any:
        return said(self) if callable(said) else said

    def unused_port(self) -> int:
        return next(self._ports)

    # Where they are

    @property
    def project(self) -> str:
        return self.api.headers["X-Project-Id"]

    def path(self, of: str) -> str:
        template = KINDS[of].path
        if of == "member":
            return template.format(pool=self.pool["id"])
        return template.format(policy=self.policy["id"]) if of == "rule" else template

    def path_of(self, of: str, object: Document) -> str:
        return f"{self.path(of)}/{object[KINDS[of].key]}"

    # What is above them

    @cached_property
    def load_balancer(self) -> Document:
        """One that takes everything that load balancers can be allowed."""
        return self.make("loadbalancer", flavor_id=self.generous_flavor["id"])

    @cached_property
    def generous_flavor(self) -> Document:
        profile = self.make("flavorprofile", flavor_data='{"allow_member_sriov": true}')
        return self.make("flavor", flavor_profile_id=profile["id"])

    @cached_property
    def pool(self) -> Document:
        return self.make("pool")

    @cached_property
    def policy(self) -> Document:
        return self.make("l7policy")
