"""Listeners as the contract words them: defaults, null, what goes together, and which check speaks first."""

from typing import Any

import pytest

from domain.tls import DEFAULT_CIPHERS
from tests.contract.conftest import ContractApi

pytestmark = pytest.mark.postgres

VF = "Validation failure: "
UNKNOWN = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
TLS_FIELDS = ("tls_ciphers", "tls_versions", "alpn_protocols")
TLS_DEFAULTS = [DEFAULT_CIPHERS, ["TLSv1.2", "TLSv1.3"], ["h2", "http/1.1", "http/1.0"]]
TLS = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "default_tls_container_ref": "ref"}
MISSING = "An SNI or default certificate container reference must be provided"
AUTHORITY = "A client authentication CA reference is required to specify a client authentication revocation list."
NO_VERSIONS = (
    "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."
)
NO_ALPN = (
    "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default."
)
NO_AGE = (
    "HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as"
    " well."
)
NO_PLACE = "Certificate container references are not allowed on {} protocol listeners."
NO_CHILDREN = "Protocol PROMETHEUS listeners cannot have child objects."
NO_HEADERS = "insert-headers is not a valid option for a UDP protocol listener."
X_SSL = "['X-SSL-Issuer'] is not a valid option for HTTP protocol listener."
NO_HSTS = "The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol."
CIPHERS = "Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed."

Said = dict[str, Any]


def asked(load_balancer: Said, **said: object) -> Said:
    """The body of a creation."""
    return {
        "listener": {"loadbalancer_id": load_balancer["id"], "protocol": "HTTP", "protocol_port": 80, **said},
    }


# Which check speaks first


def test_checks_of_a_new_listener_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    api.listener(load_balancer)
    vips = [load_balancer["vip_address"]]
    said: Said = {
        "protocol": "TERMINATED_HTTPS",
        "default_pool_id": UNKNOWN,
        "insert_headers": {"X-Loom": "true"},
        "client_ca_tls_container_ref": "ca",
        "client_authentication": "OPTIONAL",
        "client_crl_container_ref": "crl",
        "tls_ciphers": "no cipher",
        "tls_versions": [],
        "alpn_protocols": [],
        "allowed_cidrs": ["2001:db8::/32"],
        "hsts_preload": True,
    }
    api.set(allow_tls_terminated_listeners=False)
    told = []

    def ask(**mended: object) -> None:
        said.update(mended)
        told.append(api("POST", "/listeners", asked(load_balancer, **said)).fault)

    ask()
    ask(default_pool_id=None)
    ask(insert_headers={})
    api.set(allow_tls_terminated_listeners=None)
    ask()
    ask(client_ca_tls_container_ref=None)
    ask(sni_container_refs=["ref"])
    ask(client_authentication="NONE")
    ask(client_crl_container_ref=None)
    ask(tls_ciphers=None)
    ask(protocol_port=443)
    ask(allowed_cidrs=[])
    ask(tls_versions=["TLSv1.2"])
    ask(alpn_protocols=["h2"])

    assert told == [
        (404, f"Pool {UNKNOWN} not found."),
        (400, "['X-Loom'] is not a valid option for insert_headers"),
        (400, "The selected protocol is not allowed in this deployment: TERMINATED_HTTPS"),
        (400, f"{VF}{MISSING} with a client CA container reference."),
        (400, f"{VF}{MISSING} for TERMINATED_HTTPS protocol listeners."),
        (400, f"{VF}Client authentication setting OPTIONAL requires a client CA container reference."),
        (400, VF + AUTHORITY),
        (400, VF + CIPHERS),
        (
            409,
            "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80",
        ),
        (400, f"{VF}CIDR 2001:db8::/32 IP version incompatible with all VIPs {vips} IP version."),
        (400, VF + NO_VERSIONS),
        (400, VF + NO_ALPN),
        (400, VF + NO_AGE),
    ]
    assert api("POST", "/listeners", asked(load_balancer, **{**said, "hsts_max_age": 60})).status == 201


