"""audit: records of changes."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("exported_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "audit_exported",
        "audit",
        ["exported_at"],
        unique=False,
        sqlite_where=sa.text("exported_at IS NOT NULL"),
        postgresql_where=sa.text("exported_at IS NOT NULL"),
    )
    op.create_index(
        "audit_unexported",
        "audit",
        ["id"],
        unique=False,
        sqlite_where=sa.text("exported_at IS NULL"),
        postgresql_where=sa.text("exported_at IS NULL"),
    )
