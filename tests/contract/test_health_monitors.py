"""Health monitors as the contract words them: which checks fit which pool, and what HTTP has for defaults."""

from typing import Any

import pytest

from domain.fields import DNS_NAME
from tests.contract.conftest import ContractApi

pytestmark = pytest.mark.postgres

VF = "Validation failure: "
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
HTTP_FIELDS = ("http_method", "url_path", "expected_codes")
NOT_FOR_DATAGRAMS = (
    f"{VF}The associated pool protocol is UDP, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported."
)
TOO_OFTEN = f"{VF}The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type."
NO_VERSION = f"{VF}'http_version' must be specified when 'domain_name' is provided."
OLD_VERSION = "http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check"
CODES = r"^(\d{3}(\s*,\s*\d{3})*)$|^(\d{3}-\d{3})$"

Said = dict[str, Any]


def asked(pool: Said, **said: object) -> Said:
    """The body of a creation; the timeout may be longer than the delay."""
    required = {"pool_id": pool["id"], "type": "HTTP", "delay": 3, "timeout": 99, "max_retries": 2}
    return {"healthmonitor": {**required, **said}}


# Which check speaks first


def test_checks_of_a_new_monitor_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool, datagrams = api.pool(load_balancer), api.pool(load_balancer, protocol="UDP")
    for each in (pool, datagrams):
        api.health_monitor(load_balancer, each)
    api.set(allow_ping_health_monitors=False)
    said: Said = {"pool_id": UNKNOWN, "type": "PING", "delay": 2, "url_path": "/", "domain_name": "loom.example"}
    told = []

    def ask(**mended: object) -> None:
        said.update(mended)
        told.append(api("POST", "/healthmonitors", asked(pool, **said)).fault)

    ask()
    ask(pool_id=datagrams["id"])
    ask(type="HTTPS")
    ask(type="UDP-CONNECT")
    ask(delay=3)
    ask(pool_id=pool["id"], delay=2)
    ask(type="TCP")
    ask(type="HTTP")
    ask(http_version="1.0")
    ask(http_version=1.1)

    assert told == [
        (404, f"Pool {UNKNOWN} not found."),
        (400, "The selected type is not allowed in this deployment: PING"),
        (400, NOT_FOR_DATAGRAMS),
        (400, TOO_OFTEN),
        (400, "url_path is not a valid option for health monitors of type UDP-CONNECT"),
        (400, f"{VF}The UDP-CONNECT type is only supported for pools of type UDP/SCTP."),
        (400, "url_path is not a valid option for health monitors of type TCP"),
        (400, NO_VERSION),
        (400, OLD_VERSION),
        (409, "This pool already has a health monitor"),
    ]


# Which type fits which pool

TYPES = ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP")


@pytest.mark.parametrize("protocol", ["HTTP", "HTTPS", "TCP", "PROXY", "PROXYV2", "UDP", "SCTP"])
def test_type_has_to_fit_the_pool(api: ContractApi, protocol: str) -> None:
    load_balancer = api.load_balancer()
    fits = (
        {"HTTP", "TCP", "UDP-CONNECT", "SCTP"} if protocol in ("UDP", "SCTP") else set(TYPES) - {"UDP-CONNECT", "SCTP"}
    )

    found = {
        type: api("POST", "/healthmonitors", asked(api.pool(load_balancer, protocol=protocol), type=type))
        for type in TYPES
    }

    assert {type for type, answer in found.items() if answer.status == 201} == fits
    for type in set(TYPES) - fits:
        status, text = found[type].fault
        named = protocol if protocol in ("UDP", "SCTP") else type
        assert (status, named in text) == (400, True)


def test_operators_may_let_datagrams_be_checked_as_often_as_they_like(api: ContractApi) -> None:
    pool = api.pool(api.load_balancer(), protocol="UDP")
    api.set(udp_connect_min_interval_health_monitor=-1)

    assert api("POST", "/healthmonitors", asked(pool, type="UDP-CONNECT", delay=0)).status == 201


