"""The noop profile's API when the database does not answer the question whether it was told something."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from infra.controlled import ControlledApi, Told
from infra.settings import Settings
from infra.wiring import connection_pool

pytestmark = pytest.mark.postgres


def test_requests_reach_the_application_while_the_database_is_away(database: str, tmp_path: Path) -> None:
    """Which tells clients about it in the contract's words."""
    pool = connection_pool(Settings(database_url=database, state_directory=tmp_path), 1)
    pool.close()
    told: list[Told] = []

    def build(now: Told) -> Any:
        told.append(now)

        def application(env: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            return [b"answered"]

        return application

    api = ControlledApi(pool, tmp_path / "control", build)

    assert [list(api({"PATH_INFO": "/v2"}, None)) for _ in range(2)] == [[b"answered"]] * 2
    assert told == [Told()]
