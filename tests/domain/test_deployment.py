"""What goes without saying in a deployment, and what is not to be had in it."""

from typing import Any

import pytest

from domain.deployment import Deployment, NotAllowed, Timeouts
from domain.errors import Invalid, NotAnOption
from domain.fields import BY_DEPLOYMENT
from domain.pool import PoolProtocol
from domain.tls import Alpn, TlsDefaults, TlsRules
from tests.given import a_health_monitor, a_listener, a_pool

OWN = TlsDefaults(ciphers="L", versions=("TLSv1.3",), alpn=(Alpn.H2,))
OF_POOLS = TlsDefaults(ciphers="P", versions=("TLSv1.2",), alpn=(Alpn.HTTP_1_1,))
TIMEOUTS = Timeouts(timeout_client_data=1, timeout_member_connect=2, timeout_member_data=3, timeout_tcp_inspect=4)
DEPLOYMENT = Deployment(timeouts=TIMEOUTS, tls=TlsRules(listeners=OWN, pools=OF_POOLS))
TLS = {"protocol": "TERMINATED_HTTPS", "default_tls_container_ref": "ref"}
TLS_FIELDS = ("tls_ciphers", "tls_versions", "alpn_protocols")
UNSAID = dict.fromkeys(TLS_FIELDS, BY_DEPLOYMENT)


# What goes without saying


def test_timeouts_of_new_listeners_are_the_deployments() -> None:
    assert DEPLOYMENT.completed_listener({"protocol": "TCP"}) == {"protocol": "TCP", **vars(TIMEOUTS)}


@pytest.mark.parametrize("name", vars(TIMEOUTS))
def test_timeouts_that_were_said_count(name: str) -> None:
    assert DEPLOYMENT.completed_listener({name: 99})[name] == 99


@pytest.mark.parametrize("name", vars(TIMEOUTS))
def test_null_for_a_timeout_is_the_deployments(name: str) -> None:
    presumed = getattr(TIMEOUTS, name)

    assert DEPLOYMENT.completed_listener({name: BY_DEPLOYMENT})[name] == presumed
    assert DEPLOYMENT.completed_listener_change({name: BY_DEPLOYMENT}) == {name: presumed}


@pytest.mark.parametrize("said", [{}, UNSAID], ids=["absent", "null"])
@pytest.mark.parametrize("protocol", ["TERMINATED_HTTPS", "PROMETHEUS", "HTTPS", "HTTP"])
def test_only_listeners_that_end_tls_get_its_settings_unsaid(protocol: str, said: dict[str, Any]) -> None:
    completed = DEPLOYMENT.completed_listener({"protocol": protocol, **said})

    expected = ["L", ("TLSv1.3",), (Alpn.H2,)] if protocol == "TERMINATED_HTTPS" else [None, None, None]
    assert [completed.get(name) for name in TLS_FIELDS] == expected


@pytest.mark.parametrize("protocol", ["TERMINATED_HTTPS", "HTTP"])
def test_tls_settings_of_a_listener_that_were_said_count(protocol: str) -> None:
    said = {"tls_ciphers": "S", "tls_versions": ("TLSv1",), "alpn_protocols": (Alpn.HTTP_1_0,)}

    completed = DEPLOYMENT.completed_listener({"protocol": protocol, **said})

    assert {name: completed[name] for name in said} == said


def test_tls_settings_that_are_taken_back_are_the_deployments_whatever_the_protocol() -> None:
    assert DEPLOYMENT.completed_listener_change(UNSAID) == {
        "tls_ciphers": "L",
        "tls_versions": ("TLSv1.3",),
        "alpn_protocols": (Alpn.H2,),
    }


def test_a_change_of_something_else_presumes_nothing() -> None:
    assert DEPLOYMENT.completed_listener_change({"name": "new"}) == {"name": "new"}
    assert DEPLOYMENT.completed_pool_change({"name": "new"}) == {"name": "new"}


@pytest.mark.parametrize("said", [{}, {**UNSAID, "alpn_protocols": None}], ids=["absent", "null"])
@pytest.mark.parametrize("enabled", [True, False])
def test_only_pools_with_tls_get_its_settings_unsaid(enabled: bool, said: dict[str, Any]) -> None:
    completed = DEPLOYMENT.completed_pool({"tls_enabled": enabled, **said})

    expected = ["P", ("TLSv1.2",), (Alpn.HTTP_1_1,)] if enabled else [None, None, None]
    assert [completed.get(name) for name in TLS_FIELDS] == expected


def test_tls_settings_of_a_pool_that_are_taken_back_are_the_deployments_but_alpn_has_none() -> None:
    taken_back = {"tls_ciphers": BY_DEPLOYMENT, "tls_versions": BY_DEPLOYMENT, "alpn_protocols": None}

    assert DEPLOYMENT.completed_pool_change(taken_back) == {
        "tls_ciphers": "P",
        "tls_versions": ("TLSv1.2",),
        "alpn_protocols": None,
    }


# What is not to be had


