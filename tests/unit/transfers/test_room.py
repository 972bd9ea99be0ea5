"""Pushes are refused while the disk is nearly full, and taken again when it is not."""

import asyncio
import errno

import pytest

from moorage.blobs.base import BlobStoreFailed, Space
from moorage.blobs.memory import MemoryBlobStore
from moorage.config import Settings
from moorage.domain.errors import Unavailable
from moorage.transfers import room
from moorage.transfers.room import INODE_RESERVE, Room
from moorage.transfers.threads import BlobThreads

RESERVE = 1000


class MeasuredStore(MemoryBlobStore):
    """A store that says what it is told to say of its room."""

    def __init__(self, *spaces: Space | Exception) -> None:
        super().__init__()
        self.spaces = [*spaces]
        self.looks = 0

    def space(self) -> Space:
        """The next answer; the last one stays."""
        self.looks += 1
        answer = self.spaces.pop(0) if len(self.spaces) > 1 else self.spaces[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def free(bytes_: int, inodes: int = 1_000_000, total_inodes: int = 2_000_000) -> Space:
    """So much is left."""
    return Space(bytes_, 1 << 40, inodes, total_inodes)


def check(store: MeasuredStore, times: int = 1) -> None:
    """Ask several times in a row."""
    threads = BlobThreads(1)
    measured = Room(store, threads, Settings(disk_reserve_bytes=RESERVE))

    async def run() -> None:
        for _ in range(times):
            await measured.check()

    try:
        asyncio.run(run())
    finally:
        threads.close()


@pytest.mark.parametrize("space", [free(RESERVE), free(RESERVE, inodes=INODE_RESERVE), free(RESERVE, 0, 0)])
def test_enough_room_is_enough(space: Space) -> None:
    """Down to the reserve; a file system that counts no files has no lack of them."""
    check(MeasuredStore(space))


@pytest.mark.parametrize(
    ("space", "what"), [(free(RESERVE - 1), "999 bytes"), (free(RESERVE, INODE_RESERVE - 1), "999 files")]
)
def test_too_little_room_is_unavailable(space: Space, what: str) -> None:
    """The refusal says what is short."""
    with pytest.raises(Unavailable, match=what):
        check(MeasuredStore(space))


def test_a_store_that_cannot_tell_is_unavailable() -> None:
    """Nobody pushes into the dark."""
    with pytest.raises(Unavailable):
        check(MeasuredStore(BlobStoreFailed("asking for free space", errno.EIO)))


def test_one_look_is_good_for_a_while() -> None:
    """Many requests do not each ask the disk."""
    store = MeasuredStore(free(RESERVE))
    check(store, times=100)
    assert store.looks < 100


def test_room_that_is_there_again_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to restart anything."""
    monkeypatch.setattr(room, "FRESH_SECONDS", -1.0)
    store = MeasuredStore(free(0), free(RESERVE))
    with pytest.raises(Unavailable):
        check(store)
    check(store)
