"""Every sub-command of `openstack loadbalancer` has a case, and those that wait return when it is done."""

import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from uuid import uuid4

import pytest

from tests.clients.openstack_command import COVERED, WAIT, OpenStack, installed, options_of
from tests.clients.tree import Tree, a_tree
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

STORIES = ("load_balancer", "listener", "pool", "operator")

Words = tuple[str, ...]


def test_every_installed_sub_command_has_a_case() -> None:
    for story in STORIES:
        import_module(f"tests.clients.test_octaviaclient_{story}")

    assert set(installed()) == COVERED


def test_every_command_that_waits_returns_when_it_is_done(openstack: OpenStack, noop: Noop) -> None:
    """All at once, on trees of the same shape: some to add to, to set, to unset and to delete from."""
    add, change, clear, above, below = (a_tree(noop) for _ in range(5))
    pool = {"loadbalancer_id": add.web, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    creations = creating(add, noop.api.post("/pools", "pool", **pool)["id"])
    policy = noop.api.post("/l7policies", "l7policy", listener_id=below.front, action="REJECT")["id"]
    whole, one, other, gone = (noop.active_load_balancer(provider="amphora")["id"] for _ in range(4))
    to_replace, to_configure, broken = the_amphora(noop, one), the_amphora(noop, other), a_broken_amphora(noop, other)
    changes = {**changing(change), **clearing(clear), "failover": (whole,)}
    changes |= {"amphora failover": (to_replace,), "amphora configure": (to_configure,)}
    deletions = {**deleting(above, below, policy), "delete": (gone,), "amphora delete": (broken,)}
    assert {*creations, *changes, *deletions} == {command for command in installed() if waits(command)}

    said = at_once(openstack, {**creations, **changes, **deletions})

    shown = {command: json.loads(said[command]) for command in creations}
    assert {command: each["provisioning_status"] for command, each in shown.items()} == dict.fromkeys(shown, "ACTIVE")
    assert all(each["updated_at"] for each in shown.values())
    for path in (*paths(change), *paths(clear), *(f"/loadbalancers/{id}" for id in (whole, one, other))):
        assert noop.status_of(path)[0] == "ACTIVE", path
    left = paths(below)
    for path in (*paths(above)[1:3], *left[3:5], left[6], f"/l7policies/{policy}", f"/loadbalancers/{gone}"):
        assert noop.request("GET", path)[0] == 404, path


def the_amphora(noop: Noop, load_balancer_id: str) -> str:
    _, text = noop.api.ask("GET", f"/v2/octavia/amphorae?loadbalancer_id={load_balancer_id}")
    (found,) = json.loads(text)["amphorae"]
    id: str = found["id"]
    return id


def a_broken_amphora(noop: Noop, load_balancer_id: str) -> str:
    record = {"id": str(uuid4()), "load_balancer_id": load_balancer_id, "status": "ERROR"}
    noop.control("amphorae", {"op": "create", "amphora": record}, status=200)
    return record["id"]


def waits(command: str) -> bool:
    return any(WAIT in option.option_strings for option in options_of(command))


def at_once(openstack: OpenStack, commands: Mapping[str, Words]) -> Mapping[str, str]:
    """What each said. Each must succeed."""
    said = {command: io.StringIO() for command in commands}

    def run(command: str) -> int:
        show = ("-f", "json") if command.endswith("create") else ()
        return openstack.code_of(*command.split(), *commands[command], WAIT, *show, said=said[command])

    with ThreadPoolExecutor(len(commands)) as threads:
        codes = dict(zip(commands, threads.map(run, commands), strict=True))
    assert codes == dict.fromkeys(commands, 0)
    return {command: text.getvalue() for command, text in said.items()}


def creating(tree: Tree, pool: str) -> dict[str, Words]:
    address = ("--address", "192.0.2.7", "--protocol-port", "80")
    monitor = ("--type", "TCP", "--delay", "1", "--timeout", "1", "--max-retries", "1")
    return {
        "create": ("--vip-subnet-id", "front-street"),
        "listener create": (tree.web, "--protocol", "TCP", "--protocol-port", "22"),
        "pool create": ("--loadbalancer", tree.web, "--protocol", "TCP", "--lb-algorithm", "SOURCE_IP"),
        "member create": (tree.weavers, *address),
        "healthmonitor create": (pool, *monitor),
        "l7policy create": (tree.front, "--action", "REJECT"),
        "l7rule create": (tree.door, "--type", "PATH", "--compare-type", "EQUAL_TO", "--value", "/"),
    }


def changing(tree: Tree) -> dict[str, Words]:
    return {
        "set": (tree.web, "--description", "x"),
        "listener set": (tree.front, "--description", "x"),
        "pool set": (tree.weavers, "--description", "x"),
        "member set": (tree.weavers, tree.loom, "--weight", "2"),
        "healthmonitor set": (tree.check, "--delay", "2"),
        "l7policy set": (tree.door, "--description", "x"),
        "l7rule set": (tree.door, tree.rule, "--value", "x"),
    }


def clearing(tree: Tree) -> dict[str, Words]:
    return {
        "unset": (tree.web, "--description"),
        "listener unset": (tree.front, "--description"),
        "pool unset": (tree.weavers, "--description"),
        "member unset": (tree.weavers, tree.loom, "--weight"),
        "healthmonitor unset": (tree.check, "--url-path"),
        "l7policy unset": (tree.door, "--description"),
        "l7rule unset": (tree.door, tree.rule, "--invert"),
    }


def deleting(above: Tree, below: Tree, policy: str) -> dict[str, Words]:
    """What is above may not go before the client has found what is below: they are of two trees."""
    return {
        "listener delete": (above.front,),
        "pool delete": (above.weavers,),
        "member delete": (below.weavers, below.loom),
        "healthmonitor delete": (below.check,),
        "l7policy delete": (policy,),
        "l7rule delete": (below.door, below.rule),
    }


def paths(tree: Tree) -> list[str]:
    return [
        f"/loadbalancers/{tree.web}",
        f"/listeners/{tree.front}",
        f"/pools/{tree.weavers}",
        f"/pools/{tree.weavers}/members/{tree.loom}",
        f"/healthmonitors/{tree.check}",
        f"/l7policies/{tree.door}",
        f"/l7policies/{tree.door}/rules/{tree.rule}",
    ]
