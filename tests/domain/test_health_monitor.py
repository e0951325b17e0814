"""Which checks can be made on the members of a pool, and what they have to be told."""

from typing import Any

import pytest

from domain.errors import Invalid
from domain.health_monitor import HealthMonitorType, HttpMethod, HttpVersion
from domain.pool import PoolProtocol
from tests.given import a_health_monitor, a_pool

VF = "Validation failure: "
OF_CONNECTIONS = {"HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO"}
OF_DATAGRAMS = {"HTTP", "TCP", "UDP-CONNECT", "SCTP"}


@pytest.mark.parametrize("protocol", PoolProtocol)
@pytest.mark.parametrize("type", HealthMonitorType)
def test_monitor_checks_members_in_a_way_that_their_pool_knows(protocol: PoolProtocol, type: HealthMonitorType) -> None:
    pool = a_pool(protocol=protocol)
    monitor = a_health_monitor(pool, type=type)

    if type.value in (OF_DATAGRAMS if protocol.is_connectionless else OF_CONNECTIONS):
        monitor.require_fits(pool)
        return
    with pytest.raises(Invalid) as refusal:
        monitor.require_fits(pool)
    assert str(refusal.value) == (
        f"{VF}The associated pool protocol is {protocol}, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is"
        " supported."
        if protocol.is_connectionless
        else f"{VF}The {type} type is only supported for pools of type UDP/SCTP."
    )


@pytest.mark.parametrize("type", [type for type in HealthMonitorType if not type.speaks_http])
@pytest.mark.parametrize(
    "said",
    [{"http_method": HttpMethod.GET}, {"url_path": "/"}, {"expected_codes": "200"}],
    ids=lambda said: next(iter(said)),
)
def test_only_checks_by_http_ask_for_something(type: HealthMonitorType, said: dict[str, Any]) -> None:
    of_datagrams = type in (HealthMonitorType.UDP_CONNECT, HealthMonitorType.SCTP)
    pool = a_pool(protocol="UDP" if of_datagrams else "TCP")

    with pytest.raises(Invalid) as refusal:
        a_health_monitor(pool, type=type, **said).require_fits(pool)

    assert str(refusal.value) == f"{next(iter(said))} is not a valid option for health monitors of type {type}"


@pytest.mark.parametrize("type", HealthMonitorType)
def test_checks_by_http_ask_for_something_also_when_nothing_was_said(type: HealthMonitorType) -> None:
    monitor = a_health_monitor(a_pool(), type=type).with_http_defaults()

    asked = (monitor.http_method, monitor.url_path, monitor.expected_codes)
    assert asked == ((HttpMethod.GET, "/", "200") if type.speaks_http else (None, None, None))


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (None, f"{VF}'http_version' must be specified when 'domain_name' is provided."),
        (
            HttpVersion.HTTP_1_0,
            "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check",
        ),
    ],
    ids=["unsaid", "1.0"],
)
def test_a_domain_name_needs_http_1_1(version: HttpVersion | None, text: str) -> None:
    pool = a_pool()

    with pytest.raises(Invalid) as refusal:
        a_health_monitor(pool, domain_name="example.org", http_version=version).require_fits(pool)

    assert str(refusal.value) == text
    a_health_monitor(pool, domain_name="example.org", http_version=HttpVersion.HTTP_1_1).require_fits(pool)
