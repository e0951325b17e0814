"""What the health manager decides, on a clock that the test moves."""

from collections.abc import Iterable, Sequence
from uuid import UUID, uuid4

import pytest

from amphora.driver import AgentFault, AgentInfo, AmphoraAddress, AmphoraUnreachable, NoopAmphoraDriver
from amphora.wire import Additions, Heartbeat, ListenerReport, PoolReport
from domain.fields import OperatingStatus
from domain.health import Observation
from domain.load_balancer import LoadBalancer
from processes.health import PACE_SECONDS, HealthBoard, SilenceWatch, observation_of, why_it_does_not_answer
from tests.given import a_listener, an_active_load_balancer, confirm

TIMEOUT = 4.0
START = 100.0
FIRST_JUDGEMENT = START + TIMEOUT


class Watched:
    """A watch over some amphorae, looked at as often as the loop would."""

    def __init__(self, count: int, *, is_suspended: bool = False) -> None:
        self.amphorae = [uuid4() for _ in range(count)]
        self.watch = SilenceWatch(timeout=TIMEOUT, now=START, is_suspended=is_suspended)
        self.watch.in_service(self.amphorae, START)
        self.now = START

    def until(self, end: float, speaking: Iterable[UUID] = (), *, listening: bool = True) -> list[UUID]:
        """Let time pass in steps of a quarter of a second; returns who had to be asked."""
        asked, listened_until = [], self.now
        while self.now < end:
            self.now += 0.25
            listened_until = self.now if listening else listened_until
            for id in speaking:
                self.watch.heard(id, self.now)
            asked += self.watch.look(self.now, listened_until=listened_until)
        return asked

    def lost(self, ids: Sequence[UUID]) -> list[UUID]:
        """Those of them that are given up when none of them answers."""
        return [id for id in ids if self.watch.is_lost(id, self.now)]


# Silence


def test_an_amphora_that_speaks_is_left_alone() -> None:
    watched = Watched(3)

    assert watched.until(START + 60, speaking=watched.amphorae) == []


def test_a_silent_amphora_is_asked_once_and_then_lost() -> None:
    watched = Watched(3)
    silent, *speaking = watched.amphorae

    asked = watched.until(START + 2 * TIMEOUT, speaking)

    assert asked == [silent]
    assert watched.lost([silent]) == [silent]


def test_nobody_is_asked_in_the_first_timeout_after_our_own_start() -> None:
    watched = Watched(3)

    assert watched.until(FIRST_JUDGEMENT) == []


def test_an_amphora_that_answers_is_asked_again_only_after_another_timeout() -> None:
    watched = Watched(1)
    (silent,) = watched.until(FIRST_JUDGEMENT + 0.5)

    watched.watch.answered(silent, watched.now)

    assert watched.until(watched.now + TIMEOUT - 0.5) == []
    assert watched.until(watched.now + 1) == [silent]


def test_an_amphora_that_speaks_while_it_is_asked_is_not_lost() -> None:
    watched = Watched(1)
    (silent,) = watched.until(FIRST_JUDGEMENT + 0.5)

    watched.watch.heard(silent, watched.now)

    assert watched.lost([silent]) == []


def test_an_amphora_that_left_service_is_not_lost() -> None:
    watched = Watched(2)
    silent, speaking = watched.amphorae
    watched.until(FIRST_JUDGEMENT + 0.5, [speaking])

    watched.watch.in_service([speaking], watched.now)

    assert watched.lost([silent]) == []
    assert watched.watch.silent == 0


def test_a_new_amphora_has_a_whole_timeout() -> None:
    watched = Watched(1)
    watched.until(START + 20, watched.amphorae)
    new = uuid4()

    watched.watch.in_service([*watched.amphorae, new], watched.now)

    assert watched.until(watched.now + TIMEOUT, watched.amphorae) == []
    assert watched.until(watched.now + 0.5, watched.amphorae) == [new]


def test_nobody_is_asked_after_we_were_stopped_for_a_while() -> None:
    watched = Watched(3)
    watched.until(START + 20, watched.amphorae)

    watched.now += 30  # a suspended machine, a debugger, a database that did not answer

    assert watched.until(watched.now + TIMEOUT) == []


def test_nobody_is_asked_while_datagrams_wait_to_be_read() -> None:
    watched = Watched(3)
    watched.until(START + 20, watched.amphorae)

    assert watched.until(START + 60, listening=False) == []


