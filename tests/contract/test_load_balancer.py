"""Load balancers: fields, the order of the checks, VIPs, whole trees in one request, changes, deletion, status."""

from typing import Any
from uuid import uuid4

import pytest

from tests.contract.conftest import PROJECT, Answer, ContractApi, Document

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

VF = "Validation failure: "
NOWHERE = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
NETWORK, SUBNET, SIX, PORT, POLICY = (str(uuid4()) for _ in range(5))
KEYS = {
    *("id", "name", "description", "admin_state_up", "project_id", "tenant_id", "vip_address", "vip_port_id"),
    *("vip_subnet_id", "vip_network_id", "vip_qos_policy_id", "vip_sg_ids", "vip_vnic_type", "additional_vips"),
    *("provider", "flavor_id", "availability_zone", "tags", "listeners", "pools"),
    *("provisioning_status", "operating_status", "created_at", "updated_at"),
}


def try_create(api: ContractApi, **said: object) -> Answer:
    settings = {"project_id": PROJECT, "vip_subnet_id": SUBNET, **said}
    return api("POST", "/loadbalancers", {"loadbalancer": settings})


def refused(api: ContractApi, **said: object) -> str:
    """The words of a 400."""
    status, text = try_create(api, **said).fault
    assert status == 400, (status, text)
    return text


# Fields


def test_a_new_load_balancer_has_its_defaults(api: ContractApi) -> None:
    api.hold()

    answer = try_create(api)

    created = answer.object
    assert (answer.status, set(created)) == (201, KEYS)
    expected = {
        "name": "",
        "description": "",
        "admin_state_up": True,
        "vip_qos_policy_id": None,
        "vip_sg_ids": [],
        "vip_vnic_type": "normal",
        "additional_vips": [],
        "flavor_id": None,
        "availability_zone": None,
        "tags": [],
        "listeners": [],
        "pools": [],
        "provider": "noop_driver",
        "vip_subnet_id": SUBNET,
        "provisioning_status": "PENDING_CREATE",
        "operating_status": "OFFLINE",
        "updated_at": None,
    }
    assert {name: created[name] for name in expected} == expected
    assert api.show(f"/loadbalancers/{created['id']}") == created


def test_what_is_said_is_shown(api: ContractApi) -> None:
    said = {
        "name": "n" * 255,
        "description": "d",
        "admin_state_up": False,
        "vip_address": "10.0.0.7",
        "vip_qos_policy_id": POLICY,
        "vip_sg_ids": [str(uuid4())],
        "tags": ["t"],
        "provider": "octavia",
    }

    created = try_create(api, **said).object

    assert {name: created[name] for name in said} == said


@pytest.mark.parametrize(
    "name",
    [
        *("listeners", "pools", "tags", "vip_sg_ids", "vip_qos_policy_id", "vip_port_id", "vip_network_id"),
        *("additional_vips", "vip_address", "name", "description"),
    ],
)
def test_null_is_as_good_as_nothing(api: ContractApi, name: str) -> None:
    created, plain = try_create(api, **{name: None}), try_create(api)

    assert created.status == 201, created
    ours = {"id", "vip_port_id", "created_at"}
    assert {key: value for key, value in created.object.items() if key not in ours} == {
        key: value for key, value in plain.object.items() if key not in ours
    }


def test_null_is_no_flavor_no_zone_and_the_provider_of_amphorae(api: ContractApi) -> None:
    assert refused(api, flavor_id=None) == f"{VF}Invalid flavor_id."
    assert refused(api, availability_zone=None) == f"{VF}Invalid availability zone."
    assert try_create(api, provider=None).object["provider"] == "amphora"


# The order of the checks


def a_flavor(api: ContractApi, provider: str = "noop_driver", data: str = "{}", **said: object) -> str:
    profile = {"name": "p", "provider_name": provider, "flavor_data": data}
    profile_id = api.create("/flavorprofiles", "flavorprofile", **profile)["id"]
    settings = {"name": str(uuid4()), "flavor_profile_id": profile_id, **said}
    id: str = api.create("/flavors", "flavor", **settings)["id"]
    return id


def a_zone(api: ContractApi, data: str = "{}", **said: object) -> str:
    profile = {"name": "p", "provider_name": "noop_driver", "availability_zone_data": data}
    profile_id = api.create("/availabilityzoneprofiles", "availability_zone_profile", **profile)["id"]
    settings = {"name": str(uuid4()), "availability_zone_profile_id": profile_id, **said}
    name: str = api.create("/availabilityzones", "availability_zone", **settings)["name"]
    return name


