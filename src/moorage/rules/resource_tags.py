"""Resource tags: the keys and values that users attach to repositories, with AWS's limits.

Not to be confused with the tags of images. Lengths are in characters. Keys and values are case-sensitive.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from moorage.domain.errors import ResourceTagInvalid, TooManyResourceTags

MAX_RESOURCE_TAGS: Final = 50
MAX_KEY_LENGTH: Final = 128
MAX_VALUE_LENGTH: Final = 256

_RESERVED_PREFIX: Final = "aws:"
_SIGNS: Final = frozenset("+-=._:/@")


def check_resource_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The tags of one request by key. Raises ``ResourceTagInvalid`` for a bad key or value or a repeated key."""
    tags: dict[str, str] = {}
    for key, value in pairs:
        _check_key(key)
        if len(value) > MAX_VALUE_LENGTH:
            raise ResourceTagInvalid(
                text=f"Tag values may have at most {MAX_VALUE_LENGTH} characters: the one of '{key}'"
            )
        _check_characters(value, f"The value of tag '{key}'")
        if key in tags:
            raise ResourceTagInvalid(text=f"Tag key '{key}' is given more than once")
        tags[key] = value
    return tags


def merge_resource_tags(existing: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """The tags after ``added`` is put over ``existing``: same keys replaced, other keys left as they are.

    Tags under the reserved prefix do not count. Raises ``TooManyResourceTags``.
    """
    merged = {**existing, **added}
    if sum(not _is_reserved(key) for key in merged) > MAX_RESOURCE_TAGS:
        raise TooManyResourceTags(limit=MAX_RESOURCE_TAGS)
    return merged


def remove_resource_tags(existing: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """The tags without these keys; keys that are not there are ignored.

    Raises ``ResourceTagInvalid`` for a key under the reserved prefix.
    """
    removed = set(keys)
    for key in removed:
        _refuse_reserved(key)
    return {key: value for key, value in existing.items() if key not in removed}


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= MAX_KEY_LENGTH:
        raise ResourceTagInvalid(text=f"Tag keys must have 1 to {MAX_KEY_LENGTH} characters, not {len(key)}")
    _check_characters(key, "A tag key")
    _refuse_reserved(key)


def _check_characters(text: str, what: str) -> None:
    for character in text:
        if character not in _SIGNS and not _is_letter_digit_or_space(character):
            raise ResourceTagInvalid(
                text=f"{what} may hold letters, digits, spaces and + - = . _ : / @ only, not {character!a}"
            )


def _is_letter_digit_or_space(character: str) -> bool:
    """Of any script: Unicode's letters, numbers and spaces, not its line ends and control characters."""
    category = unicodedata.category(character)
    return category[0] in "LN" or category == "Zs"


def _refuse_reserved(key: str) -> None:
    if _is_reserved(key):
        raise ResourceTagInvalid(
            text=f"Tag keys that begin with '{_RESERVED_PREFIX}' are reserved: {key[:128]!a}"
        )


def _is_reserved(key: str) -> bool:
    return key[: len(_RESERVED_PREFIX)].lower() == _RESERVED_PREFIX
