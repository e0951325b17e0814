"""Each outcome: recorded once; late it changes nothing; said twice it counts once; outrun it is decided again."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from inspect import getmembers, isfunction
from typing import Any
from uuid import uuid4

import pytest

from commands.outcome import (
    Outcomes,
    ReportConfigurationApplied,
    ReportConfigurationRefused,
    ReportDeadline,
)
from commands.ports import Attempt, Origin, OutdatedAttempt
from commands.turns import Turns
from domain.amphora import Amphora
from domain.errors import NotFound
from domain.fields import OperatingStatus, ProvisioningStatus, Revision
from domain.health import LoadBalancerHealth
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from infra.memory import MemoryActionQueue, MemoryStore
from processes.actions import ApplyConfiguration, BuildAmphora
from tests.given import a_listener, a_load_balancer


class Site:
    """A load balancer with an amphora that was just plugged, and an action that an outcome can end."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.outcomes = Outcomes(self.store, Turns(self.store))
        self.amphora_id = uuid4()
        load_balancer = a_load_balancer(amphora_ids=(self.amphora_id,))
        self.id = load_balancer.id
        self.store.save(load_balancer, Amphora.request(self.amphora_id, load_balancer_id=self.id), origin=Origin())
        self.attempt = self.an_attempt(BuildAmphora(load_balancer_id=self.id, amphora_id=self.amphora_id))

    @property
    def load_balancer(self) -> LoadBalancer:
        return self.store.load_balancer(self.id)

    @property
    def events(self) -> int:
        return len(self.store.recorder.select_notifications(None, 1_000))

    def an_attempt(self, action: Any) -> Attempt:
        self.store.memory.ask_for([action])
        claims = MemoryActionQueue(self.store.memory).claim("test", 10)
        return next(claim.attempt for claim in claims if claim.action == action)

    def change(self, decide: Callable[[LoadBalancer], None]) -> None:
        load_balancer = self.load_balancer
        decide(load_balancer)
        self.store.save(load_balancer, origin=Origin())

    def plug(self) -> None:
        amphora = self.store.amphora(self.amphora_id)
        amphora.booted("compute")
        amphora.became_reachable("127.17.0.5", "2.6")
        amphora.vip_plugged()
        self.store.save(amphora, origin=Origin())

    def leave_it_to_a_provider(self) -> None:
        """The load balancer has no amphorae, and its provider is about to confirm."""
        load_balancer = a_load_balancer(amphora_ids=())
        self.id = load_balancer.id
        self.store.save(load_balancer, origin=Origin())
        self.attempt = self.an_attempt(ApplyConfiguration(load_balancer_id=self.id))

    def serve(self) -> None:
        """The amphora is in service, and a listener waits for it."""
        self.plug()
        self.change(lambda it: it.configuration_is_applied(self.amphora_id, it.revision, "sha"))
        self.listener = a_listener()
        self.change(lambda it: it.add_listener(self.listener))


@dataclass(frozen=True)
class Case:
    """given: what was before; say: the outcome, as often as wanted; ends: whether it ends its action."""

    method: str
    given: Callable[[Site], None]
    say: Callable[[Site], None]
    ends: bool
    late: Callable[[Site], None] = lambda site: site.change(lambda it: it.delete(cascade=True))


def _applied(site: Site) -> None:
    report = ReportConfigurationApplied(
        load_balancer_id=site.id, amphora_id=site.amphora_id, revision=Revision(1), sha256="sha"
    )
    site.outcomes.configuration_applied(report, site.attempt)


def _refused(site: Site) -> None:
    report = ReportConfigurationRefused(
        load_balancer_id=site.id,
        amphora_id=site.amphora_id,
        revision=site.load_balancer.progress.marks[site.listener.id].own,
        words={site.listener.id: "no"},
    )
    site.outcomes.configuration_refused(report)


def _deadline(site: Site) -> None:
    asked = min(site.load_balancer.progress.asked_at.values(), default=site.load_balancer.modified_on)
    minute = timedelta(seconds=60)
    report = ReportDeadline(
        load_balancer_id=site.id, now=asked + minute, allowance=minute, step="push", reason="nobody answers"
    )
    site.outcomes.deadline_reached(report)


def _being_deleted(site: Site) -> None:
    site.change(lambda it: it.delete(cascade=True))


def _nothing_remains(site: Site) -> None:
    site.change(lambda it: it.amphora_is_gone(site.amphora_id))
    site.change(LoadBalancer.deletion_is_complete)


def _removed_by_another(site: Site) -> None:
    amphora = site.store.amphora(site.amphora_id)
    amphora.removed()
    site.store.save(amphora, origin=Origin())


