"""How much memory the bodies of requests may take at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

#: Bodies up to this size are read without asking.
SMALL: Final = 64 * 1024


class BodyBudget:
    """Bytes of bodies that one process holds at a time. Who finds no room waits in line, its body unread."""

    def __init__(self, total: int) -> None:
        self._free = total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncIterator[None]:
        """Room for ``size`` bytes, which must not be more than the total, for as long as the block lasts."""
        if size <= SMALL:
            yield
            return
        await self._take(size)
        try:
            yield
        finally:
            self._give(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._give(0)  # Who waits behind may have room now.
            else:
                self._give(size)
            raise

    def _give(self, size: int) -> None:
        self._free += size
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.cancelled() and wanted > self._free:
                return
            self._waiting.popleft()
            if not turn.cancelled():
                self._free -= wanted
                turn.set_result(None)