def test_checks_of_a_change_come_in_the_contracts_order(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    path = f"/listeners/{api.listener(load_balancer)['id']}"
    said: Said = {
        "sni_container_refs": ["ref"],
        "client_authentication": "MANDATORY",
        "insert_headers": {"X-Loom": "true"},
        "client_crl_container_ref": "crl",
        "allowed_cidrs": ["::/0"],
        "tls_ciphers": "no cipher",
        "tls_versions": ["TLSv9"],
        "alpn_protocols": [],
        "hsts_include_subdomains": True,
        "default_pool_id": UNKNOWN,
    }
    told = []

    for name in list(said):
        told.append(api("PUT", path, {"listener": said}).fault)
        del said[name]

    assert told == [
        (400, VF + NO_PLACE.format("HTTP")),
        (400, f"{VF}Client authentication setting MANDATORY requires a client CA container reference."),
        (400, "['X-Loom'] is not a valid option for insert_headers"),
        (400, VF + AUTHORITY),
        (400, f"{VF}CIDR ::/0 IP version incompatible with all VIPs ['{load_balancer['vip_address']}'] IP version."),
        (400, VF + CIPHERS),
        (400, f"{VF}Invalid TLS versions: TLSv9"),
        (400, VF + NO_ALPN),
        (400, f"{VF}Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well."),
        (404, f"Pool {UNKNOWN} not found."),
    ]


def test_load_balancer_is_looked_up_before_anything_is_checked(api: ContractApi) -> None:
    body = asked({"id": UNKNOWN}, insert_headers={"X-Loom": "true"})

    assert api("POST", "/listeners", body).fault == (404, f"Load Balancer {UNKNOWN} not found.")


# What goes together


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"protocol": "PROMETHEUS", "default_pool_id": UNKNOWN}, NO_CHILDREN),
        ({"protocol": "UDP", "insert_headers": {"X-Real-IP": "true"}}, NO_HEADERS),
        ({"insert_headers": {"X-SSL-Issuer": "true"}}, X_SSL),
        ({"protocol": "SCTP", "default_tls_container_ref": "ref"}, f"{VF}SCTP protocol listener does not support TLS."),
        ({"protocol": "UDP", "client_crl_container_ref": "ref"}, f"{VF}UDP protocol listener does not support TLS."),
        ({"protocol": "TCP", "sni_container_refs": ["ref"]}, VF + NO_PLACE.format("TCP")),
        ({"client_ca_tls_container_ref": "ca"}, f"{VF}{MISSING} with a client CA container reference."),
        ({**TLS, "tls_versions": ["TLSv1.2", "TLSv0", "x"]}, f"{VF}Invalid TLS versions: TLSv0, x"),
        ({"hsts_max_age": 5}, VF + NO_HSTS),
        ({**TLS, "protocol": "PROMETHEUS", "hsts_max_age": 5}, VF + NO_HSTS),
        ({"hsts_include_subdomains": True}, VF + NO_AGE),
    ],
)
def test_new_listener_is_refused(api: ContractApi, said: Said, text: str) -> None:
    load_balancer = api.load_balancer()

    assert api("POST", "/listeners", asked(load_balancer, **said)).fault == (400, text)


@pytest.mark.parametrize(
    "said",
    [
        *({"protocol": protocol} for protocol in ("TCP", "HTTP", "HTTPS", "UDP", "SCTP", "PROMETHEUS")),
        TLS,
        {**TLS, "protocol": "PROMETHEUS"},
        {"tls_versions": [], "alpn_protocols": []},  # without effect where there is no TLS
        {"protocol": "TCP", "timeout_tcp_inspect": 2073600000, "connection_limit": "7", "allowed_cidrs": ["0.0.0.0/0"]},
        {"default_pool": None, "l7policies": []},
        {"project_id": "somebody else's", "tenant_id": "nobody's"},
    ],
    ids=lambda said: " ".join(map(str, said.values()))[:50],
)
def test_new_listener_is_accepted(api: ContractApi, said: Said) -> None:
    load_balancer = api.load_balancer()

    found = api("POST", "/listeners", asked(load_balancer, **said))

    assert found.status == 201, found
    assert found.object["project_id"] == found.object["tenant_id"] == load_balancer["project_id"]