def test_a_project_has_to_be_known(api: ContractApi) -> None:
    answer = api("POST", "/loadbalancers", {"loadbalancer": {"flavor_id": None}})

    assert answer.fault == (
        400,
        f"{VF}Missing project ID in request where one is required. An administrator should check the keystone settings"
        " in the Octavia configuration.",
    )


def test_of_several_mistakes_the_first_in_the_contracts_order_is_named(api: ContractApi) -> None:
    """One after the other is put right."""
    api.control("network", {"not_found": ["subnet"], "subnets": [{"id": SUBNET, "network_id": NETWORK}]})
    api.set(denylist_vip_networks=[NETWORK])
    api("PUT", f"/quotas/{PROJECT}", {"quota": {"loadbalancer": 0}})
    said: dict[str, Any] = {
        "vip_subnet_id": NOWHERE,
        "flavor_id": NOWHERE,
        "availability_zone": "nowhere",
        "provider": "unknown",
    }
    steps: list[tuple[str, dict[str, Any]]] = [
        (f"Subnet {NOWHERE} not found.", {"vip_subnet_id": SUBNET}),
        (f"{VF}Invalid flavor_id.", {"flavor_id": a_flavor(api)}),
        (f"{VF}Invalid availability zone.", {"availability_zone": a_zone(api)}),
        ("is not compatible with provider 'unknown'", {"flavor_id": a_flavor(api, provider="amphora")}),
        ("is not compatible with provider 'unknown'", {"provider": "amphora"}),
    ]

    for words, right in steps:
        assert refused(api, **said).endswith(words)
        said |= right

    assert refused(api, **said).endswith("is not allowed by the configuration of this deployment.")


def test_what_is_disabled_is_not_to_be_had(api: ContractApi) -> None:
    flavor, zone = a_flavor(api, enabled=False), a_zone(api, enabled=False)

    words = "The selected {} is not allowed in this deployment: {}"
    assert refused(api, flavor_id=flavor, availability_zone="nowhere") == words.format("flavor", flavor)
    assert refused(api, availability_zone=zone, provider="x") == words.format("availability_zone", zone)


def test_a_flavor_chooses_the_provider(api: ContractApi) -> None:
    flavor = a_flavor(api, provider="octavia")

    words = f"Flavor '{flavor}' is not compatible with provider 'amphora'"
    assert try_create(api, flavor_id=flavor).object["provider"] == "octavia"
    assert try_create(api, flavor_id=flavor, provider="octavia").object["flavor_id"] == flavor
    assert refused(api, flavor_id=flavor, provider="amphora") == words
    assert refused(api, provider="unknown") == "Provider 'unknown' is not enabled."


def test_quotas_count_load_balancers(api: ContractApi) -> None:
    api("PUT", f"/quotas/{PROJECT}", {"quota": {"loadbalancer": 1}})
    body = {"loadbalancer": {"vip_subnet_id": SUBNET}}

    answers = [api("POST", "/loadbalancers", body, project=PROJECT, roles="member") for _ in range(2)]

    assert answers[0].status == 201
    assert answers[1].fault == (403, "Quota has been met for resources: Load Balancer")


def test_a_flavor_may_ask_for_a_direct_port(api: ContractApi) -> None:
    flavor = a_flavor(api, data='{"sriov_vip": true}')

    words = f"{VF}VIP Security Groups are not allowed with VNIC direct type"
    assert try_create(api, flavor_id=flavor).object["vip_vnic_type"] == "direct"
    assert refused(api, flavor_id=flavor, vip_sg_ids=[NOWHERE]) == words


def test_a_provider_is_asked_about_flavors_and_zones(api: ContractApi) -> None:
    flavor, zone = a_flavor(api), a_zone(api)

    for method, said in (
        ("validate_flavor", {"flavor_id": flavor}),
        ("validate_availability_zone", {"availability_zone": zone}),
    ):
        api.control("fault", {"error": "UnsupportedOptionError", "method": method, "user_fault_string": "no"})
        words = "Provider 'noop_driver' does not support a requested option: no"
        assert try_create(api, **said).fault == (501, words), method
        assert try_create(api).status == 201


# VIPs


NOT_ALLOWED = f"{VF}Supplied VIP network_id is not allowed by the configuration of this deployment."


