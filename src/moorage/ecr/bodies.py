"""How much memory the bodies of requests may take at once."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from moorage.domain.errors import Unavailable
from moorage.web.admission import Load

#: Bodies up to this size need not ask: there are as many at once as requests, and those are bounded.
SMALL: Final = 64 * 1024

#: How long a body may take to come while others wait for its room: so many seconds, and more at this rate a second.
GRACE_SECONDS: Final = 10.0
LEAST_RATE: Final = 512 * 1024


class Hold:
    """Room that one body has. While the body comes it can be lost."""

    def __init__(self, patience: float) -> None:
        """``patience`` is the seconds that the body may take to come while others wait."""
        self._patience = patience
        self._begun = asyncio.get_running_loop().time()
        self._deadline: asyncio.Timeout | None = None
        self._is_hurried = False

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        """While the body comes. Raises ``Unavailable`` when it comes too slowly for those who wait."""
        try:
            async with asyncio.timeout_at(self._end()) as self._deadline:
                yield
        except TimeoutError:
            raise Unavailable(what="the body came too slowly while others waited") from None
        finally:
            self._deadline = None

    def hurry(self) -> None:
        """Others wait: from now on there is an end to the time that the body may take."""
        self._is_hurried = True
        if self._deadline is not None:
            self._deadline.reschedule(self._end())

    def _end(self) -> float | None:
        return self._begun + self._patience if self._is_hurried else None


class BodyBudget:
    """Bytes of bodies that one process holds at a time. Who finds no room waits in line, its body unread.

    Room is taken for the size that was announced. A client that announces much and sends little would keep all
    others waiting, so those who hold room have to hurry as soon as somebody waits.
    """

    def __init__(self, total: int, grace_seconds: float = GRACE_SECONDS) -> None:
        self._free = total
        self._grace_seconds = grace_seconds
        self._holds: set[Hold] = set()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def hold(self, size: int, load: Load) -> AsyncIterator[Hold]:
        """Room for ``size`` bytes, which must not be more than the total, for as long as the block lasts.

        Who waits in line waits for clients, though for others than its own: it does not count in ``load`` meanwhile.
        """
        with load.excused():
            await self._take(size)
        hold = Hold(self._grace_seconds + size / LEAST_RATE)
        self._holds.add(hold)
        if self._waiting:
            hold.hurry()
        try:
            yield hold
        finally:
            self._holds.remove(hold)
            self._give(size)

    async def _take(self, size: int) -> None:
        if not self._waiting and size <= self._free:
            self._free -= size
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        for hold in self._holds:
            hold.hurry()
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
