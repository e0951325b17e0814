"""The baselines W and R: bare Falcon and psycopg under the same gunicorn, one row in or out."""

import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import falcon
import psycopg

from infra.api_server import ApiServer
from infra.options import read
from infra.settings import Settings

TABLE = "CREATE TABLE IF NOT EXISTS baseline_rows (id uuid PRIMARY KEY, document jsonb NOT NULL)"


def application(settings: Settings) -> Any:
    """Built in each worker, with one connection, as a sync worker needs no more."""
    app = falcon.App()
    rows = Rows(psycopg.connect(settings.database_url, autocommit=True))
    app.add_route("/rows", rows)
    app.add_route("/rows/{id}", rows, suffix="one")
    return app


class Rows:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        document, id = req.media, uuid4()
        self._connection.execute("INSERT INTO baseline_rows VALUES (%s, %s)", (id, json.dumps(document)), prepare=True)
        resp.status, resp.media = falcon.HTTP_201, {"id": str(id), **document}

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, id: str) -> None:
        row = self._connection.execute(
            "SELECT document FROM baseline_rows WHERE id = %s", (UUID(id),), prepare=True
        ).fetchone()
        assert row is not None
        resp.media = row[0]


def main() -> None:
    """`python -m benchmarks.baseline SETTINGS`: serves on the settings' port until it is stopped."""
    settings = read([Path(sys.argv[1])])
    sys.argv = sys.argv[:1]
    ApiServer(settings, application).run()


if __name__ == "__main__":
    main()
