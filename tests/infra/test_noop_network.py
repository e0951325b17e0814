"""The network of the noop profile: everything is there, unless somebody prepared something else."""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID, uuid4

import pytest

from commands.ports import Resolved, VipRequest
from commands.vip import VipRules
from domain.errors import Invalid, ProviderFailed
from domain.member import VnicType
from domain.vip import AdditionalVip, Vip
from infra.noop_network import DEFAULT_ADDRESS, NoopNetwork
from infra.prepared_network import NETWORK_ID, PreparedNetwork, prepared_network

NETWORK, OTHER_NETWORK = UUID(int=0xA1), UUID(int=0xA2)
SIX, FOUR, ELSEWHERE = UUID(int=0xB1), UUID(int=0xB2), UUID(int=0xB3)
PORT, POLICY, UNKNOWN = UUID(int=0xC1), UUID(int=0xD1), UUID(int=0xF1)

SUBNETS = [
    {"id": str(SIX), "network_id": str(NETWORK), "cidr": "2001:db8::/64", "ip_version": 6},
    {"id": str(FOUR), "network_id": str(NETWORK), "cidr": "192.0.2.0/24", "ip_version": 4},
    {"id": str(ELSEWHERE), "network_id": str(OTHER_NETWORK), "cidr": "198.51.100.0/24"},
]
A_NETWORK = {"id": str(NETWORK), "subnets": [str(SIX), str(FOUR)]}
SEVERAL_SUBNETS = {"networks": [A_NETWORK], "subnets": SUBNETS}


def knowing(**document: Any) -> NoopNetwork:
    """What POST /__control__/network with this body makes of it."""
    prepared = prepared_network(document)
    return NoopNetwork(lambda: prepared)


def a_port(**said: Any) -> dict[str, Any]:
    fixed_ips = [{"subnet_id": str(FOUR), "ip_address": "192.0.2.9"}]
    return {"id": str(PORT), "network_id": str(NETWORK), "fixed_ips": fixed_ips, **said}


def availability(**used: int) -> dict[str, Any]:
    """Of ten addresses in each of these subnets."""
    subnets = {"six": SIX, "four": FOUR}
    listed = [{"subnet_id": str(subnets[name]), "used_ips": number, "total_ips": 10} for name, number in used.items()]
    return {"network_id": str(NETWORK), "subnets": listed}


def a_request(**said: Any) -> VipRequest:
    return VipRequest(load_balancer_id=UUID(int=0x11), project_id="p", provider="noop_driver", **said)


def resolved_by(network: NoopNetwork, request: VipRequest, attempt: int = 0) -> Resolved:
    return network.allocate(request, network.locate(request), attempt)


def vip_of(network: NoopNetwork, **said: Any) -> Vip:
    return resolved_by(network, a_request(**said)).vip


def refusal_of(network: NoopNetwork, **said: Any) -> str:
    with pytest.raises(Invalid) as refusal:
        resolved_by(network, a_request(**said))
    return str(refusal.value)


# Nothing is prepared


def test_the_default_vip_is_everybodys() -> None:
    vips = [vip_of(NoopNetwork(), subnet_id=uuid4()) for _ in range(2)]

    assert {vip.address for vip in vips} == {DEFAULT_ADDRESS} == {"198.0.2.5"}
    assert not any(vip.is_exclusive for vip in vips)


def test_unknown_subnets_share_one_network() -> None:
    found = [NoopNetwork().find_subnet(id) for id in (UNKNOWN, uuid4())]

    assert {subnet.network_id for subnet in found if subnet} == {NETWORK_ID}
    assert vip_of(NoopNetwork(), subnet_id=UNKNOWN).network_id == NETWORK_ID


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"subnet_id": FOUR, "address": "203.0.113.9"}, {"subnet_id": FOUR, "address": "203.0.113.9"}),
        ({"network_id": NETWORK}, {"network_id": NETWORK, "address": DEFAULT_ADDRESS}),
        ({"network_id": NETWORK, "subnet_id": FOUR}, {"network_id": NETWORK, "subnet_id": FOUR}),
        ({"network_id": NETWORK, "address": "203.0.113.9"}, {"network_id": NETWORK, "address": "203.0.113.9"}),
        ({"network_id": NETWORK, "address": "2001:db8::9"}, {"network_id": NETWORK, "address": "2001:db8::9"}),
        ({"port_id": PORT}, {"port_id": PORT, "address": DEFAULT_ADDRESS, "is_ours": False}),
        ({"port_id": PORT, "network_id": NETWORK}, {"port_id": PORT, "network_id": NETWORK}),
        ({"port_id": PORT, "subnet_id": FOUR}, {"port_id": PORT, "subnet_id": FOUR, "address": DEFAULT_ADDRESS}),
        ({"port_id": PORT, "address": "203.0.113.9"}, {"port_id": PORT, "address": "203.0.113.9"}),
        (
            {"port_id": PORT, "subnet_id": FOUR, "address": "2001:db8::9"},
            {"port_id": PORT, "subnet_id": FOUR, "address": "2001:db8::9"},
        ),
    ],
    ids=lambda said: "-".join(said),
)
def test_every_reference_is_accepted_in_every_combination(said: dict[str, Any], expected: dict[str, Any]) -> None:
    vip = vip_of(NoopNetwork(), **said)

    assert {name: getattr(vip, name) for name in expected} == expected


