"""Names that clients choose: repositories, tags, registries (accounts) and regions.

Each is a ``str`` subtype that can only be made through ``parse``, so that inner code never checks again.
Lengths are checked before patterns, which keeps hostile input linear.
"""

import re
from typing import Final

from moorage.domain.errors import RegistryIdInvalid, RepositoryNameInvalid, TagInvalid

# OCI distribution-spec, "Pulling manifests"; ECR narrows the length to 2..256.
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
)
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_REGISTRY_ID: Final = re.compile(r"[0-9]{12}")


class RepositoryName(str):
    """A repository's name within its registry, 2 to 256 characters."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "RepositoryName":
        """Raises ``RepositoryNameInvalid``."""
        if not 2 <= len(text) <= 256 or not _REPOSITORY.fullmatch(text):
            raise RepositoryNameInvalid(repository_name=text[:300])
        return cls(text)


class Tag(str):
    """A tag of 1 to 128 characters. The OCI grammar; ECR's model allows 300 characters of anything."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Tag":
        """Raises ``TagInvalid``."""
        if len(text) > 128 or not _TAG.fullmatch(text):
            raise TagInvalid(tag=text[:300])
        return cls(text)


class RegistryId(str):
    """An account of twelve digits; leading zeros live."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "RegistryId":
        """Raises ``RegistryIdInvalid``."""
        if not _REGISTRY_ID.fullmatch(text[:13]):
            raise RegistryIdInvalid(registry_id=text[:20])
        return cls(text)


def plain_text(value: object) -> str:
    """A name as a ``str`` and nothing else: what encoders call for a type that they do not know.

    Raises ``TypeError`` for anything but text.
    """
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form on the wire")
