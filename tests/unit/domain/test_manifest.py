"""Manifests of images and indexes, and what is refused as one. Schema 1 has its own file."""

import contextlib
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain import media_types
from moorage.domain.descriptor import Descriptor
from moorage.domain.digest import Digest
from moorage.domain.errors import ManifestInvalid, ManifestTooLarge
from moorage.domain.manifest import MAX_LAYERS, MAX_MANIFEST_BYTES, MAX_MANIFESTS, Manifest, ManifestKind

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


def _entry(content: str, media_type: str = _LAYER_TYPE, **members: object) -> dict[str, object]:
    data = content.encode()
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data), **members}


def _image(**members: object) -> dict[str, object]:
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": _entry("{}", _CONFIG_TYPE),
        "layers": [_entry("one"), _entry("two")],
        **members,
    }
    return {name: value for name, value in document.items() if value is not ...}


def _index(**members: object) -> dict[str, object]:
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [_entry("amd64", media_types.OCI_MANIFEST), _entry("arm64", media_types.OCI_MANIFEST)],
        **members,
    }
    return {name: value for name, value in document.items() if value is not ...}


def _parse(document: object, media_type: str | None = None) -> Manifest:
    return Manifest.parse(json.dumps(document).encode(), media_type)


def _reason(document: object, media_type: str | None = None) -> str:
    with pytest.raises(ManifestInvalid) as refused:
        _parse(document, media_type)
    return str(refused.value.facts["reason"])


def test_manifest_keeps_the_bytes_and_names_them_by_digest() -> None:
    """Spaces, order and the newline at the end stay; the digest is over all of it."""
    content = b" " + json.dumps(_image(), indent=3).encode() + b"\n"
    manifest = Manifest.parse(content, None)
    assert manifest.content == content
    assert manifest.digest == Digest.of(content)
    assert manifest.size == len(content)


def test_manifest_digest_is_of_the_algorithm_asked_for() -> None:
    """A push by sha512 digest is known by its sha512 digest."""
    content = json.dumps(_image()).encode()
    assert Manifest.parse(content, None, digest_algorithm="sha512").digest == Digest.of(content, "sha512")


def test_image_gives_its_config_and_layers() -> None:
    """Descriptors come in the order of the document."""
    manifest = _parse(_image())
    assert manifest.kind is ManifestKind.IMAGE
    assert manifest.config == Descriptor(_CONFIG_TYPE, Digest.of(b"{}"), 2)
    assert manifest.layers == tuple(Descriptor(_LAYER_TYPE, Digest.of(name), 3) for name in (b"one", b"two"))
    assert manifest.manifests == ()
    assert manifest.tag_in_manifest is None


def test_index_gives_its_entries() -> None:
    """Entries come in the order of the document, with the platform where they have one."""
    platform = {"os": "linux", "architecture": "amd64"}
    entries = [_entry("a", media_types.OCI_MANIFEST, platform=platform), _entry("b", media_types.OCI_INDEX)]
    manifest = _parse(_index(manifests=entries))
    assert manifest.kind is ManifestKind.INDEX
    assert [(entry.media_type, entry.platform) for entry in manifest.manifests] == [
        (media_types.OCI_MANIFEST, "linux/amd64"),
        (media_types.OCI_INDEX, None),
    ]
    assert manifest.required_manifests() == manifest.manifests
    assert manifest.required_blobs() == ()


@pytest.mark.parametrize(
    ("document", "media_type", "kind"),
    [
        (_image(mediaType=media_types.DOCKER_MANIFEST), media_types.DOCKER_MANIFEST, ManifestKind.IMAGE),
        (_image(), media_types.OCI_MANIFEST, ManifestKind.IMAGE),
        (
            _index(mediaType=media_types.DOCKER_MANIFEST_LIST),
            media_types.DOCKER_MANIFEST_LIST,
            ManifestKind.INDEX,
        ),
        (_index(), media_types.OCI_INDEX, ManifestKind.INDEX),
    ],
)
def test_media_type_of_the_document_suffices(document: object, media_type: str, kind: ManifestKind) -> None:
    """Every accepted type is known by the document alone, or by both saying the same."""
    for given_type in (None, "", media_type):
        manifest = _parse(document, given_type)
        assert (manifest.media_type, manifest.kind) == (media_type, kind)


