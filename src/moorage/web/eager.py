"""Run a coroutine at once; make it a task only where it has to wait.

Most requests never wait: their rows and bytes are at hand. A task would cost them a turn of the event loop and a
good part of what they cost altogether. (Python has this built in from 3.12 on, ``asyncio.eager_task_factory``.)
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # documented: "Extending asyncio", task lifetime support
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from typing import Any


class _FirstStep:
    """The current task as long as there is none: what ``asyncio.timeout`` and task groups ask of it.

    What they keep of it stays good when the coroutine waits for the first time and becomes a task.
    """

    # Of the class as long as nothing changes them: one is made for every request.
    task: "asyncio.Task[None] | None" = None
    _is_cancelled = 0

    def cancel(self, msg: object = None) -> bool:
        """Cancel the task; during the first step it is done as soon as the coroutine waits."""
        if self.task is not None:
            return self.task.cancel(msg)
        self._is_cancelled += 1
        return True

    def cancelling(self) -> int:
        """See ``asyncio.Task``."""
        return self._is_cancelled if self.task is None else self.task.cancelling()

    def uncancel(self) -> int:
        """See ``asyncio.Task``."""
        if self.task is not None:
            return self.task.uncancel()
        self._is_cancelled = max(0, self._is_cancelled - 1)
        return self._is_cancelled

    def become(self, task: asyncio.Task[None]) -> None:
        """From now on it is this task."""
        self.task = task
        for _ in range(self._is_cancelled):
            task.cancel()


def run(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None] | None":
    """Run ``work`` in a copy of the context up to where it first waits. The task of the rest, None if it is done.

    Raises what it raises before it waits. Called from within a task, it is a task from the beginning.
    """
    first: Any = _FirstStep()
    try:
        _enter_task(loop, first)
    except RuntimeError:  # a task is running already
        return loop.create_task(work)
    try:
        context = copy_context()
        awaited = context.run(work.send, None)
    except StopIteration:
        return None
    finally:
        _leave_task(loop, first)
    task = loop.create_task(_Rest(work, awaited), context=context)
    first.become(task)
    return task


class _Rest(Coroutine[Any, Any, None]):
    """The rest of a coroutine that waits for ``awaited`` already.

    No generator: one that a task throws into before its first step ends there, and the coroutine hears nothing of it.
    """

    def __init__(self, work: Coroutine[Any, Any, None], awaited: Any) -> None:
        self._work = work
        self._awaited = awaited
        self._is_begun = False

    def send(self, value: Any) -> Any:
        """The first step tells the task what is waited for."""
        if self._is_begun:
            return self._work.send(value)
        self._is_begun = True
        return self._awaited

    def throw(self, error: Any, *rest: Any) -> Any:
        """A cancellation before the first step goes the way of any other: what is waited for is cancelled first."""
        awaited = None if self._is_begun else self._awaited
        self._is_begun = True
        if awaited is not None and isinstance(error, asyncio.CancelledError) and awaited.cancel():
            return awaited
        return self._work.throw(error, *rest)

    def close(self) -> None:
        """Nobody waits for the rest any more."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        """Like the coroutine's own, from where it is. A task does without."""
        return self._work.__await__()