def test_policies_and_security_groups_are_accepted() -> None:
    network = NoopNetwork()

    resolved = resolved_by(network, a_request(subnet_id=FOUR, qos_policy_id=UNKNOWN, security_group_ids=(UNKNOWN,)))
    network.require_qos_policy(UNKNOWN)
    network.require_security_groups((UNKNOWN,))

    assert resolved.qos_policy_id is None


@pytest.mark.parametrize("said", [{"subnet_id": FOUR}, {"network_id": NETWORK}, {"port_id": PORT}])
def test_additional_vips_have_addresses_of_their_own_at_the_same_port(said: dict[str, UUID]) -> None:
    additional = (
        AdditionalVip(subnet_id=uuid4(), port_id=UNKNOWN),
        AdditionalVip(subnet_id=uuid4(), ip_address="203.0.113.9"),
        AdditionalVip(subnet_id=uuid4()),
    )

    vip = vip_of(NoopNetwork(), additional=additional, **said)

    assert [each.subnet_id for each in vip.additional] == [each.subnet_id for each in additional]
    assert vip.additional[1].ip_address == "203.0.113.9"
    assert len(set(vip.addresses)) == 4
    assert {each.port_id for each in vip.additional} == {vip.port_id}


def test_a_retry_gets_the_same_port() -> None:
    request = a_request(subnet_id=FOUR, vnic_type=VnicType.DIRECT)

    vips = [resolved_by(NoopNetwork(), request, attempt).vip for attempt in (0, 0, 1)]

    assert len({vip.port_id for vip in vips}) == 1
    assert vips[0].vnic_type == VnicType.DIRECT


def test_the_rules_of_a_vip_hold_here_too() -> None:
    words = refusal_of(NoopNetwork(), subnet_id=FOUR, additional=(AdditionalVip(subnet_id=FOUR),))

    assert words == "Validation failure: Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."


def test_the_rules_of_the_deployment_are_asked_for_each_time() -> None:
    rules = [VipRules()]
    network = NoopNetwork(rules=lambda: rules[-1])
    allowed = vip_of(network, subnet_id=FOUR)

    rules.append(VipRules(allow_vip_subnet_id=False))

    assert allowed.subnet_id == FOUR
    assert "use of vip_subnet_id is disallowed" in refusal_of(network, subnet_id=FOUR)


# What somebody prepared


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        ("network", {"network_id": UNKNOWN}, f"Network {UNKNOWN} not found."),
        ("subnet", {"subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
        ("port", {"port_id": UNKNOWN}, f"Port {UNKNOWN} not found."),
        ("qos_policy", {"subnet_id": FOUR, "qos_policy_id": UNKNOWN}, f"qos_policy {UNKNOWN} not found."),
        (
            "subnet",
            {"subnet_id": FOUR, "additional": (AdditionalVip(subnet_id=UNKNOWN),)},
            f"Validation failure: Subnet {UNKNOWN} not found",
        ),
    ],
    ids=["network", "subnet", "port", "qos_policy", "additional"],
)
def test_a_kind_can_be_limited_to_what_is_listed(kind: str, said: dict[str, Any], words: str) -> None:
    listed = {"networks": [A_NETWORK], "subnets": SUBNETS, "ports": [a_port(qos_policy_id=str(POLICY))]}
    network = knowing(not_found=[kind], **listed)

    assert refusal_of(network, **said) == words
    assert vip_of(network, port_id=PORT, qos_policy_id=POLICY, network_id=NETWORK).address == "192.0.2.9"
    assert vip_of(network, network_id=NETWORK, subnet_id=FOUR).subnet_id == FOUR


def test_what_is_prepared_follows_the_rules_while_the_rest_is_made_up() -> None:
    network = knowing(**SEVERAL_SUBNETS)

    assert refusal_of(network, network_id=NETWORK, subnet_id=UNKNOWN) == f"Subnet {UNKNOWN} not found."
    assert vip_of(network, network_id=UNKNOWN, subnet_id=uuid4()).network_id == UNKNOWN
    assert vip_of(network, subnet_id=FOUR).network_id == NETWORK
    assert vip_of(network, network_id=NETWORK, address="2001:db8::9").subnet_id == SIX


