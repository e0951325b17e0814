"""Every operation of the service, as a story in steps; docs/operations.md has their pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from amphora.driver import AmphoraAddress, ConfigurationRefused
from domain.load_balancer_events import Batch
from domain.pool import Pool
from tests.given import a_health_monitor, a_listener, a_member, a_pool, an_l7_policy, an_l7_rule
from tests.processes.world import World

BAD_ADDRESS = "127.0.0.66"
Step = Callable[[World], None]


@dataclass(frozen=True)
class Operation:
    """What users do, one step after the other; after each step the world may come to rest, or not.

    given    comes to rest without any fault
    then     every point from here on fails in turn
    is_gone  whether nothing is left in the end
    """

    given: Sequence[Step]
    then: Sequence[Step]
    is_gone: bool = False


def one(world: World) -> UUID:
    (load_balancer,) = world.load_balancers()
    return load_balancer.id


def create(world: World) -> None:
    world.create()


def create_without_amphorae(world: World) -> None:
    world.create(provider="noop_driver")


def add_a_tree(world: World) -> None:
    load_balancer = world.store.load_balancer(one(world))
    listener, pool, aside = a_listener(), a_pool(), a_pool()
    policy = an_l7_policy(listener, action="REDIRECT_TO_POOL", redirect_pool_id=aside.id)
    load_balancer.add_listener(listener)
    load_balancer.add_pool(pool, listener.id)
    load_balancer.add_pool(aside)
    load_balancer.add_l7_policy(policy)
    load_balancer.add_l7_rule(an_l7_rule(policy))
    load_balancer.add_member(a_member(aside, protocol_port=8082))
    load_balancer.add_member(a_member(pool))
    load_balancer.add_member(a_member(pool, protocol_port=8081))
    load_balancer.add_health_monitor(a_health_monitor(pool))
    world.save(load_balancer)


def rest(world: World) -> None:
    world.come_to_rest()


def some_steps(world: World) -> None:
    """As far as an amphora that boots."""
    world.step()


def change_a_member(world: World) -> None:
    load_balancer = world.store.load_balancer(one(world))
    member = next(iter(load_balancer.tree.members.values()))
    load_balancer.change_member(replace(member, weight=7))
    world.save(load_balancer)


def change_twenty_of_which_one_is_bad(world: World) -> None:
    world.driver.refuses = refuse_the_bad_address
    load_balancer = world.store.load_balancer(one(world))
    pool = the_pool(world)
    members = [a_member(pool, protocol_port=9_000 + n) for n in range(20)]
    members[13] = replace(members[13], address=BAD_ADDRESS)
    for member in members:
        load_balancer.replace_members(pool.id, Batch(added=(member,)))
    world.save(load_balancer)


def refuse_the_bad_address(amphora: AmphoraAddress, haproxy_cfg: str) -> ConfigurationRefused | None:
    return ConfigurationRefused("no such address") if BAD_ADDRESS in haproxy_cfg else None


def the_pool(world: World) -> Pool:
    """The default one."""
    tree = world.store.load_balancer(one(world)).tree
    (listener,) = tree.listeners.values()
    assert listener.default_pool_id is not None
    return tree.pools[listener.default_pool_id]


def correct_the_bad_one(world: World) -> None:
    load_balancer = world.store.load_balancer(one(world))
    members = load_balancer.tree.members.values()
    (bad,) = (member for member in members if member.address == BAD_ADDRESS)
    load_balancer.remove_member(bad.pool_id, bad.id)
    world.save(load_balancer)


def delete(world: World) -> None:
    world.delete(one(world))


def lose_the_amphora(world: World) -> None:
    lost = world.amphora_of(one(world))
    world.driver.unreachable.add(lost)
    world.outcomes.amphora_is_lost(lost, "silent")


def ask_for_a_failover(world: World) -> None:
    world.fail_over(one(world))


def break_the_first_amphora(world: World) -> None:
    world.compute.broken.add(world.amphora_of(one(world)))


SERVING = (create, rest, add_a_tree, rest)

OPERATIONS = {
    "create": Operation((), (create, rest)),
    "create with a tree before it is there": Operation((), (create, add_a_tree, rest)),
    "create, then a tree": Operation((), (create, rest, add_a_tree, rest)),
    "change": Operation(SERVING, (change_a_member, rest)),
    "twenty changes of which one is refused": Operation(SERVING, (change_twenty_of_which_one_is_bad, rest)),
    "delete": Operation(SERVING, (delete, rest), is_gone=True),
    "delete while it is being created": Operation((create, some_steps), (delete, rest), is_gone=True),
    "delete before anything was done": Operation((create,), (delete, rest), is_gone=True),
    "delete while a change waits": Operation((*SERVING, change_a_member, some_steps), (delete, rest), is_gone=True),
    "failover": Operation(SERVING, (lose_the_amphora, rest)),
    "failover that was asked for": Operation(SERVING, (ask_for_a_failover, rest)),
    "failover while a change waits": Operation((*SERVING, change_a_member), (lose_the_amphora, rest)),
    "delete during a failover": Operation((*SERVING, lose_the_amphora, some_steps), (delete, rest), is_gone=True),
    "a life without amphorae": Operation((), (create_without_amphorae, add_a_tree, rest, change_a_member, rest)),
    "failover without amphorae": Operation((create_without_amphorae, rest), (ask_for_a_failover, rest)),
    "delete without amphorae": Operation(
        (create_without_amphorae, add_a_tree, rest), (change_a_member, delete, rest), is_gone=True
    ),
    "failed build": Operation((create, break_the_first_amphora), (rest,)),
    "delete during a failed build": Operation(
        (create, break_the_first_amphora, some_steps, some_steps), (delete, rest), is_gone=True
    ),
}
