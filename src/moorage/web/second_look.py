"""Requests that were too much when they came: looked at once more before they are turned away.

A burst that is over in a moment then costs its clients that moment, not a refusal. And under lasting overload those who
ask again as soon as they are refused, as clients do that know no better, do not set the pace at which we refuse: each
connection is told so a few times a second at most, and what a refusal costs is left for those who are served.
"""

import asyncio
from collections import deque
from typing import Final, Protocol

#: Until the second look. It is a small part of the second after which whoever is turned away should come back.
SECONDS: Final = 0.25

#: Between two rounds: many are looked at in one.
_ROUND_SECONDS: Final = 0.02


class Waiting(Protocol):
    """A connection with a request that is to be looked at again."""

    def look_again(self) -> None:
        """Answer it in one way or the other, unless that was done meanwhile."""


class SecondLook:
    """The connections of a process that wait for it, those that came first in front."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Waiting]] = deque()

    def await_turn(self, one: Waiting, loop: asyncio.AbstractEventLoop) -> None:
        """Have ``one`` look again later."""
        now = loop.time()
        if not self._waiting:
            loop.call_at(now + SECONDS, self._round, loop)
        self._waiting.append((now + SECONDS, one))

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, now = self._waiting, loop.time()
        try:
            while waiting and waiting[0][0] <= now:
                waiting.popleft()[1].look_again()
        finally:
            # Whatever one of them raises, which the loop tells: the others still wait.
            if waiting:
                loop.call_at(max(waiting[0][0], now + _ROUND_SECONDS), self._round, loop)
