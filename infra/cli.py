"""The command `tacitus`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from infra.embedded_postgres import PostgresFailed
from infra.process_signals import end_with_parent, stop_on_signal
from infra.settings import Profile, Settings
from infra.state_directory import StateDirectory, StateDirectoryInUse, default_state_directory

FAILED, IN_USE = 1, 4
Verb = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit code 0 after an orderly stop, 4 when another run has the state directory, 1 for any other failure."""
    options = _parser().parse_args(arguments)
    if options.parent:
        end_with_parent(options.parent)
    verb: Verb = options.verb
    verb(options)


def run(options: argparse.Namespace) -> None:
    from infra.run import PortTaken, Run

    try:
        Run(StateDirectory(options.state_dir), options.port, options.profile).until_stopped()
    except StateDirectoryInUse as error:
        _leave(error, IN_USE)
    except (PortTaken, PostgresFailed) as error:
        _leave(error, FAILED)


def api(options: argparse.Namespace) -> None:
    from infra.api_server import ApiServer
    from infra.wiring import api_application

    ApiServer(_settings(options), api_application, options.listen_descriptor).run()


def worker(options: argparse.Namespace) -> None:
    from infra.wiring import run_worker

    run_worker(_settings(options), stop_on_signal())


def health_manager(options: argparse.Namespace) -> None:
    from infra.wiring import run_health_manager

    run_health_manager(_settings(options), stop_on_signal())


def db_upgrade(options: argparse.Namespace) -> None:
    from infra.migration import upgrade

    upgrade(options.database_url or _settings(options).database_url)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tacitus", description="An event-sourced OpenStack load balancing service.")
    parser.set_defaults(parent=None)
    verbs = parser.add_subparsers(required=True, metavar="verb")
    _add_run(verbs.add_parser("run", help="the whole service on this machine, with a database of its own"))
    for name, verb, text in [
        ("api", api, "the API"),
        ("worker", worker, "processes and their actions"),
        ("health-manager", health_manager, "heartbeats in, changes of health out"),
    ]:
        service = verbs.add_parser(name, help=text)
        service.set_defaults(verb=verb, listen_descriptor=None)
        service.add_argument("--settings", type=Path, required=True, metavar="FILE", help="settings in JSON")
        service.add_argument("--parent", type=int, help=argparse.SUPPRESS)
        if verb is api:
            service.add_argument("--listen-descriptor", type=int, help=argparse.SUPPRESS)
    _add_db(verbs.add_parser("db", help="the schema of the database"))
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=run)
    parser.add_argument("--port", type=int, default=9876, help="where the API listens on 127.0.0.1 (9876)")
    parser.add_argument(
        "--state-dir",
        type=Path,
        default=default_state_directory(),
        metavar="D",
        help="where everything is kept (%(default)s)",
    )
    parser.add_argument(
        "--profile", type=Profile, choices=list(Profile), default=Profile.LOCAL, help="what stands behind the drivers"
    )


def _add_db(parser: argparse.ArgumentParser) -> None:
    upgrade = parser.add_subparsers(required=True, metavar="verb").add_parser("upgrade", help="bring it up to date")
    upgrade.set_defaults(verb=db_upgrade)
    place = upgrade.add_mutually_exclusive_group(required=True)
    place.add_argument("--settings", type=Path, metavar="FILE", help="settings in JSON")
    place.add_argument("--database-url", metavar="URL", help="PostgreSQL, as psycopg takes it")


def _settings(options: argparse.Namespace) -> Settings:
    """Also the moment from which a service writes its log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return Settings.from_json(options.settings.read_text())


def _leave(error: Exception, code: int) -> None:
    print(f"tacitus: {error}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
