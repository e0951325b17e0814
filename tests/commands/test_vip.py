"""Which VIP a load balancer gets, and which it is refused: every row of the contract's table."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest

from commands.ports import FixedIp, Port, Resolved, Subnet, VipPlace, VipRequest
from commands.vip import Network, VipResolver, VipRules
from domain.errors import AddressTaken, Invalid, ProviderFailed
from domain.member import VnicType
from domain.vip import AdditionalVip, Vip

NETWORK, OTHER_NETWORK, EMPTY_NETWORK = UUID(int=0xA1), UUID(int=0xA2), UUID(int=0xA3)
SIX, FOUR, WIDE_FOUR, ELSEWHERE, VANISHED = (UUID(int=0xB0 + number) for number in range(5))
PORT, WIDE_PORT, USED_PORT, LIMITED_PORT = (UUID(int=0xC0 + number) for number in range(4))
POLICY, PORTS_POLICY = UUID(int=0xD1), UUID(int=0xD2)
GROUP = UUID(int=0xE1)
UNKNOWN = UUID(int=0xF1)
LOAD_BALANCER = UUID(int=0x11)

SUBNETS = {
    subnet.id: subnet
    for subnet in (
        Subnet(id=SIX, network_id=NETWORK, name="six", cidr="2001:db8::/64"),
        Subnet(id=FOUR, network_id=NETWORK, name="four", cidr="192.0.2.0/25"),
        Subnet(id=WIDE_FOUR, network_id=NETWORK, name="wide", cidr="192.0.2.0/24"),
        Subnet(id=ELSEWHERE, network_id=OTHER_NETWORK, name="elsewhere", cidr="198.51.100.0/24"),
    )
}


def a_port(id: UUID, *addresses: tuple[UUID, str], **said: Any) -> Port:
    fixed_ips = tuple(FixedIp(subnet_id=subnet_id, address=address) for subnet_id, address in addresses)
    return Port(id=id, network_id=NETWORK, fixed_ips=fixed_ips, **said)


PORTS = {
    port.id: port
    for port in (
        a_port(PORT, (FOUR, "192.0.2.9")),
        a_port(WIDE_PORT, (SIX, "2001:db8::9"), (FOUR, "192.0.2.9"), (FOUR, "192.0.2.10")),
        a_port(USED_PORT, (FOUR, "192.0.2.9"), device_id="a-server"),
        a_port(LIMITED_PORT, (FOUR, "192.0.2.9"), qos_policy_id=PORTS_POLICY),
    )
}


@dataclass(frozen=True)
class Facts:
    """A network with a subnet of IPv6 and two of IPv4, one with a subnet, and one without."""

    networks: Mapping[UUID, tuple[UUID, ...]] = field(
        default_factory=lambda: {NETWORK: (SIX, FOUR, WIDE_FOUR), OTHER_NETWORK: (ELSEWHERE,), EMPTY_NETWORK: ()}
    )
    free: Mapping[UUID, int] = field(default_factory=lambda: dict.fromkeys(SUBNETS, 100))
    qos: bool = True
    policies: frozenset[UUID] = frozenset({POLICY, PORTS_POLICY})

    def port(self, id: UUID) -> Port | None:
        return PORTS.get(id)

    def network(self, id: UUID) -> Network | None:
        return Network(id=id, subnet_ids=self.networks[id]) if id in self.networks else None

    def subnet(self, id: UUID) -> Subnet | None:
        return SUBNETS.get(id)

    def free_addresses(self, network: Network) -> Mapping[UUID, int]:
        return self.free

    def has_qos(self) -> bool:
        return self.qos

    def has_qos_policy(self, id: UUID) -> bool:
        return id in self.policies

    def has_security_group(self, id: UUID) -> bool:
        return id == GROUP


class Ports:
    """Takes every place; the address of the network's choice counts the attempts."""

    def vip_at(self, request: VipRequest, place: VipPlace, attempt: int) -> Vip:
        return Vip(
            address=place.address or f"chosen {attempt}",
            port_id=place.port.id if place.port else UUID(int=0x99),
            subnet_id=place.subnet_id,
            network_id=place.network_id,
            is_ours=place.port is None,
            additional=request.additional,
        )