def test_change_keeps_the_distance_of_checks(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    monitor = api.health_monitor(load_balancer, api.pool(load_balancer, protocol="UDP"), type="UDP-CONNECT")

    fault = api("PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {"delay": 2}}).fault

    assert fault == (400, TOO_OFTEN)


def test_ping_that_is_there_goes_on_where_it_is_no_longer_to_be_had(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    monitor = api.health_monitor(load_balancer, api.pool(load_balancer), type="PING")
    api.set(allow_ping_health_monitors=False)

    assert api("PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {"delay": 9}}).status == 200


# HTTP


@pytest.mark.parametrize("type", ["HTTP", "HTTPS"])
@pytest.mark.parametrize("said", [{}, dict.fromkeys(HTTP_FIELDS)], ids=["nothing", "null"])
def test_http_has_defaults(api: ContractApi, type: str, said: Said) -> None:
    load_balancer = api.load_balancer()

    monitor = api.health_monitor(load_balancer, api.pool(load_balancer), type=type, **said)

    assert [monitor[name] for name in HTTP_FIELDS] == ["GET", "/", "200"]


@pytest.mark.parametrize("type", ["TCP", "PING", "TLS-HELLO"])
@pytest.mark.parametrize(("name", "value"), list(zip(HTTP_FIELDS, ("HEAD", "/x", "204"), strict=True)))
def test_others_have_no_place_for_it(api: ContractApi, type: str, name: str, value: str) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    monitor = api.health_monitor(load_balancer, api.pool(load_balancer), type=type)
    path = f"/healthmonitors/{monitor['id']}"

    faults = [
        api("POST", "/healthmonitors", asked(pool, type=type, **{name: value})).fault,
        api("PUT", path, {"healthmonitor": {name: value}}).fault,
        api("PUT", path, {"healthmonitor": {name: None}}).fault,
    ]

    assert [monitor[name] for name in HTTP_FIELDS] == [None, None, None]
    assert faults == [(400, f"{name} is not a valid option for health monitors of type {type}")] * 3


@pytest.mark.parametrize(("said", "shown"), [("1.0", 1.0), (1, 1.0), ("1.1", 1.1), (1.1, 1.1), (None, None)])
def test_http_version_is_a_number(api: ContractApi, said: object, shown: object) -> None:
    load_balancer = api.load_balancer()

    assert api.health_monitor(load_balancer, api.pool(load_balancer), http_version=said)["http_version"] == shown


def test_domain_name_is_held_against_the_version_that_is_there(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    path = f"/healthmonitors/{api.health_monitor(load_balancer, api.pool(load_balancer))['id']}"

    def change(**said: object) -> Any:
        answer = api("PUT", path, {"healthmonitor": said})
        return 200 if answer.status == 200 else answer.fault

    assert change(domain_name="loom.example") == (400, NO_VERSION)
    assert change(http_version=1.1) == change(domain_name="loom.example") == 200
    assert change(http_version=1.0) == (400, OLD_VERSION)
    assert change(http_version=None) == (400, NO_VERSION)
    assert change(http_version=None, domain_name=None) == 200


@pytest.mark.parametrize("name", ["a", "loom.example.", "_sip._tcp.example", "x" * 63 + ".y", "1-2.3"])
def test_domain_name_is_accepted(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    monitor = api.health_monitor(load_balancer, api.pool(load_balancer), http_version=1.1, domain_name=name)

    assert monitor["domain_name"] == name


DNS = f"Value should match the pattern {DNS_NAME}"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        *(("domain_name", value, DNS) for value in ("-a", "a-.b", "a_b", "x" * 64, "a..b", "a b")),
        ("domain_name", "", "Value should have a minimum character requirement of 1"),
        ("max_retries", 0, "Value should be greater or equal to 1"),
        ("max_retries", 11, "Value should be lower or equal to 10"),
        ("max_retries_down", 11, "Value should be lower or equal to 10"),
        ("delay", -1, "Value should be greater or equal to 0"),
        ("timeout", -1, "Value should be greater or equal to 0"),
        ("http_method", "get", "Value should be one of: GET, HEAD, POST, PUT, DELETE, TRACE, OPTIONS, CONNECT, PATCH"),
        *(("url_path", value, "Value must be a valid URL Path string") for value in ("x", "/a b", "http://a/b", "//a")),
        *(
            ("expected_codes", value, f"Value should match the pattern {CODES}")
            for value in ("20", "200-", "200,201-202")
        ),
        ("http_version", 2, "Value should be one of: 1.0, 1.1"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_value_is_refused(api: ContractApi, name: str, value: object, reason: str) -> None:
    pool = api.pool(api.load_balancer())

    fault = api("POST", "/healthmonitors", asked(pool, **{name: value})).fault

    assert fault == (400, f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}")


@pytest.mark.parametrize("codes", ["200", "200,204", "200 , 201,202", "200-204"])
def test_expected_codes_are_kept_as_they_were_written(api: ContractApi, codes: str) -> None:
    load_balancer = api.load_balancer()

    monitor = api.health_monitor(
        load_balancer, api.pool(load_balancer), type="HTTP", expected_codes=codes, url_path="/a?b=c#d"
    )

    assert (monitor["expected_codes"], monitor["url_path"]) == (codes, "/a?b=c#d")


# Null and fixed fields


@pytest.mark.parametrize("name", ["type", "delay", "timeout", "max_retries"])
def test_mandatory_field_is_neither_null_nor_missing(api: ContractApi, name: str) -> None:
    body = asked(api.pool(api.load_balancer()), **{name: None})

    null = api("POST", "/healthmonitors", body).fault
    del body["healthmonitor"][name]
    missing = api("POST", "/healthmonitors", body).fault

    assert null == (400, f"None is not a valid option for {name}")
    assert missing == (400, f"Invalid input for field/attribute {name}. Value: 'None'. Mandatory field missing.")


def test_null_on_a_change(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    given = {
        **{"name": "n", "max_retries_down": 7, "http_method": "HEAD", "url_path": "/x", "expected_codes": "204"},
        **{"http_version": 1.1, "domain_name": "loom.example", "admin_state_up": True, "tags": ["blue"]},
    }
    path = f"/healthmonitors/{api.health_monitor(load_balancer, api.pool(load_balancer), type='HTTP', **given)['id']}"

    changed = api("PUT", path, {"healthmonitor": dict.fromkeys(given)}).object

    assert {name: changed[name] for name in given} == {
        **{"name": "", "max_retries_down": 3, "http_method": "GET", "url_path": "/", "expected_codes": "200"},
        **{"http_version": None, "domain_name": None, "admin_state_up": False, "tags": ["blue"]},
    }
    for name in ("delay", "timeout", "max_retries"):
        fault = api("PUT", path, {"healthmonitor": {name: None}}).fault
        assert fault == (400, f"None is not a valid option for {name}")


@pytest.mark.parametrize("name", ["type", "pool_id", "project_id", "description"])
def test_what_is_fixed_is_unknown_to_a_change(api: ContractApi, name: str) -> None:
    load_balancer = api.load_balancer()
    monitor = api.health_monitor(load_balancer, api.pool(load_balancer))

    fault = api("PUT", f"/healthmonitors/{monitor['id']}", {"healthmonitor": {name: "x"}}).fault

    assert fault == (400, f"Unknown attribute for argument health_monitor_.healthmonitor: {name}")


# Its pool


def test_monitor_is_seen_from_its_pool(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    api.member(load_balancer, pool)
    monitor = api.health_monitor(load_balancer, pool, max_retries_down=None)
    path = f"/healthmonitors/{monitor['id']}"
    while_it_is_there = api.show(f"/pools/{pool['id']}")["healthmonitor_id"]

    deleted = api("DELETE", path)
    api.gone(path)
    api.settled(load_balancer["id"])

    assert (monitor["pools"], monitor["max_retries_down"]) == ([{"id": pool["id"]}], 3)
    assert (monitor["operating_status"], while_it_is_there) == ("ONLINE", monitor["id"])
    assert (deleted.status, deleted.text) == (204, "")
    assert "healthmonitor_id" not in api.show(f"/pools/{pool['id']}")
    (member,) = api.show(f"/pools/{pool['id']}/members")  # type: ignore[misc]
    assert member["operating_status"] == "NO_MONITOR"


def test_disabled_monitor_is_offline(api: ContractApi) -> None:
    load_balancer = api.load_balancer()

    monitor = api.health_monitor(load_balancer, api.pool(load_balancer), admin_state_up=False)

    assert (monitor["provisioning_status"], monitor["operating_status"]) == ("ACTIVE", "OFFLINE")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_monitor_is_not_found(api: ContractApi, method: str, id: str) -> None:
    body = {"healthmonitor": {}} if method == "PUT" else None

    assert api(method, f"/healthmonitors/{id}", body).fault == (404, f"Health Monitor {id} not found.")
