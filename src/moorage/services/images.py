"""Images: push and read. One function serves ECR's ``PutImage`` and OCI's ``PUT manifests``."""

from collections.abc import Sequence
from dataclasses import dataclass

from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.errors import (
    ImageAlreadyExists,
    ImageNotFound,
    ImageTagAlreadyExists,
    LayersMissing,
    LimitExceeded,
    ManifestInvalid,
    ReferencedImagesMissing,
    RepositoryNotFound,
)
from moorage.domain.manifest import Manifest, ManifestKind
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata import asked, images, layers, repositories, tags
from moorage.metadata.images import ImageRow
from moorage.metadata.repositories import RepositoryRow
from moorage.metadata.transaction import Transaction, one_statement
from moorage.rules.tag_mutability import TagMutability, is_immutable
from moorage.services import about
from moorage.services.access import judge
from moorage.services.repositories import exclusion_filters, open_for_push

Reference = Digest | Tag


@dataclass(frozen=True, slots=True)
class ImageContent:
    """An image with the bytes of its manifest."""

    image: ImageRow
    content: bytes


@one_statement
def get_image(
    tx: Transaction, caller: Caller, registry: RegistryKey, name: RepositoryName, reference: Reference
) -> ImageContent:
    """The image that a digest or tag names. Raises ``RepositoryNotFound``, ``ImageNotFound``."""
    ask = asked.ask_image_by_digest if isinstance(reference, Digest) else asked.ask_image_by_tag
    found = ask(tx, caller, registry, name, str(reference))
    known = about.of_reference(reference, found.image.digest if found.image else None)
    judge(tx, found.standing, caller, "ecr:BatchGetImage", registry, name, known)
    if found.standing.repository_id is None:
        raise RepositoryNotFound(repository_name=name, registry_id=registry.registry_id)
    if found.image is None:
        raise image_not_found(registry, name, reference)
    return ImageContent(found.image, images.get_content(tx, found.image.manifest_id))


def find_image(tx: Transaction, repository_id: int, reference: Reference) -> ImageRow | None:
    """The live image that a digest or tag names, or None."""
    if isinstance(reference, Digest):
        return images.find_by_digest(tx, repository_id, str(reference))
    return images.find_by_tag(tx, repository_id, reference)


def image_not_found(registry: RegistryKey, name: RepositoryName, reference: Reference) -> ImageNotFound:
    """The refusal that names the half that was asked for."""
    is_digest = isinstance(reference, Digest)
    return ImageNotFound(
        image_digest=str(reference) if is_digest else None,
        image_tag=None if is_digest else str(reference),
        repository_name=name,
        registry_id=registry.registry_id,
    )


def record_pulls(tx: Transaction, pulled_at: dict[int, int]) -> None:
    """Note when images were last pulled: image id to microseconds. An older time never replaces a newer one."""
    for image_id, moment in pulled_at.items():
        images.record_pull(tx, image_id, moment)


def check_push(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    wanted_tags: Sequence[Tag],
    digest: Digest | None,
) -> None:
    """Refuse a push before its manifest is read: who may not, or a repository that is missing.

    A policy that asks for the digest where the manifest has yet to tell it does not refuse so early. The push of a
    trusted caller makes the repository. Raises what ``open_repository`` raises.
    """
    if caller.is_trusted:
        return
    given = None if digest is None else str(digest)
    untold = frozenset[str]() if digest else frozenset({"ecr:imagedigest"})
    found = asked.ask_repository(tx, caller, registry, name)
    for tag in wanted_tags or (None,):
        known = about.of_image(tag, given)
        judge(tx, found.standing, caller, "ecr:PutImage", registry, name, known, untold=untold)
    if found.repository is None:
        raise RepositoryNotFound(repository_name=name, registry_id=registry.registry_id)


def put_image(
    tx: Transaction,
    caller: Caller,
    registry: RegistryKey,
    name: RepositoryName,
    manifest: Manifest,
    wanted_tags: Sequence[Tag],
    *,
    is_repeat_refused: bool,
) -> ImageRow:
    """Store a manifest under these tags, or none of it.

    What it needs must be there: config and layers as blobs of the repository, the children of an index as its
    images. A subject need not exist (OCI image-spec, "Image Manifest"). A tag that another image has moves here,
    unless the repository holds tags immutable.

    ECR: with ``is_repeat_refused`` (the JSON API) a push that changes nothing is ``ImageAlreadyExists``.
    Raises ``LayersMissing``, ``ReferencedImagesMissing``, ``ManifestInvalid`` for a wrong size or media type,
    ``ImageTagAlreadyExists``, ``LimitExceeded``, ``RepositoryNotFound``.
    """
    digest = str(manifest.digest)
    abouts = [about.of_image(tag, digest) for tag in wanted_tags or (None,)]
    repository = open_for_push(tx, caller, registry, name, "ecr:PutImage", abouts)
    size = _check_needs(tx, repository, manifest)
    _check_immutable(tx, repository, manifest, wanted_tags, is_repeat_refused=is_repeat_refused)
    found = images.find_by_digest(tx, repository.id, str(manifest.digest))
    is_new = found is None
    image = found or _add_image(tx, repository, manifest, size)
    moved = [_put_tag(tx, caller, repository, image, wanted) for wanted in dict.fromkeys(wanted_tags)]
    if is_repeat_refused and not is_new and not any(moved):
        raise ImageAlreadyExists(
            digest=image.digest,
            tag=wanted_tags[0] if wanted_tags else None,
            repository_name=name,
            registry_id=registry.registry_id,
        )
    return image


