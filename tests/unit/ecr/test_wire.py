"""JSON 1.1 on the wire."""

import base64
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.errors import MalformedRequest
from moorage.domain.names import RepositoryName
from moorage.ecr import wire
from moorage.ecr.errors import ErrorAnswer

LAYER = "sha256:8e3fa21c4cc40232e835a6761332d225c7af3235c5755f44ada2ed9d0e4ab7e8"
IMAGE = "sha256:7a64bc9c8843b0a8c8b8a7e4715b7615e4e1b0d8ca3c7e7a76ec8250899c397a"


def image_id(tag: str, digest: str = IMAGE) -> dict[str, str]:
    """An imageId with both halves."""
    return {"imageDigest": digest, "imageTag": tag}


@pytest.mark.parametrize(
    ("length", "answer"),
    [
        (
            233,
            {
                "failures": [],
                "layers": [
                    {
                        "layerAvailability": "AVAILABLE",
                        "layerDigest": LAYER,
                        "layerSize": 91768077,
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    }
                ],
            },
        ),
        (138, {"failures": [], "imageIds": [image_id("xenial")]}),
        (248, {"failures": [], "imageIds": [image_id("xenial"), image_id("latest")]}),
        (235, {"imageIds": [image_id("2016.09"), image_id("latest")]}),
    ],
)
def test_answers_have_the_lengths_of_the_published_samples(length: int, answer: dict[str, Any]) -> None:
    """The Content-Length values of the API reference's samples come out exact."""
    response = wire.json_response(200, answer, "id")

    assert (b"content-length", b"%d" % length) in response.headers
    assert isinstance(response.body, bytes)
    assert len(response.body) == length


def test_answer_carries_type_length_and_request_id() -> None:
    """The headers of every answer; Date is the ASGI server's, and would be there twice."""
    response = wire.json_response(200, {}, "8f0c")

    assert response.status == 200
    assert response.body == b"{}"
    assert response.headers == [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"content-length", b"2"),
        (b"x-amzn-requestid", b"8f0c"),
    ]


def test_error_answer_has_type_message_and_members() -> None:
    """``__type`` is bare, the message lower-case, further members stand beside them, those that are None do not."""
    answer = ErrorAnswer("SomeException", 400, "Märchen", {"uploadId": "u", "kmsError": None})

    response = wire.error_response(answer, "id")

    assert response.body == '{"__type":"SomeException","message":"Märchen","uploadId":"u"}'.encode()
    assert (response.status, response.error_code) == (400, "SomeException")


def test_none_members_are_left_out_at_every_level() -> None:
    """A member without value is absent, never null; a text that says null stays."""
    value = {"a": None, "b": [{"c": None, "d": "null"}], "e": {"f": None}, "g": (1, 2)}

    assert wire.dump_json(value) == b'{"b":[{"d":"null"}],"e":{},"g":[1,2]}'


def test_domain_names_are_written_as_text() -> None:
    """Validated names go into answers as they are."""
    assert (
        wire.dump_json({"repositoryName": RepositoryName.parse("team/app")}) == b'{"repositoryName":"team/app"}'
    )


def test_writing_what_has_no_form_is_refused() -> None:
    """An object that is not JSON is a mistake of ours and never becomes its repr."""
    with pytest.raises(TypeError):
        wire.dump_json({"a": object()})


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (1448878779809_999, b"1448878779.809"),
        (1525113057_000_000, b"1525113057.0"),
        (1504295007_120_000, b"1504295007.12"),
        (0, b"0.0"),
    ],
)
def test_timestamp_is_seconds_cut_to_milliseconds(micros: int, text: bytes) -> None:
    """Times are plain numbers of seconds, cut rather than rounded."""
    assert wire.dump_json(wire.timestamp(micros)) == text


@given(st.integers(0, 4_102_444_800_000_000))
def test_timestamp_never_shows_more_than_three_decimals(micros: int) -> None:
    """No binary fraction leaks into the text."""
    whole, _, decimals = wire.dump_json(wire.timestamp(micros)).decode().partition(".")

    assert len(decimals) <= 3
    assert int(whole) * 1000 + int(decimals.ljust(3, "0")) == micros // 1000


