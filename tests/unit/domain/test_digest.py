"""Digests are made by hashing or by strict parsing."""

import contextlib
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.digest import Digest
from moorage.domain.errors import DigestInvalid


@given(data=st.binary(max_size=200), algorithm=st.sampled_from(["sha256", "sha512"]))
def test_digest_survives_being_written_and_read(data: bytes, algorithm: str) -> None:
    """Text of a digest parses back to the same digest, which is the one the library computes."""
    digest = Digest.of(data, algorithm)
    assert Digest.parse(str(digest)) == digest
    assert str(digest) == f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


@pytest.mark.threat(23)
@pytest.mark.incident(26)
@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:baddigeststring",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 63 + "g",
        "sha256:" + "a" * 63 + "\n",
        "sha256:" + "\N{FULLWIDTH DIGIT ONE}" * 64,
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "SHA256:" + "a" * 64,
        "sha256+b64u:" + "a" * 64,
        "sha512:" + "a" * 64,
        "sha256:" + "a" * 128,
        "sha512:" + "a" * 1_000_000,
        "md5:" + "a" * 32,
        "sha1:" + "a" * 40,
        "sha384:" + "a" * 96,
    ],
)
def test_digest_parse_refuses_every_other_form(text: str) -> None:
    """Only the two algorithms, lower case and of exact length, are a digest."""
    with pytest.raises(DigestInvalid):
        Digest.parse(text)


def test_digest_cannot_be_made_from_unchecked_parts() -> None:
    """The checks hold for the constructor as well."""
    with pytest.raises(DigestInvalid):
        Digest("sha256", "../../etc/passwd")


_HEX = st.text("0123456789abcdef", min_size=64, max_size=64) | st.text(
    "0123456789abcdefA\n ", min_size=60, max_size=70
)


@given(algorithm=st.sampled_from(["sha256", "Sha256", "sha256 "]), hexadecimal=_HEX)
def test_digest_parse_takes_nothing_that_it_would_write_differently(algorithm: str, hexadecimal: str) -> None:
    """Whatever parses is written exactly as it was given."""
    text = f"{algorithm}:{hexadecimal}"
    with contextlib.suppress(DigestInvalid):
        assert str(Digest.parse(text)) == text
