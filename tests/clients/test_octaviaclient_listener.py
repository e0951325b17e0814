"""`openstack loadbalancer listener` and `l7policy` and `l7rule`, as a user types them."""

import pytest

from tests.clients.openstack_command import KEYSTONE_KNOWS, OpenStack, of
from tests.clients.tree import Tree, a_secret, excerpt
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@of("listener create", "listener show")
def test_a_listener_is_created_with_every_option_and_shown(openstack: OpenStack, tree: Tree) -> None:
    certificate, other, third, authorities, revoked = (a_secret() for _ in range(5))

    created = openstack.json(
        *("listener", "create", "web", "--name", "vault", "--description", "doors", "--protocol", "terminated_https"),
        *("--protocol-port", "443", "--connection-limit", "100", "--default-pool", "weavers", "--disable"),
        *("--insert-headers", "X-Forwarded-For=true,X-Forwarded-Port=true", "--timeout-client-data", "1000"),
        *("--timeout-member-connect", "2000", "--timeout-member-data", "3000", "--timeout-tcp-inspect", "4000"),
        *("--default-tls-container-ref", certificate, "--sni-container-refs", other, third),
        *("--client-ca-tls-container-ref", authorities, "--client-authentication", "optional"),
        *("--client-crl-container-ref", revoked, "--allowed-cidr", "10.0.0.0/8", "--allowed-cidr", "192.0.2.1"),
        *("--tls-ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "--tls-version", "TLSv1.2", "--tls-version", "TLSv1.3"),
        *("--alpn-protocol", "h2", "--alpn-protocol", "http/1.1", "--hsts-max-age", "3600"),
        *("--hsts-include-subdomains", "--hsts-preload", "--tag", "blue", "--tag", "door"),
    )

    expected = {
        "name": "vault",
        "description": "doors",
        "protocol": "TERMINATED_HTTPS",
        "protocol_port": 443,
        "connection_limit": 100,
        "default_pool_id": tree.weavers,
        "admin_state_up": False,
        "insert_headers": {"X-Forwarded-For": "true", "X-Forwarded-Port": "true"},
        "timeout_client_data": 1000,
        "timeout_member_connect": 2000,
        "timeout_member_data": 3000,
        "timeout_tcp_inspect": 4000,
        "default_tls_container_ref": certificate,
        "client_ca_tls_container_ref": authorities,
        "client_authentication": "OPTIONAL",
        "client_crl_container_ref": revoked,
        "tls_ciphers": "ECDHE-RSA-AES128-GCM-SHA256",
        "tls_versions": ["TLSv1.2", "TLSv1.3"],
        "alpn_protocols": ["h2", "http/1.1"],
        "hsts_max_age": 3600,
        "hsts_include_subdomains": True,
        "hsts_preload": True,
        "loadbalancers": [{"id": tree.web}],
        "l7policies": [],
    }
    assert excerpt(created, expected) == expected
    sets = ("sni_container_refs", "allowed_cidrs", "tags")
    assert [sorted(created[name]) for name in sets] == [
        sorted([other, third]),
        ["10.0.0.0/8", "192.0.2.1/32"],
        ["blue", "door"],
    ]
    shown = openstack.json("listener", "show", "vault")
    assert excerpt(shown, expected) == expected
    assert openstack.json("listener", "show", created["id"])["name"] == "vault"
    plain = ("--name", "plain", "--protocol", "TCP", "--protocol-port", "22", "--enable", "--no-tag")
    created = openstack.json("listener", "create", "web", *plain)
    assert (created["admin_state_up"], created["tags"], created["tls_versions"]) == (True, [], None)


@of("listener list")
def test_listeners_are_found_by_every_filter(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    noop.api.put(f"/listeners/{tree.front}", "listener", {"tags": ["blue", "door"]})
    inn = noop.load_balancer(name="inn", project_id=KEYSTONE_KNOWS)["id"]
    said = {"name": "gate", "protocol": "TCP", "protocol_port": 22, "admin_state_up": False, "tags": ["blue"]}
    noop.api.post("/listeners", "listener", loadbalancer_id=inn, **said)

    by_filter = {
        "--name": openstack.names("listener", "list", "--name", "front"),
        "--loadbalancer": openstack.names("listener", "list", "--loadbalancer", "inn"),
        "--enable": openstack.names("listener", "list", "--enable"),
        "--disable": openstack.names("listener", "list", "--disable"),
        "--project": openstack.names("listener", "list", "--project", KEYSTONE_KNOWS),
        "--tags": openstack.names("listener", "list", "--tags", "blue,door"),
        "--any-tags": openstack.names("listener", "list", "--any-tags", "blue,door"),
        "--not-tags": openstack.names("listener", "list", "--not-tags", "blue,door"),
        "--not-any-tags": openstack.names("listener", "list", "--not-any-tags", "door"),
        "": openstack.names("listener", "list"),
    }

    assert by_filter == {
        "--name": ["front"],
        "--loadbalancer": ["gate"],
        "--enable": ["front"],
        "--disable": ["gate"],
        "--project": ["gate"],
        "--tags": ["front"],
        "--any-tags": ["front", "gate"],
        "--not-tags": ["gate"],
        "--not-any-tags": ["gate"],
        "": ["front", "gate"],
    }


@of("listener set", "listener unset", "listener delete")
def test_a_listener_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    certificate, other, authorities, revoked = (a_secret() for _ in range(4))
    said = {"name": "vault", "protocol": "TERMINATED_HTTPS", "protocol_port": 443, "tags": ["old"]}
    made = noop.api.post(
        "/listeners", "listener", loadbalancer_id=tree.web, default_tls_container_ref=a_secret(), **said
    )
    path = f"/listeners/{made['id']}"

    openstack(
        *("listener", "set", "vault", "--name", "strongroom", "--description", "iron", "--connection-limit", "7"),
        *("--default-pool", "weavers", "--insert-headers", "X-Forwarded-Proto=true", "--timeout-client-data", "1"),
        *("--timeout-member-connect", "2", "--timeout-member-data", "3", "--timeout-tcp-inspect", "4", "--disable"),
        *("--default-tls-container-ref", certificate, "--client-ca-tls-container-ref", authorities),
        *("--client-authentication", "MANDATORY", "--client-crl-container-ref", revoked),
        *("--allowed-cidr", "10.0.0.0/8", "--tls-ciphers", "AES256-GCM-SHA384", "--tls-version", "TLSv1.2"),
        *("--alpn-protocol", "http/1.1", "--hsts-max-age", "60", "--hsts-include-subdomains", "--hsts-preload"),
        *("--no-tag", "--tag", "blue", "--tag", "door", "--sni-container-refs", other),
    )

    expected = {
        "name": "strongroom",
        "description": "iron",
        "connection_limit": 7,
        "default_pool_id": tree.weavers,
        "insert_headers": {"X-Forwarded-Proto": "true"},
        "timeout_client_data": 1,
        "timeout_member_connect": 2,
        "timeout_member_data": 3,
        "timeout_tcp_inspect": 4,
        "admin_state_up": False,
        "default_tls_container_ref": certificate,
        "sni_container_refs": [other],
        "client_ca_tls_container_ref": authorities,
        "client_authentication": "MANDATORY",
        "client_crl_container_ref": revoked,
        "allowed_cidrs": ["10.0.0.0/8"],
        "tls_ciphers": "AES256-GCM-SHA384",
        "tls_versions": ["TLSv1.2"],
        "alpn_protocols": ["http/1.1"],
        "hsts_max_age": 60,
        "hsts_include_subdomains": True,
        "hsts_preload": True,
    }
    changed = noop.api.get(path)
    assert excerpt(changed, expected) == expected
    assert sorted(changed["tags"]) == ["blue", "door"]

    openstack("listener", "set", "strongroom", "--enable")
    openstack("listener", "unset", "strongroom", "--tag", "blue")
    assert noop.api.get(path)["tags"] == ["door"]
    openstack(
        *("listener", "unset", "strongroom", "--name", "--description", "--connection-limit", "--default-pool"),
        *("--default-tls-container-ref", "--sni-container-refs", "--insert-headers", "--timeout-client-data"),
        *("--timeout-member-connect", "--timeout-member-data", "--timeout-tcp-inspect"),
        *("--client-ca-tls-container-ref", "--client-authentication", "--client-crl-container-ref"),
        *("--allowed-cidrs", "--tls-versions", "--tls-ciphers", "--alpn-protocols", "--hsts-max-age"),
        *("--hsts-include-subdomains", "--hsts-preload", "--all-tag"),
    )

    cleared = {
        "name": "",
        "description": "",
        "connection_limit": -1,
        "default_pool_id": None,
        "insert_headers": {},
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "admin_state_up": True,
        "default_tls_container_ref": None,
        "sni_container_refs": [],
        "client_ca_tls_container_ref": None,
        "client_authentication": "NONE",
        "client_crl_container_ref": None,
        "allowed_cidrs": None,
        "tls_ciphers": made["tls_ciphers"],
        "tls_versions": made["tls_versions"],
        "alpn_protocols": made["alpn_protocols"],
        "hsts_max_age": None,
        "hsts_include_subdomains": False,
        "hsts_preload": False,
        "tags": [],
    }
    assert excerpt(noop.api.get(path), cleared) == cleared

    openstack("listener", "delete", made["id"])
    noop.api.wait_until_gone(path)
    assert openstack.names("listener", "list") == ["front"]


@of("l7policy create", "l7policy show", "l7policy list")
def test_l7_policies_are_created_with_every_option_shown_and_listed(openstack: OpenStack, tree: Tree) -> None:
    to_url = openstack.json(
        *("l7policy", "create", "front", "--name", "moved", "--description", "west", "--action", "redirect_to_url"),
        *("--redirect-url", "https://west.example.org/", "--redirect-http-code", "308", "--position", "1"),
        *("--disable", "--tag", "blue", "--tag", "west"),
    )
    prefix = ("--action", "REDIRECT_PREFIX", "--redirect-prefix", "https://north.example.org")
    to_prefix = openstack.json("l7policy", "create", "front", "--name", "north", *prefix, "--enable", "--tag", "blue")
    pool = ("--action", "REDIRECT_TO_POOL", "--redirect-pool", "weavers")
    to_pool = openstack.json("l7policy", "create", "front", "--name", "inner", *pool, "--no-tag")

    expected = {
        "name": "moved",
        "description": "west",
        "action": "REDIRECT_TO_URL",
        "redirect_url": "https://west.example.org/",
        "redirect_http_code": 308,
        "position": 1,
        "admin_state_up": False,
        "listener_id": tree.front,
        "rules": [],
    }
    assert excerpt(to_url, expected) == expected
    assert excerpt(openstack.json("l7policy", "show", "moved"), expected) == expected
    assert openstack.json("l7policy", "show", to_url["id"])["id"] == to_url["id"]
    assert (to_prefix["redirect_prefix"], to_prefix["redirect_http_code"]) == ("https://north.example.org", 302)
    assert (to_pool["redirect_pool_id"], to_pool["position"], to_pool["tags"]) == (tree.weavers, 4, [])
    listed = openstack.json("l7policy", "list", "--listener", "front")
    positions = {each["name"]: each["position"] for each in listed}
    assert positions == {"moved": 1, "door": 2, "north": 3, "inner": 4}
    assert openstack.names("l7policy", "list", "--tags", "blue,west") == ["moved"]
    assert openstack.names("l7policy", "list", "--any-tags", "blue,west") == ["moved", "north"]
    assert openstack.names("l7policy", "list", "--not-tags", "blue,west") == ["door", "inner", "north"]
    assert openstack.names("l7policy", "list", "--not-any-tags", "blue,west") == ["door", "inner"]


@of("l7policy set", "l7policy unset", "l7policy delete")
def test_an_l7_policy_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    path = f"/l7policies/{tree.door}"
    noop.api.post("/l7policies", "l7policy", listener_id=tree.front, action="REJECT", name="last")
    openstack("l7policy", "set", "door", "--tag", "blue", "--enable")
    pool = ("--action", "REDIRECT_TO_POOL", "--redirect-pool", "weavers")
    openstack("l7policy", "set", "door", *pool, "--tag", "red")
    to_pool = noop.api.get(path)
    openstack(
        "l7policy", "set", "door", "--action", "REDIRECT_PREFIX", "--redirect-prefix", "https://north.example.org"
    )
    to_prefix = noop.api.get(path)

    openstack(
        *("l7policy", "set", "door", "--name", "exit", "--description", "out", "--action", "REDIRECT_TO_URL"),
        *("--redirect-url", "https://out.example.org/", "--redirect-http-code", "301", "--position", "2"),
        *("--disable", "--no-tag", "--tag", "green"),
    )

    assert (to_pool["redirect_pool_id"], sorted(to_pool["tags"])) == (tree.weavers, ["blue", "red"])
    assert (to_prefix["redirect_pool_id"], to_prefix["redirect_prefix"]) == (None, "https://north.example.org")
    expected = {
        "name": "exit",
        "description": "out",
        "action": "REDIRECT_TO_URL",
        "redirect_url": "https://out.example.org/",
        "redirect_prefix": None,
        "redirect_http_code": 301,
        "position": 2,
        "admin_state_up": False,
        "tags": ["green"],
    }
    assert excerpt(noop.api.get(path), expected) == expected
    openstack("l7policy", "unset", "exit", "--tag", "green")
    assert noop.api.get(path)["tags"] == []
    openstack("l7policy", "set", "exit", "--tag", "red")
    openstack("l7policy", "unset", "exit", "--name", "--description", "--redirect-http-code", "--all-tag")
    cleared = {"name": "", "description": "", "redirect_http_code": None, "tags": []}
    assert excerpt(noop.api.get(path), cleared) == cleared
    openstack("l7policy", "delete", tree.door)
    noop.api.wait_until_gone(path)
    assert [each["position"] for each in openstack.json("l7policy", "list")] == [1]


@of("l7rule create", "l7rule show", "l7rule list")
def test_l7_rules_are_created_with_every_option_shown_and_listed(openstack: OpenStack, tree: Tree) -> None:
    created = openstack.json(
        *("l7rule", "create", "door", "--type", "cookie", "--compare-type", "starts_with", "--key", "guild"),
        *("--value", "weavers", "--invert", "--disable", "--tag", "blue", "--tag", "crumb"),
    )
    path = ("--type", "PATH", "--compare-type", "REGEX", "--value", "^/cloth/")
    other = openstack.json("l7rule", "create", tree.door, *path, "--enable", "--no-tag")

    expected = {
        "type": "COOKIE",
        "compare_type": "STARTS_WITH",
        "key": "guild",
        "value": "weavers",
        "invert": True,
        "admin_state_up": False,
    }
    assert excerpt(created, expected) == expected
    assert excerpt(openstack.json("l7rule", "show", "door", created["id"]), expected) == expected
    assert openstack.json("l7rule", "show", tree.door, other["id"])["value"] == "^/cloth/"
    by_tags = {
        name: sorted(each["type"] for each in openstack.json("l7rule", "list", "door", name, "blue,crumb"))
        for name in ("--tags", "--any-tags", "--not-tags", "--not-any-tags")
    }
    assert by_tags == {
        "--tags": ["COOKIE"],
        "--any-tags": ["COOKIE"],
        "--not-tags": ["HEADER", "PATH"],
        "--not-any-tags": ["HEADER", "PATH"],
    }
    assert len(openstack.json("l7rule", "list", "door")) == 3


@of("l7rule set", "l7rule unset", "l7rule delete")
def test_an_l7_rule_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    path = f"/l7policies/{tree.door}/rules/{tree.rule}"
    openstack("l7rule", "set", "door", tree.rule, "--tag", "blue", "--enable")

    openstack(
        *("l7rule", "set", "door", tree.rule, "--type", "SSL_DN_FIELD", "--compare-type", "EQUAL_TO", "--key", "O"),
        *("--value", "Weavers", "--invert", "--disable", "--no-tag", "--tag", "red", "--tag", "green"),
    )

    expected = {"type": "SSL_DN_FIELD", "key": "O", "value": "Weavers", "invert": True, "admin_state_up": False}
    changed = noop.api.get(path)
    assert excerpt(changed, expected) == expected
    assert sorted(changed["tags"]) == ["green", "red"]
    assert "needs to specify a key and a value. (HTTP 400)" in openstack.refusal(
        "l7rule", "unset", "door", tree.rule, "--key"
    )
    openstack("l7rule", "set", "door", tree.rule, "--type", "PATH")
    openstack("l7rule", "unset", "door", tree.rule, "--key", "--invert", "--tag", "red")
    cleared = {"type": "PATH", "key": None, "invert": False, "tags": ["green"]}
    assert excerpt(noop.api.get(path), cleared) == cleared
    openstack("l7rule", "unset", "door", tree.rule, "--all-tag")
    assert noop.api.get(path)["tags"] == []
    openstack("l7rule", "delete", "door", tree.rule)
    noop.api.wait_until_gone(path)
