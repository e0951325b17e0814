"""Signals without surprises: waited for like any other input, and sent by the kernel when the parent process dies."""

import ctypes
import os
import signal
import socket
import threading

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1  # prctl(2)


def signal_socket(*numbers: signal.Signals) -> socket.socket:
    """A socket on which each of these signals arrives as one byte, its number. Call it from the main thread, once.

    Nothing runs inside a handler, so that a signal cannot interrupt a lock that it needs itself.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    for number in numbers:
        signal.signal(number, _noted)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    return reader


def stop_on_signal() -> threading.Event:
    """An event that is set by the first signal that asks this process to stop."""
    arrivals, stop = signal_socket(*STOP_SIGNALS), threading.Event()

    def watch() -> None:
        arrivals.recv(1)
        stop.set()

    threading.Thread(target=watch, name="signals", daemon=True).start()
    return stop


def end_with_parent(parent: int) -> None:
    """Receive SIGTERM when the parent process dies, however it dies; leave at once when it is dead already.

    The kernel forgets this order on fork, so that every process gives it for itself.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise SystemExit("the parent process is gone")


def _noted(number: int, frame: object) -> None:
    """A handler must exist for the wake-up descriptor to be written."""
