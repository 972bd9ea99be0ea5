"""Put repositories, blobs and images where a test needs them, without a client."""

from collections.abc import Sequence

from moorage.blobs.memory import MemoryBlobStore
from moorage.domain.caller import Caller, RegistryKey
from moorage.domain.digest import Digest
from moorage.domain.manifest import Manifest
from moorage.domain.names import RepositoryName, Tag
from moorage.metadata.database import Database
from moorage.metadata.images import ImageRow
from moorage.services import images, repositories, uploads
from moorage.services.uploads import PlacedBlob
from tests.support.callers import APP, REGISTRY
from tests.support.manifests import CONFIG, LAYER


class Shelf:
    """One registry of a database and a memory blob store, filled by one caller."""

    def __init__(
        self,
        database: Database,
        caller: Caller,
        *,
        registry: RegistryKey = REGISTRY,
        store: MemoryBlobStore | None = None,
    ) -> None:
        self.database = database
        self.caller = caller
        self.registry = registry
        self.store = store or MemoryBlobStore()

    def repository(self, name: RepositoryName = APP, *blobs: bytes) -> RepositoryName:
        """Make a repository that holds these blobs; without any, the config and layer of ``image_manifest``."""
        self.database.write_now(repositories.create_repository, self.caller, self.registry, name)
        for blob in blobs or (CONFIG, LAYER, b"{}"):
            self.blob(blob, name)
        return name

    def blob(self, content: bytes, name: RepositoryName = APP, *further: Digest) -> Digest:
        """Store a blob and let the repository see it, also under ``further`` digests of the same bytes."""
        digest = Digest.of(content)
        writer = self.store.create_segment()
        writer.write(content)
        segment = writer.close(is_kept=False)
        placed = PlacedBlob(digest, len(content), self.store.place(segment, digest))
        self.store.discard_segments([segment.location])
        stored = self.database.write_now(
            uploads.store_layer, self.caller, self.registry, name, placed, list(further)
        )
        if not stored.is_placed_used:
            self.store.delete(placed.location)
        return digest

    def push(
        self, manifest: Manifest, *tags: str, name: RepositoryName = APP, is_repeat_refused: bool = False
    ) -> ImageRow:
        """Put an image under these tags; its blobs and children must be there."""
        return self.database.write_now(
            images.put_image,
            self.caller,
            self.registry,
            name,
            manifest,
            [Tag(tag) for tag in tags],
            is_repeat_refused=is_repeat_refused,
        )

    def push_all(self, manifests: Sequence[Manifest], name: RepositoryName = APP) -> list[ImageRow]:
        """Put several images without tags."""
        return [self.push(manifest, name=name) for manifest in manifests]
