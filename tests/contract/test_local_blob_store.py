"""What the local blob store does to files: order of durability, failures of the disk, descriptors."""

import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from moorage.blobs import files
from moorage.blobs.base import BlobMissing, BlobStoreFailed, Segment, SegmentWriter
from moorage.blobs.local import LocalBlobStore
from moorage.domain.digest import Digest

DATA = b"moorage"
DIGEST = Digest.of(DATA)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory that the tests of this module share."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def store(directory: Path) -> LocalBlobStore:
    """A store over that directory."""
    return LocalBlobStore(directory)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store asks the system for, in order, as ``fsync:<path below data>`` and the like."""
    seen: list[str] = []

    def top_of(descriptor: int) -> str:
        return "uploads" if "uploads" in Path(f"/proc/self/fd/{descriptor}").readlink().parts else "blobs"

    def recorded(call: str, describe: Callable[..., str]) -> None:
        original = getattr(os, call)

        def wrapper(*args: Any, **options: Any) -> Any:
            seen.append(f"{call} {describe(*args)}")
            return original(*args, **options)

        monkeypatch.setattr(os, call, wrapper)

    def kind(descriptor: int) -> str:
        return "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"

    recorded("fsync", lambda descriptor: f"{kind(descriptor)} in {top_of(descriptor)}")
    recorded("link", lambda *_: "to blobs")
    recorded("unlink", lambda *_: "")
    return seen


def failing(number: int) -> Callable[..., Any]:
    """A system call that only fails."""

    def call(*_: Any, **__: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return call


def segment_of(store: LocalBlobStore, data: bytes = DATA) -> Segment:
    """A closed segment that holds these bytes."""
    writer = store.create_segment()
    writer.write(data)
    return writer.close(is_kept=False)


def placed(store: LocalBlobStore, data: bytes = DATA) -> str:
    """The location of a blob that holds these bytes."""
    return store.place(segment_of(store, data), Digest.of(data))


def stored(directory: Path) -> set[Path]:
    """Every file below the data directory."""
    return {path for path in directory.rglob("*") if not path.is_dir()}


# --- Preparing -----------------------------------------------------------------------------------------------


def test_directories_and_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Nobody else on the machine reads a layer."""
    placed(LocalBlobStore(tmp_path / "data"))
    found = [*tmp_path.joinpath("data").rglob("*"), tmp_path / "data"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in found if path.is_dir()} == {0o700}


def test_every_shard_exists_when_the_store_is_made(tmp_path: Path) -> None:
    """No shard is ever made in the middle of a push."""
    LocalBlobStore(tmp_path)
    counts = [len(list((tmp_path / top).iterdir())) for top in ("uploads", "blobs/sha256", "blobs/sha512")]
    assert counts == [256, 256, 256]


def test_parents_of_the_shards_are_synced_when_the_store_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who made the shards may have died before syncing them, so every start does."""
    LocalBlobStore(tmp_path)
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").readlink()))
    LocalBlobStore(tmp_path)
    tops = [tmp_path / "uploads", tmp_path / "blobs/sha256", tmp_path / "blobs/sha512"]
    assert synced == [*tops, tmp_path / "blobs", tmp_path]


def test_store_is_refused_when_a_directory_is_a_symbolic_link(tmp_path: Path) -> None:
    """Blobs never go where a planted link points."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    data = tmp_path / "data"
    data.mkdir()
    (data / "uploads").symlink_to(elsewhere)
    with pytest.raises(BlobStoreFailed):
        LocalBlobStore(data)
    assert not list(elsewhere.iterdir())


# --- Order of durability -------------------------------------------------------------------------------------


def test_push_syncs_file_then_links_then_syncs_the_directory(store: LocalBlobStore, calls: list[str]) -> None:
    """A push in one request costs two syncs, in the order that a power cut cannot spoil."""
    segment = segment_of(store)
    store.place(segment, DIGEST)
    store.discard_segments([segment.location])
    assert calls == ["fsync file in uploads", "link to blobs", "fsync directory in blobs", "unlink "]


def test_close_syncs_file_and_directory_when_the_segment_is_kept(
    store: LocalBlobStore, calls: list[str]
) -> None:
    """A segment that an acknowledged offset relies on has a durable name."""
    writer = store.create_segment()
    writer.write(DATA)
    writer.close(is_kept=True)
    assert calls == ["fsync file in uploads", "fsync directory in uploads"]


def test_compose_makes_several_segments_durable_as_one(store: LocalBlobStore, calls: list[str]) -> None:
    """The composed segment is synced, file and directory; a single segment needs nothing."""
    parts = [segment_of(store, b"moor"), segment_of(store, b"age")]
    calls.clear()
    store.compose(parts[:1], ["sha256"])
    assert calls == []
    store.compose(parts, ["sha256"])
    assert calls == ["fsync file in uploads", "fsync directory in uploads"]


