"""The command `tacitus`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import infra.cli_changes
import infra.cli_log
import infra.cli_operators
import infra.cli_parked
import infra.cli_replay
import infra.cli_roles
from infra.command_line import FAILED, IN_USE, RELEASE_TOO_OLD, add_config_file, leave, settings_of
from infra.embedded_postgres import PostgresFailed
from infra.options import InvalidSettings
from infra.process_signals import end_with_parent
from infra.settings import Profile
from infra.state_directory import StateDirectory, StateDirectoryInUse, default_state_directory

Verb = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> None:
    """Exit code 0 after an orderly stop; those of failures: infra/command_line.py."""
    options = _parser().parse_args(arguments)
    if options.parent:
        end_with_parent(options.parent)
    verb: Verb = options.verb
    try:
        verb(options)
    except InvalidSettings as error:
        leave(error)


def run(options: argparse.Namespace) -> None:
    from infra.run import PortTaken, Run
    from processes.ports import ReleaseTooOld

    try:
        state = StateDirectory(options.state_dir)
        Run(
            state,
            options.port,
            options.profile,
            options.config_files or (),
            replicas=options.replicas,
            with_kafka=options.kafka,
        ).until_stopped()
    except StateDirectoryInUse as error:
        leave(error, IN_USE)
    except (PortTaken, PostgresFailed) as error:
        leave(error)
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)


def db_upgrade(options: argparse.Namespace) -> None:
    from infra.migration import upgrade

    upgrade(options.database_url or settings_of(options).owner_url)


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
    infra.cli_roles.add_to(verbs)
    infra.cli_replay.add_to(verbs)
    infra.cli_operators.add_to(verbs)
    infra.cli_log.add_to(verbs)
    infra.cli_parked.add_to(verbs)
    infra.cli_changes.add_to(verbs)
    _add_db(verbs.add_parser("db", help="the schema of the database"))
    _add_config(verbs.add_parser("config", help="what can be set"))
    _add_policy(verbs.add_parser("policy", help="who may do what"))
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
    parser.add_argument("--replicas", type=int, default=1, metavar="N", help="processes of each service (1)")
    parser.add_argument("--kafka", action="store_true", help="let events travel through a broker, started beside")
    add_config_file(parser)


def _add_db(parser: argparse.ArgumentParser) -> None:
    upgrade = parser.add_subparsers(required=True, metavar="verb").add_parser("upgrade", help="bring it up to date")
    upgrade.set_defaults(verb=db_upgrade)
    add_config_file(upgrade)
    upgrade.add_argument("--database-url", metavar="URL", help="PostgreSQL, as psycopg takes it")


def _add_config(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verbs.add_parser("sample", help="print every setting with its default").set_defaults(verb=config_sample)


def _add_policy(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    verbs.add_parser("sample", help="print every rule with its default").set_defaults(verb=policy_sample)
    check = verbs.add_parser("check", help="say what is wrong with a policy file")
    check.set_defaults(verb=policy_check)
    add_config_file(check)
    check.add_argument("--file", type=Path, metavar="FILE", help="instead of the file that the settings name")


if __name__ == "__main__":
    main()
