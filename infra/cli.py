"""The command `tacitus`."""

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from infra.embedded_postgres import PostgresFailed
from infra.options import InvalidSettings, read
from infra.process_signals import end_with_parent, stop_on_signal
from infra.settings import AuthStrategy, Profile, Settings
from infra.state_directory import StateDirectory, StateDirectoryInUse, default_state_directory

if TYPE_CHECKING:
    from infra.policy import Policy  # takes a while to import

FAILED, IN_USE = 1, 4
Verb = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit code 0 after an orderly stop, 4 when another run has the state directory, 1 for any other failure."""
    options = _parser().parse_args(arguments)
    if options.parent:
        end_with_parent(options.parent)
    verb: Verb = options.verb
    try:
        verb(options)
    except InvalidSettings as error:
        _leave(error, FAILED)


def run(options: argparse.Namespace) -> None:
    from infra.run import PortTaken, Run

    try:
        state = StateDirectory(options.state_dir)
        Run(state, options.port, options.profile, options.config_files or ()).until_stopped()
    except StateDirectoryInUse as error:
        _leave(error, IN_USE)
    except (PortTaken, PostgresFailed) as error:
        _leave(error, FAILED)


def api(options: argparse.Namespace) -> None:
    settings = _settings(options)
    from infra.api_server import ApiServer
    from infra.wiring import api_application

    application = partial(api_application, policy=_policy(settings))
    ApiServer(settings, application, options.listen_descriptor).run()


def worker(options: argparse.Namespace) -> None:
    settings = _settings(options)
    from infra.wiring import run_worker

    run_worker(settings, stop_on_signal())


def health_manager(options: argparse.Namespace) -> None:
    settings = _settings(options)
    from infra.wiring import run_health_manager

    run_health_manager(settings, stop_on_signal())


def db_upgrade(options: argparse.Namespace) -> None:
    from infra.migration import upgrade

    upgrade(options.database_url or _settings(options).database_url)


def config_sample(options: argparse.Namespace) -> None:
    from infra.options import sample

    print(sample())


def policy_sample(options: argparse.Namespace) -> None:
    from infra.policy import sample

    print(sample())


def policy_check(options: argparse.Namespace) -> None:
    """One line for each fault, and exit code 1 when there is one."""
    from infra.options import configuration
    from infra.policy import faults_of

    faults = faults_of(configuration(options.config_files), options.file)
    for fault in faults:
        print(fault)
    if faults:
        raise SystemExit(FAILED)


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
        _add_config_file(service)
        service.add_argument("--parent", type=int, help=argparse.SUPPRESS)
        if verb is api:
            service.add_argument("--listen-descriptor", type=int, help=argparse.SUPPRESS)
    _add_db(verbs.add_parser("db", help="the schema of the database"))
    _add_config(verbs.add_parser("config", help="what can be set"))
    _add_policy(verbs.add_parser("policy", help="who may do what"))
    return parser


def _add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file",
        type=Path,
        action="append",
        dest="config_files",
        metavar="FILE",
        help="settings; may be given several times, the last one wins (/etc/tacitus/tacitus.conf)",
    )


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
    parser.add_argument(
        "--config-file", type=Path, action="append", dest="config_files", metavar="FILE", help="settings that differ"
    )


def _add_db(parser: argparse.ArgumentParser) -> None:
    upgrade = parser.add_subparsers(required=True, metavar="verb").add_parser("upgrade", help="bring it up to date")
    upgrade.set_defaults(verb=db_upgrade)
    _add_config_file(upgrade)
    upgrade.add_argument("--database-url", metavar="URL", help="PostgreSQL, as psycopg takes it")


def _add_config(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verbs.add_parser("sample", help="print every setting with its default").set_defaults(verb=config_sample)


def _add_policy(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verbs.add_parser("sample", help="print every rule with its default").set_defaults(verb=policy_sample)
    check = verbs.add_parser("check", help="say what is wrong with a policy file")
    check.set_defaults(verb=policy_check)
    _add_config_file(check)
    check.add_argument("--file", type=Path, metavar="FILE", help="instead of the file that the settings name")


def _settings(options: argparse.Namespace) -> Settings:
    """Also the moment from which a service writes its log."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return read(options.config_files)


def _policy(settings: Settings) -> "Policy | None":
    """Loaded before the workers start: one that starts later has it, whatever became of the file."""
    if settings.auth_strategy == AuthStrategy.NOAUTH:
        return None
    from infra.policy import BrokenPolicy, policy_of

    try:
        return policy_of(settings)
    except BrokenPolicy as error:
        _leave(error, FAILED)


def _leave(error: Exception, code: int) -> NoReturn:
    print(f"tacitus: {error}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
