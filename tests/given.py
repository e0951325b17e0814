"""Builders for tests: a test says only what matters to it."""

from typing import Any
from uuid import UUID, uuid4

from commands.ports import Choice
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.l7_policy import L7Action, L7Policy
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener, ListenerProtocol
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import Member
from domain.pool import LbAlgorithm, Pool, PoolProtocol
from domain.vip import Vip


def a_vip(**said: Any) -> Vip:
    return Vip(**{"address": "127.20.0.7", "port_id": uuid4(), "subnet_id": uuid4(), "network_id": uuid4(), **said})


def a_load_balancer(id: UUID | None = None, **said: Any) -> LoadBalancer:
    """One that was just asked for."""
    defaults = {
        "project_id": "p",
        "provider": "amphora",
        "vip": a_vip(),
        "settings": LoadBalancerSettings(),
        "amphora_ids": (uuid4(),),
    }
    return LoadBalancer.create(id or uuid4(), **{**defaults, **said})


def confirm(load_balancer: LoadBalancer) -> None:
    """All its amphorae run the latest revision, less what is held back."""
    for amphora_id in load_balancer.amphora_ids:
        held = load_balancer.progress.held_back
        load_balancer.configuration_is_applied(amphora_id, load_balancer.revision, "sha", held)


def refuse(load_balancer: LoadBalancer, *ids: UUID) -> None:
    """Its first amphora refuses the latest revision because of these objects; everything else runs."""
    amphora_id = load_balancer.amphora_ids[0]
    load_balancer.configuration_is_refused(amphora_id, load_balancer.revision, dict.fromkeys(ids, "no"))
    confirm(load_balancer)


def an_active_load_balancer(**said: Any) -> LoadBalancer:
    load_balancer = a_load_balancer(**said)
    confirm(load_balancer)
    return load_balancer


def a_listener(**said: Any) -> Listener:
    said["protocol"] = ListenerProtocol(said.get("protocol", "HTTP"))
    return Listener(**{"id": uuid4(), "protocol_port": 80, **said})


def a_pool(**said: Any) -> Pool:
    said["protocol"] = PoolProtocol(said.get("protocol", "HTTP"))
    return Pool(**{"id": uuid4(), "lb_algorithm": LbAlgorithm.ROUND_ROBIN, **said})


def a_member(pool: Pool, **said: Any) -> Member:
    return Member(**{"id": uuid4(), "pool_id": pool.id, "address": "127.0.0.9", "protocol_port": 8080, **said})


def a_health_monitor(pool: Pool, **said: Any) -> HealthMonitor:
    said["type"] = HealthMonitorType(said.get("type", "TCP"))
    return HealthMonitor(**{"id": uuid4(), "pool_id": pool.id, "delay": 1, "timeout": 1, "max_retries": 1, **said})


def an_l7_policy(listener: Listener, **said: Any) -> L7Policy:
    said["action"] = L7Action(said.get("action", "REJECT"))
    return L7Policy(**{"id": uuid4(), "listener_id": listener.id, **said})


def an_l7_rule(policy: L7Policy, **said: Any) -> L7Rule:
    said["type"] = L7RuleType(said.get("type", "PATH"))
    said["compare_type"] = L7CompareType(said.get("compare_type", "STARTS_WITH"))
    return L7Rule(**{"id": uuid4(), "l7policy_id": policy.id, "value": "/annals", **said})


class NothingToChoose:
    """commands.ports.Catalogue of a deployment without flavors and availability zones."""

    def flavor(self, id: UUID) -> Choice | None:
        return None

    def availability_zone(self, name: str) -> Choice | None:
        return None