@pytest.mark.parametrize(
    ("option", "said", "value"),
    [
        ("allow_tls_terminated_listeners", TLS, "TERMINATED_HTTPS"),
        ("allow_tls_terminated_listeners", {**TLS, "protocol": "PROMETHEUS"}, "PROMETHEUS with TLS"),
        ("allow_prometheus_listeners", {"protocol": "PROMETHEUS"}, "PROMETHEUS"),
    ],
)
def test_operators_may_do_without_some_protocols(api: ContractApi, option: str, said: Said, value: str) -> None:
    load_balancer = api.load_balancer()
    api.set(**{option: False})

    fault = api("POST", "/listeners", asked(load_balancer, **said)).fault

    assert fault == (400, f"The selected protocol is not allowed in this deployment: {value}")


def test_operators_say_which_tls_is_too_weak(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer, **TLS)
    api.set(minimum_tls_version="TLSv1.2", tls_cipher_prohibit_list="RC4:DES")
    weak = {"tls_versions": ["TLSv1.3", "TLSv1.1", "SSLv3"]}

    faults = [
        api("POST", "/listeners", asked(load_balancer, **{**TLS, "protocol_port": 444}, **weak)).fault,
        api("PUT", f"/listeners/{listener['id']}", {"listener": weak}).fault,
        api("PUT", f"/listeners/{listener['id']}", {"listener": {"tls_ciphers": "DES:AES:RC4"}}).fault,
    ]

    too_old = f"{VF}Requested TLS versions are less than the minimum: TLSv1.1, SSLv3 < TLSv1.2"
    prohibited = f"{VF}The following ciphers have been prohibited by an administrator: DES, RC4"
    assert faults == [(400, too_old), (400, too_old), (400, prohibited)]


def test_networks_are_the_vips_own_affair_where_security_groups_were_named(api: ContractApi) -> None:
    load_balancer = api.load_balancer(vip_sg_ids=[UNKNOWN])

    fault = api("POST", "/listeners", asked(load_balancer, allowed_cidrs=["10.0.0.0/8"])).fault

    assert fault == (400, f"{VF}Allowed CIDRs are not allowed when using custom VIP Security Groups.")


def test_transports_have_ports_of_their_own(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    for protocol in ("HTTP", "UDP", "SCTP"):
        api.listener(load_balancer, protocol=protocol)

    faults = [api("POST", "/listeners", asked(load_balancer, protocol=each)).fault for each in ("TCP", "UDP", "SCTP")]

    text = "Another Listener on this Load Balancer is already using protocol {} and protocol_port 80"
    assert faults == [(409, text.format(protocol)) for protocol in ("HTTP", "UDP", "SCTP")]


POOL_PROTOCOLS = ("HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP", "UDP", "SCTP")


@pytest.mark.parametrize(
    ("protocol", "served"),
    [
        ("HTTP", {"HTTP", "PROXY", "PROXYV2"}),
        ("HTTPS", {"HTTPS", "PROXY", "PROXYV2", "TCP"}),
        ("TERMINATED_HTTPS", {"HTTP", "PROXY", "PROXYV2"}),
        ("TCP", {"HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"}),
        ("UDP", {"UDP"}),
        ("SCTP", {"SCTP"}),
    ],
)
def test_default_pool_has_to_speak_the_listeners_protocol(api: ContractApi, protocol: str, served: set[str]) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer, **(TLS if protocol == TLS["protocol"] else {"protocol": protocol}))
    pools = {each: api.pool(load_balancer, protocol=each)["id"] for each in POOL_PROTOCOLS}

    found = {
        each: api("PUT", f"/listeners/{listener['id']}", {"listener": {"default_pool_id": id}})
        for each, id in pools.items()
    }

    assert {each for each, answer in found.items() if answer.status == 200} == served
    for each in set(POOL_PROTOCOLS) - served:
        text = f"{VF}The pool protocol '{each}' is invalid while the listener protocol is '{protocol}'."
        assert found[each].fault == (400, text)


