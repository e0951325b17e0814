"""Every handler of a command: done, refused, repeated because its answer was lost, and outrun by another writer."""

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.utils import get_topic

import commands
from commands.deciding import Deciding
from commands.entity_tag import IfMatch, tag_of
from commands.listener import ChangeListener, ListenerHandler
from commands.load_balancer import ChangeLoadBalancer, FailOver, LoadBalancerHandler
from commands.member import AddMember, MemberHandler, ReplaceMembers
from commands.ports import Choice, Origin, Subnet
from domain.amphora import Amphora
from domain.deployment import Deployment, NotAllowed
from domain.errors import (
    AddressTaken,
    ConcurrentChange,
    Immutable,
    Invalid,
    NotAnOption,
    PreconditionFailed,
    ProviderNotFound,
    ProviderUnsupported,
)
from domain.fields import BY_DEPLOYMENT, ProvisioningStatus
from domain.load_balancer_events import LoadBalancerSettings
from domain.member import VnicType
from domain.vip import Vip
from tests.commands.cases import CASES, NEW, Case, create, entry, ids
from tests.commands.site import Site
from tests.given import a_member, a_pool

TAGGED = [case for case in CASES if case.of]
ASKING = [case for case in CASES if case.asks]
RECORDED_WITH_IT = [case for case in CASES if case.name not in ("AmphoraHandler.configure", "AmphoraHandler.delete")]
"""Those that leave an event of the load balancer: the store in memory answers again for no others."""


@pytest.fixture
def site() -> Site:
    return Site()


def of(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=ids(cases))


def with_origin(command: Any, **said: Any) -> Any:
    return replace(command, origin=replace(command.origin, **said))


@of(CASES)
def test_command_is_carried_out_once(case: Case, site: Site) -> None:
    command = case.command(site)
    commits = site.commits
    assert not case.effect(site)

    accepted = case.carry_out(site, command)

    assert case.effect(site)
    assert site.was_carried_out(command.origin.command_id)
    assert site.commits == commits + 1
    assert accepted.load_balancer.version == site.store.load_balancer(command.load_balancer_id).version
    assert accepted.at == site.store.memory.commits[command.origin.command_id]


@of(CASES)
def test_refused_command_leaves_nothing(case: Case, site: Site) -> None:
    command = case.refused(site)
    commits, events = site.commits, site.events

    with pytest.raises(case.error):
        case.carry_out(site, command)

    assert (site.commits, site.events) == (commits, events)


@of(RECORDED_WITH_IT)
def test_command_whose_answer_was_lost_is_not_carried_out_again(case: Case, site: Site) -> None:
    command = case.command(site)
    commits = site.commits

    def lose_the_answer() -> None:
        raise ConcurrentChange

    site.after_save = lose_the_answer
    accepted = case.carry_out(site, command)

    assert case.effect(site)
    assert site.commits == commits + 1
    assert accepted.load_balancer.id == command.load_balancer_id


@of(RECORDED_WITH_IT)
def test_command_that_is_sent_again_is_answered_by_what_it_left(case: Case, site: Site) -> None:
    command = case.command(site)
    first = case.carry_out(site, command)
    if not site.now.being_deleted:
        site.rename()
    commits = site.commits

    again = case.carry_out(site, with_origin(command, is_repeated=True))

    assert site.commits == commits
    assert (again.load_balancer.version, again.at) == (first.load_balancer.version, first.at)


@of(CASES)
def test_command_that_is_sent_again_but_never_arrived_is_carried_out(case: Case, site: Site) -> None:
    case.carry_out(site, with_origin(case.command(site), is_repeated=True))

    assert case.effect(site)


@of(CASES)
def test_command_that_was_outrun_is_decided_again(case: Case, site: Site) -> None:
    command = case.command(site)

    site.before_save = site.rename
    case.carry_out(site, command)

    assert case.effect(site)
    assert site.now.settings.description == "outrun"


@of(CASES)
def test_dry_run_tells_the_events_and_records_none(case: Case, site: Site) -> None:
    command = case.command(site)
    commits, events = site.commits, site.events

    accepted = case.carry_out(site, with_origin(command, dry_run=True))

    assert accepted.is_dry_run
    assert accepted.would_record
    assert (site.commits, site.events) == (commits, events)
    assert not case.effect(site)


@of([case for case in CASES if case.error is not AddressTaken])
def test_dry_run_is_refused_like_the_real_one(case: Case, site: Site) -> None:
    """Less what is only found out by recording it."""
    with pytest.raises(case.error):
        case.carry_out(site, with_origin(case.refused(site), dry_run=True))


@of(CASES)
def test_dry_run_tells_what_is_recorded_afterwards(case: Case, site: Site) -> None:
    command = case.command(site)
    before = site.events

    told = case.carry_out(site, with_origin(command, dry_run=True)).would_record
    case.carry_out(site, command)

    recorded = site.store.recorder.select_notifications(before + 1, 100)
    assert told is not None
    assert [each["type"] for each in told] == [each.topic for each in recorded]
    assert [each["version"] for each in told] == [each.originator_version for each in recorded]


# If-Match