CASES = [
    Case("configuration_applied", Site.plug, _applied, ends=True),
    Case(
        "provider_has_applied",
        Site.leave_it_to_a_provider,
        lambda site: site.outcomes.provider_has_applied(site.id, Revision(1), site.attempt),
        ends=True,
    ),
    Case("configuration_refused", Site.serve, _refused, ends=False),
    Case("deadline_reached", Site.serve, _deadline, ends=False),
    Case(
        "amphora_has_failed",
        lambda site: None,
        lambda site: site.outcomes.amphora_has_failed(site.amphora_id, "boot", "no host", site.attempt),
        ends=True,
        late=Site.plug,
    ),
    Case(
        "amphora_is_lost",
        Site.serve,
        lambda site: site.outcomes.amphora_is_lost(site.amphora_id, "silent", site.attempt),
        ends=True,
    ),
    Case(
        "amphorae_are_removed",
        lambda site: None,
        lambda site: site.outcomes.amphorae_are_removed([site.amphora_id], site.attempt),
        ends=True,
        late=_removed_by_another,
    ),
    Case(
        "deletion_is_overdue",
        _being_deleted,
        lambda site: site.outcomes.deletion_is_overdue(site.id, "release the VIP", "no answer"),
        ends=False,
        late=lambda site: site.change(lambda it: it.deletion_is_overdue("remove amphora", "no answer")),
    ),
    Case(
        "deletion_is_complete",
        _being_deleted,
        lambda site: site.outcomes.deletion_is_complete(site.id, site.attempt),
        ends=True,
        late=_nothing_remains,
    ),
]


@pytest.fixture(params=CASES, ids=lambda case: case.method)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def site(case: Case) -> Site:
    site = Site()
    case.given(site)
    return site


def test_outcome_becomes_an_event_and_ends_its_action(case: Case, site: Site) -> None:
    before = site.events

    case.say(site)

    assert site.events > before
    assert (site.attempt.action_id not in site.store.memory.actions) == case.ends


def test_outcome_that_comes_too_late_changes_nothing_of_the_load_balancer(case: Case, site: Site) -> None:
    case.late(site)
    versions = _version(site)

    _say_although_it_may_be_gone(case, site)

    assert _version(site) == versions


def test_outcome_that_is_said_twice_counts_once(case: Case, site: Site) -> None:
    case.say(site)
    once = site.events
    site.attempt = site.an_attempt(ApplyConfiguration(load_balancer_id=site.id))

    _say_although_it_may_be_gone(case, site)

    assert site.events == once


@pytest.mark.parametrize("case", [case for case in CASES if case.ends], ids=lambda case: case.method)
def test_outcome_of_an_outdated_attempt_stores_nothing(case: Case) -> None:
    site = Site()
    case.given(site)
    site.attempt = Attempt(site.attempt.action_id, site.attempt.number - 1)
    before = site.events

    with pytest.raises(OutdatedAttempt):
        case.say(site)

    assert site.events == before


def test_outcome_that_was_outrun_is_decided_again(case: Case, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    load = site.store.load_balancer
    others = [faster_writer]

    def load_and_be_outrun(id: Any) -> LoadBalancer:
        loaded = load(id)
        while others:
            other = load(id)
            others.pop()(other)
            site.store.save(other, origin=Origin())
        return loaded

    monkeypatch.setattr(site.store, "load_balancer", load_and_be_outrun)
    before = site.events

    case.say(site)

    assert not others
    assert site.events > before + 1, "the faster writer's event, and that of the outcome"


def faster_writer(load_balancer: LoadBalancer) -> None:
    """Something else happens to it: while it is being deleted, an amphora of its is gone."""
    if load_balancer.being_deleted:
        load_balancer.amphora_is_gone(load_balancer.amphora_ids[0])
    else:
        load_balancer.change(LoadBalancerSettings(name="faster"))


def test_provider_that_is_done_says_how_the_tree_is_doing() -> None:
    site = Site()
    site.leave_it_to_a_provider()
    off = a_listener(admin_state_up=False, protocol_port=81)
    site.change(lambda it: it.add_listener(off))

    site.outcomes.provider_has_applied(site.id, site.load_balancer.revision, site.attempt)

    assert site.load_balancer.status_of(off.id) == ProvisioningStatus.ACTIVE
    health = site.store.load(LoadBalancerHealth, LoadBalancerHealth.create_id(site.id))
    assert health.statuses == {site.id: OperatingStatus.ONLINE, off.id: OperatingStatus.OFFLINE}


def test_every_outcome_has_its_case() -> None:
    methods = {name for name, _ in getmembers(Outcomes, isfunction) if not name.startswith("_")}

    assert methods == {case.method for case in CASES}


def _version(site: Site) -> int:
    return len(site.store.recorder.select_events(site.id))


def _say_although_it_may_be_gone(case: Case, site: Site) -> None:
    with suppress(NotFound):
        case.say(site)