def test_media_type_of_the_request_decides_when_the_document_has_none() -> None:
    """OCI manifests may leave out ``mediaType``."""
    assert _parse(_image(mediaType=...), media_types.OCI_MANIFEST).media_type == media_types.OCI_MANIFEST


@pytest.mark.parametrize(
    ("document", "media_type", "reason"),
    [
        (
            _image(),
            media_types.DOCKER_MANIFEST,
            f"sent as '{media_types.DOCKER_MANIFEST}', but its mediaType is",
        ),
        (_image(), media_types.OCI_INDEX, f"sent as '{media_types.OCI_INDEX}', but its mediaType is"),
        (_image(mediaType=...), None, "no media type: neither the request nor the manifest names one"),
        (_image(mediaType=1), media_types.OCI_MANIFEST, "mediaType is not a string"),
        (_image(mediaType="text/plain"), None, "'text/plain' is not the media type of a manifest or index"),
        (_image(mediaType=...), "text/plain", "'text/plain' is not the media type of a manifest or index"),
        (
            {"mediaType": media_types.OCI_ARTIFACT_MANIFEST, "blobs": []},
            None,
            "OCI artifact manifests were withdrawn",
        ),
        (_image(schemaVersion=1), None, "schemaVersion is not 2"),
        (_image(schemaVersion=True), None, "schemaVersion is not 2"),
        (_image(schemaVersion=2.0), None, "schemaVersion is not 2"),
        (_image(schemaVersion=...), None, "schemaVersion is not 2"),
        (_image(mediaType=...), media_types.DOCKER_SCHEMA1, "schemaVersion is not 1"),
    ],
)
def test_media_type_is_refused_when_it_does_not_fit(
    document: object, media_type: str | None, reason: str
) -> None:
    """Request, document and version must agree on a type that is a manifest's."""
    assert _reason(document, media_type).startswith(reason)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (_image(manifests=[]), "a manifest of kind image has no manifests"),
        (_image(manifests=None), "a manifest of kind image has no manifests"),
        (_image(fsLayers=[]), "a manifest of kind image has no fsLayers"),
        (_index(layers=[]), "a manifest of kind index has no layers"),
        (_index(config=_entry("{}")), "a manifest of kind index has no config"),
        (_image() | _index(), "a manifest of kind index has no config and no layers"),
        (_image(Layers=[]), "the manifest has a member 'Layers', which some clients take for another"),
        (_image(mediatype="x"), "the manifest has a member 'mediatype', which some clients take for another"),
        (_index() | {"manife\u017fts": []}, "the manifest has a member 'manife\\u017fts', which some clients"),
        (_image(config=...), "config is missing"),
        (_image(config=None), "config is missing"),
        (_image(config=[]), "config is not an object"),
        (_image(config={}), "config.mediaType is missing"),
        (_image(layers=...), "layers is missing"),
        (_image(layers={}), "layers is not a list"),
        (_image(layers=[_entry("a"), 1]), "layers[1] is not an object"),
        (_image(layers=[_entry("a", size=-1)]), "layers[0].size is missing or not a number of bytes"),
        (_index(manifests=...), "manifests is missing"),
        (_index(manifests="x"), "manifests is not a list"),
        (_index(manifests=[{}]), "manifests[0].mediaType is missing"),
        (_image(subject="x"), "subject is not an object"),
        (_image(subject={"mediaType": "a/b"}), "subject.digest is not a string"),
        (_image(annotations=[]), "the manifest.annotations is not an object"),
        (_image(annotations={"a": None}), "the manifest.annotations['a'] is not a string"),
        (_image(artifactType={}), "the manifest.artifactType is not a media type"),
        ([], "the manifest cannot be read: it is not a JSON object"),
    ],
)
def test_manifest_is_refused_when_its_shape_is_wrong(document: object, reason: str) -> None:
    """A document of two kinds, of none, or with a malformed member is refused with the place of the fault."""
    assert _reason(document).startswith(reason)


def test_manifest_is_refused_when_a_key_is_repeated() -> None:
    """Clients would disagree on which of the two counts."""
    content = json.dumps(_image()).replace('"schemaVersion"', '"layers": [], "schemaVersion"', 1).encode()
    with pytest.raises(ManifestInvalid, match="the key 'layers' is given twice"):
        Manifest.parse(content, None)


