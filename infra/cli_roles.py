"""The verbs that are services: each runs until a signal asks it to stop, then finishes or hands back what it holds."""

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event
from typing import TYPE_CHECKING

from infra.command_line import LOG_WENT_BACK, RELEASE_TOO_OLD, Verbs, add_config_file, leave, settings_of
from infra.logs import write_logs
from infra.process_signals import stop_on_signal
from infra.settings import AuthStrategy, Settings

if TYPE_CHECKING:
    from infra.policy import Policy  # takes a while to import
    from infra.readings import Endpoint
    from infra.telemetry import Telemetry

Role = Callable[[Settings, Event, "Telemetry | None"], None]
"""Runs until the event is set, and shows its numbers where it is given somewhere to show them."""


def add_to(verbs: Verbs) -> None:
    for name, verb, text in [
        ("api", api, "the API"),
        ("health-manager", health_manager, "heartbeats in, changes of health out"),
    ]:
        parser = _add(verbs, name, text)
        parser.set_defaults(verb=verb)
        parser.add_argument("--listen-descriptor", type=int, help=argparse.SUPPRESS)
    _add(verbs, "feed", "events over HTTP, for subscribers without Kafka").set_defaults(verb=feed)
    for name, role, text in [
        ("worker", _worker, "processes and their actions"),
        ("housekeeping", _housekeeping, "what is swept up from time to time"),
        ("relay", _relay, "the log to Kafka"),
        ("projector", _projector, "rows that follow the log in their own time"),
    ]:
        _add(verbs, name, text).set_defaults(verb=partial(_serve, name, role))


def api(options: argparse.Namespace) -> None:
    settings = _begin("api", options)
    from infra.api_server import ApiServer
    from infra.log_guard import checked_around, end_parent_on_alarm
    from infra.wiring import api_application

    application = partial(api_application, policy=_policy(settings))
    watch = partial(end_parent_on_alarm, settings, "api")
    with _alarms_told(), checked_around(settings, "api"):
        ApiServer(settings, application, options.listen_descriptor, options.telemetry, watch).run()


def health_manager(options: argparse.Namespace) -> None:
    _serve("health-manager", partial(_health_manager, options.listen_descriptor), options)


def feed(options: argparse.Namespace) -> None:
    settings = _begin("feed", options)
    from infra.feed_server import FeedServer
    from infra.log_guard import checked_around, end_parent_on_alarm

    watch = partial(end_parent_on_alarm, settings, "feed")
    with _alarms_told(), checked_around(settings, "feed"):
        FeedServer(settings, _policy(settings), options.telemetry, watch).run()


def _serve(name: str, role: Role, options: argparse.Namespace) -> None:
    settings = _begin(name, options)
    from infra.log_guard import guarded
    from infra.telemetry import telemetry

    stop = stop_on_signal()
    with telemetry(options.telemetry) as shown, _alarms_told(), guarded(settings, name, stop):
        role(settings, stop, shown)


def _begin(name: str, options: argparse.Namespace) -> Settings:
    """Logs and connections that say whose they are."""
    write_logs(name)
    os.environ["PGAPPNAME"] = f"tacitus {name}"
    return settings_of(options)


@contextmanager
def _alarms_told() -> Iterator[None]:
    """Exit code 6 when the log went back in time, 5 when it is of a newer release."""
    from infra.log_guard import LogWasAdopted, LogWentBack, SchemaTooOld
    from processes.ports import ReleaseTooOld

    try:
        yield
    except LogWentBack as error:
        leave(error, LOG_WENT_BACK)
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)
    except (LogWasAdopted, SchemaTooOld) as error:
        leave(error)


def _worker(settings: Settings, stop: Event, shown: "Telemetry | None") -> None:
    from infra.wiring import run_worker

    run_worker(settings, stop, shown)


def _health_manager(descriptor: int | None, settings: Settings, stop: Event, shown: "Telemetry | None") -> None:
    from infra.wiring import run_health_manager

    run_health_manager(settings, stop, shown, descriptor)


def _housekeeping(settings: Settings, stop: Event, shown: "Telemetry | None") -> None:
    from infra.wiring import run_housekeeping

    run_housekeeping(settings, stop, shown)


def _relay(settings: Settings, stop: Event, shown: "Telemetry | None") -> None:
    from infra.relay import run_relay

    run_relay(settings, stop, shown)


def _projector(settings: Settings, stop: Event, shown: "Telemetry | None") -> None:
    from infra.projector import run_projector

    run_projector(settings, stop, shown)


def _add(verbs: Verbs, name: str, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    add_config_file(parser)
    parser.add_argument("--parent", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--telemetry", type=_endpoint, metavar="HOST:PORT", help="where /metrics, /healthz and /readyz answer"
    )
    return parser


def _endpoint(text: str) -> "Endpoint":
    from infra.readings import Endpoint

    return Endpoint.parsed(text)


def _policy(settings: Settings) -> "Policy | None":
    """Loaded before the workers start: one that starts later has it, whatever became of the file."""
    if settings.auth_strategy == AuthStrategy.NOAUTH:
        return None
    from infra.policy import BrokenPolicy, policy_of

    try:
        return policy_of(settings)
    except BrokenPolicy as error:
        leave(error)
