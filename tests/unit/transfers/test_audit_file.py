"""The audit file: whole lines, rotation, and what killed processes and full disks leave behind."""

import contextlib
import errno
import fcntl
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from moorage.config import Settings
from moorage.transfers import audit_file
from moorage.transfers.audit_file import AuditFailed, AuditFile, AuditLock, AuditOutput, open_audit_log, rotated


def opened(directory: Path, most_bytes: int = 1_000_000, kept: int = 3) -> AuditFile:
    """A log in a directory, as each process opens it."""
    return AuditFile(directory / "audit.log", AuditLock(directory / "lock"), most_bytes, kept)


def texts(directory: Path) -> list[str]:
    """What the files hold, the newest first."""
    names = [directory / "audit.log", *(rotated(directory / "audit.log", number) for number in range(1, 10))]
    return [path.read_text() for path in names if path.exists()]


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It says who pulls what."""
    log = open_audit_log(Settings(data_dir=tmp_path))
    log.append(b"one\n")
    log.sync()
    path = tmp_path / "audit/audit.log"
    assert path.read_bytes() == b"one\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_the_file_may_be_elsewhere(tmp_path: Path) -> None:
    """The lock stays in the data directory."""
    elsewhere = tmp_path / "moorage.log"
    open_audit_log(Settings(data_dir=tmp_path / "data", audit_file=str(elsewhere))).append(b"one\n")
    assert elsewhere.read_bytes() == b"one\n"


def test_a_full_file_is_rotated_and_the_oldest_goes(tmp_path: Path) -> None:
    """No line is cut in two by that."""
    log = opened(tmp_path, most_bytes=10, kept=2)
    for number in range(10):
        log.append(b"line %d\n" % number)
    assert texts(tmp_path) == ["line 9\n", "line 8\n", "line 7\n"]


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    """Other programs may rotate it too."""
    log = opened(tmp_path)
    log.append(b"before\n")
    (tmp_path / "audit.log").rename(tmp_path / "mine")
    log.append(b"after\n")
    assert (tmp_path / "mine").read_text() == "before\n"
    assert texts(tmp_path) == ["after\n"]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what was synced, in order; each directory with a slash behind it."""
    seen: list[str] = []

    def recorded(call: str) -> None:
        original = getattr(os, call)

        def wrapper(descriptor: int) -> None:
            name = Path(f"/proc/self/fd/{descriptor}").readlink().name
            seen.append(f"{name}/" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else name)
            original(descriptor)

        monkeypatch.setattr(os, call, wrapper)

    recorded("fsync")
    recorded("fdatasync")
    return seen


def test_the_name_of_a_new_file_is_synced_with_its_records(tmp_path: Path, synced: list[str]) -> None:
    """Who makes the file does not sync always, so whoever syncs takes care of names that are new to him."""
    settings = Settings(data_dir=tmp_path / "data")
    open_audit_log(settings).append(b"a read\n")
    log = open_audit_log(settings)
    for line in (b"a change\n", b"another\n"):
        log.append(line)
        log.sync()
    assert synced == ["audit.log", "audit/", "data/", "audit.log"]


@pytest.mark.parametrize("by", ["itself", "another"])
def test_after_a_rotation_the_new_names_are_synced(tmp_path: Path, synced: list[str], by: str) -> None:
    """Whichever process rotates."""
    directory = tmp_path / "audit"
    log, rotating = (opened(directory, most_bytes=10) for _ in "12")
    log.append(b"line 1\n")
    log.sync()
    if by == "another":
        rotating.append(b"line 2\n")
    synced.clear()
    log.append(b"3\n" if by == "another" else b"line 3\n")
    log.sync()
    assert synced[-3:] == ["audit.log", "audit/", f"{tmp_path.name}/"]
    assert len(texts(directory)) == 2


def test_a_directory_that_cannot_be_synced_is_told_of_until_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, synced: list[str]
) -> None:
    """Nothing counts as exported meanwhile."""

    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    log = opened(tmp_path)
    log.append(b"one\n")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(AuditFailed, match="Input/output error"):
            log.sync()
    log.sync()
    assert f"{tmp_path.name}/" in synced


@pytest.mark.parametrize(("left", "kept"), [("whole\nbegun", "whole\n"), ("begun", "")])
def test_a_line_that_a_killed_process_began_goes(tmp_path: Path, left: str, kept: str) -> None:
    """Every line of the file can be read."""
    (tmp_path / "audit.log").write_text(left)
    opened(tmp_path).append(b"next\n")
    assert texts(tmp_path) == [f"{kept}next\n"]


def test_a_disk_that_is_full_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And when there is room again all of it is written."""
    log, write = opened(tmp_path), os.write
    log.append(b"before\n")

    def fill(descriptor: int, data: bytes) -> int:
        if len(data) > 3:
            return write(descriptor, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "write", fill)
        with pytest.raises(AuditFailed, match="No space left"):
            log.append(b"after\n")
    assert texts(tmp_path) == ["before\n"]
    log.append(b"after\n")
    assert texts(tmp_path) == ["before\nafter\n"]


def test_behind_a_process_that_stands_still_it_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records wait in memory or the database meanwhile."""
    monkeypatch.setattr(audit_file, "LOCK_SECONDS", 0.05)
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditFailed, match="another process holds the lock"):
            opened(tmp_path).append(b"one\n")
    opened(tmp_path).append(b"one\n")
    assert texts(tmp_path) == ["one\n"]


def _write_many(directory: str, name: str) -> None:
    log = opened(Path(directory), most_bytes=20_000, kept=1_000)
    for number in range(300):
        log.append(f"{name} {number} {'x' * 50}\n{name} {number} again\n".encode())


def test_processes_that_write_and_rotate_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Each line is there once, whole, and those of one process are in order."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), name)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    files = list(tmp_path.glob("audit.log*"))
    assert len(files) > 3
    files.sort(
        key=lambda path: int(path.suffix.removeprefix(".")) if path.suffix != ".log" else 0, reverse=True
    )
    lines = "".join(path.read_text() for path in files).splitlines()
    for name in "abc":
        mine = [line for line in lines if line.startswith(name)]
        assert mine == [
            line for number in range(300) for line in (f"{name} {number} {'x' * 50}", f"{name} {number} again")
        ]
    assert len(lines) == 3 * 600


def test_standard_output_gets_whole_lines(tmp_path: Path) -> None:
    """In pieces that a pipe takes at once, as long as the lines are not longer themselves."""
    reader, writer = os.pipe()
    log = AuditOutput(AuditLock(tmp_path / "lock"), writer)
    lines = b"".join(b"%d %s\n" % (number, b"x" * 1_500) for number in range(8))
    log.append(lines)
    log.sync()
    assert os.read(reader, 100_000) == lines
    for descriptor in (reader, writer):
        os.close(descriptor)


def test_a_reader_of_standard_output_that_is_gone_is_told_of(tmp_path: Path) -> None:
    """What waits goes on waiting."""
    reader, writer = os.pipe()
    os.close(reader)
    with contextlib.closing(os.fdopen(writer, "wb")), pytest.raises(AuditFailed, match="standard output"):
        AuditOutput(AuditLock(tmp_path / "lock"), writer).append(b"one\n")


def test_a_directory_in_the_files_place_is_told_of(tmp_path: Path) -> None:
    """By its name."""
    (tmp_path / "audit.log").mkdir()
    with pytest.raises(AuditFailed, match=r"audit\.log: Is a directory"):
        opened(tmp_path).append(b"one\n")
