"""Clients behind TLS that are slow, say goodbye early, change keys or come in crowds; over real sockets."""

import contextlib
import fcntl
import re
import socket
import ssl
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from moorage.transfers.bodies import BATCH
from moorage.web.crowd import bounded
from moorage.web.descriptors import SPARE_CONNECTIONS
from moorage.web.lending import LendingProtocol
from tests.server import tiny_app
from tests.server.test_body_reader import chunk, head, said
from tests.server.test_protocol import GET, PATIENCE, QuickProtocol, eventually, read_all, status
from tests.server.test_tls_reading import Serving

MOST = 3
#: No letter that openssl's client takes for one of its commands.
DIGITS = b"".join(b"%09d\n" % number for number in range(3 * BATCH // 10))
#: What openssl's client says of tickets and new keys, between the bytes of the server.
_OWN_WORDS = re.compile(rb"(---\nPost-Handshake.*?\n---\n)?read R BLOCK\n", re.DOTALL)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """An impatient server."""
    served = Serving(tmp_path_factory.mktemp("data"), QuickProtocol)
    yield served
    served.end()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """A server that waits for its clients."""
    served = Serving(tmp_path_factory.mktemp("data"), LendingProtocol)
    yield served
    served.end()


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[Serving]:
    """A server that takes three connections."""
    served = Serving(tmp_path, bounded(MOST, 60))
    yield served
    served.end()


@pytest.fixture(autouse=True)
def forget() -> None:
    """Each test sees only its own requests."""
    tiny_app.SEEN.clear()


# --- Time ----------------------------------------------------------------------------------------------------


def test_a_header_that_stalls_is_refused(serving: Serving) -> None:
    """As of a plain connection."""
    assert status(serving.talk(b"GET /pid HTTP/1.1\r\nHost:")) == 408


def test_a_header_that_trickles_is_refused(serving: Serving) -> None:
    """Each byte is a record of its own, and none of them sets the clock back."""
    with serving.connect() as client:
        client.sendall(b"GET /pid HTTP/1.1\r\nX: ")
        client.settimeout(0.05)
        answer = b""
        until = time.monotonic() + PATIENCE
        while not answer and time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                client.sendall(b"a")
                answer = client.recv(65536)
    assert status(answer) == 408


@pytest.mark.parametrize("said_before", [b"", GET + b"\r\n"], ids=["silent", "after an answer"])
def test_an_idle_connection_is_ended(serving: Serving, said_before: bytes) -> None:
    """With a proper goodbye: the client can tell it from one that was cut."""
    plain = socket.create_connection(("127.0.0.1", serving.port), timeout=PATIENCE)
    with serving.context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as client:
        client.sendall(said_before)
        assert read_all(client).startswith(b"HTTP/1.1 200 " if said_before else b"")


# --- Crowds --------------------------------------------------------------------------------------------------


def ask(client: ssl.SSLSocket, path: bytes = b"/pid") -> int:
    client.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path)
    return status(client.recv(65536))


def test_one_connection_too_many_is_told_so_and_the_others_go_on(crowded: Serving) -> None:
    """Health can be asked for on it all the same."""
    with ExitStack() as stack:
        first = [stack.enter_context(crowded.connect()) for _ in range(MOST)]
        assert [ask(client) for client in first] == [200] * MOST
        for path, expected in ((b"/pid", 503), (b"/livez", 200)):
            with crowded.connect() as late:
                assert ask(late, path) == expected
                assert late.recv(1) == b""
        assert [ask(client) for client in first] == [200] * MOST


def test_a_whole_crowd_is_not_read_any_more(crowded: Serving) -> None:
    """Beyond the spare connections, who comes hears so at once and is let go."""
    with ExitStack() as stack:
        for _ in range(MOST + SPARE_CONNECTIONS):
            stack.enter_context(crowded.connect())
        told = read_all(stack.enter_context(crowded.connect()))
    assert told.startswith(b"HTTP/1.1 503 ")
    assert told.endswith(b"\r\n\r\ntoo many connections\n")


# --- Goodbyes: close_notify, and still reading --------------------------------------------------------------


class Leaving:
    """A connection whose client says goodbye and reads on, which ``SSLSocket`` cannot do."""

    def __init__(self, serving: Serving) -> None:
        self._socket = socket.create_connection(("127.0.0.1", serving.port), timeout=PATIENCE)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = serving.context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._exchange()
        self._send()

    def _send(self) -> None:
        self._socket.sendall(self._outgoing.read())

    def _exchange(self) -> bool:
        """Whether anything came."""
        self._send()
        data = self._socket.recv(65536)
        self._incoming.write(data)
        return bool(data)

    def say_last(self, data: bytes) -> None:
        """Send it and the goodbye in one go."""
        self._tls.write(data)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._send()

    def read_all(self) -> tuple[bytes, bool]:
        """Everything that comes, and whether the server said goodbye, too."""
        got = b""
        while True:
            try:
                piece = self._tls.read(65536)
                if not piece:
                    return got, True
                got += piece
            except ssl.SSLWantReadError:
                if not self._exchange():
                    return got, False
            except ssl.SSLZeroReturnError:
                return got, True

    def close(self) -> None:
        self._socket.close()


def test_an_answer_reaches_a_client_that_said_goodbye_behind_its_request(serving: Serving) -> None:
    """It reads on until the server says goodbye, too."""
    with contextlib.closing(Leaving(serving)) as client:
        client.say_last(GET + b"\r\n")
        answer, is_proper = client.read_all()
    assert status(answer) == 200
    assert is_proper


def test_all_that_was_answered_before_the_goodbye_is_sent(serving: Serving) -> None:
    """More of it than the kernel takes at once; then the goodbye is answered."""
    with contextlib.closing(Leaving(serving)) as client:
        client.say_last(b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n")
        answer, is_proper = client.read_all()
    assert answer.endswith(b"\r\n\r\n" + bytes(50_000))
    assert is_proper


@pytest.mark.parametrize("path", ["/digest?delay=0.3", "/echo?delay=60"])
def test_who_said_goodbye_before_the_answer_was_there_is_let_go(
    serving: Serving, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever worked on it is told, so that nothing is written to nobody, and the log stays quiet."""
    content = DIGITS[:2_000_000]
    with contextlib.closing(Leaving(serving)) as client:
        client.say_last(head(len(content), path) + content)
        assert client.read_all() == (b"", True)
    assert status(serving.talk(b"GET /pid HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) == 200
    assert caplog.records == []


def test_a_goodbye_in_a_body_makes_it_incomplete(serving: Serving) -> None:
    """Nothing of it is taken for a whole one."""
    with contextlib.closing(Leaving(serving)) as client:
        client.say_last(head(len(DIGITS)) + DIGITS[: BATCH + 5])
        assert b" 200 " not in client.read_all()[0]
    assert eventually(lambda: any(seen.startswith(f"incomplete {BATCH + 5} ") for seen in tiny_app.SEEN))


# --- New keys, by openssl's own client ----------------------------------------------------------------------


class OpenSsl:
    """``openssl s_client``, which changes keys when it reads a K at the beginning of its input."""

    def __init__(self, serving: Serving) -> None:
        self._process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{serving.port}", "-tls1_3"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        self._got = b""
        self.told = b""

    def wait_until_connected(self) -> None:
        """It has told all about its session."""
        self.read_until(b")\n---\n")
        self._got = b""

    def send(self, data: bytes) -> None:
        """Returns when the client has taken all of it, so that what is sent next is read apart from it."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._in.write(rest) or 0 :]
        assert eventually(self._is_taken)

    def _is_taken(self) -> bool:
        (left,) = struct.unpack("i", fcntl.ioctl(self._in, termios.FIONREAD, bytes(4)))
        return int(left) == 0

    def change_keys(self) -> None:
        """Ours from the next record on, and the server is asked for new ones of its own."""
        self.send(b"K\n")

    def read_until(self, end: bytes) -> None:
        """Whatever comes before it included."""
        while end not in self._got:
            piece = self._out.read(65536)
            assert piece, self._got
            self._got += piece

    def read(self, count: int) -> None:
        """At least so many bytes more."""
        wanted = len(self._got) + count
        while len(self._got) < wanted:
            piece = self._out.read(65536)
            assert piece, self._got[-300:]
            self._got += piece

    def answer(self) -> bytes:
        """What came, without what the client itself said in between."""
        got = _OWN_WORDS.sub(b"", self._got)
        return got[got.index(b"HTTP/1.1 ") :]

    def end(self) -> None:
        """Leave nothing behind; ``told`` is what it said of itself."""
        self._process.kill()
        _, self.told = self._process.communicate()


@contextmanager
def openssl(serving: Serving) -> Iterator[OpenSsl]:
    client = OpenSsl(serving)
    try:
        client.wait_until_connected()
        yield client
    finally:
        client.end()
    assert client.told.count(b"KEYUPDATE") == 3


@pytest.mark.parametrize("length", [len(DIGITS), None], ids=["length", "chunks"])
def test_keys_change_in_the_middle_of_an_upload(patient: Serving, length: int | None) -> None:
    """Some of it with each key; every byte arrives as it was sent."""
    with openssl(patient) as client:
        client.send(head(length))
        for at in range(0, len(DIGITS), BATCH):
            part = DIGITS[at : at + BATCH]
            client.send(chunk(part) if length is None else part[: BATCH // 2])
            client.change_keys()
            client.send(b"" if length is None else part[BATCH // 2 :])
        client.send(b"0\r\n\r\n" if length is None else b"")
        client.read_until(said(DIGITS))
        assert status(client.answer()) == 200


def test_keys_change_in_the_middle_of_a_download(patient: Serving) -> None:
    """The server's own as well, and every byte is still what it was."""
    with openssl(patient) as client:
        client.send(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(3):
            client.read(8_000_000)
            client.change_keys()
        client.read(8_000_000)
        answer = client.answer()
    assert status(answer) == 200
    assert answer.partition(b"\r\n\r\n")[2].strip(b"\0") == b""
