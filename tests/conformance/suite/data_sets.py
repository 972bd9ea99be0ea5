"""The images, indexes and artifacts that are pushed, read and deleted whole: one set per thing that can go wrong."""

import base64
import gzip
import io
import json
import secrets
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.suite.content import Blob, digest_of, name

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
STATEMENT = "application/vnd.example.moorage.statement.v1"
SIGNATURE = "application/vnd.example.moorage.signature.v1"
PLATFORMS = ("amd64", "arm64")

Descriptor = dict[str, Any]


@dataclass(frozen=True)
class Document:
    """A manifest or index as bytes, with what must be said of it where it is listed as a referrer."""

    body: bytes
    digest: str
    media_type: str
    subject: str = ""
    listed: Descriptor = field(default_factory=dict)


@dataclass
class DataSet:
    """What is pushed in one go: blobs first, then documents in order, then tags.

    ``with_tag_parameters``: tags go along with the push by digest. ``is_spoilt``: the documents do not have the
    digests that they are pushed under, and must be refused.
    """

    name: str
    blobs: dict[str, Blob] = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    with_tag_parameters: bool = False
    is_spoilt: bool = False

    @property
    def referrers(self) -> dict[str, list[Descriptor]]:
        """What must be listed of each subject."""
        found: dict[str, list[Descriptor]] = {}
        for document in self.documents.values():
            if document.subject:
                found.setdefault(document.subject, []).append(document.listed)
        return found


class Builder:
    """Makes a data set document by document. Every method that makes one returns its digest or descriptor."""

    def __init__(
        self, title: str, algorithm: str = "sha256", *, data: bool = False, extra: bool = False
    ) -> None:
        self.set = DataSet(title)
        self._algorithm = algorithm
        self._data = data
        self._extra = extra

    def blob(self, content: bytes, media_type: str) -> Descriptor:
        """A blob that is pushed, and its descriptor."""
        blob = Blob.of(content, self._algorithm)
        self.set.blobs[blob.digest] = blob
        return self.descriptor(content, media_type)

    def descriptor(self, content: bytes, media_type: str) -> Descriptor:
        """What names some bytes, with the bytes in it where the set is about that."""
        found = {
            "mediaType": media_type,
            "digest": digest_of(content, self._algorithm),
            "size": len(content),
        }
        return found | {"data": base64.b64encode(content).decode()} if self._data else found

    def layer(self, number: int, *, compressed: bool = True) -> Descriptor:
        """A tar archive of one file."""
        plain = archive(f"file-{number}.txt", f"file {number}: {secrets.token_hex(16)}\n".encode())
        if compressed:
            return self.blob(gzip.compress(plain, mtime=0), f"{LAYER}+gzip")
        return self.blob(plain, LAYER)

    def config(self, architecture: str, layers: Sequence[Descriptor]) -> Descriptor:
        """An image config, different each time."""
        document = {
            "architecture": architecture,
            "os": "linux",
            "author": name("author"),
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
        }
        return self.blob(self._encode(document), OCI_CONFIG)

    def image(
        self,
        tag: str = "",
        *,
        layers: Sequence[Descriptor] | None = None,
        architecture: str = "amd64",
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
    ) -> str:
        """An image manifest, with two layers unless others are given; its digest."""
        used = [self.layer(number) for number in (1, 2)] if layers is None else list(layers)
        document: dict[str, Any] = {"config": self.config(architecture, used), "layers": used}
        return self._add(OCI_MANIFEST, document, tag, annotations, subject)

    def artifact(
        self,
        tag: str = "",
        *,
        kind: str = STATEMENT,
        content: bytes | None = None,
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
    ) -> str:
        """An artifact manifest: an empty config and one blob, the empty object where it has nothing of its own."""
        data = content if content is not None else secrets.token_bytes(256)
        layers = [self.blob(data, OCI_EMPTY if data == b"{}" else kind)]
        document: dict[str, Any] = {
            "artifactType": kind,
            "config": self.blob(b"{}", OCI_EMPTY),
            "layers": layers,
        }
        return self._add(OCI_MANIFEST, document, tag, annotations, subject)

    def index(
        self,
        tag: str = "",
        *,
        children: Sequence[str] = (),
        kind: str = "",
        annotations: Mapping[str, str] | None = None,
        subject: Descriptor | None = None,
    ) -> str:
        """An index of documents of this set."""
        manifests = [self.of(child) for child in children]
        for entry, architecture in zip(manifests, PLATFORMS, strict=False):
            entry["platform"] = {"os": "linux", "architecture": architecture}
        document: dict[str, Any] = {"manifests": manifests} | ({"artifactType": kind} if kind else {})
        return self._add(OCI_INDEX, document, tag, annotations, subject)

    def images(self) -> list[str]:
        """An image for each platform."""
        return [self.image(architecture=architecture) for architecture in PLATFORMS]

    def of(self, digest: str) -> Descriptor:
        """The descriptor of a document of this set."""
        document = self.set.documents[digest]
        return self.descriptor(document.body, document.media_type)

    def _add(
        self,
        media_type: str,
        facts: Mapping[str, Any],
        tag: str,
        annotations: Mapping[str, str] | None,
        subject: Descriptor | None,
    ) -> str:
        document: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, **facts}
        if annotations:
            document["annotations"] = dict(annotations)
        if subject:
            document["subject"] = subject
        body = self._encode(document)
        digest = digest_of(body, self._algorithm)
        listed = referrer(document, digest, len(body)) if subject else {}
        self.set.documents[digest] = Document(
            body, digest, media_type, subject["digest"] if subject else "", listed
        )
        if tag:
            self.set.tags[tag] = digest
        return digest

    def _encode(self, document: Mapping[str, Any]) -> bytes:
        own = dict(document)
        if self._extra:
            own[name("x-field")] = {"of": [name("nobody"), 1, None]}
        return json.dumps(own, separators=(",", ":")).encode()


