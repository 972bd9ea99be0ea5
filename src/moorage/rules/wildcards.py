"""Whole-text matching of patterns with ``*``, in time that no pattern can inflate.

``*`` stands for any run of characters, also none; with ``question_mark`` a ``?`` stands for exactly one (IAM's
form). Everything else means itself, case matters. No regular expressions: many ``*`` make those explode.
"""

from typing import Final

_RUN: Final = "*"
_ONE: Final = "?"


def matches(pattern: str, text: str, *, question_mark: bool = False) -> bool:
    """Whether the pattern covers the whole text."""
    if question_mark and _ONE in pattern:
        return _matches_in_one_pass(pattern, text)
    pieces = pattern.split(_RUN)
    if len(pieces) == 1:
        return pattern == text
    first, *middle, last = pieces
    if len(first) + len(last) > len(text) or not text.startswith(first) or not text.endswith(last):
        return False
    return _holds_in_order(middle, text, len(first), len(text) - len(last))


def _holds_in_order(pieces: list[str], text: str, start: int, end: int) -> bool:
    """Whether the pieces follow each other between start and end.

    The leftmost place of each is the best one, so no character is looked for twice.
    """
    for piece in pieces:
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return True


def _matches_in_one_pass(pattern: str, text: str) -> bool:
    """Follow all ways through the pattern at once, one bit per position, one step per character of the text."""
    stays, advances, anything, length = _automaton(pattern)
    reached = 1
    for character in text:
        reached = (reached & stays) | ((reached & (advances.get(character, 0) | anything)) << 1)
        if not reached:
            return False
    return bool(reached >> length)


def _automaton(pattern: str) -> tuple[int, dict[str, int], int, int]:
    """Bits of positions: where any run may pass, by character where it leads on, where any one does; the length.

    Bit ``i`` stands for the first ``i`` characters of the pattern, ``*`` not counted, having been matched.
    """
    stays, anything, position = 0, 0, 0
    advances: dict[str, int] = {}
    for character in pattern:
        bit = 1 << position
        if character == _RUN:
            stays |= bit
            continue
        if character == _ONE:
            anything |= bit
        else:
            advances[character] = advances.get(character, 0) | bit
        position += 1
    return stays, advances, anything, position
