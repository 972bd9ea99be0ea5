"""Whether there is room for another push."""

import time

from moorage.blobs.base import BlobStore, BlobStoreFailed
from moorage.config import Quotas, Settings
from moorage.domain.errors import Unavailable
from moorage.transfers.threads import BlobThreads

#: Seconds that one look at the disk is good for.
FRESH_SECONDS = 1.0

#: Files that must still be possible, where the file system counts them.
INODE_RESERVE = 1_000


class Room:
    """Refuses pushes while the disk has less than its reserve; pulls and deletes never ask."""

    def __init__(self, store: BlobStore, threads: BlobThreads, settings: Settings) -> None:
        self._store = store
        self._threads = threads
        self._reserve = settings.disk_reserve_bytes
        self._looked_at = float("-inf")
        self._lacks = ""
        self.quotas: Quotas = settings.quotas

    async def check(self) -> None:
        """Raises ``Unavailable`` that names what is short."""
        if self._is_stale():
            self._lacks = await self._threads.run(self._look)
        self._judge()

    def check_blocking(self) -> None:
        """``check`` for whoever is in a thread already."""
        if self._is_stale():
            self._lacks = self._look()
        self._judge()

    def _is_stale(self) -> bool:
        """Whether it is time for another look, which the caller then takes."""
        now = time.monotonic()
        if now - self._looked_at <= FRESH_SECONDS:
            return False
        self._looked_at = now
        return True

    def _judge(self) -> None:
        if self._lacks:
            raise Unavailable(what=self._lacks)

    def _look(self) -> str:
        try:
            space = self._store.space()
        except BlobStoreFailed as error:
            return f"the blob store: {error}"
        if space.free_bytes < self._reserve:
            return f"disk space: {space.free_bytes} bytes are free, {self._reserve} are held in reserve"
        if space.total_inodes and space.free_inodes < INODE_RESERVE:
            return (
                f"disk space: {space.free_inodes} files can still be made, {INODE_RESERVE} are held in reserve"
            )
        return ""
