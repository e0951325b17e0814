"""Log lines as JSON objects, one each: for people with `jq`, and for what collects logs."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from commands.tracing import request_id


class JsonLines(logging.Formatter):
    """time, level, role, pid, logger, message; request_id and exception where there is one."""

    def __init__(self, role: str) -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self._role,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if id := request_id():
            line["request_id"] = id
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def write_logs(role: str) -> None:
    """To standard error, from now on. What the libraries tell of each connection is left out."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(role))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("kafka").setLevel(logging.WARNING)
