"""Whether a listener is told to be a Moorage."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from moorage.cli.certificates import make_authority, make_server
from moorage.cli.neighbours import answers_like_us
from moorage.web.listen import Address


@contextmanager
def serving(body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[Address]:
    """A server that answers everything with this body, and else as ours answers ``/livez``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in (
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Cache-Control", "no-store"),
                ("Content-Length", str(len(body))),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(HTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that speaks no TLS is no failure of the test."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Address("127.0.0.1", server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("body", "is_ours"), [(b"ok\n", True), (b"ok", False), (b"ok\nok\n", False)])
def test_a_server_is_known_by_its_answer(body: bytes, is_ours: bool) -> None:
    """To the byte."""
    with serving(body) as address:
        assert answers_like_us(address) is is_ours


def test_a_server_with_tls_is_known_too(tmp_path: Path) -> None:
    """Whatever its certificate is for, and whoever signed it."""
    made = make_server(make_authority(), ["registry.example"])
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.certificate_pem())
    key.write_bytes(made.key_pem())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with serving(b"ok\n", tls) as address:
        assert answers_like_us(address)
