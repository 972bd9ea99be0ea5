"""Condition keys as they are typed for ``--context``: which there are, and what their values can be.

What a policy may only never match, whoever types it has to be told: nothing would come of it but a wrong answer.
"""

from collections.abc import Callable, Mapping
from typing import Final

from moorage.cli.desk import pairs
from moorage.cli.flags import fail
from moorage.domain.digest import Digest
from moorage.domain.errors import DigestInvalid, TagInvalid
from moorage.domain.names import Tag
from moorage.rules.policy import keys, request, values


def read_context(given: list[str] | None) -> dict[str, str]:
    """The condition keys in small letters with their values; ends the program for what no request could have."""
    found: dict[str, str] = {}
    for key, value in pairs(given, "a condition key"):
        name = key.lower()
        _require_known(key, name)
        is_possible, form = _FORMS.get(name, (_is_text, ""))
        if not is_possible(value):
            fail(f"--context {key}: {value[:100]!a} is no {form}")
        if name in found:
            fail(f"--context {key} is given twice")
        found[name] = value
    return found


def _require_known(key: str, name: str) -> None:
    if request.is_about_principal(name):
        fail(f"--context {key}: who asks is said by --principal")
    if not keys.is_known(name):
        near = " or ".join(keys.nearest(key))
        fail(f"there is no condition key {key[:100]!a}" + (f"; did you mean {near}?" if near else ""))


def _is_text(_value: str) -> bool:
    return True


def _is_address(value: str) -> bool:
    return values.address(value) is not None


def _is_time(value: str) -> bool:
    return values.instant(value) is not None


def _is_number(value: str) -> bool:
    return values.number(value) is not None


def _is_truth(value: str) -> bool:
    return values.truth(value) is not None


def _is_tag(value: str) -> bool:
    try:
        return bool(Tag.parse(value))
    except TagInvalid:
        return False


def _is_digest(value: str) -> bool:
    try:
        return bool(Digest.parse(value))
    except DigestInvalid:
        return False


#: Of keys whose values are of a type: whether a text is one, and what a refusal calls it.
_FORMS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "aws:currenttime": (_is_time, "time, as 2026-05-28T20:26:40Z"),
    "aws:epochtime": (_is_number, "number of seconds"),
    "aws:securetransport": (_is_truth, "true or false"),
    "aws:sourceip": (_is_address, "IP address"),
    "aws:tokenissuetime": (_is_time, "time, as 2026-05-28T20:26:40Z"),
    "ecr:imagedigest": (_is_digest, "digest, as sha256: and 64 hexadecimal digits"),
    "ecr:imagetag": (_is_tag, "tag"),
}