def resolver(facts: Facts | None = None, **rules: Any) -> VipResolver:
    return VipResolver(facts or Facts(), Ports(), VipRules(**rules))


def a_request(**said: Any) -> VipRequest:
    return VipRequest(load_balancer_id=LOAD_BALANCER, project_id="p", **said)


def resolved(by: VipResolver, request: VipRequest, attempt: int = 0) -> Resolved:
    return by.allocate(request, by.locate(request), attempt)


def vip_of(request: VipRequest, facts: Facts | None = None, **rules: Any) -> Vip:
    return resolved(resolver(facts, **rules), request).vip


def refusal_of(request: VipRequest, facts: Facts | None = None, **rules: Any) -> str:
    with pytest.raises(Invalid) as refusal:
        resolved(resolver(facts, **rules), request)
    return str(refusal.value)


# The ways to name a VIP


@pytest.mark.parametrize("name", ["port_id", "network_id", "subnet_id"])
def test_a_way_to_name_a_vip_can_be_disallowed(name: str) -> None:
    said = {"port_id": PORT, "network_id": NETWORK, "subnet_id": FOUR}

    words = refusal_of(a_request(**{name: said[name]}), **{f"allow_vip_{name}": False})

    assert words == f"Validation failure: use of vip_{name} is disallowed by this deployment's configuration."


def test_an_address_alone_is_not_enough() -> None:
    words = refusal_of(a_request(address="192.0.2.7"))

    assert words == "Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id."


def test_only_what_is_allowed_is_proposed() -> None:
    words = refusal_of(a_request(), allow_vip_network_id=False)

    assert words == "Validation failure: VIP must contain one of: vip_port_id, vip_subnet_id."


# A port


def test_a_port_with_one_address_is_enough() -> None:
    vip = vip_of(a_request(port_id=PORT))

    assert (vip.port_id, vip.network_id, vip.subnet_id, vip.address) == (PORT, NETWORK, FOUR, "192.0.2.9")
    assert not vip.is_ours


def test_the_network_of_a_port_replaces_the_one_that_was_given() -> None:
    assert vip_of(a_request(port_id=PORT, network_id=UNKNOWN)).network_id == NETWORK


def test_a_subnet_chooses_the_first_of_a_ports_addresses_in_it_whatever_address_was_given() -> None:
    vip = vip_of(a_request(port_id=WIDE_PORT, subnet_id=FOUR, address="192.0.2.10"))

    assert (vip.subnet_id, vip.address) == (FOUR, "192.0.2.9")


@pytest.mark.parametrize(
    ("address", "subnet_id"), [("192.0.2.10", FOUR), ("2001:DB8:0:0::9", SIX)], ids=["IPv4", "long IPv6"]
)
def test_an_address_chooses_the_subnet_of_a_port_and_stays_as_it_was_written(address: str, subnet_id: UUID) -> None:
    vip = vip_of(a_request(port_id=WIDE_PORT, address=address))

    assert (vip.subnet_id, vip.address) == (subnet_id, address)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"port_id": UNKNOWN}, f"Port {UNKNOWN} not found."),
        ({"port_id": USED_PORT}, f"Validation failure: Port {USED_PORT} is already used by device a-server "),
        ({"port_id": PORT, "subnet_id": UNKNOWN}, f"Subnet {UNKNOWN} not found."),
        (
            {"port_id": PORT, "subnet_id": SIX},
            "Validation failure: No VIP address found on the specified VIP port within the specified subnet.",
        ),
        (
            {"port_id": PORT, "subnet_id": SIX, "address": "192.0.2.9"},
            "Validation failure: No VIP address found on the specified VIP port within the specified subnet.",
        ),
        (
            {"port_id": PORT, "address": "192.0.2.10"},
            "Validation failure: Specified VIP address not found on the specified VIP port.",
        ),
        (
            {"port_id": WIDE_PORT},
            "Validation failure: VIP port's subnet could not be determined. Please specify either a VIP subnet or"
            " address.",
        ),
    ],
    ids=["unknown", "in use", "unknown subnet", "other subnet", "address elsewhere", "other address", "ambiguous"],
)
def test_a_port_is_refused(said: dict[str, Any], words: str) -> None:
    assert refusal_of(a_request(**said)) == words


