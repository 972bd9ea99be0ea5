"""Run a coroutine at once; make it a task only where it has to wait.

Most requests never wait: their rows and bytes are at hand. A task would cost them a turn of the event loop and a
good part of what they cost altogether. (Python has this built in from 3.12 on, ``asyncio.eager_task_factory``.)
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task  # documented: "Extending asyncio", task lifetime support
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import coroutine
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
    task = loop.create_task(_go_on(work, awaited), context=context)
    first.become(task)
    return task


@coroutine
def _go_on(work: Coroutine[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """The rest of a coroutine that waits for ``awaited`` already."""
    while True:
        try:
            yield awaited
        except BaseException as thrown:  # noqa: BLE001 - it is the coroutine's, a cancellation above all
            error: BaseException | None = thrown
        else:
            error = None
        try:
            awaited = work.send(None) if error is None else work.throw(error)
        except StopIteration:
            return
