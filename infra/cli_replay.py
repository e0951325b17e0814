"""`tacitus replay`: makes rows anew from the log, beside those that serve, and puts them in their place."""

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from infra.command_line import FAILED, Verbs, add_config_file, leave, settings_of

if TYPE_CHECKING:
    from infra.rebuild import Outcome, Progress
    from projections.known import Projection

_INTERRUPTED = 130
_BAR_WIDTH = 30
_PAUSE_SECONDS, _PAUSE_IN_A_LOG_SECONDS = 0.2, 10.0


def add_to(verbs: Verbs) -> None:
    parser = verbs.add_parser(
        "replay",
        help="make rows anew from the log while they serve",
        description="Builds new rows from event 1 beside those that serve, follows the log, compares every row byte for"
        " byte, and switches when nothing differs. Nothing outside happens again.",
    )
    parser.set_defaults(verb=replay)
    add_config_file(parser)
    parser.add_argument("--database-url", metavar="URL", help="PostgreSQL, as the owner of the tables")
    parser.add_argument("name", nargs="?", metavar="NAME", help="what is made anew; lists what can be when left out")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--verify", action="store_true", help="only say what differs")
    way.add_argument("--cancel", action="store_true", help="drop what was built; whoever is building stops")
    parser.add_argument("--resume", action="store_true", help="go on where the one before came to")
    parser.add_argument("--accept-differences", action="store_true", help="switch although rows differ")


def replay(options: argparse.Namespace) -> None:
    """Exit code 1 when rows differ and the old ones still serve, or when it failed; 130 when it was interrupted."""
    import psycopg

    from infra.rebuild import RebuildFailed
    from infra.rebuild_tables import CannotSwitch
    from infra.transcoding import NewerFormat
    from projections.known import PROJECTIONS

    if options.name is None:
        return _list()
    if options.name not in PROJECTIONS:
        leave(_unknown(options.name))
    try:
        _carry_out(options, PROJECTIONS[options.name])
    except (RebuildFailed, CannotSwitch, NewerFormat, psycopg.Error) as error:
        leave(f"{error}\nThe rows that serve are as they were.")
    except KeyboardInterrupt:
        leave(f"\nleft off. Go on: tacitus replay {options.name} --resume; or drop it: --cancel", _INTERRUPTED)


def _carry_out(options: argparse.Namespace, projection: "Projection") -> None:
    from infra.rebuild import Rebuild

    bar = ProgressBar(sys.stderr)
    rebuild = Rebuild(options.database_url or settings_of(options).owner_url, projection, bar.show)
    if options.cancel:
        print("dropped" if rebuild.cancel() else "there was nothing to drop")
        return
    try:
        if options.verify:
            outcome = rebuild.compare(resume=options.resume)
        else:
            outcome = rebuild.replace(resume=options.resume, accept_differences=options.accept_differences)
    finally:
        bar.end()
    _report(options, outcome)


def _report(options: argparse.Namespace, outcome: "Outcome") -> None:
    for difference in outcome.differences.examples:
        print(difference)
    for table, count in outcome.differences.counts.items():
        print(f"{table}: {count:,} rows differ")
    if not outcome.differences:
        print(f"every row is the same, byte for byte, up to position {outcome.position:,}")
    if outcome.switched:
        print(f"the new rows serve; writers waited {outcome.held_seconds * 1e3:.0f} ms")
    elif outcome.differences:
        kept = f"Switch all the same: tacitus replay {options.name} --resume --accept-differences; or drop it: --cancel"
        leave("the old rows still serve." if options.verify else f"the old rows still serve. {kept}", FAILED)


def _list() -> None:
    from projections.known import NOT_FROM_EVENTS, PROJECTIONS

    for projection in PROJECTIONS.values():
        print(f"{projection.name}: {', '.join(projection.tables)}")
    print("\nnot from events, so not made anew:")
    for name, reason in NOT_FROM_EVENTS.items():
        print(f"{name}: {reason}")


def _unknown(name: str) -> str:
    from projections.known import NOT_FROM_EVENTS, PROJECTIONS

    reason = NOT_FROM_EVENTS.get(name, "there is no such projection")
    return f"{name}: {reason}. There are: {', '.join(PROJECTIONS)}"


@dataclass
class ProgressBar:
    """One line that changes on a terminal, a line now and then in a log."""

    stream: TextIO
    _step: str = ""
    _first: int = 0
    _began: float = field(default_factory=time.monotonic)
    _shown_at: float = 0.0

    def show(self, progress: "Progress") -> None:
        now = time.monotonic()
        if progress.step != self._step:
            self._step, self._first, self._began = progress.step, progress.done, now
        elif now - self._shown_at < (_PAUSE_SECONDS if self.stream.isatty() else _PAUSE_IN_A_LOG_SECONDS):
            return
        self._shown_at = now
        line = self._line(progress, now - self._began)
        print(f"\r\033[K{line}" if self.stream.isatty() else line, end="", file=self.stream, flush=True)
        if not self.stream.isatty():
            print(file=self.stream)

    def _line(self, progress: "Progress", seconds: float) -> str:
        share = min(1.0, progress.done / progress.end) if progress.end else 1.0
        filled = round(share * _BAR_WIDTH)
        line = f"{progress.step:24}[{'#' * filled:{_BAR_WIDTH}}] {share:4.0%}  {progress.done:,} of {progress.end:,}"
        rate = (progress.done - self._first) / seconds if seconds > 0 else 0.0
        left = f", {(progress.end - progress.done) / rate:,.0f} s left" if rate and progress.done < progress.end else ""
        return f"{line}  {rate:,.0f}/s{left}" if rate else line

    def end(self) -> None:
        if self._step and self.stream.isatty():
            print(file=self.stream)