@pytest.mark.parametrize(
    ("deployment", "said", "text"),
    [
        (
            Deployment(tls_terminated_listeners=False),
            TLS,
            "protocol is not allowed in this deployment: TERMINATED_HTTPS",
        ),
        (
            Deployment(tls_terminated_listeners=False),
            {**TLS, "protocol": "PROMETHEUS"},
            "protocol is not allowed in this deployment: PROMETHEUS with TLS",
        ),
        (
            Deployment(prometheus_listeners=False),
            {"protocol": "PROMETHEUS"},
            "protocol is not allowed in this deployment: PROMETHEUS",
        ),
    ],
    ids=["TLS", "metrics with TLS", "metrics"],
)
def test_listener_is_not_to_be_had(deployment: Deployment, said: dict[str, Any], text: str) -> None:
    with pytest.raises(NotAllowed) as refusal:
        deployment.require_listener_allowed(a_listener(**said))

    assert str(refusal.value) == f"The selected {text}"
    Deployment().require_listener_allowed(a_listener(**said))


def test_metrics_without_tls_are_to_be_had_where_tls_is_not() -> None:
    Deployment(tls_terminated_listeners=False).require_listener_allowed(a_listener(protocol="PROMETHEUS"))


STRICT_TLS = Deployment(tls=TlsRules(prohibited=frozenset({"RC4"}), minimum_version="TLSv1.2"))


@pytest.mark.parametrize("said", [{"tls_ciphers": "RC4"}, {"tls_ciphers": "A B"}], ids=["prohibited", "no cipher"])
def test_ciphers_are_checked_wherever_they_stand(said: dict[str, Any]) -> None:
    for require in (
        lambda: STRICT_TLS.require_listener_allowed(a_listener(**said)),
        lambda: STRICT_TLS.require_listener_change_allowed(said),
        lambda: STRICT_TLS.require_pool_allowed(a_pool(**said)),
        lambda: STRICT_TLS.require_pool_change_allowed(said),
    ):
        with pytest.raises(Invalid, match="cipher"):
            require()


@pytest.mark.parametrize("versions", [(), ("TLSv9",), ("TLSv1.1",)], ids=["none", "unknown", "too old"])
def test_versions_are_checked_where_they_count_and_on_every_change(versions: tuple[str, ...]) -> None:
    said = {"tls_versions": versions}

    for require in (
        lambda: STRICT_TLS.require_versions_allowed(a_listener(**TLS, **said)),
        lambda: STRICT_TLS.require_versions_allowed(a_listener(**{**TLS, "protocol": "PROMETHEUS"}, **said)),
        lambda: STRICT_TLS.require_listener_change_allowed(said),
        lambda: STRICT_TLS.require_pool_allowed(a_pool(tls_enabled=True, **said)),
        lambda: STRICT_TLS.require_pool_change_allowed(said),
    ):
        with pytest.raises(Invalid, match="TLS version"):
            require()
    STRICT_TLS.require_versions_allowed(a_listener(**said))
    STRICT_TLS.require_pool_allowed(a_pool(**said))


@pytest.mark.parametrize(
    ("address", "is_reserved"),
    [
        ("169.254.169.254", True),
        ("10.9.1.1", True),
        ("2001:db8::1", True),
        ("2001:0DB8:0000::0001", True),
        ("fe80::a9fe:a9fe", True),
        ("FE80:0:0:0:0:0:A9FE:A9FE", True),
        ("10.10.1.1", False),
        ("fe80::1", False),
    ],
)
def test_members_and_checks_stay_away_from_reserved_addresses(address: str, is_reserved: bool) -> None:
    deployment = Deployment(
        reserved_ips=("169.254.169.254", "fe80::a9fe:a9fe"), reserved_cidrs=("10.9.0.0/16", "2001:db8::/32")
    )

    if not is_reserved:
        deployment.require_address_allowed(address, "member address")
        return
    with pytest.raises(NotAnOption) as refusal:
        deployment.require_address_allowed(address, "member address")
    assert str(refusal.value) == f"{address} is not a valid option for member address"


def test_ping_is_not_to_be_had_where_the_operator_says_so() -> None:
    ping = a_health_monitor(a_pool(), type="PING")

    with pytest.raises(NotAllowed) as refusal:
        Deployment(ping_health_monitors=False).require_health_monitor_allowed(ping, PoolProtocol.HTTP)

    assert str(refusal.value) == "The selected type is not allowed in this deployment: PING"
    Deployment().require_health_monitor_allowed(ping, PoolProtocol.HTTP)


def test_checks_of_datagrams_keep_a_distance() -> None:
    pool = a_pool(protocol="UDP")
    often, seldom = (a_health_monitor(pool, type="UDP-CONNECT", delay=delay) for delay in (2, 3))

    with pytest.raises(Invalid) as refusal:
        Deployment().require_health_monitor_allowed(often, pool.protocol)

    assert str(refusal.value) == (
        "Validation failure: The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."
    )
    Deployment().require_health_monitor_allowed(seldom, pool.protocol)
    Deployment().require_health_monitor_allowed(a_health_monitor(pool, type="SCTP", delay=0), pool.protocol)
