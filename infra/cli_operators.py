"""The verbs of operators: whether all is well, what is wrong, and what mends it."""

import argparse
import getpass
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from infra.command_line import FAILED, RELEASE_TOO_OLD, Verbs, add_config_file, leave, settings_of

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from infra.event_store import EventStore
    from infra.settings import Settings


def add_to(verbs: Verbs) -> None:
    _add_verify(verbs.add_parser("verify", help="whether the log, and what follows from it, keeps its promises"))
    _add_doctor(verbs.add_parser("doctor", help="what is wrong, and what helps"))
    _add_repair(verbs.add_parser("repair", help="look at what carries a load balancer, and put it right"))
    _add_orphans(verbs.add_parser("orphans", help="amphorae that run although nothing wants them"))
    _add_history(verbs.add_parser("history", help="what happened to a load balancer, and how it was at a time"))


# verify


def verify(options: argparse.Namespace) -> None:
    """One line for each finding, and exit code 1 when there is one."""
    from psycopg import Error

    from infra.verify import Verification
    from infra.verify_log import Finding
    from processes.ports import ReleaseTooOld

    def tell(finding: Finding) -> None:
        print(finding, flush=True)

    verification = Verification(
        operators_settings(options), tell, since=options.since, grace=options.grace, sample=options.rows
    )
    try:
        verified = verification.run()
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)
    except Error as error:
        leave(error)
    print(verified)
    if verified.findings:
        raise SystemExit(FAILED)


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=verify)
    add_config_file(parser)
    parser.add_argument("--since", type=int, default=0, metavar="POSITION", help="tell only what came after it")
    parser.add_argument(
        "--grace", type=float, default=60.0, metavar="SECONDS", help="allowed on top of each deadline (%(default)s)"
    )
    parser.add_argument(
        "--rows",
        type=_number_or_all,
        default=100,
        metavar="N|all",
        help="load balancers of which every row is worked out anew (%(default)s)",
    )


def _number_or_all(text: str) -> int:
    from infra.verify import ALL

    return ALL if text == "all" else int(text)


# doctor


def doctor(options: argparse.Namespace) -> None:
    """What is wrong, each with what helps, and exit code 1 when there is something."""
    from infra.doctor import Doctor
    from infra.settings import Profile
    from infra.wiring import comparison

    with _tools(options) as tools, tools.pool.connection() as connection:
        id = None if options.load_balancer is None else _id_of(connection, options.load_balancer)
        compared, _ = comparison(tools.settings, tools.store, tools.pool)
        found = 0
        for complaint in Doctor(connection, compared, has_files=tools.settings.profile != Profile.NOOP).complaints(id):
            found += 1
            print(complaint, flush=True)
    if found:
        raise SystemExit(FAILED)
    print("nothing is wrong")


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=doctor)
    add_config_file(parser)
    parser.add_argument("load_balancer", nargs="?", metavar="LB", help="id or name of one; all when none is given")


# repair


def repair(options: argparse.Namespace) -> None:
    from commands.ports import StoreUnavailable
    from domain.errors import Refused
    from infra.actors import Actors
    from infra.reconcile import Repairs

    with _tools(options) as tools:
        with tools.pool.connection() as connection:
            id = _id_of(connection, options.load_balancer)
        actor = Actors(tools.pool).id_of(f"{getpass.getuser()}@{socket.gethostname()}")
        try:
            Repairs(tools.settings, tools.store, actor)(id, options.why)
        except (Refused, StoreUnavailable) as error:
            leave(error)
    print(f"asked for; `tacitus history {id}` tells what comes of it")


def _add_repair(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=repair)
    add_config_file(parser)
    parser.add_argument("load_balancer", metavar="LB", help="id or name")
    parser.add_argument("--why", required=True, metavar="TEXT", help="for whoever reads the history")


# orphans


def orphans(options: argparse.Namespace) -> None:
    """One line for each."""
    from infra.wiring import comparison
    from processes.ports import ComputeFault

    with _tools(options) as tools:
        compared, compute = comparison(tools.settings, tools.store, tools.pool)
        try:
            for id in compared.orphans():
                if options.remove:
                    compute.remove(id)
                print(f"{id} removed" if options.remove else id, flush=True)
        except ComputeFault as fault:
            leave(fault)


