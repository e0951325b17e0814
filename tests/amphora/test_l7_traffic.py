"""What HAProxy does with requests: L7 policies of every kind, who may connect, and what members are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.l7_policy import L7Action, L7Policy, RedirectCode
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import ListenerProtocol
from domain.pool import LbAlgorithm
from domain.tree import Tree
from tests.amphora.rendering import a_listener, a_member, a_policy, a_pool, a_rule, an_id
from tests.amphora.running_agent import free_port
from tests.amphora.running_haproxy import VIP, Client, TellingMember, running

pytestmark = pytest.mark.amphora
TYPES, BY = L7RuleType, L7CompareType
OTHER_POOL = an_id(20)
TO_OTHER = a_policy(action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=OTHER_POOL)


@dataclass(frozen=True)
class Site:
    """Two pools of one member each, "first" being the default one; a listener and policies are added by the test."""

    directory: Path
    pools: Tree

    def tree(self, *policies: L7Policy | L7Rule, **settings: Any) -> Tree:
        listener = a_listener(protocol_port=free_port(VIP), **settings)
        tree = self.pools.with_listeners([listener])
        for each in policies:
            tree = tree.with_l7_policies([each]) if isinstance(each, L7Policy) else tree.with_l7_rule(each)
        return tree


@pytest.fixture(scope="module")
def members() -> Iterator[tuple[TellingMember, TellingMember]]:
    with TellingMember("first", "127.19.0.2") as first, TellingMember("other", "127.19.0.3") as other:
        yield first, other


@pytest.fixture
def site(tmp_path: Path, members: tuple[TellingMember, TellingMember]) -> Site:
    (first_host, first_port), (other_host, other_port) = (member.place for member in members)
    tree = Tree().with_pool(a_pool()).with_pool(a_pool(id=OTHER_POOL))
    tree = tree.with_members(
        [
            a_member(address=first_host, protocol_port=first_port),
            a_member(id=an_id(21), pool_id=OTHER_POOL, address=other_host, protocol_port=other_port),
        ]
    )
    return Site(tmp_path, tree)


def client_of(tree: Tree, **settings: Any) -> Client:
    (listener,) = tree.listeners.values()
    return Client(port=listener.protocol_port, **settings)


# Rules


def of_path(compared: L7CompareType, value: str) -> dict[str, Any]:
    return {"type": TYPES.PATH, "compare_type": compared, "value": value}


def of_header(compared: L7CompareType, value: str) -> dict[str, Any]:
    return {"type": TYPES.HEADER, "key": "X-Kind", "compare_type": compared, "value": value}


def of_cookie(compared: L7CompareType, value: str) -> dict[str, Any]:
    return {"type": TYPES.COOKIE, "key": "kind", "compare_type": compared, "value": value}


def of_host(compared: L7CompareType, value: str) -> dict[str, Any]:
    return {"type": TYPES.HOST_NAME, "compare_type": compared, "value": value}


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        (of_path(BY.EQUAL_TO, "/a"), ["/a", "/a?b=c"], ["/", "/A", "/a/", "/ab"]),
        (of_path(BY.STARTS_WITH, "/a"), ["/a", "/ab"], ["/b/a"]),
        (of_path(BY.ENDS_WITH, "c"), ["/abc"], ["/c/", "/?c"]),
        (of_path(BY.CONTAINS, "b"), ["/abc", "/b"], ["/ac", "/B"]),
        (of_path(BY.REGEX, r"^/a\d+\.(jpg|png)$"), ["/a12.jpg"], ["/a.jpg", "/a1.jpgx", "/a1xpng"]),
        (of_path(BY.REGEX, 'a b|/it\'s$|"x"'), ["/it's"], ["/its", "/x"]),
        (of_path(BY.EQUAL_TO, "/$HOME%41'\\-i"), ["/$HOME%41'\\-i"], ["/root%41'\\-i", "/"]),
        ({"type": TYPES.FILE_TYPE, "compare_type": BY.EQUAL_TO, "value": "jpg"}, ["/a.jpg", "/a.jpg?b"], ["/jpg/"]),
        (
            {"type": TYPES.FILE_TYPE, "compare_type": BY.REGEX, "value": r"\.(jpg|png)$"},
            ["/a.png"],
            ["/a.gif", "/a.pngx"],
        ),
    ],
)
def test_a_rule_looks_at_the_path(site: Site, rule: dict[str, Any], met: list[str], not_met: list[str]) -> None:
    tree = site.tree(TO_OTHER, a_rule(**rule))

    with running(site.directory, tree):
        client = client_of(tree)

        assert [client.get(path).member for path in met] == ["other"] * len(met)
        assert [client.get(path).member for path in not_met] == ["first"] * len(not_met)


@pytest.mark.parametrize(
    ("rule", "met", "not_met"),
    [
        (of_host(BY.EQUAL_TO, "www.Example.org"), {"Host": "WWW.example.org"}, {"Host": "example.org"}),
        (of_host(BY.STARTS_WITH, "www."), {"Host": "WWW.example.org"}, {"Host": "example.www.org"}),
        (of_host(BY.ENDS_WITH, ".org"), {"Host": "a.ORG"}, {"Host": "a.org.net"}),
        (of_host(BY.CONTAINS, "ample"), {"Host": "Example.org"}, {"Host": "sample"[:3]}),
        (of_host(BY.REGEX, "^w+\\."), {"Host": "WWW.example.org"}, {"Host": "example.org"}),
        (of_header(BY.EQUAL_TO, "a"), {"X-Kind": "a"}, {"X-Kind": "A"}),
        (of_header(BY.EQUAL_TO, '"a b\tc"'), {"X-Kind": "a b\tc"}, {"X-Kind": '"a b\tc"'}),
        (of_header(BY.EQUAL_TO, '""'), {"X-Kind": ""}, {"X-Kind": "a"}),
        (of_header(BY.CONTAINS, '""'), {"X-Kind": "a"}, {}),
        (of_header(BY.STARTS_WITH, "-i"), {"X-Kind": "-ix"}, {"X-Kind": "x"}),
        (of_header(BY.ENDS_WITH, "--"), {"X-Kind": "a--"}, {"X-Kind": "a-"}),
        (of_header(BY.CONTAINS, "%[src]"), {"X-Kind": "a%[src]b"}, {"X-Kind": "127.0.0.1"}),
        (of_header(BY.REGEX, "^a{2}$"), {"X-Kind": "aa"}, {"X-Kind": "aaa"}),
        (of_cookie(BY.EQUAL_TO, "a"), {"Cookie": "x=b; kind=a"}, {"Cookie": "x=a; kind=b"}),
        (of_cookie(BY.STARTS_WITH, "a"), {"Cookie": "kind=ab"}, {"Cookie": "kind=ba"}),
        (of_cookie(BY.ENDS_WITH, "a"), {"Cookie": "kind=ba"}, {"Cookie": "kind=ab"}),
        (of_cookie(BY.CONTAINS, "a"), {"Cookie": "kind=bab"}, {}),
        (of_cookie(BY.REGEX, "^[a-c]+$"), {"Cookie": "kind=abc"}, {"Cookie": "kind=abd"}),
        ({**of_header(BY.EQUAL_TO, "a"), "key": "it's-$A"}, {"it's-$A": "a"}, {"its-$A": "a"}),
    ],
)
def test_a_rule_looks_at_a_header(
    site: Site, rule: dict[str, Any], met: dict[str, str], not_met: dict[str, str]
) -> None:
    tree = site.tree(TO_OTHER, a_rule(**rule))

    with running(site.directory, tree):
        client = client_of(tree)

        assert client.get(**met).member == "other"
        assert client.get(**not_met).member == "first"


def test_all_rules_of_a_policy_have_to_be_met_and_one_may_be_inverted(site: Site) -> None:
    inverted = a_rule(id=an_id(7), **of_header(BY.EQUAL_TO, "a"), invert=True)
    tree = site.tree(TO_OTHER, a_rule(), inverted)

    with running(site.directory, tree):
        client = client_of(tree)

        assert client.get("/x").member == "other"
        assert client.get("/x", X_Kind="a").member == "first"
        assert client.get("/y").member == "first"


# Policies


def test_a_request_is_rejected(site: Site) -> None:
    tree = site.tree(a_policy(), a_rule())

    with running(site.directory, tree):
        assert client_of(tree).get("/x").status == 403
        assert client_of(tree).get("/y").status == 200


@pytest.mark.parametrize("code", RedirectCode)
@pytest.mark.parametrize("url", ["https://a.example/%41$HOME'%[src]?b=%%c#d", "http://[::1]:8080/"])
def test_a_client_is_sent_to_a_url_as_it_was_stored(site: Site, url: str, code: RedirectCode) -> None:
    policy = a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url=url, redirect_http_code=code)
    tree = site.tree(policy, a_rule())

    with running(site.directory, tree):
        answer = client_of(tree).get("/x?y")

    assert (answer.status, answer.headers["location"]) == (code, url)


def test_a_url_that_is_not_ascii_is_sent_encoded(site: Site) -> None:
    policy = a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url="https://a.example/\u00e4%20b")
    tree = site.tree(policy, a_rule())

    with running(site.directory, tree):
        answer = client_of(tree).get("/x")

    assert (answer.status, answer.headers["location"]) == (302, "https://a.example/%C3%A4%20b")


def test_a_client_is_sent_to_the_same_path_elsewhere(site: Site) -> None:
    policy = a_policy(
        action=L7Action.REDIRECT_PREFIX, redirect_prefix="https://a.example/%41", redirect_http_code=RedirectCode(308)
    )
    tree = site.tree(policy, a_rule())

    with running(site.directory, tree):
        answer = client_of(tree).get("/x/y?z=%42")

    assert (answer.status, answer.headers["location"]) == (308, "https://a.example/%41/x/y?z=%42")


def test_requests_are_rejected_before_they_are_redirected_and_redirected_before_they_are_sent_on(site: Site) -> None:
    to_url = a_policy(id=an_id(32), position=2, action=L7Action.REDIRECT_TO_URL, redirect_url="http://url.example")
    prefix = a_policy(id=an_id(33), position=3, action=L7Action.REDIRECT_PREFIX, redirect_prefix="http://pre.example")
    reject = a_policy(id=an_id(34), position=4)
    rules = [
        a_rule(),
        a_rule(id=an_id(42), l7policy_id=to_url.id, **of_path(BY.CONTAINS, "url")),
        a_rule(id=an_id(43), l7policy_id=prefix.id, **of_path(BY.CONTAINS, "l-pre")),
        a_rule(id=an_id(44), l7policy_id=reject.id, **of_path(BY.CONTAINS, "reject")),
    ]
    tree = site.tree(TO_OTHER, to_url, prefix, reject, *rules)

    with running(site.directory, tree):
        client = client_of(tree)

        assert client.get("/x").member == "other"
        assert client.get("/x-url-pre").headers["location"] == "http://url.example"
        assert client.get("/x-l-pre").headers["location"] == "http://pre.example/x-l-pre"
        assert client.get("/x-url-pre-reject").status == 403


def test_of_two_policies_that_send_on_the_first_one_wins(site: Site) -> None:
    to_first = a_policy(id=an_id(32), position=2, action=L7Action.REDIRECT_TO_POOL, redirect_pool_id=an_id(2))
    also = a_rule(id=an_id(42), l7policy_id=to_first.id, **of_path(BY.STARTS_WITH, "/"))
    tree = site.tree(TO_OTHER, a_rule(), to_first, also, default_pool_id=None)

    with running(site.directory, tree):
        assert client_of(tree).get("/x").member == "other"
        assert client_of(tree).get("/y").member == "first"


# Who may connect


def test_only_allowed_networks_may_connect(site: Site) -> None:
    many = tuple(f"10.0.{n}.0/24" for n in range(100))
    tree = site.tree(allowed_cidrs=("2001:db8::/32", *many, "127.20.8.0/24"))

    with running(site.directory, tree):
        assert client_of(tree, source=("127.20.8.9", 0)).get().member == "first"
        with pytest.raises(ConnectionError):
            client_of(tree, source=("127.20.9.9", 0)).get()


# How members are chosen, and what they are told


@pytest.mark.parametrize("protocol", [ListenerProtocol.HTTP, ListenerProtocol.TCP])
def test_a_client_stays_with_a_member_as_long_as_its_address_and_port_do(
    site: Site, members: tuple[TellingMember, TellingMember], protocol: ListenerProtocol
) -> None:
    host, port = members[1].place
    tree = site.tree(protocol=protocol).with_pool(a_pool(lb_algorithm=LbAlgorithm.SOURCE_IP_PORT))
    tree = tree.with_members([a_member(id=an_id(22), address=host, protocol_port=port)])

    with running(site.directory, tree):
        by_port = {client_port: _members_asked_from(tree, client_port) for client_port in _free_ports(12)}

    assert all(len(chosen) == 1 for chosen in by_port.values())
    assert set().union(*by_port.values()) == {"first", "other"}


def _members_asked_from(tree: Tree, client_port: int) -> set[str | None]:
    """Of three requests on connections of their own, from the same port of one address each time."""
    return {client_of(tree, source=("127.20.8.9", client_port)).get().member for _ in range(3)}


def _free_ports(count: int) -> list[int]:
    return [free_port("127.20.8.9") for _ in range(count)]


def test_members_are_told_about_the_client(site: Site) -> None:
    names = ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP")
    tree = site.tree(insert_headers=dict.fromkeys(names, "true"))
    forged = dict.fromkeys(names[1:], "forged")

    with running(site.directory, tree):
        client = client_of(tree, source=("127.20.8.9", 0))
        headers = client.get(**forged).told["headers"]

    told = {name.lower(): value for name, value in headers.items() if name.lower() in map(str.lower, names)}
    assert told == {
        "x-forwarded-for": "127.20.8.9",
        "x-forwarded-port": str(client.port),
        "x-forwarded-proto": "http",
        "x-forwarded-ip": "127.20.8.9",
        "x-client-ip": "127.20.8.9",
        "x-real-ip": "127.20.8.9",
    }
