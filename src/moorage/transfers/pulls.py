"""Times of the last pull, gathered in memory and written now and then.

ECR's ``lastRecordedPullTime`` is coarse, so a crash may lose the last few seconds of it; nothing else.
"""

import asyncio
import contextlib

from moorage.domain.errors import Unavailable
from moorage.metadata.database import Database
from moorage.services import images

#: Seconds between two writes.
FLUSH_SECONDS = 5.0


class PullTimes:
    """Coalesces pulls: of many pulls of one image only the last is written."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pulled_at: dict[int, int] = {}
        self._task: asyncio.Task[None] | None = None

    def note(self, image_id: int, at: int) -> None:
        """An image was pulled at this time, in microseconds."""
        self._pulled_at[image_id] = at

    def start(self) -> None:
        """Begin to write what is noted, every few seconds."""
        self._task = asyncio.create_task(self._flush_forever())

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Write what is noted. While the database is away it stays noted."""
        noted, self._pulled_at = self._pulled_at, {}
        if not noted:
            return
        try:
            await self._database.write(images.record_pulls, noted)
        except Unavailable:
            self._pulled_at = noted | self._pulled_at

    async def _flush_forever(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()