def test_default_pool_is_one_of_the_same_load_balancer(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    far = api.pool(api.load_balancer())
    listener = api.listener(load_balancer)

    faults = [
        api("POST", "/listeners", asked(load_balancer, protocol_port=81, default_pool_id=far["id"])).fault,
        api("PUT", f"/listeners/{listener['id']}", {"listener": {"default_pool_id": far["id"]}}).fault,
    ]

    assert faults == [(404, f"Pool {far['id']} not found.")] * 2


# Types


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("protocol", "BOGUS", "Value should be one of: TCP, HTTP, HTTPS, TERMINATED_HTTPS, UDP, SCTP, PROMETHEUS"),
        ("protocol_port", 0, "Value should be greater or equal to 1"),
        ("protocol_port", 65536, "Value should be lower or equal to 65535"),
        ("connection_limit", -2, "Value should be greater or equal to -1"),
        ("timeout_member_data", 2073600001, "Value should be lower or equal to 2073600000"),
        ("hsts_max_age", -1, "Value should be greater or equal to 0"),
        ("name", "x" * 256, "Value should have a maximum character requirement of 255"),
        ("description", 4, "Value should be string"),
        ("default_pool_id", "pool", "Value should be UUID format"),
        ("client_authentication", "none", "Value should be one of: NONE, OPTIONAL, MANDATORY"),
        ("insert_headers", {"X-Real-IP": True}, "Value should be string"),
        ("tls_ciphers", "x" * 2049, "Value should have a maximum character requirement of 2048"),
        ("tls_versions", ["x" * 33], "Value should have a maximum character requirement of 32"),
        ("alpn_protocols", ["h3"], "Value should be a valid ALPN protocol ID"),
        ("allowed_cidrs", ["10.0.0.0/33"], "Value should be IPv4 or IPv6 CIDR format"),
        ("sni_container_refs", ["x" * 256], "Value should have a maximum character requirement of 255"),
    ],
    ids=str,
)
def test_value_is_refused(api: ContractApi, name: str, value: object, reason: str) -> None:
    load_balancer = api.load_balancer()

    fault = api("POST", "/listeners", asked(load_balancer, **{name: value})).fault

    assert fault == (400, f"Invalid input for field/attribute {name}. Value: '{value}'. {reason}")


@pytest.mark.parametrize("value", ["TLSv1.2", 4, {}])
def test_what_is_no_list_is_told_with_the_whole_body(api: ContractApi, value: object) -> None:
    body = asked(api.load_balancer(), tls_versions=value)

    fault = api("POST", "/listeners", body).fault

    assert fault == (
        400,
        f"Invalid input for field/attribute listener_. Value: '{body}'. Value not a valid list: {value}",
    )


@pytest.mark.parametrize("name", ["loadbalancer_id", "protocol", "protocol_port"])
def test_mandatory_field_is_missed(api: ContractApi, name: str) -> None:
    body = asked(api.load_balancer())
    del body["listener"][name]

    fault = api("POST", "/listeners", body).fault

    assert fault == (400, f"Invalid input for field/attribute {name}. Value: 'None'. Mandatory field missing.")


@pytest.mark.parametrize("name", ["protocol", "protocol_port", "loadbalancer_id", "project_id", "l7policies", "id"])
def test_what_is_fixed_is_unknown_to_a_change(api: ContractApi, name: str) -> None:
    listener = api.listener(api.load_balancer())

    fault = api("PUT", f"/listeners/{listener['id']}", {"listener": {name: listener.get(name)}}).fault

    assert fault == (400, f"Unknown attribute for argument listener_.listener: {name}")


@pytest.mark.parametrize(("name", "value"), [("default_pool", {"name": "x"}), ("l7policies", [{"action": "REJECT"}])])
def test_objects_within_belong_into_a_graph(api: ContractApi, name: str, value: object) -> None:
    assert api("POST", "/listeners", asked(api.load_balancer(), **{name: value})).fault[0] == 400


def test_change_wants_a_listener(api: ContractApi) -> None:
    path = f"/listeners/{api.listener(api.load_balancer())['id']}"

    assert api("PUT", path, {"listener": None}).fault == (400, f"{VF}No listener object supplied.")


# Defaults and null


def test_null_of_a_new_listener_stands_for_its_default(api: ContractApi) -> None:
    nulls = dict.fromkeys(
        (
            *("name", "description", "default_pool_id", "insert_headers", "timeout_client_data", "timeout_tcp_inspect"),
            *("timeout_member_connect", "timeout_member_data", "allowed_cidrs", "sni_container_refs", "tags"),
            *("client_ca_tls_container_ref", "client_crl_container_ref", "hsts_max_age"),
        )
    )

    found = api("POST", "/listeners", asked(api.load_balancer(), **nulls, **TLS, tls_ciphers=None)).object

    assert {name: found[name] for name in nulls} == {
        **nulls,
        "name": "",
        "description": "",
        "insert_headers": {},
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "sni_container_refs": [],
        "tags": [],
    }
    assert [found[name] for name in TLS_FIELDS] == TLS_DEFAULTS


