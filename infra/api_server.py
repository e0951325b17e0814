"""The API behind gunicorn: sync workers, each with an application and a connection pool of its own."""

from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication

from infra.process_signals import end_with_parent
from infra.settings import Settings

REQUEST_SECONDS = 60
SHUTDOWN_SECONDS = 5


class ApiServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The application is built in each worker after the fork: connection pools do not survive one.

    listen_descriptor  a listening socket that was opened by the parent process, None to open one
    """

    def __init__(
        self, settings: Settings, application: Callable[[Settings], Any], listen_descriptor: int | None = None
    ) -> None:
        self._settings = settings
        self._application = application
        self._bind = f"fd://{listen_descriptor}" if listen_descriptor else f"{settings.api_host}:{settings.api_port}"
        super().__init__()

    def load_config(self) -> None:
        choices = {
            "bind": self._bind,
            "workers": self._settings.api_workers,
            "worker_class": "sync",
            "timeout": REQUEST_SECONDS,
            "graceful_timeout": SHUTDOWN_SECONDS,
            "proc_name": "tacitus api",
            "post_fork": _after_fork,
            "control_socket_disable": True,
        }
        for name, value in choices.items():
            if name in self.cfg.settings:  # the control socket is younger than the oldest gunicorn that we take
                self.cfg.set(name, value)

    def load(self) -> Any:
        return self._application(self._settings)


def _after_fork(arbiter: Any, worker: Any) -> None:
    end_with_parent(worker.ppid)