def test_a_network_may_leave_it_to_its_subnets_to_name_it() -> None:
    network = knowing(networks=[{"id": str(NETWORK)}, {"id": str(OTHER_NETWORK), "subnets": []}], subnets=SUBNETS)

    assert vip_of(network, network_id=NETWORK, address="192.0.2.9").subnet_id == FOUR
    assert refusal_of(network, network_id=OTHER_NETWORK) == (
        "Validation failure: Supplied network does not contain a subnet."
    )


def test_a_subnet_that_a_network_lists_belongs_to_it_without_saying_so() -> None:
    network = knowing(networks=[A_NETWORK], subnets=[{"id": str(FOUR), "ip_version": 4}])

    assert vip_of(network, subnet_id=FOUR).network_id == NETWORK
    assert vip_of(network, subnet_id=SIX).network_id == NETWORK


def test_subnets_of_several_networks_do_not_go_together() -> None:
    words = refusal_of(knowing(**SEVERAL_SUBNETS), subnet_id=FOUR, additional=(AdditionalVip(subnet_id=ELSEWHERE),))

    assert words == "Validation failure: All VIP subnets must belong to the same network."


def test_a_subnet_that_only_its_network_knows_has_vanished() -> None:
    network = knowing(networks=[A_NETWORK], not_found=["subnet"])

    words = refusal_of(network, network_id=NETWORK, address="192.0.2.9")

    assert words == f"Validation failure: Subnet {SIX} not found"


@pytest.mark.parametrize(
    ("used", "subnet_id"),
    [({"six": 0, "four": 8}, FOUR), ({"six": 8, "four": 9}, SIX), ({"six": 0}, SIX)],
    ids=["IPv4 first", "IPv4 is full", "IPv4 is left out"],
)
def test_room_is_what_the_prepared_availability_says(used: Mapping[str, int], subnet_id: UUID) -> None:
    network = knowing(ip_availability=availability(**used), **SEVERAL_SUBNETS)

    assert vip_of(network, network_id=NETWORK).subnet_id == subnet_id


def test_a_network_without_room_is_refused_and_others_have_plenty() -> None:
    network = knowing(ip_availability=availability(six=9, four=10), **SEVERAL_SUBNETS)

    assert refusal_of(network, network_id=NETWORK) == (
        "Validation failure: Subnet(s) in the supplied network do not contain enough available IPs."
    )
    assert vip_of(network, network_id=OTHER_NETWORK).network_id == OTHER_NETWORK


def test_ipv6_is_told_without_a_cidr() -> None:
    subnets = [{"id": str(SIX), "ip_version": 6}, {"id": str(FOUR), "ip_version": 4}]
    network = knowing(networks=[A_NETWORK], subnets=subnets)

    assert vip_of(network, network_id=NETWORK).subnet_id == FOUR
    assert vip_of(network, network_id=NETWORK, address="2001:db8::9").subnet_id == SIX


def test_a_prepared_port_has_its_own_addresses_and_policy() -> None:
    fixed_ips = [{"subnet_id": str(FOUR), "ip_address": "192.0.2.9"}, {"subnet_id": str(SIX), "ip_address": "2001::9"}]
    one = knowing(ports=[a_port(qos_policy_id=str(POLICY))])
    two = knowing(ports=[a_port(fixed_ips=fixed_ips)])

    resolved = resolved_by(one, a_request(port_id=PORT))

    assert (resolved.vip.address, resolved.vip.network_id, resolved.qos_policy_id) == ("192.0.2.9", NETWORK, POLICY)
    assert "subnet could not be determined" in refusal_of(two, port_id=PORT)
    assert vip_of(two, port_id=PORT, address="2001:0::9").subnet_id == SIX


def test_a_prepared_port_without_a_word_on_its_addresses_has_those_asked_for() -> None:
    network = knowing(ports=[{"id": str(PORT), "qos_policy_id": str(POLICY)}])

    assert resolved_by(network, a_request(port_id=PORT)).qos_policy_id == POLICY
    assert vip_of(network, port_id=PORT, subnet_id=SIX).subnet_id == SIX


def test_a_prepared_port_can_be_in_use() -> None:
    words = refusal_of(knowing(ports=[a_port(device_id="a-server")]), port_id=PORT)

    assert words == f"Validation failure: Port {PORT} is already used by device a-server "


