"""Descriptors as manifests hold them."""

import base64

import pytest

from moorage.domain.descriptor import Descriptor, read_descriptor
from moorage.domain.digest import Digest
from moorage.domain.errors import ManifestInvalid

_DATA = b"seven by nine"
_DIGEST = Digest.of(_DATA)


def _entry(**members: object) -> dict[str, object]:
    return {"mediaType": "text/plain", "digest": str(_DIGEST), "size": len(_DATA), **members}


def _reason(value: object) -> str:
    with pytest.raises(ManifestInvalid) as refused:
        read_descriptor(value, "layers[3]")
    return str(refused.value.facts["reason"])


def test_descriptor_is_read_from_its_three_members() -> None:
    """Media type, digest and size are all that is needed."""
    assert read_descriptor(_entry(), "config") == Descriptor("text/plain", _DIGEST, len(_DATA))


def test_descriptor_is_read_with_every_member() -> None:
    """Optional members are kept, unknown ones are no reason to refuse."""
    value = _entry(
        urls=["https://a.example/x"],
        annotations={"k": "v\r\n<script>"},
        artifactType="application/x",
        platform={"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"},
        data=base64.b64encode(_DATA).decode(),
        unknown={"deep": [1]},
    )
    assert read_descriptor(value, "config") == Descriptor(
        "text/plain",
        _DIGEST,
        len(_DATA),
        ("https://a.example/x",),
        {"k": "v\r\n<script>"},
        "application/x",
        "linux/arm64/v8",
    )


@pytest.mark.parametrize("size", [0, 2**63 - 1])
def test_descriptor_size_is_taken_at_the_edges(size: int) -> None:
    """Empty blobs exist, and a size is whatever a database can keep."""
    assert read_descriptor(_entry(size=size), "config").size == size


def test_descriptor_members_that_are_null_count_as_absent() -> None:
    """Go programs write empty lists and maps as null."""
    value = _entry(urls=None, annotations=None, data=None, artifactType=None, platform=None, extra=None)
    assert read_descriptor(value, "config") == Descriptor("text/plain", _DIGEST, len(_DATA))


@pytest.mark.parametrize(
    ("platform", "text"),
    [
        ({"os": "linux", "architecture": "amd64"}, "linux/amd64"),
        ({"os": "unknown", "architecture": "unknown", "variant": None}, "unknown/unknown"),
        ({"os": "", "architecture": ""}, None),
        ({}, None),
    ],
)
def test_descriptor_platform_is_in_short_form(platform: dict[str, object], text: str | None) -> None:
    """Absent parts are left out."""
    assert read_descriptor(_entry(platform=platform), "x").platform == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "layers[3] is not an object"),
        ({}, "layers[3].mediaType is missing or not a media type"),
        (_entry(mediaType=1), "layers[3].mediaType is missing or not a media type"),
        (_entry(mediaType=""), "layers[3].mediaType is missing or not a media type"),
        (_entry(mediaType="a/b\n"), "layers[3].mediaType is missing or not a media type"),
        (_entry(digest=None), "layers[3].digest is not a string"),
        (_entry(digest="sha256:abc"), "layers[3].digest is not sha256: or sha512:"),
        (_entry(digest="md5:" + "a" * 32), "layers[3].digest is not sha256: or sha512:"),
        (_entry(size=True), "layers[3].size is missing or not a number of bytes"),
        (_entry(size=-1), "layers[3].size is missing or not a number of bytes"),
        (_entry(size=1.0), "layers[3].size is missing or not a number of bytes"),
        (_entry(size="13"), "layers[3].size is missing or not a number of bytes"),
        (_entry(size=2**63), "layers[3].size is missing or not a number of bytes"),
        (_entry(urls="https://a"), "layers[3].urls is not a list of strings"),
        (_entry(urls=[1]), "layers[3].urls is not a list of strings"),
        (_entry(annotations=[]), "layers[3].annotations is not an object"),
        (_entry(annotations={"k": 1}), "layers[3].annotations['k'] is not a string"),
        (_entry(artifactType=1), "layers[3].artifactType is not a media type"),
        (_entry(platform="linux"), "layers[3].platform is not an object"),
        (_entry(platform={"os": 0}), "layers[3].platform has a part that is not a string"),
        (_entry(data=1), "layers[3].data is not a string"),
        (_entry(data="c2V2ZW4*"), "layers[3].data is not base64"),
        (_entry(data=base64.encodebytes(_DATA).decode()), "layers[3].data is not base64"),
        (_entry(data="\N{SNOWMAN}"), "layers[3].data is not base64"),
        (_entry(data=base64.b64encode(_DATA[1:]).decode()), "layers[3].data has 12 bytes, its size says 13"),
        (_entry(data=base64.b64encode(b"thirteen byte").decode()), "layers[3].data has another digest"),
        (
            _entry(Digest="sha256:" + "0" * 64),
            "layers[3] has a member 'Digest', which some clients take for another",
        ),
        (_entry() | {"url\u017f": []}, "layers[3] has a member 'url\\u017f'"),
    ],
)
def test_descriptor_is_refused_with_place_and_reason(value: object, reason: str) -> None:
    """Each malformed member is refused by name and place."""
    assert _reason(value).startswith(reason)


def test_descriptor_can_be_a_member_of_a_set_despite_its_annotations() -> None:
    """Equal descriptors hash alike."""
    one, other = (read_descriptor(_entry(annotations={"k": "v"}), "x") for _ in range(2))
    assert {one, other} == {one}
