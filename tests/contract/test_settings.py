"""The settings that influence the API: their sections, names and defaults."""

from dataclasses import fields
from pathlib import Path

import pytest

from infra.options import read
from infra.settings import Settings
from tests.contract.test_matrices import CIPHERS

VERSIONS, PROTOCOLS = ("TLSv1.2", "TLSv1.3"), ("h2", "http/1.1", "http/1.0")
DEFAULTS: dict[tuple[str, str], object] = {
    ("api_settings", "bind_host"): "127.0.0.1",
    ("api_settings", "bind_port"): 9876,
    ("api_settings", "auth_strategy"): "keystone",
    ("api_settings", "allow_pagination"): True,
    ("api_settings", "allow_sorting"): True,
    ("api_settings", "allow_filtering"): True,
    ("api_settings", "allow_field_selection"): True,
    ("api_settings", "pagination_max_limit"): 1000,
    ("api_settings", "api_base_uri"): None,
    ("api_settings", "allow_tls_terminated_listeners"): True,
    ("api_settings", "allow_ping_health_monitors"): True,
    ("api_settings", "allow_prometheus_listeners"): True,
    ("api_settings", "udp_connect_min_interval_health_monitor"): 3,
    ("api_settings", "healthcheck_enabled"): False,
    ("api_settings", "healthcheck_refresh_interval"): 5,
    ("api_settings", "default_listener_ciphers"): CIPHERS,
    ("api_settings", "default_pool_ciphers"): CIPHERS,
    ("api_settings", "tls_cipher_prohibit_list"): "",
    ("api_settings", "default_listener_tls_versions"): VERSIONS,
    ("api_settings", "default_pool_tls_versions"): VERSIONS,
    ("api_settings", "minimum_tls_version"): None,
    ("api_settings", "default_listener_alpn_protocols"): PROTOCOLS,
    ("api_settings", "default_pool_alpn_protocols"): PROTOCOLS,
    ("haproxy_amphora", "timeout_client_data"): 50_000,
    ("haproxy_amphora", "timeout_member_connect"): 5_000,
    ("haproxy_amphora", "timeout_member_data"): 50_000,
    ("haproxy_amphora", "timeout_tcp_inspect"): 0,
    ("controller_worker", "loadbalancer_topology"): "SINGLE",
    ("networking", "allow_vip_network_id"): True,
    ("networking", "allow_vip_subnet_id"): True,
    ("networking", "allow_vip_port_id"): True,
    ("networking", "valid_vip_networks"): None,
    ("networking", "denylist_vip_networks"): (),
    ("networking", "reserved_ips"): ("169.254.169.254",),
    ("networking", "allow_invisible_resource_usage"): False,
    **{
        ("quotas", f"default_{name}_quota"): -1
        for name in ("load_balancer", "listener", "member", "pool", "health_monitor", "l7policy", "l7rule")
    },
    ("oslo_middleware", "max_request_body_size"): 114_688,
}
PLACES = {
    (place.section, place.option): each.name for each in fields(Settings) if (place := each.metadata.get("place"))
}


@pytest.mark.parametrize(("section", "option"), DEFAULTS)
def test_a_setting_has_the_contracts_name_and_default(tmp_path: Path, section: str, option: str) -> None:
    file = tmp_path / "tacitus.conf"
    file.write_text("[DEFAULT]\nstate_directory = /var/lib/tacitus\n[database]\nconnection = postgresql://db/tacitus\n")

    settings = read([file])

    assert getattr(settings, PLACES[section, option]) == DEFAULTS[section, option]
