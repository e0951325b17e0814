"""Reading request bodies: whatever arrives becomes settings or a refusal, and nothing else."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from commands import health_monitor, l7_policy, l7_rule, listener, load_balancer, member, pool, quota
from commands.body import Parser, Received, received
from domain.errors import Invalid, Refused
from domain.listener import Listener, ListenerProtocol

PARSERS: dict[str, Parser[Any]] = {
    module.__name__.rpartition(".")[2]: module.PARSER
    for module in (health_monitor, l7_policy, l7_rule, listener, load_balancer, member, pool, quota)
}

json_values = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=6,
)
NAMES = sorted({each.name for parser in PARSERS.values() for each in fields(parser.kind)})


def a_body(attributes: Any) -> Received:
    return received({"listener": attributes}, "listener_", "listener")


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=150, deadline=None)
@given(attributes=some.dictionaries(some.sampled_from(NAMES) | some.text(), json_values, max_size=4))
def test_any_object_is_read_or_refused(name: str, attributes: dict[str, Any]) -> None:
    parser = PARSERS[name]

    for read in (parser.given, parser.changes):
        try:
            found = read(Received("argument", "argument.root", attributes, attributes))
        except Refused as refusal:
            json.dumps(str(refusal))
        else:
            assert found.keys() <= attributes.keys()


@settings(max_examples=150, deadline=None)
@given(body=json_values)
def test_any_body_is_an_object_or_refused(body: Any) -> None:
    try:
        found = received(body, "listener_", "listener")
    except Invalid:
        assert not (isinstance(body, dict) and body.keys() == {"listener"} and isinstance(body["listener"], dict))
    else:
        assert found.attributes == body["listener"]


def test_creation_is_read_into_the_domains_types() -> None:
    body = {"loadbalancer_id": "{9F2B8A724D0D4F0E8E6A0D3C1C7A5B1E}", "protocol": "HTTP", "protocol_port": "80"}

    found = PARSERS["listener"].given(a_body(body))

    assert found.pop("loadbalancer_id").hex == "9f2b8a724d0d4f0e8e6a0d3c1c7a5b1e"
    assert found == {"protocol": ListenerProtocol.HTTP, "protocol_port": 80}


def test_change_is_read_as_what_was_named_and_nothing_else() -> None:
    found = PARSERS["listener"].changes(a_body({"name": None, "tags": None, "connection_limit": None}))

    assert found == {"name": "", "connection_limit": -1}


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        ({"loom": 1, "protocol": 3}, "Unknown attribute for argument listener_.listener: loom"),
        ({}, "Invalid input for field/attribute loadbalancer_id. Value: 'None'. Mandatory field missing."),
        (
            {"loadbalancer_id": "x", "protocol": 3},
            "Invalid input for field/attribute loadbalancer_id. Value: 'x'. Value should be UUID format",
        ),
        (
            {"loadbalancer_id": "9f2b8a724d0d4f0e8e6a0d3c1c7a5b1e", "name": 3, "protocol": 3},
            "Invalid input for field/attribute name. Value: '3'. Value should be string",
        ),
        (
            {"loadbalancer_id": "9f2b8a724d0d4f0e8e6a0d3c1c7a5b1e", "admin_state_up": "Yes"},
            "Invalid input for field/attribute listener_. Value: '{'listener': {'loadbalancer_id':"
            " '9f2b8a724d0d4f0e8e6a0d3c1c7a5b1e', 'admin_state_up': 'Yes'}}'. Value not an unambiguous boolean: Yes",
        ),
    ],
)
def test_first_mistake_is_told_in_the_order_of_the_contract(attributes: dict[str, Any], text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        PARSERS["listener"].given(a_body(attributes))

    assert str(refusal.value) == text


def test_every_field_of_a_value_comes_from_the_body_or_the_url() -> None:
    names = {each.name for each in fields(Listener)} - {"id"}
    mandatory = {"loadbalancer_id": "9f2b8a724d0d4f0e8e6a0d3c1c7a5b1e", "protocol": "TCP", "protocol_port": 1}

    known = PARSERS["listener"].given(a_body({**dict.fromkeys(names), **mandatory}))

    assert known.keys() - {"loadbalancer_id"} == names
