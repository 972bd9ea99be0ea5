"""Users, roles, their policies and issuers, and room for policies of repositories and registries."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema forward."""
    _make_resource_policy()
    _make_identity_provider()
    _make_managed_policy()
    _make_inline_policy()
    _make_policy_attachment()
    _extend_account()
    _extend_principal()
    _extend_registry()
    _extend_repository()
    _set_unique_ids()


def _make_resource_policy() -> None:
    op.create_table(
        "resource_policy",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("resource_policy_pk")),
        sqlite_autoincrement=True,
    )


def _make_identity_provider() -> None:
    op.create_table(
        "identity_provider",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("issuer", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("audiences", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("identity_provider_account_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("identity_provider_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "identity_provider_issuer_unique", "identity_provider", ["account_id", "issuer"], unique=True
    )


def _make_managed_policy() -> None:
    op.create_table(
        "managed_policy",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("path", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("unique_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("managed_policy_account_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("managed_policy_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("managed_policy_name_unique", "managed_policy", ["account_id", "name"], unique=True)


def _make_inline_policy() -> None:
    op.create_table(
        "inline_policy",
        sa.Column("principal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("inline_policy_principal_id_fk")),
        sa.PrimaryKeyConstraint("principal_id", "name", name=op.f("inline_policy_pk")),
        sqlite_autoincrement=False,
    )


def _make_policy_attachment() -> None:
    op.create_table(
        "policy_attachment",
        sa.Column("principal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("policy_arn", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(
            ["principal_id"], ["principal.id"], name=op.f("policy_attachment_principal_id_fk")
        ),
        sa.PrimaryKeyConstraint("principal_id", "policy_arn", name=op.f("policy_attachment_pk")),
        sqlite_autoincrement=False,
    )
    op.create_index(
        "policy_attachment_policy", "policy_attachment", ["policy_arn", "principal_id"], unique=False
    )


def _extend_account() -> None:
    op.add_column("account", sa.Column("name", sa.Text(), nullable=True))


def _extend_principal() -> None:
    op.add_column(
        "principal",
        sa.Column(
            "path",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default="/",
            nullable=False,
        ),
    )
    op.add_column(
        "principal",
        sa.Column(
            "unique_id",
            sa.Text().with_variant(sa.Text(collation="C"), "postgresql"),
            server_default="",
            nullable=False,
        ),
    )
    op.add_column(
        "principal",
        sa.Column("boundary", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    )
    op.add_column("principal", sa.Column("trust_policy", sa.Text(), nullable=True))
    op.add_column(
        "principal", sa.Column("max_session_seconds", sa.Integer(), server_default="3600", nullable=False)
    )
    op.add_column("principal", sa.Column("tags", sa.Text(), server_default="{}", nullable=False))
    op.add_column("principal", sa.Column("policy_epoch", sa.BigInteger(), server_default="0", nullable=False))
    op.create_index(
        "principal_boundary",
        "principal",
        ["boundary"],
        unique=False,
        sqlite_where=sa.text("boundary IS NOT NULL"),
        postgresql_where=sa.text("boundary IS NOT NULL"),
    )


def _extend_registry() -> None:
    op.add_column(
        "registry", sa.Column("policy_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True)
    )


def _extend_repository() -> None:
    op.add_column(
        "repository",
        sa.Column("policy_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    )


def _set_unique_ids() -> None:
    op.execute("UPDATE principal SET unique_id = account_id WHERE kind = 'root'")