# A network


def test_a_network_with_a_subnet_of_its_own() -> None:
    vip = vip_of(a_request(network_id=NETWORK, subnet_id=SIX))

    assert (vip.network_id, vip.subnet_id, vip.address) == (NETWORK, SIX, "chosen 0")
    assert vip.is_ours


@pytest.mark.parametrize(
    ("address", "subnet_id"),
    [("192.0.2.7", FOUR), ("192.0.2.200", WIDE_FOUR), ("2001:db8::7", SIX)],
    ids=["first that fits", "second of IPv4", "IPv6"],
)
def test_an_address_chooses_the_subnet_of_a_network(address: str, subnet_id: UUID) -> None:
    vip = vip_of(a_request(network_id=NETWORK, address=address))

    assert (vip.subnet_id, vip.address) == (subnet_id, address)


def test_of_a_networks_subnets_the_first_of_ipv4_is_taken() -> None:
    assert vip_of(a_request(network_id=NETWORK)).subnet_id == FOUR


@pytest.mark.parametrize(
    ("free", "subnet_id"),
    [({SIX: 100, FOUR: 1, WIDE_FOUR: 2}, WIDE_FOUR), ({SIX: 100, FOUR: 1}, SIX), ({SIX: 2, FOUR: 2}, FOUR)],
    ids=["full ones are passed over", "IPv6 where there is nothing else", "two are enough"],
)
def test_subnets_need_two_addresses_for_one_amphora(free: dict[UUID, int], subnet_id: UUID) -> None:
    assert vip_of(a_request(network_id=NETWORK), Facts(free=free)).subnet_id == subnet_id


def test_subnets_need_three_addresses_for_two_amphorae() -> None:
    facts = Facts(free={SIX: 3, FOUR: 2, WIDE_FOUR: 2})

    assert vip_of(a_request(network_id=NETWORK), facts, topology="ACTIVE_STANDBY").subnet_id == SIX
    assert vip_of(a_request(network_id=NETWORK), facts).subnet_id == FOUR


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"network_id": UNKNOWN, "subnet_id": FOUR}, f"Network {UNKNOWN} not found."),
        ({"network_id": NETWORK, "subnet_id": ELSEWHERE}, f"Subnet {ELSEWHERE} not found."),
        (
            {"network_id": NETWORK, "address": "203.0.113.1"},
            "Validation failure: Supplied network does not contain a subnet for VIP address specified.",
        ),
        ({"network_id": EMPTY_NETWORK}, "Validation failure: Supplied network does not contain a subnet."),
    ],
    ids=["unknown", "subnet of another", "address of none", "no subnets"],
)
def test_a_network_is_refused(said: dict[str, Any], words: str) -> None:
    assert refusal_of(a_request(**said)) == words


@pytest.mark.parametrize("topology", ["SINGLE", "ACTIVE_STANDBY"])
def test_a_network_without_room_is_refused(topology: str) -> None:
    free = {"SINGLE": 1, "ACTIVE_STANDBY": 2}[topology]
    facts = Facts(free=dict.fromkeys(SUBNETS, free))

    words = refusal_of(a_request(network_id=NETWORK), facts, topology=topology)

    assert words == "Validation failure: Subnet(s) in the supplied network do not contain enough available IPs."


@pytest.mark.parametrize("address", ["192.0.2.7", None], ids=["with an address", "without"])
def test_a_subnet_that_vanished_meanwhile_is_named_without_a_full_stop(address: str | None) -> None:
    facts = Facts(networks={NETWORK: (VANISHED,)}, free={VANISHED: 9})

    words = refusal_of(a_request(network_id=NETWORK, address=address), facts)

    assert words == f"Validation failure: Subnet {VANISHED} not found"


# A subnet


def test_a_subnet_is_enough() -> None:
    vip = vip_of(a_request(subnet_id=ELSEWHERE))

    assert (vip.network_id, vip.subnet_id) == (OTHER_NETWORK, ELSEWHERE)


def test_whether_a_subnet_has_the_address_is_left_to_the_network() -> None:
    assert vip_of(a_request(subnet_id=FOUR, address="203.0.113.1")).address == "203.0.113.1"


