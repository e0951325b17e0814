"""What services may do in the database: the log only grows, and nobody but its owner can change that."""

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from commands.ports import Origin
from infra.event_store import EventStore
from infra.migration import service_login
from tests.given import a_load_balancer

pytestmark = pytest.mark.postgres


@pytest.fixture
def login(database: str) -> str:
    """The database as services see it, with one load balancer in it."""
    url = service_login(database)
    store = EventStore(url, connections=1)
    store.save(a_load_balancer(), origin=Origin())
    store.close()
    return url


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE tacitus_events SET topic = 'Surmise'",
        "DELETE FROM tacitus_events",
        "TRUNCATE tacitus_events",
        "UPDATE commits SET recorded_at = now()",
        "DELETE FROM commits",
        "UPDATE log_identity SET id = gen_random_uuid()",
        "ALTER TABLE tacitus_events DISABLE TRIGGER ALL",
        "DROP TABLE load_balancers",
    ],
)
def test_a_service_cannot_rewrite_history(statement: str, login: str) -> None:
    with psycopg.connect(login) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement)  # type: ignore[call-overload]


def test_a_service_can_append_and_read(login: str) -> None:
    with psycopg.connect(login) as connection:
        events = connection.execute("SELECT notification_id FROM tacitus_events").fetchall()
        rows = connection.execute("SELECT id FROM load_balancers").fetchall()

    assert events
    assert len(rows) == 1


def test_tables_that_the_owner_makes_later_are_open_to_services(database: str, login: str) -> None:
    with psycopg.connect(database) as owner:
        owner.execute("CREATE TABLE annals (year int)")

    with psycopg.connect(login) as connection:
        connection.execute("INSERT INTO annals VALUES (69)")
