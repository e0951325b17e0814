"""What every test may ask for: an embedded PostgreSQL, and a migrated database of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest

from infra.embedded_postgres import EmbeddedPostgres, in_database

MACHINE_WIDE = {"amphora", "kafka", "keystone"}  # markers of tests that share ports, addresses or servers
TEMPLATE = "migrated"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share the machine's ports on one worker, so that they never run side by side."""
    for item in items:
        if MACHINE_WIDE & {marker.name for marker in item.iter_markers()}:
            item.add_marker(pytest.mark.xdist_group("machine"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server that lives as long as this test process; its database `postgres` is empty.

    A directory of its own under /tmp rather than tmp_path: the path of a unix socket holds 107 bytes.
    """
    directory = Path(tempfile.mkdtemp(prefix="tacitus-tests-"))
    directory.chmod(0o711)  # under root the server is a user of its own and must get through
    server = EmbeddedPostgres(directory / "postgresql", settings={"fsync": "off", "full_page_writes": "off"})
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """Name of a database with our schema, migrated once and copied for each test."""
    from infra.migration import upgrade  # only tests with a database pay for the import

    _run(postgres_url, f"CREATE DATABASE {TEMPLATE}")
    upgrade(in_database(postgres_url, TEMPLATE))
    return TEMPLATE


@pytest.fixture
def database(postgres_url: str, migrated_template: str) -> Iterator[str]:
    """URL of a fresh database with our schema, for one test alone; whatever is still connected is cut off after it."""
    with fresh_database(postgres_url, migrated_template) as url:
        yield url


@contextmanager
def fresh_database(postgres_url: str, template: str) -> Iterator[str]:
    """URL of a copy of a database, which is there for a while."""
    name = f"test_{next(_numbers)}"
    _run(postgres_url, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield in_database(postgres_url, name)
    _run(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


_numbers = count(1)


def _run(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[call-overload]
