"""The API behind gunicorn: sync workers, each with an application and a connection pool of its own."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg
from gunicorn.app.base import BaseApplication

from infra.api_telemetry import ApiTelemetry
from infra.garbage import settle
from infra.process_signals import end_with_parent
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.readings import Endpoint

REQUEST_SECONDS = 60
SHUTDOWN_SECONDS = 5


class ApiServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The application is built in each worker after the fork: connection pools do not survive one.

    listen_descriptor  a listening socket that was opened by the parent process, None to open one
    telemetry          where monitoring is answered, None for nowhere
    watch              called in each worker with the id of the process above it, which it may end
    """

    def __init__(
        self,
        settings: Settings,
        application: Callable[[Settings], Any],
        listen_descriptor: int | None = None,
        telemetry: "Endpoint | None" = None,
        watch: Callable[[int], None] | None = None,
    ) -> None:
        self._settings = settings
        self._telemetry = telemetry and ApiTelemetry(telemetry.host, telemetry.port, partial(_not_ready, settings))
        self._application = application
        self._watch = watch
        self._bind = f"fd://{listen_descriptor}" if listen_descriptor else f"{settings.api_host}:{settings.api_port}"
        super().__init__()

    def load_config(self) -> None:
        choices = {
            "bind": self._bind,
            "workers": self._settings.api_workers,
            "worker_class": "sync",
            "timeout": REQUEST_SECONDS,
            "limit_request_line": 8_190,  # lists with many filters
            "graceful_timeout": SHUTDOWN_SECONDS,
            "proc_name": "tacitus api",
            "post_fork": self._after_fork,
            "control_socket_disable": True,
        }
        if self._telemetry:
            choices["when_ready"] = self._when_ready
            choices["child_exit"] = self._child_exit
            choices["on_exit"] = self._on_exit
        for name, value in choices.items():
            if name in self.cfg.settings:  # the control socket is younger than the oldest gunicorn that we take
                self.cfg.set(name, value)

    def _after_fork(self, arbiter: Any, worker: Any) -> None:
        end_with_parent(worker.ppid)
        if self._watch is not None:
            self._watch(worker.ppid)

    def _when_ready(self, arbiter: Any) -> None:
        assert self._telemetry
        self._telemetry.start()

    def _child_exit(self, arbiter: Any, worker: Any) -> None:
        assert self._telemetry
        self._telemetry.forget(worker.pid)

    def _on_exit(self, arbiter: Any) -> None:
        assert self._telemetry
        self._telemetry.close()

    def load(self) -> Any:
        application = self._application(self._settings)
        settle()
        return application


def _not_ready(settings: Settings) -> Sequence[str]:
    """The API is ready while its database answers."""
    try:
        with psycopg.connect(settings.database_url, connect_timeout=2) as connection:
            connection.execute("SELECT 1")
    except psycopg.Error as error:
        return [f"the database does not answer: {error}".strip()]
    return []
