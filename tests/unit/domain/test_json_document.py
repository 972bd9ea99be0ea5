"""Strict JSON: one meaning or a refusal."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.json_document import MAX_CONTAINERS, MAX_DEPTH, JsonInvalid, load, load_object

_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=_VALUES, escape=st.booleans())
def test_load_gives_the_value_back_when_a_writer_made_the_document(value: object, escape: bool) -> None:
    """What a JSON writer writes is read as it was, with escapes and without."""
    assert load(json.dumps(value, ensure_ascii=escape).encode()) == value


@given(content=st.binary() | st.text(alphabet='[]{}":,\\u0d8 1eNaIn\ufeff', max_size=40).map(str.encode))
def test_load_reads_or_refuses_whatever_the_bytes_are(content: bytes) -> None:
    """No input makes it fail in another way, and what it reads the standard parser reads the same."""
    with contextlib.suppress(JsonInvalid):
        assert load(content) == json.loads(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is not JSON"),
        (b'{"a":1} {}', "it is not JSON"),
        (b"{'a':1}", "it is not JSON"),
        (b'{"a":1,}', "it is not JSON"),
        (b'"\n"', "it is not JSON"),
        (b'{"a":"', "it is not JSON"),
        (b"[}", "it is not JSON"),
        (b'["' + b"[" * 1000, "it is not JSON: Unterminated string"),
        (b'["\\', "it is not JSON: Unterminated string"),
        (b"]][[", "it is not JSON"),
        (b"\xef\xbb\xbf{}", "it begins with a byte order mark"),
        ("{}".encode("utf-16"), "byte 0 is not UTF-8"),
        (b'"\xc0\xaf"', "byte 1 is not UTF-8"),
        (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),
        (b'{"a":1,"a":1}', "the key 'a' is given twice"),
        (b'[{"b":{"x":1,"\\u0078":2}}]', "the key 'x' is given twice"),
        (b"[NaN]", "NaN is not a JSON value"),
        (b"[-Infinity]", "-Infinity is not a JSON value"),
        (b"[1e400]", "the number '1e400' is too large"),
        (b"1" * 5000, "a number has too many digits"),
        (b'"\\ud800"', "a string holds half a surrogate pair"),
        (b'{"\\uDFFF":1}', "a string holds half a surrogate pair"),
    ],
)
def test_load_names_the_reason_when_it_refuses(content: bytes, reason: str) -> None:
    """Each way of not being strict JSON is refused with its own words."""
    with pytest.raises(JsonInvalid) as refused:
        load(content)
    assert refused.value.reason.startswith(reason)


def test_load_takes_a_whole_surrogate_pair() -> None:
    """Both halves together are one character and fine."""
    assert load(b'"\\ud83d\\ude00"') == "\U0001f600"


def test_load_takes_the_deepest_document_that_is_allowed() -> None:
    """The limit itself is allowed, mixed brackets counting alike."""
    content = b'[{"a":' * (MAX_DEPTH // 2) + b"1" + b"}]" * (MAX_DEPTH // 2)
    assert isinstance(load(content), list)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1),
        b"[" * 100_000,
        b"[1," * 100_000,
        b'[],{"a":' * 50_000,
        b"[[]," + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"]",
    ],
)
def test_load_refuses_depth_before_the_parser_sees_it(content: bytes) -> None:
    """One level too many is refused, and so are a hundred thousand, without a deep recursion."""
    with pytest.raises(JsonInvalid, match="nested deeper than 64 levels"):
        load(content)


@pytest.mark.parametrize("text", ["[" * 1000, '\\"' + "[" * 1000, "\\\\", '\\\\\\"{' * 100])
def test_load_does_not_count_brackets_inside_strings(text: str) -> None:
    """Brackets in text, also behind escaped quotes, are no nesting."""
    assert load(json.dumps({"a": text}).encode()) == {"a": text}


def test_load_refuses_more_containers_than_memory_should_hold() -> None:
    """A short document of very many empty lists costs nothing."""
    with pytest.raises(JsonInvalid, match="more than 100000 objects and arrays"):
        load(b"[" + b"[]," * MAX_CONTAINERS + b"1]")


@pytest.mark.parametrize("content", [b"[]", b"1", b'"a"', b"null", b"true"])
def test_load_object_refuses_other_values(content: bytes) -> None:
    """A document that must be an object is no list, number, text or null."""
    with pytest.raises(JsonInvalid, match="not a JSON object"):
        load_object(content)
