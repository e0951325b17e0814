"""`tacitus doctor` names what is wrong, each with what helps, and says nothing of what is well."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from amphora.driver import NoopAmphoraDriver
from domain.fields import Position
from domain.health import FailoverGuard
from domain.load_balancer_events import LoadBalancerSettings
from domain.parked_stream import ParkedStream
from infra.doctor import Doctor
from infra.noop_compute import NoopComputeDriver
from processes.ports import BootOrder, ComputeFault
from processes.reconciliation import Comparison
from tests.infra.annals import Annals, annals_in

pytestmark = pytest.mark.postgres


@dataclass
class Ward:
    """Annals, with an outside that is as the log says. Its amphorae hold no files."""

    annals: Annals
    driver: NoopAmphoraDriver = field(default_factory=NoopAmphoraDriver)
    compute: NoopComputeDriver = field(default_factory=NoopComputeDriver)

    def complaints(self, id: UUID | None = None, *, has_files: bool = False) -> list[str]:
        comparison = Comparison(self.annals.store, self.compute, self.driver, lambda: None)
        doctor = Doctor(self.annals.connection, comparison, has_files=has_files, pending_seconds=0)
        return [str(complaint) for complaint in doctor.complaints(id)]

    def boot(self, amphora_id: UUID) -> None:
        self.compute.boot(BootOrder(amphora_id=amphora_id, load_balancer_id=uuid4(), files={}))

    def ask_for(self, kind: str, object_id: UUID, *, overdue: bool = False, due: bool = False) -> None:
        """An action of the serving load balancer."""
        self.annals.sql(
            "INSERT INTO actions (kind, object_id, lane, priority, payload, due_at, deadline, failures, last_error)"
            " VALUES (%s, %s, 'x', 1, jsonb_build_object('load_balancer_id', %s::uuid),"
            " now() + make_interval(mins => %s), now() + make_interval(mins => %s), 3, 'no route')",
            kind,
            object_id,
            self.annals.serving.id,
            -2 if due else 2,
            -1 if overdue else 1,
        )

    def change(self) -> None:
        self.annals.serving.change(LoadBalancerSettings(name="later"))
        self.annals.save(self.annals.serving)


@pytest.fixture
def ward(database: str) -> Iterator[Ward]:
    with annals_in(database) as annals:
        yield Ward(annals)


def test_nothing_is_said_of_what_is_well(ward: Ward) -> None:
    assert ward.complaints() == []
    assert ward.complaints(ward.annals.serving.id) == []


def test_overdue_step_is_named_with_its_last_error(ward: Ward) -> None:
    serving, amphora = ward.annals.serving.id, ward.annals.amphora.id
    ward.ask_for("PushConfiguration", amphora, overdue=True)

    (complaint,) = ward.complaints(serving)

    words, help = complaint.split("\n")
    assert words.startswith(f"load balancer {serving}: PushConfiguration of {amphora} is overdue, asked for at 20")
    assert words.endswith("; failed 3 times: no route")
    assert help == f"    tacitus repair {serving} --why TEXT"
    assert ward.complaints(ward.annals.remote.id) == []


def test_change_that_somebody_works_on_is_well(ward: Ward) -> None:
    ward.change()
    ward.ask_for("PushConfiguration", ward.annals.amphora.id)

    assert ward.complaints() == []


def test_change_that_nobody_works_on_is_named(ward: Ward) -> None:
    ward.change()

    (complaint,) = ward.complaints()

    assert f"load balancer {ward.annals.serving.id} is PENDING_UPDATE since " in complaint
    assert "and nothing is being done about it\n    tacitus repair" in complaint


def test_what_was_refused_is_named_with_the_words_of_the_amphora(ward: Ward) -> None:
    planted, serving = ward.annals.planted, ward.annals.serving
    serving.change_member(planted.member)
    serving.configuration_is_refused(ward.annals.amphora.id, serving.revision, {planted.member.id: "no such address"})
    serving.configuration_is_applied(ward.annals.amphora.id, serving.revision, "sha", [planted.member.id])
    ward.annals.save(serving)

    (complaint,) = ward.complaints()

    assert f"member {planted.member.id} of {serving.id} is in ERROR: no such address\n" in complaint
    assert complaint.endswith(f"tacitus history {serving.id}")


def suspend(ward: Ward) -> None:
    guard = FailoverGuard.set_up()
    guard.suspend(silent=5, in_service=6)
    ward.annals.save(guard)


def full(ward: Ward) -> None:
    def told_so() -> list[UUID]:
        raise ComputeFault("no answer")

    ward.compute.inventory = told_so  # type: ignore[method-assign]


def behind(ward: Ward) -> None:
    ward.annals.sql("INSERT INTO positions (consumer, position) VALUES ('processes', 3)")
    ward.annals.age(1)


def park(ward: Ward, stream_id: UUID, *positions: int) -> ParkedStream:
    """The first of these positions is that of the event that failed."""
    for position in positions:
        ward.annals.sql("INSERT INTO parked_events VALUES ('processes', %s, %s)", stream_id, position)
    reason = "ValueError: no such listener\nand more"
    parked = ParkedStream.of(consumer="processes", stream_id=stream_id, position=Position(positions[0]), reason=reason)
    ward.annals.save(parked)
    return parked


def old_level(ward: Ward) -> None:
    ward.annals.sql("UPDATE log_identity SET level = 1")


WRONG: dict[str, tuple[Callable[[Ward], None], str, str]] = {
    "no worker": (
        lambda it: it.ask_for("PushConfiguration", it.annals.amphora.id, due=True),
        "1 actions are due, the first since 20",
        "tacitus worker",
    ),
    "lag": (behind, "consumer 'processes' is ", "is its process running"),
    "level": (old_level, "the log has level 1: newer formats are not written", "tacitus upgrade status"),
    "suspended": (suspend, "automatic failover is suspended", "look at the network"),
    "orphan": (lambda it: it.boot(uuid4()), "runs although nothing wants it", "tacitus orphans --remove"),
    "compute": (full, "the compute service does not answer: no answer", "see whether it is there"),
    "silent amphora": (
        lambda it: it.driver.unreachable.add(it.annals.amphora.id),
        "does not answer: told so",
        "tacitus repair",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named_with_what_helps(ward: Ward, what: str) -> None:
    spoil, words, help = WRONG[what]

    spoil(ward)

    (complaint,) = ward.complaints()
    said, helps = complaint.split("\n")
    assert words in said
    assert help in helps


def position_of(ward: Ward, aggregate_id: UUID) -> int:
    """Of the first event of an aggregate."""
    sql = "SELECT min(notification_id) FROM tacitus_events WHERE originator_id = %s"
    (position,) = ward.annals.connection.execute(sql, (aggregate_id,)).fetchone() or (0,)
    return int(position)


def test_parked_stream_is_named_with_its_consumer_its_reason_and_what_can_be_decided(ward: Ward) -> None:
    serving, first = ward.annals.serving, position_of(ward, ward.annals.serving.id)
    park(ward, serving.id, first, first + 1)

    (complaint,) = ward.complaints(serving.id)

    words, *help = complaint.split("\n    ")
    named = f"load balancer {serving.id} {serving.settings.name!r} is parked for 'processes' since 20"
    assert words.startswith(named)
    assert words.endswith(
        f": LoadBalancerCreated at position {first} cannot be handled (ValueError: no such listener);"
        " 2 events wait, that one included"
    )
    assert [line.partition("  # ")[0] for line in help] == [
        f"tacitus parked show {serving.id} --consumer processes",
        f"tacitus parked retry {serving.id} --consumer processes --why TEXT",
        f"tacitus parked skip {serving.id} --consumer processes --why TEXT",
    ]
    assert ward.complaints() == [complaint]
    assert ward.complaints(ward.annals.remote.id) == []


def test_parked_stream_tells_the_time_at_which_it_was_put_aside(ward: Ward) -> None:
    parked = park(ward, ward.annals.serving.id, 7)
    parked.release()
    parked.park(Position(8), "KeyError: 'again'")
    ward.annals.save(parked)
    parked.request_skip("it does no good")
    parked.park(Position(9), "KeyError: 'the next'")
    ward.annals.save(parked)
    ward.annals.sql(
        "UPDATE commits SET recorded_at = '2026-03-01 10:00:00+00' WHERE position = %s - 2", ward.annals.end
    )

    (complaint,) = ward.complaints()

    assert "since 2026-03-01 10:00:00: " in complaint
    assert "(KeyError: 'the next')" in complaint


def test_parked_stream_that_somebody_decided_about_waits_for_its_consumer(ward: Ward) -> None:
    parked = park(ward, ward.annals.serving.id, 7)
    parked.request_retry("mended")
    ward.annals.save(parked)

    (complaint,) = ward.complaints()

    assert (
        "; somebody has decided about it, and 'processes' has not come to it\n    is its process running?" in complaint
    )


def test_parked_stream_of_something_else_is_named_by_how_it_began(ward: Ward) -> None:
    guard = FailoverGuard.set_up()
    ward.annals.save(guard)
    park(ward, guard.id, ward.annals.end)

    (complaint,) = ward.complaints()

    assert complaint.startswith(
        f"the stream {guard.id}, which began with FailoverGuardSetUp, is parked for 'processes'"
    )


def test_parked_stream_of_a_load_balancer_that_is_gone_is_named(ward: Ward) -> None:
    park(ward, ward.annals.gone.id, position_of(ward, ward.annals.gone.id))

    (complaint,) = ward.complaints()

    assert complaint.startswith(f"load balancer {ward.annals.gone.id} that is gone is parked for 'processes' since")


def test_change_that_waits_behind_a_parked_event_is_not_to_be_repaired(ward: Ward) -> None:
    ward.change()
    park(ward, ward.annals.serving.id, ward.annals.end)

    pending, parked = ward.complaints()

    assert pending.endswith("and nothing is being done about it\n    its events are parked, see there")
    assert "LoadBalancerChanged at position" in parked


def test_amphora_with_another_file_is_named(ward: Ward) -> None:
    ward.driver.configurations[ward.annals.amphora.id, ward.annals.serving.id] = 1, "by hand"

    (complaint,) = ward.complaints(ward.annals.serving.id, has_files=True)

    assert f"amphora {ward.annals.amphora.id} of load balancer" in complaint
    assert "holds another configuration than it confirmed\n    tacitus repair" in complaint


def test_amphorae_that_are_wanted_are_no_orphans(ward: Ward) -> None:
    ward.boot(ward.annals.amphora.id)

    assert ward.complaints() == []
