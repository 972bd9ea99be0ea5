"""Docker schema 1 manifests, unsigned and signed."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain import media_types
from moorage.domain.digest import Digest
from moorage.domain.errors import ManifestInvalid
from moorage.domain.manifest import Manifest, ManifestKind

_LAYERS = [str(Digest.of(name)) for name in (b"top", b"base", b"base")]


def _document(**members: object) -> dict[str, object]:
    return {
        "schemaVersion": 1,
        "name": "team/app",
        "tag": "latest",
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest} for digest in _LAYERS],
        "history": [{"v1Compatibility": "{}"} for _ in _LAYERS],
        **members,
    }


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _signature(
    payload: bytes, tail: bytes = b"\n}", header: dict[str, object] | None = None
) -> dict[str, object]:
    protected = {"formatLength": len(payload) - len(tail), "formatTail": _base64url(tail), **(header or {})}
    return {
        "header": {"alg": "ES256"},
        "signature": "c2ln",
        "protected": _base64url(json.dumps(protected).encode()),
    }


def _payload(**members: object) -> bytes:
    return json.dumps(_document(**members), indent=3).encode()


def _sign(payload: bytes, *signatures: object) -> bytes:
    """The payload with its signatures put in before the closing brace, as Docker did."""
    entries = list(signatures) or [_signature(payload)]
    return payload.removesuffix(b"\n}") + b',\n   "signatures": ' + json.dumps(entries).encode() + b"\n}"


def _reason(content: bytes, media_type: str | None = None) -> str:
    with pytest.raises(ManifestInvalid) as refused:
        Manifest.parse(content, media_type)
    return str(refused.value.facts["reason"])


def test_unsigned_manifest_is_known_by_its_version() -> None:
    """Without any media type, ``schemaVersion`` 1 says what it is; the digest is over the bytes."""
    content = _payload()
    manifest = Manifest.parse(content, None)
    assert (manifest.kind, manifest.media_type) == (ManifestKind.SCHEMA1, media_types.DOCKER_SCHEMA1)
    assert (manifest.content, manifest.digest) == (content, Digest.of(content))


def test_signed_manifest_has_the_digest_of_its_payload() -> None:
    """Signatures are kept in the content and left out of the digest."""
    payload = _payload()
    manifest = Manifest.parse(_sign(payload), None)
    assert manifest.media_type == media_types.DOCKER_SCHEMA1_SIGNED
    assert manifest.digest == Digest.of(payload)
    assert manifest.content == _sign(payload)


def test_signed_manifest_has_one_digest_whoever_signed_it() -> None:
    """Two signatures over the same payload change nothing, and the algorithm asked for is used."""
    payload = _payload()
    content = _sign(payload, _signature(payload), _signature(payload, header={"time": "2015-04-20T18:52:54Z"}))
    assert Manifest.parse(content, None, digest_algorithm="sha512").digest == Digest.of(payload, "sha512")


@pytest.mark.parametrize("media_type", [media_types.DOCKER_SCHEMA1, media_types.DOCKER_SCHEMA1_SIGNED])
def test_signed_manifest_takes_either_media_type(media_type: str) -> None:
    """Clients name a signed manifest by both types; it is served with the one it came with."""
    assert Manifest.parse(_sign(_payload()), media_type).media_type == media_type


def test_layers_come_from_fs_layers() -> None:
    """Schema 1 names layers by digest alone, has no config and may name one layer often."""
    manifest = Manifest.parse(_payload(), None)
    assert [str(layer.digest) for layer in manifest.layers] == _LAYERS
    assert {layer.size for layer in manifest.layers} == {None}
    assert manifest.config is None
    assert [str(blob.digest) for blob in manifest.required_blobs()] == _LAYERS[:2]
    assert manifest.artifact_media_type is None


@pytest.mark.parametrize(("tag", "told"), [("v1", "v1"), ("", None), (None, None), ("not a tag", "not a tag")])
def test_tag_in_the_manifest_is_told(tag: str | None, told: str | None) -> None:
    """The tag is told as it stands, to be checked where it is used."""
    assert Manifest.parse(_payload(tag=tag), None).tag_in_manifest == told


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"fsLayers": None}, "fsLayers is missing or not a list"),
        ({"fsLayers": {}}, "fsLayers is missing or not a list"),
        ({"fsLayers": [1]}, "fsLayers[0] is not an object"),
        ({"fsLayers": [{}]}, "fsLayers[0].blobSum is not a string"),
        ({"fsLayers": [{"blobSum": "sha256:x"}]}, "fsLayers[0].blobSum is not sha256:"),
        ({"fsLayers": [{"blobSum": _LAYERS[0], "blobsum": _LAYERS[1]}]}, "fsLayers[0] has a member 'blobsum'"),
        ({"fsLayers": [1] * 10_001}, "fsLayers has 10001 entries, at most 10000 are taken"),
        ({"history": []}, "history is not a list as long as fsLayers"),
        ({"history": "x"}, "history is not a list as long as fsLayers"),
        ({"tag": 1}, "tag is not a string"),
        ({"layers": []}, "a manifest of kind schema1 has no layers"),
        ({"config": {}, "manifests": []}, "a manifest of kind schema1 has no config and no manifests"),
        ({"Signatures": []}, "the manifest has a member 'Signatures'"),
        ({"signatures": []}, "signatures is not a list of 1 to 64 entries"),
        ({"signatures": {}}, "signatures is not a list of 1 to 64 entries"),
        ({"signatures": [{}] * 65}, "signatures is not a list of 1 to 64 entries"),
        ({"signatures": [1]}, "signatures[0].protected cannot be read"),
        ({"signatures": [{"protected": "*"}]}, "signatures[0].protected cannot be read"),
        (
            {"signatures": [{"protected": "W10"}]},
            "signatures[0].protected cannot be read: it is not a JSON object",
        ),
        ({"signatures": [{"protected": "e30" * 2000}]}, "signatures[0].protected cannot be read"),
        ({"signatures": [{"protected": "e30"}]}, "signatures[0].protected cannot be read"),
    ],
)
def test_schema1_manifest_is_refused_when_its_shape_is_wrong(members: dict[str, object], reason: str) -> None:
    """Each malformed member is refused by place."""
    assert _reason(_payload(**members)).startswith(reason)


def test_signed_type_needs_signatures() -> None:
    """A manifest sent as signed that is not is refused."""
    assert _reason(_payload(), media_types.DOCKER_SCHEMA1_SIGNED).endswith("needs signatures")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"formatLength": -1}, "signatures[0].protected has no formatLength"),
        ({"formatLength": True}, "signatures[0].protected has no formatLength"),
        ({"formatLength": None}, "signatures[0].protected has no formatLength"),
        ({"formatLength": 10**30}, "formatLength of the signatures lies beyond the end"),
        ({"formatLength": 10}, "the signed payload cannot be read"),
        ({"formatTail": "A" * 65}, "signatures[0].protected cannot be read"),
        ({"formatTail": 5}, "signatures[0].protected cannot be read"),
        ({"formatTail": ""}, "the signed payload cannot be read"),
        (
            {"formatTail": _base64url(b',"x":1}')},
            "the signed payload is not the manifest without its signatures",
        ),
    ],
)
def test_signed_manifest_is_refused_when_the_signed_header_is_wrong(
    header: dict[str, object], reason: str
) -> None:
    """What the signatures cover must be there and be the manifest itself."""
    payload = _payload()
    assert _reason(_sign(payload, _signature(payload, header=header))).startswith(reason)


def test_signed_manifest_is_refused_when_something_follows_the_payload() -> None:
    """A member put in after signing would give two images one digest."""
    payload = _payload()
    content = _sign(payload).removesuffix(b"\n}") + b', "annotations": {}}'
    assert _reason(content) == "the signed payload is not the manifest without its signatures"


def test_signed_manifest_is_refused_when_its_signatures_disagree() -> None:
    """All signatures must be over one payload."""
    payload = _payload()
    content = _sign(payload, _signature(payload), _signature(payload, tail=b"}"))
    assert _reason(content) == "the signatures are over different payloads"


@given(
    tag=st.text(max_size=10),
    digests=st.lists(st.binary(max_size=2).map(lambda data: str(Digest.of(data))), max_size=5),
    extra=st.dictionaries(st.text("xyz", min_size=1), st.text(), max_size=2),
)
def test_signed_manifest_gives_back_what_was_signed(
    tag: str, digests: list[str], extra: dict[str, str]
) -> None:
    """Whatever is signed, the digest is the payload's and the facts are the document's."""
    payload = _payload(tag=tag, fsLayers=[{"blobSum": digest} for digest in digests], history=None, **extra)
    manifest = Manifest.parse(_sign(payload), media_types.DOCKER_SCHEMA1_SIGNED)
    assert manifest.digest == Digest.of(payload)
    assert [str(layer.digest) for layer in manifest.layers] == digests
    assert manifest.tag_in_manifest == (tag or None)
