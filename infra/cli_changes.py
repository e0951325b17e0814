"""`tacitus changes`: who changed what in a project, since when."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from infra.cli_operators import operators_settings, time_of
from infra.command_line import RELEASE_TOO_OLD, Verbs, add_config_file, leave

if TYPE_CHECKING:
    from infra.changes import Asked, Told

_MOST = 1_000
_TITLES = ("time", "load balancer", "who", "request", "what")


def add_to(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "changes",
        help="who changed what in a project",
        description="Changes of load balancers and of what is below them, oldest first, also of those that are deleted."
        " `tacitus projector` writes them down a moment after they were made.",
    )
    parser.set_defaults(verb=changes)
    add_config_file(parser)
    parser.add_argument("--project", required=True, metavar="ID")
    text = "ISO 8601, UTC when no zone is given"
    parser.add_argument("--since", type=time_of, required=True, metavar="TIME", help=f"from then on: {text}")
    parser.add_argument("--until", type=time_of, metavar="TIME", help="before then")
    parser.add_argument("--load-balancer", type=UUID, metavar="ID", help="of this one alone")
    parser.add_argument("--limit", type=_positive, default=_MOST, metavar="N", help="the first N (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one object for each, a line each")


def changes(options: argparse.Namespace) -> None:
    """Exit code 1 when the project is not known, or the database does not answer."""
    from psycopg import Error

    from infra.changes import Asked
    from processes.ports import ReleaseTooOld

    asked = Asked(
        project_id=options.project,
        load_balancer_id=options.load_balancer,
        since=options.since,
        until=options.until,
        limit=options.limit + 1,
    )
    try:
        found = _found(operators_settings(options).database_url, asked)
    except ReleaseTooOld as error:
        leave(error, RELEASE_TOO_OLD)
    except Error as error:
        leave(f"the database does not answer: {error}")
    shown = found[: options.limit]
    for line in map(_json, shown) if options.json else _table(shown):
        print(line)
    if len(found) > len(shown):
        print(f"tacitus: there are more: --since {_text(found[options.limit].at)}", file=sys.stderr)


def _found(database_url: str, asked: "Asked") -> "Sequence[Told]":
    from psycopg import connect

    from infra.changes import changes, is_known
    from infra.patience import CONNECT_SECONDS
    from infra.projector import reached
    from projections.known import PROJECTIONS

    with connect(database_url, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
        _, lag = reached(connection, PROJECTIONS["changes"])
        if lag:
            print(
                f"tacitus: this is {lag} positions behind the log, so the latest changes may be missing:"
                " is `tacitus projector` running?",
                file=sys.stderr,
            )
        if not is_known(connection, asked.project_id, asked.load_balancer_id):
            which = f"load balancer {asked.load_balancer_id}" if asked.load_balancer_id else "load balancer"
            leave(f"project {asked.project_id!r} has, and had, no {which}")
        return changes(connection, asked)


def _table(shown: "Sequence[Told]") -> Sequence[str]:
    """What comes last, since it may be long."""
    rows = [_TITLES, *(_row(each) for each in shown)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


def _row(told: "Told") -> tuple[str, str, str, str, str]:
    return _text(told.at), told.name or str(told.load_balancer_id), told.who, told.request_id, told.what


def _json(told: "Told") -> str:
    return json.dumps({**vars(told), "at": _text(told.at), "load_balancer_id": str(told.load_balancer_id)})


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1 is wanted")
    return number
