"""The clocks of one connection: what takes too long, and how long it may stay idle."""

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once after a time, unless it is stopped or set anew before."""

    __slots__ = ("_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is going to ring."""
        return self._timer is not None

    def set(self, seconds: float, then: Callable[[], None]) -> None:
        """Call ``then`` after so many seconds, and not what it was set to before."""
        self.stop()
        self._timer = self._loop.call_later(seconds, self._ring, then)

    def stop(self) -> None:
        """Do not ring."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self, then: Callable[[], None]) -> None:
        self._timer = None
        then()


class IdleClock:
    """Ends a connection that was idle for too long.

    Its timer is not moved with every request: when it rings too early, it is set to the rest.
    """

    __slots__ = ("_loop", "_seconds", "_then", "_timer", "since")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._then = then
        #: When it became idle, None while it is not.
        self.since: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_running(self) -> bool:
        """Whether the connection counts as idle."""
        return self.since is not None

    def start(self) -> None:
        """The connection is idle from now on."""
        self.since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._ring)

    def stop(self) -> None:
        """It is not."""
        self.since = None

    def end(self) -> None:
        """There is no connection any more."""
        self.since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        if self.since is None:
            return
        left = self.since + self._seconds - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._ring)
        else:
            self._then()
