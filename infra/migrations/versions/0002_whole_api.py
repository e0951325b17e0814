"""What the whole API needs besides: L7 policies, quotas, flavors and availability zones."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"

PARTS = ("control", "tree", "amphorae", "append", "quotas", "catalogue", "idempotency")


def upgrade() -> None:
    """One script for each part, each in one call, past SQLAlchemy's parameters."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    for part in PARTS:
        connection.execute(Path(__file__).with_name(f"0002_{part}.sql").read_text())
