"""Images: push, get, list, describe, delete."""

from typing import Any, Final

from moorage.domain.digest import Digest
from moorage.domain.errors import ManifestDigestMismatch
from moorage.domain.manifest import Manifest
from moorage.domain.media_types import without_parameters
from moorage.domain.names import RepositoryName, Tag
from moorage.ecr import answers
from moorage.ecr.dispatch import Call, operation
from moorage.ecr.pagination import open_page, refuse_paging
from moorage.services import image_batches, image_lists, images
from moorage.services.image_ids import ImageFailure, ImageId

#: ECR: the one list with a page size of its own.
REFERRERS_PAGE: Final = 20


@operation("PutImage")
async def put_image(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Store a manifest, under a tag or none."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])
    manifest = _read_manifest(request)
    # Schema 1 manifests hold a tag of their own.
    tag = request.get("imageTag", manifest.tag_in_manifest)
    wanted = [] if tag is None else [Tag.parse(tag)]
    return await call.change(
        lambda row: {"image": answers.image(registry.registry_id, name, row, tag, manifest.content)},
        images.put_image,
        call.caller,
        registry,
        name,
        manifest,
        wanted,
        is_repeat_refused=True,
    )


def _read_manifest(request: dict[str, Any]) -> Manifest:
    """Raises ``ManifestInvalid``, ``ManifestTooLarge``, ``ManifestDigestMismatch``, ``DigestInvalid``."""
    given = Digest.parse(request["imageDigest"]) if "imageDigest" in request else None
    manifest = Manifest.parse(
        request["imageManifest"].encode(),
        without_parameters(request.get("imageManifestMediaType", "")),
        digest_algorithm=given.algorithm if given else "sha256",
    )
    if given is not None and given != manifest.digest:
        raise ManifestDigestMismatch(given=str(given), actual=str(manifest.digest))
    return manifest


@operation("BatchGetImage")
async def batch_get_image(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Images with their manifests, as stored whatever media types are accepted: a conversion would change digests."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])
    found, failures = await call.context.database.read(
        image_batches.batch_get_images, call.caller, registry, name, _read_image_ids(request)
    )
    for one in found:
        call.context.pulls.note_pull(one.image, call.caller.request.received_at)
    return {
        "images": [answers.image(registry.registry_id, name, one.image, one.tag, one.content) for one in found],
        "failures": [answers.image_failure(failure) for failure in failures],
    }


def _read_image_ids(request: dict[str, Any]) -> list[ImageId]:
    return [answers.read_image_id(given) for given in request["imageIds"]]


@operation("BatchDeleteImage")
async def batch_delete_image(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Remove tags and images; the answer lists each (digest, tag) pair that is gone."""
    return await call.change(
        _deleted,
        image_batches.batch_delete_images,
        call.caller,
        call.registry(request.get("registryId")),
        RepositoryName.parse(request["repositoryName"]),
        _read_image_ids(request),
    )


def _deleted(result: tuple[list[ImageId], list[ImageFailure]]) -> dict[str, Any]:
    removed, failures = result
    return {
        "imageIds": [answers.image_id(one.digest, one.tag) for one in removed],
        "failures": [answers.image_failure(failure) for failure in failures],
    }


@operation("ListImages")
async def list_images(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """One element per tag and one per untagged image, page by page."""
    registry = call.registry(request.get("registryId"))
    page = open_page(call, "ListImages", registry, request)
    found, last = await call.context.database.read(
        image_lists.list_images,
        call.caller,
        registry,
        RepositoryName.parse(request["repositoryName"]),
        request.get("filter", {}).get("tagStatus", "ANY"),
        page.after((0, 0)),
        page.size,
    )
    if not _shows_active(request, "imageStatus"):
        return {"imageIds": []}
    return page.continued({"imageIds": [answers.image_id(one.digest, one.tag) for one in found]}, last)


@operation("DescribeImages")
async def describe_images(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """The named images, else all of the repository, page by page; an image stands once, with all its tags."""
    registry = call.registry(request.get("registryId"))
    name = RepositoryName.parse(request["repositoryName"])
    status = request.get("filter", {}).get("tagStatus", "ANY")
    database, last = call.context.database, None
    page = open_page(call, "DescribeImages", registry, request)
    if "imageIds" in request:
        refuse_paging(request, "imageIds")
        ids = _read_image_ids(request)
        found = await database.read(image_lists.describe_images, call.caller, registry, name, ids, status)
    else:
        (after,) = page.after((0,))
        found, last = await database.read(
            image_lists.list_image_details, call.caller, registry, name, status, after, page.size
        )
    if not _shows_active(request, "imageStatus"):
        return {"imageDetails": []}
    answer = {"imageDetails": [answers.image_detail(registry.registry_id, name, one) for one in found]}
    return page.continued(answer, None if last is None else (last,))


def _shows_active(request: dict[str, Any], member: str) -> bool:
    """Whether a filter by status lets active images through. Archiving is not built, so all of them are active."""
    return request.get("filter", {}).get(member, "ACTIVE") in {"ACTIVE", "ANY"}


@operation("ListImageReferrers")
async def list_image_referrers(call: Call, request: dict[str, Any]) -> dict[str, Any]:
    """Images that name another as their subject, page by page in the order of their digests."""
    registry = call.registry(request.get("registryId"))
    page = open_page(call, "ListImageReferrers", registry, request, REFERRERS_PAGE)
    (after,) = page.after(("",))
    found, last = await call.context.database.read(
        image_lists.list_referrers,
        call.caller,
        registry,
        RepositoryName.parse(request["repositoryName"]),
        Digest.parse(request["subjectId"]["imageDigest"]),
        request.get("filter", {}).get("artifactTypes", ()),
        after,
        page.size,
    )
    if not _shows_active(request, "artifactStatus"):
        return {"referrers": []}
    answer = {"referrers": [answers.referrer(one) for one in found]}
    return page.continued(answer, None if last is None else (last,))
