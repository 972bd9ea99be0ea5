"""Image ids as the ECR API takes them: a digest, a tag, or both."""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from moorage.domain.digest import ANY_DIGEST
from moorage.metadata import images
from moorage.metadata.images import ImageRow
from moorage.metadata.transaction import Transaction

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

    def resolve(self, tx: Transaction, repository_id: int) -> ImageRow | ImageFailureCode:
        """The live image, or why there is none."""
        malformed = self._malformed()
        if malformed is not None:
            return malformed
        if self.tag is None:
            return images.find_by_digest(tx, repository_id, self.digest or "") or ImageFailureCode.NOT_FOUND
        image = images.find_by_tag(tx, repository_id, self.tag)
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


@dataclass(frozen=True, slots=True)
class ImageFailure:
    """One image id that was not served; ``indexes`` are those that still need the image."""

    image_id: ImageId
    code: ImageFailureCode
    indexes: tuple[str, ...] = ()
