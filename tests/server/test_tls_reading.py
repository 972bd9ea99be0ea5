"""Bodies behind TLS: decrypted by the loop, taken by a thread; over real sockets, with short times."""

import contextlib
import random
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from moorage.cli.certificates import make_authority, make_server
from moorage.config import Settings
from moorage.transfers.bodies import BATCH
from moorage.web.body_reader import LEAST, Readers
from moorage.web.lending import LendingProtocol
from tests.server import tiny_app
from tests.server.test_body_reader import chunk, chunks, head, read_answer, said
from tests.server.test_protocol import BAD_CHUNKS, GET, PATIENCE, QuickProtocol, eventually, read_all, status

CONTENT = random.Random(8).randbytes(3 * BATCH + 700_001)
KEEP_ALIVE_SECONDS = 1


class OneReader(LendingProtocol):
    """Patient, with a single thread for bodies."""

    readers = Readers(1)


class Serving:
    """The tiny application behind TLS, in a thread of the test process."""

    def __init__(self, directory: Path, protocol: type[LendingProtocol]) -> None:
        authority = make_authority()
        made = make_server(authority, ["127.0.0.1"])
        (directory / "ca.pem").write_bytes(authority.certificate_pem())
        (directory / "cert.pem").write_bytes(made.certificate_pem())
        (directory / "key.pem").write_bytes(made.key_pem())
        self.context = ssl.create_default_context(cafile=str(directory / "ca.pem"))
        self.server = uvicorn.Server(
            uvicorn.Config(
                tiny_app.build_app(Settings(data_dir=directory, log_level="error")),
                loop="uvloop",
                http=protocol,
                ws="none",
                interface="asgi3",
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=1,
                ssl_certfile=str(directory / "cert.pem"),
                ssl_keyfile=str(directory / "key.pem"),
            )
        )
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._listener]})
        self.thread.start()

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        # A lost end is told from a proper one by the tests themselves.
        return self.context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=True)

    def talk(self, data: bytes) -> bytes:
        """All that is answered, until the server ends the connection."""
        with self.connect() as client:
            client.sendall(data)
            return read_all(client)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """An impatient server."""
    served = Serving(tmp_path_factory.mktemp("data"), QuickProtocol)
    yield served
    served.end()