def at(api: ContractApi, **said: object) -> Answer:
    return api("POST", "/loadbalancers", {"loadbalancer": {"project_id": PROJECT, **said}})


def not_at(api: ContractApi, **said: object) -> str:
    status, text = at(api, **said).fault
    assert status == 400, (status, text)
    return text


@pytest.mark.parametrize("way", ["vip_port_id", "vip_network_id", "vip_subnet_id"])
def test_a_way_to_name_a_vip_can_be_disallowed(api: ContractApi, way: str) -> None:
    api.set(**{f"allow_{way}": False})
    others = [name for name in ("vip_port_id", "vip_network_id", "vip_subnet_id") if name != way]

    words = f"{VF}use of {way} is disallowed by this deployment's configuration."
    assert not_at(api, **{way: NOWHERE, others[0]: NOWHERE}) == words
    assert not_at(api) == f"{VF}VIP must contain one of: {', '.join(others)}."
    assert at(api, **{others[0]: NOWHERE}).status == 201


def test_an_address_alone_is_no_place(api: ContractApi) -> None:
    words = f"{VF}VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."
    assert not_at(api) == not_at(api, vip_address="10.0.0.7") == words


@pytest.fixture
def network(api: ContractApi) -> ContractApi:
    """A network with a subnet of IPv6 and one of IPv4, a port in it, and nothing else."""
    subnets = [
        {"id": SIX, "network_id": NETWORK, "cidr": "2001:db8::/64", "ip_version": 6},
        {"id": SUBNET, "network_id": NETWORK, "cidr": "10.0.0.0/24", "ip_version": 4},
    ]
    fixed_ips = [{"subnet_id": SIX, "ip_address": "2001:db8::9"}, {"subnet_id": SUBNET, "ip_address": "10.0.0.9"}]
    network = {
        "networks": [{"id": NETWORK, "subnets": [SIX, SUBNET], "port_security_enabled": True}],
        "subnets": subnets,
        "ports": [{"id": PORT, "network_id": NETWORK, "qos_policy_id": POLICY, "fixed_ips": fixed_ips}],
        "not_found": ["network", "subnet", "port"],
    }
    api.control("network", network)
    return api


def test_a_port_has_its_network_and_its_policy(network: ContractApi) -> None:
    created = at(network, vip_port_id=PORT, vip_network_id=NOWHERE, vip_subnet_id=SUBNET, vip_address="10.0.0.7").object

    expected = {
        "vip_port_id": PORT,
        "vip_network_id": NETWORK,
        "vip_subnet_id": SUBNET,
        "vip_address": "10.0.0.9",
        "vip_qos_policy_id": POLICY,
    }
    assert {name: created[name] for name in expected} == expected


@pytest.mark.parametrize("address", ["2001:DB8:0::9", "10.0.0.9"])
def test_an_address_of_a_port_says_in_which_subnet_it_is(network: ContractApi, address: str) -> None:
    created = at(network, vip_port_id=PORT, vip_address=address).object

    assert created["vip_subnet_id"] == (SIX if ":" in address else SUBNET)


def test_a_policy_that_is_named_counts_more_than_the_ports(network: ContractApi) -> None:
    other = str(uuid4())

    assert (
        at(network, vip_port_id=PORT, vip_subnet_id=SIX, vip_qos_policy_id=other).object["vip_qos_policy_id"] == other
    )


def test_a_port_that_does_not_fit_is_refused(network: ContractApi) -> None:
    undetermined = f"{VF}VIP port's subnet could not be determined. Please specify either a VIP subnet or address."
    elsewhere = f"{VF}Specified VIP address not found on the specified VIP port."
    assert not_at(network, vip_port_id=NOWHERE) == f"Port {NOWHERE} not found."
    assert not_at(network, vip_port_id=PORT, vip_subnet_id=NOWHERE) == f"Subnet {NOWHERE} not found."
    assert not_at(network, vip_port_id=PORT, vip_address="10.0.0.8") == elsewhere
    assert not_at(network, vip_port_id=PORT) == undetermined


def test_of_a_network_the_subnet_is_found(network: ContractApi) -> None:
    def subnet(**said: object) -> str:
        found: str = at(network, vip_network_id=NETWORK, **said).object["vip_subnet_id"]
        return found

    assert subnet() == SUBNET
    assert subnet(vip_subnet_id=SIX) == SIX
    assert subnet(vip_address="2001:db8::7") == SIX
    assert subnet(vip_address="10.0.0.7") == SUBNET


