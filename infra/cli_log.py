"""The verbs of the log itself: how far an upgrade is, which life of the log this is, what its events look like."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.command_line import FAILED, RELEASE_TOO_OLD, Verbs, add_config_file, leave, settings_of

if TYPE_CHECKING:
    from infra.settings import Settings


def add_to(verbs: Verbs) -> None:
    _add_upgrade(verbs.add_parser("upgrade", help="whether all services run this release, and what follows"))
    _add_log(verbs.add_parser("log", help="which life of the log this is, and how it goes on after a restore"))
    _add_events(verbs.add_parser("events", help="what subscribers read"))


@contextmanager
def _faults_told() -> Iterator[None]:
    from psycopg import Error

    from processes.ports import ReleaseTooOld

    try:
        yield
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)
    except Error as error:
        leave(error)


# upgrade


def upgrade_status(options: argparse.Namespace) -> None:
    """Exit code 1 while the upgrade is not finished."""
    from psycopg import connect

    from infra.log_level import LEVEL
    from infra.log_upgrade import status

    with _faults_told(), connect(settings_of(options).database_url) as connection:
        found = status(connection)
    print(f"the log has level {found.level}; this release knows levels up to {LEVEL}")
    for process in found.running:
        print(f"running: {process.name}, release {process.release}, knows levels up to {process.level}")
    for each in found.not_written_yet:
        print(f"not written yet: {each}")
    if not found.is_finished:
        print("`tacitus upgrade finish` ends it once no older release runs")
        raise SystemExit(FAILED)


def upgrade_finish(options: argparse.Namespace) -> None:
    from infra.log_level import LEVEL
    from infra.log_upgrade import OlderReleasesRun, finish

    with _faults_told():
        try:
            finish(settings_of(options).owner_url)
        except OlderReleasesRun as error:
            leave(error)
    print(f"the log has level {LEVEL}: releases that know less will not start on it any more")


def _add_upgrade(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    status = verbs.add_parser("status", help="which releases run, and which formats are not written yet")
    status.set_defaults(verb=upgrade_status)
    finish = verbs.add_parser("finish", help="no older release runs any more: write the newest formats")
    finish.set_defaults(verb=upgrade_finish)
    for each in (status, finish):
        add_config_file(each)


# log


def log_show(options: argparse.Namespace) -> None:
    from psycopg import connect

    from infra.log_guard import Look

    with _faults_told(), connect(settings_of(options).database_url) as connection:
        look = Look.at(connection, 0)
        lives = connection.execute(
            "SELECT adopted_at, former, id, position, why FROM log_adoptions ORDER BY adopted_at"
        ).fetchall()
    print(f"log {look.latest.log_id}, level {look.level}, ends at position {look.latest.position}")
    for adopted_at, former, log_id, position, why in lives:
        print(f"{adopted_at:%Y-%m-%d %H:%M:%S %Z}: {log_id} followed {former} at position {position}: {why}")


def log_adopt(options: argparse.Namespace) -> None:
    """What stands outside the log is compared with it; exit code 1 when that could not be done."""
    from infra.log_adoption import adopt

    settings, why = settings_of(options), options.why.strip()
    if not why:
        leave("--why has to say something: it is all that whoever reads the history will know")
    with _faults_told():
        adoption = adopt(settings.owner_url, why)
    print(f"log {adoption.log_id} follows {adoption.former} after position {adoption.end}")
    print(f"the next event gets position {adoption.next}: none is given twice")
    if options.rebuild:
        _rebuild(settings)
    _compare_amphorae(settings)
    print("start the services again; those that were not stopped end by themselves, for whoever looks after them")


def _rebuild(settings: "Settings") -> None:
    from infra.rebuild import Rebuild, RebuildFailed
    from projections.known import PROJECTIONS

    for name, projection in PROJECTIONS.items():
        try:
            outcome = Rebuild(settings.owner_url, projection).replace(accept_differences=True)
        except RebuildFailed as error:
            leave(f"{name}: {error}. Try again: tacitus replay {name}")
        print(f"{name}: made anew from {outcome.events} events")


def _compare_amphorae(settings: "Settings") -> None:
    """They may run what was lost with the end of the log."""
    from infra.log_resync import repair_amphorae

    try:
        asked = repair_amphorae(settings)
    except Exception as error:
        leave(f"amphorae could not be compared, which housekeeping will do: {error}")
    print(f"amphorae: repairs of {asked} load balancers were asked for; see also `tacitus orphans`")


def _add_log(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(required=True, metavar="verb")
    show = verbs.add_parser("show", help="its id, its level, its end, and its former lives")
    show.set_defaults(verb=log_show)
    add_config_file(show)
    adopt = verbs.add_parser(
        "adopt",
        help="go on with a log that lost events",
        description="The log gets a new id, under which agents, consumers and services go on with it, and positions"
        " that were never given before. Amphorae are compared with it, and repaired. Events that were lost stay lost:"
        " subscribers may know of them.",
    )
    adopt.set_defaults(verb=log_adopt)
    add_config_file(adopt)
    adopt.add_argument("--why", required=True, metavar="TEXT", help="for whoever reads the history")
    adopt.add_argument("--rebuild", action="store_true", help="make all rows anew: they did not come with the events")


# events


def events_schemas(options: argparse.Namespace) -> None:
    from infra.event_schemas import Incompatible, current_schemas, text_of, write_schemas

    if options.directory is None:
        for schema in current_schemas().values():
            print(text_of(schema), end="")
        return
    try:
        written = write_schemas(options.directory)
    except Incompatible as error:
        leave(error)
    for file in written:
        print(file)


def _add_events(parser: argparse.ArgumentParser) -> None:
    schemas = parser.add_subparsers(required=True, metavar="verb").add_parser(
        "schemas", help="JSON Schemas of all events, in the newest version of each"
    )
    schemas.set_defaults(verb=events_schemas)
    text = "write a file for each, unless one that is there promises something else"
    schemas.add_argument("--directory", type=Path, metavar="DIR", help=text)
