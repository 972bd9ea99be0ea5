"""Times of the last pull, gathered in memory and written now and then.

ECR's ``lastRecordedPullTime`` is coarse, so a crash may lose the last few seconds of it; nothing else.
"""

import asyncio
import contextlib

from moorage.domain.errors import TooManyRequests, Unavailable
from moorage.metadata.database import Database
from moorage.metadata.images import ImageRow
from moorage.services import images

#: Seconds between two writes.
FLUSH_SECONDS = 5.0

#: A time that is so much older than the last pull is written anew. ECR: it is refreshed at least once in 24 hours.
#: Else a registry whose images are all pulled now and then would write a row for nearly every pull, and each commit
#: drops the answers that are ready and the page caches of all readers.
COARSE_MICROSECONDS = 3_600 * 1_000_000

#: Images per transaction, so that other writes need not wait for all of them.
BATCH = 500


class PullTimes:
    """Coalesces pulls: of many pulls of one image only the last is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pulled_at: dict[int, int] = {}
        self._is_stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def note(self, image_id: int, at: int) -> None:
        """An image was pulled at this time, in microseconds."""
        self._pulled_at[image_id] = max(at, self._pulled_at.get(image_id, at))

    def note_pull(self, image: ImageRow, at: int) -> None:
        """An image was pulled at this time; a row that tells of a pull shortly before it stays as it is."""
        last = image.last_pulled_at
        if last is None or at - last >= COARSE_MICROSECONDS:
            self.note(image.id, at)

    def start(self) -> None:
        """Begin to write what is noted, every few seconds."""
        self._task = asyncio.create_task(self._flush_until_stopped())

    async def stop(self) -> None:
        """Write what is left."""
        self._is_stopping.set()
        if self._task is not None:
            await self._task
        await self.flush()

    async def flush(self) -> None:
        """Write what is noted. While the database is away or has too much to do it stays noted."""
        noted, self._pulled_at = list(self._pulled_at.items()), {}
        while noted:
            try:
                await self._database.write(images.record_pulls, dict(noted[:BATCH]))
            except (Unavailable, TooManyRequests):
                for image_id, at in noted:
                    self.note(image_id, at)
                return
            del noted[:BATCH]

    async def _flush_until_stopped(self) -> None:
        while not self._is_stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopping.wait(), FLUSH_SECONDS)
            await self.flush()
