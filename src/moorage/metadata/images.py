"""Images: manifests in repositories, with what they need and point to."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, func, literal_column, or_, select

from moorage.metadata.queries import Query, Statement, any_of, batches
from moorage.metadata.tables import image, image_reference, manifest, tag
from moorage.metadata.transaction import Transaction

TagStatus = Literal["ANY", "TAGGED", "UNTAGGED"]


class ImageRow(NamedTuple):
    """A live image. Sizes are bytes, times microseconds."""

    id: int
    repository_id: int
    manifest_id: int
    digest: str
    media_type: str
    manifest_size: int
    size: int
    artifact_media_type: str | None
    artifact_type: str | None
    subject_digest: str | None
    pushed_at: int
    last_pulled_at: int | None
    tag_count: int


class ImageTagRow(NamedTuple):
    """One element of a list of images by tag; ``tag`` is None for an untagged image."""

    image_id: int
    tag_id: int
    digest: str
    tag: str | None


IMAGE_COLUMNS = (
    image.c.id,
    image.c.repository_id,
    image.c.manifest_id,
    image.c.digest,
    image.c.media_type,
    image.c.manifest_size,
    image.c.size,
    image.c.artifact_media_type,
    image.c.artifact_type,
    image.c.subject_digest,
    image.c.pushed_at,
    image.c.last_pulled_at,
    image.c.tag_count,
)

_LIVE = select(*IMAGE_COLUMNS).where(
    image.c.repository_id == bindparam("repository_id"), image.c.deleted_at.is_(None)
)
_BY_DIGEST = Query(_LIVE.where(image.c.digest == bindparam("digest")), ImageRow._make)
_BY_TAG = Query(
    select(*IMAGE_COLUMNS)
    .join(tag, tag.c.image_id == image.c.id)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name == bindparam("tag")),
    ImageRow._make,
)


class _TaggedImage(NamedTuple):
    tag: str
    image: ImageRow


_BY_TAGS = Query(
    select(tag.c.name, *IMAGE_COLUMNS)
    .join(image, tag.c.image_id == image.c.id)
    .where(tag.c.repository_id == bindparam("repository_id"), tag.c.name.in_(any_of("tag"))),
    lambda row: _TaggedImage(row[0], ImageRow._make(row[1:])),
)
_BY_DIGESTS = Query(_LIVE.where(image.c.digest.in_(any_of("digest"))), ImageRow._make)


#: Written into the statement: a partial index is of no use to a condition whose value is not known beforehand.
_NONE: ColumnElement[int] = literal_column("0", Integer)


def _with_status(statement: Select[tuple[object, ...]], status: TagStatus) -> Select[tuple[object, ...]]:
    if status == "TAGGED":
        return statement.where(image.c.tag_count > _NONE)
    return statement.where(image.c.tag_count == _NONE) if status == "UNTAGGED" else statement


_PAGES = {
    status: Query(
        _with_status(_LIVE, status)
        .where(image.c.id > bindparam("after"))
        .order_by(image.c.id)
        .limit(bindparam("limit")),
        ImageRow._make,
    )
    for status in ("ANY", "TAGGED", "UNTAGGED")
}

_TAG_ID = func.coalesce(tag.c.id, 0)
_TAG_PAGES = {
    status: Query(
        _with_status(select(image.c.id, _TAG_ID, image.c.digest, tag.c.name), status)
        .select_from(image)
        .outerjoin(tag, tag.c.image_id == image.c.id)
        .where(
            image.c.repository_id == bindparam("repository_id"),
            image.c.deleted_at.is_(None),
            image.c.id >= bindparam("after_image"),
            or_(
                image.c.id > bindparam("after_image"),
                and_(image.c.id == bindparam("after_image"), bindparam("after_tag") < _TAG_ID),
            ),
        )
        # An untagged image has one row, so it does not matter where a database sorts NULL.
        .order_by(image.c.id, tag.c.id)
        .limit(bindparam("limit")),
        ImageTagRow._make,
    )
    for status in ("ANY", "TAGGED", "UNTAGGED")
}
_TAGS_BETWEEN = Query(
    _with_status(select(image.c.id, tag.c.name), "TAGGED")
    .select_from(image)
    .join(tag, tag.c.image_id == image.c.id)
    .where(
        image.c.repository_id == bindparam("repository_id"),
        image.c.deleted_at.is_(None),
        image.c.id >= bindparam("first"),
        image.c.id <= bindparam("last"),
    )
    .order_by(image.c.id, tag.c.id),
    lambda row: (int(row[0]), str(row[1])),
)
_REFERRERS = Query(
    _LIVE.where(image.c.subject_digest == bindparam("subject_digest"), image.c.digest > bindparam("after"))
    .order_by(image.c.digest)
    .limit(bindparam("limit")),
    ImageRow._make,
)
_FIND_MANIFEST = Query(
    select(manifest.c.id).where(
        manifest.c.digest == bindparam("digest"), manifest.c.media_type == bindparam("media_type")
    ),
    lambda row: int(row[0]),
)
_ADD_MANIFEST = Query(
    manifest.insert()
    .values(digest=bindparam("digest"), media_type=bindparam("media_type"), content=bindparam("content"))
    .returning(manifest.c.id),
    lambda row: int(row[0]),
)
_CONTENT = Query(select(manifest.c.content).where(manifest.c.id == bindparam("id")), lambda row: bytes(row[0]))
_ADD = Query(
    image.insert()
    .values(
        repository_id=bindparam("repository_id"),
        manifest_id=bindparam("manifest_id"),
        digest=bindparam("digest"),
        media_type=bindparam("media_type"),
        manifest_size=bindparam("manifest_size"),
        size=bindparam("size"),
        artifact_media_type=bindparam("artifact_media_type"),
        artifact_type=bindparam("artifact_type"),
        subject_digest=bindparam("subject_digest"),
        pushed_at=bindparam("pushed_at"),
        tag_count=0,
    )
    .returning(image.c.id),
    lambda row: int(row[0]),
)
_DELETE = Statement(
    image.update().where(image.c.id == bindparam("which")).values(deleted_at=bindparam("deleted_at"))
)
_COUNT_TAGS = Statement(
    image.update()
    .where(image.c.id == bindparam("which"))
    .values(tag_count=image.c.tag_count + bindparam("change"))
)
_TAG_COUNT = Query(select(image.c.tag_count).where(image.c.id == bindparam("id")), lambda row: int(row[0]))
_PULLED = Statement(
    image.update()
    .where(
        image.c.id == bindparam("which"),
        or_(image.c.last_pulled_at.is_(None), image.c.last_pulled_at < bindparam("pulled_at")),
    )
    .values(last_pulled_at=bindparam("pulled_at"))
)
_ADD_REFERENCE = Statement(image_reference.insert())
_DELETE_REFERENCES = Statement(image_reference.delete().where(image_reference.c.image_id == bindparam("which")))
_INDEXES_OF = Query(
    select(image.c.digest)
    .join(image_reference, image_reference.c.image_id == image.c.id)
    .where(
        image_reference.c.repository_id == bindparam("repository_id"),
        image_reference.c.digest == bindparam("digest"),
        image_reference.c.kind == "image",
        image.c.deleted_at.is_(None),
    )
    .order_by(image_reference.c.image_id)
    .limit(20),
    lambda row: str(row[0]),
)
_NEEDS_BLOB = Query(
    select(image_reference.c.image_id)
    .where(
        image_reference.c.repository_id == bindparam("repository_id"),
        image_reference.c.digest == bindparam("digest"),
        image_reference.c.kind == "blob",
    )
    .limit(1),
    lambda row: int(row[0]),
)


def find_by_digest(tx: Transaction, repository_id: int, digest: str) -> ImageRow | None:
    """The live image of this digest, or None."""
    return tx.find(_BY_DIGEST, repository_id=repository_id, digest=digest)


def find_by_tag(tx: Transaction, repository_id: int, name: str) -> ImageRow | None:
    """The image that the tag points to, or None."""
    return tx.find(_BY_TAG, repository_id=repository_id, tag=name)


def find_by_digests(tx: Transaction, repository_id: int, digests: Sequence[str]) -> dict[str, ImageRow]:
    """The live images of these digests, of those that there are."""
    return {
        found.digest: found
        for batch in batches("digest", digests)
        for found in tx.all(_BY_DIGESTS, repository_id=repository_id, **batch)
    }


def find_by_tags(tx: Transaction, repository_id: int, names: Sequence[str]) -> dict[str, ImageRow]:
    """The images that these tags point to, of those that there are."""
    return dict(
        found
        for batch in batches("tag", names)
        for found in tx.all(_BY_TAGS, repository_id=repository_id, **batch)
    )


def list_images(
    tx: Transaction, repository_id: int, status: TagStatus, after: int, limit: int
) -> list[ImageRow]:
    """Live images in the order of their ids, those after ``after``."""
    return tx.all(_PAGES[status], repository_id=repository_id, after=after, limit=limit)


def list_image_tags(
    tx: Transaction, repository_id: int, status: TagStatus, after: tuple[int, int], limit: int
) -> list[ImageTagRow]:
    """One element per tag, and one for each untagged image, those after (image id, tag id)."""
    return tx.all(
        _TAG_PAGES[status], repository_id=repository_id, after_image=after[0], after_tag=after[1], limit=limit
    )


def list_tags_between(tx: Transaction, repository_id: int, first: int, last: int) -> list[tuple[int, str]]:
    """Image id and tag, an image's oldest tag first, of the live images with ids from ``first`` to ``last``."""
    return tx.all(_TAGS_BETWEEN, repository_id=repository_id, first=first, last=last)