def test_a_subnet_that_is_not_there_is_refused() -> None:
    assert refusal_of(a_request(subnet_id=UNKNOWN)) == f"Subnet {UNKNOWN} not found."


# QoS


@pytest.mark.parametrize(
    ("asked", "inherited"),
    [({"qos_policy_id": POLICY}, None), ({}, PORTS_POLICY)],
    ids=["of the request", "of the port"],
)
def test_a_port_hands_on_its_qos_policy_where_none_was_named(asked: dict[str, UUID], inherited: UUID | None) -> None:
    assert resolved(resolver(), a_request(port_id=LIMITED_PORT, **asked)).qos_policy_id == inherited


@pytest.mark.parametrize("said", [{"subnet_id": FOUR, "qos_policy_id": POLICY}, {"port_id": LIMITED_PORT}])
def test_without_qos_no_policy_is_taken(said: dict[str, UUID]) -> None:
    words = refusal_of(a_request(**said), Facts(qos=False))

    assert words == "Validation failure: VIP QoS policy is not allowed in this deployment."


def test_without_qos_it_cannot_even_be_taken_back() -> None:
    with pytest.raises(Invalid, match=r"^Validation failure: VIP QoS policy is not allowed in this deployment\.$"):
        resolver(Facts(qos=False)).require_qos_policy(None)

    resolver(Facts(policies=frozenset())).require_qos_policy(None)


def test_a_qos_policy_that_is_not_there_is_refused() -> None:
    assert refusal_of(a_request(subnet_id=FOUR, qos_policy_id=UNKNOWN)) == f"qos_policy {UNKNOWN} not found."


# Additional VIPs


def test_additional_vips_are_in_other_subnets_of_the_network() -> None:
    additional = (AdditionalVip(subnet_id=SIX), AdditionalVip(subnet_id=WIDE_FOUR))

    assert vip_of(a_request(subnet_id=FOUR, additional=additional)).additional == additional


@pytest.mark.parametrize(
    ("subnet_ids", "words"),
    [
        ((FOUR,), "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."),
        ((SIX, SIX), "Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet."),
        ((SIX, UNKNOWN), f"Subnet {UNKNOWN} not found"),
        ((SIX, ELSEWHERE), "All VIP subnets must belong to the same network."),
    ],
    ids=["the primary's", "twice the same", "unknown", "of another network"],
)
def test_additional_vips_are_refused(subnet_ids: tuple[UUID, ...], words: str) -> None:
    additional = tuple(AdditionalVip(subnet_id=id) for id in subnet_ids)

    assert refusal_of(a_request(subnet_id=FOUR, additional=additional)) == f"Validation failure: {words}"


# Security groups


def test_security_groups_have_to_exist() -> None:
    words = refusal_of(a_request(subnet_id=FOUR, security_group_ids=(GROUP, UNKNOWN)))

    assert words == f"Security Group {UNKNOWN} not found."


def test_security_groups_do_not_go_with_a_direct_port() -> None:
    request = a_request(subnet_id=FOUR, security_group_ids=(GROUP,))
    direct = VnicType.DIRECT

    assert vip_of(request).subnet_id == FOUR
    assert vip_of(a_request(subnet_id=FOUR, vnic_type=direct)).subnet_id == FOUR
    assert refusal_of(replace(request, vnic_type=direct)) == (
        "Validation failure: VIP Security Groups are not allowed with VNIC direct type"
    )


# Networks for VIPs

NOT_ALLOWED = "Validation failure: Supplied VIP network_id is not allowed by the configuration of this deployment."


@pytest.mark.parametrize(
    ("rules", "of_zone"),
    [
        ({}, (str(NETWORK),)),
        ({"valid_vip_networks": (str(NETWORK).upper(),)}, None),
        ({"valid_vip_networks": (str(NETWORK),)}, ()),
        ({"valid_vip_networks": (str(OTHER_NETWORK),)}, (str(NETWORK).upper(),)),
        ({"denylist_vip_networks": (str(OTHER_NETWORK),)}, None),
    ],
    ids=["of the zone", "valid in capitals", "the zone has none", "the zone's count instead", "another is denied"],
)
def test_a_network_is_allowed(rules: dict[str, tuple[str, ...]], of_zone: tuple[str, ...] | None) -> None:
    assert vip_of(a_request(subnet_id=FOUR, valid_networks=of_zone), **rules).network_id == NETWORK


