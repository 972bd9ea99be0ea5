"""Every table of the metadata database.

Ids are 64-bit and never reused. Times are integer microseconds UTC. Names compare bytewise. A row with
``deleted_at`` set is gone for every reader; partial unique indexes cover the live rows alone.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s",
        "uq": "%(table_name)s_%(column_0_N_name)s_unique",
        "fk": "%(table_name)s_%(column_0_N_name)s_fk",
        "pk": "%(table_name)s_pk",
    }
)

_Id = BigInteger().with_variant(Integer, "sqlite")
_Name = Text().with_variant(Text(collation="C"), "postgresql")
_Time = BigInteger()


def _id() -> Column[int]:
    return Column("id", _Id, primary_key=True, autoincrement=True)


def _table(name: str, *items: SchemaItem) -> Table:
    # AUTOINCREMENT keeps SQLite from handing out the id of a deleted row again.
    is_counted = any(isinstance(item, Column) and item.autoincrement is True for item in items)
    return Table(name, metadata, *items, sqlite_autoincrement=is_counted)


def _live(
    name: str, *columns: str, unique: bool = False, where: str = "deleted_at IS NULL", since: str = ""
) -> Index:
    """``since`` is the revision that added the index to a table which was there before."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), info={"where": where, "since": since})


def indexes_in_order(table: Table) -> list[Index]:
    """The indexes of a table in the order in which migrations make them.

    Which of two that would do SQLite takes depends on it: it must be the same one in every database.
    """
    return sorted(table.indexes, key=lambda index: (index.info.get("since", ""), str(index.name)))


def partial_on_postgresql() -> None:
    """Make the partial indexes partial on PostgreSQL too, for whoever makes or compares these tables there.

    Not done at once: SQLAlchemy would load the drivers of a database that most servers never use with it, a tenth of
    the time of a start.
    """
    for table in metadata.tables.values():
        for index in table.indexes:
            if "where" in index.info:
                index.dialect_kwargs["postgresql_where"] = text(index.info["where"])


# --- Who -----------------------------------------------------------------------------------------------------

account = _table(
    "account",
    Column("id", _Name, primary_key=True),
    Column("is_active", Integer, nullable=False),
    Column("created_at", _Time, nullable=False),
    #: What people call it, for people alone.
    Column("name", Text),
)

