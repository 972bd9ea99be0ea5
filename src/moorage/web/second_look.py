"""Requests that were too much when they came: held for a moment, and served if there is room before it is over.

A burst then costs its clients the time that it takes to serve it, not a refusal. And under lasting overload those who
ask again as soon as they are refused, as clients do that know no better, do not set the pace at which we refuse: each
connection is told so twice a second at most, and what a refusal costs is left for those who are served.

Who is held has no precedence over who comes later: with a queue everybody would wait under lasting overload.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

#: For which a request is held at most. Whoever is turned away should come back after a second: this is a part of it.
SECONDS: Final = 0.5

#: Bytes of all that one process holds. What finds no room is turned away at once.
MOST_BYTES: Final = 16 * 1024 * 1024

#: Between two looks at whether there is room.
_ROUND_SECONDS: Final = 0.005


class Look(Protocol):
    """Serves a request if there is room, and turns it away if it is too much and ``is_last``. Does not raise."""

    def __call__(self, *, is_last: bool) -> bool:
        """Whether it was either; else it is held on."""


class SecondLook:
    """The requests that a process holds, those that came first in front."""

    def __init__(self) -> None:
        self._held: deque[tuple[float, Look, int]] = deque()
        self._bytes = 0

    def has_room(self, size: int) -> bool:
        """Whether so many bytes more may be held."""
        return self._bytes + size <= MOST_BYTES

    def hold(self, look: Look, size: int, loop: asyncio.AbstractEventLoop) -> None:
        """Hold a request of so many bytes until ``look`` is done with it."""
        if not self._held:
            self._go_round(loop)
        self._held.append((loop.time() + SECONDS, look, size))
        self._bytes += size

    def _go_round(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not in the timer itself: of the timers that are due together one tells that a turn is over (``Turn``), and
        # who was held must not be judged by the turn before.
        loop.call_later(_ROUND_SECONDS, loop.call_soon, self._round, loop)

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        held, now = self._held, loop.time()
        while held:
            until, look, size = held[0]
            if not look(is_last=until <= now):
                break
            held.popleft()
            self._bytes -= size
        if held:
            self._go_round(loop)
