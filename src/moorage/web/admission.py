"""How much one process takes on at once. What is beyond that is turned away (``unread``), and costs next to nothing."""

import asyncio
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: Seconds between two looks at whether the loop has turned; none while no request comes.
LOOK_SECONDS: Final = 0.05

#: Requests of a turn that are served however late it is: a process that was merely stopped, or waited for its disk,
#: serves on.
ALWAYS_SERVED: Final = 16


class Load:
    """The requests that a process is working on, and how many those may be; 0 means any number.

    One that waits for its client, for more of a body or to take more of an answer, does not count meanwhile: slow
    clients take up connections, which are bounded elsewhere, and must not take the place of others.
    """

    __slots__ = ("most", "running")

    def __init__(self, most: int = 0) -> None:
        self.most = most or sys.maxsize
        self.running = 0

    @contextmanager
    def excused(self) -> Iterator[None]:
        """Of a request that waits for its client: it does not count meanwhile."""
        self.running -= 1
        try:
            yield
        finally:
            self.running += 1


class Turn:
    """The turn of the event loop, and whether it has lasted too long to begin with anything more in it.

    Most requests never wait inside a worker: they queue before it, in the kernel, and a turn serves all that have
    come. Who is reached late in a turn has waited for at least as long as it lasts. Once that is too long the rest of
    the turn is turned away, which costs little, and the next one begins with those who came meanwhile: whatever the
    load, an answer comes within about two turns, or after a second look (``second_look``). (The idea of CoDel: judge a queue by the time it takes, not by its
    length.) The clock is read once for each request, some 50 ns.
    """

    __slots__ = ("_clock", "_has_taken", "_is_watched", "_late_at", "_seconds", "_taken_late")

    def __init__(self, seconds: float = 0, clock: Callable[[], float] = time.monotonic) -> None:
        """``seconds`` are how long a turn may last; 0 means for ever."""
        self._seconds = seconds or float("inf")
        self._clock = clock
        self._late_at = float("inf")
        self._is_watched = False
        self._has_taken = False
        self._taken_late = 0

    def is_over(self) -> bool:
        """Whether a request that is reached now came too late; else it is one that is taken on."""
        if not self._is_watched:
            self._begin(asyncio.get_running_loop())
        elif self._clock() > self._late_at:
            if self._taken_late >= ALWAYS_SERVED:
                return True
            self._taken_late += 1
        self._has_taken = True
        return False

    def is_late(self) -> bool:
        """Whether a request that is reached now comes too late, without taking it on if it does not."""
        return self._taken_late >= ALWAYS_SERVED

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_watched = True
        self._has_taken = False
        self._taken_late = 0
        self._late_at = self._clock() + LOOK_SECONDS + self._seconds
        loop.call_later(LOOK_SECONDS, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """A timer rings between two turns. After one without requests nobody looks until the next request."""
        if self._has_taken:
            self._begin(loop)
        else:
            self._is_watched = False
