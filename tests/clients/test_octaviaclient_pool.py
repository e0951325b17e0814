"""`openstack loadbalancer pool`, `member` and `healthmonitor`, as a user types them."""

import pytest

from tests.clients.openstack_command import OpenStack, of
from tests.clients.tree import Tree, a_flavor, a_secret, a_tree, excerpt
from tests.noop.conftest import Noop

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

BY_TAGS = ("--tags", "--any-tags", "--not-tags", "--not-any-tags")


@of("pool create", "pool show", "pool list")
def test_pools_are_created_with_every_option_shown_and_listed(openstack: OpenStack, tree: Tree) -> None:
    certificate, authorities, revoked = (a_secret() for _ in range(3))

    created = openstack.json(
        *("pool", "create", "--name", "spinners", "--description", "yarn", "--protocol", "http", "--disable"),
        *("--loadbalancer", "web", "--lb-algorithm", "least_connections", "--enable-tls"),
        *("--session-persistence", "type=APP_COOKIE,cookie_name=thread", "--tls-container-ref", certificate),
        *("--ca-tls-container-ref", authorities, "--crl-container-ref", revoked, "--tls-version", "TLSv1.2"),
        *("--tls-version", "TLSv1.3", "--tls-ciphers", "AES256-GCM-SHA384", "--alpn-protocol", "h2"),
        *("--alpn-protocol", "http/1.1", "--tag", "blue", "--tag", "yarn"),
    )

    cookie = {"type": "APP_COOKIE", "cookie_name": "thread"}
    expected = {
        "name": "spinners",
        "description": "yarn",
        "protocol": "HTTP",
        "lb_algorithm": "LEAST_CONNECTIONS",
        "admin_state_up": False,
        "session_persistence": {**cookie, "persistence_timeout": None, "persistence_granularity": None},
        "tls_enabled": True,
        "tls_container_ref": certificate,
        "ca_tls_container_ref": authorities,
        "crl_container_ref": revoked,
        "tls_versions": ["TLSv1.2", "TLSv1.3"],
        "tls_ciphers": "AES256-GCM-SHA384",
        "alpn_protocols": ["h2", "http/1.1"],
        "loadbalancers": [{"id": tree.web}],
        "listeners": [],
        "members": [],
    }
    assert excerpt(created, expected) == expected
    assert excerpt(openstack.json("pool", "show", "spinners"), expected) == expected
    assert openstack.json("pool", "show", created["id"])["name"] == "spinners"
    openstack("listener", "create", "web", "--name", "side", "--protocol", "TCP", "--protocol-port", "22")
    plain = ("--name", "dyers", "--protocol", "TCP", "--lb-algorithm", "SOURCE_IP", "--disable-tls", "--enable")
    other = openstack.json("pool", "create", "--listener", "side", *plain, "--no-tag")
    assert [each["id"] for each in other["listeners"]] == [openstack.json("listener", "show", "side")["id"]]
    assert openstack.names("pool", "list", "--loadbalancer", "web") == ["dyers", "spinners", "weavers"]
    assert [openstack.names("pool", "list", name, "blue,yarn") for name in BY_TAGS] == [
        ["spinners"],
        ["spinners"],
        ["dyers", "weavers"],
        ["dyers", "weavers"],
    ]