def test_a_network_that_does_not_fit_is_refused(network: ContractApi) -> None:
    outside = f"{VF}Supplied network does not contain a subnet for VIP address specified."
    assert not_at(network, vip_network_id=NOWHERE) == f"Network {NOWHERE} not found."
    assert not_at(network, vip_network_id=NETWORK, vip_subnet_id=NOWHERE) == f"Subnet {NOWHERE} not found."
    assert not_at(network, vip_network_id=NETWORK, vip_address="192.0.2.7") == outside


@pytest.mark.parametrize(("topology", "needed"), [("SINGLE", 2), ("ACTIVE_STANDBY", 3)])
def test_a_network_needs_free_addresses(api: ContractApi, topology: str, needed: int) -> None:
    full = f"{VF}Subnet(s) in the supplied network do not contain enough available IPs."
    api.set(loadbalancer_topology=topology)

    def prepare(free: int) -> None:
        uses = [{"subnet_id": SUBNET, "used_ips": 10 - free, "total_ips": 10}]
        network = {"id": NETWORK, "subnets": [SUBNET]}
        subnet = {"id": SUBNET, "network_id": NETWORK, "cidr": "10.0.0.0/24", "ip_version": 4}
        availability = {"network_id": NETWORK, "subnets": uses}
        api.control("network", {"networks": [network], "subnets": [subnet], "ip_availability": availability})

    prepare(needed - 1)
    assert not_at(api, vip_network_id=NETWORK) == full
    prepare(needed)
    assert at(api, vip_network_id=NETWORK).status == 201


def test_a_network_without_subnets_is_refused(api: ContractApi) -> None:
    api.control("network", {"networks": [{"id": NETWORK, "subnets": []}]})

    assert not_at(api, vip_network_id=NETWORK) == f"{VF}Supplied network does not contain a subnet."


def test_a_subnet_has_its_network(network: ContractApi) -> None:
    assert at(network, vip_subnet_id=SUBNET).object["vip_network_id"] == NETWORK
    assert not_at(network, vip_subnet_id=NOWHERE) == f"Subnet {NOWHERE} not found."


def test_policies_have_to_be_there(api: ContractApi) -> None:
    id = try_create(api).object["id"]

    def changed(policy: str | None) -> Answer:
        return api("PUT", f"/loadbalancers/{id}", {"loadbalancer": {"vip_qos_policy_id": policy}})

    api.control("network", {"not_found": ["qos_policy"]})
    missing = refused(api, vip_qos_policy_id=NOWHERE)
    missing_on_change = changed(NOWHERE)
    api.control("network", {"qos_enabled": False})
    words = (400, f"{VF}VIP QoS policy is not allowed in this deployment.")

    assert missing == f"qos_policy {NOWHERE} not found."
    assert missing_on_change.fault == (400, f"qos_policy {NOWHERE} not found.")
    assert try_create(api, vip_qos_policy_id=POLICY).fault == words
    assert changed(POLICY).fault == changed(None).fault == words
    assert try_create(api).status == 201


def test_additional_vips_are_in_other_subnets_of_the_network(network: ContractApi) -> None:
    more = {"subnet_id": SIX, "ip_address": "2001:db8::7", "port_id": NOWHERE}

    created = at(network, vip_subnet_id=SUBNET, additional_vips=[more]).object

    assert created["additional_vips"] == [{**more, "port_id": created["vip_port_id"]}]
    assert set(
        at(network, vip_subnet_id=SUBNET, additional_vips=[{"subnet_id": SIX}]).object["additional_vips"][0]
    ) == {
        "subnet_id",
        "ip_address",
        "port_id",
    }


def test_additional_vips_that_do_not_fit_are_refused(network: ContractApi) -> None:
    def words(*subnets: str) -> str:
        return not_at(network, vip_subnet_id=SUBNET, additional_vips=[{"subnet_id": id} for id in subnets])

    twice = f"{VF}Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."
    assert words(SUBNET) == words(SIX, SIX) == twice
    assert words(SIX, NOWHERE) == f"{VF}Subnet {NOWHERE} not found"


