"""TLS as clients and members see it: which certificates are shown and asked for, and what is agreed on."""

import hashlib
import ssl
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from amphora.haproxy import TlsFiles
from amphora.haproxy_tls import certificate_list
from domain.health_monitor import HealthMonitor, HealthMonitorType
from domain.l7_policy import L7Action
from domain.l7_rule import L7CompareType, L7RuleType
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool
from domain.tls import Alpn, ClientAuthentication
from domain.tree import Tree
from tests.amphora.certificates import TestAuthority
from tests.amphora.rendering import a_listener, a_member, a_monitor, a_policy, a_pool, a_rule, an_id
from tests.amphora.running_agent import free_port, wait_until
from tests.amphora.running_haproxy import VIP, Client, TellingMember, checks_of, exporting, running, trusting

pytestmark = pytest.mark.amphora
REFUSED = (ssl.SSLError, ConnectionError)
"""What a client meets whose certificate is not good enough: with TLS 1.3 only after its own handshake has ended."""


@dataclass(frozen=True)
class Place:
    """Certificates, and where HAProxy runs."""

    directory: Path
    authority: TestAuthority
    other: TestAuthority
    secrets: dict[str, str] = field(default_factory=dict)

    def secret(self, file: Path) -> str:
        """The reference under which HAProxy finds this file."""
        reference = f"https://secrets.example/{file.name}"
        self.secrets[reference] = str(file)
        return reference

    def certificate(self, name: str) -> str:
        return self.secret(self.authority.issue(name))

    def listener(self, **settings: Any) -> Listener:
        """One that shows a certificate of "default"."""
        known = {
            "protocol": ListenerProtocol.TERMINATED_HTTPS,
            "protocol_port": free_port(VIP),
            "default_tls_container_ref": self.certificate("default"),
        }
        return a_listener(**{**known, **settings})

    @contextmanager
    def running(self, tree: Tree) -> Iterator[None]:
        lists = {id: str(self.directory / f"{id}.list") for id, each in tree.listeners.items() if each.terminates_tls}
        files = TlsFiles(secrets=self.secrets, lists=lists)
        for id, path in lists.items():
            Path(path).write_text(certificate_list(tree.listeners[id], files))
        with running(self.directory, tree, tls_files=files):
            yield

    def client(self, listener: Listener, certificate: Path | None = None, **settings: Any) -> Client:
        return Client(port=listener.protocol_port, tls=trusting(self.authority.file, certificate), **settings)


