"""Fields of objects that come with a whole load balancer, or in a batch: they take and refuse the same as alone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from falcon.testing import Result

from tests.api.fields.answers import require_refused, require_shown
from tests.api.fields.field import ABSENT, Document, Field, Good, InGraph, Refused
from tests.api.fields.tables import FIELDS
from tests.api.fields.tree import LEAST, Tree

pytestmark = pytest.mark.postgres

Said = Mapping[str, Any]
POOL = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}


@dataclass(frozen=True)
class Place:
    """Where an object stands in a request for a whole load balancer, and in the answer.

    path       the names of what is around it, as error texts have them
    around     what is said of the load balancer
    in_answer  finds the object again
    """

    of: str
    path: str
    around: Callable[[Said], Said]
    in_answer: Callable[[Document], Any]

    def asked(self, tree: Tree, said: Said) -> Result:
        """A creation with this object, of which the least is said besides."""
        outside = {field.name for field in FIELDS if field.of == self.of and field.in_graph is InGraph.UNKNOWN}
        least = {name: value for name, value in LEAST[self.of].items() if name not in outside}
        around = self.around(tree.resolved({**least, **said}))
        return tree.create("loadbalancer", {"flavor_id": tree.generous_flavor["id"], **around})


def _listener_for(pool: Said, said: Said) -> Said:
    """Of a protocol that goes with this pool's."""
    protocol = pool.get("protocol")
    return {
        "listeners": [{"protocol": protocol if protocol in ("UDP", "SCTP") else "TCP", "protocol_port": 80, **said}]
    }


def _policy(said: Said) -> Said:
    """The second of its listener."""
    return _listener_for(said.get("redirect_pool", {}), {"l7policies": [{"action": "REJECT"}, said]})


def _pool(said: Said) -> Said:
    return {"pools": [{**POOL, **said}]}


def _listener_in(answer: Document) -> Any:
    return answer["listeners"][0]


def _policy_in(answer: Document) -> Any:
    return _listener_in(answer)["l7policies"][1]


def _pool_in(answer: Document) -> Any:
    return answer["pools"][0]


PLACES = [
    Place("listener", "listeners", lambda said: {"listeners": [said]}, _listener_in),
    Place("pool", "pools", lambda said: {"pools": [said]}, _pool_in),
    Place(
        "pool",
        "listeners.default_pool",
        lambda said: _listener_for(said, {"default_pool": {"name": "p", **said}}),
        _pool_in,
    ),
    Place(
        *("pool", "listeners.l7policies.redirect_pool"),
        lambda said: _policy({"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "p", **said}}),
        _pool_in,
    ),
    Place(
        *("member", "pools.members"),
        lambda said: _pool({"members": [said]}),
        lambda answer: _pool_in(answer)["members"][0],
    ),
    Place(
        *("healthmonitor", "pools.healthmonitor"),
        lambda said: _pool({"healthmonitor": said}),
        lambda answer: _pool_in(answer)["healthmonitor"],
    ),
    Place("l7policy", "listeners.l7policies", _policy, _policy_in),
    Place(
        *("rule", "listeners.l7policies.rules"),
        lambda said: _policy({"action": "REJECT", "rules": [said]}),
        lambda answer: _policy_in(answer)["rules"][0],
    ),
]
ARGUMENT = "load_balancer"


def each_of(in_graph: InGraph, *, without: str = "") -> pytest.MarkDecorator:
    """without: id of a field"""
    found = [
        (place, field)
        for place, field in product(PLACES, FIELDS)
        if field.of == place.of and field.in_graph is in_graph and field.id != without
    ]
    return pytest.mark.parametrize(
        ("place", "field"), found, ids=[f"{place.path}-{field.id}" for place, field in found]
    )


@each_of(InGraph.SAME)
def test_graph_shows_what_is_allowed(tree: Tree, place: Place, field: Field) -> None:
    """A pool's name has to be there, at least within a listener."""
    for good in field.goods:
        if good.alone or (field.id == "pool.name" and not good.sent):
            continue
        said = tree.resolved({**field.beside, **good.beside, field.name: good.sent})
        result = place.asked(tree, said)

        assert result.status_code == 201, (field.id, said, result.text)
        require_shown(field, place.in_answer(result.json["loadbalancer"]), said[field.name], good)


@each_of(InGraph.SAME)
def test_graph_refuses_what_is_wrong_and_stores_nothing(tree: Tree, place: Place, field: Field) -> None:
    for sent, refused in (*field.bad, *field.bad_on_post):
        result = place.asked(tree, {**field.beside, field.name: sent})
        require_refused(field, result, refused, sent, ARGUMENT)

    assert tree.unaccounted("loadbalancer") == 0


@each_of(InGraph.SAME, without="pool.name")
def test_graph_means_the_same_by_null_and_by_nothing(tree: Tree, place: Place, field: Field) -> None:
    """What a pool lacks is told in other words; its name has to be there."""
    for sent, expected in ((ABSENT, field.absent), (None, field.on_post)):
        result = place.asked(tree, {**field.beside, field.name: sent})

        if isinstance(expected, Refused):
            words = Refused("") if place.of == "pool" else expected
            require_refused(field, result, words, sent, ARGUMENT)
        else:
            assert result.status_code == 201, (field.id, sent, result.text)
            require_shown(field, place.in_answer(result.json["loadbalancer"]), sent, Good(sent, expected))


@each_of(InGraph.UNKNOWN)
def test_graph_does_not_know_what_leads_up(tree: Tree, place: Place, field: Field) -> None:
    result = place.asked(tree, {**POOL, field.name: None} if place.of == "pool" else {field.name: None})

    unknown = f"Unknown attribute for argument {ARGUMENT}.loadbalancer.{place.path}: {field.name}"
    assert (result.status_code, result.json["faultstring"]) == (400, unknown)


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.of == "member"], ids=lambda field: getattr(field, "id", None)
)
def test_batch_of_members_refuses_what_is_wrong_and_stores_nothing(tree: Tree, field: Field) -> None:
    for sent, refused in field.bad:
        member = tree.resolved({**LEAST["member"], field.name: sent})
        result = tree.api.call("PUT", tree.path("member"), {"members": [member]})
        require_refused(field, result, refused, sent, "members_")

    assert tree.unaccounted("member") == 0
