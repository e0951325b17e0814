"""HAProxy as a process: started, reloaded, watched, started again when it dies, stopped."""

import os
import select
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path
from typing import IO, Protocol

from amphora.agent.runtime_socket import ask

LONGEST_PAUSE_SECONDS = 1.0  # between starts of an HAProxy that keeps dying
SETTLED_AFTER_SECONDS = 5.0  # an HAProxy that lived as long starts again without a pause
GRACE_SECONDS = 0.5  # between asking HAProxy to end and ending it
WORDS_KEPT = 40  # lines


class HAProxy(Protocol):
    """One HAProxy process, however it is supervised: as our child, or by systemd on a machine of its own."""

    def start(self) -> None:
        """Run it and keep it running until stop(); nothing happens if it is meant to run already."""
        ...

    def reload(self, timeout_seconds: float) -> None:
        """Ask it to take over the file as it is now without losing a connection; it will do so after this returns.

        Raises NoAnswer; it may have heard all the same.
        """
        ...

    def stop(self) -> None:
        """End it and everything that is left of it."""
        ...

    @property
    def is_wanted(self) -> bool:
        """Between start() and stop(), also while it is down for a moment."""
        ...

    @property
    def last_words(self) -> str:
        """What it said since the last start or reload, newest last: why it does not come up."""
        ...


class ChildHAProxy:
    """HAProxy in master-worker mode as our child, in our process group: who kills the group kills the amphora."""

    def __init__(self, command: str, configuration: Path, master_socket: Path) -> None:
        self._command = command
        self._configuration = configuration
        self._master_socket = master_socket
        self._words: deque[str] = deque(maxlen=WORDS_KEPT)
        self._stop = threading.Event()
        self._stop.set()
        self._guard: threading.Thread | None = None
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        if self.is_wanted:
            return
        self._kill_leftovers()  # before anybody takes the answer of an old worker for that of the new one
        self._words.clear()
        self._stop = threading.Event()
        self._guard = threading.Thread(target=self._keep_alive, args=(self._stop,), name="haproxy", daemon=True)
        self._guard.start()

    def reload(self, timeout_seconds: float) -> None:
        self._words.clear()
        ask(self._master_socket, "reload", timeout_seconds)

    def stop(self) -> None:
        self._stop.set()
        if self._process and self._process.poll() is None:
            self._process.terminate()
        if self._guard:
            self._guard.join(GRACE_SECONDS)
        self._kill_leftovers()
        self._master_socket.unlink(missing_ok=True)

    @property
    def is_wanted(self) -> bool:
        return not self._stop.is_set()

    @property
    def last_words(self) -> str:
        return "\n".join(self._words)

    def _keep_alive(self, stop: threading.Event) -> None:
        pause = 0.0
        while not stop.is_set():
            self._kill_leftovers()
            started = time.monotonic()
            self._process = process = self._spawned()
            if stop.is_set():  # stop() came before it could see this process
                process.terminate()
            listener = threading.Thread(target=self._listen, args=(process.stderr,), name="haproxy-words", daemon=True)
            listener.start()
            process.wait()  # not for the end of its words: a worker that outlives it keeps that open
            settled = time.monotonic() - started > SETTLED_AFTER_SECONDS
            pause = 0.0 if settled else min(LONGEST_PAUSE_SECONDS, 2 * pause + 0.1)
            stop.wait(pause)

    def _spawned(self) -> subprocess.Popen[str]:
        """-db overrules a `daemon` in the file: the agent has to notice when HAProxy ends.

        The environment is empty because `%[env(X)]` in a file would show it to clients.
        """
        return subprocess.Popen(
            [self._command, "-W", "-db", "-S", f"unix@{self._master_socket},mode,600", "-f", str(self._configuration)],
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def _listen(self, words: IO[str] | None) -> None:
        """Keep what it says, until master and workers have closed their end."""
        if words is None:
            return
        with words:
            for line in words:
                if not line.startswith("[NOTICE]"):
                    self._words.append(line.rstrip())

    def _kill_leftovers(self) -> None:
        """A worker that outlived its master would hold on to ports, and to the old configuration."""
        for pid in processes_running(self._command, self._configuration):
            _kill(pid)


def processes_running(command: str, configuration: Path) -> list[int]:
    """Processes of this program (also of a replaced one) that run this very file; several agents of one machine may
    call theirs by the same relative path, so where a process was started counts too.
    """
    executable, wanted = os.path.realpath(command), os.path.realpath(configuration)
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.readlink(entry / "exe").removesuffix(" (deleted)") == executable and wanted in _files_named_by(entry):
                found.append(int(entry.name))
        except OSError:  # ended meanwhile, or somebody else's
            continue
    return found


def _files_named_by(process: Path) -> set[str]:
    place = os.readlink(process / "cwd")
    arguments = (process / "cmdline").read_bytes().split(b"\0")
    return {os.path.realpath(os.path.join(place, os.fsdecode(argument))) for argument in arguments}


def _kill(pid: int) -> None:
    """Returns when it is gone (a second at most): its ports are free then."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], 1.0)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
