"""One exchange: what an application sends, as bytes on the connection."""

import asyncio
from typing import Any

from moorage.web.cycle import Cycle
from moorage.web.flow import Flow


class _Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.pieces.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True


class _Connection:
    def __init__(self) -> None:
        self.sink = _Transport()
        self.transport: asyncio.Transport = self.sink
        self.flow = Flow(self.transport)
        self.answered = 0

    def default_head(self) -> bytes:
        return b"date: today\r\n"

    def on_response_complete(self) -> None:
        self.answered += 1


def _answer(
    status: int,
    headers: list[tuple[bytes, bytes]],
    *pieces: bytes,
    method: str = "GET",
    keep_alive: bool = True,
) -> _Connection:
    connection = _Connection()

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    cycle = Cycle(connection, {"method": method, "path": "/"}, keep_alive=keep_alive, expects_continue=False)
    asyncio.run(cycle.run(app))
    return connection


def test_head_and_body_of_a_small_answer_are_one_write() -> None:
    connection = _answer(200, [(b"content-length", b"2")], b"ok")
    assert connection.sink.pieces == [b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 2\r\n\r\nok"]
    assert connection.answered == 1


def test_a_304_keeps_the_length_of_the_other_answer_and_the_connection() -> None:
    """RFC 9110, 8.6: the length in a 304 is that of the answer to the same GET without conditions."""
    connection = _answer(304, [(b"content-length", b"1900")], b"")
    assert connection.sink.pieces == [
        b"HTTP/1.1 304 Not Modified\r\ndate: today\r\ncontent-length: 1900\r\n\r\n"
    ]
    assert not connection.sink.is_closed
    assert connection.answered == 1


def test_the_answer_to_head_has_no_body() -> None:
    connection = _answer(200, [(b"content-length", b"2")], b"ok", method="HEAD")
    assert b"".join(connection.sink.pieces).endswith(b"content-length: 2\r\n\r\n")


def test_a_body_of_no_announced_length_comes_in_chunks() -> None:
    connection = _answer(200, [], b"one", b"three", b"")
    head, _, body = b"".join(connection.sink.pieces).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n5\r\nthree\r\n0\r\n\r\n"


def test_a_header_that_would_begin_another_one_is_never_sent() -> None:
    connection = _answer(200, [(b"content-length", b"0"), (b"x", b"a\r\nset-cookie: b")], b"")
    assert connection.sink.pieces == []
    assert connection.sink.is_closed


def test_a_header_with_a_control_character_is_never_sent() -> None:
    connection = _answer(200, [(b"content-length", b"0"), (b"x", b"a\x00b")], b"")
    assert connection.sink.pieces == []
    assert connection.sink.is_closed


def test_a_body_shorter_than_announced_ends_the_connection() -> None:
    connection = _answer(200, [(b"content-length", b"5")], b"four")
    assert connection.sink.is_closed
    assert connection.answered == 0


def test_a_body_longer_than_announced_is_not_sent_on() -> None:
    connection = _answer(200, [(b"content-length", b"3")], b"four")
    assert connection.sink.pieces == []
    assert connection.sink.is_closed


def test_an_application_that_fails_before_its_answer_is_answered_with_500() -> None:
    connection = _Connection()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ValueError("a secret")

    asyncio.run(
        Cycle(connection, {"method": "GET", "path": "/"}, keep_alive=True, expects_continue=False).run(app)
    )
    sent = b"".join(connection.sink.pieces)
    assert sent.startswith(b"HTTP/1.1 500 ")
    assert b"secret" not in sent
    assert connection.sink.is_closed


def test_the_last_answer_of_a_connection_says_so() -> None:
    connection = _answer(200, [(b"content-length", b"0")], b"", keep_alive=False)
    assert b"connection: close\r\n" in b"".join(connection.sink.pieces)
    assert connection.sink.is_closed
