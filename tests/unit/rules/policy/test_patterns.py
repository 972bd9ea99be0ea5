"""Patterns that are made to take long, and characters that look like others."""

import json
from collections.abc import Mapping

import pytest

from moorage.rules.policy.document import Kind, parse
from tests.unit.rules.policy.asked import ALICE, PULL, asked, judged


def _judges(element: Mapping[str, object], resource: str, agent: str = "x") -> bool:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **element}
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statement}), Kind.IDENTITY)
    return judged(policy, asked(ALICE, PULL, resource, aws__useragent=(agent,))) is not None


MANY = 1_000
LONG = "a" * 100_000


@pytest.mark.parametrize(
    "pattern", ["*a" * MANY + "b", "a*" * MANY + "b", "*?" * MANY + "b", "?*a" * MANY + "b", "*" * MANY + "b"]
)
def test_many_wildcards_on_long_texts_end(pattern: str) -> None:
    """A pattern that nearly matches a hundred thousand characters in very many ways; trying them all would not end."""
    where = {"Resource": f"arn:aws:ecr:*:*:repository/{pattern}"}
    assert not _judges(where, f"arn:aws:ecr:eu-central-1:1:repository/{LONG}")
    assert _judges(where, f"arn:aws:ecr:eu-central-1:1:repository/{LONG}b")
    when = {"Condition": {"StringLike": {"aws:UserAgent": ["x", pattern]}}}
    assert not _judges(when, "*", LONG)
    assert _judges(when, "*", f"{LONG}b")


def test_many_parts_and_variables_end() -> None:
    """Colons and variables by the thousand."""
    assert _judges({"Resource": "arn:aws:ecr" + ":*" * MANY}, "arn:aws:ecr" + ":" * MANY)
    assert not _judges({"Resource": "arn:aws:ecr" + ":*" * MANY + "b"}, "arn:aws:ecr" + ":" * MANY)
    value = "arn:aws:ecr:::" + "${aws:useragent}" * MANY
    assert _judges({"Resource": value}, "arn:aws:ecr:::" + "x" * MANY)


def test_variables_that_grow_beyond_the_text_end() -> None:
    """Ten million characters of pattern for a text of ten thousand, also where a wildcard makes it take positions."""
    pattern = "?" + "${aws:useragent}" * MANY
    assert not _judges({"Condition": {"StringLike": {"aws:UserAgent": pattern}}}, "*", "a" * 10_000)
    assert not _judges({"Resource": f"arn:aws:ecr:::{pattern}"}, "arn:aws:ecr:::a", "a" * 10_000)


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("arn:aws:ecr:::a${*}", "arn:aws:ecr:::a*", True),
        ("arn:aws:ecr:::a${*}", "arn:aws:ecr:::ab", False),
        ("arn:aws:ecr:::a${*}*", "arn:aws:ecr:::a*b", True),
        ("arn:aws:ecr:::a${*}*", "arn:aws:ecr:::abb", False),
        ("arn:aws:ecr::${?}:a", "arn:aws:ecr::?:a", True),
        ("arn:aws:ecr::${?}:a", "arn:aws:ecr::1:a", False),
        ("arn:aws:ecr:::${$}{a}", "arn:aws:ecr:::${a}", True),
        ("arn:aws:ecr:::a?b", "arn:aws:ecr:::a*b", True),
        ("arn:aws:ecr:::a*", "arn:aws:ecr:::a?b:c", True),
        ("arn:aws:ecr:::a:b:*", "arn:aws:ecr:::a:b:c", True),
        ("arn:aws:ecr:::a:*:c", "arn:aws:ecr:::a:b:c", True),
    ],
)
def test_marked_characters_are_themselves(pattern: str, resource: str, expected: bool) -> None:
    """In a pattern ``${*}`` is the character, and in a text it is matched like any other."""
    assert _judges({"Resource": pattern}, resource) is expected
