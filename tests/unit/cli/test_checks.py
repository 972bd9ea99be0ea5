"""What doctor finds."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pysqlite3 import dbapi2

from moorage.cli import checks
from moorage.cli.certificates import make_authority, make_server
from moorage.cli.findings import describe
from moorage.config import Settings
from moorage.web.data_lock import DataLock

MEBIBYTE = 1024 * 1024


def test_a_data_directory_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    """The first start makes it; doctor does not."""
    finding = checks.check_data_directory(Settings(data_dir=tmp_path / "a" / "b"))
    assert finding.status == "ok"
    assert not (tmp_path / "a").exists()


def test_a_data_directory_that_cannot_be_written_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to do."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    finding = checks.check_data_directory(Settings(data_dir=tmp_path))
    assert finding.status == "fail"
    assert "--data-dir" in finding.advice


def test_a_data_directory_open_to_others_is_warned_of(tmp_path: Path) -> None:
    """It holds keys."""
    tmp_path.chmod(0o755)
    assert checks.check_data_directory(Settings(data_dir=tmp_path)).status == "warn"


@pytest.mark.parametrize(("free", "status"), [(10, "fail"), (2000, "warn"), (9000, "ok")])
def test_free_space_is_held_against_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    """Below it pushes are refused."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free * MEBIBYTE))
    assert checks.check_space(Settings(data_dir=tmp_path)).status == status


@pytest.mark.parametrize(
    ("settings", "status", "text"),
    [
        ({"dev": True}, "warn", "whoever reaches this server may do everything"),
        ({"anonymous_pull": True}, "ok", "without credentials"),
        ({}, "ok", "by policies"),
    ],
)
def test_who_gets_in_is_told(settings: dict[str, Any], status: str, text: str) -> None:
    """Of --dev with a warning."""
    finding = checks.check_access(Settings(**settings))
    assert (finding.status, text in finding.text) == (status, True)


def test_an_old_sqlite_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can corrupt the database."""
    monkeypatch.setattr(dbapi2, "sqlite_version_info", (3, 51, 2))
    assert checks.check_sqlite(Settings()).status == "fail"


def test_the_sqlite_in_use_is_new_enough() -> None:
    """The dependency carries its own."""
    assert checks.check_sqlite(Settings()).status == "ok"


@pytest.mark.parametrize(
    ("listen", "status"), [("127.0.0.1:1", "ok"), ("0.0.0.0:1", "warn"), ("127.0.0.1:99999", "fail")]
)
def test_other_machines_without_tls_are_warned_of(listen: str, status: str) -> None:
    """Passwords would cross the network in the clear."""
    assert checks.check_reach(Settings(listen=(listen,))).status == status


@pytest.mark.parametrize(("age", "status"), [(0, "ok"), (815, "warn"), (900, "fail")])
def test_a_certificate_is_told_by_what_is_left_of_it(tmp_path: Path, age: int, status: str) -> None:
    """Two weeks before the end it is time."""
    made = make_server(make_authority(), ["localhost"], datetime.now(UTC) - timedelta(days=age))
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.certificate_pem())
    key.write_bytes(made.key_pem())
    assert checks.check_tls(Settings(tls_cert=certificate, tls_key=key)).status == status


@pytest.mark.parametrize(
    ("names", "host", "status"),
    [
        (["images.example.com"], "images.example.com", "ok"),
        (["*.example.com"], "images.example.com", "ok"),
        (["*.example.com"], "a.images.example.com", "fail"),
        (["127.0.0.2"], "127.0.0.2", "ok"),
        (["localhost"], "images.example.com", "fail"),
    ],
)
def test_a_certificate_must_be_for_the_registry_host(
    tmp_path: Path, names: list[str], host: str, status: str
) -> None:
    """No client would accept it otherwise."""
    made = make_server(make_authority(), names)
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.certificate_pem())
    key.write_bytes(made.key_pem())
    settings = Settings(tls_cert=certificate, tls_key=key, registry_host=host)
    assert checks.check_tls(settings).status == status


def test_a_certificate_that_is_none_fails(tmp_path: Path) -> None:
    """With the name of the file."""
    file = tmp_path / "cert.pem"
    file.write_text("nothing")
    finding = checks.check_tls(Settings(tls_cert=file, tls_key=file))
    assert finding.status == "fail"
    assert str(file) in finding.text


def test_a_finding_shows_its_advice_and_no_markup_of_its_own() -> None:
    """A path with brackets is shown as it is."""
    shown = describe(checks.Finding("warn", "addresses", "[::1]:5050 [red]", "Do this."))
    assert r"\[red]" in shown
    assert shown.endswith("\n      Do this.")


@pytest.mark.parametrize(
    ("listen", "registry_host", "status"),
    [("127.0.0.1:1", "", "ok"), ("0.0.0.0:1", "", "warn"), ("0.0.0.0:1", "localhost:1", "warn")],
)
def test_others_who_are_told_localhost_are_warned_of(listen: str, registry_host: str, status: str) -> None:
    """Localhost is another machine for each of them."""
    settings = Settings(listen=(listen,), registry_host=registry_host)
    assert checks.check_registry_host(settings).status == status


def test_an_address_that_is_taken_fails(tmp_path: Path) -> None:
    """Without a server of ours on the data directory it is somebody else's."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        finding = checks.check_ports(_listening(tmp_path, port))
    assert finding.status == "fail"
    assert finding.text == f"127.0.0.1:{port} is taken by another program"
    assert finding.advice == "Stop that one, or choose another port with --listen."


def test_an_address_that_is_taken_by_the_running_server_is_fine(tmp_path: Path) -> None:
    """The process that holds the lock listens there."""
    lock = DataLock(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as own:
        finding = checks.check_ports(_listening(tmp_path, own.getsockname()[1]))
    lock.close()
    assert finding.status == "ok"


def test_an_address_that_another_program_took_from_the_running_server_fails(tmp_path: Path) -> None:
    """That a server runs on the data directory does not mean that it is the one behind the address."""
    lock = DataLock(tmp_path)
    with _listening_elsewhere() as port:
        finding = checks.check_ports(_listening(tmp_path, port))
    lock.close()
    assert finding.status == "fail"
    assert str(port) in finding.text


def test_a_running_server_that_does_not_listen_where_asked_is_warned_of(tmp_path: Path) -> None:
    """Whoever asks expects it there."""
    lock = DataLock(tmp_path)
    finding = checks.check_ports(_listening(tmp_path, 0))
    lock.close()
    assert finding.status == "warn"


def _listening(data_dir: Path, port: int) -> Settings:
    return Settings(data_dir=data_dir, listen=(f"127.0.0.1:{port}",))


@contextmanager
def _listening_elsewhere() -> Iterator[int]:
    """A port on which another process listens, which is no registry."""
    program = (
        "import socket, sys\nlistener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        yield int(other.stdout.readline())
        other.communicate()
