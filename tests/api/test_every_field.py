"""Each field of the contract that is carried out: its limits, null, wrong types and absence, on creation and on change.

The table is written from the contract's own tables and not from our definitions, so that it can contradict them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from falcon.testing import Result

from infra.local_network import VIP_SUBNET
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres

ABSENT = object()
REFUSED = object()
UNCHANGED = object()
IO = "None is not a valid option for {field}"


@dataclass(frozen=True, kw_only=True)
class Field:
    """What the contract says of one field.

    good              sent -> shown, a value sent as it is shown stands alone
    bad               sent, with a part of the answer
    absent            what a creation without it shows; REFUSED when it is mandatory
    on_post, on_put   what null is shown as; REFUSED, or UNCHANGED
    fixed             unknown to a change
    beside            what else has to be said for the field to be allowed
    """

    of: str
    name: str
    good: Sequence[Any]
    bad: Sequence[tuple[Any, str]]
    absent: Any
    on_post: Any
    on_put: Any = REFUSED
    fixed: bool = False
    beside: Mapping[str, Any]


def field(of: str, name: str, good: Sequence[Any], bad: Sequence[tuple[Any, str]], **more: Any) -> Field:
    return Field(of=of, name=name, good=good, bad=bad, **{"beside": {}, **more})


def text(of: str, name: str) -> Field:
    bad = [
        *((3, "Value should be string"), (True, "Value should be string"), ([], "Value should be string")),
        ("x" * 256, "Value should have a maximum character requirement of 255"),
        ("a\0b", "Value should be text without NUL characters"),
    ]
    return field(of, name, ["", "x" * 255, "Wébstuhl \n%[env(x)]"], bad, absent="", on_post="", on_put="")


def truth(of: str, name: str, *, absent: bool) -> Field:
    good = [True, False, (1, True), (0, False), (7, True), ("yes", True), ("f", False)]
    bad = [(wrong, f"Value not an unambiguous boolean: {wrong}") for wrong in ("True", "", "maybe", [], 1.5)]
    return field(of, name, good, bad, absent=absent, on_post=False, on_put=False)


def number(of: str, name: str, low: int, high: int, **more: Any) -> Field:
    good = [low, high, (str(low + 1), low + 1), (f"{high - 1} ", high - 1), (5.7, 5)]
    bad = [
        *((low - 1, f"Value should be greater or equal to {low}"), (high + 1, f"lower or equal to {high}")),
        *((10**30, f"lower or equal to {high}"), ("x", "invalid literal for int() with base 10: 'x'")),
        *(([], "int() argument must be"), ({}, "int() argument must be"), ("", "invalid literal for int()")),
    ]
    return field(of, name, good, bad, **more)


def choice(of: str, name: str, good: Sequence[Any], **more: Any) -> Field:
    return field(of, name, good, [(wrong, "Value should be one of: ") for wrong in ("LOOM", "", 3, [], "http")], **more)


def tags(of: str) -> Field:
    good = [[], ["x" * 255], ["a", "b c"], *([] if of == "loadbalancer" else [(["a", "a"], ["a"])])]
    bad = [
        *(("a", "Value not a valid list: a"), ({}, "Value not a valid list: {}"), ([3], "Value should be string")),
        (["x" * 256], "Value should have a maximum character requirement of 255"),
    ]
    return field(of, "tags", good, bad, absent=[], on_post=[], on_put=UNCHANGED)


def address(of: str, name: str, **more: Any) -> Field:
    wrongs = ("127.0.0.256", "loom", "", 3, "127.0.0.1/8", "fe80::1%lo;x", "127.0.0.1\n", "127.0.0.01")
    bad = [(wrong, f"Value should be {'string' if wrong == 3 else 'IPv4 or IPv6 format'}") for wrong in wrongs]
    return field(of, name, ["127.0.0.1", "2001:DB8::1", "::ffff:127.0.0.1"], bad, **more)


def id_of(of: str, name: str, **more: Any) -> Field:
    wrongs = ("loom", "", 3, [], "00000000-0000-0000-0000-00000000000g")
    return field(of, name, [], [(wrong, "Value should be UUID format") for wrong in wrongs], **more)


LARGEST = 2_147_483_647
MANDATORY = {"absent": REFUSED, "on_post": REFUSED}
TIMEOUT = 2_073_600_000
WITHOUT_COOKIE = dict.fromkeys(("cookie_name", "persistence_timeout", "persistence_granularity"))
PATTERN = r"Value should match the pattern ^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$"

FIELDS = [
    *(text(of, "name") for of in ("loadbalancer", "listener", "pool", "member", "healthmonitor")),
    *(text(of, "description") for of in ("loadbalancer", "listener", "pool")),
    *(
        truth(of, "admin_state_up", absent=True)
        for of in ("loadbalancer", "listener", "pool", "member", "healthmonitor")
    ),
    *(tags(of) for of in ("loadbalancer", "listener", "pool", "member", "healthmonitor")),
    id_of("loadbalancer", "vip_subnet_id", absent=REFUSED, on_post=REFUSED, fixed=True),
    field(
        *("loadbalancer", "vip_address", ["127.20.1.1"]),
        [("127.20.0.999", "Value should be IPv4 or IPv6 format"), (3, "Value should be string")],
        **{"absent": ABSENT, "on_post": ABSENT, "fixed": True},
    ),
    id_of("listener", "loadbalancer_id", **MANDATORY, fixed=True),
    choice("listener", "protocol", ["HTTP", "TCP", "HTTPS"], **MANDATORY, fixed=True),
    number("listener", "protocol_port", 1, 65_535, **MANDATORY, fixed=True),
    number("listener", "connection_limit", -1, LARGEST, absent=-1, on_post=None, on_put=-1),
    id_of("listener", "default_pool_id", absent=None, on_post=None, on_put=None),
    field(
        *("listener", "insert_headers", [{}, {"X-Forwarded-For": "true", "X-Real-IP": "x" * 255}]),
        [
            *(([], "Value not a valid dict: []"), ("x", "Value not a valid dict: x")),
            *(({"X-Real-IP": 1}, "Value should be string"), ({"X-Real-IP": "x" * 256}, "requirement of 255")),
            ({"x-real-ip": "true"}, "is not a valid option for insert_headers"),
        ],
        **{"absent": {}, "on_post": {}, "on_put": {}},
    ),
    number("listener", "timeout_client_data", 0, TIMEOUT, absent=50_000, on_post=50_000, on_put=50_000),
    number("listener", "timeout_member_connect", 0, TIMEOUT, absent=5_000, on_post=5_000, on_put=5_000),
    number("listener", "timeout_member_data", 0, TIMEOUT, absent=50_000, on_post=50_000, on_put=50_000),
    number("listener", "timeout_tcp_inspect", 0, TIMEOUT, absent=0, on_post=0, on_put=0),
    choice("pool", "protocol", ["HTTP", "HTTPS", "TCP", "PROXY", "PROXYV2"], **MANDATORY, fixed=True),
    choice("pool", "lb_algorithm", ["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"], **MANDATORY),
    field(
        *("pool", "session_persistence"),
        [({"type": kind}, {**WITHOUT_COOKIE, "type": kind}) for kind in ("SOURCE_IP", "HTTP_COOKIE")],
        [
            *(("SOURCE_IP", "Value should be an object"), ([], "Value should be an object")),
            *(({"type": "LOOM"}, "Value should be one of: "), ({"type": None}, "None is not a valid option for type")),
            ({"type": "APP_COOKIE", "cookie_name": ""}, "Value should match the pattern"),
            ({"type": "APP_COOKIE", "cookie_name": "x" * 256}, "requirement of 255"),
            ({"type": "APP_COOKIE", "cookie_name": 3}, "Value should be string"),
        ],
        **{"absent": None, "on_post": None, "on_put": None},
    ),
    address("member", "address", **MANDATORY, fixed=True),
    number("member", "protocol_port", 1, 65_535, **MANDATORY, fixed=True),
    number("member", "weight", 0, 256, absent=1, on_post=None, on_put=1),
    truth("member", "backup", absent=False),
    id_of("member", "subnet_id", absent=None, on_post=None, fixed=True),
    number("member", "monitor_port", 1, 65_535, absent=None, on_post=None, on_put=None),
    address("member", "monitor_address", absent=None, on_post=None, on_put=None),
    id_of("healthmonitor", "pool_id", **MANDATORY, fixed=True),
    choice("healthmonitor", "type", ["HTTP", "TCP", "PING"], **MANDATORY, fixed=True),
    number("healthmonitor", "delay", 0, LARGEST, **MANDATORY),
    number("healthmonitor", "timeout", 0, LARGEST, **MANDATORY),
    number("healthmonitor", "max_retries", 1, 10, **MANDATORY),
    number("healthmonitor", "max_retries_down", 1, 10, absent=3, on_post=3, on_put=3),
    choice(
        *("healthmonitor", "http_method"),
        ["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"],
        **{"absent": "GET", "on_post": "GET", "on_put": "GET"},
    ),
    field(
        *("healthmonitor", "url_path", ["/", "/a?b=c#d", "/%20", "/" + "x" * 254]),
        [
            *(
                (wrong, "Value must be a valid URL Path string")
                for wrong in ("", "x", "//h/", "/a b", "/\n", "http://h/")
            ),
            *((3, "Value should be string"), ("/" + "x" * 255, "requirement of 255")),
        ],
        **{"absent": "/", "on_post": "/", "on_put": "/"},
    ),
    field(
        *("healthmonitor", "expected_codes", ["200", "200,201 , 404", "200-299"]),
        [
            *((wrong, PATTERN) for wrong in ("", "20", "200-", "200\n", "٢٠٠", "200-204,300")),
            *((200, "Value should be string"), (",".join(["200"] * 17), "requirement of 64")),
        ],
        **{"absent": "200", "on_post": "200", "on_put": "200"},
    ),
    field(
        *("healthmonitor", "http_version", [1.0, 1.1, ("1.1", 1.1), (1, 1.0)]),
        [(wrong, "Value should be one of: 1.0, 1.1") for wrong in (2, "x", "", [], 1.2)],
        **{"absent": None, "on_post": None, "on_put": None},
    ),
    field(
        *("healthmonitor", "domain_name", ["a", "_x.loom.example.org.", "x" * 63 + ".org"]),
        [
            *((wrong, "Value should match the pattern") for wrong in ("-a", "a-", "a..b", "x" * 64, "a b", "a\n", "ä")),
            *((3, "Value should be string"), ("", "requirement of 1"), ("a." * 128, "requirement of 255")),
        ],
        **{"absent": None, "on_post": None, "on_put": None, "beside": {"http_version": 1.1}},
    ),
]


class Makers:
    """Creates objects of each kind from what is said, with the rest filled in; each beside the others of its kind."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._load_balancer = api.load_balancer()
        self._pool_of_members = api.pool_of(self._load_balancer)
        self._ports = count(1_000)

    def body(self, of: str) -> dict[str, Any]:
        make: Callable[[], dict[str, Any]] = getattr(self, f"_{of}")
        return make()

    def path(self, of: str) -> str:
        return f"/pools/{self._pool_of_members['id']}/members" if of == "member" else f"/{of}s"

    def create(self, of: str, **said: Any) -> Result:
        """said: values, ABSENT for those to be left out"""
        attributes = {**self.body(of), **said}
        sent = {name: value for name, value in attributes.items() if value is not ABSENT}
        return self._api.call("POST", self.path(of), {of: sent})

    def _loadbalancer(self) -> dict[str, Any]:
        return {"vip_subnet_id": str(VIP_SUBNET.id)}

    def _listener(self) -> dict[str, Any]:
        return {"loadbalancer_id": self._load_balancer["id"], "protocol": "HTTP", "protocol_port": next(self._ports)}

    def _pool(self) -> dict[str, Any]:
        return {"loadbalancer_id": self._load_balancer["id"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}

    def _member(self) -> dict[str, Any]:
        return {"address": "127.0.0.10", "protocol_port": next(self._ports)}

    def _healthmonitor(self) -> dict[str, Any]:
        pool = self._api.pool_of(self._load_balancer)
        return {"pool_id": pool["id"], "type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1}


def sent_and_shown(good: Any) -> tuple[Any, Any]:
    return good if isinstance(good, tuple) else (good, good)


def shown(result: Result, of: str, status: int) -> dict[str, Any]:
    assert result.status_code == status, result.text
    content: dict[str, Any] = result.json[of]
    return content


named = pytest.mark.parametrize("field", FIELDS, ids=[f"{each.of}.{each.name}" for each in FIELDS])


@named
def test_field_on_creation(api: Api, field: Field) -> None:
    makers = Makers(api)

    for sent, expected in map(sent_and_shown, field.good):
        created = shown(makers.create(field.of, **field.beside, **{field.name: sent}), field.of, 201)
        assert created[field.name] == expected
        assert api.get(f"{makers.path(field.of)}/{created['id']}")[field.of][field.name] == expected
    for sent, expected in ((ABSENT, field.absent), (None, field.on_post)):
        result = makers.create(field.of, **field.beside, **{field.name: sent})
        if expected is REFUSED:
            assert result.status_code == 400
        elif expected is not ABSENT:
            assert shown(result, field.of, 201)[field.name] == expected
    stored = len(api.get(makers.path(field.of))[f"{field.of}s"])
    for sent, reason in field.bad:
        result = makers.create(field.of, **field.beside, **{field.name: sent})
        assert (result.status_code, reason in result.json["faultstring"]) == (400, True), (sent, result.text)
    assert len(api.get(makers.path(field.of))[f"{field.of}s"]) == stored


@named
def test_field_on_change(api: Api, field: Field) -> None:
    makers = Makers(api)
    before = shown(makers.create(field.of, **field.beside), field.of, 201)
    path = f"{makers.path(field.of)}/{before['id']}"

    def change(value: Any) -> Result:
        return api.call("PUT", path, {field.of: {**field.beside, field.name: value}})

    if field.fixed:
        for value in (*(sent_and_shown(good)[0] for good in field.good), None, str(uuid4())):
            assert "Unknown attribute" in change(value).json["faultstring"]
        return
    latest = before[field.name]
    for sent, expected in map(sent_and_shown, field.good):
        latest = shown(change(sent), field.of, 200)[field.name]
        assert latest == expected
        assert api.get(path)[field.of][field.name] == expected
    for sent, reason in field.bad:
        result = change(sent)
        assert (result.status_code, reason in result.json["faultstring"]) == (400, True), (sent, result.text)
    assert api.get(path)[field.of][field.name] == latest
    result = change(None)
    if field.on_put is REFUSED:
        assert (result.status_code, result.json["faultstring"]) == (400, IO.format(field=field.name))
    else:
        expected = latest if field.on_put is UNCHANGED else field.on_put
        assert shown(result, field.of, 200)[field.name] == expected


@pytest.mark.parametrize("of", ["loadbalancer", "listener", "pool", "member", "healthmonitor"])
def test_table_names_every_field_that_a_change_takes(api: Api, of: str) -> None:
    makers = Makers(api)
    created = shown(makers.create(of), of, 201)
    path = f"{makers.path(of)}/{created['id']}"
    tested = {field.name for field in FIELDS if field.of == of and not field.fixed}

    accepted = {
        name for name, value in created.items() if api.call("PUT", path, {of: {name: value}}).status_code == 200
    }

    assert tested <= accepted
    assert all(not created[name] or created[name] == "NONE" for name in accepted - tested)
