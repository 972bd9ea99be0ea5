"""``Range`` headers, from RFC 9110 and from anywhere."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.errors import RangeNotSatisfiable
from moorage.web.ranges import ByteRange, parse_range


@pytest.mark.parametrize(
    ("value", "size", "expected"),
    [
        ("bytes=0-0", 1, (0, 1)),
        ("bytes=0-", 10, (0, 10)),
        ("bytes=9-9", 10, (9, 1)),
        ("bytes=5-100", 10, (5, 5)),
        ("bytes=-3", 10, (7, 3)),
        ("bytes=-100", 10, (0, 10)),
        ("Bytes = 2-3", 10, (2, 2)),
        (f"bytes=0-{'9' * 100}", 10, (0, 10)),
        (f"bytes=-{'9' * 100}", 10, (0, 10)),
    ],
)
def test_a_range_names_its_bytes(value: str, size: int, expected: tuple[int, int]) -> None:
    """Inclusive, clipped at the end, from the end when it begins with a hyphen."""
    assert parse_range(value, size) == expected


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=500-0", 1000),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-5", 0),
        (f"bytes={'9' * 100}-", 10),
    ],
)
def test_a_range_without_bytes_is_not_satisfiable(value: str, size: int) -> None:
    """The refusal knows the size."""
    with pytest.raises(RangeNotSatisfiable) as refusal:
        parse_range(value, size)
    assert refusal.value.facts == {"size": size}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=1",
        "bytes=1-2,3-4",
        "items=0-1",
        "bytes=+1-2",
        "bytes=1--2",
        "bytes=\u0661-\u0662",
        "bytes=0x1-2",
        "bytes=1_0-20",
        "bytes 0-1",
    ],
)
def test_what_is_not_one_range_of_bytes_is_ignored(value: str) -> None:
    """The whole is always a right answer."""
    assert parse_range(value, 10) is None


@given(st.one_of(st.text(max_size=40), st.from_regex(r"bytes=[0-9]{0,30}-[0-9]{0,30}")), st.integers(0, 2**63))
def test_a_range_never_leaves_the_blob(value: str, size: int) -> None:
    """Whatever the header: bytes that exist, the whole, or a refusal."""
    try:
        part = parse_range(value, size)
    except RangeNotSatisfiable:
        return
    assert part is None or (part.length > 0 and part.offset >= 0 and part.offset + part.length <= size)


@given(st.data(), st.integers(1, 2**63))
def test_the_range_of_a_part_is_that_part(data: st.DataObject, size: int) -> None:
    """Written out and read again."""
    offset = data.draw(st.integers(0, size - 1))
    length = data.draw(st.integers(1, size - offset))
    assert parse_range(f"bytes={offset}-{offset + length - 1}", size) == ByteRange(offset, length)
