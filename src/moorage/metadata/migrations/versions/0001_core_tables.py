"""core tables."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Bring the schema forward."""
    _make_account()
    _make_blob()
    _make_manifest()
    _make_secret()
    _make_principal()
    _make_registry()
    _make_access_key()
    _make_account_setting()
    _make_repository()
    _make_image()
    _make_layer()
    _make_resource_tag()
    _make_tag_event()
    _make_upload()
    _make_image_reference()
    _make_segment()
    _make_tag()


def _make_account() -> None:
    op.create_table(
        "account",
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("is_active", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("account_pk")),
        sqlite_autoincrement=False,
    )


def _make_blob() -> None:
    op.create_table(
        "blob",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("key_domain", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("blob_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "blob_digest_unique",
        "blob",
        ["digest", "key_domain"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _make_manifest() -> None:
    op.create_table(
        "manifest",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("media_type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("manifest_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("manifest_digest_unique", "manifest", ["digest", "media_type"], unique=True)


def _make_secret() -> None:
    op.create_table(
        "secret",
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed_key", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("purpose", "version", name=op.f("secret_pk")),
        sqlite_autoincrement=False,
    )


def _make_principal() -> None:
    op.create_table(
        "principal",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("principal_account_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("principal_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("principal_name_unique", "principal", ["account_id", "kind", "name"], unique=True)


def _make_registry() -> None:
    op.create_table(
        "registry",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("region", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("repository_count", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("registry_account_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("registry_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("registry_key_unique", "registry", ["account_id", "region"], unique=True)


def _make_access_key() -> None:
    op.create_table(
        "access_key",
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("principal_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("is_active", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["principal_id"], ["principal.id"], name=op.f("access_key_principal_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("access_key_pk")),
        sqlite_autoincrement=False,
    )
    op.create_index("access_key_principal", "access_key", ["principal_id"], unique=False)


def _make_account_setting() -> None:
    op.create_table(
        "account_setting",
        sa.Column("registry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["registry_id"], ["registry.id"], name=op.f("account_setting_registry_id_fk")),
        sa.PrimaryKeyConstraint("registry_id", "name", name=op.f("account_setting_pk")),
        sqlite_autoincrement=False,
    )


def _make_repository() -> None:
    op.create_table(
        "repository",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("registry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tag_mutability", sa.Text(), nullable=False),
        sa.Column("exclusion_filters", sa.Text(), nullable=False),
        sa.Column("image_count", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["registry_id"], ["registry.id"], name=op.f("repository_registry_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("repository_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "repository_name_unique",
        "repository",
        ["registry_id", "name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )


def _make_image() -> None:
    op.create_table(
        "image",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("manifest_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("media_type", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("manifest_size", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("artifact_media_type", sa.Text(), nullable=True),
        sa.Column("artifact_type", sa.Text(), nullable=True),
        sa.Column(
            "subject_digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.Column("last_pulled_at", sa.BigInteger(), nullable=True),
        sa.Column("tag_count", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["manifest_id"], ["manifest.id"], name=op.f("image_manifest_id_fk")),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("image_repository_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("image_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "image_digest_unique",
        "image",
        ["repository_id", "digest"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "image_page",
        "image",
        ["repository_id", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "image_page_tagged",
        "image",
        ["repository_id", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL AND tag_count > 0"),
        postgresql_where=sa.text("deleted_at IS NULL AND tag_count > 0"),
    )
    op.create_index(
        "image_page_untagged",
        "image",
        ["repository_id", "id"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL AND tag_count = 0"),
        postgresql_where=sa.text("deleted_at IS NULL AND tag_count = 0"),
    )
    op.create_index(
        "image_subject",
        "image",
        ["repository_id", "subject_digest", "digest"],
        unique=False,
        sqlite_where=sa.text("deleted_at IS NULL AND subject_digest IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NULL AND subject_digest IS NOT NULL"),
    )


def _make_layer() -> None:
    op.create_table(
        "layer",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("registry_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("blob_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["blob_id"], ["blob.id"], name=op.f("layer_blob_id_fk")),
        sa.ForeignKeyConstraint(["registry_id"], ["registry.id"], name=op.f("layer_registry_id_fk")),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("layer_repository_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("layer_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("layer_blob", "layer", ["blob_id"], unique=False)
    op.create_index("layer_digest_unique", "layer", ["repository_id", "digest"], unique=True)
    op.create_index("layer_holder", "layer", ["registry_id", "digest", "id"], unique=False)


def _make_resource_tag() -> None:
    op.create_table(
        "resource_tag",
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("resource_tag_repository_id_fk")
        ),
        sa.PrimaryKeyConstraint("repository_id", "key", name=op.f("resource_tag_pk")),
        sqlite_autoincrement=False,
    )


def _make_tag_event() -> None:
    op.create_table(
        "tag_event",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tag", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.Column("from_digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.Column("to_digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("tag_event_repository_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("tag_event_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("tag_event_tag", "tag_event", ["repository_id", "tag", "id"], unique=False)


def _make_upload() -> None:
    op.create_table(
        "upload",
        sa.Column("id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("account_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("part_count", sa.Integer(), nullable=False),
        sa.Column("small_part_count", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("upload_repository_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("upload_pk")),
        sqlite_autoincrement=False,
    )
    op.create_index("upload_account", "upload", ["account_id"], unique=False)
    op.create_index("upload_repository", "upload", ["repository_id"], unique=False)
    op.create_index("upload_updated", "upload", ["updated_at"], unique=False)


def _make_image_reference() -> None:
    op.create_table(
        "image_reference",
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("image_reference_image_id_fk")),
        sa.ForeignKeyConstraint(
            ["repository_id"], ["repository.id"], name=op.f("image_reference_repository_id_fk")
        ),
        sa.PrimaryKeyConstraint("image_id", "kind", "digest", name=op.f("image_reference_pk")),
        sqlite_autoincrement=False,
    )
    op.create_index(
        "image_reference_digest",
        "image_reference",
        ["repository_id", "digest", "kind", "image_id"],
        unique=False,
    )


def _make_segment() -> None:
    op.create_table(
        "segment",
        sa.Column("upload_id", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["upload.id"], name=op.f("segment_upload_id_fk")),
        sa.PrimaryKeyConstraint("upload_id", "number", name=op.f("segment_pk")),
        sqlite_autoincrement=False,
    )


def _make_tag() -> None:
    op.create_table(
        "tag",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("repository_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("image_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pushed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name=op.f("tag_image_id_fk")),
        sa.ForeignKeyConstraint(["repository_id"], ["repository.id"], name=op.f("tag_repository_id_fk")),
        sa.PrimaryKeyConstraint("id", name=op.f("tag_pk")),
        sqlite_autoincrement=True,
    )
    op.create_index("tag_image", "tag", ["image_id", "id"], unique=False)
    op.create_index("tag_name_unique", "tag", ["repository_id", "name"], unique=True)
