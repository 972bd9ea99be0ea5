"""Large pieces of a segment pass by the page cache, unless something of them or of the file system does not fit."""

import errno
import fcntl
import mmap
import os
import random
from pathlib import Path
from typing import Any

import pytest

from moorage.blobs.base import BlobStoreFailed
from moorage.blobs.files import ALIGNMENT
from moorage.blobs.local import LocalBlobStore
from moorage.blobs.local_streams import DIRECT_BYTES
from moorage.domain.digest import Digest

CONTENT = random.Random(8).randbytes(3 * DIRECT_BYTES + 1_000)

Writes = list[tuple[bool, int]]


@pytest.fixture
def store(tmp_path: Path) -> LocalBlobStore:
    """A store of its own."""
    return LocalBlobStore(tmp_path)


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> Writes:
    """Of each write whether it passed by the page cache, and its length."""
    seen: Writes = []
    write = os.write

    def recorded(descriptor: int, data: Any) -> int:
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        seen.append((bool(flags & os.O_DIRECT), len(data)))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", recorded)
    return seen


def aligned(data: bytes, offset: int = 0) -> memoryview:
    """The bytes in memory that begins ``offset`` behind a page."""
    buffer = memoryview(mmap.mmap(-1, len(data) + ALIGNMENT))[offset : offset + len(data)]
    buffer[:] = data
    return buffer


def written(store: LocalBlobStore, pieces: list[memoryview]) -> bytes:
    """What is read back of a blob that was written so, after its digest was compared."""
    writer = store.create_segment()
    for piece in pieces:
        writer.write(piece)
    digest = writer.digests()["sha256"]
    assert digest == Digest.of(b"".join(pieces))
    reader = store.open(store.place(writer.close(is_kept=False), digest))
    return reader.read_at(0, reader.size)


def cut(data: bytes, size: int) -> list[memoryview]:
    """Aligned pieces of this size, the last one shorter."""
    return [aligned(data[at : at + size]) for at in range(0, len(data), size)]


def test_whole_pieces_pass_by_the_page_cache_and_the_rest_does_not(
    store: LocalBlobStore, writes: Writes
) -> None:
    """One write for each large piece, one for what is left."""
    assert written(store, cut(CONTENT, DIRECT_BYTES)) == CONTENT
    assert writes == [(True, DIRECT_BYTES)] * 3 + [(False, 1_000)]


def test_pieces_behind_an_odd_one_go_through_the_page_cache(store: LocalBlobStore, writes: Writes) -> None:
    """Their place in the file is not aligned any more."""
    pieces = [aligned(CONTENT[:100]), *cut(CONTENT[100:], DIRECT_BYTES)]
    assert written(store, pieces) == CONTENT
    assert not any(is_direct for is_direct, _ in writes)


def test_small_pieces_go_through_the_page_cache(store: LocalBlobStore, writes: Writes) -> None:
    """They are not worth a wait for the disk."""
    assert written(store, cut(CONTENT, DIRECT_BYTES - ALIGNMENT)) == CONTENT
    assert not any(is_direct for is_direct, _ in writes)


def test_memory_that_is_not_aligned_is_written_all_the_same(store: LocalBlobStore) -> None:
    """Whatever the disk asks of memory, the bytes are stored."""
    pieces = [aligned(CONTENT[:DIRECT_BYTES], offset=1), *cut(CONTENT[DIRECT_BYTES:], DIRECT_BYTES)]
    assert written(store, pieces) == CONTENT


@pytest.mark.parametrize("taken", [0, ALIGNMENT, ALIGNMENT + 1])
def test_what_the_disk_does_not_take_goes_through_the_page_cache(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    """A file system may refuse from the start, or in the middle of a piece."""
    write, seen = os.write, []

    def reluctant(descriptor: int, data: Any) -> int:
        if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            return write(descriptor, data)
        seen.append(len(data))
        if len(seen) > 1 or not taken:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~os.O_DIRECT)
        try:
            return write(descriptor, data[:taken])
        finally:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_DIRECT)

    monkeypatch.setattr(os, "write", reluctant)
    assert written(store, cut(CONTENT, DIRECT_BYTES)) == CONTENT
    assert len(seen) <= 2


def test_file_system_without_direct_writes_stores_all_the_same(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses the flag itself."""
    control = fcntl.fcntl

    def refusing(descriptor: int, command: int, flags: int = 0) -> int:
        if command == fcntl.F_SETFL and flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return control(descriptor, command, flags)

    monkeypatch.setattr(fcntl, "fcntl", refusing)
    assert written(store, cut(CONTENT, DIRECT_BYTES)) == CONTENT


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_direct_write_failure_throws_the_segment_away(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As any other failure of the disk."""

    def failing(_descriptor: int, _data: Any) -> int:
        raise OSError(number, os.strerror(number))

    writer = store.create_segment()
    writer.write(aligned(CONTENT[:DIRECT_BYTES]))
    monkeypatch.setattr(os, "write", failing)
    with pytest.raises(BlobStoreFailed) as caught:
        writer.write(aligned(CONTENT[:DIRECT_BYTES]))
    assert caught.value.errno == number
    assert not (tmp_path / writer.location).exists()


def test_disk_that_takes_nothing_fails_the_write(
    store: LocalBlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither as success nor by trying for ever: a limit on the calls ends this test where the code would not."""
    calls = iter(range(100))

    def idle(_descriptor: int, _data: Any) -> int:
        assert next(calls, None) is not None, "it goes on for ever"
        return 0

    writer = store.create_segment()
    monkeypatch.setattr(os, "write", idle)
    with pytest.raises(BlobStoreFailed) as caught:
        writer.write(aligned(CONTENT[:DIRECT_BYTES]))
    assert caught.value.errno == errno.EIO
    assert not (tmp_path / writer.location).exists()
