"""How much work a list is for PostgreSQL: a page is read from an index, however many rows there are."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from falcon.testing import TestClient
from psycopg_pool import ConnectionPool

from infra.http import application
from infra.identity import Identity, everyone
from projections.health_monitor import HEALTH_MONITORS
from projections.l7_policy import L7_POLICIES
from projections.listener import LISTENERS
from projections.listing import ListRules
from projections.load_balancer import LOAD_BALANCERS
from projections.pool import POOLS
from projections.view import Collection, Resource, View
from tests.api.conftest import Api

pytestmark = pytest.mark.postgres


class Remembering(psycopg.Cursor[Any]):
    """Keeps the last statement with its parameters."""

    last: tuple[Any, Any] = ("", ())

    def execute(self, query: Any, params: Any = None, **more: Any) -> "Remembering":
        Remembering.last = (query, params)
        super().execute(query, params, **more)
        return self


@pytest.fixture
def plan_of(api: Api) -> Iterator[Callable[[Resource, str], str]]:
    """How PostgreSQL carries out a list, when it takes whatever there is to avoid sorting and reading whole tables."""
    url = api.settings.database_url
    with (
        ConnectionPool(url, min_size=1, max_size=1, kwargs={"cursor_factory": Remembering}) as pool,
        psycopg.connect(url, options="-c enable_sort=off -c enable_seqscan=off") as connection,
    ):

        def plan(resource: Resource, query: str) -> str:
            routes = {"/lists": Collection(View(resource, pool), ListRules())}
            client = TestClient(application([Identity(everyone)], {}, [("", routes)]))
            assert client.simulate_get("/v2/lists", query_string=query).status_code == 200
            sql, parameters = Remembering.last
            return "\n".join(row[0] for row in connection.execute(f"EXPLAIN (COSTS OFF) {sql}", parameters))

        yield plan


def is_sorted(plan: str) -> bool:
    """Whether the whole list is, rather than what each row of its page names, or rows of the same moment."""
    lines = plan.splitlines()
    steps = (step for step, key in pairwise(lines) if "Sort Key" in key and "created_at" in key)
    return any("Incremental" not in step for step in steps)


@pytest.mark.parametrize("query", ["", "project_id=weaving", "sort=created_at:desc"])
def test_page_of_load_balancers_is_read_from_an_index(
    api: Api, plan_of: Callable[[Resource, str], str], query: str
) -> None:
    """Wherever it is: it takes as long with 100,000 load balancers as with 1,000."""
    id = api.load_balancer()["id"]

    first, further = (plan_of(LOAD_BALANCERS, f"limit=100&{query}{marker}") for marker in ("", f"&marker={id}"))

    assert not is_sorted(first + further)
    index = "load_balancers_project" if "project_id" in query else "load_balancers_in_order"
    assert f"Index Scan using {index}" in first or f"Index Scan Backward using {index}" in first
    assert "created_at" in further.partition("Index Cond:")[2].partition("\n")[0]


@pytest.mark.parametrize("resource", [LISTENERS, POOLS, HEALTH_MONITORS, L7_POLICIES], ids=lambda each: each.many)
def test_first_page_of_every_list_is_read_from_an_index(
    plan_of: Callable[[Resource, str], str], resource: Resource
) -> None:
    assert not is_sorted(plan_of(resource, "limit=100"))