principal = _table(
    "principal",
    _id(),
    Column("account_id", _Name, ForeignKey("account.id"), nullable=False),
    Column("kind", Text, nullable=False),  # root, user, role
    Column("name", _Name, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("path", _Name, nullable=False, server_default="/"),
    #: AIDA… or AROA…, that of a root its account's id; never given out again, as names are.
    Column("unique_id", _Name, nullable=False, server_default=""),
    #: ARN of the policy that bounds what this principal may do.
    Column("boundary", _Name),
    #: Of a role: who may assume it, a policy as it was written, and for how long at most.
    Column("trust_policy", Text),
    Column("max_session_seconds", Integer, nullable=False, server_default="3600"),
    Column("tags", Text, nullable=False, server_default="{}"),  # JSON object
    #: Raised by every change to what applies to this principal: policies, boundary, tags. What was derived from them
    #: is good as long as this is the same.
    Column("policy_epoch", BigInteger, nullable=False, server_default="0"),
    Index("principal_name_unique", "account_id", "kind", "name", unique=True),
    _live("principal_boundary", "boundary", where="boundary IS NOT NULL", since="0002"),
)

#: A policy that belongs to one principal.
inline_policy = _table(
    "inline_policy",
    Column("principal_id", _Id, ForeignKey("principal.id"), nullable=False),
    Column("name", _Name, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("principal_id", "name"),
)

#: A policy of an account, to be attached by its ARN. Those of AWS are no rows: ``rules.policy.managed`` has them.
managed_policy = _table(
    "managed_policy",
    _id(),
    Column("account_id", _Name, ForeignKey("account.id"), nullable=False),
    Column("name", _Name, nullable=False),
    Column("path", _Name, nullable=False),
    Column("unique_id", _Name, nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Index("managed_policy_name_unique", "account_id", "name", unique=True),
)

#: That a managed policy, of the account or of AWS, applies to a principal.
policy_attachment = _table(
    "policy_attachment",
    Column("principal_id", _Id, ForeignKey("principal.id"), nullable=False),
    Column("policy_arn", _Name, nullable=False),
    PrimaryKeyConstraint("principal_id", "policy_arn"),
    Index("policy_attachment_policy", "policy_arn", "principal_id"),
)

#: An OIDC issuer whose tokens an account's roles may trust.
identity_provider = _table(
    "identity_provider",
    _id(),
    Column("account_id", _Name, ForeignKey("account.id"), nullable=False),
    #: AWS: without the scheme, which is https.
    Column("issuer", _Name, nullable=False),
    Column("audiences", Text, nullable=False),  # JSON list
    Column("created_at", _Time, nullable=False),
    Index("identity_provider_issuer_unique", "account_id", "issuer", unique=True),
)

access_key = _table(
    "access_key",
    Column("id", _Name, primary_key=True),
    Column("principal_id", _Id, ForeignKey("principal.id"), nullable=False),
    Column("sealed_secret", LargeBinary, nullable=False),
    Column("is_active", Integer, nullable=False),
    Column("created_at", _Time, nullable=False),
    Index("access_key_principal", "principal_id"),
)

#: Versioned server keys for tokens, page tokens and download URLs, sealed by the master key.
secret = _table(
    "secret",
    Column("purpose", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("sealed_key", LargeBinary, nullable=False),
    Column("created_at", _Time, nullable=False),
    PrimaryKeyConstraint("purpose", "version"),
)

# --- What ----------------------------------------------------------------------------------------------------

#: The policy of a repository or a registry. A row is never changed: another text gets another id, which is never
#: given out again, so that what was compiled from a text can be kept by its id.
resource_policy = _table(
    "resource_policy",
    _id(),
    Column("text", Text, nullable=False),
    Column("updated_at", _Time, nullable=False),
)

registry = _table(
    "registry",
    _id(),
    Column("account_id", _Name, ForeignKey("account.id"), nullable=False),
    Column("region", _Name, nullable=False),
    Column("created_at", _Time, nullable=False),
    #: Live repositories; kept here so that the quota costs the same at any number.
    Column("repository_count", BigInteger, nullable=False),
    #: Its row of ``resource_policy``. No foreign key: one would look through all registries, here as with
    #: repositories, for every policy that is removed.
    Column("policy_id", _Id),
    Index("registry_key_unique", "account_id", "region", unique=True),
)

account_setting = _table(
    "account_setting",
    Column("registry_id", _Id, ForeignKey("registry.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("registry_id", "name"),
)

repository = _table(
    "repository",
    _id(),
    Column("registry_id", _Id, ForeignKey("registry.id"), nullable=False),
    Column("name", _Name, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("tag_mutability", Text, nullable=False),
    Column("exclusion_filters", Text, nullable=False),  # JSON list of wildcard patterns
    #: Live images; kept here so that the quota and the emptiness check cost the same at any size.
    Column("image_count", BigInteger, nullable=False),
    Column("deleted_at", _Time),
    Column("policy_id", _Id),  # as that of a registry
    _live("repository_name_unique", "registry_id", "name", unique=True),
)

resource_tag = _table(
    "resource_tag",
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("key", _Name, nullable=False),
    Column("value", Text, nullable=False),
    PrimaryKeyConstraint("repository_id", "key"),
)

#: Manifest bytes, stored once for the whole server. ``digest`` is that of ``content``, which for a signed schema 1
#: manifest is not the image's. The media type is part of the key, so that what one account calls these bytes never
#: decides what another is told.
manifest = _table(
    "manifest",
    _id(),
    Column("digest", _Name, nullable=False),
    Column("media_type", _Name, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("manifest_digest_unique", "digest", "media_type", unique=True),
)

image = _table(
    "image",
    _id(),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("manifest_id", _Id, ForeignKey("manifest.id"), nullable=False),
    Column("digest", _Name, nullable=False),
    Column("media_type", _Name, nullable=False),
    Column("manifest_size", BigInteger, nullable=False),
    #: What ECR shows: config and layers, for an index the largest child.
    Column("size", BigInteger, nullable=False),
    Column("artifact_media_type", Text),
    #: What the referrers list shows; it differs from the above for an index.
    Column("artifact_type", Text),
    Column("subject_digest", _Name),
    Column("pushed_at", _Time, nullable=False),
    Column("last_pulled_at", _Time),
    Column("tag_count", Integer, nullable=False),
    Column("deleted_at", _Time),
    _live("image_digest_unique", "repository_id", "digest", unique=True),
    _live("image_page", "repository_id", "id"),
    _live("image_page_tagged", "repository_id", "id", where="deleted_at IS NULL AND tag_count > 0"),
    _live("image_page_untagged", "repository_id", "id", where="deleted_at IS NULL AND tag_count = 0"),
    _live(
        "image_subject",
        "repository_id",
        "subject_digest",
        "digest",
        where="deleted_at IS NULL AND subject_digest IS NOT NULL",
    ),
)

tag = _table(
    "tag",
    _id(),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("name", _Name, nullable=False),
    Column("image_id", _Id, ForeignKey("image.id"), nullable=False),
    Column("pushed_at", _Time, nullable=False),
    Index("tag_name_unique", "repository_id", "name", unique=True),
    Index("tag_image", "image_id", "id"),
)

#: Every move of a tag: who, when, from which digest to which. Null means the tag did not or does not exist.
tag_event = _table(
    "tag_event",
    _id(),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("tag", _Name, nullable=False),
    Column("occurred_at", _Time, nullable=False),
    Column("principal", Text, nullable=False),
    Column("from_digest", _Name),
    Column("to_digest", _Name),
    Index("tag_event_tag", "repository_id", "tag", "id"),
)

#: What an image needs or points to: its config, layers, children and subject.
image_reference = _table(
    "image_reference",
    Column("image_id", _Id, ForeignKey("image.id"), nullable=False),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("kind", Text, nullable=False),  # blob, image
    Column("digest", _Name, nullable=False),
    PrimaryKeyConstraint("image_id", "kind", "digest"),
    Index("image_reference_digest", "repository_id", "digest", "kind", "image_id"),
)

#: A blob that a repository may serve, under the digest that was asked for.
layer = _table(
    "layer",
    _id(),
    #: That of the repository; here so that a mount finds holders without a look at other registries.
    Column("registry_id", _Id, ForeignKey("registry.id"), nullable=False),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("digest", _Name, nullable=False),
    Column("blob_id", _Id, ForeignKey("blob.id"), nullable=False),
    Column("media_type", Text),
    Column("created_at", _Time, nullable=False),
    Index("layer_digest_unique", "repository_id", "digest", unique=True),
    Index("layer_holder", "registry_id", "digest", "id"),
    Index("layer_blob", "blob_id"),
)

#: Stored bytes. ``digest`` is always sha256; ``location`` is never used twice.
blob = _table(
    "blob",
    _id(),
    Column("digest", _Name, nullable=False),
    Column("key_domain", _Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("location", Text, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("deleted_at", _Time),
    _live("blob_digest_unique", "digest", "key_domain", unique=True),
)

# --- Being uploaded ------------------------------------------------------------------------------------------

upload = _table(
    "upload",
    Column("id", _Name, primary_key=True),
    Column("repository_id", _Id, ForeignKey("repository.id"), nullable=False),
    Column("account_id", _Name, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("updated_at", _Time, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("part_count", Integer, nullable=False),
    Column("small_part_count", Integer, nullable=False),
    #: Raised by every writer that begins; bytes are counted only under one's own epoch.
    Column("epoch", Integer, nullable=False),
    Index("upload_account", "account_id"),
    Index("upload_updated", "updated_at"),
    Index("upload_repository", "repository_id"),
)

segment = _table(
    "segment",
    Column("upload_id", _Name, ForeignKey("upload.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("location", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    #: sha256 of exactly these bytes, taken while they were written.
    Column("sha256", _Name, nullable=False),
    PrimaryKeyConstraint("upload_id", "number"),
)

# --- What happened -------------------------------------------------------------------------------------------

#: A record of each change, written with it. The job worker copies them to the audit file in the order of their ids.
audit = _table(
    "audit",
    _id(),
    Column("at", _Time, nullable=False),
    Column("record", Text, nullable=False),  # a line of JSON
    Column("exported_at", _Time),
    _live("audit_unexported", "id", where="exported_at IS NULL"),
    _live("audit_exported", "exported_at", where="exported_at IS NOT NULL"),
)