@pytest.mark.parametrize(
    "document",
    [
        _image(layers=[_entry("one"), _entry("one", size=4)]),
        _image(config=_entry("one"), layers=[_entry("one", size=4)]),
        _index(manifests=[_entry("one"), _entry("one", size=4)]),
    ],
)
def test_manifest_is_refused_when_one_digest_has_two_sizes(document: object) -> None:
    """One of the two must be wrong."""
    assert _reason(document) == f"{Digest.of(b'one')} is given with sizes 3 and 4"


def test_manifest_may_be_as_large_as_the_limit() -> None:
    """Exactly 4 MiB is taken, one byte more is not."""
    content = json.dumps(_image()).encode()
    content += b" " * (MAX_MANIFEST_BYTES - len(content))
    assert Manifest.parse(content, None).size == MAX_MANIFEST_BYTES
    with pytest.raises(ManifestTooLarge):
        Manifest.parse(content + b" ", None)


def test_manifest_takes_very_many_long_annotations() -> None:
    """The conformance suite pushes 390 annotations of 10,000 bytes."""
    annotations = {f"org.example.{number}": "x" * 10_000 for number in range(390)}
    assert _parse(_image(annotations=annotations)).annotations == annotations


@pytest.mark.threat(49)
@pytest.mark.parametrize(("member", "limit"), [("layers", MAX_LAYERS), ("manifests", MAX_MANIFESTS)])
def test_manifest_is_refused_when_it_lists_too_much(member: str, limit: int) -> None:
    """The number of entries is bounded, whatever they are."""
    document = {"layers": _image, "manifests": _index}[member](**{member: [1] * (limit + 1)})
    assert _reason(document) == f"{member} has {limit + 1} entries, at most {limit} are taken"


@pytest.mark.parametrize("layers", [[], None])
def test_image_may_have_no_layers(layers: object) -> None:
    """An artifact may consist of its config; null is Go's empty list."""
    manifest = _parse(_image(layers=layers))
    assert manifest.layers == ()
    assert [blob.digest for blob in manifest.required_blobs()] == [Digest.of(b"{}")]


@pytest.mark.parametrize("manifests", [[], None])
def test_index_may_be_empty(manifests: object) -> None:
    """An index of nothing needs nothing."""
    manifest = _parse(_index(manifests=manifests))
    assert manifest.required_manifests() == manifest.required_blobs() == ()


def test_manifest_takes_members_it_does_not_know() -> None:
    """Unknown members stay in the bytes and mean nothing here."""
    document = _image(orgExample={"a": [None, 1.5]}, layers=[_entry("one", orgExample=True)])
    assert _parse(document).layers == (Descriptor(_LAYER_TYPE, Digest.of(b"one"), 3),)


def test_required_blobs_name_each_digest_once() -> None:
    """A layer that occurs twice is needed once, config first."""
    manifest = _parse(_image(layers=[_entry("two"), _entry("one"), _entry("two"), _entry("{}")]))
    assert [blob.digest for blob in manifest.required_blobs()] == [
        Digest.of(name) for name in (b"{}", b"two", b"one")
    ]
    assert len(manifest.layers) == 4


def test_required_blobs_leave_out_layers_that_are_never_pushed() -> None:
    """Foreign layers stay where their URLs point, ordinary layers with URLs do not."""
    foreign = _entry("far", media_types.DOCKER_FOREIGN_LAYER, urls=["http://169.254.169.254/"])
    bare = _entry("away", media_types.OCI_NON_DISTRIBUTABLE_LAYER + "+gzip")
    near = _entry("near", urls=["https://mirror.example/near"])
    manifest = _parse(_image(layers=[foreign, bare, near]))
    assert [blob.digest for blob in manifest.required_blobs()] == [Digest.of(b"{}"), Digest.of(b"near")]
    assert manifest.layers[0].urls == ("http://169.254.169.254/",)


def test_index_entries_that_are_no_manifests_are_required_as_blobs() -> None:
    """A build cache in the form of an index points to layers and a config."""
    cache = "application/vnd.buildkit.cacheconfig.v0"
    entries = [_entry("one"), _entry("child", media_types.DOCKER_MANIFEST), _entry("{}", cache)]
    manifest = _parse(_index(manifests=entries))
    assert [blob.digest for blob in manifest.required_blobs()] == [Digest.of(b"one"), Digest.of(b"{}")]
    assert [child.digest for child in manifest.required_manifests()] == [Digest.of(b"child")]


