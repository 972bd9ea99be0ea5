"""What the protocol refuses and bounds, over real sockets, with short times."""

import asyncio
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn

from moorage.config import Settings
from moorage.web.lending import LendingProtocol
from moorage.web.limits import Limits
from tests.server import tiny_app
from tests.server.in_thread import served

PATIENCE = 10.0


class QuickProtocol(LendingProtocol):
    """The protocol with times that a test can wait for."""

    limits = dataclasses.replace(
        Limits(), header_seconds=0.4, window_seconds=0.4, discard_seconds=0.4, write_seconds=0.5
    )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The kernel takes little of what a client does not read, so that the rest waits in the server."""
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A served tiny application in a thread of the test process."""
    data_dir: Path = tmp_path_factory.mktemp("data")
    application = tiny_app.build_app(Settings(data_dir=data_dir, log_level="error"))
    config = uvicorn.Config(
        application,
        loop="uvloop",
        http=QuickProtocol,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=1,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE)


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test sees only its own requests."""
    tiny_app.SEEN.clear()


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def read_all(client: socket.socket) -> bytes:
    """Everything until the server ends the connection."""
    pieces = b""
    while piece := client.recv(65536):
        pieces += piece
    return pieces


def talk(port: int, *pieces: bytes) -> bytes:
    with connect(port) as client:
        for piece in pieces:
            client.sendall(piece)
        return read_all(client)


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:100]
    return int(answer[9:12])


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False


POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
GET = b"GET /pid HTTP/1.1\r\nHost: a\r\n"

SMUGGLING = {
    "length-and-chunks": (400, POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunks-and-length": (400, POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"),
    "two-lengths": (400, POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
    "two-equal-lengths": (400, POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"),
    "list-of-lengths": (400, POST + b"Content-Length: 4, 4\r\n\r\nabcd"),
    "plus-length": (400, POST + b"Content-Length: +5\r\n\r\nabcde"),
    "hex-length": (400, POST + b"Content-Length: 0x5\r\n\r\nabcde"),
    "negative-length": (400, POST + b"Content-Length: -5\r\n\r\nabcde"),
    "empty-length": (400, POST + b"Content-Length: \r\n\r\nabcde"),
    "endless-length": (400, POST + b"Content-Length: 99999999999999999999999\r\n\r\nabcde"),
    "unknown-coding": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "further-coding": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunked-not-last": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "two-codings": (400, POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "coding-in-1.0": (400, b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "line-feed-only": (400, b"GET /pid HTTP/1.1\nHost: a\n\n"),
    "line-feed-in-header": (400, b"GET /pid HTTP/1.1\r\nHost: a\nX: b\r\n\r\n"),
    "folded-header": (400, GET + b"X: b\r\n c\r\n\r\n"),
    "blank-before-colon": (400, b"GET /pid HTTP/1.1\r\nHost : a\r\n\r\n"),
    "nul-in-header": (400, GET + b"X: a\x00b\r\n\r\n"),
    "two-hosts": (400, GET + b"Host: b\r\n\r\n"),
    "no-host": (400, b"GET /pid HTTP/1.1\r\n\r\n"),
    "http-0.9": (505, b"GET /pid\r\n\r\n"),
    "http-2": (505, b"GET /pid HTTP/2.0\r\nHost: a\r\n\r\n"),
    "unknown-method": (400, b"BREW /pid HTTP/1.1\r\nHost: a\r\n\r\n"),
    "lower-case-method": (400, b"get /pid HTTP/1.1\r\nHost: a\r\n\r\n"),
    "connect": (400, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n"),
    "tls-hello": (400, b"\x16\x03\x01\x00\xee" + bytes(100)),
    "upgrade-with-body": (400, POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc"),
    "bytes-in-path": (400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    "other-expectation": (417, POST + b"Expect: a-pony\r\nContent-Length: 3\r\n\r\nabc"),
}


@pytest.mark.threat(65)
@pytest.mark.incident(25)
@pytest.mark.parametrize("name", SMUGGLING)
def test_a_malformed_request_is_refused_and_the_connection_ended(port: int, name: str) -> None:
    """Each ambiguous or malformed framing gets one refusal, no second answer, and never reaches the application."""
    expected, request = SMUGGLING[name]
    answer = talk(port, request + GET + b"\r\n")
    assert status(answer) == expected
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer
    assert tiny_app.SEEN == []


BAD_CHUNKS = {
    "hex-prefix": b"0x3\r\nabc\r\n0\r\n\r\n",
    "blank": b"3 \r\nabc\r\n0\r\n\r\n",
    "line-feed": b"3\nabc\n0\n\n",
    "overflow": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "too-long": b"3\r\nabcd\r\n0\r\n\r\n",
    "length-trailer": b"3\r\nabc\r\n0\r\nContent-Length: 4\r\n\r\n",
}


@pytest.mark.threat(65)
@pytest.mark.incident(25)
@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_and_ends_the_body(port: int, name: str) -> None:
    """A chunk that llhttp refuses gets 400; the application never runs, or learns that the body is incomplete.

    Which of them depends on whether the chunk came together with the header.
    """
    answer = talk(port, POST + b"Transfer-Encoding: chunked\r\n\r\n", BAD_CHUNKS[name])
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert eventually(lambda: tiny_app.SEEN in ([], ["POST /echo", "incomplete"]))


@pytest.mark.threat(65)
@pytest.mark.incident(25)
def test_a_trailer_never_shows_as_a_header(port: int) -> None:
    """What follows the last chunk cannot add an Authorization after the fact."""
    request = b"POST /headers HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = talk(port, request + b"1\r\na\r\n0\r\nAuthorization: Basic x\r\n\r\n")
    assert status(answer) == 200
    assert b"uthorization" not in answer


@pytest.mark.threat(65)
@pytest.mark.incident(17)
@pytest.mark.parametrize("size", [17 * 1024, 100 * 1024])
def test_a_header_above_16_kib_is_refused(port: int, size: int) -> None:
    """One long header gets 431, however it arrives."""
    answer = talk(port, GET + b"X: " + b"a" * size + b"\r\n\r\n")
    assert status(answer) == 431


def test_an_endless_header_is_refused_before_it_ends(port: int) -> None:
    """The bound holds without the end of the header ever coming."""
    answer = talk(port, GET, *[b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(20)])
    assert status(answer) == 431


@pytest.mark.threat(65)
def test_too_many_headers_are_refused(port: int) -> None:
    """More than a hundred headers get 431, short as they may be."""
    answer = talk(port, GET + b"".join(b"a: b\r\n" for _ in range(100)) + b"\r\n")
    assert status(answer) == 431


def test_a_hundred_headers_are_served(port: int) -> None:
    """The bound is not below what it says."""
    lines = b"".join(b"a: b\r\n" for _ in range(98))
    assert status(talk(port, GET + lines + b"Connection: close\r\n\r\n")) == 200


def test_a_small_header_before_a_large_body_is_served(port: int) -> None:
    """A body that arrives together with its header does not count as header."""
    request = POST + b"Connection: close\r\nContent-Length: 200000\r\n\r\n" + b"a" * 200_000
    assert status(talk(port, request)) == 200


def test_a_header_that_stalls_is_refused(port: int) -> None:
    """Half a header, then nothing: 408 after the header time."""
    assert status(talk(port, GET)) == 408


@pytest.mark.threat(39)
def test_a_header_that_trickles_is_refused(port: int) -> None:
    """A byte now and then does not stretch the header time."""
    begun = time.monotonic()
    with connect(port) as client:
        client.sendall(GET)
        while time.monotonic() - begun < 0.6:
            try:
                client.sendall(b"a")
            except OSError:
                break
            time.sleep(0.1)
        assert status(read_all(client)) == 408
    assert time.monotonic() - begun < 3


@pytest.mark.threat(39)
def test_a_body_that_trickles_is_cut(port: int) -> None:
    """A sender below the least rate gets 408, and the application learns that the body is incomplete."""
    with connect(port) as client:
        client.sendall(POST + b"Content-Length: 1000000\r\n\r\n")
        for _ in range(6):
            time.sleep(0.1)
            client.send(b"a")
        assert status(read_all(client)) == 408
    assert eventually(lambda: tiny_app.SEEN[-1:] == ["incomplete"])


def test_a_steady_body_is_not_cut(port: int) -> None:
    """A sender above the least rate may take many windows."""
    with connect(port) as client:
        client.sendall(POST + b"Connection: close\r\nContent-Length: 600000\r\n\r\n")
        for _ in range(12):
            client.sendall(b"a" * 50_000)
            time.sleep(0.1)
        assert status(read_all(client)) == 200


def test_chunk_extensions_without_end_are_refused(port: int) -> None:
    """Framing that brings no body does not count as a body."""
    with connect(port) as client:
        client.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n1;a=")
        for _ in range(100):
            try:
                client.sendall(b"b" * 10_000)
            except OSError:
                break
        assert status(read_all(client)) == 400


def test_an_idle_connection_is_ended(port: int) -> None:
    """A connection on which nothing comes is closed without a word."""
    assert talk(port) == b""


def test_blank_lines_do_not_keep_a_connection(port: int) -> None:
    """Line ends before a request are skipped, but the idle time runs on."""
    assert talk(port, b"\r\n\r\n") == b""


def test_requests_share_a_connection(port: int) -> None:
    """Two requests, the second one sent at once with the first, are answered in order."""
    answer = talk(port, GET + b"\r\n" + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 2


def test_requests_that_wait_for_others_are_bounded(port: int) -> None:
    """Each takes some kilobytes of memory, so no client may heap up thousands that nobody answers yet."""
    request = b"GET /slow?0.3 HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = talk(port, request + (GET + b"\r\n") * 99 + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200") == 101
    tiny_app.SEEN.clear()
    answer = talk(port, request + (GET + b"\r\n") * 1000)
    assert answer.count(b"HTTP/1.1 200") == 0


def test_requests_come_in_as_answers_go_out(port: int) -> None:
    """A client that pipelines more than may wait at once is served when it does not send all of it at once."""
    with connect(port) as client:
        answer = b""
        for _ in range(10):
            client.sendall((GET + b"\r\n") * 50)
            while answer.count(b"HTTP/1.1 200") % 50 or not answer:
                answer += client.recv(65536)
            assert answer.count(b"HTTP/1.1 200") == 50
            answer = b""


def test_garbage_behind_requests_in_line_is_no_error(port: int, caplog: pytest.LogCaptureFixture) -> None:
    """The connection ends at once; what the running request answers to nobody is dropped without a word."""
    request = b"GET /slow?0.2 HTTP/1.1\r\nHost: a\r\n\r\n"
    assert talk(port, request + request + b"nonsense\r\n\r\n") == b""
    # This one is over after the other.
    assert status(talk(port, b"GET /slow?0.4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 200
    assert [record.getMessage() for record in caplog.records] == []


def test_garbage_behind_a_running_request_spares_its_answer(port: int) -> None:
    """The answer under way is sent whole, then the connection ends without a second one."""
    answer = talk(port, b"GET /slow?0.3 HTTP/1.1\r\nHost: a\r\n\r\nnonsense\r\n\r\n")
    assert status(answer) == 200
    assert answer.endswith(b"slept")


def test_an_upgrade_is_ignored(port: int) -> None:
    """A request that offers another protocol is answered as if it had not, and is the last one."""
    answer = talk(port, GET + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n" + GET + b"\r\n")
    assert status(answer) == 200
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_refusal_before_a_small_body_keeps_the_connection(port: int) -> None:
    """What is left of a small body is swallowed, and the next request is answered."""
    refused = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"
    with connect(port) as client:
        client.sendall(refused)
        assert status(client.recv(65536)) == 403
        client.sendall(b"a" * 50_000 + GET + b"Connection: close\r\n\r\n")
        assert status(read_all(client)) == 200


def test_a_refusal_before_a_large_body_ends_the_connection(port: int) -> None:
    """The client reads the answer, marked as the last one, though it has sent part of the body already."""
    head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000000\r\n\r\n"
    with connect(port) as client:
        client.sendall(head + b"a" * 500_000)
        answer = read_all(client)
    assert status(answer) == 403
    assert b"connection: close" in answer


def test_a_refused_sender_that_goes_on_is_cut(port: int) -> None:
    """The server does not swallow more than its bound of a body that nobody wants."""
    head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000000\r\n\r\n"
    with connect(port) as client:
        client.sendall(head)
        with pytest.raises(ConnectionError):
            client.sendall(b"a" * 50_000_000)


def test_a_refused_body_that_never_comes_ends_the_connection(port: int) -> None:
    """After an early answer the rest of the body has a moment to arrive."""
    answer = talk(port, b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    assert status(answer) == 403


def test_a_refusal_answers_expect_continue_without_asking_for_the_body(port: int) -> None:
    """The client that waits for 100 gets the refusal instead, and nothing it sends later is taken for a request."""
    head = b"POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n"
    answer = talk(port, head)
    assert status(answer) == 403
    assert b"connection: close" in answer


def test_expect_continue_is_answered_when_the_body_is_read(port: int) -> None:
    """100 comes first, then the answer."""
    with connect(port) as client:
        client.sendall(POST + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 100")
        client.sendall(b"abc")
        assert status(read_all(client)) == 200


def test_a_stream_ends_when_its_reader_goes(port: int) -> None:
    """A client that leaves in the middle of a download does not leave the iterator behind."""
    with connect(port) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        client.recv(65536)
    assert eventually(lambda: "stream closed" in tiny_app.SEEN)


def test_a_stream_ends_when_its_reader_goes_with_requests_in_line(port: int) -> None:
    """The answer under way is told, not the request that came last."""
    with connect(port) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
        client.recv(4096)
    assert eventually(lambda: "stream closed" in tiny_app.SEEN)
    assert "stream whole" not in tiny_app.SEEN


def test_a_request_that_is_refused_for_its_body_never_runs(port: int) -> None:
    """Whoever is told that it was malformed must not find it done."""
    answer = talk(port, b"DELETE /pid HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert (status(answer), tiny_app.SEEN) == (400, [])


def test_a_reader_that_stalls_is_cut(port: int) -> None:
    """A client that stays but takes nothing does not hold a stream for ever."""
    with connect(port) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        assert eventually(lambda: "stream closed" in tiny_app.SEEN)


def test_a_reader_that_trickles_is_cut(port: int) -> None:
    """Taking a byte now and then does not keep a stream alive: what was sent has to be taken in time."""
    with connect(port) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")

        def takes_a_byte_and_is_cut() -> bool:
            client.recv(1)
            return "stream closed" in tiny_app.SEEN

        assert eventually(takes_a_byte_and_is_cut)


@pytest.mark.parametrize(
    "fields",
    [b"Connection: close\r\nContent-Length: 50000", b"Content-Length: 50000", b"Content-Length: 50001"],
    ids=["last-answer", "idle", "body-that-never-ends"],
)
def test_an_ended_connection_does_not_wait_for_a_reader_that_trickles(port: int, fields: bytes) -> None:
    """What is left is so little that the answer is complete and nobody waits to write more."""
    path = b"/echo" if fields.endswith(b"0") else b"/early"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port))
        client.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n" + bytes(50_000))
        received = b""
        until = time.monotonic() + 3
        while time.monotonic() < until:
            received += client.recv(1)
            time.sleep(0.05)
        received += read_all(client)
    assert status(received) == 200
    assert len(received) < 50_000


def test_an_unforeseen_error_shows_nothing(port: int) -> None:
    """The answer is a plain 500 without the text of the exception."""
    answer = talk(port, b"GET /boom HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert status(answer) == 500
    assert b"secret" not in answer


def test_a_head_request_gets_no_body(port: int) -> None:
    """The length is announced, and nothing of it is sent."""
    answer = talk(port, b"HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert status(answer) == 200
    assert b"content-length: 1073741824" in answer
    assert answer.endswith(b"\r\n\r\n")


def test_a_refusal_reaches_a_sender_that_does_not_look_until_it_cannot_send(port: int) -> None:
    """What is sent on after the answer is not answered with a reset, which would take the answer along."""
    with connect(port) as client:
        client.sendall(b"PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(99_000_000))
        assert status(read_all(client)) == 403


@pytest.mark.parametrize("behind", [b"", b"no method\r\n\r\n", b"GET /pid HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_what_comes_behind_a_body_that_ends_the_connection_is_not_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, behind: bytes
) -> None:
    """Nothing can be said any more: neither that it is malformed nor what it asks for."""

    class Impatient(LendingProtocol):
        limits = dataclasses.replace(Limits(), discarded_bytes=1_000, discard_seconds=0.2)

    with served(tmp_path, Impatient) as tiny, connect(tiny.port) as client:
        client.sendall(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 2000\r\n\r\n")
        answered = 0
        while answered < 50_000:
            answered += len(client.recv(65536))
        client.sendall(bytes(2_000) + behind)
        while client.recv(65536):
            continue
    assert tiny_app.SEEN == ["POST /early"]
    assert not caplog.records
