"""Files in the local blob store's directories that it did not put there, and what its sweep lists."""

import os
from pathlib import Path

import pytest

from moorage.blobs.base import BlobForeign, BlobStoreFailed, Segment
from moorage.blobs.local import LocalBlobStore
from moorage.domain.digest import Digest

DATA = b"moorage"
DIGEST = Digest.of(DATA)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory that the tests of this module share."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def store(directory: Path) -> LocalBlobStore:
    """A store over that directory."""
    return LocalBlobStore(directory)


def segment_of(store: LocalBlobStore) -> Segment:
    """A closed segment."""
    writer = store.create_segment()
    writer.write(DATA)
    return writer.close(is_kept=False)


def placed(store: LocalBlobStore) -> str:
    """The location of a blob."""
    return store.place(segment_of(store), DIGEST)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no blob may lead to."""
    path = tmp_path / "master.key"
    path.write_bytes(DATA)
    return path


@pytest.mark.threat(71)
def test_open_is_refused_when_a_symbolic_link_was_planted(
    store: LocalBlobStore, directory: Path, secret: Path
) -> None:
    """A link in a blob's place is refused, not followed."""
    location = placed(store)
    (directory / location).unlink()
    (directory / location).symlink_to(secret)
    with pytest.raises(BlobForeign, match="no regular file"):
        store.open(location)


def test_open_is_refused_when_a_shard_is_a_symbolic_link(tmp_path: Path) -> None:
    """A link in a shard's place is refused, too."""
    store = LocalBlobStore(tmp_path)
    location = placed(store)
    shard = (tmp_path / location).parent
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BlobStoreFailed):
        store.open(location)


def test_segment_is_refused_when_a_symbolic_link_was_planted(
    store: LocalBlobStore, directory: Path, secret: Path
) -> None:
    """Neither placing nor composing reads through a link."""
    segment = segment_of(store)
    (directory / segment.location).unlink()
    (directory / segment.location).symlink_to(secret)
    with pytest.raises(BlobForeign):
        store.place(segment, DIGEST)
    with pytest.raises(BlobForeign):
        store.compose([segment], ["sha256"])


def test_open_does_not_wait_when_a_pipe_was_planted(store: LocalBlobStore, directory: Path) -> None:
    """A pipe would hold the thread until somebody wrote to it; it is refused."""
    location = placed(store)
    (directory / location).unlink()
    os.mkfifo(directory / location)
    with pytest.raises(BlobForeign):
        store.open(location)


def test_orphan_candidates_leaves_out_what_is_not_ours(tmp_path: Path) -> None:
    """Foreign names and links are none of the sweep's business."""
    store = LocalBlobStore(tmp_path)
    location = placed(store)
    shard = (tmp_path / location).parent
    (shard / "README").touch()
    (shard / f"{DIGEST.hex}.{'0' * 32}").symlink_to(tmp_path)
    assert {each.location for each in store.orphan_candidates(-60) if each.location.startswith("blobs/")} == {
        location
    }


def test_blob_is_as_young_as_its_location_when_its_segment_is_old(tmp_path: Path) -> None:
    """A blob just placed from an old segment is not offered to the sweep before its row can be committed."""
    store = LocalBlobStore(tmp_path)
    segment = segment_of(store)
    os.utime(tmp_path / segment.location, (0, 0))
    store.place(segment, DIGEST)
    assert not list(store.orphan_candidates(3_600))


def test_orphan_candidates_counts_age_by_the_clock(tmp_path: Path) -> None:
    """An hour later everything is an hour old."""
    placed(LocalBlobStore(tmp_path))
    later = LocalBlobStore(tmp_path, clock=lambda: tmp_path.stat().st_ctime + 3_600)
    ages = [each.age_seconds for each in later.orphan_candidates(3_000)]
    assert len(ages) == 2
    assert all(3_000 < age <= 3_600 for age in ages)