@pytest.mark.parametrize(
    ("rules", "of_zone"),
    [
        ({"valid_vip_networks": (str(OTHER_NETWORK),)}, None),
        ({"valid_vip_networks": (str(NETWORK),)}, (str(OTHER_NETWORK),)),
        ({"denylist_vip_networks": (str(NETWORK).upper(),)}, None),
        ({"denylist_vip_networks": (str(NETWORK),)}, (str(NETWORK),)),
    ],
    ids=["not valid", "not of the zone", "denied in capitals", "of the zone and denied"],
)
def test_a_network_is_not_allowed(rules: dict[str, tuple[str, ...]], of_zone: tuple[str, ...] | None) -> None:
    assert refusal_of(a_request(subnet_id=FOUR, valid_networks=of_zone), **rules) == NOT_ALLOWED


def test_a_ports_network_has_to_be_allowed_too() -> None:
    assert refusal_of(a_request(port_id=PORT), denylist_vip_networks=(str(NETWORK),)) == NOT_ALLOWED


# The order of the checks

WRONG_THROUGHOUT = (
    ({"address": "192.0.2.7"}, "Validation failure: VIP must contain one of:"),
    ({"port_id": USED_PORT, "subnet_id": UNKNOWN}, "Validation failure: Port"),
    ({"subnet_id": UNKNOWN}, "Subnet"),
    ({"subnet_id": FOUR, "qos_policy_id": UNKNOWN}, "qos_policy"),
    ({"subnet_id": FOUR}, "Validation failure: Duplicate VIP subnet(s)"),
    ({"subnet_id": SIX}, "Security Group"),
    ({"subnet_id": SIX, "security_group_ids": (GROUP,)}, "Validation failure: Supplied VIP network_id"),
    ({"subnet_id": ELSEWHERE, "security_group_ids": (GROUP,), "additional": ()}, "Validation failure: VIP Security"),
)


@pytest.mark.parametrize(("said", "start"), WRONG_THROUGHOUT, ids=[words.split()[-1] for _, words in WRONG_THROUGHOUT])
def test_of_several_mistakes_the_first_in_the_contracts_order_is_named(said: dict[str, Any], start: str) -> None:
    others = {
        "additional": (AdditionalVip(subnet_id=FOUR),),
        "security_group_ids": (UNKNOWN,),
        "vnic_type": VnicType.DIRECT,
    }

    words = refusal_of(a_request(**{**others, **said}), denylist_vip_networks=(str(NETWORK),))

    assert words.startswith(start)


def test_where_a_vip_is_to_be_is_found_before_flavor_and_zone_have_a_say() -> None:
    request = a_request(subnet_id=FOUR, vnic_type=VnicType.DIRECT, security_group_ids=(GROUP,))

    place = resolver(denylist_vip_networks=(str(NETWORK),)).locate(request)

    assert place == VipPlace(network_id=NETWORK, subnet_id=FOUR)


# What the network says


def test_each_attempt_is_the_networks_own_matter() -> None:
    request = a_request(subnet_id=FOUR)

    assert [resolved(resolver(), request, attempt).vip.address for attempt in (0, 1)] == ["chosen 0", "chosen 1"]


@pytest.mark.parametrize("trouble", [AddressTaken("192.0.2.7"), ProviderFailed("amphora", "no ports left")])
def test_trouble_of_the_network_is_passed_on(trouble: Exception) -> None:
    class Troubled:
        def vip_at(self, request: VipRequest, place: VipPlace, attempt: int) -> Vip:
            raise trouble

    with pytest.raises(type(trouble)) as error:
        resolved(VipResolver(Facts(), Troubled(), VipRules()), a_request(subnet_id=FOUR))

    assert error.value is trouble


def test_a_subnet_is_found_by_its_id() -> None:
    assert resolver().find_subnet(FOUR) == SUBNETS[FOUR]
    assert resolver().find_subnet(UNKNOWN) is None