def _check_needs(tx: Transaction, repository: RepositoryRow, manifest: Manifest) -> int:
    """Refuse a manifest whose needs are not met; returns the image's size as ECR counts it."""
    blob_bytes = _check_blobs(tx, repository, manifest)
    largest_child = _check_children(tx, repository, manifest)
    return largest_child if manifest.kind is ManifestKind.INDEX else blob_bytes


def _check_blobs(tx: Transaction, repository: RepositoryRow, manifest: Manifest) -> int:
    missing = []
    known = {}
    for needed in manifest.required_blobs():
        layer = layers.find_layer(tx, repository.id, str(needed.digest))
        if layer is None:
            missing.append(str(needed.digest))
        elif needed.size is not None and needed.size != layer.size:
            raise ManifestInvalid(reason=f"{needed.digest} has {layer.size} bytes, not {needed.size}")
        else:
            known[needed.digest] = layer.size
    if missing:
        raise LayersMissing(
            digests=missing, repository_name=repository.name, registry_id=repository.registry_id
        )
    # Every entry counts, also the same layer twice, and foreign layers by what the manifest says of them.
    parts = [*manifest.layers, *([manifest.config] if manifest.config else [])]
    return sum(known.get(part.digest, part.size or 0) for part in parts)


def _check_children(tx: Transaction, repository: RepositoryRow, manifest: Manifest) -> int:
    missing = []
    largest = 0
    for child in manifest.required_manifests():
        image = images.find_by_digest(tx, repository.id, str(child.digest))
        if image is None:
            missing.append(str(child.digest))
        elif child.size != image.manifest_size:
            raise ManifestInvalid(reason=f"{child.digest} has {image.manifest_size} bytes, not {child.size}")
        elif child.media_type != image.media_type:
            raise ManifestInvalid(reason=f"{child.digest} is {image.media_type}, not {child.media_type}")
        else:
            largest = max(largest, image.size)
    if missing:
        raise ReferencedImagesMissing(
            digests=missing, repository_name=repository.name, registry_id=repository.registry_id
        )
    return largest


def _check_immutable(
    tx: Transaction,
    repository: RepositoryRow,
    manifest: Manifest,
    wanted_tags: Sequence[Tag],
    *,
    is_repeat_refused: bool,
) -> None:
    setting, filters = TagMutability(repository.tag_mutability), exclusion_filters(repository)
    accepts_same = tx.settings.accept_identical_push and not is_repeat_refused
    for wanted in wanted_tags:
        if not is_immutable(setting, filters, wanted):
            continue
        present = tags.find_tag(tx, repository.id, wanted)
        # ECR: even the identical image again is refused under an immutable tag.
        if present is not None and not (accepts_same and present.digest == str(manifest.digest)):
            raise ImageTagAlreadyExists(tag=wanted, repository_name=repository.name)


def _add_image(tx: Transaction, repository: RepositoryRow, manifest: Manifest, size: int) -> ImageRow:
    limit = tx.settings.quotas.images_per_repository
    if limit and repository.image_count >= limit:
        raise LimitExceeded(quota="images_per_repository", limit=limit)
    digest = str(manifest.digest)
    images.add_image(
        tx,
        repository_id=repository.id,
        manifest_id=images.ensure_manifest(
            tx, _content_digest(manifest), manifest.media_type, manifest.content
        ),
        digest=digest,
        media_type=manifest.media_type,
        manifest_size=manifest.size,
        size=size,
        artifact_media_type=manifest.artifact_media_type,
        artifact_type=manifest.referrer_artifact_type,
        subject_digest=str(manifest.subject.digest) if manifest.subject else None,
        blobs=[str(needed.digest) for needed in manifest.required_blobs()],
        children=[str(child.digest) for child in manifest.required_manifests()],
    )
    for needed in manifest.required_blobs():
        layers.set_media_type(tx, repository.id, str(needed.digest), needed.media_type)
    repositories.change_image_count(tx, repository.id, 1)
    made = images.find_by_digest(tx, repository.id, digest)
    assert made is not None
    return made


def _content_digest(manifest: Manifest) -> str:
    """What the bytes are stored under: of signed schema 1, two different ones may have the same image digest."""
    digest = Digest.of(manifest.content) if manifest.kind is ManifestKind.SCHEMA1 else manifest.digest
    return str(digest)


def _put_tag(tx: Transaction, caller: Caller, repository: RepositoryRow, image: ImageRow, name: Tag) -> bool:
    """Point a tag at an image; returns whether that changed anything."""
    present = tags.find_tag(tx, repository.id, name)
    if present is not None and present.image_id == image.id:
        return False
    limit = tx.settings.quotas.tags_per_image
    if limit and images.get_tag_count(tx, image.id) >= limit:
        raise LimitExceeded(quota="tags_per_image", limit=limit)
    if present is None:
        tags.add_tag(tx, repository.id, name, image.id)
    else:
        tags.move_tag(tx, present.id, image.id)
        images.change_tag_count(tx, present.image_id, -1)
    images.change_tag_count(tx, image.id, 1)
    tags.record_move(
        tx, repository.id, name, caller.principal_arn, present.digest if present else None, image.digest
    )
    return True
