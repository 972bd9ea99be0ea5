"""Calls that wait for a thread of ours: not too many, not for too long, and not beyond the end of the server."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from moorage.domain.errors import TooManyRequests, Unavailable
from moorage.metadata.pending import Pending
from moorage.metadata.transaction import Transaction

#: Seconds from a call to its answer or refusal.
CALL_SECONDS = 3.0

#: Further seconds that a caller waits for a thread which does not come back: one that waits for a name server, say.
GRACE_SECONDS = 1.0

#: Calls that may wait for one kind of thread; more would only be given up by those who wait for them.
MOST_WAITING = 1024

Answer = TypeVar("Answer")


def unavailable(reason: str) -> Unavailable:
    """What a client is told, which is nothing of the server."""
    return Unavailable(what=f"the metadata database: {reason}")


class Call(Pending):
    """One whose caller waits until ``deadline``, in seconds of ``time.monotonic``."""

    __slots__ = ("deadline",)

    def __init__(self, use_case: Callable[[Transaction], Any]) -> None:
        super().__init__(use_case)
        self.deadline = time.monotonic() + CALL_SECONDS

    def fail(self, error: BaseException) -> None:
        """Nothing came of it. Others may be told the same, so ``Unavailable`` is made anew for each."""
        if isinstance(error, Unavailable):
            mine = Unavailable(**error.facts)
            mine.__cause__ = error.__cause__
            error = mine
        self.future.set_exception(error)


class Threads:
    """Threads that serve calls in the order in which they came, each up to ``most`` of those that wait at once."""

    def __init__(self, name: str, number: int, serve: Callable[[list[Call]], None], *, most: int = 1) -> None:
        """``serve`` resolves every call of its group, and raises nothing."""
        self._serve = serve
        self._most = most
        self._queue: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._entering = threading.Lock()
        self._is_closed = False
        # They end with the process even when a server or a name server does not let go of them.
        self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for _ in range(number)]
        for thread in self._threads:
            thread.start()

    def put(self, use_case: Callable[[Transaction], Answer]) -> "Future[Answer]":
        """Queue a call. Raises ``TooManyRequests``, and ``Unavailable`` after ``close``."""
        call = Call(use_case)
        with self._entering:
            if self._is_closed:
                raise unavailable("it is closed")
            if self._queue.qsize() >= MOST_WAITING:
                raise TooManyRequests
            self._queue.put(call)
        return call.future

    def close(self) -> None:
        """Take no more calls, and wait for those there are as long as their callers do."""
        with self._entering:
            self._is_closed = True
        self._queue.put(None)
        end = time.monotonic() + CALL_SECONDS + GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while group := self._next_group():
            self._serve(group)

    def _next_group(self) -> list[Call]:
        """Those that wait, at least one; none when no more will come."""
        group: list[Call] = []
        while not group or (len(group) < self._most and not self._queue.empty()):
            call = self._queue.get()
            if call is None:
                # The other threads are to see it too, and so is this one after what it has.
                self._queue.put(None)
                break
            group.append(call)
        return group