@of("pool set", "pool unset", "pool delete")
def test_a_pool_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    certificate, authorities, revoked = (a_secret() for _ in range(3))
    path = f"/pools/{tree.weavers}"
    openstack("pool", "set", "weavers", "--tag", "old", "--disable-tls", "--enable")

    openstack(
        *("pool", "set", "weavers", "--name", "spinners", "--description", "yarn", "--lb-algorithm", "SOURCE_IP"),
        *("--session-persistence", "type=HTTP_COOKIE", "--disable", "--enable-tls", "--tls-container-ref", certificate),
        *("--ca-tls-container-ref", authorities, "--crl-container-ref", revoked, "--tls-version", "TLSv1.2"),
        *("--tls-ciphers", "AES256-GCM-SHA384", "--alpn-protocol", "http/1.1", "--no-tag", "--tag", "a", "--tag", "b"),
    )

    expected = {
        "name": "spinners",
        "description": "yarn",
        "lb_algorithm": "SOURCE_IP",
        "admin_state_up": False,
        "tls_enabled": True,
        "tls_container_ref": certificate,
        "ca_tls_container_ref": authorities,
        "crl_container_ref": revoked,
        "tls_versions": ["TLSv1.2"],
        "tls_ciphers": "AES256-GCM-SHA384",
        "alpn_protocols": ["http/1.1"],
    }
    changed = noop.api.get(path)
    assert excerpt(changed, expected) == expected
    assert (changed["session_persistence"]["type"], sorted(changed["tags"])) == ("HTTP_COOKIE", ["a", "b"])

    refused = openstack.refusal("pool", "set", "spinners", "--session-persistence", "type=APP_COOKIE")
    assert 'Field "cookie_name" must be specified' in refused
    openstack("pool", "unset", "spinners", "--tag", "a")
    assert noop.api.get(path)["tags"] == ["b"]
    openstack(
        *("pool", "unset", "spinners", "--name", "--description", "--ca-tls-container-ref", "--crl-container-ref"),
        *("--session-persistence", "--tls-container-ref", "--tls-versions", "--tls-ciphers", "--alpn-protocols"),
        "--all-tag",
    )

    emptied = ("tls_container_ref", "ca_tls_container_ref", "crl_container_ref", "session_persistence")
    cleared = {**dict.fromkeys((*emptied, "alpn_protocols")), "name": "", "description": "", "tags": []}
    left = noop.api.get(path)
    assert excerpt(left, cleared) == cleared
    assert left["tls_versions"] == ["TLSv1.2", "TLSv1.3"]
    assert left["tls_ciphers"].startswith("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:")

    openstack("pool", "delete", tree.weavers)
    noop.api.wait_until_gone(path)
    assert noop.api.get(f"/listeners/{tree.front}")["default_pool_id"] is None


@of("member create", "member show", "member list")
def test_members_are_created_with_every_option_shown_and_listed(openstack: OpenStack, noop: Noop) -> None:
    tree = a_tree(noop, flavor_id=a_flavor(noop, allow_member_sriov=True))

    created = openstack.json(
        *("member", "create", "weavers", "--name", "fast-loom", "--address", "192.0.2.7", "--protocol-port", "81"),
        *("--weight", "7", "--enable-backup", "--subnet-id", "back-street", "--monitor-port", "8081"),
        *("--monitor-address", "192.0.2.8", "--disable", "--request-sriov", "--tag", "blue", "--tag", "loom"),
    )
    plain = ("--name", "old-loom", "--address", "192.0.2.9", "--protocol-port", "81", "--disable-backup", "--enable")
    other = openstack.json("member", "create", tree.weavers, *plain, "--no-tag")

    expected = {
        "name": "fast-loom",
        "address": "192.0.2.7",
        "protocol_port": 81,
        "weight": 7,
        "backup": True,
        "monitor_port": 8081,
        "monitor_address": "192.0.2.8",
        "admin_state_up": False,
        "vnic_type": "direct",
    }
    assert excerpt(created, expected) == expected
    assert created["subnet_id"] is not None
    assert excerpt(openstack.json("member", "show", "weavers", "fast-loom"), expected) == expected
    assert openstack.json("member", "show", tree.weavers, other["id"])["name"] == "old-loom"
    assert (other["weight"], other["backup"], other["vnic_type"], other["subnet_id"]) == (1, False, "normal", None)
    assert openstack.names("member", "list", "weavers") == ["fast-loom", "loom", "old-loom"]
    assert [openstack.names("member", "list", "weavers", name, "blue,loom") for name in BY_TAGS] == [
        ["fast-loom"],
        ["fast-loom"],
        ["loom", "old-loom"],
        ["loom", "old-loom"],
    ]


@of("member set", "member unset", "member delete")
def test_a_member_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    path = f"/pools/{tree.weavers}/members/{tree.loom}"
    openstack("member", "set", "weavers", "loom", "--tag", "old", "--disable-backup", "--enable")

    openstack(
        *("member", "set", "weavers", "loom", "--name", "jacquard", "--weight", "9", "--enable-backup", "--disable"),
        *("--monitor-port", "99", "--monitor-address", "192.0.2.8", "--no-tag", "--tag", "a", "--tag", "b"),
    )

    expected = {
        "name": "jacquard",
        "weight": 9,
        "backup": True,
        "admin_state_up": False,
        "monitor_port": 99,
        "monitor_address": "192.0.2.8",
    }
    changed = noop.api.get(path)
    assert excerpt(changed, expected) == expected
    assert sorted(changed["tags"]) == ["a", "b"]
    openstack("member", "unset", "weavers", "jacquard", "--tag", "a")
    assert noop.api.get(path)["tags"] == ["b"]
    settings = ("--name", "--weight", "--backup", "--monitor-port", "--monitor-address")
    openstack("member", "unset", "weavers", "jacquard", *settings, "--all-tag")
    cleared = {"name": "", "weight": 1, "backup": False, "monitor_port": None, "monitor_address": None, "tags": []}
    assert excerpt(noop.api.get(path), cleared) == cleared
    openstack("member", "delete", "weavers", tree.loom)
    noop.api.wait_until_gone(path)


