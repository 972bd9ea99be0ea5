"""Large bodies that a thread reads from the socket, over real sockets, with short times."""

import hashlib
import itertools
import random
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moorage.config import Settings
from moorage.web.body_reader import LEAST, Readers
from moorage.web.lending import LendingProtocol
from tests.server import tiny_app
from tests.server.test_protocol import (
    BAD_CHUNKS,
    GET,
    PATIENCE,
    QuickProtocol,
    connect,
    eventually,
    read_all,
    status,
    talk,
)

CONTENT = random.Random(7).randbytes(LEAST + 700_001)


class OneReader(LendingProtocol):
    """Patient, with a single thread for bodies."""

    readers = Readers(1)


@contextmanager
def serving(
    protocol: type[LendingProtocol], data_dir: Path, drain_seconds: int = 1
) -> Iterator[tuple[int, uvicorn.Server]]:
    """The tiny application in a thread of the test process: its port, and the server to stop it."""
    config = uvicorn.Config(
        tiny_app.build_app(Settings(data_dir=data_dir, log_level="error")),
        loop="uvloop",
        http=protocol,
        ws="none",
        interface="asgi3",
        log_config=None,
        access_log=False,
        timeout_keep_alive=1,
        timeout_graceful_shutdown=drain_seconds,
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """An impatient server."""
    with serving(QuickProtocol, tmp_path_factory.mktemp("data")) as (port, _):
        yield port


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test sees only its own requests."""
    tiny_app.SEEN.clear()


def head(length: int | None, path: str = "/digest", *more: bytes) -> bytes:
    """A PATCH; without a length its body comes in chunks."""
    framing = b"Transfer-Encoding: chunked" if length is None else b"Content-Length: %d" % length
    lines = [b"PATCH %s HTTP/1.1" % path.encode(), b"Host: a", framing, *more, b"\r\n"]
    return b"\r\n".join(lines)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def chunks(data: bytes, sizes: Sequence[int] = (32768,)) -> bytes:
    """All of it in chunks, the sizes in turn, with the last chunk."""
    turn, at, framed = itertools.cycle(sizes), 0, []
    while at < len(data):
        size = next(turn)
        framed.append(chunk(data[at : at + size]))
        at += size
    return b"".join(framed) + b"0\r\n\r\n"


def said(content: bytes, reader: str = "thread") -> bytes:
    return f"{hashlib.sha256(content).hexdigest()} {len(content)} {reader}".encode()


def send_split(client: socket.socket, data: bytes, sizes: Sequence[int]) -> None:
    """Send in pieces of these sizes in turn, each a segment of its own."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    turn, at = itertools.cycle(sizes), 0
    while at < len(data):
        size = next(turn)
        client.sendall(data[at : at + size])
        at += size


def read_answer(client: socket.socket, body: bytes) -> None:
    """Read one answer, which is 200 with this body."""
    got = b""
    while not got.endswith(body):
        piece = client.recv(65536)
        assert piece, got
        got += piece
    assert status(got) == 200


SIZES = st.lists(st.sampled_from([1_001, 8_192, 32_768, 65_537, 300_000, 1_000_000]), min_size=1, max_size=4)
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(extra=st.integers(0, 600_000), sizes=SIZES)
def test_bytes_of_an_announced_length_arrive_as_they_were_sent(port: int, extra: int, sizes: list[int]) -> None:
    """However they are split; the next request, sent along with the last byte, is answered, too."""
    content = CONTENT[: LEAST + extra]
    with connect(port) as client:
        send_split(client, head(len(content)) + content + GET + b"Connection: close\r\n\r\n", sizes)
        answer = read_all(client)
    assert said(content) in answer
    assert answer.count(b"HTTP/1.1 200") == 2


@FEW
@given(length=st.integers(400_000, len(CONTENT)), sizes=SIZES, chunk_sizes=SIZES)
def test_chunks_arrive_as_they_were_sent(
    port: int, length: int, sizes: list[int], chunk_sizes: list[int]
) -> None:
    """However they are cut and split; the connection serves on."""
    content = CONTENT[:length]
    with connect(port) as client:
        client.sendall(head(None))
        send_split(client, chunks(content, chunk_sizes), sizes)
        read_answer(client, said(content))
        client.sendall(GET + b"Connection: close\r\n\r\n")
        assert status(read_all(client)) == 200


def test_many_bodies_share_a_connection(port: int) -> None:
    """Both framings in turn, again and again."""
    with connect(port) as client:
        for _ in range(4):
            client.sendall(head(len(CONTENT)) + CONTENT)
            read_answer(client, said(CONTENT))
            client.sendall(head(None))
            time.sleep(0.02)
            client.sendall(chunks(CONTENT))
            read_answer(client, said(CONTENT))


def test_a_body_below_the_least_is_read_by_the_loop(port: int) -> None:
    """A small body is not worth a thread."""
    content = CONTENT[: LEAST - 1]
    answer = talk(port, head(len(content), "/digest", b"Connection: close") + content)
    assert said(content, "loop") in answer


def test_a_request_behind_a_small_chunked_body_keeps_its_own_body(port: int) -> None:
    """Both in one segment: the first is read as usual though the second has begun."""
    second = head(len(CONTENT), "/digest", b"Connection: close")
    answer = talk(port, head(None, "/digest?delay=0.2") + chunks(b"first") + second + CONTENT)
    assert said(b"first", "loop") in answer
    assert said(CONTENT, "loop") in answer


def test_a_request_in_the_same_segment_as_the_last_chunk_ends_the_connection(port: int) -> None:
    """It cannot be given back; the answer before it is whole, and nothing is answered in its place."""
    with connect(port) as client:
        client.sendall(head(None) + chunk(CONTENT))
        time.sleep(0.2)
        client.sendall(b"0\r\n\r\n" + GET + b"\r\n")
        answer = read_all(client)
    assert said(CONTENT) in answer
    assert b"connection: close" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("length", [len(CONTENT), None])
def test_continue_is_said_before_the_body_is_read(port: int, length: int | None) -> None:
    """100 comes first; then the body, then the answer."""
    with connect(port) as client:
        client.sendall(head(length, "/digest", b"Expect: 100-continue", b"Connection: close"))
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(CONTENT if length else chunks(CONTENT))
        assert said(CONTENT) in read_all(client)


@pytest.mark.parametrize("sent", [0, 1, 300_000, LEAST])
def test_what_came_before_the_client_died_is_kept(port: int, sent: int) -> None:
    """The application gets every byte that arrived, and learns that it is not all."""
    with connect(port) as client:
        client.sendall(head(len(CONTENT)) + CONTENT[:sent])
        time.sleep(0.1)
    digest = hashlib.sha256(CONTENT[:sent]).hexdigest()
    assert eventually(lambda: tiny_app.SEEN[-1:] == [f"incomplete {sent} {digest}"])


def test_what_came_of_chunks_before_the_client_died_is_kept(port: int) -> None:
    """Also a chunk that is not complete."""
    sent = chunk(CONTENT)[:-200]
    with connect(port) as client:
        client.sendall(head(None) + sent)
        time.sleep(0.1)
    digest = hashlib.sha256(CONTENT[:-198]).hexdigest()
    assert eventually(lambda: tiny_app.SEEN[-1:] == [f"incomplete {len(CONTENT) - 198} {digest}"])


def test_a_reset_is_an_incomplete_body(port: int) -> None:
    """The client's system breaks the connection off."""
    with connect(port) as client:
        client.sendall(head(len(CONTENT)) + CONTENT[:50_000])
        time.sleep(0.1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert eventually(lambda: tiny_app.SEEN[-1:] != [] and tiny_app.SEEN[-1].startswith("incomplete"))


@pytest.mark.parametrize("length", [len(CONTENT), None])
def test_a_body_that_stalls_is_cut(port: int, length: int | None) -> None:
    """408 after a window in which nothing came; the application learns that the body is incomplete."""
    with connect(port) as client:
        client.sendall(head(length) + (CONTENT[:100_000] if length else chunk(CONTENT[:100_000])))
        assert status(read_all(client)) == 408
    assert eventually(lambda: tiny_app.SEEN[-1:] != [] and tiny_app.SEEN[-1].startswith("incomplete 100000 "))


def test_a_body_that_trickles_is_cut(port: int) -> None:
    """A byte now and then is below the least rate."""
    with connect(port) as client:
        client.sendall(head(len(CONTENT)))
        for _ in range(7):
            time.sleep(0.1)
            client.send(b"a")
        assert status(read_all(client)) == 408


def test_a_steady_body_is_not_cut(port: int) -> None:
    """A sender above the least rate may take many windows."""
    with connect(port) as client:
        client.sendall(head(len(CONTENT), "/digest", b"Connection: close"))
        for at in range(0, len(CONTENT), 100_000):
            client.sendall(CONTENT[at : at + 100_000])
            time.sleep(0.08)
        assert said(CONTENT) in read_all(client)


def test_a_slow_disk_is_not_the_clients_fault(port: int) -> None:
    """The time that writing takes does not count against the sender."""
    answer = talk(port, head(LEAST, "/digest?pause=0.5", b"Connection: close") + CONTENT[:LEAST])
    assert said(CONTENT[:LEAST]) in answer


@pytest.mark.parametrize("length", [50_000_000, None])
def test_a_refusal_in_the_middle_reaches_a_client_that_sends_on(port: int, length: int | None) -> None:
    """The answer is marked as the last one, and the connection is not reset before it can be read."""
    body = CONTENT if length else chunks(CONTENT)[:-20]
    with connect(port) as client:
        client.sendall(head(length, "/digest?most=300000") + body)
        answer = read_all(client)
    assert status(answer) == 413
    assert b"connection: close" in answer


@pytest.mark.parametrize("name", BAD_CHUNKS)
def test_a_bad_chunk_is_refused_as_by_the_loop(port: int, name: str) -> None:
    """400, once, and the application learns that the body is incomplete."""
    with connect(port) as client:
        client.sendall(head(None) + chunk(CONTENT))
        time.sleep(0.1)
        client.sendall(BAD_CHUNKS[name])
        answer = read_all(client)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert eventually(lambda: tiny_app.SEEN[-1:] != [] and tiny_app.SEEN[-1].startswith("incomplete"))


def test_framing_out_of_proportion_is_refused(port: int) -> None:
    """An extension without end does not count as a body."""
    with connect(port) as client:
        client.sendall(head(None))
        time.sleep(0.1)
        client.sendall(b"1;a=")
        for _ in range(100):
            try:
                client.sendall(b"b" * 10_000)
            except OSError:
                break
        assert status(read_all(client)) == 400


def test_a_trailer_ends_a_chunked_body(port: int) -> None:
    """It is skipped, and the next request is answered."""
    with connect(port) as client:
        client.sendall(head(None))
        time.sleep(0.1)
        client.sendall(chunks(CONTENT)[:-2] + b"X-Checksum: 1\r\n\r\n")
        read_answer(client, said(CONTENT))
        client.sendall(GET + b"Connection: close\r\n\r\n")
        assert status(read_all(client)) == 200


def test_bodies_beyond_the_bound_are_read_by_the_loop(tmp_path: Path) -> None:
    """With every thread taken a body is read as usual, and the thread is there again afterwards."""
    with serving(OneReader, tmp_path) as (port, _), connect(port) as first, connect(port) as second:
        first.sendall(head(len(CONTENT)) + CONTENT[:-1])
        time.sleep(0.2)
        second.sendall(head(len(CONTENT)) + CONTENT)
        read_answer(second, said(CONTENT, "loop"))
        first.sendall(CONTENT[-1:])
        read_answer(first, said(CONTENT))
        second.sendall(head(len(CONTENT)) + CONTENT)
        read_answer(second, said(CONTENT))


def test_a_drain_lets_a_body_come_to_its_end(tmp_path: Path) -> None:
    """A server that is told to stop takes the rest of the body, answers, and then ends the connection."""
    with serving(LendingProtocol, tmp_path, drain_seconds=10) as (port, server), connect(port) as client:
        client.sendall(head(len(CONTENT)) + CONTENT[:500_000])
        time.sleep(0.2)
        server.should_exit = True
        time.sleep(0.5)
        client.sendall(CONTENT[500_000:])
        answer = read_all(client)
    assert said(CONTENT) in answer
    assert b"connection: close" in answer


def test_the_end_of_a_drain_cuts_a_body_that_does_not_come(tmp_path: Path) -> None:
    """The server ends, and no thread goes on waiting for the client."""
    begun = time.monotonic()
    with serving(OneReader, tmp_path, drain_seconds=1) as (port, server), connect(port) as client:
        client.sendall(head(len(CONTENT)) + CONTENT[:500_000])
        time.sleep(0.2)
        server.should_exit = True
        assert eventually(lambda: "cancelled" in tiny_app.SEEN)
        assert eventually(OneReader.readers.reserve)
        OneReader.readers.release()
    assert time.monotonic() - begun < PATIENCE