def test_additional_vips_of_another_network_are_refused(api: ContractApi) -> None:
    subnets = [{"id": SUBNET, "network_id": NETWORK}, {"id": SIX, "network_id": NOWHERE}]
    api.control("network", {"subnets": subnets})

    words = f"{VF}All VIP subnets must belong to the same network."
    assert refused(api, additional_vips=[{"subnet_id": SIX}]) == words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "Invalid input for field/attribute subnet_id. Value: 'None'. Mandatory field missing."),
        ({"subnet_id": "x"}, "Invalid input for field/attribute subnet_id. Value: 'x'. Value should be UUID format"),
        (
            {"subnet_id": NOWHERE, "ip_address": "x"},
            "Invalid input for field/attribute ip_address. Value: 'x'. Value should be IPv4 or IPv6 format",
        ),
        (
            {"subnet_id": NOWHERE, "colour": "red"},
            "Unknown attribute for argument load_balancer.loadbalancer.additional_vips: colour",
        ),
    ],
    ids=["no subnet", "no id", "no address", "unknown"],
)
def test_an_additional_vip_has_types(api: ContractApi, entry: Document, words: str) -> None:
    assert refused(api, additional_vips=[entry]) == words


@pytest.mark.parametrize("spelling", [str.lower, str.upper], ids=["small", "capital"])
def test_networks_are_allowed_and_denied_by_operators_and_zones(network: ContractApi, spelling: Any) -> None:
    zone = a_zone(network, data=f'{{"valid_vip_networks": ["{spelling(NETWORK)}"]}}')
    other_zone = a_zone(network, data=f'{{"valid_vip_networks": ["{NOWHERE}"]}}')

    network.set(valid_vip_networks=[NOWHERE])
    assert not_at(network, vip_subnet_id=SUBNET) == NOT_ALLOWED
    assert at(network, vip_subnet_id=SUBNET, availability_zone=zone).status == 201
    network.set(valid_vip_networks=[spelling(NETWORK)])
    assert at(network, vip_subnet_id=SUBNET).status == 201
    assert not_at(network, vip_subnet_id=SUBNET, availability_zone=other_zone) == NOT_ALLOWED
    network.set(denylist_vip_networks=[spelling(NETWORK)])
    assert not_at(network, vip_subnet_id=SUBNET, availability_zone=zone) == NOT_ALLOWED


def test_ports_need_port_security(api: ContractApi) -> None:
    network = {"id": NETWORK, "subnets": [SUBNET], "port_security_enabled": False}
    api.control("network", {"networks": [network], "subnets": [{"id": SUBNET, "network_id": NETWORK}]})

    words = "Provider 'noop_driver' reports error: Port security must be enabled on the VIP network."
    assert try_create(api).fault == (500, words)


# Whole trees


MONITOR = {"type": "HTTP", "delay": 5, "timeout": 1, "max_retries": 1}
MEMBER = {"address": "10.0.0.9", "protocol_port": 80}
WEB = {"name": "web", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [MEMBER], "healthmonitor": MONITOR}
OTHER = {"name": "other", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
RULE = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}


def a_listener(**said: object) -> Document:
    return {"protocol": "HTTP", "protocol_port": 80, **said}


def test_a_whole_tree_is_created_and_shown(api: ContractApi) -> None:
    api.hold()
    redirecting = {"action": "REDIRECT_TO_POOL", "redirect_pool": OTHER, "rules": [RULE]}

    created = try_create(api, listeners=[a_listener(default_pool=WEB, l7policies=[redirecting])]).object

    (listener,), pools = created["listeners"], {pool["name"]: pool for pool in created["pools"]}
    (policy,) = listener["l7policies"]
    (rule,), (member,) = policy["rules"], pools["web"]["members"]
    monitor = pools["web"]["healthmonitor"]
    shown = {
        "listener": (listener, f"/listeners/{listener['id']}", {"loadbalancers"}, set()),
        "policy": (policy, f"/l7policies/{policy['id']}", set(), set()),
        "rule": (rule, f"/l7policies/{policy['id']}/rules/{rule['id']}", set(), set()),
        "web": (pools["web"], f"/pools/{pools['web']['id']}", {"loadbalancers", "healthmonitor_id"}, {"healthmonitor"}),
        "other": (pools["other"], f"/pools/{pools['other']['id']}", {"loadbalancers"}, {"healthmonitor"}),
        "member": (member, f"/pools/{pools['web']['id']}/members/{member['id']}", set(), set()),
        "monitor": (monitor, f"/healthmonitors/{monitor['id']}", {"pools"}, set()),
    }
    for name, (nested, path, less, more) in shown.items():
        alone = api.show(path)
        assert set(nested) == (set(alone) - less) | more, name
        below = {"l7policies", "rules", "members", "healthmonitor"}
        assert {key: nested[key] for key in set(nested) - below} == {key: alone[key] for key in set(nested) - below}, (
            name
        )
        operating = "NO_MONITOR" if name == "member" else "OFFLINE"
        assert (nested["provisioning_status"], nested["operating_status"]) == ("PENDING_CREATE", operating), name
    assert listener["default_pool_id"] == pools["web"]["id"]
    assert "default_pool" not in listener
    assert policy["redirect_pool_id"] == pools["other"]["id"]
    assert pools["web"]["listeners"] == [{"id": listener["id"]}]
    assert pools["other"]["healthmonitor"] is None
    assert set(created) == KEYS