def test_an_answer_that_fails_to_come_while_we_lag_loses_nobody() -> None:
    watched = Watched(1)
    asked = watched.until(FIRST_JUDGEMENT + 0.5)
    watched.now += 30
    watched.watch.look(watched.now, listened_until=watched.now)

    assert watched.lost(asked) == []


# Many at once


@pytest.mark.parametrize(
    ("silent", "in_service", "suspended"),
    [(4, 4, False), (5, 5, True), (5, 25, True), (5, 26, False), (6, 26, True)],
)
def test_failover_is_suspended_when_five_and_a_fifth_are_silent(silent: int, in_service: int, suspended: bool) -> None:
    watched = Watched(in_service)

    watched.until(START + 2 * TIMEOUT, watched.amphorae[silent:])

    assert watched.watch.must_suspend(watched.now) == suspended


def test_silences_of_different_times_are_no_incident() -> None:
    watched = Watched(10)
    amphorae = list(watched.amphorae)
    for fallen in range(1, 6):
        watched.until(watched.now + watched.watch.window + TIMEOUT, amphorae[fallen:])
        if fallen < 5:
            assert not watched.watch.must_suspend(watched.now)

    assert watched.watch.silent == 5
    assert not watched.watch.must_suspend(watched.now)


def test_nobody_is_lost_while_failover_is_suspended() -> None:
    watched = Watched(5, is_suspended=True)

    asked = watched.until(FIRST_JUDGEMENT + 0.5)

    assert len(asked) == 5
    assert watched.lost(asked) == []


def test_who_was_spared_is_asked_again_once_failover_is_resumed() -> None:
    watched = Watched(5, is_suspended=True)
    watched.lost(watched.until(FIRST_JUDGEMENT + 0.5))
    back = watched.amphorae[1:]
    still_silent = watched.amphorae[0]

    asked = watched.until(watched.now + TIMEOUT - 0.5, back)
    resumed = watched.watch.may_resume()
    watched.watch.is_suspended = False
    asked += watched.until(watched.now + 1, back)

    assert resumed
    assert asked == [still_silent]
    assert watched.lost(asked) == [still_silent]


def test_failover_stays_suspended_while_most_are_silent() -> None:
    watched = Watched(10, is_suspended=True)

    watched.until(START + 10 * watched.watch.window, watched.amphorae[5:])

    assert not watched.watch.may_resume()


# Asking


AMPHORA = AmphoraAddress(uuid4(), "127.0.0.1")


class Answers:
    """An agent that answers as told, in order."""

    def __init__(self, *answers: Exception | None) -> None:
        self._answers = list(answers)

    def info(self, amphora: AmphoraAddress) -> AgentInfo:
        answer = self._answers.pop(0)
        if answer is not None:
            raise answer
        return NoopAmphoraDriver().info(amphora)


UNREACHABLE = AmphoraUnreachable(AMPHORA, "connection refused")


@pytest.mark.parametrize(
    ("answers", "reason", "pauses"),
    [
        ([None], None, 0),
        ([AgentFault(500, "disk full")], None, 0),
        ([UNREACHABLE, None], None, 1),
        ([UNREACHABLE, AgentFault(503, "busy")], None, 1),
        ([UNREACHABLE, UNREACHABLE], "connection refused", 1),
    ],
)
def test_an_amphora_is_asked_twice_before_it_is_given_up(
    answers: list[Exception | None], reason: str | None, pauses: int
) -> None:
    paused: list[None] = []

    found = why_it_does_not_answer(Answers(*answers), AMPHORA, lambda: paused.append(None))

    assert found == reason
    assert len(paused) == pauses


# Statuses

LISTENER = a_listener()


def a_load_balancer_with_a_listener() -> LoadBalancer:
    load_balancer = an_active_load_balancer()
    load_balancer.add_listener(LISTENER)
    confirm(load_balancer)
    return load_balancer


OPEN, FULL = (Observation(listeners={LISTENER.id: status}) for status in ("OPEN", "FULL"))
AMPHORA_ID = uuid4()


def a_board() -> HealthBoard:
    return HealthBoard(lambda load_balancer_id: {})


def test_a_change_is_due_at_once() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()

    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)

    assert board.due(START) == [load_balancer.id]
    assert board.changes(load_balancer) == {load_balancer.id: "ONLINE", LISTENER.id: "ONLINE"}


def test_what_is_seen_again_is_not_due() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()
    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)
    board.recorded(load_balancer.id, board.changes(load_balancer), START)

    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START + 60)

    assert board.due(START + 60) == []