@pytest.fixture
def one_reader(tmp_path: Path) -> Iterator[Serving]:
    served = Serving(tmp_path, OneReader)
    yield served
    served.end()


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test sees only its own requests."""
    tiny_app.SEEN.clear()


def framed(content: bytes, length: int | None) -> bytes:
    return chunks(content) if length is None else content


BOTH = pytest.mark.parametrize("length", [len(CONTENT), None])


@BOTH
@pytest.mark.parametrize("step", [1 << 22, 16 * 1024 - 1, 100_001])
def test_a_large_body_arrives_as_it_was_sent(serving: Serving, length: int | None, step: int) -> None:
    """Whatever the records are cut into."""
    sent = head(length) + framed(CONTENT, length)
    with serving.connect() as client:
        for at in range(0, len(sent), step):
            client.sendall(sent[at : at + step])
        read_answer(client, said(CONTENT))


@pytest.mark.parametrize("size", [LEAST, BATCH, BATCH + 1, 2 * BATCH, 2 * BATCH + 1, 3 * BATCH])
def test_bodies_that_fill_batches_to_the_byte_share_a_connection(serving: Serving, size: int) -> None:
    """A disk that is slower than the client stops the reading; it goes on for the next request."""
    with serving.connect() as client:
        for _ in range(2):
            client.sendall(head(size, "/digest?pause=0.05") + CONTENT[:size])
            read_answer(client, said(CONTENT[:size]))


@BOTH
def test_requests_behind_a_large_body_are_answered(serving: Serving, length: int | None) -> None:
    """Sent in one go with it: none of their bytes is taken for the body, nor the other way round."""
    after = head(len(CONTENT)) + CONTENT + b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answers = serving.talk(head(length) + framed(CONTENT, length) + GET + b"\r\n" + after)
    assert answers.count(b"HTTP/1.1 ") == 4
    assert answers.count(said(CONTENT, "")[:64]) == 2


def test_a_body_below_the_least_is_read_by_the_loop(serving: Serving) -> None:
    """A thread is not worth it."""
    content = CONTENT[: LEAST - 1]
    with serving.connect() as client:
        client.sendall(head(len(content)) + content)
        read_answer(client, said(content, "loop"))


@BOTH
def test_continue_is_said_before_the_body_is_read(serving: Serving, length: int | None) -> None:
    """A client that waits for it is not waited for."""
    with serving.connect() as client:
        client.sendall(head(length, "/digest", b"Expect: 100-continue"))
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(framed(CONTENT, length))
        read_answer(client, said(CONTENT))


@BOTH
@pytest.mark.parametrize("how", ["close_notify", "end", "reset"])
def test_what_came_before_the_client_left_is_counted(serving: Serving, length: int | None, how: str) -> None:
    """Said goodbye or not: the body is incomplete, and is not taken for a whole one."""
    client = serving.connect()
    part = CONTENT[: 2 * BATCH + 5]
    client.sendall(head(length) + (chunk(part) if length is None else part))
    if how == "close_notify":
        with contextlib.suppress(ssl.SSLError, OSError):
            client.unwrap()
    elif how == "reset":
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert eventually(lambda: any(seen.startswith("incomplete ") for seen in tiny_app.SEEN))


def test_a_record_that_was_tampered_with_ends_the_body(serving: Serving) -> None:
    """Nothing that cannot be decrypted is handed on, and the server serves on."""
    client = serving.connect()
    client.sendall(head(len(CONTENT)) + CONTENT[:100_000])
    # What is read at once with a record that is none is lost with it, the head of the request as well.
    assert eventually(lambda: "PATCH /digest" in tiny_app.SEEN), tiny_app.SEEN
    bare = socket.socket(fileno=client.detach())
    bare.sendall(b"\x17\x03\x03\x00\x40" + bytes(64))
    assert eventually(lambda: any(seen.startswith("incomplete ") for seen in tiny_app.SEEN)), tiny_app.SEEN
    bare.close()
    assert status(serving.talk(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 200


@BOTH
def test_a_body_that_stalls_is_cut(serving: Serving, length: int | None) -> None:
    """The least rate holds behind TLS, too."""
    part = CONTENT[:BATCH]
    answer = serving.talk(head(length) + (chunk(part) if length is None else part))
    assert status(answer) == 408


def test_half_a_record_does_not_stop_the_clock(serving: Serving) -> None:
    """Bytes that cannot be decrypted yet are none of the body."""
    client = serving.connect()
    client.sendall(head(len(CONTENT)) + CONTENT[:100_000])
    bare = socket.socket(fileno=client.detach())
    bare.settimeout(PATIENCE)
    bare.sendall(b"\x17\x03\x03\x40\x00" + bytes(64))
    assert eventually(lambda: any(seen.startswith("incomplete ") for seen in tiny_app.SEEN)), tiny_app.SEEN
    bare.close()


def test_a_slow_disk_is_not_the_clients_fault(serving: Serving) -> None:
    """Each piece takes longer than the window."""
    with serving.connect() as client:
        client.sendall(head(len(CONTENT), "/digest?pause=0.5") + CONTENT)
        read_answer(client, said(CONTENT))


@BOTH
def test_a_refusal_in_the_middle_reaches_the_client(serving: Serving, length: int | None) -> None:
    """The sink takes no more: the answer says so, and the connection ends."""
    with serving.connect() as client:
        client.sendall(head(length, "/digest?most=1000") + framed(CONTENT, length)[: BATCH + 100_000])
        assert status(read_all(client)) == 413


@pytest.mark.parametrize("name", sorted(BAD_CHUNKS))
def test_a_bad_chunk_is_refused(serving: Serving, name: str) -> None:
    """As of a plain connection."""
    assert status(serving.talk(head(None) + chunk(CONTENT[:2000]) + BAD_CHUNKS[name])) == 400


def test_bodies_beyond_the_bound_are_read_by_the_loop(one_reader: Serving) -> None:
    """The one thread is taken, and free again when its client has gone."""
    first = one_reader.connect()
    first.sendall(head(len(CONTENT)) + CONTENT[:BATCH])
    assert eventually(lambda: len(tiny_app.SEEN) == 1)
    with one_reader.connect() as client:
        client.sendall(head(len(CONTENT)) + CONTENT)
        read_answer(client, said(CONTENT, "loop"))
        first.close()
        assert eventually(lambda: any(seen.startswith("incomplete ") for seen in tiny_app.SEEN))
        client.sendall(head(len(CONTENT)) + CONTENT)
        read_answer(client, said(CONTENT))


def test_a_large_answer_arrives_whole(serving: Serving) -> None:
    """It is encrypted in parts."""
    body = CONTENT[:300_001]
    with serving.connect() as client:
        client.sendall(head(len(body), "/echo") + body)
        read_answer(client, body)
