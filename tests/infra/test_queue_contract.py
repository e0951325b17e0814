"""What workers rely on when they share durable actions: PostgreSQL and the memory of tests keep the same promises."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from domain.fields import Position
from processes.actions import Action, ApplyConfiguration, BuildAmphora, PushConfiguration, ReleaseVip, RemoveAmphora
from processes.ports import Claim, Step
from tests.infra.stores import Home, InMemory, in_postgres


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    if request.param == "memory":
        yield InMemory()
    else:
        with in_postgres(request.getfixturevalue("database")) as found:
            yield found


def ask_for(home: Home, *actions: Action) -> None:
    assert home.ledger.advance("test", 0, lambda position: Step(reached=Position(position + 1), reactions=actions))


def an_action(**said: object) -> ApplyConfiguration:
    return ApplyConfiguration(**{"load_balancer_id": uuid4(), **said})  # type: ignore[arg-type]


def the_claim(home: Home) -> Claim:
    (claim,) = home.queue.claim("worker", 10)
    return claim


# Claims


def test_an_action_is_claimed_as_it_was_asked_for(home: Home) -> None:
    action = PushConfiguration(load_balancer_id=uuid4(), amphora_id=uuid4(), wanted=7)
    ask_for(home, action)

    claim = the_claim(home)

    assert claim.action == action
    assert (claim.attempt.number, claim.attempt.done, claim.failures, claim.overdue) == (1, 7, 0, False)


def test_an_action_is_claimed_by_one_worker(home: Home) -> None:
    ask_for(home, an_action())
    the_claim(home)

    assert list(home.queue.claim("another", 10)) == []


def test_nobody_takes_from_himself_what_he_is_at(home: Home) -> None:
    ask_for(home, an_action())
    claim = the_claim(home)
    home.advance(60)

    again = list(home.queue.claim("worker", 10, held=[claim]))

    assert again == []
    assert [found.attempt.number for found in home.queue.claim("another", 10)] == [2]


def test_what_is_due_later_waits(home: Home) -> None:
    ask_for(home, an_action(after_seconds=10.0))
    before = list(home.queue.claim("worker", 10))
    home.advance(11)

    assert before == []
    assert the_claim(home)


def test_more_urgent_actions_go_first(home: Home) -> None:
    build = BuildAmphora(load_balancer_id=uuid4(), amphora_id=uuid4())
    release = ReleaseVip(load_balancer_id=uuid4())
    ask_for(home, build, an_action(), release)

    kinds = [claim.action.kind for _ in range(3) for claim in home.queue.claim("worker", 1)]

    assert kinds == ["ReleaseVip", "ApplyConfiguration", "BuildAmphora"]


def test_a_lane_has_one_running_action_and_the_more_urgent_goes_first(home: Home) -> None:
    load_balancer_id, amphora_id = uuid4(), uuid4()
    build = BuildAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id)
    remove = RemoveAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id)
    ask_for(home, build, remove)

    first = the_claim(home)
    meanwhile = list(home.queue.claim("another", 10))
    home.queue.complete(first)
    second = the_claim(home)

    assert (first.action.kind, second.action.kind) == ("RemoveAmphora", "BuildAmphora")
    assert meanwhile == []


def test_workers_never_run_two_actions_of_one_lane(home: Home) -> None:
    amphorae = [(uuid4(), uuid4()) for _ in range(8)]
    for load_balancer_id, amphora_id in amphorae:
        said = {"load_balancer_id": load_balancer_id, "amphora_id": amphora_id}
        ask_for(home, BuildAmphora(**said), RemoveAmphora(**said), PushConfiguration(**said))  # type: ignore[arg-type]

    def work(owner: str) -> list[tuple[str, str]]:
        ran = []
        while home.actions():
            for claim in home.queue.claim(owner, 2):
                running.append(claim.action.lane)
                assert running.count(claim.action.lane) == 1
                ran.append((claim.action.kind, claim.action.lane))
                running.remove(claim.action.lane)
                home.queue.complete(claim)
        return ran

    running: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        ran = [each for done in pool.map(work, "abcd") for each in done]

    assert len(ran) == len(set(ran)) == 24


def test_a_waiting_action_holds_no_lane(home: Home) -> None:
    load_balancer_id, amphora_id = uuid4(), uuid4()
    ask_for(home, BuildAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id))
    home.queue.look_again(the_claim(home), 10)
    ask_for(home, RemoveAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id))

    assert the_claim(home).action.kind == "RemoveAmphora"


def test_what_failed_before_leaves_room_for_what_did_not(home: Home) -> None:
    for _ in range(4):
        ask_for(home, an_action())
    for claim in home.queue.claim("worker", 4):
        home.queue.failed(claim, "no answer", 0)
    ask_for(home, an_action())

    claimed = home.queue.claim("worker", 4, doubtful=2)

    assert sorted(claim.failures for claim in claimed) == [0, 1, 1]


# Leases


def test_an_expired_lease_is_taken_over_and_the_first_attempt_is_outdated(home: Home) -> None:
    ask_for(home, an_action())
    first = the_claim(home)
    home.advance(6)

    second = the_claim(home)
    home.queue.complete(first)
    home.queue.look_again(first, 0)
    home.queue.failed(first, "late", 0)

    assert second.attempt.number == 2
    assert len(home.actions()) == 1
    assert list(home.queue.claim("third", 10)) == []


def test_a_renewed_lease_is_not_taken_over(home: Home) -> None:
    ask_for(home, an_action())
    claim = the_claim(home)
    home.advance(3)
    home.queue.renew([claim])
    home.advance(3)

    assert list(home.queue.claim("another", 10)) == []


def test_an_outdated_attempt_renews_nothing(home: Home) -> None:
    ask_for(home, an_action())
    outdated = the_claim(home)
    home.advance(6)
    the_claim(home)
    home.advance(4)
    home.queue.renew([outdated])
    home.advance(2)

    assert the_claim(home).attempt.number == 3


def test_an_expired_lease_frees_its_own_action_only(home: Home) -> None:
    """Whoever held it may still be at it: the lane is free once somebody took that very action over and ended it."""
    load_balancer_id, amphora_id = uuid4(), uuid4()
    ask_for(home, BuildAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id))
    the_claim(home)
    ask_for(home, RemoveAmphora(load_balancer_id=load_balancer_id, amphora_id=amphora_id))
    home.advance(6)

    assert the_claim(home).action.kind == "BuildAmphora"


# Ends


def test_a_completed_action_is_gone_and_others_take_its_place(home: Home) -> None:
    ask_for(home, an_action())
    push = PushConfiguration(load_balancer_id=uuid4(), amphora_id=uuid4())

    home.queue.complete(the_claim(home), [push])

    assert home.actions() == [{"kind": "PushConfiguration", "object_id": push.amphora_id}]


def test_an_outdated_attempt_starts_nothing_in_its_place(home: Home) -> None:
    ask_for(home, an_action())
    outdated = the_claim(home)
    home.advance(6)
    the_claim(home)

    home.queue.complete(outdated, [PushConfiguration(load_balancer_id=uuid4(), amphora_id=uuid4())])

    assert [action["kind"] for action in home.actions()] == ["ApplyConfiguration"]


def test_a_failed_action_waits_and_counts_its_failures(home: Home) -> None:
    ask_for(home, an_action())
    home.queue.failed(the_claim(home), "told so", 3.0)
    before = list(home.queue.claim("worker", 10))
    home.advance(4)

    claim = the_claim(home)

    assert before == []
    assert (claim.attempt.number, claim.failures) == (2, 1)


def test_an_action_is_overdue_after_its_deadline_however_often_it_was_tried(home: Home) -> None:
    ask_for(home, an_action())
    first = the_claim(home)
    home.queue.look_again(first, 0)
    home.advance(61)

    second = the_claim(home)

    assert (first.overdue, second.overdue) == (False, True)
    assert (second.now - second.since).total_seconds() == pytest.approx(61, abs=1)


# More is wanted


def one_and_the_same(home: Home, *wanted: int) -> UUID:
    id = uuid4()
    for revision in wanted:
        ask_for(home, an_action(load_balancer_id=id, wanted=revision))
    return id


def test_what_waits_for_the_same_object_is_one_action(home: Home) -> None:
    one_and_the_same(home, 3, 5, 4)

    assert the_claim(home).attempt.done == 5


def test_an_action_is_due_again_when_more_was_wanted_while_it_ran(home: Home) -> None:
    id = one_and_the_same(home, 3)
    claim = the_claim(home)
    ask_for(home, an_action(load_balancer_id=id, wanted=4))

    home.queue.complete(claim)

    assert the_claim(home).attempt.done == 4


def test_an_action_that_did_more_than_it_was_asked_for_is_not_repeated(home: Home) -> None:
    id = one_and_the_same(home, 3)
    claim = the_claim(home)
    ask_for(home, an_action(load_balancer_id=id, wanted=4))

    done = Claim(**{**vars(claim), "attempt": claim.attempt.up_to(4)})
    home.queue.complete(done)

    assert home.actions() == []


def test_what_is_wanted_sooner_is_due_sooner(home: Home) -> None:
    id = uuid4()
    ask_for(home, an_action(load_balancer_id=id, after_seconds=60.0))
    ask_for(home, an_action(load_balancer_id=id))

    assert the_claim(home).action.object_id == id


# The ledger


def test_position_and_actions_are_kept_together(home: Home) -> None:
    def decide(position: Position) -> Step:
        seen.append(position)
        return Step(reached=Position(position + 3), reactions=[an_action()])

    seen: list[int] = []
    home.ledger.advance("a", 0, decide)
    home.ledger.advance("a", 0, decide)
    home.ledger.advance("b", 0, decide)

    assert seen == [0, 3, 0]
    assert len(home.actions()) == 3


def test_nothing_is_kept_of_a_decision_that_fails(home: Home) -> None:
    def fail(position: Position) -> Step:
        raise RuntimeError("cannot decide")

    with pytest.raises(RuntimeError):
        home.ledger.advance("a", 0, fail)

    assert home.actions() == []
    assert home.ledger.advance("a", 0, lambda position: Step(reached=position)) is False