def test_null_that_is_kept(api: ContractApi) -> None:
    nulls = {"connection_limit": None, "hsts_include_subdomains": None, "hsts_preload": None}
    load_balancer = api.load_balancer()

    listener = api.listener(load_balancer, **nulls, admin_state_up=None)

    assert {name: listener[name] for name in nulls} == nulls
    assert listener["admin_state_up"] is False


def test_null_on_a_change(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    given = {
        "name": "weaver",
        "description": "of cloth",
        "connection_limit": 7,
        "default_pool_id": pool["id"],
        "insert_headers": {"X-Real-IP": "true"},
        "allowed_cidrs": ["10.0.0.0/8"],
        "timeout_client_data": 1,
        "timeout_member_connect": 2,
        "timeout_member_data": 3,
        "timeout_tcp_inspect": 4,
        "sni_container_refs": ["sni"],
        "client_ca_tls_container_ref": "ca",
        "client_crl_container_ref": "crl",
        "client_authentication": "OPTIONAL",
        "tls_ciphers": "AES",
        "tls_versions": ["TLSv1.3"],
        "alpn_protocols": ["h2"],
        "hsts_max_age": 5,
        "hsts_include_subdomains": True,
        "hsts_preload": True,
        "admin_state_up": True,
        "tags": ["blue"],
    }
    listener = api.listener(load_balancer, **TLS, **given)

    changed = api("PUT", f"/listeners/{listener['id']}", {"listener": dict.fromkeys(given)}).object

    assert {name: listener[name] for name in given} == given
    assert {name: changed[name] for name in given} == {
        **dict.fromkeys(given),
        "name": "",
        "description": "",
        "connection_limit": -1,
        "insert_headers": {},
        "timeout_client_data": 50000,
        "timeout_member_connect": 5000,
        "timeout_member_data": 50000,
        "timeout_tcp_inspect": 0,
        "sni_container_refs": [],
        "client_authentication": "NONE",
        **dict(zip(TLS_FIELDS, TLS_DEFAULTS, strict=True)),
        "hsts_include_subdomains": False,
        "hsts_preload": False,
        "admin_state_up": False,
        "tags": ["blue"],
    }


def test_null_for_tls_on_a_change_is_the_default_of_any_protocol(api: ContractApi) -> None:
    listener = api.listener(api.load_balancer())

    changed = api("PUT", f"/listeners/{listener['id']}", {"listener": dict.fromkeys(TLS_FIELDS)}).object

    assert [listener[name] for name in TLS_FIELDS] == [None, None, None]
    assert [changed[name] for name in TLS_FIELDS] == TLS_DEFAULTS


def test_metrics_have_no_tls_of_their_own(api: ContractApi) -> None:
    listener = api.listener(api.load_balancer(), **{**TLS, "protocol": "PROMETHEUS"})

    assert [listener[name] for name in TLS_FIELDS] == [None, None, None]


def test_networks_are_masked_and_merged(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    said = ["10.0.0.1/8", "10.0.0.0/8", "192.0.2.7"]
    listener = api.listener(load_balancer, allowed_cidrs=said)

    emptied = api("PUT", f"/listeners/{listener['id']}", {"listener": {"allowed_cidrs": []}}).object["allowed_cidrs"]
    changed = api("PUT", f"/listeners/{listener['id']}", {"listener": {"allowed_cidrs": said}}).object["allowed_cidrs"]

    assert sorted(listener["allowed_cidrs"]) == sorted(changed) == ["10.0.0.0/8", "192.0.2.7/32"]
    assert emptied is None


def test_order_of_tls_versions_is_kept(api: ContractApi) -> None:
    versions = ["TLSv1.3", "TLSv1", "TLSv1.2"]

    assert api.listener(api.load_balancer(), **TLS, tls_versions=versions)["tls_versions"] == versions


def test_hsts_is_taken_back_with_its_age(api: ContractApi) -> None:
    path = f"/listeners/{api.listener(api.load_balancer(), **TLS, hsts_max_age=5, hsts_preload=True)['id']}"

    taken_back = api("PUT", path, {"listener": {"hsts_max_age": None}})
    renamed = api("PUT", path, {"listener": {"name": "later"}})
    enabled = api("PUT", path, {"listener": {"hsts_preload": True}})

    assert (taken_back.status, taken_back.object["hsts_max_age"], renamed.status) == (200, None, 200)
    assert enabled.fault == (
        400,
        f"{VF}Cannot enable hsts_include_subdomains or hsts_preload if hsts_max_age was not set as well.",
    )


def test_secrets_of_a_terminating_listener_may_be_cleared(api: ContractApi) -> None:
    listener = api.listener(api.load_balancer(), **TLS, sni_container_refs=["sni"])
    nothing = dict.fromkeys(("default_tls_container_ref", "sni_container_refs"))

    cleared = api("PUT", f"/listeners/{listener['id']}", {"listener": nothing})

    assert (cleared.status, cleared.object["sni_container_refs"]) == (200, [])


@pytest.mark.parametrize("protocol", ["UDP", "SCTP"])
@pytest.mark.parametrize(
    "said", [{"insert_headers": {"X-Real-IP": "true"}}, {"default_tls_container_ref": "ref"}], ids=list
)
def test_datagrams_have_no_tls_and_no_headers(api: ContractApi, protocol: str, said: Said) -> None:
    listener = api.listener(api.load_balancer(), protocol=protocol)

    fault = api("PUT", f"/listeners/{listener['id']}", {"listener": said}).fault

    assert fault == (400, f"{VF}{protocol} protocol listener does not support TLS or header insertion.")


@pytest.mark.parametrize("empty", [{"tls_versions": []}, {"alpn_protocols": []}], ids=list)
def test_change_refuses_empty_lists_of_tls_for_any_protocol(api: ContractApi, empty: Said) -> None:
    listener = api.listener(api.load_balancer(), protocol="TCP")

    fault = api("PUT", f"/listeners/{listener['id']}", {"listener": empty}).fault

    assert fault == (400, VF + (NO_VERSIONS if "tls_versions" in empty else NO_ALPN))


# Status, statistics and deletion


def test_change_is_shown_at_once_and_settles(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    api.hold()

    changed = api("PUT", f"/listeners/{listener['id']}", {"listener": {"name": "later"}})

    assert (changed.status, changed.object["name"], changed.object["provisioning_status"]) == (
        200,
        "later",
        "PENDING_UPDATE",
    )
    assert api.show(f"/loadbalancers/{load_balancer['id']}")["provisioning_status"] == "PENDING_UPDATE"
    assert api.show(f"/listeners/{listener['id']}") == changed.object


def test_deletion_spares_the_default_pool(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pool = api.pool(load_balancer)
    listener = api.listener(load_balancer, default_pool_id=pool["id"])
    policy = api.l7_policy(load_balancer, listener)

    deleted = api("DELETE", f"/listeners/{listener['id']}")
    api.gone(f"/listeners/{listener['id']}")

    assert (deleted.status, deleted.text) == (204, "")
    assert api("GET", f"/l7policies/{policy['id']}").fault == (404, f"L7 Policy {policy['id']} not found.")
    assert api.show(f"/pools/{pool['id']}")["listeners"] == []
    assert api.show(f"/loadbalancers/{load_balancer['id']}")["listeners"] == []


def test_statistics_of_a_listener(api: ContractApi) -> None:
    path = f"/listeners/{api.listener(api.load_balancer())['id']}/stats"

    names = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
    assert api("GET", path).json == {"stats": dict.fromkeys(names, 0)}
    assert api("GET", f"{path}?fields=bytes_in").fault == (400, 'Unknown argument: "fields"')
    assert api("GET", f"/listeners/{UNKNOWN}/stats").fault == (404, f"Listener {UNKNOWN} not found.")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("id", [UNKNOWN, "loom"], ids=["unknown", "no id"])
def test_unknown_listener_is_not_found(api: ContractApi, method: str, id: str) -> None:
    body = {"listener": {}} if method == "PUT" else None

    assert api(method, f"/listeners/{id}", body).fault == (404, f"Listener {id} not found.")
