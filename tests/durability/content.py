"""What is pushed: bytes that can be made again from their seed, and manifests over them."""

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

LARGEST = 8 * 1024 * 1024


def digest_of(data: bytes) -> str:
    """The sha256 digest of some bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are not kept but made again from ``seed``; ``digest`` is theirs."""

    seed: str
    size: int
    digest: str

    @classmethod
    def make(cls, seed: str, size: int) -> "Content":
        """The content of this seed and size."""
        return cls(seed, size, digest_of(_bytes(seed, size)))

    def data(self) -> bytes:
        """The bytes."""
        return _bytes(self.seed, self.size)


def _bytes(seed: str, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def choose_size(chance: random.Random) -> int:
    """1 KiB to 8 MiB: mostly small, because a round shall hold many acknowledgements and the disk many rounds."""
    if chance.random() < 0.06:
        return chance.randint(1024 * 1024, LARGEST)
    return int(1024 * 2 ** chance.uniform(0, 8))


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest or an index: its bytes, their digest and media type."""

    body: bytes
    digest: str
    media_type: str

    @classmethod
    def image(cls, config: Content, layers: Sequence[Content]) -> "ManifestFile":
        """An image of one config and some layers."""
        return cls._render(
            MANIFEST,
            config=_descriptor(CONFIG, config.digest, config.size),
            layers=[_descriptor(LAYER, layer.digest, layer.size) for layer in layers],
        )

    @classmethod
    def index(cls, children: Sequence["ManifestFile"], note: str) -> "ManifestFile":
        """An index over images; the note makes it unlike any other."""
        return cls._render(
            INDEX,
            manifests=[_descriptor(child.media_type, child.digest, len(child.body)) for child in children],
            annotations={"note": note},
        )

    @classmethod
    def _render(cls, media_type: str, **members: object) -> "ManifestFile":
        body = json.dumps({"schemaVersion": 2, "mediaType": media_type, **members}).encode()
        return cls(body, digest_of(body), media_type)


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size}