def test_empty_body_is_an_empty_object() -> None:
    """A call without input may send nothing."""
    assert wire.parse_json(b"") == {}


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b" ",
        b"{",
        b"{'a':1}",
        b'{"a":1,}',
        b'{"a":1}x',
        b'{"a":1}{}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":01}',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":"\xed\xa0\x80"}',
        b'{"a":"\xff"}',
        b'{"a":"\n"}',
        b"\xef\xbb\xbf{}",
        '{"a":1}'.encode("utf-16"),
        b'{"a":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":1, "a" :2}',
        b'{"a" :1,"a":2}',
        b'{"a"\n:1,"a"\t:2}',
        b'{"a":1,"\\u0061":2}',
        b'{"a\\\\":1,"a\\\\":2}',
        b'{"x":{"a":":","a":2}}',
        b'{"x":[{"a":1,"b":2,"a":[]}]}',
        b'{"x":"\\":","a":1,"a":2}',
    ],
)
def test_body_that_is_not_one_strict_object_is_refused(body: bytes) -> None:
    """Whatever two parsers could read differently, or is not an object, is malformed."""
    with pytest.raises(MalformedRequest):
        wire.parse_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b' {"a" : "x:y", "b":"\\":", "c":[":", {"a":1}], "":"\\\\"}\r\n',
        b'{"a":{"a":{"a":1}}}',
        b'{"a":"b\\"","b\\"":"a"}',
        b'{"a":"\\ud83d\\ude00"}',
        b'{"a":[1,-2.5,1e3,true,false,null]}',
        b'{"imageIds":[{"imageTag":":"},{"imageTag":":"}]}',
    ],
)
def test_body_is_read_as_it_is_meant(body: bytes) -> None:
    """Colons, quotes and escapes in strings do not look like names."""
    assert wire.parse_json(body) == json.loads(body)


def nested(levels: int) -> bytes:
    """An object with this many levels open at once."""
    return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"


def test_sixty_four_levels_are_read() -> None:
    """The deepest body that is taken."""
    assert wire.parse_json(nested(64))


@pytest.mark.parametrize("levels", [65, 500, 10_000, 1_000_000])
def test_deeper_body_is_refused(levels: int) -> None:
    """Depth is bounded however deep the body goes."""
    with pytest.raises(MalformedRequest):
        wire.parse_json(nested(levels))


space = st.sampled_from(["", " ", "\n", "\t ", "\r\n"])
texts = st.text(st.sampled_from('ab":\\ é'), max_size=4)


@st.composite
def documents(draw: st.DrawFn, levels: int = 3) -> tuple[str, bool]:
    """A JSON object as text, and whether some object in it repeats a name."""
    names = draw(st.lists(texts, max_size=3))
    pieces, repeats = [], len(set(names)) != len(names)
    for name in names:
        value, value_repeats = json.dumps(draw(texts), ensure_ascii=draw(st.booleans())), False
        if levels and draw(st.booleans()):
            value, value_repeats = draw(documents(levels - 1))
        if draw(st.booleans()):
            value = f"[{draw(space)}{value}{draw(space)}]"
        repeats |= value_repeats
        pieces.append(f"{draw(space)}{json.dumps(name)}{draw(space)}:{draw(space)}{value}{draw(space)}")
    return "{" + ",".join(pieces) + draw(space) + "}", repeats


@given(documents())
def test_repeated_names_are_found_exactly(document: tuple[str, bool]) -> None:
    """A body is refused when, and only when, an object in it repeats a name."""
    text, repeats = document

    if repeats:
        with pytest.raises(MalformedRequest):
            wire.parse_json(text.encode())
    else:
        assert wire.parse_json(text.encode()) == json.loads(text)


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_read_or_refused(body: bytes) -> None:
    """Nothing but MalformedRequest comes out of hostile bytes."""
    try:
        wire.parse_json(body)
    except MalformedRequest:
        return
    assert body == b"" or json.loads(body) == wire.parse_json(body)


@pytest.mark.parametrize(("slash", "copies"), [("/", 1.1), ("\\/", 2.7)])
def test_reading_a_large_part_holds_few_copies(slash: str, copies: float) -> None:
    """A layer part of 20 MiB is copied once, and takes bounded memory where a client escapes slashes."""
    text = base64.b64encode(b"\xff\xff\xff" * 6_990_507).decode()
    body = (
        '{"partFirstByte": 0, "layerPartBlob": "' + text[:-4000] + text[-4000:].replace("/", slash) + '"}'
    ).encode()
    del text

    tracemalloc.start()
    try:
        parsed = wire.parse_json(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(parsed["layerPartBlob"]) == 27_962_028
    assert peak < copies * len(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":[' + b"[]," * 100_000 + b"0]}",
        b'{"a":[' + b"{}," * 100_000 + b"0]}",
        b'{"a":[' + b"0," * 100_000 + b"0]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}",
    ],
)
def test_parse_refuses_more_values_than_memory_should_hold(body: bytes) -> None:
    """A body of very many tiny values would take a hundred times its size."""
    with pytest.raises(MalformedRequest) as refusal:
        wire.parse_json(body)
    assert "more than 20000 values" in str(refusal.value.facts["text"])


def test_parse_takes_a_string_with_any_number_of_commas() -> None:
    """A manifest travels as text, and what looks like values in it is none."""
    text = ",[{" * 100_000 + '"\\'
    assert wire.parse_json(msgspec.json.encode({"imageManifest": text})) == {"imageManifest": text}
