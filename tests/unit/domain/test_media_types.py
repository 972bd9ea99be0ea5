"""Media types and what they decide."""

import pytest

from moorage.domain import media_types


@pytest.mark.parametrize(
    ("header", "media_type"),
    [
        ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.index.v1+json"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" application/json ;q=0.5;x", "application/json"),
        ("", ""),
    ],
)
def test_without_parameters_leaves_the_type_alone(header: str, media_type: str) -> None:
    """Parameters, case and surrounding spaces do not belong to the type."""
    assert media_types.without_parameters(header) == media_type


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    ],
)
def test_foreign_layers_are_non_distributable(media_type: str) -> None:
    """Docker's and OCI's types for layers that live elsewhere are known."""
    assert media_types.is_non_distributable(media_type)


@pytest.mark.parametrize(
    "media_type", [media_types.DOCKER_LAYER, "application/vnd.oci.image.layer.v1.tar+gzip", ""]
)
def test_ordinary_layers_are_distributable(media_type: str) -> None:
    """Everything else is pushed."""
    assert not media_types.is_non_distributable(media_type)


@pytest.mark.parametrize("text", ["a/b", "text/plain; charset=utf-8", "x" * 255])
def test_is_media_type_takes_what_clients_use(text: str) -> None:
    """Any printable ASCII of up to 255 characters can be kept."""
    assert media_types.is_media_type(text)


@pytest.mark.parametrize("text", ["", "x" * 256, "a/b\r\nX: y", "a\0b", "a/\N{SNOWMAN}", "a\tb"])
def test_is_media_type_refuses_what_headers_and_columns_cannot_hold(text: str) -> None:
    """Control characters, other alphabets and endless text are no media types."""
    assert not media_types.is_media_type(text)
