"""Every handler of a command: done, refused, repeated because its answer was lost, and outrun by another writer."""

import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from eventsourcing.utils import get_topic

import commands
from commands.deciding import Deciding
from commands.entity_tag import IfMatch
from commands.listener import ChangeListener, ListenerHandler
from commands.load_balancer import LoadBalancerHandler
from commands.ports import Origin
from domain.entity_tag import tag_of
from domain.errors import (
    AddressTaken,
    ConcurrentChange,
    Immutable,
    PreconditionFailed,
    ProviderUnsupported,
)
from domain.vip import Vip
from tests.commands.cases import CASES, NEW, Case, create, ids
from tests.commands.site import Site

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


def test_every_handler_has_its_case() -> None:
    tested = {(case.handler, case.method) for case in CASES}

    assert tested == set(handlers())


def handlers() -> Iterator[tuple[type, str]]:
    """Every method by which a handler of commands on load balancers carries one out; others decide alone."""
    for module in pkgutil.iter_modules(commands.__path__, "commands."):
        for name, kind in vars(import_module(module.name)).items():
            is_handler = name.endswith("Handler") and inspect.isclass(kind) and kind.__module__ == module.name
            if is_handler and Deciding in inspect.get_annotations(kind.__init__, eval_str=True).values():
                yield from ((kind, method) for method in vars(kind) if not method.startswith(("_", "require_")))


def test_every_told_event_has_its_stored_name(site: Site) -> None:
    command = next(case for case in CASES if case.asks == "listener_create")

    told = command.carry_out(site, with_origin(command.command(site), dry_run=True)).would_record

    assert told is not None
    assert [each["type"] for each in told] == [get_topic(type(site.now).ListenerAdded)]


def test_a_vip_is_what_the_network_resolved(site: Site) -> None:
    accepted = LoadBalancerHandler(site.deciding, site, site).create(create(site, address="127.20.0.77"))

    assert isinstance(accepted.load_balancer.vip, Vip)
    assert accepted.load_balancer.vip.address == "127.20.0.77"
