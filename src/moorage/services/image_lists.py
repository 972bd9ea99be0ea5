"""Lists of images, tags and referrers, each page at the same cost whatever the size of the repository."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import ImageNotFound
from moorage.domain.names import RepositoryName
from moorage.metadata import images, tags
from moorage.metadata.images import ImageRow, ImageTagRow, TagStatus
from moorage.metadata.transaction import Transaction
from moorage.services.about import of_reference
from moorage.services.image_ids import ImageId, resolve
from moorage.services.repositories import open_repository

#: Rows that one page of referrers looks at, so that a rare artifact type among many others has a bounded cost.
MOST_REFERRERS_READ = 1000


@dataclass(frozen=True, slots=True)
class ImageDetail:
    """An image with its tags, oldest first."""

    image: ImageRow
    tags: list[str]


@dataclass(frozen=True, slots=True)
class Referrer:
    """An image that names another as its subject, with the annotations of its manifest."""

    image: ImageRow
    annotations: dict[str, str]


class _Annotated(msgspec.Struct):
    annotations: dict[str, str] | None = None


def list_images(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    status: TagStatus,
    after: tuple[int, int],
    limit: int,
) -> tuple[list[ImageTagRow], tuple[int, int] | None]:
    """One element per tag and one per untagged image, and where the next page begins."""
    repository = open_repository(tx, caller, registry, name, "ecr:ListImages")
    found = images.list_image_tags(tx, repository.id, status, after, limit + 1)
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], (last.image_id, last.tag_id) if last else None


def list_image_details(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    status: TagStatus,
    after: int,
    limit: int,
) -> tuple[list[ImageDetail], int | None]:
    """Images with their tags, and the id after which the next page begins."""
    repository = open_repository(tx, caller, registry, name, "ecr:DescribeImages")
    found = images.list_images(tx, repository.id, status, after, limit + 1)
    last = found[limit - 1].id if len(found) > limit else None
    return _details(tx, repository.id, found[:limit]), last


def _details(tx: Transaction, repository_id: int, page: Sequence[ImageRow]) -> list[ImageDetail]:
    """A page in the order of ids, with the tags of all of its images read at once."""
    details = {image.id: ImageDetail(image, []) for image in page}
    if any(image.tag_count for image in page):
        for image_id, name in images.list_tags_between(tx, repository_id, page[0].id, page[-1].id):
            details[image_id].tags.append(name)
    return list(details.values())


def describe_images(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    ids: Sequence[ImageId],
    status: TagStatus,
) -> list[ImageDetail]:
    """The named images, each once, of those that have the tag status.

    ECR: one unknown id fails the whole call with ``ImageNotFound``.
    """
    repository = open_repository(tx, caller, registry, name, "ecr:DescribeImages")
    details: dict[int, ImageDetail] = {}
    for image_id, image in zip(ids, resolve(tx, repository.id, ids), strict=True):
        if not isinstance(image, ImageRow):
            raise ImageNotFound(
                image_digest=image_id.digest,
                image_tag=image_id.tag,
                repository_name=name,
                registry_id=registry.registry_id,
            )
        if _has_status(image, status):
            # Most images have one tag, by which they are asked for: then it need not be read.
            tag = image_id.tag if image.tag_count == 1 else None
            details[image.id] = ImageDetail(image, [] if tag is None else [tag])
    unknown = [number for number, one in details.items() if one.image.tag_count > len(one.tags)]
    for number, name_of_tag in tags.list_tags_of_images(tx, unknown):
        details[number].tags.append(name_of_tag)
    return list(details.values())


def _has_status(image: ImageRow, status: TagStatus) -> bool:
    return status == "ANY" or (image.tag_count > 0) == (status == "TAGGED")


def list_tags(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, after: str, limit: int
) -> tuple[list[str], bool]:
    """Tags in bytewise order, and whether there are more. A limit of 0 asks for none."""
    repository = open_repository(tx, caller, registry, name, "ecr:ListImages")
    found = tags.list_tags(tx, repository.id, after, limit + 1) if limit else []
    return found[:limit], len(found) > limit


def list_referrers(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    subject: Digest,
    artifact_types: Sequence[str],
    after: str,
    limit: int,
) -> tuple[list[Referrer], str | None]:
    """Images whose subject this is, of these artifact types (none given: all), and where the next page begins.

    A page may be short, even empty, when most referrers are of other types: then too it says where to go on.
    ECR: ``ListImageReferrers`` has no action of its own and takes that of a pull.
    """
    repository = open_repository(tx, caller, registry, name, "ecr:BatchGetImage", [of_reference(subject)])
    found: list[ImageRow] = []
    last: str | None = after
    read = 0
    while last is not None and len(found) <= limit and read < MOST_REFERRERS_READ:
        page = images.list_referrers(tx, repository.id, str(subject), last, limit + 1)
        found += [image for image in page if not artifact_types or image.artifact_type in artifact_types]
        last = page[-1].digest if len(page) > limit else None
        read += len(page)
    if len(found) > limit:
        last = found[limit - 1].digest
    return [Referrer(image, _annotations(tx, image)) for image in found[:limit]], last


def _annotations(tx: Transaction, image: ImageRow) -> dict[str, str]:
    content = images.get_content(tx, image.manifest_id)
    return msgspec.json.decode(content, type=_Annotated).annotations or {}
