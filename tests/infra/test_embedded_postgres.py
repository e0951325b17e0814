"""The embedded server survives what happens to it: kills, stale files, long paths, a second start."""

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.embedded_postgres import EmbeddedPostgres, PostgresFailed
from infra.process_table import daemons_in
from infra.state_directory import StateDirectory, StateDirectoryInUse

pytestmark = pytest.mark.postgres


@pytest.fixture
def directory() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="tacitus-pg-"))
    place.chmod(0o711)
    yield place / "postgresql"
    EmbeddedPostgres(place / "postgresql").stop()
    shutil.rmtree(place)


def test_committed_rows_survive_a_kill_of_all_server_processes(directory: Path) -> None:
    url = EmbeddedPostgres(directory).start()
    _execute(url, "CREATE TABLE annals (year int)", "INSERT INTO annals VALUES (14)")

    for pid in daemons_in(directory):
        os.kill(pid, signal.SIGKILL)
    url = EmbeddedPostgres(directory).start()

    assert _execute(url, "SELECT year FROM annals") == [(14,)]


def test_start_waits_for_what_a_killed_postmaster_left_behind(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    url = server.start()
    killed = server.pid
    assert killed is not None

    os.kill(killed, signal.SIGKILL)
    url = EmbeddedPostgres(directory).start()

    assert _execute(url, "SELECT 1") == [(1,)]
    assert server.pid not in (None, killed)


def test_a_running_server_is_adopted(directory: Path) -> None:
    first = EmbeddedPostgres(directory)
    url = first.start()

    second = EmbeddedPostgres(directory)

    assert second.start() == url
    assert second.pid == first.pid


def test_stop_leaves_no_process_and_no_socket(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()

    EmbeddedPostgres(directory).stop()

    assert daemons_in(directory) == []
    assert [path for path in directory.iterdir() if path.is_socket()] == []
    assert server.pid is None


def test_a_pid_file_that_names_a_stranger_does_not_prevent_the_start(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    server.stop()
    stranger = f"{os.getpid()}\n{directory}/data\n1\n5432\n{directory}\n\n1 1\nready\n"
    (directory / "data/postmaster.pid").write_text(stranger)

    url = EmbeddedPostgres(directory).start()

    assert _execute(url, "SELECT 1") == [(1,)]


def test_a_path_too_long_for_a_socket_is_served_from_a_short_one(directory: Path) -> None:
    deep = directory.parent / ("deep" * 30) / "postgresql"
    deep.parent.mkdir(mode=0o711)

    server = EmbeddedPostgres(deep)
    url = server.start()
    answer = _execute(url, "SELECT 1")
    server.stop()

    assert answer == [(1,)]
    assert str(deep) not in url


def test_nobody_else_can_enter_the_directory_of_the_socket(directory: Path) -> None:
    EmbeddedPostgres(directory).start()

    assert directory.stat().st_mode & 0o077 == 0


def test_a_cluster_of_another_version_is_refused_by_name(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    server.stop()
    (directory / "data/PG_VERSION").write_text("9\n")

    with pytest.raises(PostgresFailed, match="made by PostgreSQL 9"):
        EmbeddedPostgres(directory).start()


def test_a_cluster_whose_making_was_interrupted_is_made_anew(directory: Path) -> None:
    directory.mkdir(mode=0o700)
    (directory / "data.new").mkdir()
    (directory / "data.new/PG_VERSION").write_text("18\n")

    url = EmbeddedPostgres(directory).start()

    assert _execute(url, "SELECT 1") == [(1,)]


def test_a_state_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path)
    first.lock()

    with pytest.raises(StateDirectoryInUse, match=str(os.getpid())):
        StateDirectory(tmp_path).lock()
    first.unlock()

    StateDirectory(tmp_path).lock()


def _execute(url: str, *statements: str) -> list[tuple[object, ...]]:
    """Rows of the last statement, [] when it gives none."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
        return cursor.fetchall() if cursor.description else []
