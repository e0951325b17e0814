"""What providers are listed with, and what they refuse."""

from dataclasses import replace
from typing import Any

import pytest

from commands.providers import DriverFailure, Providers, UnsupportedAction
from domain.errors import Invalid, ProviderFailed, ProviderNotFound, ProviderUnsupported
from domain.health_monitor import HealthMonitorType
from domain.pool import LbAlgorithm
from infra.provider_drivers import NoopProviderDriver, providers_of
from infra.settings import Profile
from tests.given import a_health_monitor, a_listener, a_pool

LOCAL = providers_of(Profile.LOCAL)
NOOP = providers_of(Profile.NOOP)


def test_each_profile_lists_its_providers_in_order() -> None:
    local = [(each.name, each.description) for each in LOCAL.listed()]
    noop = [each.name for each in NOOP.listed()]

    assert local == [
        ("amphora", "The Octavia Amphora driver."),
        ("octavia", "Deprecated alias of the Octavia Amphora driver."),
    ]
    assert noop == ["amphora", "noop_driver", "noop_driver-alt", "octavia"]
    assert (LOCAL.default, NOOP.default) == ("amphora", "noop_driver")


def test_only_the_amphora_providers_keep_amphorae() -> None:
    local = {each.name: LOCAL.keeps_amphorae(each.name) for each in LOCAL.listed()}
    noop = {each.name: NOOP.keeps_amphorae(each.name) for each in NOOP.listed()}

    assert local == {"amphora": True, "octavia": True}
    assert noop == {"amphora": True, "octavia": True, "noop_driver": False, "noop_driver-alt": False}


def test_operator_chooses_providers_and_words() -> None:
    providers = providers_of(Profile.LOCAL, enabled={"octavia": "Ours."}, default="octavia")

    assert [(each.name, each.description) for each in providers.listed()] == [("octavia", "Ours.")]
    assert providers.default == "octavia"


def test_provider_that_is_not_enabled_is_refused() -> None:
    with pytest.raises(Invalid, match=r"^Provider 'loom' is not enabled\.$"):
        LOCAL.require_enabled("loom")


def test_provider_without_a_driver_is_enabled_but_not_found() -> None:
    providers = providers_of(Profile.LOCAL, enabled={"amphora": "x", "loom": "y"})

    assert [each.name for each in providers.listed()] == ["amphora"]
    with pytest.raises(ProviderNotFound, match=r"^Provider 'loom' was not found\.$"):
        providers.require_enabled("loom")


def test_provider_that_was_disabled_still_answers_for_its_load_balancers() -> None:
    providers = providers_of(Profile.LOCAL, enabled={"octavia": "x"})

    with pytest.raises(ProviderUnsupported):
        providers.ask("amphora", "listener_create", a_listener(protocol="UDP"))


