"""What must hold of every tree, whatever led to it."""

from collections import Counter

from domain.load_balancer import LoadBalancer
from domain.progress import Kind


def check_tree(load_balancer: LoadBalancer) -> None:
    """Whatever is referred to is there, nothing clashes, and every object that is wanted has its marks."""
    check_references(load_balancer)
    check_what_is_unique(load_balancer)
    check_marks(load_balancer)


def check_references(load_balancer: LoadBalancer) -> None:
    tree = load_balancer.tree
    assert {each.default_pool_id for each in tree.listeners.values()} <= {None, *tree.pools}
    assert {each.pool_id for each in tree.members.values()} <= tree.pools.keys()
    assert {each.pool_id for each in tree.health_monitors.values()} <= tree.pools.keys()
    assert {each.listener_id for each in tree.l7_policies.values()} <= tree.listeners.keys()
    assert {each.redirect_pool_id for each in tree.l7_policies.values()} <= {None, *tree.pools}
    assert {each.l7policy_id for each in tree.l7_rules.values()} <= tree.l7_policies.keys()


def check_what_is_unique(load_balancer: LoadBalancer) -> None:
    tree = load_balancer.tree
    ports = Counter((each.protocol.transport, each.protocol_port) for each in tree.listeners.values())
    assert not [port for port, users in ports.items() if users > 1]
    assert tree.sockets == {(each.pool_id, *each.socket): each.id for each in tree.members.values()}
    assert len(tree.sockets) == len(tree.members)
    assert tree.monitors == {each.pool_id: each.id for each in tree.health_monitors.values()}
    assert len(tree.monitors) == len(tree.health_monitors)
    for listener_id in tree.listeners:
        policies = tree.policies_of(listener_id)
        assert [each.position for each in policies] == list(range(1, len(policies) + 1)), "positions have gaps"


def check_marks(load_balancer: LoadBalancer) -> None:
    """What has marks and is not in the tree is being deleted."""
    tree, progress = load_balancer.tree, load_balancer.progress
    objects = {kind: set(getattr(tree, kind)) for kind in Kind if kind != Kind.LOAD_BALANCER}
    for id, marks in progress.marks.items():
        if marks.kind != Kind.LOAD_BALANCER:
            assert (id in objects[marks.kind]) != (id in progress.deleting), marks
        assert marks.created <= marks.own
        assert marks.created <= marks.edited
    assert {id for ids in objects.values() for id in ids} <= progress.marks.keys()
