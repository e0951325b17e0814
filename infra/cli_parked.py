"""The verbs about events that a consumer could not handle: what waits, and what is to become of it."""

import argparse
import getpass
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from uuid import UUID

from domain.errors import Refused
from infra.command_line import Verbs, add_config_file, leave, settings_of

if TYPE_CHECKING:
    from infra.parked_streams import ParkedStreams

_SHOWN = 20


def add_to(verbs: Verbs) -> None:
    parser = verbs.add_parser("parked", help="events that could not be handled, and what became of them")
    verbs = parser.add_subparsers(required=True, metavar="verb")
    _add(verbs, "list", parked_list, "streams that do not go on")
    _of_stream(_add(verbs, "show", parked_show, "what waits in one of them"))
    _of_stream(_add(verbs, "retry", parked_retry, "handle it again, once the cause is mended"), with_reason=True)
    _of_stream(_add(verbs, "skip", parked_skip, "leave out the event that failed, and go on"), with_reason=True)


def parked_list(options: argparse.Namespace) -> None:
    """One line for each stream; nothing where all is well."""
    with _parked_streams(options) as streams:
        for each in streams.all():
            first = each.reason.partition("\n")[0]
            print(f"{each.stream_id}  {each.consumer}  {each.waiting} waiting since {each.position}  {first}")


def parked_show(options: argparse.Namespace) -> None:
    with _parked_streams(options) as streams:
        found = [
            each for each in streams.all() if (each.consumer, each.stream_id) == (options.consumer, options.stream)
        ]
        if not found:
            leave(f"{options.consumer} has nothing of the stream {options.stream} parked")
        print(f"stream    {options.stream}\nconsumer  {options.consumer}\nreason    {found[0].reason}\n")
        for each in streams.waiting(options.consumer, options.stream, _SHOWN):
            print(
                f"{each.position}  {each.recorded_at.isoformat(timespec='seconds')}  {each.topic}  {each.aggregate_id}"
            )
        if found[0].waiting > _SHOWN:
            print(f"... and {found[0].waiting - _SHOWN} more")


def parked_retry(options: argparse.Namespace) -> None:
    _decide(options, lambda streams: streams.retry(options.consumer, options.stream, options.why))


def parked_skip(options: argparse.Namespace) -> None:
    _decide(options, lambda streams: streams.skip(options.consumer, options.stream, options.why))


def _decide(options: argparse.Namespace, decision: Callable[["ParkedStreams"], None]) -> None:
    with _parked_streams(options) as streams:
        try:
            decision(streams)
        except Refused as error:
            leave(error)


@contextmanager
def _parked_streams(options: argparse.Namespace) -> Iterator["ParkedStreams"]:
    from infra.actors import Actors
    from infra.event_store import EventStore
    from infra.parked_streams import ParkedStreams
    from infra.wiring import connection_pool

    settings = settings_of(options)
    store = EventStore(settings.database_url, connections=1)
    try:
        with connection_pool(settings, 1) as pool:
            actor = Actors(pool).id_of(f"{getpass.getuser()}@{socket.gethostname()}")
            yield ParkedStreams(pool, store, actor)
    finally:
        store.close()


def _add(verbs: Verbs, name: str, verb: Callable[[argparse.Namespace], None], text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text)
    parser.set_defaults(verb=verb)
    add_config_file(parser)
    return parser


def _of_stream(parser: argparse.ArgumentParser, *, with_reason: bool = False) -> None:
    parser.add_argument("stream", type=UUID, help="the id that `list` shows: mostly a load balancer's")
    parser.add_argument("--consumer", default="processes", help="who parked it (%(default)s)")
    if with_reason:
        parser.add_argument("--why", required=True, metavar="TEXT", help="kept with the decision")
