"""The two homes of events and actions (stores.py), each with a contract to keep."""

from collections.abc import Iterator

import pytest

from tests.infra.stores import Home, InMemory, InPostgres, in_postgres


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest) -> Iterator[Home]:
    if request.param == "memory":
        yield InMemory()
    else:
        with in_postgres(request.getfixturevalue("database")) as found:
            yield found


@pytest.fixture
def postgres(database: str) -> Iterator[InPostgres]:
    with in_postgres(database) as found:
        yield found
