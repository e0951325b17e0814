"""What many processes need: positions by partition, parked events, rebuilds, levels of the log, roles of the database.

Revision ID: 0003
Revises: 0002
"""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

PARTS = ("streams", "replay", "log", "operations", "roles")


def upgrade() -> None:
    """One script for each part, each in one call, past SQLAlchemy's parameters."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    for part in PARTS:
        connection.execute(Path(__file__).with_name(f"0003_{part}.sql").read_text())