def list_referrers(
    tx: Transaction, repository_id: int, subject_digest: str, after: str, limit: int
) -> list[ImageRow]:
    """Live images whose subject is this digest, in the order of their own digests."""
    return tx.all(
        _REFERRERS, repository_id=repository_id, subject_digest=subject_digest, after=after, limit=limit
    )


def get_content(tx: Transaction, manifest_id: int) -> bytes:
    """The manifest's bytes, exactly as they were pushed."""
    content = tx.manifests.get(manifest_id)
    if content is None:
        content = tx.one(_CONTENT, id=manifest_id)
        tx.manifests.put(manifest_id, content)
    return content


def ensure_manifest(tx: Transaction, digest: str, media_type: str, content: bytes) -> int:
    """The id of these bytes under this media type, stored unless they already are. ``digest`` is that of the bytes."""
    found = tx.find(_FIND_MANIFEST, digest=digest, media_type=media_type)
    if found is not None:
        return found
    return tx.one(_ADD_MANIFEST, digest=digest, media_type=media_type, content=content)


def add_image(
    tx: Transaction,
    *,
    repository_id: int,
    manifest_id: int,
    digest: str,
    media_type: str,
    manifest_size: int,
    size: int,
    artifact_media_type: str | None,
    artifact_type: str | None,
    subject_digest: str | None,
    blobs: Iterable[str],
    children: Iterable[str],
) -> int:
    """Make an untagged image with its references; returns its id."""
    image_id = tx.one(
        _ADD,
        repository_id=repository_id,
        manifest_id=manifest_id,
        digest=digest,
        media_type=media_type,
        manifest_size=manifest_size,
        size=size,
        artifact_media_type=artifact_media_type,
        artifact_type=artifact_type,
        subject_digest=subject_digest,
        pushed_at=tx.now,
    )
    for kind, digests in (("blob", blobs), ("image", children)):
        for needed in dict.fromkeys(digests):
            tx.run(_ADD_REFERENCE, image_id=image_id, repository_id=repository_id, kind=kind, digest=needed)
    return image_id


