"""What the projector writes: rows that follow the log in their own time; and what is held while health is recorded.

Revision ID: 0004
Revises: 0003
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """In one call, past SQLAlchemy's parameters."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    for name in ("0004_measured.sql", "0004_changes.sql"):
        connection.execute(Path(__file__).with_name(name).read_text())