def test_place_syncs_the_copy_when_links_are_lacking(
    store: LocalBlobStore, calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without hard links the blob is copied, file synced before its directory."""
    segment = segment_of(store)
    calls.clear()
    monkeypatch.setattr(os, "link", failing(errno.EOPNOTSUPP))
    location = store.place(segment, DIGEST)
    assert calls == ["fsync file in blobs", "fsync directory in blobs"]
    with closing(store.open(location)) as reader:
        assert reader.read_at(0, 100) == DATA


def test_delete_syncs_the_directory_even_when_the_file_is_gone(store: LocalBlobStore, calls: list[str]) -> None:
    """A second attempt makes sure of a removal whose sync failed the first time."""
    location = placed(store)
    calls.clear()
    store.delete(location)
    store.delete(location)
    assert calls == ["unlink ", "fsync directory in blobs"] * 2


# --- Failures of the disk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_write_failure_throws_the_segment_away(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The errno is kept, the file is gone, and neither write, close nor discard revives it."""
    before = stored(directory)
    writer = store.create_segment()
    monkeypatch.setattr(os, "write", failing(number))
    with pytest.raises(BlobStoreFailed) as caught:
        writer.write(DATA)
    assert caught.value.errno == number
    assert caught.value.is_full == (number in {errno.ENOSPC, errno.EDQUOT})
    assert stored(directory) == before
    with pytest.raises(ValueError, match="discarded"):
        writer.close(is_kept=True)
    writer.discard()


def test_write_failure_half_way_throws_the_segment_away(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle of a batch leaves no part of it."""
    before = stored(directory)
    write, budget = os.write, [4]

    def filling_up(descriptor: int, data: memoryview) -> int:
        if not budget[0]:
            raise OSError(errno.ENOSPC, "full")
        budget[0] = 0
        return write(descriptor, data[:4])

    monkeypatch.setattr(os, "write", filling_up)
    with pytest.raises(BlobStoreFailed):
        store.create_segment().write(DATA)
    assert stored(directory) == before


@pytest.mark.parametrize("is_kept", [False, True])
def test_failed_sync_of_a_segment_is_not_tried_again(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch, is_kept: bool
) -> None:
    """After a failed sync the pages may be lost though marked clean: one attempt, and the file goes."""
    before = stored(directory)
    writer = store.create_segment()
    writer.write(DATA)
    attempts = []

    def fsync(descriptor: int) -> None:
        attempts.append(descriptor)
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(BlobStoreFailed) as caught:
        writer.close(is_kept=is_kept)
    assert caught.value.errno == errno.EIO
    assert len(attempts) == 1
    assert stored(directory) == before


@pytest.mark.parametrize("lost", ["link", "fsync"])
def test_place_failure_leaves_the_segment_and_no_blob(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """A blob whose name may not be durable is taken back; the upload can be finished later."""
    segment = segment_of(store)
    before = stored(directory)
    with monkeypatch.context() as patch:
        patch.setattr(os, lost, failing(errno.ENOSPC))
        with pytest.raises(BlobStoreFailed) as caught:
            store.place(segment, DIGEST)
    assert caught.value.is_full
    assert stored(directory) == before
    assert store.place(segment, DIGEST)


def test_place_failure_while_copying_leaves_no_blob(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a copy is never left under a blob's name."""
    segment = segment_of(store)
    before = stored(directory)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(BlobStoreFailed):
        store.place(segment, DIGEST)
    assert stored(directory) == before


def test_compose_failure_leaves_only_its_parts(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A composition that cannot be written leaves nothing new."""
    parts = [segment_of(store, b"moor"), segment_of(store, b"age")]
    before = stored(directory)
    monkeypatch.setattr(os, "write", failing(errno.ENOSPC))
    with pytest.raises(BlobStoreFailed):
        store.compose(parts, ["sha256"])
    assert stored(directory) == before


def test_delete_fails_when_it_cannot_be_made_durable(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever deletes learns that a power cut could bring the blob back."""
    location = placed(store)
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(BlobStoreFailed):
        store.delete(location)


def test_discard_segments_goes_on_when_one_cannot_be_removed(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the commit nothing may fail any more: what stays is for the sweep."""
    stuck, other = segment_of(store), segment_of(store)
    unlink = os.unlink

    def sometimes(name: str, **options: Any) -> None:
        if stuck.location.endswith(name):
            raise OSError(errno.EROFS, "read-only")
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", sometimes)
    store.discard_segments([stuck.location, other.location])
    assert (directory / stuck.location).exists()
    assert not (directory / other.location).exists()


@pytest.mark.parametrize("call", ["write", "fsync", "open"])
def test_probe_fails_without_trace_when_the_disk_does(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A probe tells what is wrong and leaves no file."""
    before = stored(directory)
    with monkeypatch.context() as patch:
        patch.setattr(os, call, failing(errno.EROFS))
        with pytest.raises(BlobStoreFailed) as caught:
            store.probe()
    assert caught.value.errno == errno.EROFS
    assert stored(directory) == before


def test_missing_shard_is_a_failure_and_not_a_missing_blob(tmp_path: Path) -> None:
    """A disk that is not mounted must not look like a blob that is gone."""
    store = LocalBlobStore(tmp_path)
    location = placed(store)
    (tmp_path / "blobs").rename(tmp_path / "unmounted")
    with pytest.raises(BlobStoreFailed) as caught:
        store.open(location)
    assert caught.value.errno == errno.ENOENT


# --- Reading and writing as the system lets us ---------------------------------------------------------------


def test_short_writes_are_completed(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every byte arrives, in order, when the system takes three at a time."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    location = placed(store, DATA * 5)
    with closing(store.open(location)) as reader:
        assert reader.read_at(0, 100) == DATA * 5


def test_write_that_takes_nothing_is_a_failure(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that neither writes nor complains does not hold a thread for ever."""
    monkeypatch.setattr(os, "write", lambda *_: 0)
    with pytest.raises(BlobStoreFailed):
        store.create_segment().write(DATA)


def test_short_reads_are_completed(store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range is whole when the system gives three bytes at a time."""
    pread = os.pread
    with closing(store.open(placed(store))) as reader:
        monkeypatch.setattr(os, "pread", lambda descriptor, length, at: pread(descriptor, min(length, 3), at))
        assert reader.read_at(1, 5) == DATA[1:6]


def test_compose_takes_only_the_length_when_it_ends_within_a_piece(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of several pieces stops where the segment does, not where the file does."""
    monkeypatch.setattr(files, "PIECE_BYTES", 4)
    segment = Segment(segment_of(store, DATA * 3).location, 10)
    assert store.compose([segment], ["sha256"])[1] == {"sha256": Digest.of((DATA * 3)[:10])}


def test_blob_cut_short_while_open_is_a_failure(store: LocalBlobStore, directory: Path) -> None:
    """Fewer bytes than the blob had are never passed off as its end."""
    location = placed(store)
    with closing(store.open(location)) as reader:
        os.truncate(directory / location, 3)
        with pytest.raises(BlobStoreFailed):
            reader.read_at(0, 7)
        assert reader.read_cached_at(0, 7) is None


@pytest.mark.parametrize(("in_memory", "expected"), [(3, DATA[2:5]), (2, None), (0, None)])
def test_read_cached_at_gives_all_or_nothing(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, in_memory: int, expected: bytes | None
) -> None:
    """The bytes when all of them are in memory, None when only some are; the system is told not to wait."""
    preadv, asked = os.preadv, []

    def cached(descriptor: int, buffers: list[memoryview], offset: int, flags: int) -> int:
        asked.append(flags)
        return preadv(descriptor, [buffers[0][:in_memory]], offset)

    with closing(store.open(placed(store))) as reader:
        monkeypatch.setattr(os, "preadv", cached)
        assert reader.read_cached_at(2, 3) == expected
    assert asked == [os.RWF_NOWAIT]


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EOPNOTSUPP])
def test_read_cached_at_gives_none_when_it_would_wait(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A disk that would have to be waited for, or a file system that cannot tell, means None."""
    with closing(store.open(placed(store))) as reader:
        monkeypatch.setattr(os, "preadv", failing(number))
        assert reader.read_cached_at(0, 7) is None


def test_read_cached_at_fails_when_the_disk_does(
    store: LocalBlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged disk is not a cold one."""
    with closing(store.open(placed(store))) as reader:
        monkeypatch.setattr(os, "preadv", failing(errno.EIO))
        with pytest.raises(BlobStoreFailed):
            reader.read_cached_at(0, 7)


def test_discard_during_a_write_cannot_reach_another_file(
    store: LocalBlobStore, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer robbed of its segment in the middle of a write does not write into whatever was opened since."""
    write = os.write
    writer = store.create_segment()
    victims: list[SegmentWriter] = []

    def slow(descriptor: int, data: memoryview) -> int:
        if not victims:
            thread = threading.Thread(target=writer.discard)
            thread.start()
            thread.join()
            victims.extend(store.create_segment() for _ in range(4))
        return write(descriptor, data[:3])

    monkeypatch.setattr(os, "write", slow)
    writer.write(DATA)
    assert [(directory / victim.location).stat().st_size for victim in victims] == [0, 0, 0, 0]


def test_descriptors_are_given_back_when_all_is_closed(store: LocalBlobStore) -> None:
    """Neither a push, a pull, a failure nor a listing keeps a file open."""
    before = set(Path("/proc/self/fd").iterdir())
    location = placed(store)
    store.open(location).close()
    store.create_segment().discard()
    store.delete(location)
    with pytest.raises(BlobMissing):
        store.open(location)
    list(store.orphan_candidates(0))
    assert set(Path("/proc/self/fd").iterdir()) == before