@pytest.mark.parametrize("document", [_image, _index])
def test_subject_is_read_from_images_and_indexes(document: Callable[..., dict[str, object]]) -> None:
    """Both kinds may refer to another manifest."""
    manifest = _parse(document(subject=_entry("subject", media_types.OCI_MANIFEST)))
    assert manifest.subject == Descriptor(media_types.OCI_MANIFEST, Digest.of(b"subject"), 7)
    assert Digest.of(b"subject") not in {needed.digest for needed in manifest.required_manifests()}


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (_image(), _CONFIG_TYPE),
        (_image(artifactType="application/x"), "application/x"),
        (_image(artifactType=""), _CONFIG_TYPE),
        (_image(config=_entry("{}", _EMPTY_TYPE)), _EMPTY_TYPE),
        (_image(config=_entry("{}", _EMPTY_TYPE), artifactType="application/x"), "application/x"),
        (_index(), None),
        (_index(artifactType="application/x"), "application/x"),
    ],
)
def test_artifact_type_falls_back_to_the_config_of_images_alone(document: object, shown: str | None) -> None:
    """ECR's image details and OCI's referrers show the same type."""
    manifest = _parse(document)
    assert manifest.artifact_media_type == shown
    assert manifest.referrer_artifact_type == shown


_CLAIMS = st.fixed_dictionaries(
    {
        "mediaType": st.sampled_from([_LAYER_TYPE, media_types.OCI_MANIFEST, media_types.DOCKER_FOREIGN_LAYER]),
        "digest": st.binary(max_size=3).map(lambda data: str(Digest.of(data, "sha512"))),
        "size": st.just(7),
    },
    optional={
        "annotations": st.dictionaries(st.text(), st.text(), max_size=2),
        "urls": st.lists(st.text(), max_size=2),
    },
)


@given(
    layers=st.lists(_CLAIMS, max_size=5),
    annotations=st.dictionaries(st.text(), st.text(), max_size=3),
    subject=st.none() | _CLAIMS,
    indent=st.sampled_from([None, 1, 4]),
)
def test_image_gives_back_the_facts_it_was_made_of(
    layers: list[dict[str, object]],
    annotations: dict[str, str],
    subject: dict[str, object] | None,
    indent: int | None,
) -> None:
    """Whatever the facts and the layout, reading returns what was written."""
    content = json.dumps(
        _image(layers=layers, annotations=annotations, subject=subject), indent=indent
    ).encode()
    manifest = Manifest.parse(content, media_types.OCI_MANIFEST)
    assert [(str(layer.digest), layer.media_type, layer.size) for layer in manifest.layers] == [
        (layer["digest"], layer["mediaType"], layer["size"]) for layer in layers
    ]
    assert [list(layer.urls) for layer in manifest.layers] == [layer.get("urls", []) for layer in layers]
    assert manifest.annotations == annotations
    assert (None if manifest.subject is None else str(manifest.subject.digest)) == (
        subject and subject["digest"]
    )


_MEMBER = st.sampled_from(
    [*_image(), *_index(), "annotations", "subject", "fsLayers", "history", "tag", "signatures"]
)
_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _CLAIMS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mediaType", "protected"]), inner)
    ),
    max_leaves=8,
)
_ANY_TYPE = st.none() | st.sampled_from(
    [*sorted(media_types.MANIFEST_TYPES), media_types.OCI_ARTIFACT_MANIFEST, "text/plain"]
)


@given(content=st.binary(max_size=200), media_type=_ANY_TYPE)
def test_parse_refuses_bytes_that_are_no_manifest(content: bytes, media_type: str | None) -> None:
    """Arbitrary bytes end in one of the two refusals and in nothing else."""
    with pytest.raises((ManifestInvalid, ManifestTooLarge)):
        Manifest.parse(content, media_type)


@given(
    base=st.sampled_from([_image(), _index(), {"schemaVersion": 1}]),
    name=_MEMBER,
    value=_ANYTHING,
    media_type=_ANY_TYPE,
)
def test_parse_takes_or_refuses_a_manifest_with_a_damaged_member(
    base: dict[str, object], name: str, value: object, media_type: str | None
) -> None:
    """With any value in any member a document is read or refused, never anything else."""
    content = json.dumps(base | {name: value}).encode()
    with contextlib.suppress(ManifestInvalid):
        assert Manifest.parse(content, media_type).content == content
