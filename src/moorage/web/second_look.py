"""Requests that were too much when they came: held, and looked at once more before they are turned away.

A burst that is over in a moment then costs its clients that moment, not a refusal. And under lasting overload those who
ask again as soon as they are refused, as clients do that know no better, do not set the pace at which we refuse: each
connection is told so twice a second at most, and what a refusal costs is left for those who are served.

Who is held has no precedence over who comes later: a queue would make everybody wait under lasting overload, and this
is no queue but a second chance.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

#: Until the second look. Whoever is turned away should come back after a second: this is a part of it.
SECONDS: Final = 0.5

#: Bytes of all that one process holds. What finds no room is turned away at once.
MOST_BYTES: Final = 16 * 1024 * 1024

#: Between two rounds: many are looked at in one.
_ROUND_SECONDS: Final = 0.02


class SecondLook:
    """The requests of a process that wait for it, those that came first in front."""

    def __init__(self) -> None:
        self._held: deque[tuple[float, Callable[[], None], int]] = deque()
        self._bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be held."""
        return self._bytes + size <= MOST_BYTES

    def hold(self, look: Callable[[], None], size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Call ``look``, which does not raise, when it is time."""
        when = loop.time() + SECONDS
        if not self._held:
            self._set(when, loop)
        self._held.append((when, look, size))
        self._bytes += size

    def _set(self, when: float, loop: asyncio.AbstractEventLoop) -> None:
        # Not in the timer itself: of the timers that are due together one tells that a turn is over (``Turn``), and
        # who was held must not be judged by the turn before.
        loop.call_at(when, loop.call_soon, self._round, loop)

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        held, now = self._held, loop.time()
        while held and held[0][0] <= now:
            _, look, size = held.popleft()
            self._bytes -= size
            look()
        if held:
            self._set(max(held[0][0], now + _ROUND_SECONDS), loop)
