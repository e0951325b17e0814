"""What the verbs of the command `tacitus` share."""

import argparse
import logging
import sys
from pathlib import Path
from typing import NoReturn, TypeAlias

from infra.options import read
from infra.settings import Settings

FAILED, IN_USE, RELEASE_TOO_OLD, LOG_WENT_BACK = 1, 4, 5, 6
"""Exit codes: 4 when another run has the state directory, 1 for whatever has none of its own. After 5 and 6 it does not
help to start again: a newer release has to be installed, or somebody has to adopt the log.
"""

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
"""What add_subparsers() gives; argparse has no public name for it."""


def add_config_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config-file",
        type=Path,
        action="append",
        dest="config_files",
        metavar="FILE",
        help="settings; may be given several times, the last one wins (/etc/tacitus/tacitus.conf)",
    )


def settings_of(options: argparse.Namespace) -> Settings:
    """Raises infra.options.InvalidSettings."""
    return read(options.config_files)


def leave(error: Exception | str, code: int = FAILED) -> NoReturn:
    """End the command with one line for the person at the terminal."""
    logging.shutdown()
    print(f"tacitus: {error}", file=sys.stderr)
    raise SystemExit(code)
