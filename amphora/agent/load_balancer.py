"""One load balancer on this amphora: its files, the check of a new configuration, and the HAProxy that runs it."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from amphora.agent.binds import binds_of, refused_binds
from amphora.agent.errors import Busy, HAProxyFault, InvalidRequest, NotFound, Outdated
from amphora.agent.files import FULL, replace_durably, write_durably
from amphora.agent.haproxy import ChildHAProxy, HAProxy
from amphora.agent.runtime_socket import NoAnswer, ask, worker_behind
from amphora.wire import Stamp, stamp_of

CALL_SECONDS = 1.8  # a call that changes something has answered by then
POLL_SECONDS = 0.005  # a worker comes up in 30 to 50 ms and has no way to call us
WORDS_LIMIT = 4000  # characters of HAProxy's words in an answer


@dataclass(frozen=True)
class Running:
    """What the running HAProxy was confirmed to run."""

    stamp: Stamp | None
    held: frozenset[tuple[str, int]]  # addresses it listens at


class LoadBalancer:
    """Everything this amphora has of one load balancer; one call at a time changes it."""

    def __init__(
        self,
        load_balancer_id: str,
        base_path: Path,
        haproxy_command: str,
        before_worker_ends: Callable[["LoadBalancer"], object],
    ) -> None:
        """`before_worker_ends` may still ask the worker for its counters."""
        self.id = load_balancer_id
        self.directory = base_path / load_balancer_id
        self.configuration = self.directory / "haproxy.cfg"
        self.statistics_socket = base_path / f"{load_balancer_id}.sock"
        self.master_socket = base_path / f"{load_balancer_id}.cli"
        self._command = haproxy_command
        self._before_worker_ends = before_worker_ends
        self._haproxy: HAProxy = ChildHAProxy(haproxy_command, self.configuration, self.master_socket)
        self._lock = threading.Lock()
        self._running = Running(None, frozenset())
        self._is_changed = False  # since HAProxy was last confirmed to run what is on disk
        self._told_to_end: int | None = None  # pid of the worker that a reload of what is on disk was to replace

    @property
    def exists(self) -> bool:
        return self.configuration.exists()

    @property
    def is_running(self) -> bool:
        return self._haproxy.is_wanted

    @property
    def running_stamp(self) -> Stamp | None:
        return self._running.stamp

    def text(self) -> str:
        """The configuration on disk. Raises NotFound."""
        try:
            return self.configuration.read_text()
        except FileNotFoundError:
            raise NotFound("Loadbalancer Not Found") from None

    def check(self, configuration: str) -> None:
        """What `upload` would say, without effect. Raises InvalidRequest."""
        with self._one_at_a_time() as deadline:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            trial = self.directory / "haproxy.cfg.check"
            try:
                write_durably(trial, configuration.encode())
                self._require_valid(trial, configuration, deadline)
            finally:
                trial.unlink(missing_ok=True)
                if not any(self.directory.iterdir()):
                    self.directory.rmdir()

    def upload(self, configuration: str) -> None:
        """Put a checked configuration on disk; HAProxy takes it at the next start or reload.

        Raises InvalidRequest (it stays as .new-failed), Outdated, DiskFull (both leave everything as it was).
        """
        with self._one_at_a_time() as deadline:
            held = self.configuration.read_text() if self.exists else ""
            self._require_newer(stamp_of(configuration), stamp_of(held))
            if configuration == held:
                return
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self.directory / "haproxy.cfg.new"
            write_durably(new, configuration.encode())
            try:
                self._require_valid(new, configuration, deadline)
            except InvalidRequest:
                new.replace(self.directory / "haproxy.cfg.new-failed")
                raise
            self.files_changed()
            replace_durably(new, self.configuration)

    def files_changed(self) -> None:
        """A reload has work to do, also when only a certificate is another one."""
        self._is_changed = True
        self._told_to_end = None

    def start(self) -> None:
        """Run HAProxy; returns once it runs what is on disk. Raises NotFound, HAProxyFault."""
        with self._one_at_a_time() as deadline:
            self._start(deadline)

    def reload(self) -> None:
        """Let HAProxy take over what is on disk without losing a connection; returns once it runs that.

        Not running becomes start; nothing new, nothing done. Raises NotFound, HAProxyFault.
        """
        with self._one_at_a_time() as deadline:
            former = worker_behind(self.statistics_socket) if self._haproxy.is_wanted else None
            if former is None:
                self._start(deadline)
            elif self._is_changed:
                self._reload(former.pid, deadline)

    def stop(self) -> None:
        """End HAProxy. Raises NotFound."""
        with self._one_at_a_time():
            self.text()
            self._before_worker_ends(self)
            self._stop()

    def delete(self) -> None:
        """End HAProxy and remove what there is of this load balancer; repeated, nothing happens."""
        with self._one_at_a_time():
            self._stop()
            shutil.rmtree(self.directory, ignore_errors=True)

    def end(self) -> None:
        """The agent itself ends: HAProxy too, but everything stays on disk."""
        self._haproxy.stop()

    @contextmanager
    def _one_at_a_time(self) -> Iterator[float]:
        """Gives the moment (monotonic) by which the call has to be over."""
        deadline = time.monotonic() + CALL_SECONDS
        if not self._lock.acquire(timeout=CALL_SECONDS / 2):
            raise Busy
        try:
            yield deadline
        finally:
            self._lock.release()

    def _require_newer(self, offered: Stamp | None, held: Stamp | None) -> None:
        if held and held.outdates(offered):
            raise Outdated(offered.revision if offered else 0, held.revision)

    def _require_valid(self, file: Path, configuration: str, deadline: float) -> None:
        words = _words_against(self._command, file, max(deadline - time.monotonic(), 0.1))
        if words is not None:
            raise InvalidRequest(words)
        refused = refused_binds(binds_of(configuration), self._running.held, self.id)
        if refused:
            raise InvalidRequest("\n".join(refused.values()), refused=refused)

    def _start(self, deadline: float) -> None:
        text = self.text()
        self._forget_server_state()
        self._haproxy.start()
        self._confirm(text, deadline, former_pid=None)

    def _reload(self, pid: int, deadline: float) -> None:
        """A large file may take longer than a call: when it is repeated, the new worker may be there already."""
        if self._told_to_end in (None, pid):
            self._before_worker_ends(self)
            self._remember_server_state()
            self._told_to_end = pid
            self._ask_master_to_reload(deadline)
        self._confirm(self.text(), deadline, former_pid=self._told_to_end)
        self._forget_server_state()

    def _stop(self) -> None:
        self._haproxy.stop()
        self.statistics_socket.unlink(missing_ok=True)
        self._running = Running(None, frozenset())

    def _ask_master_to_reload(self, deadline: float) -> None:
        """Right after a start or reload the master does not listen for some milliseconds, while it runs itself anew."""
        while True:
            try:
                return self._haproxy.reload(max(deadline - time.monotonic(), POLL_SECONDS))
            except NoAnswer as error:
                if time.monotonic() > deadline:
                    raise HAProxyFault("HAProxy cannot be reloaded", str(error)) from error
                time.sleep(POLL_SECONDS)

    def _confirm(self, text: str, deadline: float, former_pid: int | None) -> None:
        """The reload is asynchronous: it has worked once another worker answers, with the description of this file,
        and the former one has stopped to accept connections, which it does for some milliseconds more.
        """
        description = description_in(text)
        while time.monotonic() < deadline:
            worker = worker_behind(self.statistics_socket)
            is_new = worker and worker.pid != former_pid and description in (None, worker.description)
            if is_new and (former_pid is None or self._accepts_no_more(former_pid)):
                self._running = Running(stamp_of(text), frozenset(bind.place for bind in binds_of(text)))
                self._is_changed, self._told_to_end = False, None
                return
            time.sleep(POLL_SECONDS)
        raise HAProxyFault(
            "HAProxy does not run the new configuration", _shortened(self._haproxy.last_words) or "it says nothing"
        )

    def _accepts_no_more(self, pid: int) -> bool:
        """A worker that has given up its sockets is known to the master alone."""
        try:
            return "Stopping: 0" not in ask(self.master_socket, f"@!{pid} show info")
        except NoAnswer:  # the master runs itself anew just now
            return False

    def _remember_server_state(self) -> None:
        """So that the next worker knows which members are down before its first checks; without it, it assumes up."""
        try:
            state = ask(self.statistics_socket, "show servers state")
            (self.directory / "servers-state").write_text(state)
        except NoAnswer:
            return
        except OSError as error:
            if error.errno not in FULL:
                raise

    def _forget_server_state(self) -> None:
        """Whoever starts later must not believe it: one check tells better. Empty, since HAProxy wants a file."""
        (self.directory / "servers-state").write_bytes(b"")


def description_in(configuration: str) -> str | None:
    """What the `global` section says in `description`: our renderer puts the revision there."""
    match = re.search(r"^\s*description\s+(\S+)\s*$", configuration, re.MULTILINE)
    return match[1].strip("'\"") if match else None


def _words_against(command: str, file: Path, timeout_seconds: float) -> str | None:
    """HAProxy's words when it refuses the file, with the file's name in place of its path; None when it is fine."""
    try:
        done = subprocess.run(
            [command, "-c", "-f", str(file)],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise HAProxyFault("HAProxy cannot be asked", "the check of the configuration did not end in time") from error
    if done.returncode == 0:
        return None
    words = [line for line in done.stderr.splitlines() if line.startswith("[ALERT]")]
    return _shortened("\n".join(words).replace(str(file), "haproxy.cfg") or f"exit code {done.returncode}")


def _shortened(words: str) -> str:
    return re.sub(r"^\[(\w+)\]\s*\(\d+\) : ", r"[\1] ", words, flags=re.MULTILINE)[-WORDS_LIMIT:]
