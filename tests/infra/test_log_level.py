"""A release reads newer formats before it writes them, and stops at what it does not know."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent

from commands.ports import Origin, StoreUnavailable
from domain.load_balancer import LoadBalancer
from infra.cli import main
from infra.event_store import EventStore
from infra.log_guard import LogGuard, guarded
from infra.log_level import FRESH_FOR_SECONDS, LEVEL, FreshLevel, LevelTooLow, NewerLevel, version_to_write
from infra.settings import Settings
from infra.transcoding import EventMapper, NewerFormat, UnknownEvent
from tests.given import a_listener, a_load_balancer, an_l7_policy


def test_version_is_the_newest_that_the_level_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.log_level.WRITTEN_FROM", {("Old", 2): 2, ("Old", 3): 4, ("New", 1): 3})

    assert [version_to_write("Old", 3, level) for level in (1, 2, 3, 4)] == [1, 2, 2, 3]
    assert version_to_write("New", 1, 3) == 1
    with pytest.raises(LevelTooLow, match="New can be recorded from level 3"):
        version_to_write("New", 1, 2)


def test_level_is_asked_for_now_and_then() -> None:
    now, level, asked = [0.0], [1], []

    def read() -> int:
        asked.append(now[0])
        return level[0]

    fresh = FreshLevel(read, lambda: now[0])
    seen = [fresh.now(), fresh.now()]
    level[0], now[0] = 2, FRESH_FOR_SECONDS + 0.1
    seen.append(fresh.now())
    level[0], now[0] = LEVEL + 1, 2 * FRESH_FOR_SECONDS + 0.2

    assert seen == [1, 1, 2]
    with pytest.raises(NewerLevel):
        fresh.now()
    assert asked == [0.0, FRESH_FOR_SECONDS + 0.1, 2 * FRESH_FOR_SECONDS + 0.2]


def test_level_that_cannot_be_asked_for_is_the_last_one_known() -> None:
    """What was allowed once is allowed for ever; that the log does not answer, whoever appends finds out."""
    answers: list[int | StoreUnavailable] = [StoreUnavailable("gone"), 2, StoreUnavailable("gone again")]
    now = [0.0]

    def read() -> int:
        now[0] += FRESH_FOR_SECONDS + 0.1
        answer = answers.pop(0)
        if isinstance(answer, StoreUnavailable):
            raise answer
        return answer

    fresh = FreshLevel(read, lambda: now[0])
    seen = [fresh.now(), fresh.now()]
    now[0] += FRESH_FOR_SECONDS + 0.1

    assert [*seen, fresh.now()] == [1, 2, 2]


def removal() -> Any:
    """Of a listener with a policy."""
    load_balancer, listener = a_load_balancer(), a_listener()
    load_balancer.add_listener(listener)
    load_balancer.add_l7_policy(an_l7_policy(listener))
    load_balancer.remove_listener(listener.id)
    return load_balancer.pending_events[-1]


def test_older_version_says_the_same_to_this_release() -> None:
    event, mapper = removal(), EventMapper()
    mapper.level = 1

    stored = mapper.to_stored_event(event)

    state = json.loads(stored.state)
    assert "class_version" not in state
    assert [ref["kind"] for ref in state["below"]] == ["l7_policies"]
    read = mapper.to_domain_event(stored)
    assert vars(read) == vars(event)
    assert [ref.kind for ref in read.removed] == ["listeners", "l7_policies"]  # type: ignore[attr-defined]


def test_event_of_a_newer_format_is_not_half_read() -> None:
    stored = EventMapper().to_stored_event(removal())
    newer = {**json.loads(stored.state), "class_version": 3}

    with pytest.raises(NewerFormat, match="ListenerRemoved has format 3, this release reads up to 2"):
        EventMapper().to_domain_event(
            StoredEvent(stored.originator_id, stored.originator_version, stored.topic, json.dumps(newer).encode())
        )


def test_event_that_nobody_knows_is_of_a_newer_release() -> None:
    with pytest.raises(UnknownEvent, match="Surmised is an event that this release does not know"):
        EventMapper().to_domain_event(StoredEvent(uuid4(), 1, "Surmised", b"{}"))


# On a log


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database, state_directory=tmp_path)


@pytest.fixture
def store(database: str) -> Iterator[EventStore]:
    store = EventStore(database)
    yield store
    store.close()


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> Path:
    file = tmp_path / "tacitus.conf"
    said = f"[DEFAULT]\nstate_directory = {tmp_path}\n[database]\nconnection = {settings.database_url}\n"
    file.write_text(f"{said}[api_settings]\nauth_strategy = noauth\n")
    return file


def sql(settings: Settings, statement: str) -> list[Any]:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def removed_listeners(store: EventStore) -> LoadBalancer:
    load_balancer, listener = a_load_balancer(), a_listener()
    load_balancer.add_listener(listener)
    load_balancer.remove_listener(listener.id)
    store.save(load_balancer, origin=Origin())
    return load_balancer


_REMOVALS = "SELECT convert_from(state, 'UTF8')::jsonb FROM tacitus_events WHERE topic = 'ListenerRemoved'"


@pytest.mark.postgres
def test_new_log_is_written_in_the_newest_formats(settings: Settings, store: EventStore) -> None:
    removed_listeners(store)

    ((state,),) = sql(settings, _REMOVALS)

    assert state["class_version"] == 2


@pytest.mark.postgres
def test_store_writes_older_formats_until_the_upgrade_is_finished(
    settings: Settings, store: EventStore, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(settings, "UPDATE log_identity SET level = 1")
    before = removed_listeners(store)

    with pytest.raises(SystemExit) as unfinished:
        main(["upgrade", "status", "--config-file", str(config)])
    told = capsys.readouterr().out
    main(["upgrade", "finish", "--config-file", str(config)])
    main(["upgrade", "status", "--config-file", str(config)])
    later = EventStore(settings.database_url)
    after = removed_listeners(later)

    assert unfinished.value.code == 1
    assert "the log has level 1" in told
    assert "not written yet: ListenerRemoved, version 2" in told
    assert [state.get("class_version") for (state,) in sql(settings, _REMOVALS)] == [None, 2]
    assert [vars(later.load_balancer(each.id))["tree"].listeners for each in (before, after)] == [{}, {}]
    later.close()


@pytest.mark.postgres
def test_upgrade_is_not_finished_while_an_older_release_runs(
    settings: Settings, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sql(settings, "UPDATE log_identity SET level = 1")
    sql(settings, "INSERT INTO running_processes VALUES ('worker on a, process 1', 1, '0.0.9', clock_timestamp())")

    with pytest.raises(SystemExit):
        main(["upgrade", "finish", "--config-file", str(config)])

    assert "worker on a, process 1 (release 0.0.9)" in capsys.readouterr().err
    assert sql(settings, "SELECT level FROM log_identity") == [(1,)]
    sql(settings, "UPDATE running_processes SET seen_at = seen_at - interval '31 seconds'")
    main(["upgrade", "finish", "--config-file", str(config)])
    assert sql(settings, "SELECT level FROM log_identity") == [(LEVEL,)]


@pytest.mark.postgres
def test_process_is_known_while_it_runs(settings: Settings) -> None:
    stop = Event()

    with guarded(settings, "worker", stop):
        running = sql(settings, "SELECT level FROM running_processes WHERE name LIKE 'worker on %'")

    assert running == [(LEVEL,)]
    assert sql(settings, "SELECT * FROM running_processes") == []


@pytest.mark.postgres
def test_nothing_is_written_at_a_level_that_this_release_does_not_know(settings: Settings, store: EventStore) -> None:
    sql(settings, f"UPDATE log_identity SET level = {LEVEL + 1}")

    with pytest.raises(NewerLevel):
        store.save(a_load_balancer(), origin=Origin())

    assert sql(settings, "SELECT count(*) FROM tacitus_events") == [(0,)]


@pytest.mark.postgres
def test_process_stops_when_the_level_passes_it(settings: Settings) -> None:
    guard = LogGuard(settings, "worker")
    guard.check()
    sql(settings, f"UPDATE log_identity SET level = {LEVEL + 1}")

    with pytest.raises(NewerLevel, match="Install the newer release"):
        guard.check()

    guard.close()


@pytest.mark.postgres
def test_service_that_is_too_old_does_not_start_and_says_so_by_its_exit_code(
    settings: Settings, config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.cli_roles.stop_on_signal", Event)  # not in the main thread of pytest's worker
    monkeypatch.setattr("infra.cli_roles.write_logs", lambda service: None)
    sql(settings, f"UPDATE log_identity SET level = {LEVEL + 1}")

    with pytest.raises(SystemExit) as end:
        main(["worker", "--config-file", str(config)])

    assert end.value.code == 5
    assert f"the log has level {LEVEL + 1}" in capsys.readouterr().err


@pytest.mark.postgres
def test_event_of_the_future_stops_whoever_reads_it(settings: Settings, store: EventStore) -> None:
    load_balancer = a_load_balancer()
    store.save(load_balancer, origin=Origin())
    statement = "INSERT INTO tacitus_events VALUES ('{}', 2, 'Surmised', '{{}}')"
    sql(settings, statement.format(load_balancer.id))

    with pytest.raises(NewerFormat):
        store.load_balancer(load_balancer.id)


def test_timestamp_of_an_older_format_keeps_its_zone() -> None:
    event = removal()
    mapper = EventMapper()
    mapper.level = 1

    read: Any = mapper.to_domain_event(mapper.to_stored_event(event))

    assert read.timestamp == event.timestamp
    assert read.timestamp.tzinfo is not None
    assert read.timestamp <= datetime.now(UTC)
