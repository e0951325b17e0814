"""What commands find out before they are decided: providers, flavors, networks, and what the deployment presumes."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from commands.listener import ChangeListener, ListenerHandler
from commands.load_balancer import ChangeLoadBalancer, FailOver, LoadBalancerHandler
from commands.member import AddMember, MemberHandler, ReplaceMembers
from commands.ports import Choice, Origin, Subnet
from domain.amphora import Amphora
from domain.deployment import Deployment, NotAllowed
from domain.errors import (
    AddressTaken,
    Invalid,
    NotAnOption,
    ProviderNotFound,
    ProviderUnsupported,
)
from domain.fields import BY_DEPLOYMENT, ProvisioningStatus
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import VnicType
from tests.commands.cases import NEW, create, entry
from tests.commands.site import Site
from tests.given import a_member, a_pool


@pytest.fixture
def site() -> Site:
    return Site()


# Creation of load balancers


def test_address_that_was_taken_meanwhile_is_chosen_again(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site))

    assert accepted.load_balancer.vip.address == "127.20.0.2"


def test_provider_is_asked_once_however_many_addresses_are_tried(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site))

    assert len(site.vips_asked_for) == 2
    assert site.driver.asked == [("loadbalancer_create", (accepted.load_balancer.settings,))]


def test_where_the_vip_is_to_be_is_looked_up_before_flavor_zone_and_provider(site: Site) -> None:
    nowhere = uuid4()
    site.missing_subnets.add(nowhere)
    said = {"flavor_id": uuid4(), "availability_zone": "nowhere", "provider": "unknown", "subnet_id": nowhere}

    with pytest.raises(Invalid) as refusal:
        LoadBalancerHandler(site.deciding, site, site).create(create(site, **said))

    assert str(refusal.value) == f"Subnet {nowhere} not found."


def test_address_that_was_asked_for_is_not_replaced_by_another(site: Site) -> None:
    with pytest.raises(AddressTaken):
        LoadBalancerHandler(site.deciding, site, site).create(create(site, address="127.20.0.1"))


def test_load_balancer_has_an_amphora_where_its_provider_keeps_some(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site))

    (amphora_id,) = accepted.load_balancer.amphora_ids
    assert site.store.load(Amphora, amphora_id).load_balancer_id == NEW


def test_load_balancer_has_no_amphora_where_its_provider_keeps_none(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site, provider="remote"))

    assert accepted.load_balancer.amphora_ids == ()
    assert accepted.load_balancer.provider == "remote"
    assert {method for method, _ in site.remote.asked} == {"loadbalancer_create"}


def test_failover_without_amphorae_only_asks_the_provider_once_more() -> None:
    site = Site(driver=Site().remote)
    handler = LoadBalancerHandler(site.deciding, site, site)
    created = handler.create(create(site)).load_balancer
    created.configuration_is_applied(NEW, created.revision, "")
    site.store.save(created, origin=Origin())

    accepted = handler.fail_over(FailOver(NEW, Origin()))

    assert accepted.load_balancer.provisioning_status == ProvisioningStatus.PENDING_UPDATE
    assert accepted.load_balancer.amphora_ids == ()


FLAVOR = uuid4()


def a_choice(**said: Any) -> Choice:
    return Choice(**{"enabled": True, "provider": "remote", "data": {}, **said})


@pytest.mark.parametrize(
    ("said", "chosen", "error", "text"),
    [
        ({"flavor_id": FLAVOR}, {}, Invalid, "Validation failure: Invalid flavor_id."),
        (
            {"flavor_id": FLAVOR},
            {FLAVOR: a_choice(enabled=False)},
            NotAllowed,
            f"The selected flavor is not allowed in this deployment: {FLAVOR}",
        ),
        ({"availability_zone": "z"}, {}, Invalid, "Validation failure: Invalid availability zone."),
        (
            {"availability_zone": "z"},
            {"z": a_choice(enabled=False)},
            NotAllowed,
            "The selected availability_zone is not allowed in this deployment: z",
        ),
        (
            {"flavor_id": FLAVOR, "provider": "amphora"},
            {FLAVOR: a_choice()},
            Invalid,
            f"Flavor '{FLAVOR}' is not compatible with provider 'amphora'",
        ),
        ({"provider": "loom"}, {}, Invalid, "Provider 'loom' is not enabled."),
        ({"provider": "lost"}, {}, ProviderNotFound, "Provider 'lost' was not found."),
        (
            {"flavor_id": FLAVOR},
            {FLAVOR: a_choice(data={"loom": True})},
            ProviderUnsupported,
            "Provider 'remote' does not support a requested option: no loom here",
        ),
        (
            {"availability_zone": "z"},
            {"z": a_choice(data={"loom": True})},
            ProviderUnsupported,
            "Provider 'amphora' does not support a requested option: no loom here",
        ),
    ],
    ids=[
        "unknown flavor",
        "disabled flavor",
        "unknown zone",
        "disabled zone",
        "flavor of another provider",
        "unknown provider",
        "provider that is not there",
        "flavor data",
        "zone data",
    ],
)
def test_creation_is_refused(
    site: Site, said: dict[str, Any], chosen: dict[Any, Choice], error: type[Exception], text: str
) -> None:
    site.chosen = chosen

    with pytest.raises(error) as refusal:
        LoadBalancerHandler(site.deciding, site, site).create(create(site, **said))

    assert str(refusal.value) == text


def test_flavor_decides_the_provider_and_the_ports(site: Site) -> None:
    site.chosen = {FLAVOR: a_choice(data={"sriov_vip": True})}

    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site, flavor_id=FLAVOR))

    assert (accepted.load_balancer.provider, accepted.load_balancer.flavor_id) == ("remote", FLAVOR)
    assert site.vips_asked_for[-1].vnic_type == VnicType.DIRECT


def test_zone_decides_where_the_vip_may_be(site: Site) -> None:
    site.chosen = {"z": a_choice(data={"valid_vip_networks": ["n"]})}

    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site, availability_zone="z"))

    assert accepted.load_balancer.availability_zone == "z"
    assert site.vips_asked_for[-1].valid_networks == ("n",)


# Facts from outside


@pytest.mark.parametrize("name", ["vip_qos_policy_id", "vip_sg_ids"])
def test_load_balancer_is_refused_what_the_network_does_not_have(site: Site, name: str) -> None:
    nothing = uuid4()
    changes = {name: nothing if name == "vip_qos_policy_id" else (nothing,)}

    with pytest.raises(Invalid, match=r"not found\.$"):
        LoadBalancerHandler(site.deciding, site, site).change(ChangeLoadBalancer(site.id, changes, Origin()))

    assert site.now.settings == LoadBalancerSettings()


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"address": "169.254.169.254"}, "member address"),
        ({"address": "10.9.0.1"}, "member address"),
        ({"address": "10.0.0.1", "monitor_address": "169.254.169.254"}, "monitor address"),
    ],
    ids=["reserved address", "reserved network", "reserved address to check"],
)
def test_member_is_refused_at_reserved_addresses(said: dict[str, Any], option: str) -> None:
    site = Site(deployment=Deployment(reserved_cidrs=("10.9.0.0/16",)))
    handler = MemberHandler(site.deciding, site, site)
    address = said.get("monitor_address", said["address"])

    with pytest.raises(NotAnOption) as alone:
        handler.add(AddMember(site.id, a_member(site.pool, **said), Origin()))
    with pytest.raises(NotAnOption) as in_a_batch:
        handler.replace_all(ReplaceMembers(site.id, site.pool.id, [{"protocol_port": 1, **said}], True, Origin()))

    assert str(alone.value) == str(in_a_batch.value) == f"{address} is not a valid option for {option}"


def test_member_is_refused_in_a_subnet_that_is_not_there(site: Site) -> None:
    subnet_id = uuid4()
    handler = MemberHandler(site.deciding, site, site)

    with pytest.raises(Invalid) as refusal:
        handler.add(AddMember(site.id, a_member(site.pool, **entry(1), subnet_id=subnet_id), Origin()))

    assert str(refusal.value) == f"Subnet {subnet_id} not found."
    site.subnets[subnet_id] = Subnet(id=subnet_id, network_id=uuid4(), name="", cidr="127.0.0.0/8")
    handler.add(AddMember(site.id, a_member(site.pool, **entry(1), subnet_id=subnet_id), Origin()))


@pytest.mark.parametrize("data", [{}, {"allow_member_sriov": False}], ids=["unsaid", "false"])
def test_member_has_a_direct_port_only_where_the_flavor_says_so(site: Site, data: dict[str, object]) -> None:
    site.chosen = {FLAVOR: a_choice(provider="amphora", data=data)}
    created = LoadBalancerHandler(site.deciding, site, site).create(create(site, flavor_id=FLAVOR)).load_balancer
    pool = a_pool()
    created.add_pool(pool)
    site.store.save(created, origin=Origin())
    handler = MemberHandler(site.deciding, site, site)
    direct = a_member(pool, vnic_type=VnicType.DIRECT)

    with pytest.raises(Invalid) as refusal:
        handler.add(AddMember(NEW, direct, Origin()))
    site.chosen = {FLAVOR: a_choice(provider="amphora", data={"allow_member_sriov": True})}
    handler.add(AddMember(NEW, direct, Origin()))

    assert str(refusal.value) == "The load balancer flavor does not allow SR-IOV member ports."


# Batches of members


def test_batch_that_names_nothing_where_nothing_is_changes_nothing(site: Site) -> None:
    pool = a_pool()
    site.change(lambda it: it.add_pool(pool))
    version = site.now.version

    MemberHandler(site.deciding, site, site).replace_all(ReplaceMembers(site.id, pool.id, [], False, Origin()))

    assert site.now.version == version


def test_batch_gives_what_it_does_not_name_its_default_and_keeps_name_tags_and_subnet(site: Site) -> None:
    subnet_id = uuid4()
    named = {"name": "one", "tags": ("shelf",), "subnet_id": subnet_id}
    lost = {"weight": 7, "backup": True, "admin_state_up": False, "monitor_port": 9, "monitor_address": "127.0.0.1"}
    site.change(lambda it: it.change_member(replace(site.member, **named, **lost)))

    MemberHandler(site.deciding, site, site).replace_all(
        ReplaceMembers(site.id, site.pool.id, [entry(9)], False, Origin())
    )

    assert site.now.tree.members == {site.member.id: a_member(site.pool, id=site.member.id, **named)}


def test_additive_batch_leaves_alone_what_it_does_not_name(site: Site) -> None:
    handler = MemberHandler(site.deciding, site, site)

    handler.replace_all(ReplaceMembers(site.id, site.pool.id, [entry(1)], True, Origin()))

    assert {member.address for member in site.now.tree.members.values()} == {"127.0.0.1", "127.0.0.9"}


def test_batch_that_names_a_present_member_twice_is_refused(site: Site) -> None:
    handler = MemberHandler(site.deciding, site, site)

    with pytest.raises(Invalid) as refusal:
        handler.replace_all(ReplaceMembers(site.id, site.pool.id, [entry(9), entry(9)], False, Origin()))

    assert str(refusal.value) == "Validation failure: Member must be updated only once in the same request."


# What the deployment presumes


def test_what_is_taken_back_gets_what_the_deployment_presumes(site: Site) -> None:
    site.change(lambda it: it.change_listener(replace(site.listener, timeout_client_data=7)))

    ListenerHandler(site.deciding).change(
        ChangeListener(site.id, site.listener.id, {"timeout_client_data": BY_DEPLOYMENT}, Origin())
    )

    assert site.now.tree.listeners[site.listener.id].timeout_client_data == 50_000
