"""One load balancer on this amphora: its files, the check of a new configuration, and the HAProxy that runs it."""

import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from amphora.agent.binds import binds_of, refused_binds
from amphora.agent.errors import Busy, HAProxyFault, InvalidRequest, NotFound, Outdated
from amphora.agent.files import FULL, replace_durably, write_durably
from amphora.agent.haproxy import ChildHAProxy, HAProxy
from amphora.agent.runtime_socket import NoAnswer, Worker, ask, current_workers, worker_behind
from amphora.agent.weights import changed_weights, set_weights, with_initial_weights
from amphora.wire import Stamp, stamp_of

CALL_SECONDS = 1.8  # a call that changes something has answered by then
POLL_SECONDS = 0.005  # a worker comes up in 30 to 50 ms and has no way to call us
WORDS_LIMIT = 4000  # characters of HAProxy's words in an answer

T = TypeVar("T")


@dataclass(frozen=True)
class Running:
    """What HAProxy was confirmed to run.

    worker  who was confirmed; one that HAProxy started since then runs what its description says
    stamp   of what that worker runs: newer than its description once weights were set in it
    held    addresses it listens at
    text    what it runs, or None when another file, or a reload under way, makes that uncertain: a reload is due
    """

    worker: Worker | None = None
    stamp: Stamp | None = None
    held: frozenset[tuple[str, int]] = frozenset()
    text: str | None = None

    def stamp_of(self, worker: Worker) -> Stamp | None:
        """Of what this worker runs: the file on disk may be newer."""
        if worker != self.worker and self.stamp and worker.description.isdigit():
            return replace(self.stamp, revision=int(worker.description))
        return self.stamp

    def new_weights(self, wanted: str) -> Mapping[str, int] | None:
        """None: a change from what runs to `wanted` needs more than other weights."""
        return None if self.text is None else changed_weights(self.text, wanted)


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
        self._metrics_socket = base_path / f"{load_balancer_id}.prom"
        self._command = haproxy_command
        self._before_worker_ends = before_worker_ends
        self._haproxy: HAProxy = ChildHAProxy(haproxy_command, self.configuration, self.master_socket)
        self._lock = threading.Lock()
        self._running = Running()
        self._is_changed = False  # since HAProxy was last confirmed to run what is on disk
        self._told_to_end: int | None = None  # pid of the worker that a reload of what is on disk was to replace

    @property
    def exists(self) -> bool:
        return self.configuration.exists()

    @property
    def is_running(self) -> bool:
        return self._haproxy.is_wanted

    @property
    def running(self) -> Running:
        """Before HAProxy was confirmed to run anything, the stamp is that of the file on disk."""
        if self._running.worker is None:
            with suppress(NotFound):
                return replace(self._running, stamp=stamp_of(self.text()))
        return self._running

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
            if self._running.new_weights(configuration) is None:  # numbers in their range need no check by HAProxy
                self._require_accepted(new, configuration, deadline)
            self._is_changed, self._told_to_end = True, None
            replace_durably(new, self.configuration)

    def files_changed(self) -> None:
        """A reload has work to do although the configuration is the same: a certificate is another one."""
        with self._one_at_a_time():
            self._is_changed, self._told_to_end = True, None
            self._running = replace(self._running, text=None)

    def start(self) -> None:
        """Run HAProxy; returns once it runs what is on disk. Raises NotFound, HAProxyFault."""
        with self._one_at_a_time() as deadline:
            self._start(deadline)

    def reload(self) -> None:
        """Let HAProxy take over what is on disk without losing a connection; returns once it runs that.

        Other weights are set in the worker that runs; whatever else is new takes a new worker.

        Not running becomes start; nothing new, nothing done. Raises NotFound, HAProxyFault.
        """
        with self._one_at_a_time() as deadline:
            worker = worker_behind(self.statistics_socket) if self._haproxy.is_wanted else None
            if worker is None:
                self._start(deadline)
            elif self._is_changed and not self._reweigh(worker, deadline):
                self._reload(worker.pid, deadline)

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

    def _require_accepted(self, new: Path, configuration: str, deadline: float) -> None:
        try:
            self._require_valid(new, configuration, deadline)
        except InvalidRequest:
            new.replace(self.directory / "haproxy.cfg.new-failed")
            raise

    def _start(self, deadline: float) -> None:
        text = self.text()
        self._forget_server_state()
        self._haproxy.start()
        self._confirm(text, deadline, former_pid=None)

    def _reweigh(self, worker: Worker, deadline: float) -> bool:
        """False when a reload has to do it. Who starts later reads the new weights from the file, which came first."""
        text = self.text()
        weights = self._running.new_weights(text) if worker == self._running.worker else None
        if weights is None or not set_weights(self.statistics_socket, worker, weights, deadline):
            return False
        if not self._is_last(worker, deadline):
            return False
        self._running = replace(self._running, stamp=stamp_of(text), text=text)
        self._is_changed = False
        return True

    def _is_last(self, worker: Worker, deadline: float) -> bool:
        """Whether no other worker is about to take over with an older file: one more reload may have been heard than
        was confirmed, when the master was slow. It has done them all by the time it answers this.
        """
        with suppress(HAProxyFault):
            answer = self._once_master_listens(partial(ask, self.master_socket, "show proc"), deadline)
            return worker.pid in current_workers(answer)
        return False

    def _reload(self, pid: int, deadline: float) -> None:
        """A large file may take longer than a call: when it is repeated, the new worker may be there already."""
        self._running = replace(self._running, text=None)
        if self._told_to_end in (None, pid):
            self._before_worker_ends(self)
            self._remember_server_state()
            self._told_to_end = pid
            self._once_master_listens(self._haproxy.reload, deadline)
        self._confirm(self.text(), deadline, former_pid=self._told_to_end)
        self._forget_server_state()

    def _stop(self) -> None:
        self._haproxy.stop()
        for left in (self.statistics_socket, self._metrics_socket):
            left.unlink(missing_ok=True)
        self._running = Running()

    def _once_master_listens(self, question: Callable[[float], T], deadline: float) -> T:
        """Right after a start or reload the master does not listen for some milliseconds, while it runs itself anew.

        `question` is told how many seconds it has, and may raise NoAnswer. Raises HAProxyFault.
        """
        while True:
            try:
                return question(max(deadline - time.monotonic(), POLL_SECONDS))
            except NoAnswer as error:
                if time.monotonic() > deadline:
                    raise HAProxyFault("HAProxy cannot be reloaded", str(error)) from error
                time.sleep(POLL_SECONDS)

    def _confirm(self, text: str, deadline: float, former_pid: int | None) -> None:
        """The reload is asynchronous: it has worked once another worker answers, with the description of this file,
        and the former one has stopped to accept connections, which it does for some milliseconds more.
        """
        while time.monotonic() < deadline:
            worker = worker_behind(self.statistics_socket)
            is_new = worker and worker.pid != former_pid and self._runs(worker, text)
            if is_new and (former_pid is None or self._accepts_no_more(former_pid)):
                held = frozenset(bind.place for bind in binds_of(text))
                self._running = Running(worker, stamp_of(text), held, text)
                self._is_changed, self._told_to_end = False, None
                return
            time.sleep(POLL_SECONDS)
        raise HAProxyFault(
            "HAProxy does not run the new configuration", _shortened(self._haproxy.last_words) or "it says nothing"
        )

    def _runs(self, worker: Worker, text: str) -> bool:
        """By its description, or because its weights were set since it started."""
        if worker == self._running.worker and text == self._running.text:
            return True
        return description_in(text) in (None, worker.description)

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
            (self.directory / "servers-state").write_text(with_initial_weights(state))
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
