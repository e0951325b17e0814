"""Makes and changes the schema: one step under a lock, never done by services as they start."""

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

_MIGRATION_LOCK = 7_201_601
_SERVICE_LOGIN = "tacitus"


def upgrade(database_url: str) -> None:
    """Bring the schema up to date; a second caller waits for the first and finds nothing to do."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(database_url), poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def service_login(owner_url: str) -> str:
    """The URL of a login that may do what services do, and no more; made on a server that is ours alone."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_SERVICE_LOGIN]).fetchone():
            connection.execute(f"CREATE ROLE {_SERVICE_LOGIN} LOGIN IN ROLE tacitus_service")
    parts = urlsplit(owner_url)
    return urlunsplit(parts._replace(netloc=f"{_SERVICE_LOGIN}@{parts.netloc.rpartition('@')[2]}"))
