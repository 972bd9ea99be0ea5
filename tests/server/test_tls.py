"""Serving TLS, with certificates of ``moorage tls init`` that change under way."""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from moorage.cli.certificates import KeyPair, make_authority, make_server
from moorage.transfers.bodies import BATCH
from tests.server.test_body_reader import head
from tests.server.test_protocol import read_all

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0


class Served:
    """A running tiny_serve with TLS."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = make_authority()
        self.authority_file = directory / "ca.pem"
        self.authority_file.write_bytes(self.authority.certificate_pem())
        self.renew()
        self.log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.tiny_serve", str(directory), "1", "2"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=os.environ | {"TINY_CERT": str(directory / "cert.pem"), "TINY_KEY": str(directory / "key.pem")},
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())

    def renew(self) -> KeyPair:
        made = make_server(self.authority, ["localhost", "127.0.0.1"])
        (self.directory / "cert.pem").write_bytes(made.certificate_pem())
        (self.directory / "key.pem").write_bytes(made.key_pem())
        return made

    def serial(self) -> int:
        text = ssl.get_server_certificate(("127.0.0.1", self.port), timeout=PATIENCE)
        return x509.load_pem_x509_certificate(text.encode()).serial_number

    def logged(self, event: str) -> bool:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if event in (self.directory / "log").read_text():
                return True
            time.sleep(0.02)
        return False

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        assert self.process.stdout
        self.process.stdout.close()
        self.log.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    server = Served(tmp_path)
    yield server
    server.end()


def test_a_client_that_trusts_the_authority_is_served(served: Served) -> None:
    """The name and the IP address are both in the certificate."""
    context = ssl.create_default_context(cafile=str(served.authority_file))
    for host in ("localhost", "127.0.0.1"):
        url = f"https://{host}:{served.port}/livez"
        with urllib.request.urlopen(url, timeout=PATIENCE, context=context) as answer:
            assert answer.status == 200


def test_sighup_loads_a_renewed_certificate(served: Served) -> None:
    """New connections get it; nothing is restarted."""
    renewed = served.renew()
    assert served.serial() != renewed.certificate.serial_number
    served.process.send_signal(signal.SIGHUP)
    assert served.logged("certificate_reloaded")
    assert served.serial() == renewed.certificate.serial_number


def test_a_certificate_that_cannot_be_read_leaves_the_old_one(served: Served) -> None:
    """A key that does not fit is logged and changes nothing."""
    before = served.serial()
    (served.directory / "cert.pem").write_bytes(make_server(served.authority, ["localhost"]).certificate_pem())
    served.process.send_signal(signal.SIGHUP)
    assert served.logged("certificate_not_reloaded")
    assert served.serial() == before


def test_the_end_of_a_drain_cuts_a_body_that_does_not_come(served: Served) -> None:
    """Its client is told to come back, and the worker ends in order."""
    context = ssl.create_default_context(cafile=str(served.authority_file))
    plain = socket.create_connection(("127.0.0.1", served.port), timeout=PATIENCE)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as client:
        client.sendall(head(3 * BATCH) + bytes(BATCH))
        served.process.terminate()
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert served.process.wait(PATIENCE) == 0