def test_pools_are_referred_to_by_name(api: ContractApi) -> None:
    listeners = [
        a_listener(default_pool={"name": "web"}, l7policies=[{"action": "REDIRECT_TO_POOL", "redirect_pool": OTHER}]),
        a_listener(protocol_port=81, default_pool={"name": "other", "admin_state_up": True, "tls_enabled": False}),
    ]

    created = try_create(api, listeners=listeners, pools=[WEB]).object

    by_name = {pool["name"]: pool["id"] for pool in created["pools"]}
    assert set(by_name) == {"web", "other"}
    assert [each["default_pool_id"] for each in created["listeners"]] == [by_name["web"], by_name["other"]]


def test_one_pool_may_have_no_name(api: ContractApi) -> None:
    unnamed = {key: value for key, value in OTHER.items() if key != "name"}

    assert try_create(api, pools=[unnamed, WEB]).status == 201
    assert refused(api, pools=[unnamed, unnamed]).endswith(
        "Pool names must be unique when creating a fully populated loadbalancer."
    )


def test_a_policy_takes_the_place_that_it_asks_for(api: ContractApi) -> None:
    policies = [{"name": name, "action": "REJECT", "position": 1} for name in ("first", "second")]

    created = try_create(api, listeners=[a_listener(l7policies=policies)]).object

    found = {each["name"]: each["position"] for each in created["listeners"][0]["l7policies"]}
    assert found == {"second": 1, "first": 2}


UNNAMED = f"{VF}Pools must be named when creating a fully populated loadbalancer."
NOT_UNIQUE = f"{VF}Pool names must be unique when creating a fully populated loadbalancer."


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({"listeners": [a_listener(default_pool={"protocol": "HTTP"})]}, UNNAMED),
        (
            {"listeners": [a_listener(l7policies=[{"action": "REDIRECT_TO_POOL", "redirect_pool": {}}])]},
            UNNAMED,
        ),
        ({"listeners": [a_listener(default_pool=WEB)], "pools": [WEB]}, NOT_UNIQUE),
        (
            {"listeners": [a_listener(default_pool={"name": "nowhere"})]},
            f"{VF}Pool 'nowhere' was referenced but no full definition was found.",
        ),
        (
            {"pools": [{"name": "p", "lb_algorithm": "ROUND_ROBIN"}]},
            f"{VF}Pool definition for 'p' missing required attribute: protocol",
        ),
        (
            {"pools": [{"name": "p", "protocol": "HTTP"}]},
            f"{VF}Pool definition for 'p' missing required attribute: lb_algorithm",
        ),
        (
            {"pools": [{**OTHER, "members": [{"address": "169.254.169.254", "protocol_port": 80}]}]},
            "169.254.169.254 is not a valid option for member address",
        ),
        (
            {"pools": [{**OTHER, "members": [{**MEMBER, "request_sriov": True}]}]},
            "The load balancer flavor does not allow SR-IOV member ports.",
        ),
        (
            {"listeners": [a_listener(protocol="PROMETHEUS", l7policies=[{"action": "REJECT"}])]},
            "Protocol PROMETHEUS listeners cannot have child objects.",
        ),
        (
            {"listeners": [a_listener(l7policies=[{"action": "REJECT", "redirect_pool_id": NOWHERE}])]},
            "Unknown attribute for argument load_balancer.loadbalancer.listeners.l7policies: redirect_pool_id",
        ),
        (
            {"listeners": [a_listener(loadbalancer_id=NOWHERE)]},
            "Unknown attribute for argument load_balancer.loadbalancer.listeners: loadbalancer_id",
        ),
        (
            {"pools": [{**OTHER, "project_id": "p"}]},
            "Unknown attribute for argument load_balancer.loadbalancer.pools: project_id",
        ),
        (
            {"listeners": [a_listener(default_pool={**OTHER, "id": NOWHERE})]},
            "Unknown attribute for argument load_balancer.loadbalancer.listeners.default_pool: id",
        ),
    ],
)
def test_a_tree_that_does_not_fit_is_refused_as_a_whole(api: ContractApi, graph: Document, words: str) -> None:
    assert refused(api, **graph) == words
    assert api("GET", "/loadbalancers").object == api("GET", "/pools").object == []


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (
            {"pools": [{**OTHER, "members": [MEMBER, MEMBER]}]},
            "Another member on this pool is already using ip 10.0.0.9 on protocol_port 80",
        ),
        (
            {"listeners": [a_listener(), a_listener()]},
            "Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80",
        ),
    ],
    ids=["members", "listeners"],
)
def test_what_clashes_within_a_tree_is_a_conflict(api: ContractApi, graph: Document, words: str) -> None:
    assert try_create(api, **graph).fault == (409, words)


