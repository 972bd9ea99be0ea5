"""Names that clients choose."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.errors import RegistryIdInvalid, RepositoryNameInvalid, TagInvalid
from moorage.domain.names import RegistryId, RepositoryName, Tag

_NAMES = st.from_regex(
    r"[a-z0-9]+((\.|_|__|-{1,3})[a-z0-9]+){0,3}(/[a-z0-9]+(_[a-z0-9]+)?){0,3}", fullmatch=True
)


@given(name=_NAMES.filter(lambda name: 2 <= len(name) <= 256))
def test_repository_name_is_taken_when_it_follows_the_grammar(name: str) -> None:
    """Every name of the OCI grammar within ECR's length is a repository's name, unchanged."""
    assert RepositoryName.parse(name) == name


@pytest.mark.parametrize("name", ["ab", "a__b", "a---b", "a.b/c-d_e", "0/1", "a" * 256, "/".join("a" * 128)])
def test_repository_name_is_taken_at_the_edges(name: str) -> None:
    """Shortest, longest and oddest separators are fine."""
    assert RepositoryName.parse(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "a",
            "a" * 257,
            "A",
            "Ab",
            "a//b",
            "/ab",
            "ab/",
            "../x",
            "a/../b",
            "-a",
            "a-",
            "_ab",
            "a_",
            "a___b",
        ),
        *(
            "a..b",
            "a.-b",
            "ab\n",
            "a b",
            "a%2eb",
            "a\0b",
            "\N{LATIN SMALL LETTER E WITH ACUTE}a",
            "a\\b",
            "ab:c",
        ),
        "a" * 255 + "-_",
        "a" * 1_000_000,
    ],
)
def test_repository_name_is_refused_when_it_breaks_the_grammar(name: str) -> None:
    """Upper case, empty parts, stray separators, traversal and wrong lengths are no names."""
    with pytest.raises(RepositoryNameInvalid):
        RepositoryName.parse(name)


@given(tag=st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", fullmatch=True))
def test_tag_is_taken_when_it_follows_the_grammar(tag: str) -> None:
    """Every tag of the OCI grammar is kept unchanged."""
    assert Tag.parse(tag) == tag


@pytest.mark.parametrize(
    "tag", ["", ".a", "-a", "a" * 129, "latest\n", "a/b", "a:b", "a b", "\N{GREEK SMALL LETTER PI}", "a@b"]
)
def test_tag_is_refused_when_it_breaks_the_grammar(tag: str) -> None:
    """Wrong first characters, lengths and signs are no tags."""
    with pytest.raises(TagInvalid):
        Tag.parse(tag)


def test_registry_id_keeps_leading_zeros() -> None:
    """An account is text of twelve digits, not a number."""
    assert RegistryId.parse("000000000000") == "000000000000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1" * 11,
        "1" * 13,
        "12345678901a",
        "12345678901\n",
        "\N{ARABIC-INDIC DIGIT ONE}" * 12,
        " 12345678901",
    ],
)
def test_registry_id_is_refused_when_it_is_not_twelve_digits(text: str) -> None:
    """Other lengths, letters and digits of other scripts are no account."""
    with pytest.raises(RegistryIdInvalid):
        RegistryId.parse(text)
