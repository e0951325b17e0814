"""`/healthcheck`: for load balancers in front of the API, and for monitoring."""

import time
from collections.abc import Sequence
from html import escape
from typing import Any

import falcon
import msgspec
import psycopg
from falcon import Request, Response
from psycopg_pool import ConnectionPool, PoolTimeout

DATABASE_IS_AWAY = "The Octavia database is unavailable."
_PATIENCE_SECONDS = 2.0


class Healthcheck:
    """Healthy while the database answers.

    pool          connections in autocommit
    keep_seconds  how long an outcome counts: many may ask
    """

    def __init__(self, pool: ConnectionPool[Any], keep_seconds: float) -> None:
        self._pool = pool
        self._keep_seconds = keep_seconds
        self._reasons: Sequence[str] = ()
        self._until = 0.0

    def on_get(self, req: Request, resp: Response) -> None:
        reasons = self._what_is_wrong()
        resp.status = falcon.HTTP_503 if reasons else falcon.HTTP_200
        match req.client_prefers(("text/plain", "application/json", "text/html")):
            case "application/json":
                resp.content_type = falcon.MEDIA_JSON
                resp.data = msgspec.json.encode({"detailed": False, "reasons": reasons})
            case "text/html":
                resp.content_type = falcon.MEDIA_HTML
                resp.text = _page(reasons)
            case _ if reasons:
                resp.content_type = falcon.MEDIA_TEXT
                resp.text = "\n".join(reasons)
            case _:
                resp.status = falcon.HTTP_204

    on_head = on_get

    def on_options(self, req: Request, resp: Response) -> None:
        raise falcon.HTTPMethodNotAllowed(["GET", "HEAD"])

    def _what_is_wrong(self) -> Sequence[str]:
        if time.monotonic() >= self._until:
            self._reasons = () if self._database_answers() else (DATABASE_IS_AWAY,)
            self._until = time.monotonic() + self._keep_seconds
        return self._reasons

    def _database_answers(self) -> bool:
        try:
            with self._pool.connection(timeout=_PATIENCE_SECONDS) as connection:
                connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout):
            return False
        return True


def _page(reasons: Sequence[str]) -> str:
    rows = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f"<!DOCTYPE html><html><head><title>Healthcheck</title></head><body><ul>{rows}</ul></body></html>"