def test_a_policy_of_a_tree_has_fifty_rules_at_most(api: ContractApi) -> None:
    def answer(rules: int) -> Answer:
        return try_create(api, listeners=[a_listener(l7policies=[{"action": "REJECT", "rules": [RULE] * rules}])])

    status, text = answer(51).fault
    assert (status, text.startswith("Too many rules on L7 policy ")) == (409, True)
    assert answer(50).status == 201


def test_what_is_left_out_of_a_tree_has_its_defaults(api: ContractApi) -> None:
    created = try_create(api, listeners=[a_listener(l7policies=None)], pools=[{**OTHER, "tls_enabled": True}]).object

    assert created["listeners"][0]["l7policies"] == []
    assert created["pools"][0]["tls_versions"] == ["TLSv1.2", "TLSv1.3"]


@pytest.mark.parametrize(
    ("limited", "resource"),
    [
        ("pool", "Pool"),
        ("member", "Member"),
        ("healthmonitor", "Health Monitor"),
        ("listener", "Listener"),
        ("l7policy", None),
        ("l7rule", None),
    ],
)
def test_quotas_count_a_tree_but_for_policies_and_rules(api: ContractApi, limited: str, resource: str | None) -> None:
    api("PUT", f"/quotas/{PROJECT}", {"quota": {limited: 0}})
    policies = [{"action": "REJECT", "rules": [RULE]}]
    graph = {"vip_subnet_id": SUBNET, "listeners": [a_listener(default_pool=WEB, l7policies=policies)]}

    answer = api("POST", "/loadbalancers", {"loadbalancer": graph}, project=PROJECT, roles="member")

    if resource is None:
        assert answer.status == 201, answer
    else:
        assert answer.fault == (403, f"Quota has been met for resources: {resource}")
        assert api("GET", "/loadbalancers").object == []


# Changes


def test_a_change_takes_what_it_names(api: ContractApi) -> None:
    group = str(uuid4())
    path = f"/loadbalancers/{api.load_balancer(name='before', vip_qos_policy_id=POLICY)['id']}"

    def changed(**said: object) -> Document:
        answer = api("PUT", path, {"loadbalancer": said})
        assert answer.status == 200, answer
        found: Document = answer.object
        return found

    said = {"name": "after", "description": "d", "admin_state_up": False, "vip_sg_ids": [group], "tags": ["t"]}
    first = changed(**said)

    assert set(first) == KEYS
    assert {name: first[name] for name in said} == said
    assert first["vip_qos_policy_id"] == POLICY
    assert changed(vip_sg_ids=None)["vip_sg_ids"] == []
    assert changed(vip_qos_policy_id=None)["vip_qos_policy_id"] is None


def test_a_change_of_what_is_not_there_is_not_found_whatever_it_says(api: ContractApi) -> None:
    for id in (NOWHERE, "name"):
        answer = api("PUT", f"/loadbalancers/{id}", {"loadbalancer": {"vip_sg_ids": []}}, roles="")
        assert answer.fault == (404, f"Load Balancer {id} not found.")


