"""A load balancer with one of everything, for tests of what happens to it."""

from domain.fields import ProvisioningStatus
from tests.given import (
    a_health_monitor,
    a_listener,
    a_load_balancer,
    a_member,
    a_pool,
    an_l7_policy,
    an_l7_rule,
    confirm,
)

ACTIVE = ProvisioningStatus.ACTIVE


class Planted:
    """An ACTIVE load balancer with one of everything: the pool is the listener's default, and redirected to."""

    def __init__(self) -> None:
        self.listener, self.pool = a_listener(), a_pool()
        self.policy = an_l7_policy(self.listener, action="REDIRECT_TO_POOL", redirect_pool_id=self.pool.id)
        self.rule = an_l7_rule(self.policy)
        self.member, self.monitor = a_member(self.pool), a_health_monitor(self.pool)
        self.load_balancer = it = a_load_balancer()
        it.add_listener(self.listener)
        it.add_pool(self.pool, self.listener.id)
        it.add_l7_policy(self.policy)
        it.add_l7_rule(self.rule)
        it.add_member(self.member)
        it.add_health_monitor(self.monitor)
        confirm(it)

    @property
    def pending(self) -> set[str]:
        """Names of what is not ACTIVE, with the load balancer itself."""
        named = {name: thing.id for name, thing in vars(self).items()}
        return {name for name, id in named.items() if self.load_balancer.status_of(id) not in (ACTIVE, None)}