def referrer(document: Mapping[str, Any], digest: str, size: int) -> Descriptor:
    """What the list of referrers must say of a document (OCI distribution-spec 1.1, "Listing Referrers")."""
    config = document.get("config", {})
    found = {
        "mediaType": document["mediaType"],
        "digest": digest,
        "size": size,
        "artifactType": document.get("artifactType") or config.get("mediaType"),
        "annotations": document.get("annotations"),
    }
    return {key: value for key, value in found.items() if value}


def archive(path: str, content: bytes) -> bytes:
    """A tar archive of one file."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        entry = tarfile.TarInfo(path)
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def image() -> DataSet:
    """An image of two layers."""
    builder = Builder("image")
    builder.image("image")
    return builder.set


def image_uncompressed() -> DataSet:
    """An image whose layers are plain tar."""
    builder = Builder("image-uncompressed")
    layers = [builder.layer(number, compressed=False) for number in (1, 2)]
    builder.image("image-uncompressed", layers=layers)
    return builder.set


def large_manifest() -> DataSet:
    """A manifest of nearly 4 MB: registries are to take 4 MiB."""
    builder = Builder("large-manifest")
    builder.image("large-manifest", annotations={f"example.large.{i}": "m" * 10_000 for i in range(390)})
    return builder.set


def index() -> DataSet:
    """An index of two platforms."""
    builder = Builder("index")
    builder.index("index", children=builder.images())
    return builder.set


def nested_index() -> DataSet:
    """An index of indexes."""
    builder = Builder("nested-index")
    children = [builder.index(children=builder.images()) for _ in range(2)]
    builder.index("nested-index", children=children)
    return builder.set


def empty_index() -> DataSet:
    """An index of nothing."""
    builder = Builder("empty-index")
    builder.index("empty-index", annotations={"example.name": name("empty")})
    return builder.set


def artifact() -> DataSet:
    """An artifact with a blob of its own."""
    builder = Builder("artifact")
    builder.artifact("artifact")
    return builder.set


def artifact_index() -> DataSet:
    """An index with an artifact type, of artifacts."""
    builder = Builder("artifact-index")
    builder.index(
        "artifact-index", children=[builder.artifact(), builder.artifact(kind=SIGNATURE)], kind=STATEMENT
    )
    return builder.set


def artifact_without_layers() -> DataSet:
    """An artifact whose only layer is the empty object, as its config."""
    builder = Builder("artifact-without-layers")
    builder.artifact("artifact-without-layers", content=b"{}", annotations={"example.name": name("empty")})
    return builder.set


def artifacts_with_subject() -> DataSet:
    """An image, and three referrers of it: an image, and artifacts of two types."""
    builder = Builder("artifacts-with-subject")
    subject = builder.of(builder.image("subject-image"))
    builder.image(subject=subject)
    for tag, kind in (("tagged-statement", STATEMENT), ("tagged-signature", SIGNATURE)):
        builder.artifact(tag, kind=kind, annotations={"example.name": name("said")}, subject=subject)
    return builder.set


def index_with_subject() -> DataSet:
    """An index, and referrers of it: an index with an artifact type and one without."""
    builder = Builder("index-with-subject")
    subject = builder.of(builder.index("subject-index", children=builder.images()))
    builder.index(
        "tagged-artifact-index",
        children=[builder.artifact()],
        kind=STATEMENT,
        annotations={"example.name": name("said")},
        subject=subject,
    )
    builder.index(children=builder.images(), subject=subject)
    return builder.set


def missing_subject() -> DataSet:
    """A referrer of a manifest that is nowhere."""
    builder = Builder("missing-subject")
    absent = {"mediaType": OCI_MANIFEST, "digest": Blob.random().digest, "size": 123}
    builder.artifact("orphan", annotations={"example.name": name("said")}, subject=absent)
    return builder.set


def data_field() -> DataSet:
    """An image whose descriptors carry their content."""
    builder = Builder("data-field", data=True)
    builder.image("data-field")
    return builder.set


def non_distributable_layers() -> DataSet:
    """An image with layers that lie elsewhere and are never pushed."""
    builder = Builder("non-distributable-layers")
    foreign = []
    for media_type, size in ((f"{FOREIGN_LAYER}+gzip", 123_456), (FOREIGN_LAYER, 12_345)):
        digest = Blob.random().digest
        url = f"https://layers.example.com/{digest.partition(':')[2]}"
        foreign.append({"mediaType": media_type, "digest": digest, "size": size, "urls": [url]})
    builder.image("non-distributable-layers", layers=[*foreign, builder.layer(1)])
    return builder.set


def custom_fields() -> DataSet:
    """An index whose every document has a field that nobody knows."""
    builder = Builder("custom-fields", extra=True)
    builder.index("custom-fields", children=builder.images())
    return builder.set


def no_layers() -> DataSet:
    """An image without layers."""
    builder = Builder("no-layers")
    builder.image("no-layers", layers=[])
    return builder.set


def sha512() -> DataSet:
    """An index whose every digest is SHA-512; without tags, because a push by tag cannot say the algorithm."""
    builder = Builder("sha512", "sha512")
    builder.index(children=builder.images())
    return builder.set


def tag_parameters(algorithm: str) -> DataSet:
    """An index whose every document is pushed by digest with tags; the index with two, an image with twelve."""
    builder = Builder(f"tag-param-{algorithm}", algorithm)
    title = builder.set.name
    builder.index(title, children=builder.images())
    builder.set.tags |= {f"{title}-{i}": digest for i, digest in enumerate(builder.set.documents)}
    first = next(iter(builder.set.documents))
    builder.set.tags |= {f"{title}-many-{i}": first for i in range(11)}
    builder.set.with_tag_parameters = True
    return builder.set


def wrong_digest() -> DataSet:
    """An image whose manifest is pushed under a digest that it does not have."""
    builder = Builder("bad-digest-image")
    digest = builder.image()
    whole = builder.set.documents[digest]
    builder.set.documents[digest] = Document(whole.body + b"  ", digest, whole.media_type)
    builder.set.is_spoilt = True
    return builder.set


MAKERS: tuple[Callable[[], DataSet], ...] = (
    image,
    image_uncompressed,
    large_manifest,
    index,
    nested_index,
    empty_index,
    artifact,
    artifact_index,
    artifact_without_layers,
    artifacts_with_subject,
    index_with_subject,
    missing_subject,
    data_field,
    non_distributable_layers,
    custom_fields,
    no_layers,
    sha512,
    wrong_digest,
)
MAKERS_DEV: tuple[Callable[[], DataSet], ...] = (
    lambda: tag_parameters("sha256"),
    lambda: tag_parameters("sha512"),
)