def test_the_next_change_waits_for_its_pace_and_is_the_net_one() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()
    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)
    board.recorded(load_balancer.id, board.changes(load_balancer), START)

    for observation in (FULL, OPEN, FULL):
        board.observed(load_balancer.id, AMPHORA_ID, observation, START + 0.1)

    assert board.due(START + 0.5) == []
    assert board.seconds_until_due(START + 0.5) == pytest.approx(PACE_SECONDS - 0.5)
    assert board.due(START + PACE_SECONDS) == [load_balancer.id]
    assert board.changes(load_balancer) == {load_balancer.id: "DEGRADED", LISTENER.id: "DEGRADED"}


def test_a_flap_that_is_over_is_no_event() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()
    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)
    board.recorded(load_balancer.id, board.changes(load_balancer), START)

    for observation in (FULL, OPEN):
        board.observed(load_balancer.id, AMPHORA_ID, observation, START + 0.1)

    assert board.changes(load_balancer) == {}


def test_what_is_recorded_already_is_not_recorded_again_after_a_restart() -> None:
    load_balancer = a_load_balancer_with_a_listener()
    known = {load_balancer.id: OperatingStatus.ONLINE, LISTENER.id: OperatingStatus.ONLINE}
    board = HealthBoard(lambda load_balancer_id: known)

    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)

    assert board.changes(load_balancer) == {}


def test_what_was_not_recorded_is_tried_again_after_a_pause() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()
    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START)

    board.not_recorded(load_balancer.id, START)

    assert board.due(START) == []
    assert board.due(START + PACE_SECONDS) == [load_balancer.id]
    assert board.changes(load_balancer)


def test_what_was_seen_before_a_change_says_nothing_about_the_state_after_it() -> None:
    board, load_balancer = a_board(), an_active_load_balancer()
    board.observed(load_balancer.id, AMPHORA_ID, Observation(), START)
    board.recorded(load_balancer.id, board.changes(load_balancer), START)
    load_balancer.add_listener(LISTENER)
    confirm(load_balancer)

    board.load_balancer_changed(load_balancer.id, START + 5)
    board.observed(load_balancer.id, AMPHORA_ID, Observation(), START + 4.9)
    before = board.changes(load_balancer)
    board.observed(load_balancer.id, AMPHORA_ID, OPEN, START + 5.1)

    assert before == {}
    assert board.changes(load_balancer) == {LISTENER.id: "ONLINE"}


def test_an_amphora_that_left_service_has_no_say() -> None:
    board, load_balancer = a_board(), a_load_balancer_with_a_listener()
    board.observed(load_balancer.id, AMPHORA_ID, FULL, START)
    board.observed(load_balancer.id, uuid4(), OPEN, START)

    board.amphora_left(load_balancer.id, AMPHORA_ID)

    assert board.changes(load_balancer)[LISTENER.id] == "ONLINE"


# Heartbeats


def a_heartbeat(*pools: PoolReport, partial: bool = False) -> Heartbeat:
    additions = Additions(boot_id=uuid4(), sent_at=0.0, partial=partial)
    return Heartbeat(AMPHORA_ID, 1, {LISTENER.id: ListenerReport("OPEN")}, pools, additions)


def test_a_pool_of_two_listeners_is_seen_as_both_see_it() -> None:
    pool_id, member_id = uuid4(), uuid4()
    heartbeat = a_heartbeat(
        PoolReport(pool_id, uuid4(), "UP", {member_id: "UP"}),
        PoolReport(pool_id, uuid4(), "DOWN", {member_id: "DOWN"}),
    )

    observation = observation_of(heartbeat, None)

    assert observation.pools == {pool_id: {"UP", "DOWN"}}
    assert observation.members == {member_id: {"UP", "DOWN"}}
    assert observation.listeners == {LISTENER.id: "OPEN"}


def test_the_parts_of_a_large_heartbeat_add_up() -> None:
    first, second = (PoolReport(uuid4(), uuid4(), "UP", {uuid4(): "UP"}) for _ in range(2))

    earlier = observation_of(a_heartbeat(first, partial=True), None)
    whole = observation_of(a_heartbeat(second, partial=True), earlier)

    assert whole.pools.keys() == {first.pool_id, second.pool_id}
    assert whole.members.keys() == {*first.members, *second.members}


def test_a_whole_heartbeat_replaces_what_was_seen_before() -> None:
    first, second = (PoolReport(uuid4(), uuid4(), "UP") for _ in range(2))

    observation = observation_of(a_heartbeat(second), observation_of(a_heartbeat(first), None))

    assert observation.pools.keys() == {second.pool_id}