REFUSED = {
    "UDP listener": ("listener_create", a_listener(protocol="UDP")),
    "SCTP listener": ("listener_create", a_listener(protocol="SCTP")),
    "TERMINATED_HTTPS listener": (
        "listener_update",
        a_listener(protocol="TERMINATED_HTTPS", default_tls_container_ref="x"),
    ),
    "PROMETHEUS listener with TLS": (
        "listener_create",
        a_listener(protocol="PROMETHEUS", default_tls_container_ref="x"),
    ),
    "UDP pool": ("pool_create", a_pool(protocol="UDP")),
    "SCTP pool": ("pool_create", a_pool(protocol="SCTP")),
    "pool with a certificate": ("pool_update", a_pool(tls_enabled=True, tls_container_ref="a secret")),
    "UDP-CONNECT monitor": ("health_monitor_create", a_health_monitor(a_pool(), type="UDP-CONNECT")),
    "SCTP monitor": ("health_monitor_update", a_health_monitor(a_pool(), type="SCTP")),
    "policy of a TCP listener": ("l7policy_create", a_listener(protocol="TCP")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_amphora_provider_refuses_what_it_cannot_run(case: str) -> None:
    method, value = REFUSED[case]

    for name in ("amphora", "octavia"):
        with pytest.raises(ProviderUnsupported, match=rf"^Provider '{name}' does not support a requested option: "):
            LOCAL.ask(name, method, value)


@pytest.mark.parametrize("case", REFUSED)
def test_noop_providers_refuse_nothing(case: str) -> None:
    method, value = REFUSED[case]

    for provider in NOOP.listed():
        NOOP.ask(provider.name, method, value)


def test_amphora_provider_accepts_what_haproxy_can_do() -> None:
    pool = a_pool(lb_algorithm=LbAlgorithm.SOURCE_IP_PORT)
    monitor = a_health_monitor(pool, type="PING")

    for protocol in ("TCP", "HTTP", "HTTPS", "PROMETHEUS"):
        LOCAL.ask("amphora", "listener_create", a_listener(protocol=protocol))
    LOCAL.ask("amphora", "pool_create", pool)
    LOCAL.ask("amphora", "health_monitor_update", replace(monitor, type=HealthMonitorType.TCP))
    LOCAL.ask("amphora", "l7policy_create", object(), a_listener(protocol="HTTP"))


def test_deletion_of_what_is_refused_now_is_accepted() -> None:
    LOCAL.ask("amphora", "listener_delete", a_listener(protocol="UDP"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "[] is not of type 'object'"),
        ({"x": 1}, "Additional properties are not allowed ('x' was unexpected)"),
        ({"x": 1, "y": 2}, "Additional properties are not allowed ('x', 'y' were unexpected)"),
        ({"loadbalancer_topology": "LOOM"}, "loadbalancer_topology 'LOOM' is not one of ['ACTIVE_STANDBY', 'SINGLE']"),
        ({"loadbalancer_topology": []}, "loadbalancer_topology [] is not one of ['ACTIVE_STANDBY', 'SINGLE']"),
        ({"compute_flavor": 5}, "compute_flavor 5 is not of type 'string'"),
        ({"sriov_vip": "true"}, "sriov_vip 'true' is not of type 'boolean'"),
    ],
)
def test_amphora_provider_refuses_flavors_that_it_does_not_understand(data: object, words: str) -> None:
    with pytest.raises(ProviderUnsupported) as refused:
        LOCAL.require_flavor_data("amphora", data)

    assert str(refused.value) == f"Provider 'amphora' does not support a requested option: {words}"


def test_amphora_provider_refuses_zones_that_it_does_not_understand() -> None:
    LOCAL.require_zone_data("amphora", {"compute_zone": "north", "valid_vip_networks": ["x"]})

    with pytest.raises(ProviderUnsupported, match=r"valid_vip_networks 'x' is not of type 'array'$"):
        LOCAL.require_zone_data("amphora", {"valid_vip_networks": "x"})


def test_flavor_data_is_asked_of_an_enabled_provider_only() -> None:
    with pytest.raises(Invalid, match=r"^Provider 'loom' is not enabled\.$"):
        NOOP.require_flavor_data("loom", {})
    NOOP.require_flavor_data("noop_driver", ["anything"])


def test_words_of_a_driver_become_the_contract_s() -> None:
    class Broken(NoopProviderDriver):
        def ask(self, method: str, values: Any) -> None:
            raise UnsupportedAction if method == "listener_create" else DriverFailure("no answer")

    providers = Providers({"loom": "x"}, "loom", {"loom": Broken(keeps_amphorae=False)})

    with pytest.raises(ProviderUnsupported) as unsupported:
        providers.ask("loom", "listener_create")
    with pytest.raises(ProviderFailed) as failed:
        providers.ask("loom", "pool_create")
    assert str(unsupported.value) == (
        "Provider 'loom' does not support a requested action: This feature is not implemented by the provider."
    )
    assert str(failed.value) == "Provider 'loom' reports error: no answer"
