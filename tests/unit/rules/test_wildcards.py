"""Whole-text patterns with ``*`` and ``?``."""

from collections.abc import Iterator
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.rules import wildcards


def _slowly(pattern: str, text: str, *, question_mark: bool) -> bool:
    """The definition, tried out in every way."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(
            _slowly(pattern[1:], text[skip:], question_mark=question_mark) for skip in range(len(text) + 1)
        )
    fits = bool(text) and (pattern[0] == text[0] or (question_mark and pattern[0] == "?"))
    return fits and _slowly(pattern[1:], text[1:], question_mark=question_mark)


@given(
    pattern=st.text("ab*?", max_size=8),
    text=st.text("ab?*", max_size=8),
    question_mark=st.booleans(),
)
def test_matches_agrees_with_the_definition(pattern: str, text: str, question_mark: bool) -> None:
    """Every short pattern and text give what trying out all ways gives."""
    expected = _slowly(pattern, text, question_mark=question_mark)
    assert wildcards.matches(pattern, text, question_mark=question_mark) is expected


@given(
    pieces=st.lists(st.text("ab", max_size=3), min_size=1, max_size=5), runs=st.lists(st.text("ab"), min_size=5)
)
def test_matches_what_the_pattern_was_made_from(pieces: list[str], runs: list[str]) -> None:
    """Any runs in the places of the stars give a text that is covered."""
    text = "".join(piece + run for piece, run in zip(pieces, runs, strict=False))
    assert wildcards.matches("*".join([*pieces, ""]), text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("**", "anything\nat all", True),
        ("v*", "v", True),
        ("v*", "V1", False),
        ("*-dev", "1-dev-dev", True),
        ("ab*ba", "aba", False),
        ("*ab*b", "ab", False),
        ("a*ab*", "ab", False),
        ("*aa*aa*", "aaa", False),
        ("v?", "v1", False),
        ("v.", "v1", False),
        ("[a-z]*", "abc", False),
    ],
)
def test_matches_the_whole_text_literally(pattern: str, text: str, expected: bool) -> None:
    """Only the star is special, the whole text counts, case matters and pieces never overlap."""
    assert wildcards.matches(pattern, text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("v?", "v1", True),
        ("v?", "v", False),
        ("v?", "v12", False),
        ("?*?", "a", False),
        ("?*?", "ab", True),
        ("arn:aws:ecr:*:??????:repository/team-?/*", "arn:aws:ecr:eu:123456:repository/team-a/app", True),
    ],
)
def test_question_mark_stands_for_exactly_one_character(pattern: str, text: str, expected: bool) -> None:
    """In IAM's form a question mark takes one character, no more and no fewer."""
    assert wildcards.matches(pattern, text, question_mark=True) is expected


class _CountingText(str):
    """Text that counts the characters a search may look at and those handed out one by one."""

    __slots__ = ("handed_out", "searched")
    handed_out: int
    searched: int

    def __new__(cls, text: str) -> Self:
        counting = super().__new__(cls, text)
        counting.searched = counting.handed_out = 0
        return counting

    def find(self, piece: str, start: int, end: int) -> int:  # type: ignore[override]
        """Search as text does, and count as far as the end of what was found."""
        found = super().find(piece, start, end)
        self.searched += (end if found < 0 else found + len(piece)) - start
        return found

    def __iter__(self) -> Iterator[str]:
        for character in super().__iter__():
            self.handed_out += 1
            yield character


@pytest.mark.incident(24)
@pytest.mark.parametrize(
    "pattern", ["*a" * 1000 + "*b*", "*" * 100_000 + "b*", "*ab*" * 1000 + "b", "a*" * 50_000]
)
def test_matches_looks_at_each_character_once_when_the_pattern_is_hostile(pattern: str) -> None:
    """Patterns that make a backtracking matcher explode cost one pass over a text of 100,000 characters."""
    text = _CountingText("a" * 100_000)
    wildcards.matches(pattern, text)
    assert text.searched <= len(text)


@pytest.mark.incident(24)
@pytest.mark.parametrize("pattern", ["*?a" * 300 + "*b", "?" * 2000 + "*b", "*?" * 300])
def test_question_marks_take_one_step_per_character_when_the_pattern_is_hostile(pattern: str) -> None:
    """With question marks, too, each character of 100,000 is handed out once at most."""
    text = _CountingText("a" * 100_000)
    wildcards.matches(pattern, text, question_mark=True)
    assert 0 < text.handed_out <= len(text)
