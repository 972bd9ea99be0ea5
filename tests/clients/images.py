"""Small images made here, so that no test needs a network: OCI layouts and root file systems."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

Descriptor = dict[str, Any]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def tar(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed tar archive of ``files``, the same bytes every time."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return output.getvalue()


@dataclass
class Layout:
    """An OCI image layout on disk, written blob by blob."""

    path: Path
    entries: list[Descriptor] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.path / "blobs/sha256").mkdir(parents=True)
        (self.path / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    def blob(self, content: bytes, media_type: str) -> Descriptor:
        """Store ``content`` and describe it."""
        digest = hashlib.sha256(content).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def image(self, architecture: str, *files: Mapping[str, bytes]) -> Descriptor:
        """Store an image with one gzip layer for each of ``files`` and describe its manifest."""
        layers = [tar(content) for content in files]
        config = {
            "architecture": architecture,
            "os": "linux",
            "rootfs": {
                "type": "layers",
                "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers],
            },
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(msgspec.json.encode(config), CONFIG),
            "layers": [self.blob(gzip.compress(layer, mtime=0), LAYER) for layer in layers],
        }
        return self.blob(msgspec.json.encode(manifest), MANIFEST)

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest that is tagged ``name``."""
        return msgspec.json.decode(self.read(self.digest(name)), type=dict)

    def file(self, digest: str) -> Path:
        """Where a blob lies."""
        return self.path / "blobs" / digest.replace(":", "/")

    def index(self, **images: Descriptor) -> Descriptor:
        """Store an index of ``images``, each under the name of its architecture, and describe it."""
        manifests = [
            {**image, "platform": {"os": "linux", "architecture": architecture}}
            for architecture, image in images.items()
        ]
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
        return self.blob(msgspec.json.encode(index), INDEX)

    def tag(self, name: str, descriptor: Descriptor) -> None:
        """List ``descriptor`` in the layout under ``name``."""
        self.entries.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": name}})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.entries}
        (self.path / "index.json").write_bytes(msgspec.json.encode(index))

    def digest(self, name: str) -> str:
        """The digest that ``name`` was given."""
        reference = "org.opencontainers.image.ref.name"
        return next(str(entry["digest"]) for entry in self.entries if entry["annotations"][reference] == name)

    def read(self, digest: str) -> bytes:
        """The bytes of a blob."""
        return self.file(digest).read_bytes()
