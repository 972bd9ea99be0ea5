"""Image ids as the ECR API takes them: a digest, a tag, or both."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from moorage.domain.digest import ANY_DIGEST
from moorage.metadata import images
from moorage.metadata.images import ImageRow
from moorage.metadata.transaction import Transaction

Images = Mapping[str, ImageRow]

_ANY_TAG: Final = re.compile(r"[a-zA-Z0-9-_.]+")


class ImageFailureCode(Enum):
    """Why one of several image ids was not served. The values are ECR's."""

    INVALID_DIGEST = "InvalidImageDigest"
    INVALID_TAG = "InvalidImageTag"
    TAG_DOES_NOT_MATCH_DIGEST = "ImageTagDoesNotMatchDigest"
    NOT_FOUND = "ImageNotFound"
    MISSING_DIGEST_AND_TAG = "MissingDigestAndTag"
    REFERENCED_BY_INDEX = "ImageReferencedByManifestList"


@dataclass(frozen=True, slots=True)
class ImageId:
    """An image id as a client gave it, unchecked."""

    digest: str | None = None
    tag: str | None = None

    def find(self, by_digest: Images, by_tag: Images) -> ImageRow | ImageFailureCode:
        """The image among these, or why there is none."""
        malformed = self._malformed()
        if malformed is not None:
            return malformed
        image = by_digest.get(self.digest or "") if self.tag is None else by_tag.get(self.tag)
        if image is None:
            return ImageFailureCode.NOT_FOUND
        if self.digest is not None and image.digest != self.digest:
            return ImageFailureCode.TAG_DOES_NOT_MATCH_DIGEST
        return image

    def _malformed(self) -> ImageFailureCode | None:
        if self.digest is None and self.tag is None:
            return ImageFailureCode.MISSING_DIGEST_AND_TAG
        if self.digest is not None and not ANY_DIGEST.fullmatch(self.digest):
            return ImageFailureCode.INVALID_DIGEST
        if self.tag is not None and not _ANY_TAG.fullmatch(self.tag):
            return ImageFailureCode.INVALID_TAG
        return None


def resolve(tx: Transaction, repository_id: int, ids: Sequence[ImageId]) -> list[ImageRow | ImageFailureCode]:
    """For each id the live image, or why there is none; few statements, however many ids."""
    tags = list({one.tag for one in ids if one.tag is not None})
    digests = list({one.digest for one in ids if one.tag is None and one.digest is not None})
    by_tag = images.find_by_tags(tx, repository_id, tags)
    by_digest = images.find_by_digests(tx, repository_id, digests)
    return [one.find(by_digest, by_tag) for one in ids]


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """One image id that was not served; ``indexes`` are those that still need the image."""

    image_id: ImageId
    code: ImageFailureCode
    indexes: tuple[str, ...] = ()