@of("healthmonitor create", "healthmonitor show", "healthmonitor list")
def test_health_monitors_are_created_with_every_option_shown_and_listed(
    openstack: OpenStack, tree: Tree, noop: Noop
) -> None:
    for name in ("spinners", "dyers"):
        pool = {"name": name, "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
        noop.api.post("/pools", "pool", loadbalancer_id=tree.web, **pool)

    created = openstack.json(
        *("healthmonitor", "create", "spinners", "--name", "pulse", "--type", "http", "--delay", "9"),
        *("--timeout", "8", "--max-retries", "7", "--max-retries-down", "6", "--http-method", "head"),
        *("--url-path", "/pulse?x=1", "--expected-codes", "200,204", "--http-version", "1.1"),
        *("--domain-name", "loom.example.org", "--disable", "--tag", "blue", "--tag", "heart"),
    )
    plain = ("--name", "knock", "--type", "TCP", "--delay", "1", "--timeout", "1", "--max-retries", "1", "--enable")
    other = openstack.json("healthmonitor", "create", "dyers", *plain, "--no-tag")

    expected = {
        "name": "pulse",
        "type": "HTTP",
        "delay": 9,
        "timeout": 8,
        "max_retries": 7,
        "max_retries_down": 6,
        "http_method": "HEAD",
        "url_path": "/pulse?x=1",
        "expected_codes": "200,204",
        "http_version": 1.1,
        "domain_name": "loom.example.org",
        "admin_state_up": False,
    }
    assert excerpt(created, expected) == expected
    assert excerpt(openstack.json("healthmonitor", "show", "pulse"), expected) == expected
    assert openstack.json("healthmonitor", "show", other["id"])["http_method"] is None
    assert openstack.names("healthmonitor", "list") == ["check", "knock", "pulse"]
    assert [openstack.names("healthmonitor", "list", name, "blue,heart") for name in BY_TAGS] == [
        ["pulse"],
        ["pulse"],
        ["check", "knock"],
        ["check", "knock"],
    ]


@of("healthmonitor set", "healthmonitor unset", "healthmonitor delete")
def test_a_health_monitor_is_set_unset_and_deleted(openstack: OpenStack, tree: Tree, noop: Noop) -> None:
    path = f"/healthmonitors/{tree.check}"
    openstack("healthmonitor", "set", "check", "--tag", "old", "--enable")

    openstack(
        *("healthmonitor", "set", "check", "--name", "pulse", "--delay", "9", "--timeout", "8", "--max-retries", "7"),
        *("--max-retries-down", "6", "--http-method", "POST", "--url-path", "/pulse", "--expected-codes", "200-299"),
        *("--http-version", "1.1", "--domain-name", "loom.example.org", "--disable", "--no-tag"),
        *("--tag", "a", "--tag", "b"),
    )

    expected = {
        "name": "pulse",
        "delay": 9,
        "timeout": 8,
        "max_retries": 7,
        "max_retries_down": 6,
        "http_method": "POST",
        "url_path": "/pulse",
        "expected_codes": "200-299",
        "http_version": 1.1,
        "domain_name": "loom.example.org",
        "admin_state_up": False,
    }
    changed = noop.api.get(path)
    assert excerpt(changed, expected) == expected
    assert sorted(changed["tags"]) == ["a", "b"]
    openstack("healthmonitor", "unset", "pulse", "--tag", "a")
    assert noop.api.get(path)["tags"] == ["b"]
    openstack(
        *("healthmonitor", "unset", "pulse", "--name", "--domain-name", "--http-version", "--expected-codes"),
        *("--http-method", "--max-retries-down", "--url-path", "--all-tag"),
    )
    cleared = {
        "name": "",
        "domain_name": None,
        "http_version": None,
        "expected_codes": "200",
        "http_method": "GET",
        "max_retries_down": 3,
        "url_path": "/",
        "tags": [],
    }
    assert excerpt(noop.api.get(path), cleared) == cleared
    openstack("healthmonitor", "delete", tree.check)
    noop.api.wait_until_gone(path)
    assert "healthmonitor_id" not in noop.api.get(f"/pools/{tree.weavers}")