@of(TAGGED)
def test_command_on_what_was_changed_meanwhile_is_refused_and_not_recorded(case: Case, site: Site) -> None:
    command = with_origin(case.command(site), if_match=IfMatch(frozenset({'"0"'})))
    commits, events = site.commits, site.events

    with pytest.raises(PreconditionFailed):
        case.carry_out(site, command)

    assert (site.commits, site.events) == (commits, events)


@of(TAGGED)
@pytest.mark.parametrize("tag", ["its own", "*", "one of several"])
def test_command_on_what_is_as_the_caller_knows_it_is_carried_out(case: Case, site: Site, tag: str) -> None:
    assert case.of
    edited = site.now.edited(case.of(site))
    assert edited is not None
    tags = {"its own": {tag_of(edited)}, "*": {"*"}, "one of several": {'"0"', tag_of(edited)}}[tag]

    case.carry_out(site, with_origin(case.command(site), if_match=IfMatch(frozenset(tags))))

    assert case.effect(site)


def test_tag_outlives_changes_of_status(site: Site) -> None:
    edited = site.now.edited(site.listener.id)
    site.refuse(lambda it: it.change_pool(replace(site.pool, name="bad")), site.pool.id)

    assert site.now.edited(site.listener.id) == edited


def test_command_that_was_outrun_on_the_same_object_is_no_match_any_more(site: Site) -> None:
    edited = site.now.edited(site.listener.id)
    assert edited is not None
    tag = IfMatch(frozenset({tag_of(edited)}))
    site.before_save = lambda: site.change(lambda it: it.change_listener(replace(site.listener, name="theirs")))

    with pytest.raises(PreconditionFailed):
        ListenerHandler(site.deciding).change(
            ChangeListener(site.id, site.listener.id, {"name": "ours"}, Origin(if_match=tag))
        )

    assert site.now.tree.listeners[site.listener.id].name == "theirs"


# Providers


@of(ASKING)
def test_provider_is_asked_about_what_was_decided(case: Case, site: Site) -> None:
    case.carry_out(site, case.command(site))

    assert {method for method, _ in site.driver.asked} == {case.asks}


@of(ASKING)
def test_what_the_provider_refuses_leaves_nothing(case: Case, site: Site) -> None:
    command = case.command(site)
    site.driver.refuses = True
    commits, events = site.commits, site.events

    with pytest.raises(ProviderUnsupported) as refusal:
        case.carry_out(site, command)

    assert str(refusal.value) == "Provider 'amphora' does not support a requested option: not on a Friday"
    assert (site.commits, site.events) == (commits, events)


def test_provider_is_asked_about_a_policy_together_with_its_listener(site: Site) -> None:
    case = next(case for case in CASES if case.asks == "l7policy_create")

    case.carry_out(site, case.command(site))

    ((_, (policy, listener)),) = site.driver.asked
    assert (policy.id, listener) == (NEW, site.listener)  # type: ignore[attr-defined]


# Deletions, and what others did in between


def test_command_that_was_outrun_by_a_deletion_is_refused(site: Site) -> None:
    site.before_save = lambda: site.change(lambda it: it.delete(cascade=True))

    with pytest.raises(Immutable):
        ListenerHandler(site.deciding).change(ChangeListener(site.id, site.listener.id, {}, Origin()))


@of([case for case in CASES if case.handler is not LoadBalancerHandler and case.lock is not None])
def test_nothing_is_changed_below_a_load_balancer_that_is_being_deleted(case: Case, site: Site) -> None:
    command = case.command(site)
    site.change(lambda it: it.delete(cascade=True))

    with pytest.raises(Immutable) as refusal:
        case.carry_out(site, command)

    assert str(refusal.value) == f"Load Balancer {site.id} is immutable and cannot be updated."


# Creation of load balancers


def test_address_that_was_taken_meanwhile_is_chosen_again(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site))

    assert accepted.load_balancer.vip.address == "127.20.0.2"


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


def test_every_handler_has_its_case() -> None:
    tested = {(case.handler, case.method) for case in CASES}

    assert tested == set(handlers())


def handlers() -> Iterator[tuple[type, str]]:
    """Every method by which a handler of commands on load balancers can be called; others decide alone."""
    for module in pkgutil.iter_modules(commands.__path__, "commands."):
        for name, kind in vars(import_module(module.name)).items():
            is_handler = name.endswith("Handler") and inspect.isclass(kind) and kind.__module__ == module.name
            if is_handler and Deciding in inspect.get_annotations(kind.__init__, eval_str=True).values():
                yield from ((kind, method) for method in vars(kind) if not method.startswith("_"))


def test_every_told_event_has_its_stored_name(site: Site) -> None:
    command = next(case for case in CASES if case.asks == "listener_create")

    told = command.carry_out(site, with_origin(command.command(site), dry_run=True)).would_record

    assert told is not None
    assert [each["type"] for each in told] == [get_topic(type(site.now).ListenerAdded)]


def test_a_vip_is_what_the_network_resolved(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site, address="127.20.0.77"))

    assert isinstance(accepted.load_balancer.vip, Vip)
    assert accepted.load_balancer.vip.address == "127.20.0.77"