def _add_orphans(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=orphans)
    add_config_file(parser)
    parser.add_argument("--remove", action="store_true", help="take them down")


# history


def history(options: argparse.Namespace) -> None:
    with _tools(options) as tools, tools.pool.connection() as connection:
        id = _id_of(connection, options.load_balancer)
        if options.at is not None:
            _tell_state(connection, id, options.at, options.diff)
        else:
            _tell_events(connection, id, options.diff)


def _tell_events(connection: Any, id: UUID, with_differences: bool) -> None:
    from domain import load_balancer_events as events
    from infra.history import STATUSES, document
    from infra.history import differences as told
    from infra.timeline import timeline

    load_balancer: Any = None
    moments = timeline(connection, id)
    if not any(isinstance(moment.event, events.Created) for moment in moments):
        leave(f"the log knows no load balancer {id}")
    for moment in moments:
        print(f"{moment.at:%F %T.%f}  {moment.position:>8}  {moment.who:<12}  {moment.stream:<13}  {moment.what}")
        if with_differences and isinstance(moment.event, events.Event):
            before = {} if load_balancer is None else document(load_balancer)
            load_balancer = moment.event.mutate(load_balancer)
            for line in told(before, document(load_balancer), without=STATUSES):
                print(f"    {line}")


def _tell_state(connection: Any, id: UUID, at: datetime, with_differences: bool) -> None:
    from infra.history import differences, load_balancer_at, position_at

    position = position_at(connection, at)
    then = load_balancer_at(connection, id, position).document
    if not with_differences:
        if not then:
            leave(f"load balancer {id} was not there at {at:%F %T}, position {position}")
        print(json.dumps({"position": position, **then}, indent=2))
        return
    now = load_balancer_at(connection, id, position_at(connection, datetime.now(UTC))).document
    for line in differences(then, now):
        print(line)


def _add_history(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(verb=history)
    add_config_file(parser)
    parser.add_argument("load_balancer", metavar="LB", help="id, also of one that is deleted; or name")
    parser.add_argument(
        "--at", type=time_of, metavar="TIME", help="how it was then: ISO 8601, UTC when no zone is given"
    )
    parser.add_argument("--diff", action="store_true", help="what each event changed; with --at, what changed since")


def time_of(text: str) -> datetime:
    """For argparse: ISO 8601, UTC when no zone is given."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


# What they share


@dataclass(frozen=True)
class _Tools:
    settings: "Settings"
    pool: "ConnectionPool[Any]"
    store: "EventStore"


def operators_settings(options: argparse.Namespace) -> "Settings":
    """Where nothing is said and nothing is installed, those of `tacitus run` in its usual place."""
    from oslo_config import cfg

    from infra.options import PROJECT
    from infra.state_directory import StateDirectory, default_state_directory

    own = StateDirectory(default_state_directory()).settings
    if options.config_files is None and not cfg.find_config_files(PROJECT) and own.exists():
        options.config_files = [own]
    return settings_of(options)


@contextmanager
def _tools(options: argparse.Namespace) -> Iterator[_Tools]:
    """Ends the command when the database does not answer, or the log is of a newer release."""
    from psycopg import Error
    from psycopg_pool import ConnectionPool

    from infra.event_store import EventStore
    from processes.ports import ReleaseTooOld

    settings = operators_settings(options)
    try:
        with ConnectionPool(
            settings.database_url, min_size=1, max_size=2, timeout=5, kwargs={"autocommit": True}
        ) as pool:
            pool.wait(timeout=5)
            store = EventStore(settings.database_url, connections=2)
            try:
                yield _Tools(settings, pool, store)
            finally:
                store.close()
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)
    except Error as error:
        leave(f"the database does not answer: {error}")


def _id_of(connection: Any, text: str) -> UUID:
    """Of the load balancer with this id or this name."""
    try:
        return UUID(text)
    except ValueError:
        sql = "SELECT id FROM load_balancers WHERE document ->> 'name' = %s"
        found = [id for (id,) in connection.execute(sql, (text,))]
    if len(found) != 1:
        leave(f"{len(found) or 'no'} load balancers are called {text!r}" + (": name one by its id" if found else ""))
    return UUID(str(found[0]))
