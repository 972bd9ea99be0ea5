"""What is said, unread, to requests that are too many or come too late in a turn."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moorage.domain.errors import RegistryError, TooManyRequests
from moorage.web import head
from moorage.web.admission import ALWAYS_SERVED, Load, Turn
from moorage.web.asgi import Route
from moorage.web.http import Request, Response
from moorage.web.unread import MOST_BYTES, Unread

PUT = b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
CALL = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: Service.Operation\r\nContent-Length: 2\r\n\r\n{}"
DATE = b"date: today\r\n"


async def _nobody(_request: Request) -> Response:
    raise AssertionError("a request that is turned away reaches no handler")


def _saying(words: str) -> Callable[[Request, RegistryError], Response]:
    def refuse(request: Request, error: RegistryError) -> Response:
        assert isinstance(error, TooManyRequests)
        body = json.dumps({"said": words}).encode()
        names = [(b"content-length", b"%d" % len(body)), (b"x-id", request.facts.request_id.encode())]
        return Response(429, names, body)

    return refuse


FALLBACK = Route("/", _nobody, "json", refuse=_saying("throttled"))
REGISTRY = Route("/v2", _nobody, "v2", has_subtree=True, face="v2", refuse=_saying("too many"))
LIVE = Route("/livez", _nobody, "ops", is_vital=True)


@dataclass
class Late:
    """A worker whose turn has lasted too long already."""

    reasons: list[str] = field(default_factory=list)
    unread: Unread = field(init=False)

    def __post_init__(self) -> None:
        self.unread = Unread(Load(), Turn(), self._route, FALLBACK, self.reasons.append)

    def _route(self, path: str) -> Route:
        return LIVE if path == "/livez" else REGISTRY if path.startswith("/v2/") else FALLBACK

    def answer(self, data: bytes) -> bytes | None:
        return self.unread.answer(data, DATE)


@pytest.mark.parametrize(("data", "words"), [(PUT, b"too many"), (CALL, b"throttled")])
def test_each_face_says_it_in_its_own_words(data: bytes, words: bytes) -> None:
    late = Late()
    told = late.answer(data)
    assert told is not None
    assert told.startswith(b"HTTP/1.1 429 Too Many Requests\r\ndate: today\r\ncontent-length: ")
    assert words in told


def test_what_is_turned_away_is_counted_by_what_there_was_too_much_of() -> None:
    late, load, reasons = Late(), Load(1), list[str]()
    late.unread.note_turned_away()
    assert late.reasons == ["waiting"]
    load.running = 1
    Unread(load, Turn(), lambda _: REGISTRY, FALLBACK, reasons.append).note_turned_away()
    assert reasons == ["requests"]


def test_each_answer_has_an_id_of_its_own() -> None:
    late = Late()
    told = {late.answer(PUT) for _ in range(3)}
    assert len(told) == 3
    assert {len(one or b"") for one in told} == {len(late.answer(PUT) or b"")}


@pytest.mark.parametrize(
    "data",
    [
        PUT[:-1],
        PUT + b"G",
        PUT.replace(b"Content-Length: 3", b"Content-Length: 4"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nContent-Length: 3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length : 3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: +3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length:\t3"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nTransfer-Encoding: chunked"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nExpect: 100-continue"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nConnection: close"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\nUpgrade: h2c"),
        PUT.replace(b"Host: x", b"Host: x\nContent-Length: 0"),
        PUT.replace(b"Host: x", b"Host: x\r\nX: a\r\n Transfer-Encoding: chunked"),
        PUT.replace(b"Content-Length: 3", b"Content-Length: 3\r\n 0"),
        PUT.replace(b"\r\nHost: x", b"\r\n Host: x\r\nHost: x"),
        PUT.replace(b"Host: x", b"Host: x\r\nX: a\rTransfer-Encoding: chunked"),
        PUT.replace(b"Host: x", b"Host: x\r\n\x0bTransfer-Encoding: chunked"),
        PUT.replace(b"Host: x", b"Host: x\r\nno colon"),
        PUT.replace(b"Host: x", b"Host: x\r\nX: a\x00b"),
        PUT.replace(b"Host: x\r\n", b""),
        PUT.replace(b"Host: x", b"Host: x\r\nHost: y"),
        PUT.replace(b"Host: x", b"Host: x\r\nX: " + b"a" * MOST_BYTES),
        PUT.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PUT.replace(b"PUT", b"HEAD"),
        PUT.replace(b"PUT ", b"PUT  "),
        b"\r\n" + PUT,
        CALL.replace(b"X-Amz-Target", b"X-Other"),
        CALL.replace(b"POST / ", b"POST /other "),
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n",
        b"GET /v2/%61 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"",
    ],
)
def test_what_is_not_plain_goes_the_ordinary_way(data: bytes) -> None:
    late = Late()
    assert late.answer(data) is None
    assert not late.reasons


class Parser:
    """How many requests the ordinary way reads in these bytes, and whether their connection would go on."""

    def __init__(self, data: bytes) -> None:
        self.complete = 0
        self.headers: list[tuple[bytes, bytes]] = []
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(data)
        head.check(
            self.headers, parser.get_http_version(), is_upgrade=parser.should_upgrade(), expects_continue=False
        )
        self.is_kept = parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_message_complete(self) -> None:
        self.complete += 1


_PIECES = st.sampled_from(
    [
        b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b": ", b"\x00", b"\x0b", b"\xff", b",", b"0", b"3", b"abc", b"x",
        b"Host", b"Content-Length", b"content-length: 3", b"Transfer-Encoding", b"chunked", b"Connection", b"close",
        b"X: a", b"\r\n\r\n", PUT, CALL, b"PUT /v2/a HTTP/1.1", b" HTTP/1.0", b"/v2/b?c=d", b"#", b"%2f",
    ]
)  # fmt: skip


@given(pieces=st.lists(_PIECES, max_size=6), at=st.integers(0, len(PUT)), left_out=st.integers(0, 4))
def test_whatever_is_answered_is_one_whole_request_that_keeps_its_connection(
    pieces: list[bytes], at: int, left_out: int
) -> None:
    data = PUT[:at] + b"".join(pieces) + PUT[at + left_out :]
    if Late().answer(data) is not None:
        parser = Parser(data)
        assert parser.complete == 1
        assert parser.is_kept


@given(data=st.binary(max_size=200))
def test_no_bytes_make_it_fail(data: bytes) -> None:
    late = Late()
    for request in (data, PUT + data, PUT[: len(data)] + data + PUT[len(data) :]):
        late.answer(request)


def test_it_is_due_once_a_turn_has_lasted_too_long_and_served_enough() -> None:
    now = 0.0
    turn = Turn(1.0, clock=lambda: now)
    unread = Unread(Load(), turn, lambda _: FALLBACK, FALLBACK, lambda _: None)

    async def play() -> None:
        nonlocal now
        assert not unread.is_due()
        assert not turn.is_over()
        now = 100.0
        for _ in range(ALWAYS_SERVED):
            assert not unread.is_due()
            assert not turn.is_over()
        assert unread.is_due()
        assert turn.is_over()

    asyncio.run(play())


def test_it_is_due_while_as_many_requests_run_as_may() -> None:
    load = Load(2)
    unread = Unread(load, Turn(), lambda _: REGISTRY, FALLBACK, list[str]().append)
    load.running = 1
    assert not unread.is_due()
    load.running = 2
    assert unread.is_due()