def test_qos_can_be_missing() -> None:
    network = knowing(qos_enabled=False)

    words = refusal_of(network, subnet_id=FOUR, qos_policy_id=UNKNOWN)

    assert words == "Validation failure: VIP QoS policy is not allowed in this deployment."
    assert vip_of(network, subnet_id=FOUR).subnet_id == FOUR
    with pytest.raises(Invalid, match="QoS policy is not allowed"):
        network.require_qos_policy(None)


def test_a_network_without_port_security_is_the_providers_trouble() -> None:
    network = knowing(networks=[{**A_NETWORK, "port_security_enabled": False}])

    with pytest.raises(ProviderFailed) as trouble:
        resolved_by(network, a_request(network_id=NETWORK, subnet_id=FOUR))

    assert str(trouble.value) == (
        "Provider 'noop_driver' reports error: Port security must be enabled on the VIP network."
    )


def test_an_additional_vip_has_an_address_of_its_prepared_subnet() -> None:
    vip = vip_of(knowing(**SEVERAL_SUBNETS), subnet_id=FOUR, additional=(AdditionalVip(subnet_id=SIX),))

    assert ip_address(vip.addresses[1]) in ip_network("2001:db8::/64")


def test_members_find_only_prepared_subnets_where_others_are_missing() -> None:
    network = knowing(subnets=SUBNETS, not_found=["subnet"])

    assert network.find_subnet(UNKNOWN) is None
    found = network.find_subnet(FOUR)
    assert found is not None
    assert (found.network_id, found.cidr) == (NETWORK, "192.0.2.0/24")


# The document


@pytest.mark.parametrize(
    "document",
    [
        {"routers": []},
        {"networks": [{"id": str(NETWORK), "shared": True}]},
        {"networks": [{}]},
        {"subnets": [{"id": str(FOUR), "name": "four"}]},
        {"subnets": [{"id": "four"}]},
        {"subnets": [{"id": str(FOUR), "cidr": "192.0.2.0"}, {"id": str(SIX), "cidr": "none"}]},
        {"subnets": [{"id": str(FOUR), "cidr": "192.0.2.0/24", "ip_version": 6}]},
        {"ports": [{"id": str(PORT), "fixed_ips": [{"subnet_id": str(FOUR), "ip_address": "nonsense"}]}]},
        {"ip_availability": {"network_id": str(NETWORK), "subnets": [{"subnet_id": str(FOUR)}]}},
        {"not_found": ["router"]},
        {"qos_enabled": "yes"},
        [],
        None,
    ],
    ids=lambda document: str(document)[:40],
)
def test_a_document_that_cannot_be_meant_is_refused(document: object) -> None:
    with pytest.raises(Invalid):
        prepared_network(document)


def test_an_empty_document_prepares_nothing() -> None:
    assert prepared_network({}) == PreparedNetwork()


# In Neutron's place


def test_lists_have_what_is_prepared() -> None:
    network = knowing(ports=[a_port(qos_policy_id=str(POLICY))], **SEVERAL_SUBNETS)

    assert [(each["id"], each["subnets"]) for each in network.networks()] == [(str(NETWORK), [str(SIX), str(FOUR)])]
    assert [(each["id"], each["ip_version"]) for each in network.subnets()] == [
        (str(SIX), 6),
        (str(FOUR), 4),
        (str(ELSEWHERE), 4),
    ]
    (port,) = network.ports()
    assert port["fixed_ips"] == [{"subnet_id": str(FOUR), "ip_address": "192.0.2.9"}]
    assert [each["id"] for each in network.qos_policies()] == [str(POLICY)]
    assert network.security_groups() == []


KINDS = ["network", "subnet", "port", "policy", "security_group"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_stands_for_one_object(kind: str) -> None:
    first, again, other = (NoopNetwork().made_up(kind, name) for name in ("blue", "blue", "green"))

    assert first is not None
    assert other is not None
    assert first == again
    assert first["name"] == "blue"
    assert first["id"] != other["id"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_id_stands_for_itself(kind: str) -> None:
    shown = NoopNetwork().made_up(kind, str(UNKNOWN))

    assert shown is not None
    assert shown["id"] == str(UNKNOWN)


@pytest.mark.parametrize(("kind", "missing"), [*zip(KINDS[:3], KINDS[:3], strict=True), ("policy", "qos_policy")])
def test_nothing_is_made_up_of_a_kind_that_is_missing(kind: str, missing: str) -> None:
    network = knowing(not_found=[missing])

    assert network.made_up(kind, "blue") is None
    assert network.made_up(kind, str(UNKNOWN)) is None


def test_a_made_up_subnet_is_in_the_network_that_a_load_balancer_finds_there() -> None:
    shown = NoopNetwork().made_up("subnet", "blue")

    assert shown is not None
    vip = vip_of(NoopNetwork(), subnet_id=UUID(str(shown["id"])))
    assert str(vip.network_id) == shown["network_id"]
