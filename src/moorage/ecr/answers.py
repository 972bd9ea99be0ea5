"""Rows as the shapes of the ECR API."""

from collections.abc import Sequence
from typing import Any, Final

from moorage.domain.arn import RepositoryArn
from moorage.domain.names import RepositoryName
from moorage.ecr.wire import timestamp
from moorage.metadata.images import ImageRow
from moorage.metadata.repositories import RepositoryRow
from moorage.rules.tag_mutability import ExclusionFilter
from moorage.services.image_ids import ImageFailure, ImageFailureCode, ImageId
from moorage.services.image_lists import ImageDetail, Referrer
from moorage.services.layers import LayerAvailability
from moorage.web.hosts import RegistryHosts

_ANY_DIGEST: Final = "[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+"

_IMAGE_FAILURES: Final = {
    ImageFailureCode.NOT_FOUND: "Requested image not found",
    ImageFailureCode.INVALID_DIGEST: "Invalid request parameters: image digest should satisfy the regex "
    f"'{_ANY_DIGEST}'",
    ImageFailureCode.INVALID_TAG: "Invalid request parameters: image tag should satisfy the regex "
    "'[a-zA-Z0-9-_.]+'",
    ImageFailureCode.MISSING_DIGEST_AND_TAG: "Invalid request parameters: both tag and digest cannot be null",
    ImageFailureCode.TAG_DOES_NOT_MATCH_DIGEST: "Invalid request parameters: given tag does not map to the "
    "given digest",
    ImageFailureCode.REFERENCED_BY_INDEX: "Requested image referenced by manifest list: [{indexes}]",
}

_LAYER_FAILURES: Final = {
    "MissingLayerDigest": "Invalid request parameters: layer digest cannot be blank",
    "InvalidLayerDigest": f"Invalid request parameters: layer digest should satisfy the regex '{_ANY_DIGEST}'",
}


def repository(hosts: RegistryHosts, row: RepositoryRow) -> dict[str, Any]:
    """``Repository``. Nothing is scanned and nothing encrypted by a key of its own yet: the defaults are the truth."""
    registry = row.registry
    answer: dict[str, Any] = {
        "repositoryArn": str(RepositoryArn(registry.region, registry.registry_id, RepositoryName(row.name))),
        "registryId": row.registry_id,
        "repositoryName": row.name,
        "repositoryUri": hosts.repository_uri(registry, row.name),
        "createdAt": timestamp(row.created_at),
        "imageTagMutability": row.tag_mutability,
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    if row.filters:
        answer["imageTagMutabilityExclusionFilters"] = [
            {"filterType": "WILDCARD", "filter": pattern} for pattern in row.filters
        ]
    return answer


def exclusion_filters(filters: Sequence[ExclusionFilter]) -> list[dict[str, str]]:
    """``ImageTagMutabilityExclusionFilters``."""
    return [{"filterType": exclusion.filter_type, "filter": exclusion.filter} for exclusion in filters]


def image_id(digest: str | None, tag: str | None) -> dict[str, str]:
    """``ImageIdentifier`` with the halves that there are."""
    answer = {}
    if digest is not None:
        answer["imageDigest"] = digest
    if tag is not None:
        answer["imageTag"] = tag
    return answer


def read_image_id(given: dict[str, str]) -> ImageId:
    """The other way round."""
    return ImageId(given.get("imageDigest"), given.get("imageTag"))


def image(registry_id: str, name: str, row: ImageRow, tag: str | None, content: bytes) -> dict[str, Any]:
    """``Image``, its manifest as it was pushed."""
    return {
        "registryId": registry_id,
        "repositoryName": name,
        "imageId": image_id(row.digest, tag),
        "imageManifest": content.decode(),
        "imageManifestMediaType": row.media_type,
    }


def image_detail(registry_id: str, name: str, detail: ImageDetail) -> dict[str, Any]:
    """``ImageDetail``. Of scans it says nothing, because there never was one."""
    row = detail.image
    answer = {
        "registryId": registry_id,
        "repositoryName": name,
        "imageDigest": row.digest,
        "imageSizeInBytes": row.size,
        "imagePushedAt": timestamp(row.pushed_at),
        "imageManifestMediaType": row.media_type,
        "imageStatus": "ACTIVE",
    }
    if detail.tags:
        answer["imageTags"] = detail.tags
    if row.artifact_media_type is not None:
        answer["artifactMediaType"] = row.artifact_media_type
    if row.last_pulled_at is not None:
        answer["lastRecordedPullTime"] = timestamp(row.last_pulled_at)
    if row.subject_digest is not None:
        answer["subjectManifestDigest"] = row.subject_digest
    return answer


def referrer(found: Referrer) -> dict[str, Any]:
    """``ImageReferrer``: what a descriptor of the referring manifest says, its size that of the manifest."""
    row = found.image
    answer: dict[str, Any] = {
        "digest": row.digest,
        "mediaType": row.media_type,
        "size": row.manifest_size,
        "artifactStatus": "ACTIVE",
    }
    if row.artifact_type is not None:
        answer["artifactType"] = row.artifact_type
    if found.annotations:
        answer["annotations"] = found.annotations
    return answer


def image_failure(failure: ImageFailure) -> dict[str, Any]:
    """``ImageFailure``, the id as it was sent."""
    return {
        "imageId": image_id(failure.image_id.digest, failure.image_id.tag),
        "failureCode": failure.code.value,
        "failureReason": _IMAGE_FAILURES[failure.code].replace("{indexes}", ", ".join(failure.indexes)),
    }


def layer(availability: LayerAvailability) -> dict[str, Any]:
    """``Layer``."""
    found = availability.layer
    if found is None:
        return {"layerDigest": availability.digest, "layerAvailability": "UNAVAILABLE"}
    answer: dict[str, Any] = {
        "layerDigest": availability.digest,
        "layerAvailability": "AVAILABLE",
        "layerSize": found.size,
    }
    if found.media_type is not None:
        answer["mediaType"] = found.media_type
    return answer


def layer_failure(digest: str) -> dict[str, Any]:
    """``LayerFailure`` for a digest that is empty or malformed."""
    code = "InvalidLayerDigest" if digest else "MissingLayerDigest"
    return {"layerDigest": digest, "failureCode": code, "failureReason": _LAYER_FAILURES[code]}
