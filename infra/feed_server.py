"""The feed behind gunicorn: one process, with a thread for each subscriber."""

from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from infra.process_signals import end_with_parent
from infra.readings import Endpoint, Reading
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.policy import Policy

SHUTDOWN_SECONDS = 5


class FeedServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The parameters are those of infra.api_server.ApiServer. policy: None where nobody is asked."""

    def __init__(
        self,
        settings: Settings,
        policy: "Policy | None",
        telemetry: Endpoint | None = None,
        watch: Callable[[int], None] | None = None,
    ) -> None:
        self._watch = watch
        self._settings = settings
        self._policy = policy
        self._telemetry = telemetry
        self._worker: Any = None
        super().__init__()

    def load_config(self) -> None:
        choices = {
            "bind": f"{self._settings.feed_host}:{self._settings.feed_port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": self._settings.feed_subscribers,
            "graceful_timeout": SHUTDOWN_SECONDS,
            "proc_name": "tacitus feed",
            "post_fork": self._after_fork,
            "control_socket_disable": True,
        }
        for name, value in choices.items():
            if name in self.cfg.settings:
                self.cfg.set(name, value)

    def _after_fork(self, arbiter: Any, worker: Any) -> None:
        end_with_parent(worker.ppid)
        if self._watch is not None:
            self._watch(worker.ppid)
        self._worker = worker

    def load(self) -> Any:
        """In the process that serves: connections do not survive a fork."""
        from infra.actors import Actors
        from infra.event_store import CHANNEL
        from infra.feed import News, feed_application
        from infra.gates import behind_gates
        from infra.identity import identity_of, nothing
        from infra.readings import DatabaseReadings
        from infra.wakeup import Wakeup
        from infra.wiring import connection_pool

        if self._policy is not None:
            self._policy.watch(Event())
        pool = connection_pool(self._settings, 4)
        allows = self._policy.allows if self._policy is not None else nothing
        identity = identity_of(self._settings.auth_strategy, allows, Actors(pool))
        news = News(Wakeup(self._settings.database_url, CHANNEL), lambda: not self._worker.alive)
        if self._telemetry is not None:
            from infra.telemetry import Telemetry

            telemetry = Telemetry(self._telemetry)
            text = "Subscribers that read the feed."
            telemetry.readings.show("feed", lambda: [Reading("tacitus_feed_subscribers", text, news.readers)])
            telemetry.not_ready = DatabaseReadings(pool).not_ready
            telemetry.__enter__()
        return behind_gates(feed_application(pool, news, [identity]), self._settings)
