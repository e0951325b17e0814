"""Files that are whole or not there: written beside, flushed to disk, renamed into place."""

import errno
import os
from pathlib import Path

from amphora.agent.errors import DiskFull

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_durably(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Raises DiskFull, and leaves nothing behind then."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        if error.errno not in FULL:
            raise
        file.unlink(missing_ok=True)
        raise DiskFull(f"{file.name} was not written: {error.strerror}") from error


def replace_durably(source: Path, target: Path) -> None:
    """The rename that makes `source` the new `target`, also after a power cut."""
    source.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def replace_content(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Raises DiskFull; the old file stays whole then."""
    beside = file.with_name(file.name + ".new")
    write_durably(beside, content, mode)
    replace_durably(beside, file)
