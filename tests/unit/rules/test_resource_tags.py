"""Keys and values that users attach to repositories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.errors import ResourceTagInvalid, TooManyResourceTags
from moorage.rules.resource_tags import check_resource_tags, merge_resource_tags, remove_resource_tags

_TEXT = st.text(st.characters(categories=["L", "N", "Zs"]) | st.sampled_from("+-=._:/@"), max_size=128)


@given(
    tags=st.dictionaries(
        _TEXT.filter(lambda key: key and not key.lower().startswith("aws:")), _TEXT, max_size=5
    )
)
def test_tags_are_taken_in_any_script(tags: dict[str, str]) -> None:
    """Letters, digits and spaces of every script and eight signs make keys and values."""
    assert check_resource_tags(tags.items()) == tags


@pytest.mark.parametrize(
    ("key", "value"),
    [("k", ""), ("k" * 128, "v" * 256), ("Ключ", "値 1"), ("a+-=._:/@", "aws:x"), ("awsome", "x"), (" ", " ")],
)
def test_tags_are_taken_at_the_edges(key: str, value: str) -> None:
    """Empty values, full lengths and values that begin with the reserved prefix are fine."""
    assert check_resource_tags([(key, value)]) == {key: value}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("", "v", "Tag keys must have 1 to 128 characters, not 0"),
        ("k" * 129, "v", "Tag keys must have 1 to 128 characters, not 129"),
        ("k", "v" * 257, "Tag values may have at most 256 characters: the one of 'k'"),
        ("a,b", "v", "A tag key may hold letters, digits, spaces and + - = . _ : / @ only, not ','"),
        ("k", "<b>", "The value of tag 'k' may hold letters, digits, spaces and + - = . _ : / @ only, not '<'"),
        (
            "k",
            "a\nb",
            "The value of tag 'k' may hold letters, digits, spaces and + - = . _ : / @ only, not '\\n'",
        ),
        ("\u2028", "v", "A tag key may hold letters, digits, spaces and + - = . _ : / @ only, not '\\u2028'"),
        ("\ud800", "v", "A tag key may hold letters, digits, spaces and + - = . _ : / @ only, not '\\ud800'"),
        (
            "aws:cloudformation:stack",
            "v",
            "Tag keys that begin with 'aws:' are reserved: 'aws:cloudformation:stack'",
        ),
        ("AWS:x", "v", "Tag keys that begin with 'aws:' are reserved: 'AWS:x'"),
    ],
)
def test_tags_are_refused_with_the_reason(key: str, value: str, text: str) -> None:
    """Lengths, characters and the reserved prefix are checked, and the refusal says which."""
    with pytest.raises(ResourceTagInvalid) as refused:
        check_resource_tags([("fine", "fine"), (key, value)])
    assert refused.value.facts == {"text": text}


def test_tags_are_refused_when_a_key_is_given_twice() -> None:
    """One request names each key once, even with the same value."""
    with pytest.raises(ResourceTagInvalid, match="'k' is given more than once"):
        check_resource_tags([("k", "v"), ("K", "v"), ("k", "v")])


def test_merge_replaces_values_and_leaves_other_keys() -> None:
    """Same keys, compared with case, get the new value."""
    existing = {"a": "1", "b": "2"}
    assert merge_resource_tags(existing, {"b": "3", "A": "4"}) == {"a": "1", "b": "3", "A": "4"}
    assert existing == {"a": "1", "b": "2"}


def test_merge_refuses_the_fifty_first_tag() -> None:
    """Fifty fit, replacing among them too; one more does not."""
    fifty = {f"k{number}": "v" for number in range(50)}
    assert len(merge_resource_tags(fifty, {"k0": "new"})) == 50
    with pytest.raises(TooManyResourceTags) as refused:
        merge_resource_tags(fifty, {"one-more": "v"})
    assert refused.value.facts == {"limit": 50}


def test_merge_does_not_count_reserved_tags() -> None:
    """Tags of the system come on top of the fifty."""
    fifty = {f"k{number}": "v" for number in range(50)}
    assert len(merge_resource_tags({"aws:made-by": "x"}, fifty)) == 51


def test_remove_ignores_keys_that_are_not_there() -> None:
    """Only named keys go."""
    assert remove_resource_tags({"a": "1", "b": "2"}, ["b", "c", "b"]) == {"a": "1"}


def test_remove_refuses_reserved_keys() -> None:
    """Tags of the system cannot be taken off."""
    with pytest.raises(ResourceTagInvalid, match="reserved"):
        remove_resource_tags({"aws:made-by": "x"}, ["aws:made-by"])
