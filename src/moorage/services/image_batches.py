"""Several images in one call: get them, or delete them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import ImageReferencedByIndex, InvalidRequest
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata import images, repositories, tags
from moorage.metadata.images import ImageRow
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction
from moorage.services.about import of_image, of_image_ids, of_reference
from moorage.services.access import About, judge
from moorage.services.image_ids import ImageFailure, ImageFailureCode, ImageId, resolve
from moorage.services.images import find_image, image_not_found
from moorage.services.repositories import open_standing

#: Refuses an image by its tag, if it is meant by one, and its digest; raises ``AccessDenied``.
Guard = Callable[[str | None, str], None]

#: Bytes of manifests that one call gets; an image counts once for each tag that it is found under.
MAX_CONTENT_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FoundImage:
    """One element of an answer: the image under one of its tags, or under none."""

    image: ImageRow
    tag: str | None
    content: bytes


def batch_get_images(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, ids: Sequence[ImageId]
) -> tuple[list[FoundImage], list[ImageFailure]]:
    """The images in the order asked for, and the ids that name none.

    ECR: by digest there is one element for each tag of the image.
    Raises ``RepositoryNotFound``, ``InvalidRequest`` for more than ``MAX_CONTENT_BYTES``.
    """
    repository, guard = _open(tx, caller, registry, name, "ecr:BatchGetImage", of_image_ids(ids))
    named: list[tuple[ImageRow, str | None]] = []
    failures: list[ImageFailure] = []
    asked = list(dict.fromkeys(ids))
    for image_id, image in zip(asked, resolve(tx, repository.id, asked), strict=True):
        if isinstance(image, ImageFailureCode):
            failures.append(ImageFailure(image_id, image))
            continue
        guard(image_id.tag, image.digest)
        names: Sequence[str | None] = (
            [image_id.tag] if image_id.tag else tags.list_tags_of_image(tx, image.id) or [None]
        )
        named += [(image, tag) for tag in names]
    _check_size(image for image, _ in named)
    found = [FoundImage(image, tag, images.get_content(tx, image.manifest_id)) for image, tag in named]
    return found, failures


def _check_size(wanted: Iterable[ImageRow]) -> None:
    """Refuse by what the rows say, before any manifest is read."""
    total = sum(image.manifest_size for image in wanted)
    if total > MAX_CONTENT_BYTES:
        raise InvalidRequest(
            text=f"The manifests asked for have {total} bytes together, one answer takes {MAX_CONTENT_BYTES}: "
            "ask for fewer images at a time, or by tag"
        )


def batch_delete_images(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, ids: Sequence[ImageId]
) -> tuple[list[ImageId], list[ImageFailure]]:
    """Remove tags and images; returns each removed (digest, tag) pair, and the ids that could not be served.

    ECR: every id is read against the state before the call, so an index and its children do not go in one call;
    an image goes with its last tag, unless an index needs it: then even the tag stays. An image that goes takes its
    tags along, and the caller has to be allowed each of them.
    """
    repository, guard = _open(tx, caller, registry, name, "ecr:BatchDeleteImage", of_image_ids(ids))
    removed: dict[ImageId, None] = {}
    failures: list[ImageFailure] = []
    asked = list(dict.fromkeys(ids))
    resolved = list(zip(asked, resolve(tx, repository.id, asked), strict=True))
    indexes = {
        image.id: tuple(images.list_indexes_of(tx, repository.id, image.digest))
        for _, image in resolved
        if isinstance(image, ImageRow)
    }
    for image_id, image in resolved:
        if isinstance(image, ImageFailureCode):
            failures.append(ImageFailure(image_id, image))
            continue
        present = tags.list_tags_of_image(tx, image.id)
        goes: Sequence[str | None] = [image_id.tag] if image_id.tag else present or [None]
        for tag in goes:
            guard(tag, image.digest)
        if image_id.tag is not None and image_id.tag not in present:
            continue  # An id before this one took the tag already, perhaps with the image.
        if image_id.tag is not None and len(present) > 1:
            untag(tx, caller, repository, Tag(image_id.tag))
            removed[ImageId(image.digest, image_id.tag)] = None
        elif indexes[image.id]:
            failures.append(ImageFailure(image_id, ImageFailureCode.REFERENCED_BY_INDEX, indexes[image.id]))
        elif images.find_by_digest(tx, repository.id, image.digest) is not None:
            removed.update(dict.fromkeys(_delete(tx, caller, repository, image, present)))
    return list(removed), failures


def delete_image(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, digest: Digest
) -> None:
    """Delete an image with all its tags (OCI distribution-spec, "Deleting Manifests").

    Raises ``RepositoryNotFound``, ``ImageNotFound``, ``ImageReferencedByIndex``.
    """
    repository, guard = _open(tx, caller, registry, name, "ecr:BatchDeleteImage", [of_reference(digest)])
    image = find_image(tx, repository.id, digest)
    if image is None:
        raise image_not_found(registry, name, digest)
    present = tags.list_tags_of_image(tx, image.id)
    for tag in present:
        guard(tag, image.digest)
    indexes = images.list_indexes_of(tx, repository.id, image.digest)
    if indexes:
        raise ImageReferencedByIndex(indexes=indexes)
    _delete(tx, caller, repository, image, present)


def delete_tag(tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, tag: Tag) -> None:
    """Remove a tag; the image stays (OCI distribution-spec, "Deleting tags").

    Raises ``RepositoryNotFound``, ``ImageNotFound``.
    """
    repository, guard = _open(tx, caller, registry, name, "ecr:BatchDeleteImage", [of_reference(tag)])
    image = find_image(tx, repository.id, tag)
    if image is None:
        raise image_not_found(registry, name, tag)
    guard(tag, image.digest)
    untag(tx, caller, repository, tag)


def _open(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    action: str,
    abouts: Sequence[About],
) -> tuple[RepositoryRow, Guard]:
    """The repository, and what refuses an image that the caller may not have by all that is known of it."""
    repository, standing = open_standing(tx, caller, registry, name, action, abouts)

    def guard(tag: str | None, digest: str) -> None:
        judge(tx, standing, caller, action, registry, name, of_image(tag, digest))

    return repository, guard


def untag(tx: Transaction, caller: Caller, repository: RepositoryRow, name: Tag) -> bool:
    """Take a tag off its image and write that into its history; returns whether it was there."""
    present = tags.find_tag(tx, repository.id, name)
    if present is None:
        return False
    tags.delete_tag(tx, present.id)
    images.change_tag_count(tx, present.image_id, -1)
    tags.record_move(tx, repository.id, name, caller.principal_arn, present.digest, None)
    return True


def _delete(
    tx: Transaction, caller: Caller, repository: RepositoryRow, image: ImageRow, names: Sequence[str]
) -> list[ImageId]:
    for name in names:
        untag(tx, caller, repository, Tag(name))
    images.mark_deleted(tx, image.id)
    repositories.change_image_count(tx, repository.id, -1)
    return [ImageId(image.digest, name) for name in names] or [ImageId(image.digest)]