@pytest.fixture
def place() -> Iterator[Place]:
    """Not below tmp_path: the path of a unix socket holds 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="tls-") as name:
        directory = Path(name)
        yield Place(directory, TestAuthority("ours", directory), TestAuthority("theirs", directory))


@pytest.fixture(scope="module")
def member() -> Iterator[TellingMember]:
    with TellingMember("plain", "127.19.0.2") as member:
        yield member


def a_tree_with(listener: Listener, member: TellingMember, pool: Pool | None = None) -> Tree:
    host, port = member.place
    tree = Tree().with_listeners([listener]).with_pool(pool or a_pool())
    return tree.with_members([a_member(address=host, protocol_port=port)])


# Certificates shown


def test_clients_are_shown_the_certificate_of_the_host_they_name(place: Place, member: TellingMember) -> None:
    names = [place.certificate(name) for name in ("a.example", "b.example", *(f"{n}.example" for n in range(40)))]
    listener = place.listener(sni_container_refs=tuple(names))

    with place.running(a_tree_with(listener, member)):
        shown = {name: shown_to(place.client(listener, sni=name)) for name in (None, "unknown.example", "a.example")}
        last = shown_to(place.client(listener, sni="39.example"))

    assert shown == {None: "default", "unknown.example": "default", "a.example": "a.example"}
    assert last == "39.example"


def shown_to(client: Client) -> str:
    with client.tls_socket() as connection:
        subject = connection.getpeercert()["subject"]  # type: ignore[index]
    return str(dict(pair for part in subject for pair in part)["commonName"])  # type: ignore[misc]


# Certificates asked for


@pytest.mark.parametrize("asked", [ClientAuthentication.OPTIONAL, ClientAuthentication.MANDATORY])
def test_clients_are_let_in_by_their_certificates(
    place: Place, member: TellingMember, asked: ClientAuthentication
) -> None:
    good, bad, foreign = (place.other.issue(name) for name in ("good", "bad", "foreign"))
    listener = place.listener(
        client_authentication=asked,
        client_ca_tls_container_ref=place.secret(place.other.file),
        client_crl_container_ref=place.secret(place.other.revoked([bad])),
    )
    foreign = place.authority.issue("foreign")

    with place.running(a_tree_with(listener, member)):
        assert place.client(listener, good).get().member == "plain"
        for certificate in (bad, foreign):
            with pytest.raises(REFUSED):
                place.client(listener, certificate).get()
        if asked == ClientAuthentication.OPTIONAL:
            assert place.client(listener).get().member == "plain"
        else:
            with pytest.raises(REFUSED):
                place.client(listener).get()


def test_metrics_are_shown_to_clients_with_a_certificate(place: Place) -> None:
    listener = place.listener(
        protocol=ListenerProtocol.PROMETHEUS,
        default_pool_id=None,
        client_authentication=ClientAuthentication.MANDATORY,
        client_ca_tls_container_ref=place.secret(place.other.file),
    )

    with exporting(place.directory), place.running(Tree().with_listeners([listener])):
        assert place.client(listener, place.other.issue("good")).get("/metrics").status == 200
        with pytest.raises(REFUSED):
            place.client(listener).get("/metrics")


def test_rules_look_at_clients_certificates(place: Place, member: TellingMember) -> None:
    listener = place.listener(
        client_authentication=ClientAuthentication.OPTIONAL,
        client_ca_tls_container_ref=place.secret(place.other.file),
    )
    types, equal = L7RuleType, L7CompareType.EQUAL_TO
    rules: dict[str, dict[str, Any]] = {
        "http://has-cert": {"type": types.SSL_CONN_HAS_CERT, "compare_type": equal, "value": "TRUE"},
        "http://named": {"type": types.SSL_DN_FIELD, "key": "cn", "compare_type": equal, "value": "jane doe"},
        "http://of-tests": {"type": types.SSL_DN_FIELD, "key": "O", "compare_type": equal, "value": "Tests & Co"},
    }
    answers: dict[str, Sequence[int]] = {}

    for url, rule in rules.items():
        policy = a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url=url)
        verified = a_rule(id=an_id(7), type=types.SSL_VERIFY_RESULT, compare_type=equal, value="0")
        tree = a_tree_with(listener, member).with_l7_policies([policy])
        with place.running(tree.with_l7_rule(a_rule(**rule)).with_l7_rule(verified)):
            clients = [None, place.other.issue("john doe"), place.other.issue("jane doe")]
            answers[url] = [place.client(listener, certificate).get().status for certificate in clients]

    assert answers == {
        "http://has-cert": [200, 302, 302],
        "http://named": [200, 200, 302],
        "http://of-tests": [200, 302, 302],
    }


def test_members_are_told_about_clients_certificates(place: Place, member: TellingMember) -> None:
    names = ("Verify", "Has-Cert", "DN", "CN", "SHA1", "Not-Before", "Not-After")
    headers = [*(f"X-SSL-Client-{name}" for name in names), "X-SSL-Issuer", "X-Forwarded-Proto"]
    listener = place.listener(
        client_authentication=ClientAuthentication.OPTIONAL,
        client_ca_tls_container_ref=place.secret(place.other.file),
        insert_headers=dict.fromkeys(headers, "true"),
    )
    certificate = place.other.issue("jane")

    with place.running(a_tree_with(listener, member)):
        known = told_of(headers, place.client(listener, certificate))
        unknown = told_of(headers, place.client(listener), **dict.fromkeys(headers, "forged"))

    fingerprint = ssl.PEM_cert_to_DER_cert(certificate.read_text().partition("-----BEGIN PRIVATE")[0])
    assert known.pop("X-SSL-Client-SHA1").lower() == hashlib.sha1(fingerprint).hexdigest()
    assert known.pop("X-SSL-Client-Not-Before") < known.pop("X-SSL-Client-Not-After")
    assert known == {
        "X-SSL-Client-Verify": "0",
        "X-SSL-Client-Has-Cert": "1",
        "X-SSL-Client-DN": "/O=Tests & Co/CN=jane",
        "X-SSL-Client-CN": "jane",
        "X-SSL-Issuer": "/O=Tests & Co/CN=theirs",
        "X-Forwarded-Proto": "https",
    }
    assert unknown["X-SSL-Client-Has-Cert"] == "0"
    assert "forged" not in unknown.values()


def told_of(names: Sequence[str], client: Client, **sent: str) -> dict[str, str]:
    told = {name.lower(): value for name, value in client.get(**sent).told["headers"].items()}
    return {name: told.get(name.lower(), "") for name in names}


# What is agreed on


def test_clients_and_listener_agree_on_versions_and_ciphers(place: Place, member: TellingMember) -> None:
    ciphers = "TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384"
    both = place.listener(tls_versions=("TLSv1.2", "TLSv1.3"), tls_ciphers=ciphers)
    old = place.listener(id=an_id(9), tls_versions=("TLSv1.2",), tls_ciphers=ciphers)

    with place.running(a_tree_with(both, member).with_listeners([old])):
        agreed = [agreed_by(place.client(both)), agreed_by(place.client(old))]
        newest = place.client(old)
        assert newest.tls is not None
        newest.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(REFUSED):
            newest.get()

    assert agreed == [("TLSv1.3", "TLS_AES_256_GCM_SHA384"), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384")]


def agreed_by(client: Client) -> tuple[str | None, str]:
    with client.tls_socket() as connection:
        cipher = connection.cipher()
        assert cipher is not None
        return connection.version(), cipher[0]


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [(["h2", "http/1.1"], "h2"), (["http/1.0", "http/1.1"], "http/1.1"), (["spdy/1"], None)],
)
def test_clients_and_listener_agree_on_a_protocol(
    place: Place, member: TellingMember, offered: list[str], agreed: str | None
) -> None:
    listener = place.listener(alpn_protocols=(Alpn.H2, Alpn.HTTP_1_1))

    with place.running(a_tree_with(listener, member)):
        client = place.client(listener)
        assert client.tls is not None
        client.tls.set_alpn_protocols(offered)
        with client.tls_socket() as connection:
            assert connection.selected_alpn_protocol() == agreed


@pytest.mark.parametrize(
    ("settings", "header"),
    [
        ({}, None),
        ({"hsts_max_age": 0}, "max-age=0;"),
        (
            {"hsts_max_age": 100, "hsts_include_subdomains": True, "hsts_preload": True},
            "max-age=100; includeSubDomains; preload;",
        ),
    ],
)
def test_clients_are_told_to_stay_with_tls(
    place: Place, member: TellingMember, settings: dict[str, Any], header: str | None
) -> None:
    listener = place.listener(**settings)
    rejecting = a_tree_with(listener, member).with_l7_policies([a_policy()]).with_l7_rule(a_rule())

    with place.running(rejecting):
        answers = [place.client(listener).get(path) for path in ("/", "/x")]

    assert [answer.status for answer in answers] == [200, 403]
    assert [answer.headers.get("strict-transport-security") for answer in answers] == [header, header]


# TLS to members


@pytest.fixture
def tls_member(place: Place) -> Iterator[TellingMember]:
    """One that asks for certificates of "ours" but does not insist."""
    with TellingMember("secure", "127.19.0.3", serving_tls(place, ssl.CERT_OPTIONAL)) as member:
        yield member


def serving_tls(place: Place, asked: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(place.other.issue("member"))
    context.load_verify_locations(place.authority.file)
    context.verify_mode = asked
    return context


def status_with(place: Place, member: TellingMember, **settings: Any) -> int:
    """What a client of a plain listener is answered when its pool speaks TLS with these settings."""
    listener = a_listener(protocol_port=free_port(VIP))
    with place.running(a_tree_with(listener, member, a_pool(tls_enabled=True, **settings))):
        return Client(port=listener.protocol_port).get().status


def test_members_are_believed_when_their_authority_is_known(place: Place, tls_member: TellingMember) -> None:
    right, wrong = place.secret(place.other.file), place.secret(place.authority.file)
    nobody = place.secret(place.other.revoked([]))

    assert status_with(place, tls_member) == 200
    assert status_with(place, tls_member, ca_tls_container_ref=right) == 200
    assert status_with(place, tls_member, ca_tls_container_ref=wrong) == 503
    assert status_with(place, tls_member, ca_tls_container_ref=right, crl_container_ref=nobody) == 200


def test_a_member_whose_certificate_was_taken_back_is_not_believed(place: Place, tls_member: TellingMember) -> None:
    taken_back = place.secret(place.other.revoked([place.directory / "theirs-member.pem"]))
    authority = place.secret(place.other.file)

    assert status_with(place, tls_member, ca_tls_container_ref=authority, crl_container_ref=taken_back) == 503


def test_members_are_shown_a_certificate(place: Place) -> None:
    with TellingMember("strict", "127.19.0.3", serving_tls(place, ssl.CERT_REQUIRED)) as member:
        assert status_with(place, member) in (502, 503)
        assert status_with(place, member, tls_container_ref=place.certificate("amphora")) == 200


def test_members_and_pool_agree_on_versions_and_a_protocol(place: Place, tls_member: TellingMember) -> None:
    agreed = {"tls_versions": ("TLSv1.2",), "tls_ciphers": "ECDHE+AES", "alpn_protocols": (Alpn.HTTP_1_1,)}

    assert status_with(place, tls_member, **agreed) == 200


# Checks


def found_well(place: Place, members: Sequence[TellingMember], monitor: HealthMonitor, **settings: Any) -> list[str]:
    """Names of the members that pass their first check."""
    tree = Tree().with_listeners([a_listener(protocol_port=free_port(VIP))]).with_pool(a_pool(**settings))
    tree = tree.with_health_monitor(replace(monitor, max_retries_down=1))
    ids = [an_id(31 + number) for number in range(len(members))]
    tree = tree.with_members(
        a_member(id=id, address=member.place[0], protocol_port=member.place[1])
        for id, member in zip(ids, members, strict=True)
    )
    found: Mapping[str, str] = {}

    def all_checked() -> bool:
        nonlocal found
        found = checks_of(place.directory)
        return all(found.get(str(id), "INI") not in ("INI", "") for id in ids)

    with place.running(tree):
        wait_until(all_checked, 10)
    return [member.name for id, member in zip(ids, members, strict=True) if found[str(id)].endswith("OK")]


@pytest.mark.parametrize(
    ("type", "tls_enabled", "expected"),
    [
        (HealthMonitorType.TLS_HELLO, False, ["secure"]),
        (HealthMonitorType.TLS_HELLO, True, ["secure"]),
        (HealthMonitorType.HTTPS, False, ["secure"]),
        (HealthMonitorType.HTTPS, True, ["secure"]),
        (HealthMonitorType.HTTP, True, ["secure"]),
        (HealthMonitorType.HTTP, False, ["plain"]),
        (HealthMonitorType.TCP, False, ["plain", "secure"]),
    ],
)
def test_members_are_checked_as_they_speak(
    place: Place,
    member: TellingMember,
    tls_member: TellingMember,
    type: HealthMonitorType,
    tls_enabled: bool,
    expected: list[str],
) -> None:
    assert found_well(place, (member, tls_member), a_monitor(type=type), tls_enabled=tls_enabled) == expected
