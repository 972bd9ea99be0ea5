"""Listening addresses, written and bound."""

import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from moorage.web import listen
from moorage.web.data_lock import DataDirectoryBusy, DataLock, find_holder
from moorage.web.listen import Address, ListenError, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:5050", Address("127.0.0.1", 5050)),
        ("[::1]:5050", Address("::1", 5050)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_an_address_reads_back_as_it_was_written(text: str, address: Address) -> None:
    """Brackets belong to IPv6 alone."""
    assert parse_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "5050", ":5050", "::1:5050", "a:b", "a:65536", "a:-1", "a:", "[]:1", "a:\u0661"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """With the text in the sentence."""
    with pytest.raises(ListenError, match=r"listen: "):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.0.2.1", False),
        ("example.com", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, is_loopback: bool) -> None:
    """All addresses of the machine are not loopback, and neither is a name that may mean anything."""
    assert Address(host, 1).is_loopback is is_loopback


def test_a_port_that_is_taken_is_named() -> None:
    """The sentence says which one and what to do; nothing else stays bound."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = Address("127.0.0.1", taken.getsockname()[1])
        with pytest.raises(ListenError, match=rf"{address} is taken by another program"):
            listen.bind([Address("127.0.0.1", 0), address])


def test_an_address_of_another_machine_is_refused() -> None:
    """192.0.2.0/24 is nobody's."""
    with pytest.raises(ListenError, match="not an address of this machine"):
        listen.bind([Address("192.0.2.1", 0)])


def test_a_machine_without_ipv6_serves_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default second address may be missing, with a line in the log."""
    open_socket = listen._open

    def without_ipv6(family: int, kind: int, protocol: int, where: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return open_socket(family, kind, protocol, where)

    monkeypatch.setattr(listen, "_open", without_ipv6)
    with capture_logs() as lines:
        sockets = listen.bind([Address("127.0.0.1", 0), Address("::1", 0)])
    assert len(sockets) == 1
    sockets[0].close()
    assert lines[0]["event"] == "address_unavailable"


def test_a_free_port_is_known_once_bound() -> None:
    """Port 0 becomes a real one."""
    sockets = listen.bind([Address("127.0.0.1", 0)])
    port = sockets[0].getsockname()[1]
    assert listen.bound_addresses(sockets) == (f"127.0.0.1:{port}",)
    sockets[0].close()


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    """A second holder is refused until the first lets go."""
    assert find_holder(tmp_path) is None
    first = DataLock(tmp_path)
    assert find_holder(tmp_path) is not None
    with pytest.raises(DataDirectoryBusy, match="in use by another moorage serve"):
        DataLock(tmp_path)
    first.close()
    assert find_holder(tmp_path) is None
    DataLock(tmp_path).close()


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:0"])
def test_a_connection_is_handed_over_with_its_first_bytes(address: str) -> None:
    """A probe that only connects succeeds all the same; what is silent takes no place in the server."""
    (listener,) = listen.bind([listen.parse_address(address)])
    with listener, socket.create_connection(listener.getsockname()[:2], timeout=5) as client:
        listener.settimeout(0.3)
        with pytest.raises(TimeoutError):
            listener.accept()
        client.sendall(b"GET")
        listener.settimeout(5)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(16) == b"GET"


def test_a_silent_connection_is_handed_over_in_the_end() -> None:
    """Whoever waits for the server to speak, or speaks late, is not lost."""
    (listener,) = listen.bind([listen.parse_address("127.0.0.1:0")])
    with listener, socket.create_connection(listener.getsockname()[:2], timeout=5):
        listener.settimeout(30)
        accepted, _ = listener.accept()
        accepted.close()
