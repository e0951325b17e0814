"""TLS in the file: what each setting becomes, which files are named, and what is refused by name."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from amphora.haproxy import TlsFiles, Unrenderable
from amphora.haproxy_tls import certificate_list
from domain.health_monitor import HealthMonitorType
from domain.listener import Listener, ListenerProtocol
from domain.pool import Pool, PoolProtocol
from domain.progress import Kind, Ref
from domain.tls import DEFAULT_CIPHERS, TLS_VERSIONS, Alpn, ClientAuthentication
from domain.tree import Tree
from tests.amphora.certificates import TestAuthority
from tests.amphora.rendering import (
    GOLDEN,
    TLS_FILES,
    a_listener,
    a_member,
    a_monitor,
    a_pool,
    a_tls_listener,
    a_tree,
    an_id,
    haproxys_objection,
    lines,
    rendered,
    words_of,
)


def bind_of(**settings: Any) -> list[str]:
    """The words of the bind line after the address."""
    text = rendered(a_tree(a_tls_listener(**settings)), tls_files=TLS_FILES)
    (line,) = (line for line in lines(text) if line.startswith("bind "))
    return words_of(line)[2:]


def server_of(pool: Pool, protocol: ListenerProtocol = ListenerProtocol.HTTP, **monitor: Any) -> list[str]:
    """The words of the server line after its weight."""
    tree = a_tree(a_listener(protocol=protocol), pool, monitor=a_monitor(**monitor) if monitor else None)
    (line,) = (line for line in lines(rendered(tree, tls_files=TLS_FILES)) if line.startswith("server "))
    return words_of(line)[5:]


def following(words: list[str], option: str) -> str | None:
    """The argument of an option, None without it."""
    return words[words.index(option) + 1] if option in words else None


# Listeners


def test_a_listener_shows_the_certificates_of_its_list() -> None:
    assert bind_of() == ["ssl", "crt-list", "certs/1.list"]


def test_the_list_names_each_certificate_once_and_the_default_one_first() -> None:
    listener = a_tls_listener(sni_container_refs=("secret:sni", "secret:default"))

    assert certificate_list(listener, TLS_FILES) == "certs/default.pem\ncerts/sni.pem\n"


@pytest.mark.parametrize(("asked", "word"), [("NONE", "none"), ("OPTIONAL", "optional"), ("MANDATORY", "required")])
def test_clients_are_asked_for_a_certificate(asked: str, word: str) -> None:
    bind = bind_of(
        client_authentication=ClientAuthentication(asked),
        client_ca_tls_container_ref="secret:client_ca",
        client_crl_container_ref="secret:client_crl",
    )

    assert bind[3:] == ["ca-file", "certs/client_ca.pem", "verify", word, "crl-file", "certs/client_crl.pem"]


def test_a_list_of_revocations_says_nothing_without_its_authority() -> None:
    assert bind_of(client_crl_container_ref="secret:client_crl") == bind_of()


def test_ciphers_and_suites_are_told_apart() -> None:
    bind = bind_of(tls_ciphers=DEFAULT_CIPHERS)

    suites, ciphers = following(bind, "ciphersuites"), following(bind, "ciphers")
    assert f"{suites}:{ciphers}" == DEFAULT_CIPHERS
    assert suites == "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"


@pytest.mark.parametrize(
    ("given", "ciphers", "suites"),
    [
        ("ECDHE+AES:!aNULL:@SECLEVEL=0", "ECDHE+AES:!aNULL:@SECLEVEL=0", None),
        ("TLS_AES_128_GCM_SHA256", None, "TLS_AES_128_GCM_SHA256"),
        ("", None, None),
        (None, None, None),
    ],
)
def test_nothing_is_said_of_ciphers_that_were_not_named(
    given: str | None, ciphers: str | None, suites: str | None
) -> None:
    bind = bind_of(tls_ciphers=given)

    assert (following(bind, "ciphers"), following(bind, "ciphersuites")) == (ciphers, suites)


@pytest.mark.parametrize("version", TLS_VERSIONS)
def test_versions_that_were_not_named_are_switched_off(version: str) -> None:
    off = {word for word in bind_of(tls_versions=(version,)) if word.startswith("no-")}
    all_of_them = {word for word in bind_of(tls_versions=TLS_VERSIONS) if word.startswith("no-")}

    assert len(off) == 4
    assert all_of_them == set()


def test_protocols_are_offered_in_the_users_order() -> None:
    assert following(bind_of(alpn_protocols=(Alpn.HTTP_1_1, Alpn.H2)), "alpn") == "http/1.1,h2"
    assert "alpn" not in bind_of(alpn_protocols=())


def test_hsts_is_for_listeners_that_terminate_tls() -> None:
    metrics = a_listener(
        protocol=ListenerProtocol.PROMETHEUS,
        default_pool_id=None,
        default_tls_container_ref="secret:default",
        hsts_max_age=7,
    )

    assert "Strict" not in rendered(Tree().with_listeners([metrics]), tls_files=TLS_FILES)
    assert "http-after-response set-header Strict-Transport-Security 'max-age=7; preload;'" in lines(
        rendered(a_tree(a_tls_listener(hsts_max_age=7, hsts_preload=True)), tls_files=TLS_FILES)
    )


@pytest.mark.parametrize("protocol", [ListenerProtocol.HTTP, ListenerProtocol.PROMETHEUS])
def test_tls_settings_without_a_certificate_say_nothing(protocol: ListenerProtocol) -> None:
    plain = a_listener(protocol=protocol, default_pool_id=None)
    settled = a_listener(protocol=protocol, default_pool_id=None, tls_versions=("TLSv1.2",), alpn_protocols=(Alpn.H2,))

    assert rendered(Tree().with_listeners([plain])) == rendered(Tree().with_listeners([settled]))


# Pools


def test_a_pool_without_tls_names_no_files() -> None:
    pool = a_pool(tls_container_ref="secret:unknown", tls_versions=("TLSv1.2",), alpn_protocols=(Alpn.H2,))

    assert server_of(pool) == []


def test_servers_are_asked_for_the_host_that_the_client_named() -> None:
    assert server_of(a_pool(tls_enabled=True)) == ["ssl", "sni", "ssl_fc_sni", "verify", "none"]


def test_servers_are_verified_by_an_authority() -> None:
    pool = a_pool(
        tls_enabled=True,
        tls_container_ref="secret:amphora",
        ca_tls_container_ref="secret:member_ca",
        crl_container_ref="secret:member_crl",
        tls_ciphers="ECDHE+AES",
        tls_versions=("TLSv1.2", "TLSv1.3"),
        alpn_protocols=(Alpn.H2, Alpn.HTTP_1_1),
    )

    words = "crt certs/amphora.pem ca-file certs/member_ca.pem verify required crl-file certs/member_crl.pem"
    spoken = "ciphers ECDHE+AES no-sslv3 no-tlsv10 no-tlsv11 alpn h2,http/1.1"
    assert server_of(pool)[3:] == f"{words} {spoken}".split()


def test_nothing_is_agreed_on_where_requests_are_not_read() -> None:
    pool = a_pool(protocol=PoolProtocol.TCP, tls_enabled=True, alpn_protocols=(Alpn.H2,))

    assert "alpn" not in server_of(pool, ListenerProtocol.TCP)


@pytest.mark.parametrize(
    ("type", "of_check"),
    [
        (HealthMonitorType.HTTP, ["check-alpn", "h2"]),
        (HealthMonitorType.HTTPS, ["check-ssl", "check-alpn", "h2"]),
        (HealthMonitorType.TLS_HELLO, ["no-check-ssl"]),
        (HealthMonitorType.TCP, []),
    ],
)
def test_checks_of_servers_with_tls(type: HealthMonitorType, of_check: list[str]) -> None:
    pool = a_pool(tls_enabled=True, alpn_protocols=(Alpn.H2,))

    words = server_of(pool, type=type)

    assert words[words.index("rise") + 2 : words.index("ssl")] == of_check
    assert words.count("verify") == 1


# What is refused


@pytest.mark.parametrize(
    ("listener", "field"),
    [
        ({"default_tls_container_ref": None}, "there is no certificate to show"),
        ({"client_ca_tls_container_ref": "secret:unknown"}, "client_ca_tls_container_ref"),
        (
            {"client_ca_tls_container_ref": "secret:client_ca", "client_crl_container_ref": "secret:unknown"},
            "client_crl_container_ref",
        ),
        ({"tls_ciphers": "ALL verify none"}, "tls_ciphers"),
        ({"tls_versions": ("TLSv1.4",)}, "tls_versions"),
        ({"tls_versions": ()}, "tls_versions"),
        ({"id": an_id(99)}, "certificates"),
    ],
)
def test_what_a_listener_cannot_be_given_is_refused_by_name(listener: dict[str, Any], field: str) -> None:
    refused = a_tls_listener(**listener)

    with pytest.raises(Unrenderable, match=field) as refusal:
        rendered(a_tree(refused), tls_files=TLS_FILES)
    assert refusal.value.ref == Ref(Kind.LISTENER, refused.id)


@pytest.mark.parametrize(
    ("pool", "field"),
    [
        ({"tls_container_ref": "secret:unknown"}, "tls_container_ref"),
        ({"ca_tls_container_ref": "secret:unknown"}, "ca_tls_container_ref"),
        ({"ca_tls_container_ref": "secret:member_ca", "crl_container_ref": "secret:unknown"}, "crl_container_ref"),
        ({"tls_ciphers": "A\u00c4"}, "tls_ciphers"),
        ({"tls_versions": ("TLSv1.4",)}, "tls_versions"),
    ],
)
def test_what_a_pool_cannot_be_given_is_refused_by_name(pool: dict[str, Any], field: str) -> None:
    with pytest.raises(Unrenderable, match=field) as refusal:
        rendered(a_tree(pool=a_pool(tls_enabled=True, **pool)), tls_files=TLS_FILES)

    assert refusal.value.ref == Ref(Kind.POOL, an_id(2))


@pytest.mark.parametrize("path", ["a b.pem", "a.pem\nb.pem", "[a].pem", ""])
def test_a_path_that_a_list_of_certificates_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(Unrenderable, match="certificate"):
        certificate_list(a_tls_listener(), TlsFiles(secrets={"secret:default": path}))


# A whole file


def a_tree_with_tls() -> Tree:
    """Everything that TLS has, to clients and to members."""
    listener = a_tls_listener(
        sni_container_refs=("secret:sni",),
        client_authentication=ClientAuthentication.OPTIONAL,
        client_ca_tls_container_ref="secret:client_ca",
        client_crl_container_ref="secret:client_crl",
        tls_ciphers=DEFAULT_CIPHERS,
        tls_versions=("TLSv1.2", "TLSv1.3"),
        alpn_protocols=tuple(Alpn),
        hsts_max_age=31_536_000,
        hsts_include_subdomains=True,
        hsts_preload=True,
        insert_headers={"X-SSL-Client-DN": "true", "X-SSL-Client-SHA1": "true", "X-Forwarded-Proto": "true"},
    )
    pool = a_pool(
        tls_enabled=True,
        tls_container_ref="secret:amphora",
        ca_tls_container_ref="secret:member_ca",
        crl_container_ref="secret:member_crl",
        tls_ciphers=DEFAULT_CIPHERS,
        tls_versions=("TLSv1.2",),
        alpn_protocols=(Alpn.H2, Alpn.HTTP_1_1),
    )
    metrics = a_listener(
        id=an_id(8),
        protocol=ListenerProtocol.PROMETHEUS,
        protocol_port=8081,
        default_pool_id=None,
        default_tls_container_ref="secret:default",
    )
    tree = a_tree(listener, pool, monitor=a_monitor(type=HealthMonitorType.HTTPS)).with_listeners([metrics])
    proxied = a_pool(id=an_id(20), protocol=PoolProtocol.PROXYV2)
    other = a_tls_listener(id=an_id(9), protocol_port=8082, default_pool_id=proxied.id, alpn_protocols=(Alpn.HTTP_1_1,))
    return tree.with_listeners([other]).with_pool(proxied).with_members([a_member(id=an_id(21), pool_id=proxied.id)])


GOLDEN_FILE = GOLDEN / "haproxy_tls.cfg"


def test_a_tree_with_tls_becomes_the_golden_file() -> None:
    assert rendered(a_tree_with_tls(), tls_files=TLS_FILES) == GOLDEN_FILE.read_text()


@pytest.mark.amphora
def test_haproxy_accepts_the_golden_file(tmp_path: Path) -> None:
    shutil.copy(GOLDEN_FILE, tmp_path)
    write_tls_files(tmp_path / "certs", a_tree_with_tls().listeners.values())

    assert haproxys_objection(tmp_path / GOLDEN_FILE.name) == ""


def write_tls_files(directory: Path, listeners: Iterable[Listener]) -> None:
    """What TLS_FILES says that there is."""
    directory.mkdir()
    clients, members = TestAuthority("client_ca", directory), TestAuthority("member_ca", directory)
    for authority, revocations in ((clients, "client_crl"), (members, "member_crl")):
        assert authority.file.name == f"{authority.name}.pem"
        authority.revoked([]).rename(directory / f"{revocations}.pem")
    for name in ("default", "sni", "amphora"):
        members.issue(name).rename(directory / f"{name}.pem")
    for listener in listeners:
        (directory.parent / TLS_FILES.lists[listener.id]).write_text(certificate_list(listener, TLS_FILES))


if __name__ == "__main__":  # python -m tests.amphora.test_haproxy_tls: writes the golden file anew
    GOLDEN_FILE.write_text(rendered(a_tree_with_tls(), tls_files=TLS_FILES))
