"""What counts as an answer while the database is away: only what says so as it must."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.durability.journal import Violation
from tests.durability.wire import InFlight, NoAnswer, Wire
from tests.serving import Credentials


class Refusing(BaseHTTPRequestHandler):
    """Answers with the status that the path names, ``/503/hint`` with Retry-After."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(int(self.path.split("/")[1]))
        if self.path.endswith("/hint"):
            self.send_header("Retry-After", "5")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature of http.server
        """Nothing."""


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A connection to it, its database away."""
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        in_flight = InFlight(is_without_database=True)
        wire = Wire(f"127.0.0.1:{server.server_port}", Credentials("AKIAEXAMPLEEXAMPLE00", "x" * 40), in_flight)
        yield wire
        wire.close()
        server.shutdown()
        thread.join()


def test_a_refusal_for_want_of_a_database_leaves_open_what_happened(wire: Wire) -> None:
    """A commit may have come through whose word did not."""
    with pytest.raises(NoAnswer):
        wire.send("GET", "/503/hint")


def test_a_refusal_that_does_not_say_when_to_come_back_breaks_a_promise(wire: Wire) -> None:
    with pytest.raises(Violation, match="without Retry-After"):
        wire.send("GET", "/503")


def test_an_error_is_no_excuse(wire: Wire) -> None:
    """It is an answer, and whoever expects another one will say so."""
    assert wire.send("GET", "/500").status == 500