def mark_deleted(tx: Transaction, image_id: int) -> None:
    """Take an image out of every reader's sight, and let go of what it needed."""
    tx.run(_DELETE, which=image_id, deleted_at=tx.now)
    tx.run(_DELETE_REFERENCES, which=image_id)


def change_tag_count(tx: Transaction, image_id: int, change: int) -> None:
    """Keep the number of tags in step with the tag rows."""
    tx.run(_COUNT_TAGS, which=image_id, change=change)


def get_tag_count(tx: Transaction, image_id: int) -> int:
    """How many tags the image has now."""
    return tx.one(_TAG_COUNT, id=image_id)


def record_pull(tx: Transaction, image_id: int, pulled_at: int) -> None:
    """Note the time of a pull unless a later one is noted already."""
    tx.run(_PULLED, which=image_id, pulled_at=pulled_at)


def list_indexes_of(tx: Transaction, repository_id: int, digest: str) -> list[str]:
    """Digests of the live indexes that need this image, the oldest few."""
    return tx.all(_INDEXES_OF, repository_id=repository_id, digest=digest)


def is_blob_needed(tx: Transaction, repository_id: int, digest: str) -> bool:
    """Whether a live image of the repository needs this blob."""
    return tx.find(_NEEDS_BLOB, repository_id=repository_id, digest=digest) is not None