@pytest.mark.parametrize("body", [None, {}, {"loadbalancer": {}}, {"reason": "why"}, []])
def test_a_failover_passes_over_its_body(api: ContractApi, body: object) -> None:
    id = api.load_balancer()["id"]
    api.hold()

    assert api("PUT", f"/loadbalancers/{id}/failover", body).status == 202
    assert api.show(f"/loadbalancers/{id}")["provisioning_status"] == "PENDING_UPDATE"


def test_a_provider_may_not_know_failovers(api: ContractApi) -> None:
    id = api.load_balancer()["id"]
    api.control("fault", {"error": "NotImplementedError", "method": "loadbalancer_failover"})

    status, text = api("PUT", f"/loadbalancers/{id}/failover").fault

    assert status == 501
    assert text.startswith("Provider 'noop_driver' does not support a requested action: ")


def test_a_cascade_leaves_the_statuses_below_alone(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer)
    api.hold()

    deleted = api("DELETE", f"/loadbalancers/{load_balancer['id']}?cascade=True")

    assert deleted.status == 204
    assert api.show(f"/listeners/{listener['id']}")["provisioning_status"] == "ACTIVE"
    api.control("release", {"loadbalancer_id": load_balancer["id"]})
    assert api("GET", f"/listeners/{listener['id']}").status == 404


# Status and statistics


def test_the_status_has_exactly_its_keys(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listener = api.listener(load_balancer, name="web")
    pool = api.pool(load_balancer, listener_id=listener["id"])
    api.pool(load_balancer, name="of nobody")
    member, monitor = api.member(load_balancer, pool), api.health_monitor(load_balancer, pool)

    found = api("GET", f"/loadbalancers/{load_balancer['id']}/status")

    def shown(path: str, **more: object) -> Document:
        """With what every object has here."""
        alone = api.show(path)
        return {name: alone[name] for name in ("id", "name", "provisioning_status", "operating_status")} | more

    members = [shown(f"/pools/{pool['id']}/members/{member['id']}", address="10.0.0.7", protocol_port=80)]
    of_pool = {"health_monitor": shown(f"/healthmonitors/{monitor['id']}", type="TCP"), "members": members}
    listeners = [shown(f"/listeners/{listener['id']}", pools=[shown(f"/pools/{pool['id']}", **of_pool)])]
    assert found.json == {
        "statuses": {"loadbalancer": shown(f"/loadbalancers/{load_balancer['id']}", listeners=listeners)}
    }
    assert api("GET", f"/loadbalancers/{load_balancer['id']}/statuses").json == found.json


def test_the_pools_of_a_listener_are_those_that_it_may_send_to(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    pools = {name: api.pool(load_balancer, name=name) for name in ("default", "chosen", "ruleless", "disabled")}
    listener = api.listener(load_balancer, default_pool_id=pools["default"]["id"])
    for name, up, rules in (
        ("chosen", True, 1),
        ("default", True, 1),
        ("ruleless", True, 0),
        ("disabled", False, 1),
    ):
        redirecting = {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pools[name]["id"], "admin_state_up": up}
        policy = api.l7_policy(load_balancer, listener, **redirecting)
        for _ in range(rules):
            api.l7_rule(load_balancer, policy)

    (shown,) = api("GET", f"/loadbalancers/{load_balancer['id']}/status").object["loadbalancer"]["listeners"]

    assert sorted(pool["name"] for pool in shown["pools"]) == ["chosen", "default"]
    assert {pool["name"]: pool["health_monitor"] for pool in shown["pools"]} == {"chosen": None, "default": None}


def test_statistics_are_the_sum_over_the_listeners(api: ContractApi) -> None:
    load_balancer = api.load_balancer()
    listeners = [api.listener(load_balancer, protocol_port=port)["id"] for port in (80, 81)]
    path = f"/loadbalancers/{load_balancer['id']}/stats"
    names = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
    before = api("GET", path).json

    for id in listeners:
        api.control("stats", {"listeners": [{"id": id, **{name: 7 for name in names}}]})

    assert before == {"stats": dict.fromkeys(names, 0)}
    assert api("GET", path).json == {"stats": dict.fromkeys(names, 14)}
    assert api("GET", f"/listeners/{listeners[0]}/stats").json == {"stats": dict.fromkeys(names, 7)}


@pytest.mark.parametrize("what", ["status", "statuses", "stats"])
def test_what_is_not_there_has_no_status(api: ContractApi, what: str) -> None:
    assert api("GET", f"/loadbalancers/{NOWHERE}/{what}").fault == (404, f"Load Balancer {NOWHERE} not found.")
