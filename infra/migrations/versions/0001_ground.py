"""The log, its commit records, resource rows, actions and positions."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """The whole script in one call, past SQLAlchemy's parameters: the SQL stands in a file of its own."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    connection.execute(Path(__file__).with_suffix(".sql").read_text())
