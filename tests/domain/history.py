"""A simulated history of one load balancer: users, amphorae, refusals and failures in random order.

Where it has no amphorae its provider takes their part, under the id of the load balancer itself.
"""

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from uuid import UUID, uuid4

from domain.errors import Refused
from domain.fields import NOTHING_YET, ProvisioningStatus
from domain.l7_policy import L7Action, L7Policy
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch
from domain.progress import Kind
from tests.domain.invariants import check_tree
from tests.given import a_health_monitor, a_listener, a_load_balancer, a_member, a_pool, an_l7_policy, an_l7_rule

Values = dict[UUID, int]
"""Object -> the revision whose value of it runs."""


@dataclass
class SimulatedAmphora:
    """Runs one push at a time; what it says may be delivered late, twice, or in another order."""

    id: UUID
    runs: Values = field(default_factory=dict)
    revision: int = 0
    pushing: bool = False


@dataclass
class History:
    """`bad` objects are refused in their present value until they are changed for the better."""

    random: Random
    load_balancer: LoadBalancer = field(default_factory=lambda: a_load_balancer(amphora_ids=(uuid4(), uuid4())))
    bad: set[UUID] = field(default_factory=set)
    reports: list[Callable[[LoadBalancer], None]] = field(default_factory=list)
    past: dict[int, LoadBalancer] = field(default_factory=dict)
    bad_at: dict[int, set[UUID]] = field(default_factory=dict)
    amphorae: dict[UUID, SimulatedAmphora] = field(default_factory=dict)
    highest_applied: int = 0

    def __post_init__(self) -> None:
        self.amphorae = {id: SimulatedAmphora(id) for id in self.carriers}
        self.remember()

    @property
    def carriers(self) -> tuple[UUID, ...]:
        """Who is pushed to, and confirms."""
        return self.load_balancer.amphora_ids or (self.load_balancer.id,)

    def remember(self) -> None:
        """Keeps the load balancer at each version, as the log does."""
        self.past[self.load_balancer.version] = deepcopy(self.load_balancer)
        self.highest_applied = max(self.highest_applied, self.load_balancer.progress.applied)

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.step()
            self.check_what_is_shown_active()
            check_tree(self.load_balancer)

    def run_unchecked(self, steps: int) -> None:
        """Once statuses were set by hand, they need not be what runs."""
        for _ in range(steps):
            self.step()

    def step(self) -> None:
        self.random.choices(list(self._steps), weights=list(self._steps.values()))[0]()
        self.remember()

    @property
    def _steps(self) -> dict[Callable[[], None], float]:
        return {
            self.user: 6,
            self.paused_writer: 2,
            self.push: 6,
            self.deliver: 8,
            self.repeat: 2,
            self.lose_amphora: 0.3,
            self.fail_over: 0.3,
            self.deadline: 0.3,
        }

    def settle(self) -> None:
        """Nobody changes anything any more, and everything is delivered."""
        for _ in range(200):
            while self.reports:
                self.deliver()
            progress = self.load_balancer.progress
            if progress.applied == progress.revision:
                return
            self.push()
            self.remember()
        raise AssertionError("the history never came to rest")

    # What users do

    def user(self) -> None:
        with suppress(Refused):
            self._some_change(self.load_balancer)

    def paused_writer(self) -> None:
        """A writer that loaded, was stopped while others went on, and is told to decide again."""
        stale = deepcopy(self.load_balancer)
        before = stale.version
        self.user()
        if self.load_balancer.version == before:
            return
        self.user()  # what the paused writer decides in the end, on the new state

    def _some_change(self, load_balancer: LoadBalancer) -> None:
        tree, random = load_balancer.tree, self.random
        pools, listeners = list(tree.pools.values()), list(tree.listeners.values())
        members, monitors = list(tree.members.values()), list(tree.health_monitors.values())
        choices: list[Callable[[], UUID | None]] = [
            lambda: self._add(load_balancer.add_pool, a_pool()),
            lambda: self._add(load_balancer.add_listener, a_listener(protocol_port=random.randint(1, 9))),
        ]
        if pools:
            pool = random.choice(pools)
            choices += [
                lambda: self._add(load_balancer.add_member, a_member(pool, protocol_port=random.randint(1, 50))),
                lambda: self._add(load_balancer.add_health_monitor, a_health_monitor(pool)),
                lambda: self._change(load_balancer.change_pool, replace(pool, name=str(random.random()))),
                lambda: load_balancer.remove_pool(pool.id),
                lambda: self._add_many(load_balancer, pool),
            ]
        if listeners:
            listener = random.choice(listeners)
            default = random.choice([None, *(pool.id for pool in pools)])
            choices += [
                lambda: self._change(load_balancer.change_listener, replace(listener, default_pool_id=default)),
                lambda: load_balancer.remove_listener(listener.id),
            ]
        if members:
            member = random.choice(members)
            choices += [
                lambda: self._change(load_balancer.change_member, replace(member, weight=random.randint(0, 256))),
                lambda: load_balancer.remove_member(member.pool_id, member.id),
            ]
        if monitors:
            monitor = random.choice(monitors)
            choices += [
                lambda: self._change(load_balancer.change_health_monitor, replace(monitor, delay=random.randint(1, 9))),
                lambda: load_balancer.remove_health_monitor(monitor.id),
            ]
        random.choice([*choices, *self._changes_of_policies(load_balancer)])()

    def _changes_of_policies(self, load_balancer: LoadBalancer) -> list[Callable[[], UUID | None]]:
        tree, random = load_balancer.tree, self.random
        policies, rules = list(tree.l7_policies.values()), list(tree.l7_rules.values())
        choices: list[Callable[[], UUID | None]] = []
        if tree.listeners:
            listener = random.choice(list(tree.listeners.values()))
            new = an_l7_policy(listener)
            choices += [lambda: self._add(load_balancer.add_l7_policy, self._directed(load_balancer, new))] * 2
        if policies:
            policy = random.choice(policies)
            other = self._directed(load_balancer, policy)
            choices += [
                lambda: self._change(load_balancer.change_l7_policy, other),
                lambda: self._add(load_balancer.add_l7_rule, an_l7_rule(policy)),
                lambda: load_balancer.remove_l7_policy(policy.id),
            ]
        if rules:
            rule = random.choice(rules)
            choices += [
                lambda: self._change(load_balancer.change_l7_rule, replace(rule, invert=not rule.invert)),
                lambda: load_balancer.remove_l7_rule(rule.l7policy_id, rule.id),
            ]
        return choices

    def _directed(self, load_balancer: LoadBalancer, policy: L7Policy) -> L7Policy:
        """Somewhere, at some position."""
        pool_id = self.random.choice([None, *load_balancer.tree.pools])
        action = L7Action.REJECT if pool_id is None else L7Action.REDIRECT_TO_POOL
        return replace(policy, action=action, redirect_pool_id=pool_id, position=self.random.randint(1, 5))

    def _add(self, add: Callable[..., None], thing: object) -> None:
        add(thing)
        self._taint(thing.id)  # type: ignore[attr-defined]

    def _change(self, change: Callable[..., None], thing: object) -> None:
        change(thing)
        self.bad.discard(thing.id)  # type: ignore[attr-defined]
        self._taint(thing.id)  # type: ignore[attr-defined]

    def _add_many(self, load_balancer: LoadBalancer, pool: object) -> None:
        batch = tuple(a_member(pool, protocol_port=100 + n) for n in range(3))  # type: ignore[arg-type]
        load_balancer.replace_members(pool.id, Batch(added=batch))  # type: ignore[attr-defined]
        self._taint(batch[1].id)

    def _taint(self, id: UUID) -> None:
        if self.random.random() < 0.15:
            self.bad.add(id)

    # What amphorae do

    def push(self) -> None:
        """Render now; the amphora's word about it comes later."""
        idle = [self.amphorae[id] for id in self.carriers if not self.amphorae[id].pushing]
        if not idle:
            return
        amphora = self.random.choice(idle)
        amphora.pushing = True
        rendered = deepcopy(self.load_balancer)
        revision, held = rendered.revision, dict(rendered.progress.held_back)
        refused = {id: "no" for id in self._rendered_now(rendered) if id in self.bad}

        def say(load_balancer: LoadBalancer) -> None:
            amphora.pushing = False
            if refused:
                load_balancer.configuration_is_refused(amphora.id, revision, refused)
            else:
                load_balancer.configuration_is_applied(amphora.id, revision, "sha", held)

        if not refused and revision >= amphora.revision:
            amphora.runs, amphora.revision = self._values(rendered), revision
        self.reports.append(say)

    def _rendered_now(self, load_balancer: LoadBalancer) -> set[UUID]:
        return {id for id in self._values(load_balancer) if id not in load_balancer.progress.held_back}

    def _values(self, load_balancer: LoadBalancer) -> Values:
        """What a push of this state makes an amphora run: each object's value, by the revision that gave it."""
        progress, tree = load_balancer.progress, load_balancer.tree
        left_out = {id for id, revision in progress.held_back.items() if revision == NOTHING_YET}
        left_out |= {below.id for id in left_out for below in tree.below(id)}
        below = {*tree.members, *tree.health_monitors, *tree.l7_policies, *tree.l7_rules}
        wanted = {*tree.listeners, *tree.pools, *below} - left_out
        return {id: self._value(load_balancer, id) for id in wanted}

    def _value(self, load_balancer: LoadBalancer, id: UUID) -> int:
        held = load_balancer.progress.held_back.get(id)
        if held is None:
            return load_balancer.progress.marks[id].own
        version = max(version for version in self.past if version <= held)
        return self.past[version].progress.marks[id].own

    def deliver(self) -> None:
        if self.reports:
            say = self.reports.pop(self.random.randrange(len(self.reports)))
            self.said = say
            say(self.load_balancer)
            self.remember()

    def repeat(self) -> None:
        """Deliveries come at least once."""
        if hasattr(self, "said"):
            pushing = {amphora.id: amphora.pushing for amphora in self.amphorae.values()}
            self.said(self.load_balancer)
            for id, was in pushing.items():
                self.amphorae[id].pushing = was

    def lose_amphora(self) -> None:
        if self.load_balancer.amphora_ids:
            self._replace(self.random.choice(self.load_balancer.amphora_ids))

    def fail_over(self) -> None:
        with suppress(Refused):
            self.load_balancer.request_failover()
            for id in self.load_balancer.amphora_ids:
                self._replace(id)

    def _replace(self, lost: UUID) -> None:
        replacement = uuid4()
        if self.load_balancer.replace_amphora(lost, replacement, "silent"):
            self.amphorae[replacement] = SimulatedAmphora(replacement)

    def deadline(self) -> None:
        latest = max(self.load_balancer.progress.asked_at.values(), default=None)
        if latest is not None:
            allowance = timedelta(seconds=60)
            self.load_balancer.deadline_is_reached(latest + allowance, allowance, "push", "late")

    # What must hold

    def check_what_is_shown_active(self) -> None:
        """What is shown ACTIVE runs, in its latest value, on every amphora in service."""
        progress = self.load_balancer.progress
        assert progress.applied == self.highest_applied, "applied fell"
        assert progress.settled >= progress.applied
        for id, marks in progress.marks.items():
            if progress.status_of(id) != ProvisioningStatus.ACTIVE or marks.kind == Kind.LOAD_BALANCER:
                continue
            for amphora_id in progress.confirmed:
                running = self.amphorae[amphora_id].runs
                assert running.get(id, 0) >= marks.own, f"{marks.kind} is ACTIVE; {amphora_id} runs {running.get(id)}"

    def check_at_rest(self) -> None:
        """Nothing is PENDING; who is to blame is ERROR, with what never ran without it, and nobody else."""
        progress, tree = self.load_balancer.progress, self.load_balancer.tree
        assert not progress.deleting
        assert not progress.asked_at
        policies = {rule.l7policy_id for id, rule in tree.l7_rules.items() if id in self.bad}
        left_out = {id for id in self.bad | policies if progress.held_back.get(id) == NOTHING_YET}
        with_them = {ref.id for id in left_out for ref in tree.below(id)} | left_out
        for id in progress.marks:
            blamed = id in self.bad or id in with_them
            expected = ProvisioningStatus.ERROR if blamed else ProvisioningStatus.ACTIVE
            assert progress.status_of(id) == expected, (progress.marks[id], blamed)
