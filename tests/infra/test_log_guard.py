"""A log that went back in time stops every role, until somebody says that it may go on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from infra.cli import main
from infra.log_guard import LogGuard, LogWasAdopted, LogWentBack, Look, SchemaTooOld, Seen, guarded, hash_of
from infra.log_guard import require_follows as require_follows_in
from infra.log_resync import repair_amphorae
from infra.rebuild import Rebuild
from infra.settings import Profile, Settings
from projections.known import PROJECTIONS
from tests.infra.restoring import Site, a_site, wait_until

pytestmark = pytest.mark.postgres

ROLES = ("api", "worker", "health-manager", "housekeeping", "relay", "projector")


@pytest.fixture
def site(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with a_site(database, tmp_path, monkeypatch) as site:
        yield site


def check(settings: Settings, role: str) -> None:
    """As a process of this role does that starts now."""
    with closing(LogGuard(settings, role)) as guard:
        guard.check()


def adopt(site: Site, why: str = "the disk was lost") -> None:
    main(["log", "adopt", "--why", why, "--config-file", str(site.config)])


def test_log_that_only_grows_is_let_through(site: Site) -> None:
    check(site.settings, "worker")
    id = site.create()
    check(site.settings, "worker")
    site.rename(id, 3)

    check(site.settings, "worker")


@pytest.mark.parametrize("role", ROLES)
def test_role_stops_when_events_that_it_saw_are_gone(site: Site, role: str) -> None:
    id = site.create()
    site.copies.make()
    site.rename(id, 100)
    seen = site.end
    check(site.settings, role)
    site.restore()

    with pytest.raises(LogWentBack, match=f"it ends at {seen - 100}, and position {seen} was seen before"):
        check(site.settings, role)


def test_role_stops_when_other_events_have_taken_the_place_of_those_that_it_saw(site: Site) -> None:
    id = site.create()
    site.copies.make()
    site.rename(id, 10)
    seen = site.end
    check(site.settings, "worker")
    site.restore()
    site.rename(id, 20)

    with pytest.raises(LogWentBack, match=f"it holds another event at position {seen}"):
        check(site.settings, "worker")


def test_role_stops_at_a_log_that_is_another_one(site: Site) -> None:
    check(site.settings, "worker")
    site.sql("UPDATE log_identity SET id = gen_random_uuid()")

    with pytest.raises(LogWentBack, match="it has the id"):
        check(site.settings, "worker")


def test_role_stays_stopped_until_the_log_is_adopted(site: Site) -> None:
    id = site.create()
    site.copies.make()
    site.rename(id, 5)
    check(site.settings, "worker")
    site.restore()
    for _ in range(2):
        with pytest.raises(LogWentBack):
            check(site.settings, "worker")

    adopt(site)

    check(site.settings, "worker")
    site.rename(id, 5)
    check(site.settings, "worker")


def test_restore_from_before_an_adoption_is_noticed_too(site: Site) -> None:
    site.create()
    site.copies.make()
    adopt(site)
    check(site.settings, "worker")
    site.restore()

    with pytest.raises(LogWentBack, match="it has the id"):
        check(site.settings, "worker")


def test_process_that_knows_the_former_life_has_to_be_started_again(site: Site) -> None:
    """What it renders would name the former log."""
    with closing(LogGuard(site.settings, "worker")) as guard:
        guard.check()
        adopt(site)

        with pytest.raises(LogWasAdopted):
            guard.check()

    check(site.settings, "worker")


def test_running_service_is_stopped_by_the_alarm(site: Site) -> None:
    id = site.create()
    site.copies.make()
    site.rename(id, 100)
    stop, raised = Event(), []

    def serve() -> None:
        try:
            with guarded(site.settings, "worker", stop):
                stop.wait()
        except LogWentBack as alarm:
            raised.append(alarm)

    service = Thread(target=serve)
    service.start()
    wait_until(lambda: (site.settings.state_directory / "seen/worker.json").exists())
    site.restore()
    service.join(timeout=30)

    assert len(raised) == 1


def test_memory_that_was_half_written_counts_as_none(site: Site) -> None:
    site.create()
    check(site.settings, "worker")
    (site.settings.state_directory / "seen/worker.json").write_text('{"log_id": "')

    check(site.settings, "worker")


def test_database_that_is_not_migrated_is_named(postgres_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=postgres_url, state_directory=tmp_path)

    with pytest.raises(SchemaTooOld, match="tacitus db upgrade"):
        check(settings, "worker")


def test_hash_is_the_same_here_and_in_the_database(site: Site) -> None:
    site.create()
    columns = "notification_id, originator_id, originator_version, topic, state"
    ((position, id, version, topic, state),) = site.sql(
        f"SELECT {columns} FROM tacitus_events ORDER BY notification_id DESC LIMIT 1"
    )
    event = StoredEvent(id, version, topic, bytes(state))

    with psycopg.connect(site.settings.database_url) as connection:
        latest = Look.at(connection, 0).latest

    assert (latest.position, latest.hash) == (position, hash_of(event))


def test_whoever_remembers_by_messages_may_ask_too(site: Site) -> None:
    site.create()
    with psycopg.connect(site.settings.database_url) as connection:
        latest = Look.at(connection, 0).latest

        require_follows_in(connection, latest)
        for wrong in (
            Seen(log_id=uuid4(), position=latest.position, hash=latest.hash, at=latest.at),
            Seen(log_id=latest.log_id, position=latest.position, hash="another", at=latest.at),
            Seen(log_id=latest.log_id, position=latest.position + 1, hash=latest.hash, at=latest.at),
        ):
            with pytest.raises(LogWentBack):
                require_follows_in(connection, wrong)


# Adoption


def test_positions_are_never_given_twice(site: Site) -> None:
    id = site.create()
    site.copies.make()
    site.rename(id, 100)
    lost = site.end
    site.restore()

    adopt(site)
    site.rename(id, 1)
    first = site.end
    adopt(site, "once more")
    site.rename(id, 1)

    assert lost < first < site.end
    assert site.sql("SELECT why FROM log_adoptions ORDER BY adopted_at") == [("the disk was lost",), ("once more",)]


def test_life_of_the_log_is_shown(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    site.create()
    adopt(site)
    capsys.readouterr()

    main(["log", "show", "--config-file", str(site.config)])

    first, second = capsys.readouterr().out.splitlines()
    ((log_id, former),) = site.sql("SELECT id, former FROM log_adoptions")
    assert first == f"log {log_id}, level 2, ends at position {site.end}"
    assert second.endswith(f"{log_id} followed {former} at position {site.end}: the disk was lost")


@pytest.mark.parametrize("why", ["", "   "])
def test_adoption_without_a_reason_is_refused(site: Site, why: str) -> None:
    with pytest.raises(SystemExit):
        adopt(site, why)

    assert site.sql("SELECT * FROM log_adoptions") == []


def test_consumers_are_not_ahead_of_the_log(site: Site) -> None:
    """Their positions may have been kept in another place than the log, or by a replica that knew more."""
    id = site.create()
    end = site.end
    site.sql("INSERT INTO positions (consumer, position) VALUES ('ahead', %s), ('behind', %s)", end + 50, end - 1)
    site.sql("INSERT INTO published VALUES ('tacitus.events', 0, %s)", end + 50)
    site.sql("INSERT INTO parked_events VALUES ('ahead', %s, %s)", id, end + 1)

    adopt(site)

    assert site.sql("SELECT consumer, position FROM positions ORDER BY 1") == [("ahead", end), ("behind", end - 1)]
    assert site.sql("SELECT position FROM published") == [(end,)]
    assert site.sql("SELECT * FROM parked_events") == []


def test_after_an_adoption_amphorae_consumers_and_rows_agree_with_the_log(site: Site) -> None:
    with site.worker():
        id = site.create()
        site.wait_until_at_rest(id)
    site.copies.make()
    with site.worker():
        site.add_listener(id, "lost", 81)
        site.rename(id, 100)
        site.wait_until_at_rest(id)
    lost, before = site.runs(id), site.end
    check(site.settings, "worker")

    site.restore()
    with pytest.raises(LogWentBack):
        check(site.settings, "worker")
    adopt(site)
    check(site.settings, "worker")
    with site.worker():
        site.wait_until_at_rest(id)
        repaired = site.runs(id)
        site.add_listener(id, "later", 82)
        site.wait_until_at_rest(id)

    ((log_id,),) = site.sql("SELECT id FROM log_identity")
    assert (":80" in lost, ":81" in lost) == (True, True)
    assert (":80" in repaired, ":81" in repaired) == (True, False)
    assert ":82" in site.runs(id)
    assert site.runs(id).startswith(f"# tacitus {log_id} ")
    assert repair_amphorae(site.settings) == 0
    assert site.sql("SELECT count(*) FROM positions WHERE position < %s", before) == [(0,)]
    assert not Rebuild(site.settings.database_url, PROJECTIONS["resource-rows"]).compare().differences


def test_adoption_can_make_all_rows_anew(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    id = site.create()
    site.sql("""UPDATE load_balancers SET document = document || '{"name": "of another backup"}'""")

    main(["log", "adopt", "--why", "restored", "--rebuild", "--config-file", str(site.config)])

    assert site.sql("SELECT document ->> 'name' FROM load_balancers WHERE id = %s", id) == [("",)]
    said = capsys.readouterr().out
    assert "resource-rows: made anew from" in said
    assert "changes: made anew from" in said


def test_services_of_the_database_cannot_adopt(site: Site) -> None:
    with psycopg.connect(site.settings.database_url, autocommit=True) as connection:
        connection.execute("SET ROLE tacitus_service")
        for statement in (
            "UPDATE log_identity SET level = 3",
            "INSERT INTO log_adoptions (id, former, position, why) SELECT id, id, 1, '' FROM log_identity",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


@pytest.mark.slow
def test_running_processes_end_with_an_exit_code_of_its_own(site: Site) -> None:
    """Real ones: each role of a machine without amphorae, and the API with its workers."""
    site.settings = replace(site.settings, profile=Profile.NOOP)
    id = site.create()
    site.copies.make()
    site.rename(id, 100)
    file = site.config
    file.write_text(f"{file.read_text()}[api_settings]\nbind_port = 0\nauth_strategy = noauth\n")
    file.write_text(f"{file.read_text()}[health_manager]\nbind_port = 0\n")
    roles = ("api", "worker", "health-manager", "housekeeping", "projector")
    processes = {role: start(role, file) for role in roles}
    try:
        wait_until(lambda: site.sql("SELECT count(*) FROM running_processes") >= [(6,)])  # the API has two workers
        wait_until(lambda: all((site.settings.state_directory / f"seen/{role}.json").exists() for role in roles))
        site.restore()
        codes = {role: process.wait(timeout=30) for role, process in processes.items()}
    finally:
        for process in processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    assert codes == dict.fromkeys(roles, 6)


def start(role: str, file: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "infra.cli", role, "--config-file", str(file)]
    log = (file.parent / f"{role}.log").open("wb")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=Path(__file__).parents[2])
